"""Schedules are torch's, computed from the step alone."""

import math

import pytest
import torch
from torch.optim import lr_scheduler

from core.errors import ConfigError
from training.finetune.schedules import ScheduleSettings, make_momentum, make_schedule, never_firing

STEPS = 60


def by_torch(make, steps=STEPS, momentum=0.9):
    """Return the rates and momentums that torch's scheduler gives at each step, base rate 1."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=momentum)
    scheduler = make(optimiser)
    rates, momentums = [], []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        momentums.append(optimiser.param_groups[0]["momentum"])
        optimiser.step()
        scheduler.step()
    return rates, momentums


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        (ScheduleSettings("step", every=7, gamma=0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3)),
        (ScheduleSettings("multistep", milestones=(10, 31)), lambda o: lr_scheduler.MultiStepLR(o, [10, 31])),
        (ScheduleSettings("cosine", final=0.02), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, 0.02)),
        (
            ScheduleSettings("constant", warm_up=9, warm_up_from=0.1),
            lambda o: lr_scheduler.LinearLR(o, 0.1, 1.0, 9),
        ),
        *[
            (
                ScheduleSettings("cyclic", half_cycle=7, low=0.2, cycle_mode=mode, cycle_gamma=0.98),
                lambda o, mode=mode: lr_scheduler.CyclicLR(
                    o, 0.2, 1.0, 7, mode=mode, gamma=0.98, base_momentum=0.85, max_momentum=0.95
                ),
            )
            for mode in ("triangular", "triangular2", "exp_range")
        ],
        (ScheduleSettings("one_cycle", peak_at=0.25), lambda o: lr_scheduler.OneCycleLR(o, 1.0, STEPS, pct_start=0.25)),
    ],
    ids=lambda value: value.kind + value.cycle_mode if isinstance(value, ScheduleSettings) else "",
)
def test_rates_and_momentums_are_torchs(settings, make):
    rates, momentums = by_torch(make)
    schedule = make_schedule(settings, STEPS)
    assert [schedule(step) for step in range(STEPS)] == pytest.approx(rates, rel=1e-6, abs=1e-9)
    if settings.kind in ("cyclic", "one_cycle"):
        momentum = make_momentum(settings, STEPS)
        assert [momentum(step) for step in range(STEPS)] == pytest.approx(momentums, abs=1e-9)


def test_warm_up_then_cosine_is_torchs_sequence():
    rates, _ = by_torch(
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.01, 1.0, 10), lr_scheduler.CosineAnnealingLR(o, 50, 0.1)], [10]
        )
    )
    schedule = make_schedule(ScheduleSettings("cosine", warm_up=10, warm_up_from=0.01, final=0.1), STEPS)
    assert [schedule(step) for step in range(STEPS)] == pytest.approx(rates, rel=1e-6)


def test_warm_up_multiplies_a_multistep():
    schedule = make_schedule(ScheduleSettings("multistep", milestones=(5,), warm_up=10, warm_up_from=0.5), 20)
    assert schedule(4) == pytest.approx(0.7)
    assert schedule(6) == pytest.approx(0.08)
    assert schedule(15) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (ScheduleSettings("multistep", milestones=(50, 100)), "milestone at step 100 never fires"),
        (ScheduleSettings("multistep", milestones=(0, 50)), "milestone at step 0 never fires"),
        (ScheduleSettings("multistep"), "without milestones"),
        (ScheduleSettings("step", every=100), "every 100 steps never fires"),
        (ScheduleSettings("cyclic", half_cycle=100), "never reaches its peak"),
        (ScheduleSettings("cosine", warm_up=100), "warm-up of 100 steps never ends"),
    ],
)
def test_a_change_that_cannot_happen_is_warned_of(settings, word):
    with pytest.warns(UserWarning, match=word):
        make_schedule(settings, 100)


def test_milestones_that_fire_are_not_warned_of():
    assert never_firing(ScheduleSettings("multistep", milestones=(1, 99)), 100) == []
    assert never_firing(ScheduleSettings("step", every=99), 100) == []


@pytest.mark.parametrize("kind", ["constant", "step", "cosine"])
def test_momentum_stays_the_optimisers_own(kind):
    assert make_momentum(ScheduleSettings(kind), 10)(3) is None


def test_every_kind_gives_finite_factors_of_at_most_one():
    for kind in ("constant", "step", "multistep", "cosine", "cyclic", "one_cycle"):
        for total in (1, 2, 3, 200):
            settings = ScheduleSettings(kind, every=1, half_cycle=1, milestones=(1,))
            schedule = make_schedule(settings, max(total, 2))
            assert all(0 <= schedule(step) <= 1 and math.isfinite(schedule(step)) for step in range(total))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "linear"},
        {"cycle_mode": "square"},
        {"warm_up": -1},
        {"warm_up_from": 0.0},
        {"milestones": (20, 10)},
        {"kind": "one_cycle", "warm_up": 5},
        {"peak_at": 1.0},
        {"momentum_low": 0.99},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        ScheduleSettings(**wrong)
