"""What can be told from a batch alone, before any net sees it: wrong pixels, wrong boxes, boxes of other pictures.

Whether boxes lie on objects is judged by edges: an object has more of them inside its box than around it. When the
boxes fit another reading of themselves (mirrored, width and height instead of a corner, those of the next picture)
clearly better than the one that was given, that reading is named. A batch of few pictures proves nothing and passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from training.finetune.batches import Batch, Target

#: Pixels that a box may stick out of its picture, for rounding.
SLACK_PX = 1.5
#: Longest side of the pictures that edges are looked for in.
EDGES_PX = 192
#: So many standard errors a reading must be better than the one given, over so many pictures at least. In 48 right
#: batches of four sets no reading was better by more than 1.1.
SURE, PICTURES = 2.5, 4

Reading = Callable[[Tensor, int, int], Tensor]

READINGS: dict[str, Reading] = {
    "mirrored left to right": lambda b, w, h: torch.stack([w - b[:, 2], b[:, 1], w - b[:, 0], b[:, 3]], 1),
    "mirrored top to bottom": lambda b, w, h: torch.stack([b[:, 0], h - b[:, 3], b[:, 2], h - b[:, 1]], 1),
    "read with x and y exchanged": lambda b, w, h: b[:, [1, 0, 3, 2]],
    "read as x y width height": lambda b, w, h: torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], 1),
    "read as centre and size": lambda b, w, h: torch.cat([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1),
    "halved": lambda b, w, h: b / 2,
    "doubled": lambda b, w, h: b * 2,
}


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


def check_fit(batch: Batch) -> list[str]:
    """Return which other reading of the boxes fits the pictures clearly better, if any."""
    maps = [_edges(image) for image in batch.images]
    given = [_scores(edges, target.boxes * scale) for (edges, scale), target in zip(maps, batch.targets, strict=True)]
    best, how = -SURE, ""
    for name, reading in READINGS.items():
        other = [
            _scores(edges, reading(target.boxes * scale, edges.shape[1], edges.shape[0]))
            for (edges, scale), target in zip(maps, batch.targets, strict=True)
        ]
        found = _advantage(given, other, paired=True)
        if found < best:
            best, how = found, f"fit the pictures better when {name}"
    for shift in range(1, len(maps)):
        other = []
        for i, (edges, scale) in enumerate(maps):
            j = (i + shift) % len(maps)
            other.append(_scores(edges, batch.targets[j].boxes * scale))
        found = _advantage(given, other, paired=False)
        if found < best:
            best, how = found, f"fit better the picture {len(maps) - shift} places before theirs (of {len(maps)})"
    return [f"the boxes {how} (by {-best:.1f} standard errors)"] if how else []


Scores = tuple[Tensor, Tensor]


def _advantage(given: Sequence[Scores], other: Sequence[Scores], paired: bool) -> float:
    """Return how many standard errors the given boxes are better, by pictures; 0 when there are too few."""
    gains = []
    for (mine, valid), (theirs, also) in zip(given, other, strict=True):
        if paired:
            valid = also = valid & also
        if bool(valid.any()) and bool(also.any()):
            gains.append(float(mine[valid].mean() - theirs[also].mean()))
    if len(gains) < PICTURES:
        return 0.0
    values = torch.tensor(gains)
    return float(values.mean() / (values.std() / len(gains) ** 0.5 + 0.02))


def _edges(image: Tensor) -> tuple[Tensor, float]:
    """Return the strength of edges (h, w), and its pixels per picture pixel."""
    scale = min(1.0, EDGES_PX / max(image.shape[1:]))
    grey = image.float().mean(dim=0)[None, None]
    if scale < 1:
        size = (max(2, round(image.shape[1] * scale)), max(2, round(image.shape[2] * scale)))
        grey = interpolate(grey, size, mode="area")
    grey = grey[0, 0]
    edges = torch.zeros_like(grey)
    edges[:, 1:] += (grey[:, 1:] - grey[:, :-1]).abs()
    edges[1:] += (grey[1:] - grey[:-1]).abs()
    return edges / (edges.mean() + 1e-6), scale


def _scores(edges: Tensor, boxes: Tensor) -> Scores:
    """Return log(edges in the box / edges in the ring around it), and which boxes lie so that this can be told."""
    height, width = edges.shape
    sums = torch.zeros(height + 1, width + 1)
    sums[1:, 1:] = edges.cumsum(0).cumsum(1)

    def inside(corners: Tensor) -> tuple[Tensor, Tensor]:
        x1, x2 = corners[:, 0].clamp(0, width), corners[:, 2].clamp(0, width)
        y1, y2 = corners[:, 1].clamp(0, height), corners[:, 3].clamp(0, height)
        area = (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)
        return sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1], area

    box = boxes.round().long()
    margin = ((box[:, 2:] - box[:, :2]) // 4).clamp(min=1)
    within, area = inside(box)
    whole, both = inside(torch.cat([box[:, :2] - margin, box[:, 2:] + margin], dim=1))
    contrast = (within / area.clamp(min=1) + 0.1) / ((whole - within) / (both - area).clamp(min=1) + 0.1)
    return contrast.clamp(min=1e-3).log(), (area > 4) & (both - area > 4)
