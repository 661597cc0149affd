"""Nets and batches on which the overfit gate is measured: good ones, from painted and real pictures."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dataset.reading import read_set
from dataset.records import DetectionSet
from training.finetune.augmentations import AugmentSettings
from training.finetune.batches import Batch, Target
from training.finetune.detectors import Detector, DetectorShape, build
from training.finetune.freezing import FreezePlan, freeze
from training.finetune.loader import Loader, LoaderSettings
from training.finetune.overfit import TakeStep
from training.finetune.pretrained import read_card, start_from, unfold_norms
from training.finetune.rates import OptimiserSettings, make_optimiser

DATA = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets"
SETS = {"epicure19": "epicure19_yolo", "nextar2": "nextar2_coco", "raccoon": "raccoon_voc"}
#: A TrayNet of a fifth of the parameters.
SMALL = DetectorShape("traynet", ("x",), (320, 320), widths=(12, 24, 32, 48, 64), depths=(0, 1, 1, 1), neck=32)
SHAPES = {
    "traynet": DetectorShape("traynet", ("x",), (320, 320)),
    "small traynet": SMALL,
    "ssdlite": DetectorShape("ssdlite320_mobilenet_v3_large", ("x",), (320, 320)),
    "fasterrcnn_mobilenet": DetectorShape("fasterrcnn_mobilenet_v3_large_320_fpn", ("x",), (320, 320)),
    "retinanet": DetectorShape("retinanet_resnet50_fpn", ("x",), (320, 320)),
    "fcos": DetectorShape("fcos_resnet50_fpn", ("x",), (320, 320)),
}


@dataclass(frozen=True)
class Case:
    """What the gate is given."""

    name: str
    make_net: Callable[[], Detector]
    batch: Batch
    make_optimiser: Callable[[Detector], torch.optim.Optimizer]
    take_step: TakeStep | None = None


def good_cases() -> Iterator[Case]:
    """Yield 50 runs in which nothing is wrong."""
    for name in ("painted", *SETS):
        yield from (good("small traynet", name, seed) for seed in range(5))
        yield from (good("traynet", name, seed) for seed in range(2))
    for name in SETS:
        yield from (good("traynet", name, seed, depth=3, card=True) for seed in range(2))
    yield good("traynet", "painted", 3, card=True)
    yield good("small traynet", "painted", 7, objects=(1, 1))
    yield good("small traynet", "painted", 8, objects=(9, 14))
    yield good("small traynet", "painted", 9, classes=1)
    yield good("small traynet", "painted", 10, classes=40)
    yield good("small traynet", "painted", 11, empty=True)
    yield good("small traynet", "nextar2", 12, depth=2)
    yield good("small traynet", "epicure19", 6, depth=1)
    yield from (good("ssdlite", name, 1) for name in ("painted", "epicure19", "nextar2"))
    yield good("ssdlite", "raccoon", 2)
    yield good("fasterrcnn_mobilenet", "epicure19", 1)
    yield good("fasterrcnn_mobilenet", "painted", 2)
    yield good("retinanet", "nextar2", 1)
    yield good("fcos", "epicure19", 1)


def good(
    shape: str,
    pictures: str,
    seed: int,
    depth: int = 0,
    card: bool = False,
    classes: int = 5,
    objects: tuple[int, int] = (2, 6),
    empty: bool = False,
) -> Case:
    """Return one good run; half of the real ones see augmented pictures.

    Args:
        shape: one of SHAPES.
        pictures: "painted" or one of SETS.
        seed: of weights and pictures.
        depth: stages that are frozen.
        card: start from the shipped weights.
        classes: of painted pictures.
        objects: fewest and most on a painted picture.
        empty: one painted picture has none.
    """
    if pictures == "painted":
        labels, batch = tuple(f"dish{i}" for i in range(classes)), painted(seed, classes, objects, empty)
    else:
        whole = real(pictures)
        augment = AugmentSettings() if seed % 2 else None
        labels = whole.labels
        batch = Loader(whole, LoaderSettings(batch=8, seed=seed, longest=480), augment).batch(0)
    how = replace(SHAPES[shape], labels=labels)

    def make_net() -> Detector:
        torch.manual_seed(seed)
        net = build(how)
        if card:
            start_from(net, read_card("traynet@1"))
            unfold_norms(net, batch.images[:4])
        freeze(net, FreezePlan(depth).frozen_at(0, net))
        return net

    kind = OptimiserSettings("sgd", 0.005, 5e-4) if seed % 3 == 0 else OptimiserSettings(depth_decay=0.8)
    details = f"{' from traynet@1' if card else ''}{f', {depth} stages frozen' if depth else ''}"
    return Case(f"{shape}{details}, {pictures}, seed {seed}", make_net, batch, lambda net: make_optimiser(net, kind))


@functools.cache
def real(name: str) -> DetectionSet:
    """Return one of SETS.

    Raises:
        DataError: it is not there; set TRAYLANE_DATA.
    """
    return read_set(DATA / SETS[name])


def painted(seed: int, classes: int, objects: tuple[int, int] = (2, 6), empty: bool = False, count: int = 8) -> Batch:
    """Return pictures of coloured dishes on a mottled counter; a class is a colour and a pattern."""
    rng = np.random.default_rng([seed, 77])
    palette = np.random.default_rng(5).uniform(0.1, 0.95, (max(classes, 2), 2, 3))
    images, targets = [], []
    for place in range(count):
        height, width = int(rng.integers(200, 360)), int(rng.integers(200, 360))
        image = np.clip(rng.uniform(0.3, 0.7, 3) + rng.normal(0, 0.02, (height, width, 3)), 0, 1)
        boxes: list[list[float]] = []
        names: list[int] = []
        for _ in range(0 if empty and place == 0 else int(rng.integers(objects[0], objects[1] + 1))):
            w, h = rng.integers(36, 90, 2)
            x, y = rng.integers(0, width - w), rng.integers(0, height - h)
            if any(x < b[2] and b[0] < x + w and y < b[3] and b[1] < y + h for b in boxes):
                continue
            name = int(rng.integers(classes))
            rows, columns = np.mgrid[:h, :w]
            inside = ((rows - h / 2) / (h / 2)) ** 2 + ((columns - w / 2) / (w / 2)) ** 2 <= 1
            striped = ((rows + columns * (name % 3)) // (6 + name % 5)) % 2
            image[y : y + h, x : x + w][inside] = palette[name][striped[inside]]
            boxes.append([x, y, x + w, y + h])
            names.append(name)
        images.append(torch.from_numpy(np.round(image * 255) / 255).permute(2, 0, 1).float().contiguous())
        table = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        targets.append(Target(table, torch.tensor(names, dtype=torch.int64), torch.zeros(len(names), dtype=torch.bool)))
    return Batch(images, targets, [f"painted {seed}/{place}" for place in range(count)])
