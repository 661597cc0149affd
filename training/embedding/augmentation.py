"""What happens to a crop before the net sees it: a teaching photo and a crop of the lane must come out alike.

Geometry is one warp (turn, flip, zoom, shear) from the crop into the net's input; what lies outside is the card's pad
colour, as `models/crop_fit.py` lays it. Light, blur, resolution, noise, JPEG and covering patches follow. Everything is
drawn from the generator that is passed in: a picture depends on seed, step and place in the batch alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.embedding.crop_set import Crop

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Strength:
    """How freely crops of one source may be changed.

    Attributes:
        turn: standard deviation of the turn in radians; None for any angle.
        zoom: (least, most) of the crop that is seen, as a factor on its size: below 1 cuts in, above 1 is loose.
        shift: how far the middle moves, as a share of the crop.
        light: standard deviation of log brightness; colour casts have half of it.
        least_px: the smallest size that a crop is shrunk to and back.
        mirror: whether left and right may change places: not for things with words on them.
    """

    turn: float | None = None
    zoom: tuple[float, float] = (0.75, 1.15)
    shift: float = 0.06
    light: float = 0.2
    least_px: int = 32
    mirror: bool = False


#: Things seen from above, at any angle.
ABOVE = Strength()
#: Photos in shops: upright, the thing anywhere in them.
SHOP = Strength(turn=0.25, zoom=(0.5, 1.1), shift=0.14, light=0.25, least_px=40, mirror=True)


def varied(crop: Crop, size: int, pad: tuple[int, int, int], rng: np.random.Generator, strength: Strength) -> Picture:
    """Return a crop as another look at the same thing: (size, size, 3).

    Args:
        crop: (h, w, 3).
        size: pixels of the net's input.
        pad: RGB of what lies outside the crop.
        rng: everything that varies.
        strength: of the source.
    """
    picture = _warped(crop, size, pad, rng, strength)
    if rng.random() < 0.35:
        picture = _coarse(picture, rng, strength.least_px)
    picture = _lit(picture, rng, strength.light)
    if rng.random() < 0.25:
        sigma = rng.uniform(0.4, 1.6)
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    if rng.random() < 0.25:
        _cover(picture, rng)
    if rng.random() < 0.4:
        noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(2, 10))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        picture = _packed(picture, int(rng.integers(35, 90)))
    return picture


def _warped(crop: Crop, size: int, pad: tuple[int, int, int], rng: np.random.Generator, strength: Strength) -> Picture:
    height, width = crop.shape[:2]
    angle = rng.uniform(0, 2 * math.pi) if strength.turn is None else float(rng.normal(0, strength.turn))
    if strength.turn is None and rng.random() < 0.3:  # many crops come as they were taught
        angle = float(rng.normal(0, 0.1))
    zoom = float(np.exp(rng.uniform(*np.log(strength.zoom))))
    stretch = float(np.exp(rng.normal(0, 0.06)))
    cos, sin = math.cos(angle), math.sin(angle)
    # The turned crop's bounding box fills the input, as a detector's box around a turned thing does.
    reach = max(width * abs(cos) + height * abs(sin), width * abs(sin) + height * abs(cos)) if rng.random() < 0.7 else 0
    scale = size / (max(reach, width, height) * zoom)
    flip = -1.0 if strength.mirror and rng.random() < 0.5 else 1.0
    turn = np.array([[cos * scale * stretch * flip, -sin * scale], [sin * scale * flip, cos * scale / stretch]])
    middle = np.array([width, height]) / 2 + rng.normal(0, strength.shift, 2) * (width, height)
    matrix = np.hstack([turn, (size / 2 - turn @ middle)[:, None]])
    source = crop
    if scale < 0.6:  # a warp alone would alias
        source = np.asarray(cv2.resize(crop, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        matrix[:, :2] *= (width / source.shape[1], height / source.shape[0])
    out = cv2.warpAffine(
        source, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=pad
    )
    return np.asarray(out, np.uint8)


def _coarse(picture: Picture, rng: np.random.Generator, least: int) -> Picture:
    """Return the picture as a far camera would see it: shrunk, and enlarged again."""
    size = len(picture)
    small = int(rng.integers(min(least, size - 1), size))
    shrunk = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def _lit(picture: Picture, rng: np.random.Generator, light: float) -> Picture:
    """Change brightness, cast, contrast and gamma by one table per channel."""
    gain = np.exp(rng.normal(0, light) + rng.normal(0, light * 0.35, 3))
    gamma, contrast = float(np.exp(rng.normal(0, light * 0.6))), float(np.exp(rng.normal(0, light * 0.5)))
    level = np.arange(256)[:, None] / 255.0
    table = 0.5 + (level**gamma * gain - 0.5) * contrast
    lut = np.clip(table * 255, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    lit = np.asarray(cv2.LUT(picture, lut), np.uint8)
    if rng.random() < 0.2:
        grey = cv2.cvtColor(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        share = rng.uniform(0.1, 0.5)
        lit = np.asarray(cv2.addWeighted(lit, 1 - share, grey, share, 0), np.uint8)
    return lit


def _cover(picture: Picture, rng: np.random.Generator) -> None:
    """Lay a patch over a side or the middle, in one tone: a hand, another dish, the frame's edge."""
    size = len(picture)
    width, height = (int(rng.uniform(0.15, 0.5) * size) for _ in range(2))
    x, y = (int(rng.integers(-extent // 3, size - extent // 2)) for extent in (width, height))
    tone = rng.uniform(0, 255, 3) if rng.random() < 0.6 else np.array([214, 162, 126]) * rng.uniform(0.4, 1.1)
    picture[max(y, 0) : y + height, max(x, 0) : x + width] = np.clip(tone, 0, 255).astype(np.uint8)


def _packed(picture: Picture, quality: int) -> Picture:
    done, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR) if done else None
    if unpacked is None:
        raise ValueError(f"the JPEG codec refused a picture of {picture.shape}")
    return np.asarray(unpacked, np.uint8)
