"""How many times fewer photos a pretrained start needs for what scratch reaches with all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Saving:
    """How many times fewer photos do.

    Attributes:
        factor: at equal score; None: not even all photos do.
        at_least: the smallest set did already, so the true factor is larger.
        low: lower end of the 95 % interval; None where more than one draw in forty needs more photos than there are.
        high: upper end, at most what the smallest set can tell.
    """

    factor: float | None
    at_least: bool
    low: float | None
    high: float | None


def fewer(counts: Values, pretrained: Values, wanted: float) -> float | None:
    """Return how many times fewer photos reach `wanted`; None when not even all do.

    Between two sizes the score is taken to grow linearly with the logarithm of the number. When the smallest set
    already does, the true factor is larger than what is returned.

    >>> fewer(np.array([10.0, 20.0, 40.0]), np.array([0.2, 0.4, 0.6]), 0.4)
    2.0
    """
    if pretrained.max() < wanted:
        return None
    if pretrained[0] >= wanted:
        return float(counts[-1] / counts[0])
    after = int(np.argmax(pretrained >= wanted))
    # All before it are below: the line from the best of them, at the last size before it, to the first that reaches it.
    before = float(pretrained[:after].max())
    needed = np.exp(np.interp(wanted, [before, pretrained[after]], np.log(counts[after - 1 : after + 1])))
    return round(float(counts[-1] / needed), 9)


def saving(counts: Values, pretrained: Values, scratch: Values, pre_draws: Values, scratch_draws: Values) -> Saving:
    """Return the saving with its interval.

    Args:
        counts: (K,) photos, rising.
        pretrained: (K,) mean scores.
        scratch: (K,) mean scores; the last is what is to be reached.
        pre_draws: (K, B) the same in each draw.
        scratch_draws: (K, B).
    """
    factor = fewer(counts, pretrained, float(scratch[-1]))
    finite = np.isfinite(pre_draws).all(axis=0) & np.isfinite(scratch_draws[-1])
    drawn = [
        fewer(counts, pre_draws[:, b], float(scratch_draws[-1, b])) or 0.0 for b in np.flatnonzero(finite).tolist()
    ]
    if len(drawn) < 2:
        return Saving(factor, bool(pretrained[0] >= scratch[-1]), None, None)
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    return Saving(factor, bool(pretrained[0] >= scratch[-1]), float(low) or None, float(high) or None)
