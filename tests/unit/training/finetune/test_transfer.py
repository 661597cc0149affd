"""Layers go over by name or by shape, every left-over is named, and an optimiser's memory can come along."""

import pytest
import torch
from torch import nn

from core.errors import ModelMismatch
from tests.shared_data import DATA
from training.finetune.pretrained import read_weights
from training.finetune.transfer import ByName, ByShape, OptimiserState, transfer

BACKBONES = DATA / "backbones"
needs_data = pytest.mark.skipif(not BACKBONES.is_dir(), reason="TRAYLANE_DATA has no backbones")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def small(seed, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.Conv2d(8, classes, 1))


def test_everything_goes_over_by_name():
    target, source = small(0), small(1)
    report = transfer(target, source.state_dict(), ByName(), strict=True)
    assert report.whole
    assert len(report.loaded) == len(source.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(target.parameters(), source.parameters(), strict=True))


def test_left_overs_are_named_and_stay_as_they_were():
    target, source = small(0, classes=3), small(1, classes=5).state_dict()
    head, norm = target[4].weight.clone(), target[1].bias.clone()
    del source["1.bias"]
    source["9.weight"] = torch.zeros(1)
    report = transfer(target, source, ByName())
    assert [(m.name, m.shape, m.source_shape) for m in report.mismatched] == [
        ("4.weight", (3, 8, 1, 1), (5, 8, 1, 1)),
        ("4.bias", (3,), (5,)),
    ]
    assert report.missing == ("1.bias",)
    assert report.unexpected == ("9.weight",)
    assert torch.equal(target[4].weight, head)
    assert torch.equal(target[1].bias, norm)
    told = "; ".join(report.lines())
    assert "4.weight [3, 8, 1, 1] from 4.weight [5, 8, 1, 1]" in told
    assert "1 missing: 1.bias" in told


def test_strict_refuses_before_anything_is_changed():
    target, source = small(0, classes=3), small(1, classes=5)
    before = [p.clone() for p in target.parameters()]
    with pytest.raises(ModelMismatch, match=r"4\.weight"):
        transfer(target, source.state_dict(), ByName(), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(target.parameters(), before, strict=True))


def test_nothing_that_fits_is_an_error_even_when_not_strict():
    with pytest.raises(ModelMismatch, match="no tensor"):
        transfer(small(0), {"other.weight": torch.zeros(2)}, ByName())


@pytest.mark.parametrize(
    ("accept", "loaded"),
    [
        ("0.", {"0.weight", "0.bias"}),
        (r"[03]\.weight", {"0.weight", "3.weight"}),
        (lambda name: name.endswith("bias"), {"0.bias", "1.bias", "3.bias", "4.bias"}),
    ],
)
def test_a_predicate_says_which_layers_take_part(accept, loaded):
    report = transfer(small(0), small(1).state_dict(), ByName(accept))
    assert {name for name, _ in report.loaded} == loaded
    assert report.missing == ()


def test_prefixes_are_renamed():
    target = nn.ModuleDict({"trunk": small(0)})
    source = {f"features.{name}": tensor for name, tensor in small(1).state_dict().items()}
    report = transfer(target, source, ByName(rename=(("features.", "trunk."),)), strict=True)
    assert report.loaded[0] == ("trunk.0.weight", "features.0.weight")


def test_by_shape_passes_by_layers_that_one_side_lacks():
    source = small(1)
    target = nn.Sequential(nn.Conv2d(3, 5, 1), *small(0)[:2], nn.Conv2d(4, 4, 3), *small(2)[3:])
    report = transfer(target, source.state_dict(), ByShape())
    assert torch.equal(target[1].weight, source[0].weight)
    assert torch.equal(target[2].running_var, source[1].running_var)
    assert torch.equal(target[4].weight, source[3].weight)
    assert report.missing == ("0.weight", "0.bias", "3.weight", "3.bias")
    assert report.unexpected == ()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_an_optimisers_memory_comes_along_for_what_was_loaded(kind):
    arguments = {"lr": 0.1, "momentum": 0.9} if kind is torch.optim.SGD else {"lr": 0.1}
    source, target = small(1, classes=5), small(0, classes=3)
    theirs = kind(source.named_parameters(), **arguments)
    source(torch.rand(2, 3, 8, 8)).sum().backward()
    theirs.step()
    ours = kind(list(target.parameters())[::-1], **arguments)  # another order: names decide, not places
    report = transfer(
        target, source.state_dict(), ByName(), optimiser=ours, source_optimiser=OptimiserState(theirs.state_dict())
    )
    assert report.with_state == ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias")
    for key, value in theirs.state[source[3].weight].items():
        got = ours.state[target[3].weight][key]
        assert torch.equal(torch.as_tensor(got), torch.as_tensor(value)), key
        assert got is not value
    assert target[4].weight not in ours.state
    ours.zero_grad()
    target(torch.rand(2, 3, 8, 8)).sum().backward()
    ours.step()  # the state is one that the optimiser can go on with


def test_an_optimiser_without_names_is_refused_unless_they_are_given():
    source, target = small(1), small(0)
    theirs = torch.optim.SGD(source.parameters(), lr=0.1, momentum=0.9)
    source(torch.rand(2, 3, 8, 8)).sum().backward()
    theirs.step()
    ours = torch.optim.SGD(target.parameters(), lr=0.1, momentum=0.9)
    with pytest.raises(ModelMismatch, match="names"):
        transfer(target, source.state_dict(), ByName(), False, ours, OptimiserState(theirs.state_dict()))
    names = tuple(name for name, _ in source.named_parameters())
    report = transfer(target, source.state_dict(), ByName(), False, ours, OptimiserState(theirs.state_dict(), names))
    assert len(report.with_state) == len(names)


@needs_data
def test_squeezenet_loads_strictly():
    from torchvision.models import squeezenet1_1

    net = squeezenet1_1(weights=None)
    weights = read_weights(BACKBONES / "squeezenet1_1_caffe_torchvision.pth")
    assert transfer(net, weights.state, ByName(), strict=True).whole


@needs_data
def test_fastestdets_trunk_is_found_in_the_whole_detector_by_name_and_by_shape():
    trunk = read_weights(BACKBONES / "fastestdet_shufflenetv2_05.pth").state
    whole = read_weights(DATA / "detectors" / "FastestDet_AP05_0.253_280e.pth").state
    net = nn.Module()
    net.backbone = skeleton(trunk)
    report = transfer(net, whole, ByName("backbone."), strict=False)
    assert len(report.loaded) == len(trunk)
    assert (report.missing, report.mismatched) == ((), ())
    assert all(not name.startswith("backbone.") for name in report.unexpected)
    by_shape = transfer(skeleton(trunk, "part"), whole, ByShape())
    assert all(name == f"part_{got.removeprefix('backbone.')}" for name, got in by_shape.loaded)
    assert by_shape.missing == ()


@needs_data
def test_resnet20_gives_its_first_blocks_to_resnet56_by_shape():
    small_net = read_weights(BACKBONES / "cifar10_resnet20-12fca82f.th").state
    large_net = read_weights(BACKBONES / "cifar10_resnet56-4bfd9763.th").state
    net = skeleton(large_net)
    report = transfer(net, small_net, ByShape())
    counted = [name for name in small_net if not name.endswith("num_batches_tracked")]
    assert len(report.loaded) == len(counted)
    assert report.unexpected == ()
    assert ("conv1.weight", "conv1.weight") in report.loaded
    assert ("linear.weight", "linear.weight") in report.loaded


class Holder(nn.Module):
    """A module that only holds tensors."""


def skeleton(state, prefix=""):
    """Return modules with tensors of the names and shapes of a state dict, all zero; top names get a prefix."""
    root = Holder()
    for name, tensor in state.items():
        *parents, leaf = (f"{prefix}_{name}" if prefix else name).split(".")
        place = root
        for parent in parents:
            if parent not in place._modules:
                place.add_module(parent, Holder())
            place = place._modules[parent]
        place.register_buffer(leaf, torch.zeros_like(tensor))
    return root
