"""What the loader gives and the nets take: pictures with the objects on them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """The objects on one picture.

    Attributes:
        boxes: (n, 4) float32 xyxy, pixels of the picture.
        classes: (n,) int64, 0-based.
        ignored: (n,) bool: neither to be found nor background.
    """

    boxes: Tensor
    classes: Tensor
    ignored: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """The pictures of one step.

    Attributes:
        images: (3, H, W) float32 RGB 0..1 each; sizes may differ.
        targets: one for each picture.
        where: names of the pictures, for messages.
    """

    images: list[Tensor]
    targets: list[Target]
    where: list[str]
