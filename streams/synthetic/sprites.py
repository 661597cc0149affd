"""From paintings to pixels: bake a canvas into a turned sprite with its shadow, and lay sprites over a picture.

Sprites are premultiplied uint8, so that compositing is one multiply and one add per sprite ("over" of Porter
and Duff 1984).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.paint import Canvas, Image, Mask

#: The lamp hangs at the upper left: shadows fall this many cm to the right and down per cm of height.
SHADOW = (0.32, 0.42)


@dataclass(eq=False)
class Sprite:
    """A thing ready to be laid over a picture.

    Attributes:
        rgba: (h, w, 4) uint8, premultiplied, with its shadow.
        anchor: (x, y) pixels of its middle inside `rgba`.
        extent: x1, y1, x2, y2 pixels of its opaque part relative to the anchor.
        solid: (h/2, w/2) bool, the opaque part at half resolution; for visibility.
        area: number of True in `solid`.
    """

    rgba: Image
    anchor: tuple[float, float]
    extent: tuple[float, float, float, float]
    solid: NDArray[np.bool_]
    area: int
    _memo: tuple[float, float, Image, Image] | None = field(default=None, repr=False)

    def shifted(self, fx: float, fy: float) -> tuple[Image, Image]:
        """Return colour (h+1, w+1, 3) and what it leaves of the ground (h+1, w+1, 3), moved by a part of a pixel."""
        if self._memo is not None and self._memo[0] == fx and self._memo[1] == fy:
            return self._memo[2], self._memo[3]
        moved = _translate(self.rgba, fx, fy, 1, 1)
        colour, ground = _split(moved)
        self._memo = (fx, fy, colour, ground)
        return colour, ground


def bake(canvas: Canvas, px_cm: float, angle: float, height_cm: float, shadow: float = 0.42) -> Sprite:
    """Turn a painting by `angle` radians, shrink it to `px_cm` and lay a soft shadow under it.

    Args:
        canvas: the painting; its origin becomes the anchor.
        px_cm: pixels per centimetre of the picture.
        angle: clockwise on the picture.
        height_cm: how high the thing is; longer and softer shadows for high things.
        shadow: darkness of the shadow, 0..1.
    """
    turned, anchor = _turn(canvas, px_cm, angle)
    offset = (SHADOW[0] * height_cm * px_cm, SHADOW[1] * height_cm * px_cm)
    blur = max(0.18 * height_cm * px_cm, 0.7)
    margin = math.ceil(max(offset) + 2.5 * blur) + 1
    padded: Image = np.zeros((turned.shape[0] + 2 * margin, turned.shape[1] + 2 * margin, 4), np.uint8)
    padded[margin:-margin, margin:-margin] = turned
    alpha: Mask = padded[..., 3].copy()
    dark = cv2.GaussianBlur(_translate(alpha, *offset), (0, 0), blur)
    rest = (255 - alpha).astype(np.float32) / 255.0
    padded[..., 3] = np.clip(alpha + dark * shadow * rest, 0, 255).astype(np.uint8)
    return _trimmed(padded, alpha, (anchor[0] + margin, anchor[1] + margin))


def _turn(canvas: Canvas, px_cm: float, angle: float) -> tuple[Image, tuple[float, float]]:
    """Return the premultiplied painting (h, w, 4) turned and shrunk, and its anchor."""
    scale = px_cm / canvas.px_cm
    alpha = canvas.alpha
    premultiplied = cv2.multiply(canvas.rgb, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    rgba = np.dstack([premultiplied, alpha])
    h, w = alpha.shape
    c, s = math.cos(angle), math.sin(angle)
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float64) - canvas.origin
    spun = corners @ np.array([[c, s], [-s, c]])
    low, high = spun.min(axis=0), spun.max(axis=0)
    step = 1 / scale
    size = np.ceil((high - low) / step).astype(int) + 2
    large = np.rint(size * step).astype(int)
    matrix = np.array([[c, -s, 0], [s, c, 0]], np.float64)
    matrix[:, 2] = -(matrix[:, :2] @ np.array(canvas.origin)) - low + step
    full = cv2.warpAffine(rgba, matrix, (int(large[0]), int(large[1])), flags=cv2.INTER_LINEAR)
    small = np.asarray(cv2.resize(full, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA), np.uint8)
    return small, (float((step - low[0]) / step), float((step - low[1]) / step))


def _trimmed(rgba: Image, solid_alpha: Mask, anchor: tuple[float, float]) -> Sprite:
    """Cut away empty borders and measure the opaque part."""
    x, y, w, h = cv2.boundingRect((rgba[..., 3] > 2).astype(np.uint8))
    rgba = np.ascontiguousarray(rgba[y : y + h, x : x + w])
    solid = solid_alpha[y : y + h, x : x + w] > 110
    ax, ay = anchor[0] - x, anchor[1] - y
    sx, sy, sw, sh = cv2.boundingRect(solid.astype(np.uint8))
    half = np.ascontiguousarray(solid[::2, ::2])
    return Sprite(rgba, (ax, ay), (sx - ax, sy - ay, sx + sw - ax, sy + sh - ay), half, int(half.sum()))


def _translate(image: Image, dx: float, dy: float, more_x: int = 0, more_y: int = 0) -> Image:
    h, w = image.shape[:2]
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    return np.asarray(cv2.warpAffine(image, matrix, (w + more_x, h + more_y), flags=cv2.INTER_LINEAR), np.uint8)


def _split(rgba: Image) -> tuple[Image, Image]:
    colour = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
    ground = cv2.bitwise_not(cv2.extractChannel(rgba, 3))
    return colour, np.asarray(cv2.cvtColor(ground, cv2.COLOR_GRAY2RGB), np.uint8)


def lay(picture: Image, sprite: Sprite, x: float, y: float, smear: tuple[float, float] = (0.0, 0.0)) -> None:
    """Lay a sprite over a picture (H, W, 3) with its anchor at x, y; `smear` is its motion blur in pixels."""
    left, top = x - sprite.anchor[0], y - sprite.anchor[1]
    bx, by = int(abs(smear[0]) / 2 + 0.5), int(abs(smear[1]) / 2 + 0.5)
    col, row = math.floor(left), math.floor(top)
    h, w = sprite.rgba.shape[:2]
    if col - bx >= picture.shape[1] or row - by >= picture.shape[0] or col + w + bx < 0 or row + h + by < 0:
        return
    # Sixteenths of a pixel: nobody sees less, and things at rest keep their cached patch.
    fx, fy = round((left - col) * 16) / 16, round((top - row) * 16) / 16
    if bx or by:
        moved = _translate(sprite.rgba, fx + bx, fy + by, 1 + 2 * bx, 1 + 2 * by)
        colour, ground = _split(np.asarray(cv2.blur(moved, (2 * bx + 1, 2 * by + 1)), np.uint8))
        col, row = col - bx, row - by
    else:
        colour, ground = sprite.shifted(fx, fy)
    h, w = colour.shape[:2]
    x0, y0, x1, y1 = max(col, 0), max(row, 0), min(col + w, picture.shape[1]), min(row + h, picture.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    cut = np.s_[y0 - row : y1 - row, x0 - col : x1 - col]
    under = picture[y0:y1, x0:x1]
    picture[y0:y1, x0:x1] = cv2.add(cv2.multiply(under, ground[cut], scale=1 / 255), colour[cut])


def stamp(owners: NDArray[np.int16], sprite: Sprite, x: float, y: float, owner: int) -> None:
    """Write `owner` into the half-resolution map (H/2, W/2) wherever the sprite is opaque."""
    col = round((x - sprite.anchor[0]) / 2)
    row = round((y - sprite.anchor[1]) / 2)
    h, w = sprite.solid.shape
    x0, y0, x1, y1 = max(col, 0), max(row, 0), min(col + w, owners.shape[1]), min(row + h, owners.shape[0])
    if x0 < x1 and y0 < y1:
        cut = sprite.solid[y0 - row : y1 - row, x0 - col : x1 - col]
        np.copyto(owners[y0:y1, x0:x1], np.int16(owner), where=cut)
