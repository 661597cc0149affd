"""A picture with its boxes while it is being changed: uint8 pixels, numpy boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.boxes import area, clip
from core.errors import DataError
from dataset.images import load_image
from dataset.records import Sample
from models.card import InputSpec
from models.letterbox import fit

PAD = 114
#: A box with a thinner side is left out after a change.
THINNEST_PX = 2.0


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels and boxes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (n, 4) float32 xyxy, pixels, inside the picture.
        classes: (n,) int64.
        ignored: (n,) bool.
        where: the file or files that the pixels come from.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    where: str

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.image.shape[0])


def load(sample: Sample, longest: int | None = None) -> Picture:
    """Read a sample's picture; a `longest` side (pixels) scales larger ones down, at once and in their shape.

    Raises:
        DataError: the file is missing or corrupt, or is not the picture that was annotated any more.
    """
    image = load_image(sample.image)
    if image.shape[:2] != (sample.height, sample.width):
        raise DataError(
            f"{sample.image}: the picture has {image.shape[1]}x{image.shape[0]} pixels, but its boxes were read for "
            f"{sample.width}x{sample.height}; it was changed since: read the set again"
        )
    picture = Picture(image, sample.boxes, sample.classes, sample.ignored, str(sample.image))
    if longest is None or max(image.shape[:2]) <= longest:
        return picture
    ratio = longest / max(image.shape[:2])
    return scaled(picture, max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)), cv2.INTER_AREA)


def scaled(picture: Picture, width: int, height: int, way: int = cv2.INTER_LINEAR) -> Picture:
    """Return the picture with `width` x `height` pixels; `way` is an interpolation of OpenCV."""
    if (width, height) == (picture.width, picture.height):
        return picture
    image = np.asarray(cv2.resize(picture.image, (width, height), interpolation=way), dtype=np.uint8)
    ratio = np.array([width / picture.width, height / picture.height] * 2, dtype=np.float32)
    return Picture(image, picture.boxes * ratio, picture.classes, picture.ignored, picture.where)


Place = Literal["topleft", "center", "stretch"]


def resize_to(picture: Picture, size: tuple[int, int], place: Place = "topleft", pad: int = PAD) -> Picture:
    """Return the picture laid into a canvas of `size` (width, height), as the product lays a frame into a net.

    Args:
        picture: of any size.
        size: width and height of the canvas.
        place: "topleft" or "center" keep the picture's shape and pad the rest; "stretch" does not.
        pad: grey value around the picture.
    """
    how = fit(InputSpec(width=size[0], height=size[1], letterbox=place, pad=pad), picture.width, picture.height)
    inner = scaled(picture, how.inner_width, how.inner_height)
    canvas = np.full((size[1], size[0], 3), pad, dtype=np.uint8)
    canvas[how.top : how.top + inner.height, how.left : how.left + inner.width] = inner.image
    shift = np.array([how.left, how.top] * 2, dtype=np.float32)
    return Picture(canvas, inner.boxes + shift, picture.classes, picture.ignored, picture.where)


def settle(picture: Picture, min_visible: float) -> Picture:
    """Cut boxes to the picture: of which too little is left is ignored, of which nothing is left goes out.

    Args:
        picture: its boxes may reach outside.
        min_visible: share of a box that must lie inside for it to be asked for, 0..1.
    """
    inside = clip(picture.boxes, picture.width, picture.height).astype(np.float32)
    share = area(inside) / np.maximum(area(picture.boxes), 1e-6)
    sides = inside[:, 2:] - inside[:, :2]
    kept = (sides >= THINNEST_PX).all(axis=1)
    ignored = picture.ignored | (share < min_visible)
    return Picture(picture.image, inside[kept], picture.classes[kept], ignored[kept], picture.where)
