"""A batch as every net gets it: pictures of any size, and for each picture what is to be found in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """What is to be found in one picture.

    Attributes:
        boxes: (n, 4) float32 xyxy, pixels of the picture, inside it, each with an area.
        classes: (n,) int64, index into the labels, from 0; background is no class.
        ignored: (n,) bool: neither to be found nor background.
        weights: (n,) 0..1: how far each is believed to be there (of an ignored one: how far it is no background);
            None for 1. Only nets that `takes_doubt` heed other weights.
        posteriors: (n, C) class probabilities in place of `classes`; None for certain classes.
    """

    boxes: Tensor
    classes: Tensor
    ignored: Tensor
    weights: Tensor | None = None
    posteriors: Tensor | None = None

    def to(self, device: torch.device) -> Target:
        """Return it on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        posteriors = None if self.posteriors is None else self.posteriors.to(device)
        boxes, classes, ignored = self.boxes.to(device), self.classes.to(device), self.ignored.to(device)
        return Target(boxes, classes, ignored, weights, posteriors)

    def joined(
        self,
        boxes: NDArray[np.float32],
        classes: NDArray[np.int64],
        ignored: NDArray[np.bool_],
        weights: NDArray[np.float32],
    ) -> Target:
        """Return it with more boxes (m, 4), classes (m,), ignored (m,) and weights (m,) behind its own."""
        own = torch.ones(len(self.boxes)) if self.weights is None else self.weights
        posteriors = self.posteriors
        if posteriors is not None:
            more = torch.zeros(len(boxes), posteriors.shape[1])
            more[torch.arange(len(boxes)), torch.from_numpy(classes)] = 1.0
            posteriors = torch.cat([posteriors, more])
        return Target(
            torch.cat([self.boxes, torch.from_numpy(boxes)]),
            torch.cat([self.classes, torch.from_numpy(classes)]),
            torch.cat([self.ignored, torch.from_numpy(ignored)]),
            torch.cat([own, torch.from_numpy(weights)]),
            posteriors,
        )


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
