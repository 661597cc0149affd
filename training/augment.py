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
class Look:
    """How freely pictures may be changed; the default suits a lane whose camera hangs in a fixed place.

    Attributes:
        zoom: log of the smallest and the largest scale.
        turns: quarter turns and upside down, for cameras that look straight down from anywhere.
    """

    zoom: tuple[float, float] = (-0.16, 0.16)
    turns: bool = False


LANE = Look()


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


def varied_sample(
    pictures: Pictures, index: int, size: tuple[int, int], rng: np.random.Generator, look: Look = LANE
) -> Sample:
    """Return picture `index` mirrored, scaled, shifted and recoloured as `rng` says.

    Args:
        pictures: the set.
        index: of the picture.
        size: width and height of the canvas. When the picture does not fit in, a part of it is shown, mostly one with
            objects: most of a counter is empty, and a net of convolutions learns as much from the part.
        rng: where all chance comes from.
        look: how far it may go.
    """
    image, boxes = pictures.image(index), pictures.boxes[index]
    if look.turns:
        image, boxes = _turned(image, boxes, int(rng.integers(4)))
    height, width = image.shape[:2]
    mirror = rng.random() < 0.5
    zoom = float(np.exp(rng.uniform(*look.zoom)))
    # What lies at `focus` in the picture comes to lie at `spot` on the canvas.
    if width <= size[0] and height <= size[1]:
        spot = np.array([width, height]) / 2
        focus, wander = spot, 0.1 * rng.uniform(-1, 1, 2) * (width, height)
        # One in four pictures stays where the lane sees it.
        if rng.random() < 0.25:
            zoom, wander = 1.0, np.zeros(2)
        shown = (width, height)
    else:
        spot = np.array(size) / 2
        focus, wander = _focus(boxes, (width, height), rng), 0.3 * rng.uniform(-1, 1, 2) * size
        shown = size
    side = -zoom if mirror else zoom
    start = spot + wander - focus * (side, zoom)
    if shown == size:  # no more of the border than there must be
        reach = zoom * np.array([width, height])
        low = np.where([mirror, False], size, size - reach)
        start = np.clip(start, low, low + np.maximum(reach - size, 0))
        if (reach < size).any():  # a picture that was made small lies anywhere on the canvas
            start -= rng.uniform(0, 1, 2) * np.maximum(size - reach, 0)
    matrix = np.array([[side, 0.0, start[0]], [0.0, zoom, start[1]]])
    canvas = np.full((size[1], size[0], 3), PAD, dtype=np.uint8)
    canvas[: shown[1], : shown[0]] = cv2.warpAffine(
        _recoloured(image, rng), matrix, shown, flags=cv2.INTER_LINEAR, borderValue=(PAD, PAD, PAD)
    )
    corners = boxes.reshape(-1, 2, 2) * [side, zoom] + start
    moved = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    cut = np.clip(moved, 0, [shown[0], shown[1], shown[0], shown[1]]).astype(np.float32)
    inside = _area(cut) / np.maximum(_area(moved), 1e-6)
    wanted = pictures.visible[index] * inside >= MIN_VISIBLE
    kept = _area(cut) > 4.0
    return Sample(canvas, cut[kept], pictures.classes[index][kept], wanted[kept])


def _turned(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], quarters: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture and its boxes turned counter-clockwise by quarter turns."""
    for _ in range(quarters):
        width = image.shape[1]
        image = np.rot90(image)
        # What was at x from the right is now at y from the top.
        boxes = np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], axis=1)
    return np.ascontiguousarray(image), boxes


def _focus(boxes: NDArray[np.float32], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a point (2,) of the picture: the middle of an object, or now and then any point."""
    if len(boxes) == 0 or rng.random() < 0.15:
        return np.asarray(rng.uniform(0, 1, 2) * size)
    box = boxes[rng.integers(len(boxes))].astype(np.float64)
    return np.asarray((box[:2] + box[2:]) / 2)


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
