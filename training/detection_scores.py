"""How detections meet true objects, and what follows at IoU 0.5: average precision and class accuracy.

Detections are taken best score first. Each takes the free true object that it overlaps most, if by 0.5 or more, and is
a true positive; one that lies on an ignored object counts neither way; any other is a false positive. With the running
precision P and recall R, AP is the area under P(R) after P is made non-increasing from the right (as in VOC 2010 and
later). Pictures enter as parallel lists, so that a bootstrap can draw them again by seed.

`pair` is the one place where this matching lives; `match` and all of `training/evaluation/` are built on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import coverage, iou

MATCH_IOU = 0.5
#: A detection with this share of itself inside an ignored object shows a part of it.
PART_OF_IGNORED = 0.7
#: A hair below the limit is the limit: float32 boxes put an exact half at 0.49999997.
_HAIR = 1e-6


@dataclass(frozen=True)
class Found:
    """The detections of one picture, best first or not.

    Attributes:
        boxes: (N, 4) xyxy.
        scores: (N,) 0..1.
        classes: (N,) the most probable class.
        class_probs: (N, C) probabilities over the classes, rows summing to at most 1; None where a model has none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    class_probs: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Wanted:
    """The true objects of one picture: boxes (M, 4), classes (M,), and wanted (M,), False for ignored ones."""

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    wanted: NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Which detection of a picture took which object; parallel to `Found`, in its order.

    Attributes:
        truth: (N,) index into `Wanted` of the object that was taken, -1 for none.
        overlap: (N,) IoU with that object; else with the object to be found that it overlaps most.
        excused: (N,) bool: takes none, but lies on an ignored object: counts neither way.
    """

    truth: NDArray[np.int64]
    overlap: NDArray[np.float64]
    excused: NDArray[np.bool_]


@dataclass(frozen=True)
class Outcome:
    """Detections of one picture after matching, ignored ones left out.

    Attributes:
        scores: (K,) of the detections that count.
        hits: (K,) bool: true positives.
        right_class: (K,) bool: true positives whose class is right, too.
        truths: how many objects were to be found.
    """

    scores: NDArray[np.float32]
    hits: NDArray[np.bool_]
    right_class: NDArray[np.bool_]
    truths: int


def pair(
    found: Found,
    wanted: Wanted,
    at_iou: float = MATCH_IOU,
    *,
    class_aware: bool = False,
    excuse_cover: float | None = None,
) -> Pairs:
    """Match the detections of one picture to its objects, best score first.

    Args:
        found: the detections.
        wanted: the objects.
        at_iou: least overlap of a pair.
        class_aware: a detection may only take, and is only excused by, objects of its own class.
        excuse_cover: COCO's rule for crowds: a detection is excused if this share of it lies in an ignored object; None
            is our own: it fits an ignored object at IoU 0.5, or PART_OF_IGNORED of it lies in one.
    """
    real = np.flatnonzero(wanted.wanted)
    overlaps = iou(found.boxes.astype(np.float64), wanted.boxes[real].astype(np.float64))
    if class_aware:
        overlaps = np.where(found.classes[:, None] == wanted.classes[real][None, :], overlaps, 0.0)
    truth = np.full(len(found.boxes), -1, dtype=np.int64)
    best = overlaps.max(axis=1, initial=0.0)
    order = np.argsort(-found.scores, kind="stable")
    free = np.ones(len(real), dtype=bool)
    for i in order[best[order] >= at_iou - _HAIR]:
        fitting = np.where(free, overlaps[i], 0.0)
        nearest = int(fitting.argmax())
        if fitting[nearest] >= at_iou - _HAIR:
            free[nearest] = False
            truth[i] = real[nearest]
            best[i] = fitting[nearest]
    return Pairs(truth, best, (truth < 0) & _on_ignored(found, wanted, class_aware, excuse_cover))


def match(found: Found, wanted: Wanted) -> Outcome:
    """Match the detections of one picture to its objects, whatever their class."""
    pairs = pair(found, wanted)
    order = np.argsort(-found.scores, kind="stable")
    order = order[~pairs.excused[order]]
    hits = pairs.truth[order] >= 0
    right = np.zeros(len(order), dtype=np.bool_)
    right[hits] = found.classes[order[hits]] == wanted.classes[pairs.truth[order[hits]]]
    return Outcome(found.scores[order], hits, right, int(wanted.wanted.sum()))


def of_class(found: Found, wanted: Wanted, class_id: int) -> tuple[Found, Wanted]:
    """Return one picture with the detections and objects of one class only."""
    mine, theirs = found.classes == class_id, wanted.classes == class_id
    return (
        Found(found.boxes[mine], found.scores[mine], found.classes[mine]),
        Wanted(wanted.boxes[theirs], wanted.classes[theirs], wanted.wanted[theirs]),
    )


def average_precision(outcomes: Sequence[Outcome]) -> float | None:
    """Return AP 0..1 of pictures together, or None when there was nothing to find.

    >>> one = Outcome(np.array([0.9, 0.8]), np.array([True, False]), np.array([True, False]), 2)
    >>> average_precision([one])
    0.5
    """
    truths = sum(outcome.truths for outcome in outcomes)
    if truths == 0:
        return None
    scores = np.concatenate([outcome.scores for outcome in outcomes])
    hits = np.concatenate([outcome.hits for outcome in outcomes])[np.argsort(-scores, kind="stable")]
    true, false = np.cumsum(hits), np.cumsum(~hits)
    precision = np.maximum.accumulate((true / np.maximum(true + false, 1))[::-1])[::-1]
    steps = np.diff(np.concatenate([[0], true])) / truths
    return float((precision * steps).sum())


def class_accuracy(outcomes: Sequence[Outcome], min_score: float = 0.3) -> float | None:
    """Return the share of true positives above `min_score` whose class is right; None without any."""
    hits = sum(int((o.hits & (o.scores >= min_score)).sum()) for o in outcomes)
    right = sum(int((o.right_class & (o.scores >= min_score)).sum()) for o in outcomes)
    return right / hits if hits else None


def _on_ignored(
    found: Found, wanted: Wanted, class_aware: bool, excuse_cover: float | None = None
) -> NDArray[np.bool_]:
    """Return (N,): whether a detection fits an ignored object, or lies mostly in it (only a part of it shows)."""
    ignored = np.flatnonzero(~wanted.wanted)
    if len(ignored) == 0 or len(found.boxes) == 0:
        return np.zeros(len(found.boxes), dtype=np.bool_)
    boxes = wanted.boxes[ignored]
    covered = coverage(found.boxes, boxes)
    if excuse_cover is None:
        fits = (iou(found.boxes, boxes) >= MATCH_IOU) | (covered >= PART_OF_IGNORED)
    else:
        fits = covered >= excuse_cover - _HAIR
    if class_aware:
        fits &= found.classes[:, None] == wanted.classes[ignored][None, :]
    return np.asarray(fits.any(axis=1), dtype=np.bool_)
