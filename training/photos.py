"""Photos of other counters as pictures of the edge recipe: boxes teach presence, classes are of no interest."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FormatError
from dataset.images import load_image
from dataset.records import DetectionSet
from training.assign import UNKNOWN_CLASS
from training.synthetic_set import Pictures


def photo_pictures(photos: DetectionSet, labels: tuple[str, ...], side: int = 320) -> Pictures:
    """Return a set in memory, each photo shrunk so that its longer side is `side` pixels.

    Args:
        photos: the set; ignored boxes count as hardly visible, so that they are neither found nor background.
        labels: of the net; none of them is given to a box.
        side: pixels.

    Raises:
        FormatError: a photo cannot be read, or is not of the size that its labels are for.
    """
    images: list[NDArray[np.uint8]] = []
    boxes: list[NDArray[np.float32]] = []
    for sample in photos.samples:
        image = load_image(sample.image)
        height, width = image.shape[:2]
        if (width, height) != (sample.width, sample.height):
            raise FormatError(
                str(sample.image), f"is {width}x{height} pixels, its labels are for {sample.width}x{sample.height}"
            )
        size = (max(1, round(width * side / max(width, height))), max(1, round(height * side / max(width, height))))
        images.append(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)[None])
        boxes.append((sample.boxes * (np.array([*size, *size]) / (width, height, width, height))).astype(np.float32))
    return Pictures(
        images,
        np.array([(i, 0) for i in range(len(images))], dtype=np.int64).reshape(-1, 2),
        boxes,
        [np.full(len(sample.boxes), UNKNOWN_CLASS, dtype=np.int64) for sample in photos.samples],
        [np.where(sample.ignored, 0.0, 1.0).astype(np.float32) for sample in photos.samples],
        [photos.name] * len(images),
        np.zeros(len(images), dtype=np.int64),
        labels,
        photos.sha256,
    )
