"""The grid: every setting, measured inside the gallery (to choose by) and on the queries aside (to judge by).

The cost of choosing by the grid is counted, not timed, so that it is the same on every machine: multiply-adds of the
nets (each photo of the gallery once through each model, whatever its number of settings) and of the distances. CPU time
stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import DataError
from dataset.classification import PhotoSet
from models.gate import Figure
from training.embedding_study.describers import Describer, Setting, Vectors
from training.embedding_study.features import Described
from training.embedding_study.metrics import (
    Answers,
    Ints,
    Scores,
    Values,
    answers,
    class_matrix,
    cosine_distances,
    scores,
)
from training.embedding_study.parts import Parts
from training.evaluation.intervals import Weights, draw_pictures, figure_with_interval


@dataclass(frozen=True, eq=False)
class Measured:
    """One setting on both parts.

    Attributes:
        setting: which.
        development: figures to choose by: each photo of the gallery held against the others.
        aside: figures to judge by: the photos aside, held against the gallery.
        answers: what the gallery answers to the queries aside.
        matrix: (C, C) mean distances between classes, aside to gallery.
    """

    setting: Setting
    development: Scores
    aside: Scores
    answers: Answers
    matrix: Values


class Grid:
    """Measures settings on the parts of one set.

    Args:
        photos: the set.
        parts: of it.
        draws: of the bootstrap over scenes.
        seed: of the bootstrap; all settings see the same draws, so that they can be compared in pairs.
    """

    def __init__(self, photos: PhotoSet, parts: Parts, draws: int, seed: int) -> None:
        self.fine = np.array([photo.fine for photo in photos.photos], np.int64)
        self.coarse = np.array(photos.coarse_of, np.int64) if photos.coarse_of else None
        self.parts, self._classes = parts, len(photos.labels)
        gallery = parts.gallery
        hidden = parts.scene[gallery][:, None] == parts.scene[gallery][None, :]
        own = self.fine[gallery][:, None] == self.fine[gallery][None, :]
        asked = (own & ~hidden).any(axis=1)
        if not asked.any():
            raise DataError(
                f"{photos.name}: no class has two photos of different moments in the gallery, so nothing can be chosen "
                "by it; add photos, or set a smaller share --aside"
            )
        self.development = gallery[asked]
        self._hidden = hidden[asked]
        self._weights = {
            "development": self._drawn(self.development, draws, seed),
            "aside": self._drawn(parts.aside, draws, seed + 1),
        }

    def measure(self, setting: Setting, vectors: Vectors) -> Measured:
        """Return the figures of a setting from the vectors (N, D) of all photos of the set."""
        gallery = vectors[self.parts.gallery]
        own_kind = self.fine[self.parts.gallery]
        known = self.coarse is not None
        among = answers(
            cosine_distances(vectors[self.development], gallery),
            self.fine[self.development],
            own_kind,
            self.coarse,
            self._hidden,
        )
        fine = self.fine[self.parts.aside]
        distances = cosine_distances(vectors[self.parts.aside], gallery)
        found = answers(distances, fine, own_kind, self.coarse)
        return Measured(
            setting,
            scores(among, self._weights["development"], known),
            scores(found, self._weights["aside"], known),
            found,
            class_matrix(distances, fine, own_kind, self._classes),
        )

    def difference(self, ours: Measured, theirs: Measured, figure: str) -> Figure:
        """Return by how much a setting's "mrr" or "top1" aside is above another's, with a paired interval."""
        values = per_query(ours.answers, figure) - per_query(theirs.answers, figure)
        weights = self._weights["aside"]
        return figure_with_interval(float(values.mean()), weights @ values / weights.sum(axis=1))

    def _drawn(self, photos: Ints, draws: int, seed: int) -> Weights:
        _, group = np.unique(self.parts.scene[photos], return_inverse=True)
        return draw_pictures(group, draws, seed)


def per_query(found: Answers, figure: str) -> Values:
    """Return (Q,) what each query adds to "mrr" or "top1"."""
    return 1 / found.rank if figure == "mrr" else (~found.wrong).astype(np.float64)


def vectors_of(model: Describer, described: Described) -> list[tuple[Setting, Vectors]]:
    """Return each setting of a model with its vectors (N, D)."""
    ends = np.cumsum([setting.dims for setting in model.settings])
    return [
        (setting, described.vectors[:, end - setting.dims : end])
        for setting, end in zip(model.settings, ends.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class Cost:
    """What it took to choose a setting.

    Attributes:
        photo_forwards: photos that went through a model, each model counted.
        forward_macs: multiply-adds of these passes.
        scoring_macs: multiply-adds of the distances.
        cpu_s: CPU seconds of the passes, where they were measured.
    """

    photo_forwards: int
    forward_macs: int
    scoring_macs: int
    cpu_s: float

    @property
    def macs(self) -> int:
        """All multiply-adds."""
        return self.forward_macs + self.scoring_macs

    def shares_of(self, whole: Cost) -> tuple[float, float, float]:
        """Return photo-forwards, multiply-adds and CPU seconds as shares of another cost."""
        return (
            self.photo_forwards / whole.photo_forwards,
            self.macs / whole.macs,
            self.cpu_s / whole.cpu_s if whole.cpu_s else 0.0,
        )


def grid_cost(models: Sequence[Describer], cpu_s: Sequence[float], photos: int) -> Cost:
    """Return what choosing by the whole grid takes; the photos aside, which judge afterwards, are not counted.

    Args:
        models: of the grid.
        cpu_s: of each model, CPU seconds of one photo.
        photos: of the gallery.
    """
    return Cost(
        photo_forwards=photos * len(models),
        forward_macs=photos * sum(model.macs for model in models),
        scoring_macs=photos**2 * sum(s.dims for model in models for s in model.settings),
        cpu_s=photos * sum(cpu_s),
    )
