"""Labelled sets of painted pictures: two striped blocks on grey, a class is a colour. YOLO on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dataset.reading import read_set
from dataset.records import DetectionSet
from training.finetune.settings import EarlyStopRecipe, FinetuneSettings, NetRecipe, OptimiserRecipe

COLOURS = {"red": (230, 30, 30), "green": (30, 230, 30), "blue": (30, 30, 230)}
SIDE = 64
#: A traynet that learns blocks in a second or two.
TINY_NET = NetRecipe(arch="traynet", size=(SIDE, SIDE), widths=(8, 8, 16, 16, 16), depths=(0, 0, 0, 0), neck=16)
TINY = FinetuneSettings(
    net=TINY_NET,
    epochs=3,
    batch=4,
    optimiser=OptimiserRecipe(rate=5e-3),
    augment="none",
    ema=0.9,
    gate=False,
    threads=1,
    device="cpu",
    early_stop=EarlyStopRecipe(),
)


def paint(folder: Path, count: int, seed: int, labels: tuple[str, ...] = ("red", "green"), shown: int = 3) -> Path:
    """Write `count` pictures of 64 x 64 with their labels as a YOLO set; only the first `shown` labels are painted."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    colours = list(COLOURS.values())
    for number in range(count):
        image = rng.integers(98, 103, (SIDE, SIDE, 3), dtype=np.uint8)
        lines = []
        for column in range(2):
            kind = int(rng.integers(0, min(shown, len(labels)))) if column else number % min(shown, len(labels))
            x, y = column * 32 + int(rng.integers(0, 8)), int(rng.integers(0, 36))
            w, h = (int(side) for side in rng.integers(16, 24, 2))
            image[y : y + h, x : x + w] = colours[kind]
            image[y : y + h : 4, x : x + w] //= 2
            lines.append(f"{kind} {(x + w / 2) / SIDE} {(y + h / 2) / SIDE} {w / SIDE} {h / SIDE}")
        cv2.imwrite(str(folder / "images" / f"{number:03d}.png"), image[:, :, ::-1])
        (folder / "labels" / f"{number:03d}.txt").write_text("\n".join(lines) + "\n")
    (folder / "data.yaml").write_text(f"names: [{', '.join(labels)}]\n")
    return folder


def painted(folder: Path, count: int, seed: int, labels: tuple[str, ...] = ("red", "green")) -> DetectionSet:
    """Return such a set, read."""
    return read_set(paint(folder, count, seed, labels), labels=labels)
