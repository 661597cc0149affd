"""A batch as every net gets it: pictures of any size, and for each picture what is to be found in it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """What is to be found in one picture.

    Attributes:
        boxes: (n, 4) float32 xyxy, pixels of the picture, inside it, each with an area.
        classes: (n,) int64, index into the labels, from 0; background is no class.
        ignored: (n,) bool: neither to be found nor background.
    """

    boxes: Tensor
    classes: Tensor
    ignored: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures and targets, in parallel lists.

    Attributes:
        images: (3, H, W) float32 RGB 0..1 each; sizes may differ.
        targets: one for each picture.
        where: the file or files that a picture comes from, for messages.
    """

    images: list[Tensor]
    targets: list[Target]
    where: list[str]
