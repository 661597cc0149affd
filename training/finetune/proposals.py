"""What a teacher sees in a batch, beside what its labels say: which label each of its proposals is about, if any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.boxes import coverage, iou
from training.detection_scores import MATCH_IOU, PART_OF_IGNORED, Found, Wanted
from training.finetune.batches import Target
from training.finetune.belief import Bools, Floats, Ints

#: A proposal that overlaps a label or a stronger proposal by this is about the same thing; between this and MATCH_IOU
#: it may be a bad box of it, and says nothing.
SAME_IOU = 0.35
#: With this share of itself inside a label or a stronger proposal it may be a part of that.
PART = 0.7


@dataclass(frozen=True)
class Sight:
    """The teacher's view of one picture.

    Attributes:
        free: (F,) rows of the detections that no label explains, best first, each about a thing of its own.
        of_label: (n,) row of the detection that is about each label, -1 for none and for ignored labels.
    """

    free: Ints
    of_label: Ints


def looked_at(found: Found, target: Target) -> Sight:
    """Return which detections are about which labels of a picture, and which are proposals of something else."""
    labels = _truth(target)
    boxes, real = found.boxes.astype(np.float64), np.flatnonzero(labels.wanted)
    of_label = np.full(len(labels.boxes), -1, dtype=np.int64)
    order = np.argsort(-found.scores, kind="stable")
    overlaps = iou(boxes, labels.boxes.astype(np.float64))  # (N, n)
    for i in order:
        open_to = np.where(of_label[real] < 0, overlaps[i, real], 0.0)
        if len(real) and open_to.max() >= MATCH_IOU:
            of_label[real[open_to.argmax()]] = i
    near = (overlaps >= SAME_IOU) | (coverage(boxes, labels.boxes.astype(np.float64)) >= PART)
    ignored = coverage(boxes, labels.boxes[~labels.wanted].astype(np.float64)) >= PART_OF_IGNORED
    alone = np.asarray(~(near.any(axis=1) | ignored.any(axis=1)))
    return Sight(_of_their_own(boxes, order[alone[order]]), of_label)


def _of_their_own(boxes: Floats, order: Ints) -> Ints:
    """Return the rows that neither overlap a stronger one nor are a part of it, in their order."""
    overlaps, covered = iou(boxes, boxes), coverage(boxes, boxes)
    kept: list[int] = []
    for i in order.tolist():
        if not kept or (overlaps[i, kept].max() < SAME_IOU and covered[i, kept].max() < PART):
            kept.append(i)
    return np.array(kept, dtype=np.int64)


def class_rows(found: Found, rows: Ints) -> Floats:
    """Return class probabilities (N, C) of detections that have some, rows summing to 1, none 0."""
    if found.class_probs is None:
        raise ValueError("these detections have no class probabilities")
    raw = found.class_probs[rows].astype(np.float64) + 1e-4
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def _truth(target: Target) -> Wanted:
    wanted: Bools = ~target.ignored.cpu().numpy()
    return Wanted(target.boxes.cpu().numpy(), target.classes.cpu().numpy(), wanted)
