"""The small grey picture that the flow works on: shrinking, stillness, large jumps, and patches.

All work is done on a picture of about 320 pixels width, where a dish is still 25 to 60 pixels wide: the cost falls with
the area, and averaging takes the noise away. Coordinates of points here are those of pixel centres in this picture,
(0, 0) being the middle of the first pixel; `to_full` turns them into pixels of the frame, whose boxes count from edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats

Image = NDArray[np.uint8]
Singles = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Side of the blocks that are compared to see whether anything moves, working pixels.
BLOCK = 4
#: More noise than this (grey levels of a block's mean) is not noise: the whole picture moves.
_MOST_NOISE = 1.0
#: Side of the patch that remembers how a point looked, working pixels.
PATCH = 9
#: Side of the patch by which a first guess is chosen, pixels of the halved working picture.
_GUESS_PATCH = 7
#: Jumps shorter than this, pixels of the halved working picture, need no guess.
_SHORT_JUMP = 1.5
#: No jump of more than this share of the picture is proposed.
_LONGEST_JUMP = 0.35


@dataclass(slots=True)
class Picture:
    """One frame, shrunk.

    Attributes:
        grey: (h, w) uint8, the working picture.
        blocks: (h / 4, w / 4) float32, its block means, for the test of stillness.
        scale: (2,) working pixels per pixel of the frame, x and y.
        size: (W, H) of the frame.
    """

    grey: Image
    blocks: Singles
    scale: Floats
    size: tuple[int, int]
    _half: Image | None = field(default=None, repr=False)

    @classmethod
    def take(cls, image: Image, width_px: int) -> Picture:
        """Shrink a frame (H, W, 3) RGB to `width_px`; one that is narrower already keeps its size."""
        high, wide = image.shape[:2]
        width = min(width_px, wide)
        height = max(round(high * width / wide), 1)
        # Shrink first: the colours of a quarter of the pixels are cheaper to weigh.
        small = image if width == wide else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        size = (max(width // BLOCK, 1), max(height // BLOCK, 1))
        blocks = np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
        return cls(grey, blocks, np.array([width / wide, height / high]), (wide, high))

    def to_full(self, points: Singles | Floats) -> Floats:
        """Turn working points (P, 2) into pixels of the frame."""
        return (points + 0.5) / self.scale

    def to_working(self, points: Floats) -> Floats:
        """Turn pixels of the frame (P, 2) into working points."""
        return points * self.scale - 0.5

    def half(self) -> Image:
        """Return the picture at half the working size."""
        if self._half is None:
            high, wide = self.grey.shape
            size = (max(wide // 2, 1), max(high // 2, 1))
            self._half = np.asarray(cv2.resize(self.grey, size, interpolation=cv2.INTER_AREA), np.uint8)
        return self._half


def _fade(length: int) -> Singles:
    """Return weights that rise from 0 to 1 over the first sixth of a line and fall over the last."""
    ramp = np.minimum(np.arange(length) + 0.5, length - np.arange(length) - 0.5) / max(length / 6.0, 1.0)
    weights: Singles = np.sin(0.5 * np.pi * np.minimum(ramp, 1.0)).astype(np.float32)
    return weights


def changed_blocks(before: Picture, now: Picture, threshold: float, noise_share: float) -> Mask | None:
    """Say where something moved between two pictures, (h / 4, w / 4), or None for nowhere.

    The means of 4x4 blocks are compared: 16 pixels average a quarter of the noise, and an edge that moves by a
    fraction of a pixel changes a block by that fraction of a quarter of its contrast. A change of light, change =
    a + b x brightness (lamps flicker, cameras adapt), is fitted and taken out first.
    """
    change = now.blocks - before.blocks
    level = before.blocks - before.blocks.mean()
    change -= change.mean()
    spread = float(np.vdot(level, level))
    if spread > 0:
        change -= (float(np.vdot(level, change)) / spread) * level
    change = np.abs(change)
    worst = float(change.max())
    if worst <= threshold:
        return None
    # Noise that is larger than this is not noise: the whole picture moves.
    # Every seventh block is enough to know the median.
    some = np.sort(change.ravel()[::7])
    limit = threshold + noise_share * min(float(some[len(some) // 2]), _MOST_NOISE)
    return None if worst <= limit else change > limit


def common_jumps(before: Picture, now: Picture, changed: Mask, most: int) -> Floats:
    """Propose the large displacements that big parts of the picture made, by phase correlation.

    A shift of a picture turns the phases of its Fourier transform; the inverse transform of the phase difference alone
    has a peak at the shift (Kuglin and Hines 1975). What did not change is faded out of both pictures, so that a dish
    that jumps before a standing background is not lost beside it. Small peaks may be chance, but all are only guesses
    to begin with: each point takes the one that fits it best.

    Args:
        before: the last picture.
        now: this one.
        changed: where they differ, from `changed_blocks`.
        most: how many displacements to propose at most.

    Returns:
        (K, 2) displacements in working pixels, strongest first, K <= `most`; those within reach of Lucas and Kanade
        without a guess (3 pixels) are left out.
    """
    if most == 0:
        return np.zeros((0, 2))
    high, wide = before.half().shape
    grown = cv2.dilate(changed.astype(np.float32), np.ones((3, 3), np.uint8))
    weight = np.asarray(cv2.resize(grown, (wide, high), interpolation=cv2.INTER_LINEAR), np.float32)
    weight *= np.outer(_fade(high), _fade(wide))
    cross = _waves(now.half(), weight) * np.conj(_waves(before.half(), weight))
    cross /= np.abs(cross) + 1e-6
    peaks = np.fft.irfft2(cross, s=(high, wide)).astype(np.float32)
    # Motions are not whole pixels: a peak is spread over its neighbours.
    peaks = np.asarray(cv2.GaussianBlur(peaks, (3, 3), 0.0, borderType=cv2.BORDER_REFLECT_101), np.float32)
    reach_x, reach_y = int(_LONGEST_JUMP * wide), int(_LONGEST_JUMP * high)
    peaks[reach_y : high - reach_y + 1] = 0.0
    peaks[:, reach_x : wide - reach_x + 1] = 0.0
    np.maximum(peaks, 0.0, out=peaks)
    found: list[Floats] = []
    for _ in range(most + 1):
        y, x = divmod(int(peaks.argmax()), wide)
        if peaks[y, x] <= 0.0:
            break
        near = np.ix_(np.arange(y - 1, y + 2) % high, np.arange(x - 1, x + 2) % wide)
        weight = peaks[near]
        shift = np.array([x - wide * (x > wide // 2), y - high * (y > high // 2)], float)
        shift += np.array([weight.sum(axis=0) @ (-1, 0, 1), weight.sum(axis=1) @ (-1, 0, 1)]) / weight.sum()
        if np.abs(shift).max() > _SHORT_JUMP and len(found) < most:
            found.append(2.0 * shift)
        peaks[near] = 0.0
    return np.array(found).reshape(-1, 2)


def _waves(grey: Image, weight: Singles) -> NDArray[np.complex64]:
    """Return the Fourier transform of what is in a picture where `weight` (h, w) is large, its mean taken out."""
    mean = float(np.vdot(grey.astype(np.float32), weight)) / max(float(weight.sum()), 1e-6)
    return np.fft.rfft2((grey - np.float32(mean)) * weight).astype(np.complex64)


def best_guesses(before: Picture, now: Picture, points: Singles, guesses: Singles) -> Singles:
    """Choose for each point the guess after which its surroundings look most as before.

    Args:
        before: the last picture.
        now: this one.
        points: (P, 2) working pixels.
        guesses: (P, K, 2) displacements in working pixels; the first one wins among equals.

    Returns:
        (P, 2) the chosen displacements.
    """
    count, kinds = guesses.shape[:2]
    here = sample(before.half(), (points - 0.5) * 0.5, _GUESS_PATCH)
    ends = ((points[:, None] + guesses - 0.5) * 0.5).reshape(-1, 2)
    there = sample(now.half(), ends, _GUESS_PATCH).reshape(count, kinds, -1)
    off = np.abs(there - here[:, None]).sum(axis=2)
    chosen: Singles = guesses[np.arange(count), off.argmin(axis=1)]
    return chosen


def sample(grey: Image, points: Singles, side: int) -> Singles:
    """Return the square patches (P, side^2) around points (P, 2), between pixels bilinearly; borders are repeated."""
    if not len(points):
        return np.zeros((0, side * side), np.float32)
    x, y = (points[:, axis, None] + _offsets(side)[axis] for axis in (0, 1))
    # 32767 is where remap's short coordinates end; points that far out see the border anyway.
    x, y = np.clip(x, -9999, 9999).astype(np.float32), np.clip(y, -9999, 9999).astype(np.float32)
    seen = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.float32)


@cache
def _offsets(side: int) -> tuple[Singles, Singles]:
    steps = np.arange(side, dtype=np.float32) - side // 2
    return np.tile(steps, side), np.repeat(steps, side)


def normalised(patches: Singles) -> Singles:
    """Take brightness and contrast out of patches (P, S): mean 0, length 1 (0 where a patch is flat)."""
    centred = patches - patches.mean(axis=1, keepdims=True)
    length = np.sqrt((centred * centred).sum(axis=1, keepdims=True))
    unit: Singles = centred / np.maximum(length, 1e-6)
    return unit
