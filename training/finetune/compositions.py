"""Several pictures in one: a mosaic of four (YOLOv4, Bochkovskiy, 2020), or pasted objects (Ghiasi et al., 2021).

There are no masks: an object is pasted as a rounded rectangle of its box, so that little of its old counter comes
along, and only objects that nothing else covers are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from core.boxes import coverage
from training.finetune.pictures import Picture, scaled, settle

#: Gives another picture of the set, chosen by the generator that it gets.
Draw = Callable[[np.random.Generator], Picture]

#: Of an object, less than this share may lie under pasted ones without a word; more is ignored, nearly all is gone.
HIDDEN_IGNORED = 0.5
HIDDEN_GONE = 0.9
#: Free places looked for, before the least covering one is taken.
_TRIES = 12
#: A pasted object may cover this share of any other: counters are crowded, too.
_MAY_COVER = 0.6


def mosaic(first: Picture, others: Sequence[Picture], rng: np.random.Generator, min_visible: float) -> Picture:
    """Return a canvas of the size of `first` with parts of it and of three `others`, each in its own shape."""
    height, width = first.height, first.width
    cross = (int(width * rng.uniform(0.35, 0.65)), int(height * rng.uniform(0.35, 0.65)))
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    parts = [first, *others]
    quarters = [
        (0, 0, cross[0], cross[1]),
        (cross[0], 0, width, cross[1]),
        (0, cross[1], cross[0], height),
        (cross[0], cross[1], width, height),
    ]
    placed = []
    for at, quarter in zip(rng.permutation(4), quarters, strict=True):
        part = _fitted(parts[at], quarter, rng, min_visible)
        canvas[quarter[1] : quarter[3], quarter[0] : quarter[2]] = part.image
        placed.append(part)
    return Picture(
        canvas,
        np.concatenate(
            [part.boxes + np.array(quarter[:2] * 2, np.float32) for part, quarter in zip(placed, quarters, strict=True)]
        ),
        np.concatenate([part.classes for part in placed]),
        np.concatenate([part.ignored for part in placed]),
        " + ".join(part.where for part in parts),
    )


def _fitted(
    picture: Picture, quarter: tuple[int, int, int, int], rng: np.random.Generator, min_visible: float
) -> Picture:
    """Return a part of the picture that fills the quarter (x1, y1, x2, y2), from the whole of it to a closer look."""
    width, height = max(quarter[2] - quarter[0], 1), max(quarter[3] - quarter[1], 1)
    ratio = max(width / picture.width, height / picture.height) * rng.uniform(1.0, 1.5)
    inner = scaled(
        picture,
        max(width, round(picture.width * ratio)),
        max(height, round(picture.height * ratio)),
        cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR,
    )
    left = int(rng.integers(0, inner.width - width + 1))
    top = int(rng.integers(0, inner.height - height + 1))
    cut = Picture(
        inner.image[top : top + height, left : left + width],
        inner.boxes - np.array([left, top] * 2, np.float32),
        inner.classes,
        inner.ignored,
        inner.where,
    )
    return settle(cut, min_visible)


def paste(picture: Picture, draw: Draw, most: int, rng: np.random.Generator) -> Picture:
    """Return the picture with 1 to `most` objects of others laid on free places.

    An object that comes to lie half under a pasted one is ignored, one that is hidden is left out.
    """
    image, boxes = picture.image.copy(), picture.boxes
    classes, ignored, where = picture.classes, picture.ignored, [picture.where]
    hidden = np.zeros(len(boxes))  # shares under pasted objects; added up, so at least as much as is true
    for _ in range(int(rng.integers(1, most + 1))):
        source = draw(rng)
        taken = _free_object(source, rng)
        if taken is None:
            continue
        patch = _patch(source, taken, max(picture.width, picture.height), rng)
        place = _free_place(patch.shape[1], patch.shape[0], picture, boxes, rng)
        if place is None:
            continue
        _lay(image, patch, place)
        new = np.array([[*place, place[0] + patch.shape[1], place[1] + patch.shape[0]]], dtype=np.float32)
        hidden = hidden + coverage(boxes, new)[:, 0]
        left = hidden < HIDDEN_GONE
        boxes = np.concatenate([boxes[left], new])
        classes = np.concatenate([classes[left], source.classes[taken : taken + 1]])
        ignored = np.concatenate([(ignored | (hidden >= HIDDEN_IGNORED))[left], np.zeros(1, np.bool_)])
        hidden = np.append(hidden[left], 0.0)
        where.append(source.where)
    return Picture(image, boxes, classes, ignored, " + ".join(where))


def _free_object(source: Picture, rng: np.random.Generator) -> int | None:
    """Return an object that no other box touches by more than a little; None when there is none."""
    covered = coverage(source.boxes, source.boxes)
    np.fill_diagonal(covered, 0.0)
    free = np.flatnonzero(~source.ignored & (covered.max(axis=1, initial=0.0) < 0.1))
    return int(rng.choice(free)) if len(free) else None


def _patch(source: Picture, taken: int, longest: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the object's pixels (h, w, 3) at the scale that it would have in a picture of that longest side."""
    x1, y1 = np.floor(source.boxes[taken, :2]).astype(int)
    x2, y2 = np.ceil(source.boxes[taken, 2:]).astype(int)
    pixels = source.image[y1:y2, x1:x2]
    ratio = longest / max(source.width, source.height) * rng.uniform(0.7, 1.3)
    size = (max(4, round(pixels.shape[1] * ratio)), max(4, round(pixels.shape[0] * ratio)))
    way = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(pixels, size, interpolation=way), dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(small, int(rng.integers(0, 4))))


def _free_place(
    width: int, height: int, picture: Picture, boxes: NDArray[np.float32], rng: np.random.Generator
) -> tuple[int, int] | None:
    """Return left and top of a place that covers nothing, or the least of a few; None when it covers too much."""
    room_x, room_y = picture.width - width, picture.height - height
    if room_x < 0 or room_y < 0:
        return None
    corners = np.stack([rng.integers(0, room_x + 1, _TRIES), rng.integers(0, room_y + 1, _TRIES)], axis=1)
    places = np.concatenate([corners, corners + np.array([width, height])], axis=1).astype(np.float32)
    # Both ways: neither may it hide a small object, nor lie in the middle of a large one.
    worst = np.maximum(coverage(boxes, places).max(axis=0, initial=0), coverage(places, boxes).max(axis=1, initial=0))
    best = int(worst.argmin())
    return (int(corners[best, 0]), int(corners[best, 1])) if worst[best] <= _MAY_COVER else None


def _lay(image: NDArray[np.uint8], patch: NDArray[np.uint8], place: tuple[int, int]) -> None:
    """Blend the patch into the image: full in the middle, gone at the corners, soft over two pixels."""
    height, width = patch.shape[:2]
    across = np.abs((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)
    down = np.abs((np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1)
    # A superellipse reaches all four sides of the box and leaves out its corners.
    reach = (across[None, :] ** 4 + down[:, None] ** 4) ** np.float32(0.25)
    softness = np.float32(2 * 2 / max(4, min(width, height)))
    alpha = np.clip((1 - reach) / softness, 0, 1)[:, :, None]
    x, y = place
    under = image[y : y + height, x : x + width]
    under[:] = np.asarray(under + alpha * (patch.astype(np.float32) - under), dtype=np.uint8)
