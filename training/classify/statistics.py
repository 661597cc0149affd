"""From seeds and photos to intervals: what another draw of both would have given.

A study's cell is run with several seeds and tested on one fixed set of photos. Both are a sample: an interval comes
from drawing whole scenes of photos, and seeds, with replacement, many times. All cells see the same draws of photos, so
that a difference of two cells is paired: what hard photos do to both of them drops out (Efron and Tibshirani, 1993).

The p-value of a difference is that of a sign-flip test over scenes (Fisher, 1935): were both cells equally good, each
scene's difference could as well have the other sign. Several comparisons are held to one error rate by Holm's rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.gate import Figure
from training.evaluation.intervals import draw_pictures, figure_with_interval

Ints = NDArray[np.int64]
Values = NDArray[np.float64]
FLIPS = 5000


@dataclass(frozen=True, eq=False)
class Runs:
    """One cell's seeds on the test photos.

    Attributes:
        scores: (S,) score of each seed.
        draws: (S, B) score of each seed in each draw of the photos; NaN where a draw cannot tell.
        right: (S, P) whether each photo is called right; (S, 0) for scores that are no share of photos.
    """

    scores: Values
    draws: Values
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """How much better one cell is than another.

    Attributes:
        gain: with its paired interval.
        p: of the sign-flip test; None where it was not made.
    """

    gain: Figure
    p: float | None


def accuracy_runs(right: Sequence[Sequence[bool]], scenes: Ints, draws: int) -> Runs:
    """Return a cell's seeds from what each calls right.

    Args:
        right: for each seed, for each photo.
        scenes: (P,) photos of one number are drawn together.
        draws: how many.
    """
    hits = np.array(right, dtype=np.bool_)
    _, group = np.unique(scenes, return_inverse=True)
    weights = draw_pictures(group.astype(np.int64), draws)
    drawn = (weights @ hits.T.astype(np.float64)) / np.maximum(weights.sum(axis=1), 1)[:, None]
    return Runs(hits.mean(axis=1), drawn.T, hits)


def score(runs: Runs, seed: int = 0) -> Figure:
    """Return the mean over seeds with its interval over photos and seeds."""
    return figure_with_interval(float(runs.scores.mean()), mean_draws(runs, seed))


def mean_draws(runs: Runs, seed: int = 0) -> Values:
    """Return (B,) the mean score in each draw of photos and of seeds; another `seed` draws other seeds of the cell."""
    count, draws = runs.draws.shape
    chosen = np.random.default_rng([seed, 7]).integers(0, count, (draws, count))
    means: Values = runs.draws[chosen, np.arange(draws)[:, None]].mean(axis=1)
    return means


def difference(ours: Runs, theirs: Runs, scenes: Ints | None = None) -> Difference:
    """Return how much better ours is: mean over seeds, paired by the draws of photos.

    Args:
        ours: one cell.
        theirs: the other, on the same photos with the same draws.
        scenes: (P,) of the photos; None: no test, only the interval.
    """
    gain = figure_with_interval(
        float(ours.scores.mean() - theirs.scores.mean()), mean_draws(ours, 1) - mean_draws(theirs, 2)
    )
    return Difference(gain, None if scenes is None else sign_flip_p(ours, theirs, scenes))


def sign_flip_p(ours: Runs, theirs: Runs, scenes: Ints) -> float:
    """Return the two-sided p-value of equal accuracy, with each scene's difference free to change its sign."""
    by_photo = ours.right.mean(axis=0) - theirs.right.mean(axis=0)
    _, group = np.unique(scenes, return_inverse=True)
    by_scene = np.bincount(group, weights=by_photo)
    by_scene = by_scene[by_scene != 0]
    if not len(by_scene):
        return 1.0
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (FLIPS, len(by_scene)))
    beyond = np.abs(signs @ by_scene) >= abs(by_scene.sum()) - 1e-9
    return float((beyond.sum() + 1) / (FLIPS + 1))


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for how many there are, in their order (Holm, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(values)
    highest = 0.0
    for place, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, (len(values) - place) * values[i]))
        adjusted[i] = highest
    return adjusted
