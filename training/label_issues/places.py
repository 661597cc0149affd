"""Detections pooled to places, and which label each place belongs to.

A detector may report one object twice, as two classes. Boxes that overlap by `POOL_IOU` or more are one *place*: the
best score, the score-weighted mean box, and class probabilities summed by score. Places and labels are then matched
one to one, whatever their class, so that the sum of IoU · (0.1 + 0.9 · score) is largest (Hungarian method): a swapped
class or a shifted box must not part a label from what was seen there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from core.boxes import coverage, iou
from dataset.records import DetectionSet, Sample
from training.detection_scores import MATCH_IOU, PART_OF_IGNORED, Found

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

POOL_IOU = 0.6
#: A label and a place that overlap less are about different things.
LEAST_MATCH_IOU = 0.3
#: A detector that names one class only leaves 1 - score to all together, within these: a faint box is no sure class.
UNSAID = (0.02, 0.9)


@dataclass(frozen=True)
class LabelTable:
    """The L labels of a set that are to be found: picture (L,), index in its sample (L,), box (L, 4), class (L,).

    `crowding` (L,) is the largest share of the box that another label covers.
    """

    picture: Ints
    index: Ints
    boxes: Floats
    classes: Ints
    crowding: Floats


@dataclass(frozen=True)
class PlaceTable:
    """The P places where something was seen.

    Attributes:
        picture: (P,).
        boxes: (P, 4) xyxy, pixels.
        scores: (P,) the best score there, inside (0, 1).
        classes: (P, C) raw class probabilities; rows sum to 1, none is 0.
        shadow: (P,) largest IoU with a place of the picture that scores more.
        inside: (P,) largest share of it that such a place covers.
        excused: (P,) lies on an ignored object: says nothing.
    """

    picture: Ints
    boxes: Floats
    scores: Floats
    classes: Floats
    shadow: Floats
    inside: Floats
    excused: Bools


@dataclass(frozen=True)
class Matches:
    """Who belongs to whom.

    Attributes:
        place: (L,) row of each label's place, -1 for none.
        overlap: (L,) IoU with it, 0 without.
        label: (P,) row of each place's label, -1 for none.
        explained: (P,) has a label, or overlaps one by MATCH_IOU or more.
    """

    place: Ints
    overlap: Floats
    label: Ints
    explained: Bools


def label_table(wanted: DetectionSet) -> LabelTable:
    """Return the labels of a set in one table, in the order of its pictures."""
    kept = [np.flatnonzero(~sample.ignored) for sample in wanted.samples]
    boxes = [sample.boxes[rows].astype(np.float64) for sample, rows in zip(wanted.samples, kept, strict=True)]
    return LabelTable(
        np.repeat(np.arange(len(wanted)), [len(rows) for rows in kept]),
        np.concatenate([np.zeros(0, np.int64), *kept]),
        np.concatenate([np.zeros((0, 4)), *boxes]),
        np.concatenate(
            [np.zeros(0, np.int64), *(s.classes[rows] for s, rows in zip(wanted.samples, kept, strict=True))]
        ),
        np.concatenate([np.zeros(0), *(_crowding(one) for one in boxes)]),
    )


def place_table(found: Sequence[Found], wanted: DetectionSet) -> PlaceTable:
    """Return the places of all pictures in one table, best of each picture first."""
    tables = [
        _places(i, one, sample, len(wanted.labels))
        for i, (one, sample) in enumerate(zip(found, wanted.samples, strict=True))
    ]

    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(table, name) for table in tables])

    return PlaceTable(**{name: joined(name) for name in PlaceTable.__dataclass_fields__})  # type: ignore[arg-type]


def match_places(places: PlaceTable, labels: LabelTable, pictures: int) -> Matches:
    """Match places and labels of each picture one to one."""
    place = np.full(len(labels.picture), -1, dtype=np.int64)
    label = np.full(len(places.picture), -1, dtype=np.int64)
    overlap = np.zeros(len(place))
    explained = np.zeros(len(label), dtype=np.bool_)
    for picture in range(pictures):
        ours, theirs = np.flatnonzero(labels.picture == picture), np.flatnonzero(places.picture == picture)
        if not len(ours) or not len(theirs):
            continue
        overlaps = iou(labels.boxes[ours], places.boxes[theirs])
        explained[theirs] = overlaps.max(axis=0) >= MATCH_IOU
        gain = np.where(overlaps >= LEAST_MATCH_IOU, overlaps * (0.1 + 0.9 * places.scores[theirs]), 0.0)
        for i, j in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
            if gain[i, j] > 0:
                place[ours[i]], label[theirs[j]], overlap[ours[i]] = theirs[j], ours[i], overlaps[i, j]
    return Matches(place, overlap, label, explained | (label >= 0))


def _places(picture: int, found: Found, sample: Sample, classes: int) -> PlaceTable:
    order = np.argsort(-found.scores, kind="stable")
    boxes, scores = (
        found.boxes[order].astype(np.float64),
        np.clip(found.scores[order].astype(np.float64), 1e-4, 1 - 1e-4),
    )
    said = _class_rows(found, classes)[order]
    alike = iou(boxes, boxes) >= POOL_IOU
    leader = np.full(len(order), -1, dtype=np.int64)
    for i in range(len(order)):
        if leader[i] < 0:
            leader[alike[i] & (leader < 0)] = i
    heads = np.unique(leader)
    share = np.where(leader[None, :] == heads[:, None], scores[None, :], 0.0)  # (places, detections)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    pooled, rows = share @ boxes, share @ said
    stronger = np.tril(np.ones((len(heads), len(heads)), dtype=bool), -1)
    ignored = sample.boxes[sample.ignored].astype(np.float64)
    fits = (iou(pooled, ignored) >= MATCH_IOU) | (coverage(pooled, ignored) >= PART_OF_IGNORED)
    return PlaceTable(
        np.full(len(heads), picture, dtype=np.int64),
        pooled,
        scores[heads],
        rows,
        np.where(stronger, iou(pooled, pooled), 0.0).max(axis=1, initial=0.0),
        np.where(stronger, coverage(pooled, pooled), 0.0).max(axis=1, initial=0.0),
        np.asarray(fits.any(axis=1), dtype=np.bool_),
    )


def _class_rows(found: Found, classes: int) -> Floats:
    """Return (N, C) class probabilities without zeros; from the classes alone where the model gives none."""
    if found.class_probs is None:
        rows = np.zeros((len(found.boxes), classes))
        rows[np.arange(len(rows)), found.classes] = 1.0
        rest = np.clip(1.0 - found.scores.astype(np.float64), *UNSAID)[:, None]
    else:
        rows = found.class_probs.astype(np.float64)
        rows = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-9)
        rest = np.full((len(rows), 1), 1e-3)
    return np.asarray((1 - rest) * rows + rest / classes)


def _crowding(boxes: Floats) -> Floats:
    shares = coverage(boxes, boxes)
    np.fill_diagonal(shares, 0.0)
    return np.asarray(shares.max(axis=1, initial=0.0), dtype=np.float64)
