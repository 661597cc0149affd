"""torchvision's detectors leave torch: the same numbers in ONNX Runtime, our own decoding equal to theirs."""

from __future__ import annotations

import functools
import shutil
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.ops import MultiScaleRoIAlign

from core.errors import ConfigError, ModelMismatch, ModelNotFound
from core.records import Frame
from models.card import Lineage, load_card
from models.decoders import make_decoder
from models.device import Device
from models.ort_detector import OrtDetector
from models.registry import Registry
from models.session import Session
from models.settings import DetectorSettings
from models.two_stage import LEVELS, OUTPUTS, PROPOSALS, open_card
from training.export import Origin, check_heads, export_detector, letterboxed, second_path, write_heads
from training.raw_heads import heads_of, joined, torch_inference

LABELS = ("cup", "plate", "hand")
ORIGIN = Origin("tiny", "3", "MIT", "a test", {"ap50": 0.5}, Lineage(run="r1", data_sha256={"train": "d"}))
ARCHITECTURES = ("retinanet_tiny", "fcos_tiny", "ssd_tiny", "fasterrcnn_tiny")


class Trunk(nn.Module):
    """Two levels of features, at strides 8 and 16."""

    def __init__(self, out_channels: Any = 32) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.first = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 32, 32, 3, 2, 1) for i in range(3)))
        self.second = nn.Conv2d(32, 32, 3, 2, 1)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        fine = self.first(images).relu()
        return OrderedDict([("0", fine), ("1", self.second(fine).relu())])


@dataclass
class Detector:
    """What the export needs of a detector."""

    arch: str
    net: Any
    size: tuple[int, int] = (96, 64)
    labels: tuple[str, ...] = LABELS
    input_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    input_std: tuple[float, float, float] = (0.229, 0.224, 0.225)


def detector_of(arch: str) -> Detector:
    torch.manual_seed(7)
    sizes: dict[str, Any] = {"min_size": 64, "max_size": 96, "score_thresh": 0.02}
    if arch == "retinanet_tiny":
        anchors = AnchorGenerator(((20, 25), (40, 50)), ((0.5, 1.0, 2.0),) * 2)
        net: Any = RetinaNet(Trunk(), 4, anchor_generator=anchors, nms_thresh=1.0, **sizes)
    elif arch == "fcos_tiny":
        anchors = AnchorGenerator(((8,), (16,)), ((1.0,),) * 2)
        net = FCOS(Trunk(), 4, anchor_generator=anchors, nms_thresh=1.0, **sizes)
        nn.init.constant_(net.head.regression_head.bbox_reg.bias, 2.0)  # boxes with an area
    elif arch == "ssd_tiny":
        boxes = DefaultBoxGenerator([[2], [2, 3]], min_ratio=0.2, max_ratio=0.7)
        net = SSD(Trunk([32, 32]), boxes, (96, 64), 4, nms_thresh=1.0, score_thresh=0.02, topk_candidates=5000)
    else:
        pool = MultiScaleRoIAlign(["0", "1"], 3, 2)
        anchors = AnchorGenerator(((16,), (32,)), ((0.5, 1.0, 2.0),) * 2)
        sizes["box_score_thresh"] = sizes.pop("score_thresh")
        net = FasterRCNN(
            Trunk(), 4, rpn_anchor_generator=anchors, box_roi_pool=pool, rpn_post_nms_top_n_test=40, **sizes
        )
    for name, parameter in net.named_parameters():  # answers that differ from place to place
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        elif "cls_logits" in name:
            nn.init.constant_(parameter, -1.5)
    return Detector(arch, net.eval())


def picture(seed: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the card of an architecture: exporting takes seconds, so each is exported once."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def card_of(arch: str) -> Path:
        card = folder / arch / "tiny@3.yaml"
        export_detector(detector_of(arch), card, ORIGIN, [picture(1, (192, 96))])
        return card

    return card_of


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_product_finds_in_the_export_what_it_finds_in_torch(exported: Callable[[str], Path], arch: str) -> None:
    card = load_card(str(exported(arch)))
    assert (card.full_name, card.labels, card.licence) == ("tiny@3", LABELS, "MIT")
    assert card.lineage == Lineage(run="r1", data_sha256={"train": "d"})
    second = ["tiny@3.second.onnx"] if arch == "fasterrcnn_tiny" else []
    assert sorted(path.name for path in exported(arch).parent.iterdir()) == ["tiny@3.onnx", *second, "tiny@3.yaml"]
    for weights in exported(arch).parent.glob("*.onnx"):
        assert str(Path.cwd()).encode() not in weights.read_bytes()
    settings = DetectorSettings(device="cpu", min_score=0.05)
    ours = OrtDetector(card, settings)
    theirs = OrtDetector(card, settings, inference=torch_inference(heads_of(detector_of(arch))))
    assert ours.batches
    assert theirs.batches
    frames = [Frame("x", i, 0.0, 0.0, picture(i, size)) for i, size in enumerate([(96, 64), (160, 160), (192, 96)])]
    for one, other in zip(ours.detect(frames), theirs.detect(frames), strict=True):
        assert len(one) > 3
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        assert (one.class_ids == other.class_ids).all()


@pytest.mark.parametrize("arch", ARCHITECTURES[:3])
def test_our_decoding_is_torchvisions(exported: Callable[[str], Path], arch: str) -> None:
    detector, card = detector_of(arch), load_card(str(exported(arch)))
    detector.net.detections_per_img = detector.net.topk_candidates = 5000
    shown = picture(4)
    with torch.no_grad():
        (found,) = detector.net([torch.from_numpy(shown).permute(2, 0, 1).float() / 255])
    heads = heads_of(detector)
    pixels = letterboxed(card.input, shown)[None]
    outputs = [output[0] for output in torch_inference(heads).run(heads.outputs, {"images": pixels})]
    candidates = make_decoder(card).decode(outputs, 0.02)
    limit = np.array([96, 64, 96, 64], dtype=np.float32)
    rows, columns = np.nonzero(candidates.scores > 0.02)
    mine = np.column_stack([np.clip(candidates.boxes[rows], 0, limit), candidates.scores[rows, columns], columns + 1])
    labels = found["labels"].numpy()
    theirs = np.column_stack([found["boxes"].numpy(), found["scores"].numpy(), labels])[labels > 0]
    assert len(mine) == len(theirs) > 20
    for row in theirs:
        assert np.abs(mine - row).max(axis=1).min() < 2e-3


def test_a_graph_that_computes_something_else_is_refused(exported: Callable[[str], Path], tmp_path: Path) -> None:
    heads = heads_of(detector_of("retinanet_tiny"))
    weights = exported("retinanet_tiny").with_suffix(".onnx")
    assert check_heads(heads, weights, [picture(3)]) < 1e-4
    with torch.no_grad():
        heads.net.get_parameter("net.head.regression_head.bbox_reg.weight").add_(0.05)
    with pytest.raises(ModelMismatch, match=r"the export differs from the net by .* \(allowed 0\.001\)"):
        check_heads(heads, weights)
    with torch.no_grad():
        heads.net.get_parameter("net.head.regression_head.bbox_reg.weight").fill_(float("nan"))
    with pytest.raises(ModelMismatch, match="differs from the net by nan"):
        check_heads(heads, weights)


@pytest.mark.parametrize("seed", range(4))
def test_both_stages_detect_what_torchvision_detects(exported: Callable[[str], Path], seed: int) -> None:
    detector, card = detector_of("fasterrcnn_tiny"), load_card(str(exported("fasterrcnn_tiny")))
    shown = picture(seed)
    with torch.no_grad():
        (found,) = detector.net([torch.from_numpy(shown).permute(2, 0, 1).float() / 255])
    both = open_card(card, Device("cpu"), DetectorSettings(device="cpu"))
    outputs = both.run(OUTPUTS, {"images": letterboxed(card.input, shown)[None]})
    mine = make_decoder(card).decode([output[0] for output in outputs], 0.02)
    assert len(mine.boxes) == len(found["boxes"]) > 20
    np.testing.assert_allclose(mine.boxes, found["boxes"].numpy(), atol=1e-2)
    np.testing.assert_allclose(mine.scores.max(axis=1), found["scores"].numpy(), atol=1e-3)
    assert (mine.scores.argmax(axis=1) == found["labels"].numpy() - 1).all()
    assert np.allclose(mine.probs.sum(axis=1), 1)


def test_padding_and_company_change_no_detection(exported: Callable[[str], Path]) -> None:
    heads = heads_of(detector_of("fasterrcnn_tiny"))
    card = load_card(str(exported("fasterrcnn_tiny")))
    decoder = make_decoder(card)
    weights = Path(card.file)
    first = Session(weights, Device("cpu"), 1)
    second = Session(second_path(weights), Device("cpu"), 1)
    both = joined(heads, first, second)
    pixels = np.stack([letterboxed(card.input, picture(at, size)) for at, size in enumerate([(96, 64), (64, 96)])])
    pixels[1, :, :, 48:] = 0
    together = both.run(OUTPUTS, {"images": pixels})
    for at in range(2):
        regions = both.regions(first.run(both.first_outputs, {"images": pixels[at : at + 1]}))
        count = regions[PROPOSALS].shape[1]
        wanted = decoder.decode([regions[PROPOSALS][0], *(o[0] for o in second.run(OUTPUTS[1:], regions))], 0.02)
        boxes = np.zeros((1, 57, 4), dtype=np.float32)
        boxes[:, :count] = regions[PROPOSALS]
        levels = np.zeros((1, 57), dtype=np.int64)
        levels[:, :count] = regions[LEVELS]
        padded = second.run(OUTPUTS[1:], regions | {PROPOSALS: boxes, LEVELS: levels})
        for other in ([boxes[0], *(o[0] for o in padded)], [output[at] for output in together]):
            got = decoder.decode(other, 0.02)
            assert len(got.boxes) == len(wanted.boxes) > 0
            np.testing.assert_allclose(got.boxes, wanted.boxes, atol=1e-3)
            np.testing.assert_allclose(got.scores, wanted.scores, atol=1e-5)


def test_each_stage_is_compared_by_itself(exported: Callable[[str], Path]) -> None:
    weights = exported("fasterrcnn_tiny").with_suffix(".onnx")
    for name, stage in (("head.bbox_pred.weight", "net"), ("predictor.cls_score.weight", "second")):
        heads = heads_of(detector_of("fasterrcnn_tiny"))
        assert heads.second is not None
        net = heads.net if stage == "net" else heads.second.net
        with torch.no_grad():
            net.get_parameter(name).add_(0.05)
        with pytest.raises(ModelMismatch, match=r"the export differs from the net by .* \(allowed 0\.001\)"):
            check_heads(heads, weights)


def test_the_hash_of_the_first_graph_stands_for_both(exported: Callable[[str], Path], tmp_path: Path) -> None:
    card_path = exported("fasterrcnn_tiny")
    card = load_card(str(card_path))
    assert card.second_stage is not None
    kept = onnx.load(card.file, load_external_data=False).metadata_props
    assert {entry.key: entry.value for entry in kept} == {"second_stage_sha256": card.second_stage.sha256}
    for path in card_path.parent.iterdir():
        shutil.copy(path, tmp_path / path.name)
    other = tmp_path / card_path.name
    Path(second_path(tmp_path / "tiny@3.onnx")).write_bytes(b"another")
    with pytest.raises(ModelMismatch, match=r"tiny@3\.second\.onnx: SHA-256 is"):
        load_card(str(other))
    second_path(tmp_path / "tiny@3.onnx").unlink()
    with pytest.raises(ModelNotFound, match=r"tiny@3\.second\.onnx: weights of tiny@3 are missing"):
        load_card(str(other))


def test_the_registry_keeps_both_graphs(exported: Callable[[str], Path], tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry", shipped=tmp_path)
    registry.add(load_card(str(exported("fasterrcnn_tiny"))))
    card = load_card(str(registry.find("tiny@3").path))
    detector = OrtDetector(card, DetectorSettings(device="cpu", min_score=0.05))
    (found,) = detector.detect([Frame("x", 0, 0.0, 0.0, picture(0))])
    assert len(found) > 3
    assert len(list((tmp_path / "registry").rglob("*.onnx"))) == 2


def test_a_net_that_cannot_leave_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    class Moody(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return (images, images) if float(images.sum()) > 0 else (images * 2, images)

    heads = heads_of(detector_of("retinanet_tiny"))
    moody = replace(heads, net=Moody())
    with pytest.raises(ModelMismatch, match=r"cannot export this net to ONNX \("):
        write_heads(moody, tmp_path / "net.onnx")
    with pytest.raises(ConfigError, match="arch yolo_tiny: no export is known for it"):
        export_detector(Detector("yolo_tiny", nn.Identity()), tmp_path / "x@1.yaml", ORIGIN)
    uneven = detector_of("retinanet_tiny")
    real = uneven.net.anchor_generator.forward
    uneven.net.anchor_generator.forward = lambda *args: [real(*args)[0].roll(1, 0)]
    with pytest.raises(ModelMismatch, match="not a grid of equal boxes"):
        export_detector(uneven, tmp_path / "x@1.yaml", ORIGIN)
    with pytest.raises(ConfigError, match="name"):
        export_detector(detector_of("ssd_tiny"), tmp_path / "x@1.yaml", Origin("My Net", "1", "MIT", "a test"))
    assert not list(tmp_path.glob("x@1*"))
