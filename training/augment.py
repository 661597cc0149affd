"""How pictures enter the net: letterboxed at the top left, and in training a little different each time.

The synthetic lane already varies light, noise and shake; what is added here is what it cannot: mirror images, other
distances of the camera, other colour balance. All of it is drawn from a generator that is given, so that a run repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.assign import Truth
from training.synthetic_set import Pictures

PAD = 114
#: Objects of which less is visible are neither to be found nor to be called background.
MIN_VISIBLE = 0.25


@dataclass(frozen=True)
class Sample:
    """One picture on the net's canvas.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (n, 4) float32 xyxy, canvas pixels, cut to the canvas.
        classes: (n,) int64.
        wanted: (n,) bool; the others are ignored.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    wanted: NDArray[np.bool_]


def plain_sample(pictures: Pictures, index: int, size: tuple[int, int]) -> Sample:
    """Return picture `index` at the top left of a canvas of `size` (width, height), padded with grey."""
    image = pictures.image(index)
    canvas = np.full((size[1], size[0], 3), PAD, dtype=np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    return Sample(canvas, pictures.boxes[index], pictures.classes[index], pictures.visible[index] >= MIN_VISIBLE)


def varied_sample(pictures: Pictures, index: int, size: tuple[int, int], rng: np.random.Generator) -> Sample:
    """Return picture `index` mirrored, scaled, shifted and recoloured as `rng` says. Arguments as `plain_sample`."""
    image = pictures.image(index)
    height, width = image.shape[:2]
    mirror = rng.random() < 0.5
    zoom = float(np.exp(rng.uniform(-0.16, 0.16)))
    # The picture's centre wanders by up to a tenth of its size; one in four pictures stays where the lane sees it.
    shift = rng.uniform(-0.1, 0.1, 2) * (width, height)
    if rng.random() < 0.25:
        zoom, shift = 1.0, np.zeros(2)
    side = -zoom if mirror else zoom
    matrix = np.array(
        [
            [side, 0.0, width / 2 - side * width / 2 + shift[0]],
            [0.0, zoom, height / 2 - zoom * height / 2 + shift[1]],
        ]
    )
    canvas = np.full((size[1], size[0], 3), PAD, dtype=np.uint8)
    moved = cv2.warpAffine(
        _recoloured(image, rng), matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(PAD, PAD, PAD)
    )
    canvas[:height, :width] = moved
    corners = pictures.boxes[index].reshape(-1, 2, 2) * [side, zoom] + matrix[:, 2]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    cut = np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
    inside = _area(cut) / np.maximum(_area(boxes), 1e-6)
    wanted = pictures.visible[index] * inside >= MIN_VISIBLE
    kept = _area(cut) > 4.0
    return Sample(canvas, cut[kept], pictures.classes[index][kept], wanted[kept])


def collate(samples: list[Sample]) -> tuple[torch.Tensor, Truth]:
    """Stack samples into a batch: images (B, 3, H, W) float 0..1, channels last in memory, and padded truth."""
    stacked = torch.from_numpy(np.stack([sample.image for sample in samples]))
    images = stacked.permute(0, 3, 1, 2).float().div_(255)
    most = max(len(sample.boxes) for sample in samples)
    boxes = torch.zeros(len(samples), most, 4)
    classes = torch.zeros(len(samples), most, dtype=torch.int64)
    wanted = torch.zeros(len(samples), most, dtype=torch.bool)
    ignored = torch.zeros(len(samples), most, dtype=torch.bool)
    for b, sample in enumerate(samples):
        n = len(sample.boxes)
        boxes[b, :n] = torch.from_numpy(sample.boxes)
        classes[b, :n] = torch.from_numpy(sample.classes)
        wanted[b, :n] = torch.from_numpy(sample.wanted)
        ignored[b, :n] = ~wanted[b, :n]
    return images, Truth(boxes, classes, wanted, ignored)


def _recoloured(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change gain, offset and gamma, slightly differently in each channel, by a table."""
    gain = float(np.exp(rng.uniform(-0.25, 0.25))) * np.exp(rng.uniform(-0.06, 0.06, 3))
    gamma = float(np.exp(rng.uniform(-0.2, 0.2)))
    offset = rng.uniform(-12, 12)
    ramp = (np.arange(256) / 255.0)[:, None] ** gamma * 255.0 * gain + offset
    table = np.clip(ramp, 0, 255).astype(np.uint8)[:, None, :]  # (256, 1, 3)
    recoloured: NDArray[np.uint8] = np.asarray(cv2.LUT(image, table), dtype=np.uint8)
    return recoloured


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    sides: NDArray[np.float32] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return sides
