"""Picks a setting for a small part of the grid's cost: a race in which most models soon drop out.

Successive halving (Jamieson and Talwalkar 2016) over *models*, because a model's forward passes cost, whereas its other
layers and kernels come with the same pass. Three rounds: all models look at few photos of few classes; the best third
looks at more; of the best two, the best setting wins. In a round each photo q is held against the others of the sample,
and settings are ordered by

    mean over q of  figure(q) + 2 (1 - share of strangers that lie nearer to q than its nearest own photo)

with the grid's figure (MRR or top-1). On a hundred photos the figure alone moves by several points from draw to draw;
the share, which uses every stranger, moves less, but does not see the last places that decide a rank. The weight was
set on other draws (seeds 101 to 150) of GroceryStore than those that are reported. Photos seen before are not computed
again.

A round takes as many classes as its part of the budget pays for, in multiply-adds and in photo-forwards both. Which
classes and which of their photos: by the seed alone. Nothing depends on time or on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from core.errors import DataError
from training.embedding_study.describers import Describer, Setting, Vectors
from training.embedding_study.grid import Cost, per_query
from training.embedding_study.metrics import Answers, Ints, answers, cosine_distances

#: Of each round: its part of the budget that is left, and the photos of a class.
ROUNDS = ((0.45, 3), (0.40, 3), (1.0, 3))
#: Of each later round: one in so many models goes on.
_ONE_IN = (3, 2)
#: Fewer say nothing.
LEAST_CLASSES, LEAST_PHOTOS = 2, 2
#: Of the share of nearer strangers, beside the figure.
SHARE_WEIGHT = 2.0

#: Computes the vectors of all settings of model number m for photos: (N, total) and the CPU seconds that it took.
Compute = Callable[[int, Ints], tuple[Vectors, float]]


@dataclass(frozen=True)
class Round:
    """One round of a race.

    Attributes:
        photos: in the sample.
        classes: that they show.
        models: names of those that took part.
        best: name of the setting that led.
        score: what settings are ordered by; comparable within a round only.
        cost: of all rounds so far.
    """

    photos: int
    classes: int
    models: tuple[str, ...]
    best: str
    score: float
    cost: Cost


@dataclass(frozen=True)
class Pick:
    """What a race found: the setting, its rounds, and what they cost together."""

    setting: Setting
    rounds: tuple[Round, ...]
    cost: Cost


@dataclass(frozen=True, eq=False)
class Track:
    """What races run on.

    Attributes:
        models: who takes part.
        compute: makes their vectors.
        photos: (N,) those to choose by.
        fine: class of each photo of the set.
        scene: of each photo of the set; one photo of a scene takes part.
        by: "mrr" or "top1".
    """

    models: Sequence[Describer]
    compute: Compute
    photos: Ints
    fine: Ints
    scene: Ints
    by: str


def race(track: Track, budget: Cost, seed: int) -> Pick:
    """Return the setting that wins a race; the same seed gives the same race.

    Args:
        track: models and photos.
        budget: what may be spent: photo-forwards and multiply-adds.
        seed: of the draw of classes and photos.

    Raises:
        DataError: the budget does not pay for a first round.
    """
    return _Race(track, budget, seed).run()


class _Race:
    def __init__(self, track: Track, budget: Cost, seed: int) -> None:
        self._track, self._budget = track, budget
        self._order = _drawn_order(track, np.random.default_rng([seed]))
        self._seen: dict[int, dict[int, Vectors]] = {m: {} for m in range(len(track.models))}
        self._forwards, self._forward_macs, self._scoring_macs, self._cpu_s = 0, 0, 0, 0.0

    def run(self) -> Pick:
        """Run all rounds."""
        models = list(range(len(self._track.models)))
        rounds: list[Round] = []
        winner: Setting | None = None
        for number, (part, per_class) in enumerate(ROUNDS):
            sample, classes = self._affordable(models, part, per_class)
            if len(sample) == 0:
                if winner is None:
                    raise DataError(
                        f"{len(self._track.photos)} photos are too few to pick a setting for "
                        f"{self._budget.macs:.3g} multiply-adds; allow a larger --share, or add photos"
                    )
                break
            ranked = self._ranked(models, sample)
            score, winner = ranked[0][0], ranked[0][2]
            names = tuple(self._track.models[m].name for m in models)
            rounds.append(Round(len(sample), classes, names, winner.name, score, self.cost))
            if number < len(_ONE_IN):
                order = list(dict.fromkeys(m for _, m, _ in ranked))
                models = sorted(order[: max(1, ceil(len(models) / _ONE_IN[number]))])
        if winner is None:
            raise ValueError("a race without rounds")
        return Pick(winner, tuple(rounds), self.cost)

    @property
    def cost(self) -> Cost:
        """What was spent so far."""
        return Cost(self._forwards, self._forward_macs, self._scoring_macs, self._cpu_s)

    def _affordable(self, models: Sequence[int], part: float, per_class: int) -> tuple[Ints, int]:
        """Return the largest sample that this part of what is left pays for, and its classes; none: an empty one."""
        forwards = part * (self._budget.photo_forwards - self._forwards)
        macs = part * (self._budget.macs - self.cost.macs)
        dims = sum(s.dims for m in models for s in self._track.models[m].settings)
        for classes in range(len(self._order), LEAST_CLASSES - 1, -1):
            sample = np.concatenate([mine[:per_class] for mine in self._order[:classes]])
            fresh = [sum(int(i) not in self._seen[m] for i in sample) for m in models]
            passes = sum(n * self._track.models[m].macs for n, m in zip(fresh, models, strict=True))
            if sum(fresh) <= forwards and passes + len(sample) ** 2 * dims <= macs:
                return np.sort(sample), classes
        return np.zeros(0, np.int64), 0

    def _ranked(self, models: Sequence[int], sample: Ints) -> list[tuple[float, int, Setting]]:
        """Return (worth, model, setting), best first; of equal ones the cheaper model, then the shorter vector."""
        fine = self._track.fine[sample]
        hidden = np.eye(len(sample), dtype=np.bool_)
        found = []
        for m in models:
            vectors = self._vectors(m, sample)
            start = 0
            for setting in self._track.models[m].settings:
                mine = vectors[:, start : start + setting.dims]
                start += setting.dims
                told = answers(cosine_distances(mine, mine), fine, fine, None, hidden)
                self._scoring_macs += len(sample) ** 2 * setting.dims
                found.append((_worth(told, fine, self._track.by), m, setting))
        cost = [model.macs for model in self._track.models]
        return sorted(found, key=lambda one: (-one[0], cost[one[1]], one[2].dims, one[2].name))

    def _vectors(self, m: int, sample: Ints) -> Vectors:
        seen = self._seen[m]
        fresh = np.array([i for i in sample.tolist() if i not in seen], np.int64)
        if len(fresh):
            made, cpu_s = self._track.compute(m, fresh)
            seen.update(zip(fresh.tolist(), made, strict=True))
            self._forwards += len(fresh)
            self._forward_macs += len(fresh) * self._track.models[m].macs
            self._cpu_s += cpu_s
        return np.stack([seen[i] for i in sample.tolist()])


def _worth(found: Answers, fine: Ints, by: str) -> float:
    """Return what settings are ordered by."""
    strangers = len(fine) - (fine[:, None] == fine[None, :]).sum(axis=1)
    nearer = (found.rank - 1) / np.maximum(strangers, 1)
    return float((per_query(found, by) + SHARE_WEIGHT * (1 - nearer)).mean())


def _drawn_order(track: Track, rng: np.random.Generator) -> list[Ints]:
    """Return classes in a drawn order, the photos of each in a drawn order, one of each scene, two at least."""
    order = []
    for label in rng.permutation(np.unique(track.fine[track.photos])).tolist():
        mine = rng.permutation(track.photos[track.fine[track.photos] == label])
        _, first = np.unique(track.scene[mine], return_index=True)
        if len(first) >= LEAST_PHOTOS:
            order.append(mine[np.sort(first)].astype(np.int64))
    return order
