"""What can be told from a batch alone, before any net sees it: wrong pixels, wrong boxes, boxes of other pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.finetune.batches import Batch, Target
from training.finetune.box_fit import check_fit

#: Pixels that a box may stick out of its picture, for rounding.
SLACK_PX = 1.5


def check_batch(batch: Batch, classes: int) -> list[str]:
    """Return what is wrong with a batch, one sentence each.

    Args:
        batch: as the loader gives it.
        classes: of the labels.
    """
    wrong = check_pictures(batch.images) + check_targets(batch, classes)
    return wrong or check_fit(batch)


def check_pictures(images: Sequence[Tensor]) -> list[str]:
    """Return what is wrong with the pixels: they must be RGB of 0..1, and not all the same."""
    if any(image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point() for image in images):
        shapes = sorted({f"{tuple(image.shape)} {image.dtype}" for image in images})
        return [f"pictures must be (3, H, W) floats, not {', '.join(shapes)}"]
    low = min(float(image.min()) for image in images)
    high = max(float(image.max()) for image in images)
    if not all(bool(torch.isfinite(image).all()) for image in images):
        return ["a picture holds values that are not finite"]
    if high > 2:
        return [f"pixels reach {high:.0f}: they must be 0..1; divide by 255 once"]
    if low < -1e-3 or high > 1 + 1e-3:
        return [f"pixels are {low:.2f}..{high:.2f}: they must be 0..1; the net normalises them, the loader must not"]
    if high < 0.05:
        return [f"pixels are {low:.4f}..{high:.4f}: divided by 255 more than once, or black"]
    if max(float(image.std()) for image in images) < 0.01:
        return ["the pictures show nothing: all their pixels are nearly the same"]
    if len(images) > 2 and all(image.shape == images[0].shape and torch.equal(image, images[0]) for image in images):
        return ["all pictures of the batch are the same one"]
    return []


def check_targets(batch: Batch, classes: int) -> list[str]:
    """Return what is wrong with boxes and classes."""
    if len(batch.images) != len(batch.targets):
        return [f"{len(batch.images)} pictures and {len(batch.targets)} targets"]
    for image, target, where in zip(
        batch.images, batch.targets, [*batch.where, *[""] * len(batch.images)], strict=False
    ):
        told = _wrong_target(target, image.shape[2], image.shape[1], classes)
        if told:
            return [f"{where}: {told}" if where else told]
    boxes = torch.cat([target.boxes for target in batch.targets])
    if len(boxes) > 2 and float(boxes.max()) <= 1.5:
        return ["boxes are relative to the picture (0..1); they must be in pixels"]
    return []


def _wrong_target(target: Target, width: int, height: int, classes: int) -> str:
    boxes, count = target.boxes, len(target.boxes)
    if boxes.shape != (count, 4) or target.classes.shape != (count,) or target.ignored.shape != (count,):
        return f"boxes {tuple(boxes.shape)} and classes {tuple(target.classes.shape)} do not fit"
    if count == 0:
        return ""
    if not bool(torch.isfinite(boxes).all()):
        return "a box is not finite"
    if bool((boxes[:, 2:] <= boxes[:, :2]).any()):
        return f"box {_first(boxes, (boxes[:, 2:] <= boxes[:, :2]).any(1))} is empty: boxes are x1 y1 x2 y2"
    outside = (boxes < -SLACK_PX).any(1) | (boxes[:, 2] > width + SLACK_PX) | (boxes[:, 3] > height + SLACK_PX)
    if bool(outside.any()):
        return (
            f"box {_first(boxes, outside)} reaches out of its picture of {width}x{height}: boxes are x1 y1 x2 y2, and "
            "change with the picture"
        )
    low, high = int(target.classes.min()), int(target.classes.max())
    if low < 0 or high >= classes:
        return f"class {low if low < 0 else high} is none of 0..{classes - 1}: classes count from 0, without background"
    return ""


def _first(boxes: Tensor, which: Tensor) -> list[float]:
    return [round(value, 1) for value in boxes[which][0].tolist()]
