"""Freezing, parameter groups and the running mean."""

import copy

import pytest
import torch

from core.errors import ConfigError
from training.finetune.batches import Target
from training.finetune.detectors import DetectorShape, build, within
from training.finetune.ema import Ema
from training.finetune.freezing import FreezePlan, freeze
from training.finetune.rates import OptimiserSettings, make_optimiser, norm_parameters, parameter_groups, set_rates

SHAPE = DetectorShape("traynet", ("soup", "tea"), (64, 64), widths=(8, 8, 8, 8, 8), depths=(0, 1, 0, 0), neck=8)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return build(SHAPE)


def step(detector, optimiser, seed=1):
    generator = torch.Generator().manual_seed(seed)
    images = [torch.rand(3, 64, 64, generator=generator) for _ in range(2)]
    target = Target(torch.tensor([[8.0, 8, 40, 48]]), torch.tensor([1]), torch.tensor([False]))
    detector.train()
    optimiser.zero_grad(set_to_none=True)
    sum(detector.losses(images, [target, target]).values()).backward()
    optimiser.step()


def changed(before, detector):
    return {name for name, value in detector.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_frozen_parts_keep_weights_and_statistics(detector, kind):
    optimiser = make_optimiser(detector, OptimiserSettings(kind, weight_decay=0.1))
    step(detector, optimiser)  # momentum that could carry a frozen part along
    frozen = FreezePlan(depth=2).frozen_at(0, detector)
    assert frozen == ("net.stem", "net.stage4")
    names = freeze(detector, frozen)
    assert names
    assert all(within(name, frozen) for name in names)
    before = copy.deepcopy(detector.state_dict())
    step(detector, optimiser)
    moved = changed(before, detector)
    assert moved
    assert not any(within(name, frozen) for name in moved)
    assert "net.stage8.0.1.running_mean" in moved


def test_norms_of_frozen_parts_stay_in_inference_through_train_and_copies(detector):
    freeze(detector, ("net.stem",))
    for each in (detector.train(), copy.deepcopy(detector).train()):
        assert not each.net.stem[1].training
        assert each.net.stage4[0][1].training
    freeze(detector, ())
    assert detector.train().net.stem[1].training
    assert all(p.requires_grad for p in detector.parameters())


def test_stages_are_let_go_at_once_or_one_by_one(detector):
    at_once = FreezePlan(depth=3, until=2)
    assert [len(at_once.frozen_at(epoch, detector)) for epoch in range(4)] == [3, 3, 0, 0]
    one_by_one = FreezePlan(depth=3, until=1, one_by_one=True, prefixes=("net.lateral8",))
    frozen = [one_by_one.frozen_at(epoch, detector) for epoch in range(5)]
    assert frozen[0] == ("net.stem", "net.stage4", "net.stage8", "net.lateral8")
    assert frozen[1] == ("net.stem", "net.stage4", "net.lateral8")
    assert frozen[3] == ("net.lateral8",)
    assert frozen[4] == ()
    assert FreezePlan(depth=2).frozen_at(1000, detector) == ("net.stem", "net.stage4")


@pytest.mark.parametrize(
    ("plan", "word"), [(FreezePlan(depth=7), "7 stages"), (FreezePlan(prefixes=("net.tail",)), r"net\.tail")]
)
def test_what_cannot_be_frozen_is_refused(detector, plan, word):
    with pytest.raises(ConfigError, match=word):
        freeze(detector, plan.frozen_at(0, detector))


def test_freezing_everything_is_refused(detector):
    with pytest.raises(ConfigError, match="nothing"):
        freeze(detector, ("net",))


def test_every_parameter_is_in_one_group_and_norms_and_biases_do_not_decay(detector):
    groups = parameter_groups(detector, OptimiserSettings(weight_decay=0.05))
    names = [name for group in groups for name, _ in group["params"]]
    assert sorted(names) == sorted(name for name, _ in detector.named_parameters())
    norms = norm_parameters(detector)
    for group in groups:
        for name, parameter in group["params"]:
            free = name in norms or name.endswith("bias")
            assert group["weight_decay"] == (0.0 if free else 0.05), name
            assert free or parameter.ndim > 1


def test_rates_fall_with_depth_and_prefixes_override(detector):
    settings = OptimiserSettings(
        rate=0.1, depth_decay=0.5, factors=(("net.stage8", 0.3), ("net.stage8.0.0", 0.7), ("net.heads.0", 2.0))
    )
    rate_of = {name: group["lr"] for group in parameter_groups(detector, settings) for name, _ in group["params"]}
    assert rate_of["net.heads.1.box.weight"] == pytest.approx(0.1)
    assert rate_of["net.lateral8.0.weight"] == pytest.approx(0.05)
    assert rate_of["net.stem.0.weight"] == pytest.approx(0.1 * 0.5**6)
    assert rate_of["net.stage8.0.1.weight"] == pytest.approx(0.03)
    assert rate_of["net.stage8.0.0.weight"] == pytest.approx(0.07)
    assert rate_of["net.heads.0.box.weight"] == pytest.approx(0.2)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_rates_and_momentum_are_set_by_factor(detector, kind):
    optimiser = make_optimiser(detector, OptimiserSettings(kind, rate=0.2, factors=(("net.stem", 0.1),)))
    set_rates(optimiser, 0.5, momentum=0.8)
    assert {round(group["lr"], 6) for group in optimiser.param_groups} == {0.1, 0.01}
    set_rates(optimiser, 1.0)
    assert {round(group["lr"], 6) for group in optimiser.param_groups} == {0.2, 0.02}
    for group in optimiser.param_groups:
        assert (group["momentum"] if kind == "sgd" else group["betas"][0]) == 0.8


def test_the_optimisers_state_names_its_parameters(detector):
    state = make_optimiser(detector, OptimiserSettings()).state_dict()
    names = [name for group in state["param_groups"] for name in group["param_names"]]
    assert sorted(names) == sorted(name for name, _ in detector.named_parameters())


@pytest.mark.parametrize(
    "wrong", [{"kind": "lion"}, {"rate": 0}, {"momentum": 1.0}, {"depth_decay": 0}, {"factors": (("net", -1),)}]
)
def test_optimiser_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        OptimiserSettings(**wrong)


def test_a_factor_for_nothing_is_refused(detector):
    with pytest.raises(ConfigError, match=r"net\.tail"):
        parameter_groups(detector, OptimiserSettings(factors=(("net.tail", 0.1),)))


def test_the_mean_follows_weights_and_statistics(detector):
    mean = Ema(detector, 0.9)
    start = copy.deepcopy(detector.state_dict())
    assert not mean.net.training
    assert not any(p.requires_grad for p in mean.net.parameters())
    optimiser = make_optimiser(detector, OptimiserSettings(rate=0.01))
    step(detector, optimiser)
    mean.update(detector, 1000)
    now, got = detector.state_dict(), mean.net.state_dict()
    for name in ("net.stem.0.weight", "net.stem.1.running_var", "net.heads.0.box.bias"):
        assert not torch.equal(now[name], start[name])
        assert torch.allclose(got[name], 0.9 * start[name] + 0.1 * now[name], atol=1e-7), name
    assert got["net.stem.1.num_batches_tracked"] == now["net.stem.1.num_batches_tracked"] == 1


def test_the_mean_is_quick_at_first_and_can_be_switched_off(detector):
    assert Ema(detector, 0.999).keep_at(0) == pytest.approx(0.1)
    latest = Ema(detector, 0.0)
    step(detector, make_optimiser(detector, OptimiserSettings(rate=0.01)))
    latest.update(detector, 5)
    assert all(torch.equal(a, b) for a, b in zip(latest.net.parameters(), detector.parameters(), strict=True))
    with pytest.raises(ValueError, match="decay"):
        Ema(detector, 1.0)
