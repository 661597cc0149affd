"""Which square patches of a picture are looked at, and what each is called; pure functions of sizes, boxes and seeds.

A picture of width w and height h has at scale s patches of side (min(w, h) - 1) / s, on a regular grid: the first and
the last row and column touch the edges, and neighbours are `stride` sides (half a side) apart, or a little less. A
square picture has 1, 3², 5², 7², 9² patches at scales 1 to 5: 165.

A patch P shows an object B when |P ∩ B| >= 0.2 |P| (the object is large enough in it) and |P ∩ B| >= 0.6 |B| (most of
the object is inside). A patch that shows objects of one class is called by that class; one that shows several classes,
or an ignored region, is left out; every other one is background, parts and crowds of small objects too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from training.patches.settings import SamplerSettings

BACKGROUND, LEFT_OUT = -1, -2
#: A smaller patch shows nothing.
LEAST_SIDE_PX = 6.0
_EPS = 1e-9

Boxes = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grid:
    """The patches of one picture.

    Attributes:
        boxes: (N, 4) float64 xyxy, pixels; square, inside the picture.
        scales: (N,) int64, the scale of each; small scales (large patches) first, then by rows.
    """

    boxes: Boxes
    scales: Ints

    def __len__(self) -> int:
        return len(self.boxes)


def side_px(width: int, height: int, scale: int) -> float:
    """Return the side of a patch.

    >>> side_px(512, 641, 1), side_px(512, 641, 5)
    (511.0, 102.2)
    """
    return (min(width, height) - 1) / scale


def patch_grid(width: int, height: int, settings: SamplerSettings) -> Grid:
    """Return the patches of a picture of this size.

    A long picture has more than `settings.most`; so many are then drawn from each scale in proportion, always the same.

    Raises:
        DataError: the picture is so small that the smallest patches show nothing.
    """
    smallest = side_px(width, height, max(settings.scales))
    if smallest < LEAST_SIDE_PX:
        raise DataError(
            f"a picture of {width}x{height} pixels has patches of {smallest:.1f} pixels at scale "
            f"{max(settings.scales)}, {LEAST_SIDE_PX:.0f} are the least; leave it out, or ask for fewer --scales"
        )
    layers = [_layer(width, height, side_px(width, height, scale), settings.stride) for scale in settings.scales]
    scales = np.repeat(np.array(settings.scales, np.int64), [len(layer) for layer in layers])
    boxes = np.concatenate(layers)
    if len(boxes) > settings.most:
        kept = _thinned([len(layer) for layer in layers], settings.most, np.random.default_rng([width, height]))
        boxes, scales = boxes[kept], scales[kept]
    return Grid(boxes, scales)


def label_patches(
    patches: Boxes, boxes: NDArray[np.float32], classes: Ints, ignored: NDArray[np.bool_], settings: SamplerSettings
) -> Ints:
    """Return (N,) what each patch is called: a class, BACKGROUND or LEFT_OUT.

    Args:
        patches: (N, 4) xyxy.
        boxes: (M, 4) xyxy, the picture's objects.
        classes: (M,) of the objects.
        ignored: (M,) whether an object is neither to be found nor background.
        settings: the two least shares.
    """
    labels = np.full(len(patches), BACKGROUND, np.int64)
    if len(boxes) == 0:
        return labels
    objects = boxes.astype(np.float64)
    shared = _shared_area(patches, objects)
    covered = shared >= settings.least_of_patch * _area(patches)[:, None] - _EPS
    shown = covered & (shared >= settings.least_of_object * _area(objects)[None, :] - _EPS)
    shown_classes = np.stack([(shown & ~ignored)[:, classes == k].any(axis=1) for k in range(int(classes.max()) + 1)])
    one = shown_classes.sum(axis=0) == 1
    labels[one] = shown_classes.argmax(axis=0)[one]
    labels[(shown_classes.sum(axis=0) > 1) | (covered & ignored).any(axis=1)] = LEFT_OUT
    return labels


def draw_patches(labels: Ints, settings: SamplerSettings, seed: Sequence[int]) -> Ints:
    """Return the sorted places of the patches to learn from in one round: all objects, and as much background.

    Background is capped at `background` times the objects' patches, or at `lone_background` in a picture that has
    none; together they are `most` at most. Another seed draws other background.
    """
    rng = np.random.default_rng(list(seed))
    objects, background = np.flatnonzero(labels >= 0), np.flatnonzero(labels == BACKGROUND)
    if len(objects) > settings.most:
        objects = rng.choice(objects, settings.most, replace=False)
    cap = int(settings.background * len(objects)) if len(objects) else settings.lone_background
    count = min(cap, len(background), settings.most - len(objects))
    return np.sort(np.concatenate([objects, rng.choice(background, count, replace=False)])).astype(np.int64)


def _layer(width: int, height: int, side: float, stride: float) -> Boxes:
    """Return (N, 4): the patches of one scale, by rows."""
    lefts, tops = _starts(width, side, stride), _starts(height, side, stride)
    y, x = (axis.ravel() for axis in np.meshgrid(tops, lefts, indexing="ij"))
    return np.stack([x, y, x + side, y + side], axis=1)


def _starts(length: int, side: float, stride: float) -> NDArray[np.float64]:
    """Return where patches begin along an axis: from 0 to the last place inside, evenly."""
    # The pixel by which the largest patch is smaller than the picture asks for no second one.
    steps = math.ceil(max(0.0, length - 1 - side) / (stride * side) - 1e-6)
    last = length - side
    return np.array([last / 2]) if steps == 0 else np.linspace(0.0, last, steps + 1)


def _thinned(counts: Sequence[int], most: int, rng: np.random.Generator) -> Ints:
    """Return the sorted places of `most` patches, from each scale its share, and one at least."""
    total, start, kept = sum(counts), 0, []
    for count in counts:
        share = max(1, math.floor(most * count / total))
        kept.append(start + np.sort(rng.choice(count, share, replace=False)))
        start += count
    return np.sort(np.concatenate(kept)[:most]).astype(np.int64)


def _area(boxes: Boxes) -> Boxes:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _shared_area(patches: Boxes, objects: Boxes) -> Boxes:
    """Return (N, M) areas of the intersections."""
    low = np.maximum(patches[:, None, :2], objects[None, :, :2])
    high = np.minimum(patches[:, None, 2:], objects[None, :, 2:])
    sides = np.clip(high - low, 0.0, None)
    shared: Boxes = sides[..., 0] * sides[..., 1]
    return shared
