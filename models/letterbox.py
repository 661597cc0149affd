"""Fit frames into a network's input, and boxes back into the frame.

The work is done in the smallest pieces: one resize into a buffer that stays, one split into planes, and one pass that
turns each plane into floats; the border is written once and only again when the frame's size changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.card import InputSpec

_ZERO = np.float32(0)


@dataclass(frozen=True, slots=True)
class Fit:
    """How one frame lies in the input: `input = frame * (scale_x, scale_y) + (left, top)`, in pixels."""

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int
    inner_width: int
    inner_height: int
    _shift: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    _scale: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    _limit: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The same for each frame of a size: made once.
        for name, pair in (
            ("_shift", (self.left, self.top)),
            ("_scale", (self.scale_x, self.scale_y)),
            ("_limit", (self.width, self.height)),
        ):
            object.__setattr__(self, name, np.array(pair * 2, dtype=np.float32))

    def to_frame(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return input-pixel xyxy boxes (N, 4) as pixels of the frame, cut to it."""
        back: NDArray[np.float32] = (boxes - self._shift) / self._scale
        np.maximum(back, _ZERO, out=back)
        np.minimum(back, self._limit, out=back)
        return back


def fit(spec: InputSpec, width: int, height: int) -> Fit:
    """Return how a frame of `width` x `height` pixels is laid into the input.

    "topleft" and "center" keep the frame's shape, "stretch" does not.
    """
    if spec.letterbox == "stretch":
        inner_width, inner_height = spec.width, spec.height
    else:
        ratio = min(spec.width / width, spec.height / height)
        # The reference exports of YOLOX cut and those of YOLOv8 round; one pixel matters to neither.
        whole = int if spec.letterbox == "topleft" else round
        inner_width = min(spec.width, max(1, whole(width * ratio)))
        inner_height = min(spec.height, max(1, whole(height * ratio)))
    left = top = 0
    if spec.letterbox == "center":
        left, top = (spec.width - inner_width) // 2, (spec.height - inner_height) // 2
    return Fit(width, height, inner_width / width, inner_height / height, left, top, inner_width, inner_height)


class Letterbox:
    """Writes frames into one image of an input batch; made once, used for every frame that takes this place.

    Args:
        spec: what the network eats.
        into: float32 (3, height, width), or (height, width, 3) for the nhwc layout; a view that stays valid.
    """

    def __init__(self, spec: InputSpec, into: NDArray[np.float32]) -> None:
        self._spec = spec
        self._target = into.transpose(2, 0, 1) if spec.layout == "nhwc" else into
        scale = np.array([spec.scale / std for std in spec.std], dtype=np.float64)
        shift = np.array([-mean / std for mean, std in zip(spec.mean, spec.std, strict=True)], dtype=np.float64)
        values = np.arange(256, dtype=np.float64)
        # (3, 256): what each pixel value becomes, per channel of the network.
        self._table = (values * scale[:, None] + shift[:, None]).astype(np.float32)
        self._plain = bool((self._table == np.arange(256, dtype=np.float32)).all())
        self._channels = (0, 1, 2) if spec.color == "rgb" else (2, 1, 0)
        self._fit: Fit | None = None
        self._small = np.empty((0, 0, 3), np.uint8)
        self._planes: list[NDArray[np.uint8]] = []
        self._inner = self._target

    def write(self, image: NDArray[np.uint8]) -> Fit:
        """Fit `image`, (H, W, 3) uint8 RGB, into the batch and return how it lies there; `image` is only read."""
        height, width = image.shape[:2]
        where = self._fit
        if where is None or (where.width, where.height) != (width, height):
            where = self._begin(width, height)
        small = image
        if image.shape[:2] != self._small.shape[:2]:
            size = (where.inner_width, where.inner_height)
            small = self._small
            cv2.resize(image, size, dst=small, interpolation=cv2.INTER_LINEAR)
        cv2.split(small, self._planes)
        for channel, source in enumerate(self._channels):
            plane = self._planes[source]
            # A plain copy also converts to float and costs half of a table look-up.
            self._inner[channel] = plane if self._plain else cv2.LUT(plane, self._table[channel])
        return where

    def _begin(self, width: int, height: int) -> Fit:
        """Make the buffers and the border ready for frames of a new size."""
        where = self._fit = fit(self._spec, width, height)
        size = (where.inner_height, where.inner_width)
        self._small = np.empty((*size, 3), np.uint8)
        self._planes = [np.empty(size, np.uint8) for _ in range(3)]
        pad = self._spec.pad
        self._target[:] = self._table[[0, 1, 2], [pad] * 3 if isinstance(pad, int) else list(pad), None, None]
        bottom, right = where.top + where.inner_height, where.left + where.inner_width
        self._inner = self._target[:, where.top : bottom, where.left : right]
        return where
