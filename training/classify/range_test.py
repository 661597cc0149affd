"""Which rate: a range test (Smith, 2017). The rate rises a little each step until the loss no longer falls.

The net takes steps at rates from `LOWEST` on, each higher by the same factor, until the loss explodes. The highest rate
before the smoothed loss rises (`_RISE` above its lowest value) is the edge of what the net bears. Not the rate of the
lowest loss: where the loss hardly falls in so few steps, as from scratch, its minimum is noise and may lie anywhere. A
third of the edge is taken as the mean rate: triangles whose foot is a third of their peak then rise to half of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.errors import ModelError
from training.classify.learning import one_step, optimiser_for, prepare
from training.classify.nets import Classifier, Depth
from training.classify.pixels import Shown
from training.classify.settings import RecipeSettings

LOWEST, HIGHEST = 1e-4, 3.0
#: Of the smoothed loss: what a step keeps.
_KEPT = 0.8
_EXPLODED = 2.0
#: A smoothed loss that is higher than the lowest one before it by this factor is rising.
_RISE = 1.08


@dataclass(frozen=True)
class Range:
    """What a range test found.

    Attributes:
        rate: to learn at.
        rates: of each step.
        losses: smoothed, of each step.
    """

    rate: float
    rates: tuple[float, ...]
    losses: tuple[float, ...]


def find_rate(net: Classifier, shown: Shown, depth: Depth, recipe: RecipeSettings, seed: int, steps: int = 40) -> Range:
    """Return the rate for a net, which is changed: give it a copy.

    Raises:
        ModelError: no rate makes the loss fall.
    """
    batch = prepare(net, shown, depth, recipe, seed)
    optimiser = optimiser_for(net, depth, 1.0, recipe)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for step in range(steps):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1))
        try:
            loss = one_step(net, depth, optimiser, batch(step), rate, recipe, (seed, step))
        except ModelError:
            break  # beyond what the net bears; what was seen before tells enough
        mean = _KEPT * mean + (1 - _KEPT) * loss
        smooth = mean / (1 - _KEPT ** (step + 1))
        if losses and smooth > _EXPLODED * min(losses):
            break
        rates.append(rate)
        losses.append(smooth)
    if not losses or not math.isfinite(min(losses)):
        raise ModelError(f"{net.arch}, {depth}: no rate makes the loss fall; give one with --rate")
    return Range(float(f"{max(_edge(rates, losses) / 3, LOWEST):.3g}"), tuple(rates), tuple(losses))


def _edge(rates: list[float], losses: list[float]) -> float:
    """Return the highest rate from which on the smoothed loss stays above its lowest value.

    >>> _edge([0.1, 0.2, 0.4, 0.8, 1.6], [3.0, 2.9, 2.95, 2.97, 5.0])
    0.8
    """
    limit = min(losses) * _RISE
    return rates[max(i for i, loss in enumerate(losses) if loss <= limit)]
