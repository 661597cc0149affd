"""Learning rates as pure functions of the step, so that a resume needs to know nothing but the step.

Each gives a factor of the base rate. t is the step (0-based), T their number:

    constant    1
    step        gamma ** floor(t / every)
    multistep   gamma ** (number of milestones <= t)
    cosine      f + (1 - f) (1 + cos(pi t / T)) / 2, after the warm-up         (Loshchilov & Hutter, 2017; f: final)
    cyclic      low + (1 - low) h(t): triangles of 2 * half_cycle steps         (Smith, 2017)
    one_cycle   one rise from 1/25 to 1 and one fall to almost 0                (Smith & Topin, 2018)

The last two let momentum fall while the rate rises. A linear warm-up is multiplied to any of the others. Values are
those of torch.optim.lr_scheduler, which the tests compare with.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from core.errors import ConfigError

Kind = Literal["constant", "step", "multistep", "cosine", "cyclic", "one_cycle"]
CycleMode = Literal["triangular", "triangular2", "exp_range"]

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class ScheduleSettings:
    """How the rate changes; all lengths in optimiser steps.

    Attributes:
        kind: see the module.
        warm_up: steps of linear warm-up; 0 for none.
        warm_up_from: factor at the first step of the warm-up; not 0, for that would be a step for nothing.
        every: of "step": steps between two falls.
        milestones: of "multistep": the steps at which the rate falls.
        gamma: of "step" and "multistep": what a fall multiplies by.
        final: of "cosine": factor at the end.
        half_cycle: of "cyclic": steps of a rise, and of a fall.
        low: of "cyclic": factor at the foot of a triangle.
        cycle_mode: of "cyclic": equal triangles, each half as high as the one before, or shrinking with `cycle_gamma`.
        cycle_gamma: of "exp_range": what each step multiplies the height by.
        peak_at: of "one_cycle": share of the run at which the rate is highest.
        first_part: of "one_cycle": 1 / factor at the start.
        last_part: of "one_cycle": start / end.
        cycle_momentum: of "cyclic" and "one_cycle": whether momentum moves against the rate.
        momentum_low: momentum at the highest rate.
        momentum_high: momentum at the lowest rate.
    """

    kind: Kind = "cosine"
    warm_up: int = 0
    warm_up_from: float = 0.001
    every: int = 1000
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    final: float = 0.01
    half_cycle: int = 500
    low: float = 0.1
    cycle_mode: CycleMode = "triangular"
    cycle_gamma: float = 1.0
    peak_at: float = 0.3
    first_part: float = 25.0
    last_part: float = 1e4
    cycle_momentum: bool = True
    momentum_low: float = 0.85
    momentum_high: float = 0.95

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"schedule {self.kind!r} is not known; use one of {', '.join(get_args(Kind))}")
        if self.cycle_mode not in get_args(CycleMode):
            raise ConfigError(
                f"cycle_mode {self.cycle_mode!r} is not known; use one of {', '.join(get_args(CycleMode))}"
            )
        if self.warm_up < 0 or self.every < 1 or self.half_cycle < 1:
            raise ConfigError("warm_up must be 0 or more, every and half_cycle 1 or more")
        if not 0 < self.warm_up_from <= 1 or not 0 <= self.low <= 1 or not 0 <= self.final <= 1 or self.gamma <= 0:
            raise ConfigError("warm_up_from, low and final are factors of the rate, 0..1; gamma must be above 0")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ConfigError(f"milestones {list(self.milestones)} must rise")
        if self.kind == "one_cycle" and self.warm_up:
            raise ConfigError("one_cycle begins with a warm-up of its own: set warm_up to 0")
        if not 0 < self.peak_at < 1 or self.first_part < 1 or self.last_part < 1:
            raise ConfigError("peak_at must be between 0 and 1, first_part and last_part 1 or more")
        if not 0 <= self.momentum_low <= self.momentum_high < 1:
            raise ConfigError("momentum_low and momentum_high must be 0 or more and below 1, the low one not above")


def make_schedule(settings: ScheduleSettings, total_steps: int) -> Schedule:
    """Return the factor of the base rate as a function of the step, 0 to `total_steps` - 1.

    Warns (UserWarning) of each fall that can never happen, see `never_firing`.

    >>> rate = make_schedule(ScheduleSettings("multistep", milestones=(2, 4)), 6)
    >>> [round(rate(step), 4) for step in range(6)]
    [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    >>> rate = make_schedule(ScheduleSettings("constant", warm_up=2, warm_up_from=0.5), 6)
    >>> [rate(step) for step in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """
    for message in never_firing(settings, total_steps):
        warnings.warn(message, UserWarning, stacklevel=2)
    main = _main(settings, total_steps)
    if settings.warm_up == 0:
        return main

    def warmed(step: int) -> float:
        share = min(1.0, step / settings.warm_up)
        return (settings.warm_up_from + (1 - settings.warm_up_from) * share) * main(step)

    return warmed


def make_momentum(settings: ScheduleSettings, total_steps: int) -> Callable[[int], float | None]:
    """Return the momentum (or first beta) as a function of the step; None leaves the optimiser's own.

    >>> momentum = make_momentum(ScheduleSettings("cyclic", half_cycle=2), 8)
    >>> [round(momentum(step), 3) for step in range(5)]
    [0.95, 0.9, 0.85, 0.9, 0.95]
    """
    if settings.kind not in ("cyclic", "one_cycle") or not settings.cycle_momentum:
        return lambda step: None
    span = settings.momentum_high - settings.momentum_low
    if settings.kind == "cyclic":
        return lambda step: settings.momentum_high - span * triangle(step, settings)

    def momentum(step: int) -> float:
        rising, share = _one_cycle_phase(step, settings, total_steps)
        start, end = settings.momentum_high, settings.momentum_low
        return _cosine(start, end, share) if rising else _cosine(end, start, share)

    return momentum


def never_firing(settings: ScheduleSettings, total_steps: int) -> list[str]:
    """Return a sentence for each change of the rate that is set and cannot happen in a run of so many steps.

    >>> never_firing(ScheduleSettings("multistep", milestones=(50, 300)), 200)
    ['milestone at step 300 never fires: the run ends after step 199; set it below 200']
    """
    told = []
    last = f"the run ends after step {total_steps - 1}"
    if settings.kind == "multistep":
        for milestone in settings.milestones:
            if milestone >= total_steps:
                told.append(f"milestone at step {milestone} never fires: {last}; set it below {total_steps}")
            elif milestone <= 0:
                told.append(f"milestone at step {milestone} never fires: the run begins after it; set it above 0")
        if not settings.milestones:
            told.append("multistep without milestones never changes the rate; give some, or use constant")
    if settings.kind == "step" and settings.every >= total_steps:
        told.append(f"the fall every {settings.every} steps never fires: {last}; set it below {total_steps}")
    if settings.kind == "cyclic" and settings.half_cycle >= total_steps:
        told.append(f"the rate never reaches its peak at step {settings.half_cycle}: {last}; shorten half_cycle")
    if settings.warm_up >= total_steps:
        told.append(f"the warm-up of {settings.warm_up} steps never ends: {last}; shorten it")
    return told


def triangle(step: int, settings: ScheduleSettings) -> float:
    """Return the height, 0..1, of Smith's triangular wave at a step.

    >>> [triangle(step, ScheduleSettings("cyclic", half_cycle=2, cycle_mode="triangular2")) for step in range(8)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.25, 0.5, 0.25]
    """
    cycle, place = divmod(step, 2 * settings.half_cycle)
    height = 1 - abs(place / settings.half_cycle - 1)
    if settings.cycle_mode == "triangular2":
        return height / 2.0**cycle
    return height * settings.cycle_gamma**step if settings.cycle_mode == "exp_range" else height


def _main(settings: ScheduleSettings, total_steps: int) -> Schedule:
    """Return the schedule without its warm-up."""
    s = settings
    if s.kind == "step":
        return lambda step: float(s.gamma ** (step // s.every))
    if s.kind == "multistep":
        return lambda step: float(s.gamma ** sum(milestone <= step for milestone in s.milestones))
    if s.kind == "cosine":
        length = max(1, total_steps - s.warm_up)
        return lambda step: _cosine(1.0, s.final, min(1.0, max(0, step - s.warm_up) / length))
    if s.kind == "cyclic":
        return lambda step: s.low + (1 - s.low) * triangle(step, s)
    if s.kind == "one_cycle":
        return lambda step: _one_cycle(step, s, total_steps)
    return lambda step: 1.0


def _one_cycle(step: int, settings: ScheduleSettings, total_steps: int) -> float:
    start = 1 / settings.first_part
    rising, share = _one_cycle_phase(step, settings, total_steps)
    return _cosine(start, 1.0, share) if rising else _cosine(1.0, start / settings.last_part, share)


def _one_cycle_phase(step: int, settings: ScheduleSettings, total_steps: int) -> tuple[bool, float]:
    """Return whether the rate rises, and which share of the rise or fall is done."""
    peak, end = settings.peak_at * total_steps - 1, total_steps - 1
    if peak > 0 and step <= peak:
        return True, step / peak
    return False, min(1.0, (step - max(0.0, peak)) / max(1e-9, end - max(0.0, peak)))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
