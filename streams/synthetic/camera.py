"""The camera over the counter: white balance, light that changes and flickers, passing shadows, shake, noise, JPEG."""

from __future__ import annotations

import math

import cv2
import numpy as np

from streams.synthetic.paint import Image
from streams.synthetic.presets import Preset

_NOISE_MARGIN = 96


class Mount:
    """What the camera hangs on: it swings a little when people bump into the counter. Frames are given in order.

    Args:
        amplitude_px: standard deviation of the swing; 0 for a firm mount.
        dt_s: time between frames.
        rng: its own random numbers.
    """

    def __init__(self, amplitude_px: float, dt_s: float, rng: np.random.Generator) -> None:
        self._amplitude, self._dt, self._rng = amplitude_px, dt_s, rng
        self._at = np.zeros(2)
        self._velocity = np.zeros(2)

    def swing(self) -> tuple[float, float]:
        """Return how far (x, y pixels) the picture moves in the coming frame: a damped oscillator, pushed at random."""
        if self._amplitude == 0:
            return 0.0, 0.0
        stiff, damp = (2 * math.pi * 1.6) ** 2, 2 * 0.25 * 2 * math.pi * 1.6
        push = self._rng.normal(0, self._amplitude * math.sqrt(2 * damp * stiff), 2) * math.sqrt(self._dt)
        for _ in range(4):
            step = self._dt / 4
            self._velocity += (-stiff * self._at - damp * self._velocity) * step + push / 4
            self._at += self._velocity * step
        self._at = np.clip(self._at, -3 * self._amplitude, 3 * self._amplitude)
        return float(self._at[0]), float(self._at[1])


class Camera:
    """Turns clean pictures into what a cheap camera delivers. Stateful: frames are given in order.

    Args:
        preset: how strong everything is.
        width, height: of the frames, pixels.
        rng: the camera's own random numbers.
    """

    def __init__(self, preset: Preset, width: int, height: int, rng: np.random.Generator) -> None:
        self._preset, self._size, self._rng = preset, (width, height), rng
        self._balance = 1.0 + rng.normal(0, 0.02 + preset.drift / 4, 3)
        self._gain = float(rng.uniform(0.95, 1.03) - preset.drift * rng.uniform(0, 0.7))
        self._contrast = float(rng.uniform(0.94, 1.02))
        self._drift = (float(rng.uniform(9, 25)), float(rng.uniform(0, 6)))
        self._flicker = (float(rng.uniform(0.7, 4.5)), float(rng.uniform(0, 6)))
        self._quality = int(rng.integers(preset.jpeg[0], preset.jpeg[1] + 1))
        self._vignette = _vignette(width, height, rng, 0.06 + preset.drift * 0.6)
        shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
        grey = rng.standard_normal(shape[:2], np.float32)[..., None]
        noise = preset.noise * (0.85 * grey + 0.5 * rng.standard_normal(shape, np.float32))
        self._brighter = np.clip(np.rint(noise), 0, 255).astype(np.uint8)
        self._darker = np.clip(np.rint(-noise), 0, 255).astype(np.uint8)
        self._shade = _shade(width, height, rng)

    def shoot(self, picture: Image, t: float, shift: tuple[float, float], shade_x: float | None) -> Image:
        """Return the frame of a clean picture.

        Args:
            picture: (H, W, 3) RGB; is used up.
            t: seconds since the start of the stream.
            shift: from `Mount.swing`.
            shade_x: where a passing shadow's middle is, as a share of the width; None for no shadow.
        """
        width, height = self._size
        if shade_x is not None:
            left = round((1.0 - shade_x) * width)
            left = min(max(left, 0), self._shade.shape[1] - width)
            picture = _times(picture, self._shade[:, left : left + width])
        if shift != (0.0, 0.0):
            matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
            picture = np.asarray(
                cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
            )
        picture = _times(picture, self._vignette)
        picture = np.asarray(cv2.LUT(picture, self._curve(t)), np.uint8)
        x, y = self._rng.integers(0, _NOISE_MARGIN, 2)
        window = np.s_[y : y + height, x : x + width]
        picture = np.asarray(cv2.subtract(cv2.add(picture, self._brighter[window]), self._darker[window]), np.uint8)
        return _jpeg(picture, self._quality)

    def _curve(self, t: float) -> Image:
        """Return the brightness table (1, 256, 3) of a moment."""
        preset = self._preset
        gain = self._gain * (1 + preset.drift * math.sin(2 * math.pi * t / self._drift[0] + self._drift[1]))
        gain *= 1 + preset.flicker * math.sin(2 * math.pi * self._flicker[0] * t + self._flicker[1])
        level = np.arange(256)[:, None] * (gain * self._balance)[None, :]
        level = 128 + (level - 128) * self._contrast
        # A soft shoulder: sensors do not clip white china hard.
        level = np.where(level > 225, 225 + 30 * (1 - np.exp(-(level - 225) / 30)), level)
        table: Image = np.clip(np.rint(level), 0, 255).astype(np.uint8).reshape(1, 256, 3)
        return table


def _times(picture: Image, weight: Image) -> Image:
    return np.asarray(cv2.multiply(picture, weight, scale=1 / 255), np.uint8)


def _vignette(width: int, height: int, rng: np.random.Generator, strength: float) -> Image:
    """Return uneven lighting (H, W, 3): darker corners and a brighter side."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width - 0.5, y / height - 0.5
    angle = rng.uniform(0, 2 * math.pi)
    field = (
        1.0 - strength * 2.0 * (u * u + v * v) + strength * (u * math.cos(angle) + v * math.sin(angle)) - strength * 0.5
    )
    return np.repeat((255 * np.clip(field, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def _shade(width: int, height: int, rng: np.random.Generator) -> Image:
    """Return the shadow (H, 3W, 3) of somebody who leans over: a soft dark shape from the lower edge, in the middle."""
    small = np.full((36, 192), 255, np.uint8)
    dark = int(rng.uniform(120, 175))
    cv2.ellipse(small, (96, 36), (int(rng.uniform(9, 15)), int(rng.uniform(15, 26))), 0, 0, 360, dark, -1)
    cv2.circle(small, (96 + int(rng.integers(-3, 4)), int(rng.uniform(8, 16))), 5, dark, -1)
    soft = cv2.GaussianBlur(small, (0, 0), 2.5)
    large = np.asarray(cv2.resize(soft, (3 * width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    return np.repeat(large[..., None], 3, axis=2)


def _jpeg(picture: Image, quality: int) -> Image:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"the JPEG encoder refused a picture of {picture.shape}")
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    if unpacked is None:
        raise ValueError("the JPEG decoder refused what the encoder made")
    return np.asarray(cv2.cvtColor(unpacked, cv2.COLOR_BGR2RGB), np.uint8)
