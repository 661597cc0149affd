"""Folders of painted photos, one of a thing each: a class is the colour of a block on a ground that is never twice."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from training.classify.zoo import fresh_trunk

SIDE = 40
CLASSES = {
    "warm/red": (230, 30, 30),
    "warm/orange": (240, 150, 20),
    "cold/blue": (30, 30, 230),
    "cold/teal": (20, 160, 160),
}


def paint_photos(folder: Path, each: int, seed: int = 1, classes: tuple[str, ...] = tuple(CLASSES)) -> Path:
    """Write `each` photos of every class below the folder of its coarse class."""
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            ground = rng.integers(60, 200, (5, 5, 3), dtype=np.uint8)
            image = cv2.resize(ground, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            x, y = (int(v) for v in rng.integers(4, 14, 2))
            image[y : y + 22, x : x + 22] = CLASSES[name]
            cv2.imwrite(str(folder / name / f"{number:02d}.png"), image[:, :, ::-1])
    return folder


def made_up_weights(path: Path, arch: str, seed: int = 5) -> Path:
    """Write a file of weights for a trunk, with norms' statistics that no fresh norm has."""
    torch.manual_seed(seed)
    trunk = fresh_trunk(arch)
    for name, tensor in trunk.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    torch.save(trunk.state_dict(), path)
    return path
