"""Why something is not seen: what lies over it, and how much of it that hides."""

from __future__ import annotations

import numpy as np

from core.boxes import coverage, iou
from tracker.kalman import Floats
from tracker.table import Mask


class Hands:
    """The hands of now and of a moment ago: a detector that misses one for a frame does not uncover anything.

    Args:
        memory_s: how long a hand that is not detected is thought to be where it was.
    """

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._boxes = np.zeros((0, 4))
        self._unseen_s = np.zeros(0)

    def update(self, seen: Floats, dt_s: float) -> Floats:
        """Take in the hands (H, 4) of a frame and return all that count now (K, 4)."""
        if not len(seen) and not len(self._boxes):
            return seen
        unseen_s = self._unseen_s + dt_s
        stays = unseen_s <= self._memory_s
        if len(seen) and len(self._boxes):
            stays &= iou(self._boxes, seen).max(axis=1) < 0.1
        self._boxes = np.concatenate([seen, self._boxes[stays]])
        self._unseen_s = np.concatenate([np.zeros(len(seen)), unseen_s[stays]])
        return self._boxes

    def warp(self, affine: Floats) -> None:
        """Move all remembered hands with the camera, by `affine` (2, 3)."""
        points = self._boxes.reshape(-1, 2) @ affine[:, :2].T + affine[:, 2]
        self._boxes = points.reshape(-1, 4)


def most_covered(boxes: Floats, covers: Floats, allowed: Mask | None = None) -> Floats:
    """Return the share (N,) of each box under the one box of `covers` (M, 4) that covers it most, 0..1.

    Args:
        boxes: (N, 4).
        covers: (M, 4).
        allowed: (N, M) which pairs count; None for all.
    """
    if not len(covers) or not len(boxes):
        return np.zeros(len(boxes))
    share = coverage(boxes, covers)
    if allowed is not None:
        share = np.where(allowed, share, 0.0)
    most: Floats = share.max(axis=1)
    return np.minimum(most, 1.0)
