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
    sides = boxes[:, 2:] - boxes[:, :2]
    # A comparison with NaN is false; infinite boxes need a second look, which the sum pays for.
    usable = (sides >= MIN_SIDE_PX).all(axis=1) & (scores >= settings.low_score)
    if not np.isfinite(boxes.sum()):
        usable &= np.isfinite(boxes).all(axis=1)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    if (ranked[1:] == ranked[:-1]).any():
        order = np.lexsort((class_ids, boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -scores))
    if not usable.all():
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
    centre, reach = (boxes[:, :2] + boxes[:, 2:]) * 0.5, (boxes[:, 2:] - boxes[:, :2]) * (1.0 - limit)
    near = np.abs(centre[:, None, 0] - centre[None, :, 0]) <= reach[:, None, 0]
    near &= np.abs(centre[:, None, 1] - centre[None, :, 1]) <= reach[:, None, 1]
    if int(np.count_nonzero(near)) <= len(boxes):
        return None
    close = iou(boxes, boxes) > limit
    alive = np.ones(len(boxes), dtype=bool)
    for row in range(len(boxes)):
        if alive[row]:
            alive[row + 1 :] &= ~close[row, row + 1 :]
    return np.flatnonzero(alive)
