"""The border of the frame: it cuts boxes, and objects leave and enter over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.boxes import area
from tracker.kalman import Floats
from tracker.table import Mask, corners

LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8
_BITS = np.array([LEFT, TOP, RIGHT, BOTTOM])
_ACROSS = np.array([[LEFT | RIGHT], [TOP | BOTTOM]])

#: A box whose side is this close to the border (pixels, share of the frame's shorter side) touches it.
TOUCH_PX, TOUCH_SHARE = 2.0, 0.006
#: An object of which less than this share would lie in the frame has left it.
GONE_SHARE = 0.5
#: How far ahead one looks whether an object that was lost near the border was on its way out.
LOOK_AHEAD_S = 0.2


def cut_sides(touched: NDArray[np.int64]) -> Mask:
    """Return for each box whether the edges it touches (N,) cut its width and its height (2, N)."""
    return np.asarray((touched & _ACROSS) != 0)


class FrameEdges:
    """The border of frames of one size.

    Args:
        size: width and height in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        touch = max(TOUCH_PX, TOUCH_SHARE * min(size))
        self._low = touch
        self._high = np.array([[size[0] - touch], [size[1] - touch]])
        #: Low limit of touching, and the high ones in x and y.
        self.limits = (touch, size[0] - touch, size[1] - touch)
        self._limit = np.array([size[0], size[1], size[0], size[1]], dtype=np.float64)

    def touched(self, mean: Floats) -> NDArray[np.int64]:
        """Return for each box (4, N) (centre x, centre y, width, height) the edges it touches or crosses, as bits."""
        half = mean[2:] * 0.5
        beyond = np.concatenate([mean[:2] - half <= self._low, mean[:2] + half >= self._high])
        return np.asarray(_BITS @ beyond)

    def left_over(self, mean: Floats, rate: Floats) -> NDArray[np.int64]:
        """Return the edges over which unseen objects have left, as bits; 0 for those still inside.

        Args:
            mean: (4, N) predicted boxes: centre x, centre y, width, height.
            rate: (2, N) velocity of the centre, pixels/s.
        """
        at_edge = self.touched(mean) != 0
        if not np.count_nonzero(at_edge):
            return np.zeros(mean.shape[1], np.int64)
        ahead = mean.copy()
        ahead[:2] += np.where(at_edge, rate * LOOK_AHEAD_S, 0.0)
        boxes = corners(ahead[:2], ahead[2:])
        inside = area(np.clip(boxes, 0.0, self._limit)) / np.maximum(area(boxes), 1e-9)
        return np.where(inside < GONE_SHARE, self.touched(ahead), 0)
