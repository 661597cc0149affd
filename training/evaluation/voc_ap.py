"""AP as Pascal VOC defines it, at IoU 0.5 and for each class by itself.

Detections of all pictures are taken best score first. Each looks at the object of its class that it overlaps most:
below 0.5 it is a false positive; a *difficult* (ignored) object makes it count neither way; an object that is taken
already makes it a double, a false positive. With precision p and recall r after each detection:

VOC 2007:  AP = 1/11 · Σ over r' in {0, 0.1 … 1} of max{ p(r) : r >= r' }
since 2010:  AP = area under p(r), p made non-increasing from the right

Boxes are continuous here: the devkit's "+1" for pixel counts is left out. Everingham et al., IJCV 88 (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import iou
from dataset.records import DetectionSet, Sample
from training.detection_scores import MATCH_IOU, Found

#: Eleven recalls a hair low: a recall of 0.3 that comes out as 0.29999… still reaches 0.3.
_RECALLS = np.linspace(0, 1, 11) - 1e-9


@dataclass(frozen=True)
class VocFigures:
    """VOC's AP in both ways: means over the classes that occur (None without any), and each class (None: absent)."""

    eleven_point: float | None
    area: float | None
    eleven_point_by_class: tuple[float | None, ...]
    area_by_class: tuple[float | None, ...]


def voc_figures(found: Sequence[Found], wanted: DetectionSet) -> VocFigures:
    """Return VOC's figures of detections that `check_inputs` let through."""
    eleven, area = [], []
    for class_id in range(len(wanted.labels)):
        hits, truths = _hits_of_class(found, wanted.samples, class_id)
        eleven.append(eleven_point_ap(hits, truths))
        area.append(area_ap(hits, truths))
    return VocFigures(_mean(eleven), _mean(area), tuple(eleven), tuple(area))


def eleven_point_ap(hits: NDArray[np.bool_], truths: int) -> float | None:
    """Return the VOC 2007 AP of detections ordered by falling score; None when nothing was to be found.

    >>> round(eleven_point_ap(np.array([True, False, True]), truths=4), 4)  # 3 recalls at 1, 3 at 2/3, 5 at 0
    0.4545
    """
    if truths == 0:
        return None
    precision, recall = _precision_recall(hits, truths)
    return float(np.mean([precision[recall >= level].max(initial=0.0) for level in _RECALLS]))


def area_ap(hits: NDArray[np.bool_], truths: int) -> float | None:
    """Return the area under the monotonic precision of detections ordered by falling score.

    >>> round(area_ap(np.array([True, False, True]), truths=4), 4)  # 1/4 at 1, 1/4 at 2/3
    0.4167
    """
    if truths == 0:
        return None
    precision, recall = _precision_recall(hits, truths)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())


def _precision_recall(hits: NDArray[np.bool_], truths: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true = np.cumsum(hits)
    return true / np.arange(1, len(hits) + 1), true / truths


def _hits_of_class(found: Sequence[Found], samples: Sequence[Sample], class_id: int) -> tuple[NDArray[np.bool_], int]:
    """Return whether each counting detection of the class is a true positive, best score first, and the objects."""
    scores, hits, truths = [np.zeros(0)], [np.zeros(0, dtype=np.bool_)], 0
    for one, sample in zip(found, samples, strict=True):
        mine, theirs = one.classes == class_id, sample.classes == class_id
        truths += int((theirs & ~sample.ignored).sum())
        order = np.argsort(-one.scores[mine], kind="stable")
        verdicts = _verdicts(one.boxes[mine][order], sample.boxes[theirs], sample.ignored[theirs])
        counted = verdicts >= 0
        scores.append(one.scores[mine][order][counted])
        hits.append(verdicts[counted] == 1)
    ranking = np.argsort(-np.concatenate(scores), kind="stable")
    return np.concatenate(hits)[ranking], truths


def _verdicts(
    boxes: NDArray[np.float32], truth: NDArray[np.float32], difficult: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return (N,) 1 true positive, 0 false positive, -1 neither, for detections of one picture, best first."""
    verdicts = np.zeros(len(boxes), dtype=np.int64)
    if len(truth) == 0:
        return verdicts
    overlaps = iou(boxes.astype(np.float64), truth.astype(np.float64))
    taken = np.zeros(len(truth), dtype=np.bool_)
    for i, nearest in enumerate(overlaps.argmax(axis=1)):
        if overlaps[i, nearest] < MATCH_IOU - 1e-6:
            continue
        if difficult[nearest]:
            verdicts[i] = -1
        elif not taken[nearest]:
            taken[nearest], verdicts[i] = True, 1
    return verdicts


def _mean(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else None
