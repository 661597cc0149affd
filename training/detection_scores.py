"""How good detections are: average precision at IoU 0.5, with and without regard to the class, and class accuracy.

Detections are taken best score first. Each takes the free true object that it overlaps most, if by 0.5 or more, and is
a true positive; one that lies on an ignored object counts neither way; any other is a false positive. With the running
precision P and recall R, AP is the area under P(R) after P is made non-increasing from the right (as in VOC 2010 and
later). Pictures enter as parallel lists, so that a bootstrap can draw them again by seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import coverage, iou

MATCH_IOU = 0.5


@dataclass(frozen=True)
class Found:
    """The detections of one picture, best first or not.

    Attributes:
        boxes: (N, 4) xyxy.
        scores: (N,) 0..1.
        classes: (N,) the most probable class.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """The true objects of one picture: boxes (M, 4), classes (M,), and wanted (M,), False for ignored ones."""

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    wanted: NDArray[np.bool_]


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


def match(found: Found, wanted: Wanted) -> Outcome:
    """Match the detections of one picture to its objects, whatever their class."""
    order = np.argsort(-found.scores, kind="stable")
    boxes, classes = found.boxes[order], found.classes[order]
    real = np.flatnonzero(wanted.wanted)
    overlaps = iou(boxes, wanted.boxes[real])
    shrouded = _on_ignored(boxes, wanted)
    free = np.ones(len(real), dtype=bool)
    hits = np.zeros(len(boxes), dtype=bool)
    right = np.zeros(len(boxes), dtype=bool)
    for i in range(len(boxes)):
        fitting = np.where(free, overlaps[i], 0.0)
        if len(real) and fitting.max() >= MATCH_IOU:
            best = int(fitting.argmax())
            free[best] = False
            hits[i] = True
            right[i] = classes[i] == wanted.classes[real[best]]
    counted = hits | ~shrouded
    return Outcome(found.scores[order][counted], hits[counted], right[counted], len(real))


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


def _on_ignored(boxes: NDArray[np.float32], wanted: Wanted) -> NDArray[np.bool_]:
    """Return (N,): whether a detection fits an ignored object, or lies mostly in it (only a part of it shows)."""
    ignored = wanted.boxes[~wanted.wanted]
    if len(ignored) == 0 or len(boxes) == 0:
        return np.zeros(len(boxes), dtype=bool)
    fits = np.logical_or(iou(boxes, ignored) >= MATCH_IOU, coverage(boxes, ignored) >= 0.7)
    return np.asarray(fits.any(axis=1), dtype=np.bool_)
