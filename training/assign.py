"""Which cell learns which object: task-aligned assignment (TOOD, Feng et al., 2021; our own code).

A cell is a candidate for an object when its centre lies in the object's box. Its alignment with the object is

    t = s^ALPHA * u^BETA        s: how sure the cell is of this object's class and presence, u: IoU of its box

and the TOP cells of each object by t are its positives; a cell that several objects want goes to the one it overlaps
most. The target of objectness is t scaled so that the best cell of an object gets that object's best IoU: the score
then says how good the box is, which is what suppression and the tracker need.

Objects that are hardly visible are *ignored*: they get no positives, and cells whose centre lies in them and that
belong to nobody else are no negatives either.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Class of a thing whose class is not known (a photo of another menu): it teaches presence and box alone.
UNKNOWN_CLASS = -1
#: Class of a thing that is on no menu: all its class scores should be low.
NO_CLASS = -2

ALPHA = 0.5
BETA = 4.0
TOP = 9


@dataclass(frozen=True)
class Truth:
    """The objects of a batch, padded to M per image.

    Attributes:
        boxes: (B, M, 4) xyxy, input pixels.
        classes: (B, M) int64; UNKNOWN_CLASS and NO_CLASS as said there.
        wanted: (B, M) bool: objects to find.
        ignored: (B, M) bool: hardly visible objects. Padding is neither.
        weights: (B, M) 0..1: how far an object is believed to be there: what a wanted one teaches, and how far an
            ignored one excuses from being background; None for 1 everywhere.
        posteriors: (B, M, C) probabilities in place of the classes of wanted objects; None for certain classes.
    """

    boxes: Tensor
    classes: Tensor
    wanted: Tensor
    ignored: Tensor
    weights: Tensor | None = None
    posteriors: Tensor | None = None


@dataclass(frozen=True)
class Assignment:
    """What each of the A cells has to learn.

    Attributes:
        positive: (B, A) bool.
        owner: (B, A) int64, index of the object for positives, 0 elsewhere.
        quality: (B, A) target of objectness, 0..1; 0 for negatives.
        counted: (B, A) 0..1: how far a cell takes part in the objectness loss.
    """

    positive: Tensor
    owner: Tensor
    quality: Tensor
    counted: Tensor


def pairwise_iou(truth: Tensor, predicted: Tensor) -> Tensor:
    """Return IoU (B, M, A) of boxes (B, M, 4) and (B, A, 4)."""
    t, p = truth[:, :, None], predicted[:, None]
    size = (torch.minimum(t[..., 2:], p[..., 2:]) - torch.maximum(t[..., :2], p[..., :2])).clamp(min=0)
    overlap = size[..., 0] * size[..., 1]
    areas = [(b[..., 2] - b[..., 0]).clamp(min=0) * (b[..., 3] - b[..., 1]).clamp(min=0) for b in (t, p)]
    return overlap / (areas[0] + areas[1] - overlap).clamp(min=1e-6)


@torch.no_grad()
def assign(truth: Truth, boxes: Tensor, logits: Tensor, centres: Tensor, strides: Tensor) -> Assignment:
    """Give the cells of a batch their objects.

    Args:
        truth: the objects.
        boxes: (B, A, 4) predicted boxes, xyxy, input pixels.
        logits: (B, A, 1 + C) raw objectness and class scores.
        centres: (A, 2) cell centres in input pixels.
        strides: (A,) strides of the cells.
    """
    batch, cells = boxes.shape[:2]
    if truth.boxes.shape[1] == 0:
        none = torch.zeros(batch, cells, dtype=torch.bool)
        return Assignment(none, none.long(), none.float(), (~none).float())
    inside = _inside(truth.boxes, centres, torch.zeros_like(strides))  # (B, M, A)
    # A sliver at the picture's edge may hold no cell centre at all: half a stride of slack keeps it learnable.
    near = _inside(truth.boxes, centres, strides * 0.5)
    candidates = torch.where(inside.any(dim=2, keepdim=True), inside, near) & truth.wanted[:, :, None]

    overlaps = pairwise_iou(truth.boxes, boxes)  # (B, M, A)
    probability = logits.sigmoid()
    wanted_class = truth.classes.clamp(min=0)[:, :, None].expand(-1, -1, cells)
    of_class = probability[..., 1:].transpose(1, 2).gather(1, wanted_class)
    of_class = torch.where(truth.classes[:, :, None] < 0, torch.ones_like(of_class), of_class)
    sure = (of_class * probability[..., 0][:, None]).clamp(min=1e-6)
    aligned = (sure.pow(ALPHA) * overlaps.pow(BETA) + 1e-12) * candidates

    best, index = aligned.topk(min(TOP, cells), dim=2)
    chosen = torch.zeros_like(aligned, dtype=torch.bool).scatter_(2, index, best > 0)
    contested = torch.where(chosen, overlaps + 1e-6, torch.zeros_like(overlaps))
    strongest, owner = contested.max(dim=1)  # (B, A)
    positive = strongest > 0
    chosen &= torch.arange(truth.boxes.shape[1])[None, :, None] == owner[:, None]

    aligned = aligned * chosen
    scale = (overlaps * chosen).amax(dim=2, keepdim=True) / aligned.amax(dim=2, keepdim=True).clamp(min=1e-12)
    quality = (aligned * scale).amax(dim=1)  # (B, A)
    excused = (inside & truth.ignored[:, :, None]).float()  # (B, M, A)
    if truth.weights is not None:
        excused = excused * truth.weights[:, :, None]
    counted = torch.where(positive, 1.0, 1.0 - excused.amax(dim=1))
    return Assignment(positive, owner * positive, quality.clamp(0, 1) * positive, counted)


def _inside(boxes: Tensor, centres: Tensor, slack: Tensor) -> Tensor:
    """Return (B, M, A): whether a cell's centre lies in a box that is grown by `slack` (A,) pixels."""
    x, y = centres[:, 0], centres[:, 1]
    b = boxes[:, :, :, None]  # (B, M, 4, 1)
    across = (x > b[:, :, 0] - slack) & (x < b[:, :, 2] + slack)
    return across & (y > b[:, :, 1] - slack) & (y < b[:, :, 3] + slack)
