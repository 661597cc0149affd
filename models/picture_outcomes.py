"""What became of each picture, kept small, so that two models can be compared picture by picture.

Two models fail on much the same pictures; drawing the same pictures for both takes that common part out of their
difference, which makes its interval far narrower than two separate ones (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from core.settings import Settings

DRAWS = 2000


class PictureOutcomes(Settings):
    """What became of each picture at the frozen threshold, in the order of the set: two models can be paired by it."""

    hits: tuple[int, ...] = Field(description="True positives, class-aware at IoU 0.5")
    false: tuple[int, ...] = Field(description="False positives")
    missed: tuple[int, ...] = Field(description="Objects without a detection")
    whole: tuple[int, ...] = Field(description="1 where the count of every class is right, else 0")
    group: tuple[int, ...] = Field(description="Pictures of one number belong together (a video, a burst)")

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        lengths = {len(row) for row in (self.hits, self.false, self.missed, self.whole, self.group)}
        if len(lengths) != 1:
            raise ValueError(f"hits, false, missed, whole and group must be equally long, got {sorted(lengths)}")
        return self


def paired_interval(ours: PictureOutcomes, theirs: PictureOutcomes, figure: str) -> tuple[float, float] | None:
    """Return the 95 % interval of (ours - theirs) for a figure, drawing the same pictures for both.

    None where the figure does not follow from counts of single pictures (see `COUNTED`), where the two are not of the
    same pictures, or with fewer than two groups of pictures.
    """
    score = COUNTED.get(figure)
    groups = len(set(ours.group))
    if score is None or ours.group != theirs.group or groups < 2:
        return None
    our_sums, their_sums = group_sums(ours), group_sums(theirs)
    draws = np.random.default_rng(0).multinomial(groups, np.full(groups, 1 / groups), size=DRAWS)
    changes = score(draws @ our_sums) - score(draws @ their_sums)
    changes = changes[np.isfinite(changes)]
    if not len(changes):
        return None
    low, high = np.percentile(changes, [2.5, 97.5])
    return float(low), float(high)


def group_sums(outcomes: PictureOutcomes) -> NDArray[np.float64]:
    """Return (G, 5): hits, false, missed, whole pictures and pictures of each group."""
    rows = np.array([outcomes.hits, outcomes.false, outcomes.missed, outcomes.whole], dtype=np.float64).T
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    _, at = np.unique(np.array(outcomes.group), return_inverse=True)
    sums = np.zeros((int(at.max()) + 1, rows.shape[1]))
    np.add.at(sums, at, rows)
    return sums


def _share(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


#: Figures that follow from sums (draws, 5) as `group_sums` orders them.
COUNTED: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "f1_frozen": lambda s: _share(2 * s[:, 0], 2 * s[:, 0] + s[:, 1] + s[:, 2]),
    "precision_frozen": lambda s: _share(s[:, 0], s[:, 0] + s[:, 1]),
    "recall_frozen": lambda s: _share(s[:, 0], s[:, 0] + s[:, 2]),
    "cacc": lambda s: _share(s[:, 3], s[:, 4]),
}
