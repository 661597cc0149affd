"""What a depth means, byte by byte: scratch keeps nothing, shallow moves nothing, deep moves everything."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ConfigError, ModelMismatch, ModelNotFound
from tests.painted_photos import made_up_weights
from tests.shared_data import DATA
from training.classify.learning import fit, optimiser_for
from training.classify.nets import Classifier, make_net, shared_tensors, trunk_sha256
from training.classify.pixels import Shown
from training.classify.settings import RecipeSettings
from training.classify.zoo import KNOWN, Entry, enlist, find_member
from training.patches.training import exact

ARCH = "cifar_resnet20"
RECIPE = RecipeSettings(px=32, batch=4)
RNG = np.random.default_rng(0)
SHOWN = Shown(RNG.integers(0, 255, (8, 37, 37, 3), dtype=np.uint8), np.arange(8) % 2, 32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up_weights(tmp_path_factory.mktemp("weights") / "net.pth", ARCH)


def state(net: Classifier) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


def learnt(depth: str, weights: Path | None, seed: int = 1) -> tuple[dict[str, bytes], Classifier]:
    """Return the state before learning and the net after it."""
    net = make_net(Entry(find_member(ARCH), weights), depth, 2, 32, seed)
    before = state(net)
    with exact(1):
        fit(net, SHOWN, depth, "constant", 0.05, RECIPE, seed, steps=3)
    return before, net


def test_of_a_scratch_net_no_pretrained_byte_survives(weights: Path) -> None:
    with_file, net = learnt("scratch", weights)
    without, twin = learnt("scratch", None)
    # The file changes nothing at all: neither the first weights, nor those learnt.
    assert with_file == without
    assert state(net) == state(twin)
    fresh = make_net(Entry(find_member(ARCH), weights), "scratch", 2, 32, 1)
    assert shared_tensors(fresh, weights) == ()
    assert shared_tensors(net, weights) == ()
    # The check itself can tell: it finds every convolution and norm of a pretrained net.
    assert len(shared_tensors(make_net(Entry(find_member(ARCH), weights), "deep", 2, 32, 1), weights)) > 50


def test_a_scratch_trunk_moves_and_depends_on_its_seed(weights: Path) -> None:
    before, net = learnt("scratch", weights)
    after = state(net)
    still = [name for name in after if name.startswith("trunk.") and after[name] == before[name]]
    assert still == []
    assert learnt("scratch", weights, seed=2)[0] != before


def test_a_shallow_trunk_is_byte_equal_norms_statistics_included(weights: Path) -> None:
    before, net = learnt("shallow", weights)
    after = state(net)
    trunk = {name: value for name, value in after.items() if name.startswith("trunk.")}
    assert any(name.endswith("running_var") for name in trunk)
    assert trunk == {name: value for name, value in before.items() if name.startswith("trunk.")}
    assert after["head.weight"] != before["head.weight"]
    theirs = torch.load(weights, weights_only=True)
    assert {name: tensor.numpy().tobytes() for name, tensor in theirs.items()} == {
        name.removeprefix("trunk."): value for name, value in trunk.items()
    }


def test_a_deep_net_moves_everything_early_stages_slowest(weights: Path) -> None:
    before, net = learnt("deep", weights)
    after = state(net)
    assert [name for name in after if name.startswith(("trunk.", "head.")) and after[name] == before[name]] == []
    rates = {
        name: group["base_rate"]
        for group in optimiser_for(net, "deep", 1.0, RECIPE).param_groups
        for name in group["param_names"]
    }
    assert rates["head.weight"] == 1.0
    assert rates["trunk.conv1.weight"] == RECIPE.depth_decay**4
    assert rates["trunk.conv1.weight"] < rates["trunk.layer2.0.conv1.weight"] < rates["trunk.layer3.2.conv2.weight"]


def test_a_run_repeats_byte_for_byte(weights: Path) -> None:
    for depth in ("shallow", "deep", "scratch"):
        assert state(learnt(depth, weights)[1]) == state(learnt(depth, weights)[1])
        assert trunk_sha256(learnt(depth, weights)[1]) == trunk_sha256(learnt(depth, weights)[1])


def test_weights_that_cannot_be_used(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(
        ModelMismatch, match=r"net.pth: not the weights of cifar_resnet56: .*missing.*--weights ARCH=FILE"
    ):
        make_net(Entry(find_member("cifar_resnet56"), weights), "deep", 2, 32, 1)
    with pytest.raises(ModelMismatch, match="not the weights of squeezenet1_1"):
        make_net(Entry(find_member("squeezenet1_1"), weights), "shallow", 2, 32, 1)
    with pytest.raises(ConfigError, match="resnet18: no weights to start from; give --weights resnet18=FILE"):
        make_net(Entry(find_member("resnet18"), None), "deep", 2, 32, 1)
    with pytest.raises(ModelNotFound, match="no such file"):
        enlist((ARCH,), {ARCH: tmp_path / "none.pth"})
    with pytest.raises(ConfigError, match="no such net among those that take part"):
        enlist((ARCH,), {"resnet18": weights})


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("squeezenet11", "no such net; did you mean squeezenet1_1"),
        ("googlenet", "second head, which is not compared"),
    ],
)
def test_unknown_nets_are_told_with_the_nearest(arch: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_member(arch)


def test_a_net_that_cannot_take_such_pictures_is_told() -> None:
    with pytest.raises(ConfigError, match=r"alexnet cannot take pictures of 32x32"):
        make_net(Entry(find_member("alexnet"), None), "scratch", 2, 32, 1)


@pytest.mark.skipif(not (DATA / "backbones").is_dir(), reason=f"no {DATA}/backbones; set TRAYLANE_DATA")
def test_real_weights_fill_their_trunks() -> None:
    with_files = [member for member in KNOWN if member.file]
    assert len(with_files) == 4
    for member in with_files:
        path = DATA / "backbones" / member.file
        net = make_net(Entry(member, path), "deep", 3, 32, 1)
        shared = shared_tensors(net, path)
        theirs = [name for name, tensor in net.trunk.state_dict().items() if tensor.ndim > 1]
        assert set(theirs) <= set(shared)
