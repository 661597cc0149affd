"""Painted counters for the overfit gate's good runs: usual ones, and such on which checks of boxes may go astray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.finetune.batches import Batch, Target


@dataclass(frozen=True)
class Scene:
    """How counters and dishes look.

    Attributes:
        noise: deviation of the counter's pixels.
        weave: pixels between the counter's woven stripes; 0: none.
        plain: dishes have one colour each, else two in stripes.
        blocks: dishes fill their boxes, else they are round.
        opacity: of dishes; below 1 they have a bright rim.
        light: of the whole picture.
        sides: least and most pixels of a dish's sides; of 1 and less, shares of the picture's.
        objects: fewest and most on a picture.
    """

    noise: float = 0.02
    weave: int = 0
    plain: bool = False
    blocks: bool = False
    opacity: float = 1.0
    light: float = 1.0
    sides: tuple[float, float] = (36, 90)
    objects: tuple[int, int] = (2, 6)


SCENES = {
    "painted": Scene(),
    "few": Scene(objects=(1, 1)),
    "many": Scene(objects=(9, 14)),
    "flat on noise": Scene(noise=0.2, plain=True, blocks=True),
    "plain on weave": Scene(weave=9, plain=True),
    "textured on flat": Scene(noise=0.0),
    "transparent": Scene(opacity=0.15, plain=True),
    "night": Scene(light=0.1, noise=0.04),
    "tiny": Scene(sides=(12, 24)),
    "big": Scene(sides=(0.8, 0.97), objects=(1, 1)),
}


def painted(seed: int, classes: int, scene: str = "painted", empty: bool = False, count: int = 8) -> Batch:
    """Return pictures of coloured dishes on a counter; a class is a colour and a pattern.

    Args:
        seed: of all that is drawn.
        classes: how many.
        scene: one of SCENES.
        empty: the first picture has no dish.
        count: of pictures.
    """
    how = SCENES[scene]
    rng = np.random.default_rng([seed, 77])
    palette = np.random.default_rng(5).uniform(0.1, 0.95, (max(classes, 2), 2, 3))
    images, targets = [], []
    for place in range(count):
        height, width = int(rng.integers(200, 360)), int(rng.integers(200, 360))
        image = _counter(rng, height, width, how)
        boxes: list[list[float]] = []
        names: list[int] = []
        for _ in range(0 if empty and place == 0 else int(rng.integers(how.objects[0], how.objects[1] + 1))):
            w, h = _sides(rng, width, height, how)
            x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            if any(x < b[2] and b[0] < x + w and y < b[3] and b[1] < y + h for b in boxes):
                continue
            name = int(rng.integers(classes))
            _paint(image[y : y + h, x : x + w], palette[name], name, how)
            boxes.append([x, y, x + w, y + h])
            names.append(name)
        image = np.clip(image * how.light, 0, 1)
        images.append(torch.from_numpy(np.round(image * 255) / 255).permute(2, 0, 1).float().contiguous())
        table = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        targets.append(Target(table, torch.tensor(names, dtype=torch.int64), torch.zeros(len(names), dtype=torch.bool)))
    return Batch(images, targets, [f"{scene} {seed}/{place}" for place in range(count)])


def _counter(rng: np.random.Generator, height: int, width: int, how: Scene) -> NDArray[np.float64]:
    """Return an empty counter (H, W, 3) of 0..1."""
    image = np.clip(rng.uniform(0.3, 0.7, 3) + rng.normal(0, how.noise, (height, width, 3)), 0, 1)
    if how.weave:
        rows, columns = np.mgrid[:height, :width]
        image[(rows // how.weave + columns // how.weave) % 2 == 1] *= 0.6
    return image


def _sides(rng: np.random.Generator, width: int, height: int, how: Scene) -> tuple[int, int]:
    """Return a dish's width and height."""
    low, high = how.sides
    if high <= 1:
        return int(rng.uniform(low, high) * width), int(rng.uniform(low, high) * height)
    w, h = rng.integers(int(low), int(high), 2)
    return int(w), int(h)


def _paint(place: NDArray[np.float64], colours: NDArray[np.float64], name: int, how: Scene) -> None:
    """Draw a dish into its place (h, w, 3)."""
    h, w = place.shape[:2]
    rows, columns = np.mgrid[:h, :w]
    away = ((rows + 0.5 - h / 2) / (h / 2)) ** 2 + ((columns + 0.5 - w / 2) / (w / 2)) ** 2
    inside = np.full((h, w), True) if how.blocks else away <= 1
    striped = np.zeros((h, w), int) if how.plain else ((rows + columns * (name % 3)) // (6 + name % 5)) % 2
    place[inside] = (1 - how.opacity) * place[inside] + how.opacity * colours[striped[inside]]
    if how.opacity < 1:
        place[inside & (away > 0.8)] = 0.95
