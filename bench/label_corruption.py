"""Make labels wrong on purpose, and measure how well scores find them again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from dataset.records import DetectionSet
from dataset.splits import subset

#: A shifted box keeps an IoU between these with where it was.
SHIFTED_IOU = (0.5, 0.7)
DRAWS = 1000


@dataclass(frozen=True)
class Corrupted:
    """A set with wrong labels, and which they are.

    Attributes:
        wanted: the corrupted set; the labels of each sample keep their order.
        dropped: per picture (n, 4) boxes that were taken away.
        swapped, shifted: per picture (m,) bool, for the labels that are left.
    """

    wanted: DetectionSet
    dropped: tuple[NDArray[np.float32], ...]
    swapped: tuple[NDArray[np.bool_], ...]
    shifted: tuple[NDArray[np.bool_], ...]


def corrupt(clean: DetectionSet, seed: int, share: float = 0.1) -> Corrupted:
    """Drop, swap and shift `share` of the labels each, no label twice; ignored ones stay as they are.

    A swapped class is one of the classes that occur; a shifted box is moved and resized at random until its IoU with
    the true box lies in SHIFTED_IOU.
    """
    rng = np.random.default_rng(seed)
    where = [(p, i) for p, s in enumerate(clean.samples) for i in np.flatnonzero(~s.ignored).tolist()]
    order = rng.permutation(len(where))
    each = round(share * len(where))
    roles = np.zeros(len(where), dtype=np.int64)
    for role in (1, 2, 3):
        roles[order[(role - 1) * each : role * each]] = role
    role_of = {place: int(role) for place, role in zip(where, roles, strict=True)}
    occurring = np.unique(np.concatenate([s.classes[~s.ignored] for s in clean.samples]))
    samples, dropped, swapped, shifted = [], [], [], []
    for p, sample in enumerate(clean.samples):
        role = np.array([role_of.get((p, i), 0) for i in range(len(sample.boxes))], dtype=np.int64)
        boxes, classes = sample.boxes.copy(), sample.classes.copy()
        for i in np.flatnonzero(role == 2):
            others = occurring[occurring != classes[i]]
            classes[i] = rng.choice(others) if len(others) else classes[i]
        for i in np.flatnonzero(role == 3):
            boxes[i] = _shifted(boxes[i], sample.width, sample.height, rng)
        left = role != 1
        samples.append(
            dataclasses.replace(sample, boxes=boxes[left], classes=classes[left], ignored=sample.ignored[left])
        )
        dropped.append(sample.boxes[~left])
        swapped.append(role[left] == 2)
        shifted.append(role[left] == 3)
    whole = dataclasses.replace(clean, samples=tuple(samples))
    # `subset` gives it the hash of its new labels.
    wrong = subset(whole, range(len(samples)), f"{clean.name} with wrong labels")
    return Corrupted(wrong, tuple(dropped), tuple(swapped), tuple(shifted))


def without_some(clean: DetectionSet, seed: int, share: float = 0.5) -> DetectionSet:
    """Return the set without `share` of its labels, drawn box by box; ignored ones stay."""
    drawn = _drawn(clean, seed, share)
    samples = [
        dataclasses.replace(s, boxes=s.boxes[~gone], classes=s.classes[~gone], ignored=s.ignored[~gone])
        for s, gone in zip(clean.samples, drawn, strict=True)
    ]
    return subset(
        dataclasses.replace(clean, samples=tuple(samples)), range(len(samples)), f"{clean.name} without {share:.0%}"
    )


def flipped(clean: DetectionSet, seed: int, share: float = 0.2) -> DetectionSet:
    """Return the set with `share` of its labels, drawn box by box, given another of its classes, each as likely."""
    drawn = _drawn(clean, seed, share)
    rng = np.random.default_rng([seed, 1])
    samples = []
    for sample, wrong in zip(clean.samples, drawn, strict=True):
        others = rng.integers(1, len(clean.labels), len(wrong))
        classes = np.where(wrong, (sample.classes + others) % len(clean.labels), sample.classes)
        samples.append(dataclasses.replace(sample, classes=classes))
    return subset(
        dataclasses.replace(clean, samples=tuple(samples)),
        range(len(samples)),
        f"{clean.name} with {share:.0%} flipped",
    )


def auroc(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Return the chance that a wrong one scores more than a right one, ties half; NaN without both.

    >>> auroc(np.array([0.9, 0.2, 0.4]), np.array([True, False, False]))
    1.0
    """
    count = int(wrong.sum())
    if count in (0, len(wrong)):
        return float("nan")
    above = rankdata(scores)[wrong].sum() - count * (count + 1) / 2
    return float(above / (count * (len(wrong) - count)))


def auroc_with_interval(
    scores: NDArray[np.float64], wrong: NDArray[np.bool_], group: NDArray[np.int64], seed: int = 0
) -> tuple[float, float, float]:
    """Return AUROC and its 95 % interval, by drawing whole groups (pictures) again."""
    rng = np.random.default_rng(seed)
    order = np.argsort(group, kind="stable")
    parts: Sequence[NDArray[np.int64]] = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    drawn = []
    for _ in range(DRAWS):
        rows = np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        drawn.append(auroc(scores[rows], wrong[rows]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return auroc(scores, wrong), float(low), float(high)


def _drawn(clean: DetectionSet, seed: int, share: float) -> list[NDArray[np.bool_]]:
    """Return for each picture which of its labels are among the `share` that is drawn; ignored ones never are."""
    where = [(p, i) for p, s in enumerate(clean.samples) for i in np.flatnonzero(~s.ignored).tolist()]
    order = np.random.default_rng([seed, 0]).permutation(len(where))[: round(share * len(where))]
    drawn = [np.zeros(len(sample.boxes), dtype=np.bool_) for sample in clean.samples]
    for picture, label in (where[at] for at in order):
        drawn[picture][label] = True
    return drawn


def _shifted(box: NDArray[np.float32], width: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a box that is off by as much as SHIFTED_IOU says, inside the picture."""
    from core.boxes import iou

    sides = np.tile(box[2:] - box[:2], 2)
    for spread in np.repeat([0.15, 0.2, 0.12, 0.3], 250):
        centre, grown = rng.normal(0, spread, 2), rng.normal(0, spread / 2, 2)
        moved = box + sides * np.concatenate([centre - grown, centre + grown])
        moved = np.clip(moved, 0, [width, height] * 2).astype(np.float32)
        if SHIFTED_IOU[0] <= iou(moved[None], box[None])[0, 0] <= SHIFTED_IOU[1]:
            return moved
    raise ValueError(f"no shift of {box.tolist()} has an IoU in {SHIFTED_IOU}")
