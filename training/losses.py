"""What the detector is punished for: boxes that miss, presence that errs, wrong classes.

    L = BOX * sum_p q (1 - GIoU) / Q  +  sum_c BCE(obj, q) / Q  +  CLASS * sum_p q BCE(cls, onehot) / Q

p runs over the positive cells, c over all counted cells, q is a cell's target quality and Q the sum of all q in the
batch. GIoU is IoU less the share of the smallest enclosing box that neither box fills (Rezatofighi et al., 2019);
unlike IoU it pulls boxes that do not touch.

An object of weight w (`Truth.weights`: a pseudo-label) has w q in place of q everywhere: as a target of objectness this
is the mean of "there" with chance w and "not there". Class probabilities in place of a class are targets as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from training.assign import UNKNOWN_CLASS, Truth, assign
from training.traynet import decode_boxes

BOX = 5.0
CLASS = 1.0


@dataclass(frozen=True)
class Losses:
    """The three parts, weighted, as scalars that carry gradients; `total` is their sum."""

    box: Tensor
    objectness: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        """What the optimiser makes smaller."""
        return self.box + self.objectness + self.classes


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalised IoU (P,), -1..1, of paired xyxy boxes (P, 4)."""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1).clamp(min=1e-6)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - overlap
    union = union.clamp(min=1e-6)
    return overlap / union - (hull - union) / hull


def detection_loss(raw: Tensor, truth: Truth, cells: Tensor, strides: Tensor) -> Losses:
    """Score a batch.

    Args:
        raw: (B, A, 5 + C) the net's output.
        truth: the objects of the batch.
        cells: (A, 2) cell indices, from `traynet.grid`.
        strides: (A,) strides, from `traynet.grid`.
    """
    boxes = decode_boxes(raw, cells, strides)
    given = assign(truth, boxes.detach(), raw[..., 4:].detach(), (cells + 0.5) * strides[:, None], strides)
    worth = given.quality if truth.weights is None else given.quality * truth.weights.gather(1, given.owner)
    total_quality = worth.sum().clamp(min=1.0)

    presence = bce(raw[..., 4], worth, reduction="none") * given.counted
    image, cell = given.positive.nonzero(as_tuple=True)  # (P,) each
    owner, quality = given.owner[image, cell], worth[image, cell]
    missed = (1 - giou(boxes[image, cell], truth.boxes[image, owner])) * quality
    scores = raw[image, cell, 5:]  # (P, C)
    classes = truth.classes[image, owner]
    wanted = torch.zeros_like(scores).scatter_(
        1, classes.clamp(min=0)[:, None], (classes >= 0).to(scores.dtype)[:, None]
    )
    if truth.posteriors is not None:
        wanted = torch.where(classes[:, None] >= 0, truth.posteriors[image, owner].to(scores.dtype), wanted)
    confusion = bce(scores, wanted, reduction="none").sum(dim=1) * quality * (classes != UNKNOWN_CLASS)
    return Losses(
        box=BOX * missed.sum() / total_quality,
        objectness=presence.sum() / total_quality,
        classes=CLASS * confusion.sum() / total_quality,
    )
