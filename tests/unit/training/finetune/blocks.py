"""Pictures of coloured blocks on grey, whose boxes can be found again by colour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.building import set_sha256
from dataset.images import measure
from dataset.records import DetectionSet, Sample
from training.finetune.pictures import Picture

#: Far from grey and from one another, in hue as well.
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
LABELS = ("red", "green", "blue", "yellow")
GREY = 128


def picture(width: int, height: int, blocks: dict[int, tuple[int, int, int, int]]) -> Picture:
    """Grey with a block (x1, y1, x2, y2) for each class."""
    image = np.full((height, width, 3), GREY, np.uint8)
    for label, (x1, y1, x2, y2) in blocks.items():
        image[y1:y2, x1:x2] = COLOURS[label]
    boxes = np.array(list(blocks.values()), np.float32).reshape(-1, 4)
    classes = np.array(list(blocks), np.int64)
    return Picture(image, boxes, classes, np.zeros(len(classes), np.bool_), "made up")


def seen(image: NDArray[np.uint8], label: int) -> NDArray[np.float64] | None:
    """Return the box (4,) around all pixels of a class's colour; None when there are none."""
    distance = np.abs(image.astype(int) - COLOURS[label]).max(axis=2)
    rows, columns = np.nonzero(distance < 100)
    if len(rows) == 0:
        return None
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float64)


def random_picture(rng: np.random.Generator, width: int = 96, height: int = 72) -> Picture:
    """One block of each class, each in its own quarter."""
    blocks = {}
    for label in range(4):
        left, top = (label % 2) * width // 2, (label // 2) * height // 2
        w, h = rng.integers(12, width // 2 - 4), rng.integers(12, height // 2 - 4)
        x = left + int(rng.integers(1, width // 2 - w))
        y = top + int(rng.integers(1, height // 2 - h))
        blocks[label] = (x, y, x + int(w), y + int(h))
    return picture(width, height, blocks)


def write_set(folder: Path, count: int, width: int = 96, height: int = 72) -> DetectionSet:
    """Write `count` pictures of blocks and return them as a set; the first few lack classes."""
    samples = []
    for i in range(count):
        made = random_picture(np.random.default_rng(i), width, height)
        path = folder / f"{i:03}.png"
        cv2.imwrite(str(path), cv2.cvtColor(made.image, cv2.COLOR_RGB2BGR))
        sha256 = measure(path).sha256
        samples.append(Sample(path, width, height, made.boxes, made.classes, made.ignored, sha256=sha256))
    return DetectionSet("blocks", LABELS, tuple(samples), set_sha256(LABELS, samples))
