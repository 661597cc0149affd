"""Photos as arrays, and what happens to them in training: a crop and a mirror, by (seed, step, place in the batch).

A photo's middle square is kept somewhat larger than a net sees it. The test looks at the middle of that; training at
a random square of at least `crop` of its area.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.images import load_image
from training.classify.pictures import ClassSet, Ints
from training.classify.settings import RecipeSettings

#: Side of what is kept, in sides of what a net sees.
_MARGIN = 8 / 7
_ORDER, _CHANGE = 1, 2
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Shown:
    """A set in memory.

    Attributes:
        pixels: (N, S, S, 3) uint8 RGB, S somewhat more than `px`.
        targets: (N,) the classes.
        px: side of what a net sees.
    """

    pixels: Pixels
    targets: Ints
    px: int

    def __len__(self) -> int:
        return len(self.pixels)

    def subset(self, indices: Ints) -> Shown:
        """Return the photos at `indices`."""
        return Shown(self.pixels[indices], self.targets[indices], self.px)

    def plain(self, indices: Ints | None = None, mirrored: bool = False) -> Tensor:
        """Return the middles, (N, 3, px, px) float32 RGB 0..1, as a test sees them."""
        pixels = self.pixels if indices is None else self.pixels[indices]
        at = (pixels.shape[1] - self.px) // 2
        middle = pixels[:, at : at + self.px, at : at + self.px]
        return as_tensor(middle[:, :, ::-1] if mirrored else middle)


def show(pictures: ClassSet, px: int) -> Shown:
    """Read the photos of a set.

    Raises:
        FormatError: a photo cannot be read.
    """
    side = math.ceil(px * _MARGIN)
    pixels = np.empty((len(pictures), side, side, 3), dtype=np.uint8)
    for i, photo in enumerate(pictures.photos):
        image = load_image(photo.image)
        height, width = image.shape[:2]
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        way = cv2.INTER_AREA if short > side else cv2.INTER_LINEAR
        pixels[i] = cv2.resize(image[top : top + short, left : left + short], (side, side), interpolation=way)
    return Shown(pixels, pictures.targets, px)


def order_of(count: int, epoch: int, seed: int) -> Ints:
    """Return the order in which an epoch goes through the photos."""
    return np.random.default_rng([seed, epoch, _ORDER]).permutation(count)


def batch_at(count: int, step: int, batch: int, seed: int) -> Ints:
    """Return which photos step `step` (0-based) learns from: a pure function of seed and step.

    An epoch's last step may have fewer; a lone photo joins the step before, as norms need two.
    """
    per_epoch = steps_of_epoch(count, batch)
    epoch, at = divmod(step, per_epoch)
    order = order_of(count, epoch, seed)
    end = count if at == per_epoch - 1 else (at + 1) * batch
    return order[at * batch : end]


def steps_of_epoch(count: int, batch: int) -> int:
    """Return the number of steps of an epoch."""
    whole, rest = divmod(count, batch)
    return max(1, whole + (rest > 1))


def changed(shown: Shown, indices: Ints, step: int, recipe: RecipeSettings, seed: int) -> Tensor:
    """Return training's view of photos, (N, 3, px, px) float32 RGB 0..1; a pure function of seed and step."""
    rng = np.random.default_rng([seed, step, _CHANGE])
    side = shown.pixels.shape[1]
    views = np.empty((len(indices), shown.px, shown.px, 3), dtype=np.uint8)
    for place, i in enumerate(indices.tolist()):
        edge = max(1, round(side * math.sqrt(rng.uniform(recipe.crop, 1.0))))
        top, left = (int(v) for v in rng.integers(0, side - edge + 1, 2))
        view = shown.pixels[i, top : top + edge, left : left + edge]
        way = cv2.INTER_AREA if edge > shown.px else cv2.INTER_LINEAR
        seen = cv2.resize(view, (shown.px, shown.px), interpolation=way)
        views[place] = seen[:, ::-1] if recipe.mirror and rng.random() < 0.5 else seen
    return as_tensor(views)


def as_tensor(pixels: Pixels) -> Tensor:
    """Return (N, H, W, 3) uint8 as (N, 3, H, W) float32 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
