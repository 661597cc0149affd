"""Frames of the stress worlds, drawn in memory: as the yardstick's `--render` does, but some 20 times faster.

It draws only the window of each object, and adds the sensor's noise after halving (standard deviation 1.5 there is what
averaging four pixels with 3 leaves). Without noise the picture equals the yardstick's, which a test holds.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.tracker_tools import Tools

Image = NDArray[np.uint8]

NOISE = 3.0
BAR_COLOUR, HAND_COLOUR = (40.0, 40.0, 45.0), (120.0, 150.0, 205.0)
DISH_COLOURS = np.array(
    [[220, 220, 220], [190, 210, 235], [200, 230, 200], [180, 180, 230], [230, 215, 190]], dtype=np.float32
)
#: The table is drawn this much larger than the frame on each side, so that the camera can shake.
MARGIN = 160


class Renderer:
    """Draws the frames of one world.

    Args:
        tools: the yardsticks.
        world: made by `stress.make`.
        full: whether frames have the size of the world, instead of half of it.
    """

    def __init__(self, tools: Tools, world: Any, full: bool = False) -> None:
        self._world, self._full = world, full
        self._width, self._height = tools.stress.W, tools.stress.H
        rng = np.random.default_rng(0)
        blocks = rng.integers(60, 110, (self._height // 8 + 40, self._width // 8 + 40))
        self._table = np.repeat(np.repeat(blocks, 8, 0), 8, 1).astype(np.float32)

    def frame(self, index: int) -> Image:
        """Return frame `index` (from 0) as (H, W, 3) uint8 RGB."""
        time = int(self._world.keep[index])
        picture = self.clean(index)
        if not self._full:
            picture = cv2.resize(picture, (self._width // 2, self._height // 2), interpolation=cv2.INTER_AREA)
        noise = np.random.default_rng([0, time]).standard_normal(picture.shape, dtype=np.float32)
        picture += noise * np.float32(NOISE if self._full else NOISE / 2)
        return np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8)[:, :, ::-1])

    def clean(self, index: int) -> NDArray[np.float32]:
        """Return frame `index` without noise as (H, W, 3) float32 BGR at the size of the world."""
        world, time = self._world, int(self._world.keep[index])
        shift = world.cam[time]
        left, top = int(MARGIN - round(shift[0])), int(MARGIN - round(shift[1]))
        table = self._table[top : top + self._height, left : left + self._width]
        picture = np.repeat(table[:, :, None], 3, axis=2)
        for k in sorted(range(len(world.objs)), key=lambda k: float(world.objs[k].z[time])):
            if world.objs[k].on[time]:
                self._draw(picture, world.objs[k], world.objs[k].c[time] + shift)
        return picture

    def _draw(self, picture: NDArray[np.float32], thing: Any, centre: NDArray[np.float64]) -> None:
        half = thing.size / 2
        low = np.maximum(np.floor(centre - half), 0).astype(int)
        high = np.minimum(np.ceil(centre + half) + 1, (self._width, self._height)).astype(int)
        if thing.shape == "hand":
            high[1] = self._height  # the arm
        if (high <= low).any():
            return
        dy, dx = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float64)
        dx, dy = dx - centre[0], dy - centre[1]
        window = picture[low[1] : high[1], low[0] : high[0]]
        if thing.shape == "box":
            inside = (np.abs(dx) <= half[0]) & (np.abs(dy) <= half[1])
            window[inside] = BAR_COLOUR
            return
        reach = (dx / half[0]) ** 2 + (dy / half[1]) ** 2
        inside = reach <= 1
        if thing.shape == "hand":
            inside |= (np.abs(dx) <= half[0] * 0.5) & (dy >= 0)
            colour, texture = np.array(HAND_COLOUR), 8 * np.sin(dx / 9)
        else:
            rng = np.random.default_rng(100 + thing.cls)
            f = rng.uniform(0.05, 0.2, 2)
            rim = -25.0 * (np.abs(np.sqrt(reach) - 0.85) < 0.06)
            colour, texture = (
                DISH_COLOURS[thing.cls % 5],
                np.where(reach < 0.6, 22 * np.sin(dx * f[0]) * np.cos(dy * f[1]), rim),
            )
        window[inside] = (colour + texture[:, :, None])[inside]
