"""What an embedder is worth: galleries of few photos, dishes that it never saw, lanes taught from one render each.

    one photo       one photo per class is the gallery, the photos kept aside are asked; mean over draws of the gallery
    iconic          the price list's pictures are the gallery
    lane            TAUGHT dishes are the gallery, one render each; crops of lanes are asked. Agreement: the nearest is
                    the right one. AUROC: how well the best cosine tells TAUGHT dishes from LEARNT ones, which nobody
                    taught (the share of pairs in which the taught one's is higher, ties half)

Intervals are bootstraps over what is asked, 95 %; on the lane over dishes on trays, as crops of one dish are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.embedding.crop_set import Crop, CropSet
from training.embedding.lane_crops import TAUGHT, teaching_render

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[Crop]], Vectors]
DRAWS = 20
_ROUNDS = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def estimate(scores: NDArray[np.floating], clusters: NDArray[np.int64] | None = None, seed: int = 0) -> Estimate:
    """Return the mean of scores (N,) with a bootstrap over them, or over clusters (N,) of them."""
    rng = np.random.default_rng(seed)
    groups = np.arange(len(scores)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    count = int(groups.max()) + 1
    sums, sizes = np.bincount(groups, scores, count), np.bincount(groups, minlength=count)
    picked = rng.integers(0, count, (_ROUNDS, count))
    means = sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(scores.mean()), float(low), float(high))


def few_photos(
    gallery: Vectors,
    gallery_classes: NDArray[np.int64],
    asked: Vectors,
    asked_classes: NDArray[np.int64],
    photos: int,
    draws: int = DRAWS,
) -> Estimate:
    """Return top-1 accuracy with `photos` photos per class as the gallery, the mean over draws of them.

    Of several photos of a class the sum of a crop's two best cosines counts (one photo: its cosine).
    """
    hits = np.zeros(len(asked))
    names = np.unique(gallery_classes)
    for draw in range(draws):
        rng = np.random.default_rng([31, draw])
        picked = [rng.choice(np.flatnonzero(gallery_classes == name), photos, replace=False) for name in names]
        hits += names[class_scores(gallery, picked, asked).argmax(axis=1)] == asked_classes
    return estimate(hits / draws)


def class_scores(gallery: Vectors, picked: Sequence[NDArray[np.integer]], asked: Vectors) -> NDArray[np.float32]:
    """Return (N, C): how like each crop is each class, whose photos are `gallery[picked[c]]`."""
    scores = [np.sort(asked @ gallery[mine].T, axis=1)[:, -2:].mean(axis=1) for mine in picked]
    return np.stack(scores, axis=1)


def auroc(known: NDArray[np.floating], unknown: NDArray[np.floating]) -> float:
    """Return the share of (known, unknown) pairs in which the known one's score is higher; ties count half.

    Without a pair there is nothing to tell: not a number.
    """
    if not len(known) or not len(unknown):
        return float("nan")
    both = np.concatenate([known, unknown])
    order = np.unique(both, return_inverse=True)[1]
    counts = np.bincount(order)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[order]  # mean ranks from 1
    above = ranks[: len(known)].sum() - len(known) * (len(known) + 1) / 2
    return float(above / (len(known) * len(unknown)))


def turned(crop: Crop, angles: int = 8) -> list[Crop]:
    """Return a photo of a thing seen from above, turned by so many angles: a gallery's views of it.

    The ground beyond the photo's edge is continued.
    """
    height, width = crop.shape[:2]
    views = []
    for k in range(angles):
        angle = 2 * np.pi * k / angles
        cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
        size = (round(width * cos + height * sin), round(width * sin + height * cos))
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), np.degrees(angle), 1.0)
        matrix[:, 2] += (size[0] / 2 - width / 2, size[1] / 2 - height / 2)
        views.append(np.asarray(cv2.warpAffine(crop, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8))
    return views


def lane_gallery(embed: Embed, turns: int = 8, renders: int = 1) -> list[Vectors]:
    """Return the vectors of each TAUGHT dish's renders, each turned `turns` times."""
    photos = [[view for k in range(renders) for view in turned(teaching_render(dish, k), turns)] for dish in TAUGHT]
    return [embed(views) for views in photos]


def lane_figures(embed: Embed, lane: CropSet, turns: int = 8, renders: int = 1) -> dict[str, Estimate]:
    """Return agreement and unknown AUROC of lane crops, by crop and by the mean of a dish's crops ("track").

    Args:
        embed: the embedder.
        lane: crops of all dishes of the catalogue.
        turns: views of each taught render in the gallery.
        renders: taught of each dish.
    """
    gallery = lane_gallery(embed, turns, renders)
    vectors, groups = embed(lane.crops), lane.groups
    labels = np.array([TAUGHT.index(name) if name in TAUGHT else -1 for name in lane.names])[lane.classes]
    figures = _lane_part(gallery, vectors, labels, groups, "crop")
    ids, first, member = np.unique(groups, return_index=True, return_inverse=True)
    means = np.zeros((len(ids), vectors.shape[1]), np.float32)
    np.add.at(means, member, vectors)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    return figures | _lane_part(gallery, means, labels[first], ids, "track")


@dataclass(frozen=True, eq=False)
class Cosines:
    """What a gallery of one render per dish meets on the lane, crop by crop.

    Attributes:
        same: (N,) cosine with the right dish.
        other: (N,) with the nearest wrong one.
        unknown: (M,) of dishes that nobody taught with the nearest one.
        temperature: t for which exp(cosine / t), over the taught dishes and `unknown_cosine`, fits the truth best.
        unknown_cosine: u, the cosine at which a crop is as likely something unknown.
    """

    same: NDArray[np.float32]
    other: NDArray[np.float32]
    unknown: NDArray[np.float32]
    temperature: float
    unknown_cosine: float


def lane_cosines(embed: Embed, lane: CropSet, turns: int = 8) -> Cosines:
    """Return the cosines of lane crops with the gallery of TAUGHT dishes, and the softmax that fits them.

    Temperature and the unknown's cosine are found dish by dish left out: in turn a third of the taught dishes counts as
    unknown and is taken out of the gallery, so that no dish decides about itself.
    """
    gallery = lane_gallery(embed, turns)
    vectors = embed(lane.crops)
    labels = np.array([TAUGHT.index(name) if name in TAUGHT else -1 for name in lane.names])[lane.classes]
    scores = np.stack([(vectors @ views.T).max(axis=1) for views in gallery], axis=1)
    known = labels >= 0
    mine, right = scores[known], labels[known]
    at = np.arange(len(right))
    others = mine.copy()
    others[at, right] = -1.0
    best = (np.inf, 0.05, 0.5)
    for temperature in np.geomspace(0.02, 0.2, 24):
        for unknown in np.linspace(0.2, 0.9, 36):
            best = min(best, (_surprise(mine, right, float(temperature), float(unknown)), temperature, unknown))
    return Cosines(mine[at, right], others.max(axis=1), scores[~known].max(axis=1), float(best[1]), float(best[2]))


def _surprise(scores: NDArray[np.float32], right: NDArray[np.int64], temperature: float, unknown: float) -> float:
    """Return the mean negative log likelihood where each third of the dishes in turn is unknown."""
    total = 0.0
    for fold in range(3):
        taught = np.flatnonzero(np.arange(scores.shape[1]) % 3 != fold)
        logits = np.column_stack([scores[:, taught], np.full(len(scores), unknown)]) / temperature
        truth = np.searchsorted(taught, right)
        truth = np.where(right % 3 != fold, truth, len(taught))
        logits -= logits.max(axis=1, keepdims=True)
        total += float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(right)), truth]).mean())
    return total / 3


def _lane_part(
    gallery: Sequence[Vectors], vectors: Vectors, labels: NDArray[np.int64], groups: NDArray[np.int64], name: str
) -> dict[str, Estimate]:
    scores = np.stack([(vectors @ views.T).max(axis=1) for views in gallery], axis=1)
    best, known = scores.max(axis=1), labels >= 0
    right = (scores.argmax(axis=1) == labels)[known].astype(float)
    found = {f"agreement_{name}": estimate(right, groups[known])}
    rng = np.random.default_rng(1)
    ids = np.unique(groups)
    rows = {int(group): np.flatnonzero(groups == group) for group in ids}
    areas = []
    for _ in range(100):
        picked = np.concatenate([rows[int(group)] for group in rng.choice(ids, len(ids))])
        if known[picked].any() and not known[picked].all():
            areas.append(auroc(best[picked][known[picked]], best[picked][~known[picked]]))
    low, high = np.quantile(areas, (0.025, 0.975)) if areas else (np.nan, np.nan)
    return found | {f"auroc_{name}": Estimate(auroc(best[known], best[~known]), float(low), float(high))}


def quick_figures(figures: Mapping[str, Estimate]) -> dict[str, float | None]:
    """Return the values alone, rounded, as a run's log keeps them; None for what could not be told."""
    return {name: round(f.value, 5) if np.isfinite(f.value) else None for name, f in figures.items()}
