"""How a photo is brought to the shape and the numbers that a net was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Triple = tuple[float, float, float]
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Fit:
    """What a net eats: pixels 0..1 become (value - mean) / std, for each channel in the order of `color`.

    Attributes:
        side: of the square, in pixels.
        shorter: what the photo's shorter side is scaled to before the middle is cut out; 0 squeezes the whole photo.
        color: order of the channels, "rgb" or "bgr".
        mean: subtracted.
        std: divided by.
    """

    side: int
    shorter: int
    color: str = "rgb"
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)


def fitted(pixels: NDArray[np.uint8], fit: Fit) -> NDArray[np.float32]:
    """Return (3, side, side) float32 of a photo (H, W, 3) uint8 RGB."""
    if fit.shorter:
        height, width = pixels.shape[:2]
        scale = fit.shorter / min(height, width)
        scaled = _scaled(pixels, max(fit.side, round(width * scale)), max(fit.side, round(height * scale)))
        top, left = (scaled.shape[0] - fit.side) // 2, (scaled.shape[1] - fit.side) // 2
        square = scaled[top : top + fit.side, left : left + fit.side]
    else:
        square = _scaled(pixels, fit.side, fit.side)
    if fit.color == "bgr":
        square = square[:, :, ::-1]
    numbers = (square.astype(np.float32) / 255 - np.array(fit.mean, np.float32)) / np.array(fit.std, np.float32)
    return np.ascontiguousarray(numbers.transpose(2, 0, 1), dtype=np.float32)


def _scaled(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    smaller = width < pixels.shape[1] or height < pixels.shape[0]
    scaled = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=np.uint8)
