"""Fit crops of any size into an embedder's input: the same way when a dish is taught and when it is seen.

A crop keeps its shape and lies in the middle; what is left is the card's pad colour. Large crops (a phone's photo) are
shrunk by area, so that they look as a lane's small crops do, and small ones are enlarged by linear interpolation. The
embedder's training (`training/embedding/`) comes through here, too.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.card import InputSpec
from models.letterbox import Letterbox, fit


def fitted(spec: InputSpec, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a crop as the net takes it.

    Args:
        spec: the card's input; its layout must be nchw.
        crop: uint8 (height, width, 3) RGB of at least one pixel.

    Returns:
        float32 (3, spec.height, spec.width), scaled and normalised.
    """
    pixels = np.empty((3, spec.height, spec.width), dtype=np.float32)
    Letterbox(spec, pixels).write(resized(spec, crop))
    return pixels


def resized(spec: InputSpec, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a crop at the size at which it lies in the input.

    Raises:
        ValueError: not uint8 (height, width, 3), or empty.
    """
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape:
        raise ValueError(f"a crop must be uint8 (height, width, 3) of at least a pixel, got {crop.dtype} {crop.shape}")
    height, width = crop.shape[:2]
    where = fit(spec, width, height)
    size = (where.inner_width, where.inner_height)
    if size == (width, height):
        return crop
    shrinks = where.inner_width * where.inner_height < width * height
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, size, interpolation=way), np.uint8)
