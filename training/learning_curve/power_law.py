"""How a score grows with the number of photos: its error as a power law, with what such a fit can not tell.

    error(n) = b n^-c        log error = log b - c log n        (Hestness et al., 2017)

Two numbers from a line through logarithms. A floor that no number of photos passes (wrong labels, a net too small)
would be a third, which four sizes cannot tell from the other two; so the fit is optimistic far out, and says nothing
beyond `MOST_AHEAD` times the largest set. How well it foretells is tested: fitted without the largest set, it names
that set's score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
#: The fit is not asked beyond so many times the largest set.
MOST_AHEAD = 4.0
#: An error of 0 has no logarithm: as good as half a test picture wrong in a thousand.
_LEAST_ERROR = 5e-4
#: e to this is more photos than were ever taken.
_MOST_EXPONENT = 35.0


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = b n^-c.

    Attributes:
        b: error of one photo.
        c: how fast it falls; 0 or less: more photos do not help.
    """

    b: float
    c: float

    def score(self, count: float) -> float:
        """Return 1 - error, 0..1."""
        return float(np.clip(1 - self.b * count**-self.c, 0.0, 1.0))

    def photos_for(self, score: float) -> float | None:
        """Return how many photos reach a score; None where no number does that could ever be had."""
        if score >= 1 or self.c <= 0:
            return None
        exponent = (math.log(self.b) - math.log(1 - score)) / self.c
        return math.exp(exponent) if exponent < _MOST_EXPONENT else None


def fit(counts: Values, scores: Values) -> PowerLaw:
    """Return the law through (n, score), least squares of logarithms.

    >>> law = fit(np.array([10.0, 100.0]), np.array([0.5, 0.75]))
    >>> round(law.c, 3), round(law.score(1000), 3)
    (0.301, 0.875)
    """
    error = np.log(np.maximum(1 - scores, _LEAST_ERROR))
    slope, start = np.polyfit(np.log(counts), error, 1)
    return PowerLaw(float(np.exp(start)), float(-slope))


@dataclass(frozen=True)
class Ahead:
    """How many more photos for a gain.

    Attributes:
        gain: wanted, above the score of all photos.
        more: further photos; None: none within `MOST_AHEAD` times the largest set.
        low: lower end of the 95 % interval.
        high: upper end; None: beyond what the fit is asked.
    """

    gain: float
    more: float | None
    low: float | None
    high: float | None


def look_ahead(counts: Values, scores: Values, draws: Values, gain: float) -> Ahead:
    """Return how many more photos raise the score of all photos, as the law has it, by `gain`.

    Args:
        counts: (K,) photos, rising.
        scores: (K,) means.
        draws: (K, B) the scores in each draw of photos and seeds.
        gain: wanted, such as 0.05.
    """
    most = float(counts[-1]) * (MOST_AHEAD - 1)

    def more(law: PowerLaw) -> float:
        needed = law.photos_for(law.score(float(counts[-1])) + gain)
        return np.inf if needed is None else max(0.0, needed - float(counts[-1]))

    found = more(fit(counts, scores))
    drawn = np.array([more(fit(counts, draws[:, b])) for b in range(draws.shape[1]) if np.isfinite(draws[:, b]).all()])
    ends = np.quantile(drawn, [0.025, 0.975], method="nearest") if len(drawn) > 1 else np.array([np.inf, np.inf])
    within = [float(value) if value <= most else None for value in (found, *ends)]
    return Ahead(gain, *within)


def foretold(counts: Values, scores: Values) -> float | None:
    """Return the score of the largest set as the law through the smaller ones has it; None with fewer than three."""
    return None if len(counts) < 4 else fit(counts[:-1], scores[:-1]).score(float(counts[-1]))
