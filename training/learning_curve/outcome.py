"""What the points of a learning curve say together: means with bands, what a start saves, what lies ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.gate import Figure
from training.classify.statistics import Runs, difference, mean_draws, score
from training.learning_curve.points import Curves
from training.learning_curve.power_law import Ahead, PowerLaw, fit, foretold, look_ahead
from training.learning_curve.savings import Saving, saving
from training.learning_curve.settings import CurveSettings, Start

#: Gains that are asked of the law.
GAINS = (0.02, 0.05, 0.10)
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """One start over all shares, for one score.

    Attributes:
        start: from real weights, or from nothing.
        score: which one.
        counts: pictures at each share.
        means: over seeds, each with its interval over pictures and seeds.
        seeds: the score of every seed at each share.
        law: error as a power law of the number of pictures.
        law_band: (K', 3) pictures, and the ends of the law's 95 % band there, up to twice the largest set.
        foretold: the largest set's score by the law of the smaller ones; None with too few.
        ahead: how many more pictures for each of GAINS.
    """

    start: Start
    score: str
    counts: tuple[int, ...]
    means: tuple[Figure, ...]
    seeds: tuple[tuple[float, ...], ...]
    law: PowerLaw
    law_band: Values
    foretold: float | None
    ahead: tuple[Ahead, ...]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a learning curve found.

    Attributes:
        points: every run, and about what.
        curves: each start with each score.
        gains: pretrained above scratch at each share, for the curve's score; empty with one start.
        savings: by score; empty with one start.
    """

    points: Curves
    curves: tuple[Curve, ...]
    gains: tuple[Figure, ...]
    savings: dict[str, Saving]

    def curve(self, start: Start, name: str | None = None) -> Curve | None:
        """Return the curve of a start, for the score that the study is about or another; None: not run."""
        wanted = name or self.points.score
        return next((one for one in self.curves if (one.start, one.score) == (start, wanted)), None)


def outcome_of(points: Curves, settings: CurveSettings) -> Outcome:
    """Return what all points say together."""
    counts = tuple(next(p.pictures for p in points.points if p.share == share) for share in settings.shares)
    curves = [
        _curve(start, name, counts, runs) for name, by_start in points.runs.items() for start, runs in by_start.items()
    ]
    gains: tuple[Figure, ...] = ()
    savings: dict[str, Saving] = {}
    if len(settings.starts) == 2:
        both = points.runs[points.score]
        gains = tuple(
            difference(ours, theirs).gain for ours, theirs in zip(both["pretrained"], both["scratch"], strict=True)
        )
        for name, by_start in points.runs.items():
            pre, scratch = by_start["pretrained"], by_start["scratch"]
            savings[name] = saving(
                np.array(counts, dtype=np.float64), _means(pre), _means(scratch), _draws(pre, 1), _draws(scratch, 2)
            )
    return Outcome(points, tuple(curves), gains, savings)


def _curve(start: Start, name: str, counts: tuple[int, ...], runs: tuple[Runs, ...]) -> Curve:
    sizes, means, draws = np.array(counts, dtype=np.float64), _means(runs), _draws(runs, 1)
    finite = np.isfinite(draws).all(axis=0)
    laws = [fit(sizes, draws[:, b]) for b in np.flatnonzero(finite).tolist()]
    places = np.geomspace(sizes[0], 2 * sizes[-1], 40)
    drawn = np.array([[law.score(float(n)) for n in places] for law in laws])
    band = np.quantile(drawn, [0.025, 0.975], axis=0) if len(laws) > 1 else np.full((2, len(places)), np.nan)
    return Curve(
        start=start,
        score=name,
        counts=counts,
        means=tuple(score(one, seed=1) for one in runs),
        seeds=tuple(tuple(one.scores.tolist()) for one in runs),
        law=fit(sizes, means),
        law_band=np.stack([places, *band], axis=1),
        foretold=foretold(sizes, means),
        ahead=tuple(look_ahead(sizes, means, draws, gain) for gain in GAINS),
    )


def _means(runs: tuple[Runs, ...]) -> Values:
    return np.array([one.scores.mean() for one in runs])


def _draws(runs: tuple[Runs, ...], seed: int) -> Values:
    """Return (K, B); each share draws its own seeds, all the same pictures."""
    return np.stack([mean_draws(one, 10 * seed + place) for place, one in enumerate(runs)])
