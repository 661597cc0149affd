"""What one frame says: detections, cleaned, sorted and thinned, hands apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import iou
from tracker.kalman import Floats
from tracker.settings import TrackerSettings
from tracker.table import Mask, Rows, corners

#: A box thinner than this says nothing.
MIN_SIDE_PX = 2.0
#: Nothing is farther out than this; what is, or is no number, is no box.
FARTHEST_PX = 1e6
NO_BOXES: Floats = np.zeros((0, 4))


@dataclass(slots=True)
class Observations:
    """The usable detections of one frame, best score first.

    Attributes:
        measured: (4, M) centre x, centre y, width, height.
        scores: (M,).
        class_ids: (M,) row of the class evidence.
        class_probs: (M, C) or None.
        hands: (H, 4) boxes of occluders, xyxy.
        embeddings: (D, M) unit appearance vectors, or None.
    """

    measured: Floats
    scores: Floats
    class_ids: NDArray[np.int64]
    class_probs: Floats | None
    hands: Floats
    embeddings: Floats | None = None

    def __len__(self) -> int:
        return int(self.scores.shape[0])

    def boxes(self, columns: Rows | None = None) -> Floats:
        """Return boxes (M, 4) xyxy; of the detections `columns` (K,) only, if given."""
        measured = self.measured if columns is None else self.measured.take(columns, axis=1)
        return corners(measured[:2], measured[2:])

    def only(self, stay: Rows) -> Observations:
        """Return the detections `stay` alone, with all hands."""
        return Observations(
            self.measured.take(stay, axis=1),
            self.scores.take(stay),
            self.class_ids.take(stay),
            None if self.class_probs is None else self.class_probs[stay],
            self.hands,
            None if self.embeddings is None else self.embeddings.take(stay, axis=1),
        )


def observe(
    boxes: Floats,
    scores: Floats,
    class_ids: NDArray[np.int64],
    class_probs: Floats | None,
    hand_class: int,
    settings: TrackerSettings,
    embeddings: Floats | None = None,
) -> Observations:
    """Clean and sort the detections of one frame, and take the hands out.

    Left out are boxes that are not finite (or beyond `FARTHEST_PX`), inverted or thinner than `MIN_SIDE_PX`, and scores
    that are not a number or below `low_score`.

    Args:
        boxes: (N, 4) xyxy pixels.
        scores: (N,) 0..1.
        class_ids: (N,).
        class_probs: (N, C) or None.
        hand_class: the class index of hands, or -1 for none.
        settings: see there.
        embeddings: (N, D) unit vectors, or None.
    """
    within: Mask = np.abs(boxes) < FARTHEST_PX  # false for NaN, too
    if np.count_nonzero(within) < within.size:
        boxes = np.where(np.asarray(within.all(axis=1))[:, None], boxes, 0.0)
    if np.count_nonzero(scores <= 1.0) < scores.shape[0]:
        # Infinite and missing scores are none; a little more than 1 is 1.
        scores = np.where(np.isfinite(scores), np.minimum(scores, 1.0), 0.0)
    order = _by_score(boxes, scores, class_ids)
    low, high = boxes[:, :2].T, boxes[:, 2:].T
    sides = high - low
    measured = np.concatenate([(low + high) * 0.5, sides])
    thick, strong = sides >= MIN_SIDE_PX, scores >= settings.low_score
    if np.count_nonzero(thick) < thick.size or np.count_nonzero(strong) < strong.size:
        order = order[(thick[0] & thick[1] & strong)[order]]
    hands = NO_BOXES
    if hand_class >= 0:
        is_hand = class_ids.take(order) == hand_class
        if np.count_nonzero(is_hand):
            hands = boxes[order[is_hand]]
            order = order[~is_hand]
    return Observations(
        measured.take(order, axis=1),
        scores.take(order),
        class_ids.take(order),
        None if class_probs is None else class_probs[order],
        hands,
        None if embeddings is None else embeddings.T.take(order, axis=1),
    )


def _by_score(boxes: Floats, scores: Floats, class_ids: NDArray[np.int64]) -> Rows:
    """Return the order of detections by falling score; what is equal by box and class, so that no order counts."""
    order = (-scores).argsort(kind="stable")
    ranked = scores.take(order)
    if np.count_nonzero(ranked[1:] == ranked[:-1]):
        order = np.lexsort((class_ids, boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -scores))
    return order


def duplicates(seen: Observations, limit: float) -> Mask | None:
    """Return which detections (M,) overlap a better one by more than `limit` (IoU), or None if none does.

    Two equal dishes side by side, or a small one on a big one, overlap less and stay two.
    """
    count = len(seen)
    if count < 2 or limit >= 1.0:
        return None
    x, y = seen.measured[0], seen.measured[1]
    reach = seen.measured[2:] * (1.0 - limit)
    near = np.abs(x[:, None] - x) <= reach[0][:, None]
    near &= np.abs(y[:, None] - y) <= reach[1][:, None]
    if np.count_nonzero(near) <= count:
        return None
    boxes = seen.boxes()
    close = iou(boxes, boxes) > limit
    spare = np.zeros(count, dtype=bool)
    for row in range(count):
        if not spare[row]:
            spare[row + 1 :] |= close[row, row + 1 :]
    return spare if np.count_nonzero(spare) else None
