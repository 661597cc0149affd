"""The border of the frame: it cuts boxes, and objects leave and enter over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.boxes import area
from tracker.kalman import Floats

LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8
_BITS = np.array([LEFT, TOP, RIGHT, BOTTOM], dtype=np.int8)

#: A box whose side is this close to the border (pixels, share of the frame's shorter side) touches it.
TOUCH_PX, TOUCH_SHARE = 2.0, 0.006
#: An object of which less than this share would lie in the frame has left it.
GONE_SHARE = 0.5
#: How far ahead one looks whether an object that was lost near the border was on its way out.
LOOK_AHEAD_S = 0.2


def cut_sides(touched: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return for each box whether the edges it touches (N,) cut its width and its height (N, 2)."""
    return np.asarray(np.stack([touched & (LEFT | RIGHT), touched & (TOP | BOTTOM)], axis=1) != 0)


class FrameEdges:
    """The border of frames of one size.

    Args:
        size: width and height in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._touch = max(TOUCH_PX, TOUCH_SHARE * min(size))
        self._limit = np.array([size[0], size[1], size[0], size[1]], dtype=np.float64)

    def touched(self, boxes: Floats) -> NDArray[np.int8]:
        """Return for each box (N, 4) the edges it touches or crosses, as bits."""
        beyond = np.concatenate([boxes[:, :2], self._limit[2:] - boxes[:, 2:]], axis=1) <= self._touch
        return np.asarray(beyond @ _BITS, dtype=np.int8)

    def left_over(self, boxes: Floats, rate: Floats) -> NDArray[np.int8]:
        """Return the edges over which unseen objects have left, as bits; 0 for those still inside.

        Args:
            boxes: (N, 4) predicted, xyxy pixels.
            rate: (N, 2) velocity of the centre, pixels/s.
        """
        step = np.tile(rate * LOOK_AHEAD_S, 2)
        ahead = boxes + np.where(self.touched(boxes)[:, None] != 0, step, 0.0)
        inside = area(np.clip(ahead, 0.0, self._limit)) / np.maximum(area(ahead), 1e-9)
        return np.where(inside < GONE_SHARE, self.touched(ahead), 0).astype(np.int8)
