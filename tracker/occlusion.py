"""Why something is not seen: what lies over it, and how much of it that hides."""

from __future__ import annotations

import numpy as np

from core.boxes import coverage, iou
from tracker.kalman import Floats
from tracker.table import Mask

#: Boxes of a hand in two frames overlap at least this much.
SAME_HAND_IOU = 0.1
#: Time constant of the average of a hand's speed.
SPEED_S = 0.08


class Hands:
    """The hands of now and of a moment ago: a detector that misses one for a frame does not uncover anything.

    Attributes:
        boxes: (K, 4) xyxy, all that count now.
        steps: (K, 2) how far each moved in this frame, pixels; 0 for those that were not seen in the frame before.
        speed: (K,) short average of how fast each moves, pixels/s.

    Args:
        memory_s: how long a hand that is not detected is thought to be where it was.
    """

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self.boxes: Floats = np.zeros((0, 4))
        self.steps: Floats = np.zeros((0, 2))
        self.speed: Floats = np.zeros(0)
        self._unseen_s = np.zeros(0)

    def update(self, seen: Floats, dt_s: float) -> None:
        """Take in the hands (H, 4) of a frame."""
        if not len(seen) and not len(self.boxes):
            return
        unseen_s = self._unseen_s + dt_s
        stays = unseen_s <= self._memory_s
        steps, speed = np.zeros((len(seen), 2)), np.zeros(len(seen))
        if len(seen) and len(self.boxes):
            overlap = iou(self.boxes, seen)
            stays &= overlap.max(axis=1) < SAME_HAND_IOU
            own = overlap.argmax(axis=0)
            known = overlap.max(axis=0) >= SAME_HAND_IOU
            # An arm that comes in over the border grows: its hand moves as its farthest side does.
            moved = seen - self.boxes[own]
            first = np.abs(moved[:, :2]) > np.abs(moved[:, 2:])
            steps = np.where(first, moved[:, :2], moved[:, 2:]) * known[:, None]
            share = 1.0 - np.exp(-dt_s / SPEED_S)
            speed = (1.0 - share) * self.speed[own] * known + share * np.hypot(steps[:, 0], steps[:, 1]) / dt_s
        self.boxes = np.concatenate([seen, self.boxes[stays]])
        self.steps = np.concatenate([steps, np.zeros((int(np.count_nonzero(stays)), 2))])
        self.speed = np.concatenate([speed, self.speed[stays]])
        self._unseen_s = np.concatenate([np.zeros(len(seen)), unseen_s[stays]])

    def warp(self, affine: Floats) -> None:
        """Move all remembered hands with the camera, by `affine` (2, 3)."""
        points = self.boxes.reshape(-1, 2) @ affine[:, :2].T + affine[:, 2]
        self.boxes = points.reshape(-1, 4)


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
