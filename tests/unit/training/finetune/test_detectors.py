"""Every architecture builds, learns and predicts at small size; classes stay ours; ignored objects are honoured."""

import functools

import numpy as np
import pytest
import torch

from core.errors import ConfigError
from training.finetune.batches import Target
from training.finetune.detectors import ARCHITECTURES, DetectorShape, build, detector_of, make_detector, within
from training.finetune.edge_detector import truth_of
from training.traynet import TrayNet, TrayNetShape

LABELS = ("soup", "bread", "tea")
NORMS = ("BatchNorm2d", "FrozenBatchNorm2d", "GroupNorm")
LIGHT = ("traynet", "ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def size_of(arch):
    return (268, 268) if arch == "ssd300_vgg16" else (64, 64)


@functools.cache
def net(arch):
    """One net of each architecture for the whole module; tests leave its weights as they are."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return make_detector(arch, LABELS, size_of(arch))


def target(*rows):
    """Rows of x1 y1 x2 y2 class ignored."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Target(table[:, :4], table[:, 4].long(), table[:, 5].bool())


def pictures(count, width=80, height=60):
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(3, height, width, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_architecture_learns_and_predicts(arch):
    detector = net(arch).train()
    targets = [target((5, 5, 50, 40, 2, 0), (20, 20, 70, 55, 0, 0)), target()]
    losses = detector.losses(pictures(2), targets)
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total)
    assert any(detector.get_parameter(f"{layer}.weight").grad.abs().sum() > 0 for layer in detector.class_layers())
    detector.zero_grad(set_to_none=True)
    for found in detector.eval().predict(pictures(2)):
        assert found.boxes.shape == (len(found.scores), 4)
        assert found.boxes.dtype == found.scores.dtype == np.float32
        assert ((found.classes >= 0) & (found.classes < 3)).all()
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert (np.diff(found.scores) <= 0).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes <= (80, 60, 80, 60)).all()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_parameter_lies_in_exactly_one_stage(arch):
    stages = net(arch).stages()
    for name, _ in net(arch).named_parameters():
        assert sum(within(name, stage) for stage in stages) == 1, name
    for layer in net(arch).class_layers():
        assert within(layer, stages[-1])


@pytest.mark.parametrize("arch", LIGHT)
def test_a_description_builds_the_same_net_again(arch):
    detector = net(arch)
    again = detector_of(detector.shape_config())
    again.load_state_dict(detector.state_dict())
    assert again.shape == detector.shape
    listed = {**detector.shape_config(), "labels": list(LABELS), "size": list(detector.size)}  # as JSON keeps it
    assert detector_of(listed).shape == detector.shape


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_class_layers_take_another_number_of_classes_and_ours_again(arch):
    detector = net(arch)
    shapes = {name: tuple(p.shape) for name, p in detector.named_parameters()}
    kept = {name: p for name, p in detector.named_parameters() if not within(name, detector.class_layers())}
    detector.replace_class_layers(91)
    for layer in detector.class_layers():
        ours, theirs = shapes[f"{layer}.weight"][0], detector.get_parameter(f"{layer}.weight").shape[0]
        assert theirs * detector.class_outputs == ours * 91
    detector.replace_class_layers(detector.class_outputs)
    assert {name: tuple(p.shape) for name, p in detector.named_parameters()} == shapes
    now = dict(detector.named_parameters())
    assert all(now[name] is parameter for name, parameter in kept.items())
    if arch in LIGHT:  # the net still runs with its new layers
        detector.train().losses(pictures(2), [target((5, 5, 50, 40, 2, 0)), target()])


class Recorder(torch.nn.Module):
    """Stands for torchvision's model: keeps what it is given, answers with fixed detections."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, images, targets=None):
        self.images, self.targets = images, targets
        return self.answer


def test_torchvision_counts_the_background_as_class_0_and_we_do_not(monkeypatch):
    detector = net("ssdlite320_mobilenet_v3_large")
    recorder = Recorder({})
    monkeypatch.setitem(detector._modules, "net", recorder)
    detector.train().losses(pictures(2), [target((5, 5, 50, 40, 0, 0), (5, 5, 9, 9, 2, 0)), target()])
    assert recorder.targets[0]["labels"].tolist() == [1, 3]
    assert recorder.targets[1]["boxes"].shape == (0, 4)
    boxes = torch.tensor([[1.0, 2, 30, 40], [1, 2, 30, 40], [1, 2, 90, 40]])
    recorder.answer = [{"boxes": boxes, "labels": torch.tensor([0, 1, 3]), "scores": torch.tensor([0.9, 0.3, 0.5])}]
    (found,) = detector.eval().predict(pictures(1))
    assert found.classes.tolist() == [2, 0]  # best first; a detection of the background is none
    assert found.boxes[0].tolist() == [1, 2, 80, 40]  # cut to the picture


def test_torchvision_cannot_see_ignored_regions_but_what_is_wanted_on_them(monkeypatch):
    detector = net("ssdlite320_mobilenet_v3_large")
    recorder = Recorder({})
    monkeypatch.setitem(detector._modules, "net", recorder)
    image, other = pictures(2)
    before = image.clone()
    detector.train().losses([image, other], [target((10, 10, 50, 40, 0, 1), (20, 20, 30, 30, 1, 0)), target()])
    seen = recorder.images[0]
    assert recorder.targets[0]["labels"].tolist() == [2]
    assert (seen[:, 12, 12] == torch.tensor(detector.input_mean)).all()
    assert torch.equal(seen[:, 20:30, 20:30], before[:, 20:30, 20:30])
    assert torch.equal(seen[:, 45:], before[:, 45:])
    assert torch.equal(image, before)
    assert recorder.images[1] is other


@pytest.mark.parametrize("arch", LIGHT)
def test_pictures_of_several_sizes_go_into_one_batch(arch):
    detector = net(arch).train()
    images = [*pictures(1), *pictures(1, 50, 90)]
    losses = detector.losses(images, [target((5, 5, 50, 40, 2, 0)), target((5, 5, 40, 80, 0, 0))])
    assert all(torch.isfinite(value) for value in losses.values())
    wide, tall = detector.eval().predict(images)
    assert (wide.boxes <= (80, 60, 80, 60)).all()
    assert (tall.boxes <= (50, 90, 50, 90)).all()


def test_traynet_letterboxes_top_left_and_maps_back():
    detector = make_detector("traynet", LABELS, (96, 64)).eval()
    image = torch.zeros(3, 120, 160)
    canvas, ((x, y),) = detector._letterbox([image])
    assert canvas.shape == (1, 3, 64, 96)
    assert (x, y) == (85 / 160, 64 / 120)
    assert (canvas[0, :, :, :85] == 0).all()
    assert canvas[0, :, :, 85:].unique().tolist() == pytest.approx([114 / 255])
    # A cell at (40, 24) of the canvas with a box of 16 x 8 there:
    scores = np.zeros((96, 4), dtype=np.float32)
    boxes = np.zeros((96, 4), dtype=np.float32)
    boxes[7], scores[7] = (32, 20, 48, 28), (0.9, 0.1, 0.8, 0.1)
    found = detector._found(boxes, scores, (x, y), (160, 120))
    assert found.boxes[0].tolist() == pytest.approx([32 / x, 20 / y, 48 / x, 28 / y], rel=1e-6)
    assert found.classes.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.72])


def test_traynet_truth_scales_boxes_with_the_pictures():
    truth = truth_of([target((10, 20, 30, 40, 2, 0), (1, 1, 5, 5, 1, 1)), target()], [(0.5, 0.25), (1.0, 1.0)])
    assert truth.boxes[0, 0].tolist() == [5, 5, 15, 10]
    assert truth.wanted.tolist() == [[True, False], [False, False]]
    assert truth.ignored.tolist() == [[False, True], [False, False]]


def test_traynet_learns_from_a_batch_without_any_object():
    losses = net("traynet").train().losses(pictures(2), [target(), target()])
    assert losses["box"] == losses["classes"] == 0
    assert losses["objectness"] > 0


def test_traynet_names_are_those_of_the_bare_net():
    assert set(net("traynet").net.state_dict()) == set(TrayNet(TrayNetShape(3)).state_dict())
    assert all(name.startswith("net.") for name in net("traynet").state_dict())


def test_a_smaller_traynet_can_be_described():
    detector = build(DetectorShape("traynet", LABELS, (64, 64), widths=(8, 8, 8, 8, 8), depths=(0, 0, 0, 0), neck=8))
    assert sum(p.numel() for p in detector.parameters()) < 20_000


@pytest.mark.parametrize(
    ("norm", "kind"), [("frozen", "FrozenBatchNorm2d"), ("group", "GroupNorm"), ("batch", "BatchNorm2d")]
)
def test_norms_of_the_trunk_are_of_the_kind_asked_for(norm, kind):
    detector = make_detector("fasterrcnn_mobilenet_v3_large_320_fpn", LABELS, (64, 64), norm=norm)
    kinds = {type(m).__name__ for m in detector.net.backbone.body.modules() if type(m).__name__ in NORMS}
    assert kinds == {kind}


def test_calls_in_the_wrong_mode_are_refused():
    detector = net("ssdlite320_mobilenet_v3_large")
    with pytest.raises(ValueError, match="train"):
        detector.eval().losses(pictures(1), [target()])
    with pytest.raises(ValueError, match="eval"):
        detector.train().predict(pictures(1))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("yolo", LABELS, (64, 64)), "yolo"),
        (("traynet", (), (64, 64)), "labels"),
        (("traynet", ("a", "a"), (64, 64)), "once"),
        (("traynet", LABELS, (64, 60)), "multiples of 32"),
        (("traynet", LABELS, (64, 64), "frozen"), "batch norm only"),
        (("ssd300_vgg16", LABELS, (267, 300)), "268"),
        (("traynet", LABELS, (16, 64)), "32 or more"),
        (("traynet", LABELS, (64, 64), "layer"), "layer"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(arguments, word):
    with pytest.raises(ConfigError, match=word):
        make_detector(*arguments)


def test_a_description_of_another_version_is_refused():
    with pytest.raises(ConfigError, match="another version"):
        detector_of({"arch": "traynet", "labels": ["a"], "size": [64, 64], "flavour": 1})


def test_one_picture_is_too_few_for_the_norms_of_ssdlite():
    with pytest.raises(ConfigError, match="two pictures"):
        net("ssdlite320_mobilenet_v3_large").train().losses(pictures(1), [target()])


@pytest.mark.parametrize("arch", LIGHT)
def test_a_net_of_another_size_is_the_one_that_was_built_for_it(arch):
    small = net(arch)
    large = make_detector(arch, LABELS, (128, 96))
    large.load_state_dict(small.state_dict())
    other = detector_of(small.shape_config())
    other.load_state_dict(small.state_dict())
    other.resize((128, 96))
    assert other.shape == large.shape
    torch.manual_seed(1)
    a = large.train().losses(pictures(2), [target((5, 5, 50, 40, 2, 0)), target()])
    torch.manual_seed(1)  # Faster R-CNN draws samples
    b = other.train().losses(pictures(2), [target((5, 5, 50, 40, 2, 0)), target()])
    assert {name: float(value.detach()) for name, value in a.items()} == pytest.approx(
        {name: float(value.detach()) for name, value in b.items()}
    )
