"""From candidates to detections: map classes to labels, keep the best, and let one object be one box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.boxes import iou
from core.errors import InferenceError
from core.records import HAND, Detections, Frame
from models.candidates import Candidates
from models.card import ModelCard
from models.letterbox import Fit
from models.settings import DetectorSettings

#: Two boxes of different labels that overlap by more than this are two opinions on one object.
SAME_OBJECT_IOU = 0.8
#: No IoU is larger: such a pair never suppresses.
_NEVER = 2.0


class Selection:
    """Makes `Detections` of one frame from a model's candidates.

    Args:
        card: the model's classes, their map and who suppresses whom.
        settings: thresholds.
    """

    def __init__(self, card: ModelCard, settings: DetectorSettings) -> None:
        self._name, self._labels = card.full_name, card.labels
        self._min_score, self._most = settings.min_score, settings.max_detections
        of_class = np.array(card.label_of_class)
        self._ignores = bool((of_class < 0).any())
        kept = np.flatnonzero(of_class >= 0)
        # Columns in the order of their labels; `_starts` is where each label's columns begin.
        self._columns = kept[np.argsort(of_class[kept], kind="stable")]
        self._starts = np.searchsorted(of_class[self._columns], np.arange(len(self._labels)))
        self._straight = len(self._columns) == len(self._labels)
        self._limits = pair_limits(self._labels, card.suppression, settings.nms_iou)

    def select(self, candidates: Candidates, where: Fit, frame: Frame) -> Detections:
        """Return the detections of `frame`, best score first.

        A candidate whose best class is an ignored one is left out: the model thinks it is something else.

        Raises:
            InferenceError: the model gave boxes that are not numbers.
        """
        scores = self._per_label(candidates.scores, np.maximum)
        best = scores.max(axis=1)
        keep = best >= self._min_score
        if self._ignores:
            keep &= best >= candidates.scores.max(axis=1)
        at = keep.nonzero()[0]
        at = at[(-best[at]).argsort(kind="stable")[: self._most]]
        boxes = where.to_frame(candidates.boxes[at])
        if not np.isfinite(boxes).all():
            raise InferenceError(
                f"{self._name} gave boxes that are not numbers on frame {frame.index}; check its weights"
            )
        # What lies outside of the frame is cut to nothing.
        visible = (boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)
        if not visible.all():
            at, boxes = at[visible], boxes[visible]
        class_ids = scores[at].argmax(axis=1)
        alive = suppress(boxes, self._limits[class_ids[:, None], class_ids])
        if len(alive) < len(at):
            at, boxes, class_ids = at[alive], boxes[alive], class_ids[alive]
        return Detections(
            frame_index=frame.index,
            captured_at_s=frame.captured_at_s,
            boxes=boxes,
            scores=np.minimum(best[at], np.float32(1)),
            class_ids=class_ids,
            labels=self._labels,
            class_probs=self._per_label(candidates.probs[at], np.add),
            model=self._name,
        )

    def _per_label(self, table: NDArray[np.float32], join: np.ufunc) -> NDArray[np.float32]:
        """Return (M, labels) of a (M, classes) table; `join` unites classes that share a label."""
        columns: NDArray[np.float32] = table[:, self._columns]
        if self._straight:
            return columns
        joined: NDArray[np.float32] = join.reduceat(columns, self._starts, axis=1)
        return joined


def pair_limits(labels: tuple[str, ...], mode: str, iou_limit: float) -> NDArray[np.float32]:
    """Return the IoU (labels, labels) above which the better box of a pair stays alone.

    Args:
        labels: of the model.
        mode: "label" (same label at `iou_limit`, nearly the same box whatever the label), "all" (whatever the label
            at `iou_limit`) or "none". A hand never suppresses an item, nor an item a hand: both are there.
        iou_limit: 0..1.
    """
    count = len(labels)
    if mode == "none":
        return np.full((count, count), _NEVER, dtype=np.float32)
    across = iou_limit if mode == "all" else max(iou_limit, SAME_OBJECT_IOU)
    limits = np.full((count, count), across, dtype=np.float32)
    hands = np.array([label == HAND for label in labels])
    limits[hands[:, None] != hands[None, :]] = _NEVER
    np.fill_diagonal(limits, iou_limit)
    return limits


def suppress(boxes: NDArray[np.float32], limits: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the indices that greedy non-maximum suppression keeps.

    Args:
        boxes: (N, 4) xyxy, best first.
        limits: (N, N) overlap above which the later box of the pair goes.
    """
    if len(boxes) < 2:
        return np.arange(len(boxes))
    doubles = iou(boxes, boxes) > limits
    waiting = np.arange(len(boxes))
    kept = []
    while len(waiting):
        first = waiting[0]
        kept.append(first)
        waiting = waiting[1:][~doubles[first, waiting[1:]]]
    return np.array(kept, dtype=np.intp)
