"""Whether the boxes of a batch lie on what its pictures show, told from the pictures alone.

Things differ from what is around them, and in one batch mostly in one way: dishes are more coloured than the tray, or
smoother than a mottled counter. Which way that is, the batch says itself. With m features of each pixel (colour,
edges, see `_features`), standardised in each picture, let

    delta_i     (m,) mean of the features inside picture i's boxes less the mean outside them
    Sigma       (m, m) covariance of the features
    w_i         = (Sigma + ridge)^-1 mean of delta_j, j != i: Fisher's linear discriminant, learnt from the others
    d_i         = w_i . delta_i / sqrt(w_i' Sigma w_i): by how many deviations it parts the boxes of picture i

Boxes on the things have d_i well above 0 in nearly all pictures; boxes elsewhere have about 0. When another reading of
the boxes (mirrored, half the size, those of the next picture) has much larger d than the one that was given, in
nearly all pictures, that reading is named. A batch of few pictures, or one in which no reading parts anything,
proves nothing and passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from training.finetune.batches import Batch

#: Longest side of the pictures that features are made of.
LONGEST_PX = 128
#: Pictures in which both readings can be compared, at least.
PICTURES = 5
#: So many standard errors the other reading must part things better than the given one, and than chance.
SURE = 3.5
#: What the other reading must reach, and the share of it that the given one must not.
LEAST, MOST_SHARE = 0.35, 0.6
#: Standard errors are not less than this: some pictures agree by chance.
FLOOR = 0.03
#: Share of a picture that must be inside the boxes, and outside them.
SHARE = 0.01

Reading = Callable[[Tensor, float, float], Tensor]


def _stretched(x: float, y: float) -> Reading:
    return lambda b, w, h: b * b.new_tensor([x, y, x, y])


def _moved(share: float) -> Reading:
    return lambda b, w, h: b + share * (b[:, 2:] - b[:, :2]).repeat(1, 2)


#: What else the boxes (n, 4) of a picture of width and height may have meant.
READINGS: dict[str, Reading] = {
    "mirrored left to right": lambda b, w, h: torch.stack([w - b[:, 2], b[:, 1], w - b[:, 0], b[:, 3]], 1),
    "mirrored top to bottom": lambda b, w, h: torch.stack([b[:, 0], h - b[:, 3], b[:, 2], h - b[:, 1]], 1),
    "turned half round": lambda b, w, h: torch.stack([w - b[:, 2], h - b[:, 3], w - b[:, 0], h - b[:, 1]], 1),
    "turned a quarter to the left": lambda b, w, h: torch.stack([b[:, 1], h - b[:, 2], b[:, 3], h - b[:, 0]], 1),
    "turned a quarter to the right": lambda b, w, h: torch.stack([w - b[:, 3], b[:, 0], w - b[:, 1], b[:, 2]], 1),
    "read with x and y exchanged": lambda b, w, h: b[:, [1, 0, 3, 2]],
    "read as x y width height": lambda b, w, h: torch.cat([b[:, :2], b[:, :2] + b[:, 2:]], 1),
    "read as centre and size": lambda b, w, h: torch.cat([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1),
    "moved up and left by half their size": _moved(-0.5),
    "moved down and right by half their size": _moved(0.5),
    "halved": _stretched(0.5, 0.5),
    "doubled": _stretched(2.0, 2.0),
    "made smaller by a quarter": _stretched(0.75, 0.75),
    "made larger by a third": _stretched(4 / 3, 4 / 3),
    "narrowed by a quarter": _stretched(0.75, 1.0),
    "widened by a third": _stretched(4 / 3, 1.0),
    "flattened by a quarter": _stretched(1.0, 0.75),
    "heightened by a third": _stretched(1.0, 4 / 3),
}


@dataclass(frozen=True)
class Contrast:
    """How the inside of the boxes of one reading differs from the outside.

    Attributes:
        delta: (P, m) difference of the means, in deviations of the picture; 0 where it cannot be told.
        told: (P,) bool, pictures in which it can be told.
    """

    delta: Tensor
    told: Tensor


def check_fit(batch: Batch) -> list[str]:
    """Return which other reading of the boxes fits the pictures clearly better, if any."""
    maps = [_features(image) for image in batch.images]
    spread = torch.stack([(f.flatten(1) @ f.flatten(1).T) / f[0].numel() for f in maps]).mean(0)
    scales = [f.shape[2] / image.shape[2] for f, image in zip(maps, batch.images, strict=True)]
    boxes = [target.boxes * scale for target, scale in zip(batch.targets, scales, strict=True)]
    given = contrast(maps, boxes)
    best, how = 0.0, ""
    for name, reading in READINGS.items():
        other = contrast(maps, [reading(b, f.shape[2], f.shape[1]) for f, b in zip(maps, boxes, strict=True)])
        sure = advantage(given, other, spread)
        if sure > best:
            best, how = sure, f"fit the pictures better when {name}"
    for shift in range(1, len(maps)):
        moved = [batch.targets[(i + shift) % len(maps)].boxes * scale for i, scale in enumerate(scales)]
        sure = advantage(given, contrast(maps, moved), spread)
        if sure > best:
            best, how = sure, f"fit better the picture {len(maps) - shift} places before theirs (of {len(maps)})"
    return [f"the boxes {how} (by {best:.1f} standard errors)"] if how else []


def advantage(given: Contrast, other: Contrast, spread: Tensor) -> float:
    """Return how many standard errors another reading parts things better; 0 unless it does so clearly.

    Args:
        given: of the boxes as they are.
        other: of another reading.
        spread: (m, m) covariance of the features.
    """
    both = given.told & other.told
    # A reading that loses most of the boxes is compared on a few that are left by chance.
    if int(both.sum()) < max(PICTURES, 0.6 * int(given.told.sum())):
        return 0.0
    mine, theirs = parting(given.delta[both], spread), parting(other.delta[both], spread)
    sure = min(_errors(theirs - mine), _errors(theirs))
    clear = float(theirs.mean()) > LEAST and float(mine.mean()) < MOST_SHARE * float(theirs.mean())
    return sure if clear and sure > SURE else 0.0


def parting(delta: Tensor, spread: Tensor) -> Tensor:
    """Return d (P,) of the module's page, from delta (P, m) and Sigma (m, m)."""
    count = len(delta)
    ridge = spread + 0.1 * torch.eye(len(spread))
    others = (delta.sum(0) - delta) / (count - 1)
    w: Tensor = torch.linalg.solve(ridge, others.T).T  # (P, m)
    length: Tensor = ((w @ ridge) * w).sum(1).clamp(min=1e-9).sqrt()
    return (w * delta).sum(1) / length


def contrast(maps: Sequence[Tensor], boxes: Sequence[Tensor]) -> Contrast:
    """Return how features (m, h, w) differ inside the boxes (n, 4), in pixels of the maps, from outside."""
    delta, told = torch.zeros(len(maps), len(maps[0])), torch.zeros(len(maps), dtype=torch.bool)
    for i, (features, picture) in enumerate(zip(maps, boxes, strict=True)):
        inside = _mask(features.shape[1], features.shape[2], picture)
        share = float(inside.mean())
        if SHARE < share < 1 - SHARE:
            delta[i] = (features * inside).mean((1, 2)) / share - (features * (1 - inside)).mean((1, 2)) / (1 - share)
            told[i] = True
    return Contrast(delta, told)


def _mask(height: int, width: int, boxes: Tensor) -> Tensor:
    """Return 1 (h, w) where a box is."""
    mask = torch.zeros(height, width)
    for x1, y1, x2, y2 in boxes.round().long().tolist():
        mask[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = 1
    return mask


def _features(image: Tensor) -> Tensor:
    """Return (m, h, w) features of a small picture, each of mean 0 and deviation 1 (0 where it is the same everywhere).

    Luminance and two opponent colours; how far the colour is from the picture's usual one; the strength of edges,
    near by and in a neighbourhood.
    """
    scale = min(1.0, LONGEST_PX / max(image.shape[1:]))
    small = image.float()[None]
    if scale < 1:
        size = (max(8, round(image.shape[1] * scale)), max(8, round(image.shape[2] * scale)))
        small = interpolate(small, size, mode="area")
    red, green, blue = small[0]
    light = (red + green + blue) / 3
    colours = torch.stack([light, red - green, blue - (red + green) / 2])
    colours = avg_pool2d(colours[None], 3, 1, 1, count_include_pad=False)[0]
    usual = colours.flatten(1).median(dim=1).values[:, None, None]
    steps = torch.zeros_like(light)
    steps[:, 1:] += (light[:, 1:] - light[:, :-1]).abs()
    steps[1:] += (light[1:] - light[:-1]).abs()
    edges = [avg_pool2d(steps[None, None], side, 1, side // 2, count_include_pad=False)[0, 0] for side in (3, 9)]
    floor = float(steps.mean()) / 4 + 1e-6
    stack = torch.stack([*colours, (colours - usual).square().sum(0).sqrt(), *((e + floor).log() for e in edges)])
    centred = stack - stack.mean((1, 2), keepdim=True)
    deviation = centred.square().mean((1, 2), keepdim=True).sqrt()
    return torch.where(deviation > 1e-5, centred / deviation.clamp(min=1e-5), torch.zeros_like(centred))


def _errors(values: Tensor) -> float:
    """Return how many standard errors the mean (of P values) is above 0."""
    return float(values.mean() / (values.std() / len(values) ** 0.5 + FLOOR))
