"""From patches to pictures: the score of a class in a picture, how well it ranks pictures, and how sure that is.

With P(j, c) the probability that patch j shows class c, picture i has the score

    S(i, c) = Σ over its patches j of P(j, c)^e.

A large e counts sure patches and little else (it nears a maximum), e = 1 counts many unsure ones as well. Pictures
ranked by S(·, c) give class c an average precision, as Pascal VOC's *classification* task has it: a picture is right
when it shows the class, and counts neither way when it shows only ignored objects of it. mAP is the mean over classes
that some picture shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.likeness import same_scene
from dataset.records import DetectionSet
from models.gate import Figure
from training.evaluation.intervals import draw_pictures, figure_with_interval
from training.evaluation.voc_ap import area_ap, eleven_point_ap

Values = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Entries of `presence`.
SHOWN, ABSENT, UNKNOWN = 1, 0, -1


@dataclass(frozen=True)
class ClassRanking:
    """How one class ranks pictures; APs are None when no picture shows it.

    Attributes:
        label: its name.
        pictures: how many show it.
        area: AP, the area under precision over recall.
        eleven_point: AP as VOC 2007 has it.
        chance: AP that a random order has on average, nearly: the share of pictures that show it.
    """

    label: str
    pictures: int
    area: float | None
    eleven_point: float | None
    chance: float


@dataclass(frozen=True)
class Ranking:
    """How well scores rank the pictures of a set: means over classes, with 95 % intervals, and each class."""

    area: Figure
    eleven_point: Figure
    chance: float | None
    classes: tuple[ClassRanking, ...]


def image_scores(probabilities: Sequence[Values], exponent: float) -> Values:
    """Return (I, C) S(i, c) from the (N_i, C) probabilities of each picture's patches.

    >>> image_scores([np.array([[0.5, 0.0], [1.0, 0.5]])], 2)
    array([[1.25, 0.25]])
    """
    return np.stack([(patches**exponent).sum(axis=0) for patches in probabilities])


def presence(pictures: DetectionSet) -> Ints:
    """Return (I, C): SHOWN, ABSENT, or UNKNOWN where a picture has only ignored objects of the class."""
    told = np.full((len(pictures), len(pictures.labels)), ABSENT, np.int64)
    for row, sample in zip(told, pictures.samples, strict=True):
        row[sample.classes[sample.ignored]] = UNKNOWN
        row[sample.classes[~sample.ignored]] = SHOWN
    return told


def mean_ap(scores: Values, shown: Ints) -> float | None:
    """Return the mean over classes of the area AP, both (I, C); None when no picture shows any."""
    aps = [_class_ap(scores[:, c], shown[:, c])[0] for c in range(shown.shape[1])]
    return _mean(aps)


def rank(scores: Values, pictures: DetectionSet, draws: int, seed: int) -> Ranking:
    """Return how well scores (I, C) rank a set, with intervals of a bootstrap over scenes."""
    shown = presence(pictures)
    classes = []
    for c, label in enumerate(pictures.labels):
        area, eleven = _class_ap(scores[:, c], shown[:, c])
        counted = shown[:, c] != UNKNOWN
        count = int((shown[:, c] == SHOWN).sum())
        classes.append(ClassRanking(label, count, area, eleven, count / max(int(counted.sum()), 1)))
    drawn = ap_draws(scores, pictures, draws, seed)
    return Ranking(
        area=figure_with_interval(_mean([one.area for one in classes]), drawn[0]),
        eleven_point=figure_with_interval(_mean([one.eleven_point for one in classes]), drawn[1]),
        chance=_mean([one.chance if one.pictures else None for one in classes]),
        classes=tuple(classes),
    )


def gain(scores: Values, rival: Values, pictures: DetectionSet, draws: int, seed: int) -> Figure:
    """Return by how much mAP (area) is above that of a rival; both are measured on the same drawn pictures."""
    shown = presence(pictures)
    ours, theirs = mean_ap(scores, shown), mean_ap(rival, shown)
    if ours is None or theirs is None:
        return Figure(value=None)
    difference = ap_draws(scores, pictures, draws, seed)[0] - ap_draws(rival, pictures, draws, seed)[0]
    return figure_with_interval(ours - theirs, difference)


def ap_draws(scores: Values, pictures: DetectionSet, draws: int, seed: int) -> Values:
    """Return (2, draws) mAP, by area and at eleven points, of pictures drawn by whole scenes; NaN: shows no class."""
    shown = presence(pictures)
    weights = draw_pictures(same_scene(pictures.samples), draws, seed)
    totals, measured = np.zeros((2, draws)), np.zeros(draws)
    for c in range(shown.shape[1]):
        order = _order(scores[:, c], shown[:, c])
        hits = shown[order, c] == SHOWN
        if not hits.any():
            continue
        for d in range(draws):
            drawn = np.repeat(hits, weights[d, order])
            area = area_ap(drawn, int(drawn.sum()))
            if area is not None:
                totals[:, d] += area, eleven_point_ap(drawn, int(drawn.sum())) or 0.0
                measured[d] += 1
    return np.divide(totals, measured, out=np.full_like(totals, np.nan), where=measured > 0)


def _class_ap(scores: Values, shown: Ints) -> tuple[float | None, float | None]:
    hits = shown[_order(scores, shown)] == SHOWN
    return area_ap(hits, int(hits.sum())), eleven_point_ap(hits, int(hits.sum()))


def _order(scores: Values, shown: Ints) -> Ints:
    """Return the counting pictures, best score first; of equal scores, those without the class first: no gift."""
    counted = np.flatnonzero(shown != UNKNOWN)
    return counted[np.lexsort((shown[counted], -scores[counted]))]


def _mean(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else None
