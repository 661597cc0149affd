"""What one frame says, in an order that does not depend on how the detector listed it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import iou
from tracker.kalman import Floats
from tracker.settings import TrackerSettings

#: A box with a shorter side (pixels) is no object.
MIN_SIDE_PX = 2.0


@dataclass(slots=True)
class Observations:
    """The usable detections of one frame, best score first.

    Attributes:
        boxes: (M, 4) xyxy pixels.
        measured: (M, 4) centre x, centre y, width, height.
        scores: (M,).
        class_ids: (M,) column of the class evidence.
        class_probs: (M, C) or None.
        hands: (H, 4) boxes of occluders.
    """

    boxes: Floats
    measured: Floats
    scores: Floats
    class_ids: NDArray[np.int64]
    class_probs: Floats | None
    hands: Floats

    def __len__(self) -> int:
        return len(self.boxes)


def observe(
    boxes: Floats,
    scores: Floats,
    class_ids: NDArray[np.int64],
    class_probs: Floats | None,
    hand_class: int,
    settings: TrackerSettings,
) -> Observations:
    """Clean, sort and thin the detections of one frame.

    Left out are: boxes that are not finite, inverted or thinner than `MIN_SIDE_PX`; scores that are not a number or
    below `low_score`; and duplicates, which overlap a better detection by more than `duplicate_iou`. Two equal dishes
    side by side, or a small one on a big one, overlap less and stay two.

    Args:
        boxes: (N, 4) xyxy pixels.
        scores: (N,) 0..1.
        class_ids: (N,).
        class_probs: (N, C) or None.
        hand_class: the class index of hands, or -1 for none.
        settings: see there.
    """
    usable = np.isfinite(boxes).all(axis=1) & (scores >= settings.low_score)
    sides = boxes[:, 2:] - boxes[:, :2]
    usable &= sides.min(axis=1, initial=np.inf) >= MIN_SIDE_PX
    order = np.lexsort((class_ids, boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -scores))
    order = order[usable[order]]
    boxes, scores, class_ids = boxes[order], scores[order], class_ids[order]
    hands = np.zeros((0, 4))
    if hand_class >= 0:
        is_hand = class_ids == hand_class
        if is_hand.any():
            hands = boxes[is_hand]
            items = ~is_hand
            boxes, scores, class_ids, order = boxes[items], scores[items], class_ids[items], order[items]
    if len(boxes) > 1 and settings.duplicate_iou < 1.0:
        first = _without_duplicates(boxes, settings.duplicate_iou)
        if first is not None:
            boxes, scores, class_ids, order = boxes[first], scores[first], class_ids[first], order[first]
    size = boxes[:, 2:] - boxes[:, :2]
    measured = np.concatenate([boxes[:, :2] + size * 0.5, size], axis=1)
    probs = None if class_probs is None else class_probs[order]
    return Observations(boxes, measured, scores, class_ids, probs, hands)


def _without_duplicates(boxes: Floats, limit: float) -> NDArray[np.intp] | None:
    """Return the rows that stay, or None when all do. Rows come best first."""
    close = iou(boxes, boxes) > limit
    if int(np.count_nonzero(close)) <= len(boxes):
        return None
    alive = np.ones(len(boxes), dtype=bool)
    for row in range(len(boxes)):
        if alive[row]:
            alive[row + 1 :] &= ~close[row, row + 1 :]
    return np.flatnonzero(alive)
