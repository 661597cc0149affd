"""How sure a figure is: intervals that go with every published accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

Z95 = 1.959963984540054  # the normal quantile that leaves 2.5 % on each side


def wilson(hits: int, trials: int, z: float = Z95) -> tuple[float, float] | None:
    """Return Wilson's score interval of a share, or None without trials.

    With p = hits / n:  (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927).

    >>> [round(end, 4) for end in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"hits must be 0..trials, got {hits} of {trials}")
    if trials == 0:
        return None
    share = hits / trials
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0)


def bootstrap(
    groups: FloatArray, figure: Callable[[FloatArray], FloatArray], seed: int = 0, rounds: int = 2000
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of a figure of sums, resampling whole groups (trays).

    Lines of one tray stand and fall together, so trays are drawn, not lines.

    Args:
        groups: (G, K), K sums per group.
        figure: maps summed rows (rounds, K) to (rounds,) values; NaN where it is not defined.
        seed: of the resampling; the same seed gives the same interval.
        rounds: how many resamples.

    Returns:
        The interval, or None with fewer than two groups.
    """
    if len(groups) < 2:
        return None
    rng = np.random.default_rng(seed)
    picks = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=rounds)
    values = figure(picks @ groups)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
