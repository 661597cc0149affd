"""Nets and batches on which the overfit gate is measured: good ones, from painted and real pictures."""

from __future__ import annotations

import copy
import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from bench.painted_scenes import SCENES, painted
from dataset.reading import read_set
from dataset.records import DetectionSet
from training.finetune.augmentations import AugmentSettings
from training.finetune.batches import Batch
from training.finetune.by_heart import settle_norms
from training.finetune.detectors import ARCHITECTURES, Detector, DetectorShape, build
from training.finetune.freezing import FreezePlan, freeze
from training.finetune.loader import Loader, LoaderSettings
from training.finetune.overfit import TakeStep
from training.finetune.pretrained import read_card, read_weights, start_from, unfold_norms
from training.finetune.rates import OptimiserSettings, make_optimiser

DATA = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets"
SETS = {"epicure19": "epicure19_yolo", "nextar2": "nextar2_coco", "raccoon": "raccoon_voc"}
#: A TrayNet of a fifth of the parameters.
SMALL = DetectorShape("traynet", ("x",), (320, 320), widths=(12, 24, 32, 48, 64), depths=(0, 1, 1, 1), neck=32)
SHAPES = {"small traynet": SMALL, **{arch: DetectorShape(arch, ("x",), (320, 320)) for arch in ARCHITECTURES}}
HEAVY = tuple(arch for arch in ARCHITECTURES if arch != "traynet")
#: Where a run's first weights come from.
Start = Literal["scratch", "card", "file"]


@dataclass(frozen=True)
class Case:
    """What the gate is given."""

    name: str
    make_net: Callable[[], Detector]
    batch: Batch
    make_optimiser: Callable[[Detector], torch.optim.Optimizer]
    take_step: TakeStep | None = None


def good_cases() -> Iterator[Case]:
    """Yield runs in which nothing is wrong: each architecture, kind of picture and kind of start."""
    for place, arch in enumerate(HEAVY):
        yield good(arch, list(SETS)[place % 3], 1 + place)
        yield good(arch, list(SCENES)[place], 21 + place)
        yield good(arch, list(SETS)[(place + 1) % 3], 41 + place, depth=2, start="file")
    for place, scene in enumerate(SCENES):
        yield good("small traynet", scene, 61 + place)
        yield good("traynet", scene, 71 + place, start="card" if place % 2 else "scratch")
    for name in SETS:
        yield good("small traynet", name, 81)
        yield good("traynet", name, 82)
        yield good("traynet", name, 83, depth=3, start="card")
    yield good("small traynet", "painted", 84, classes=1)
    yield good("small traynet", "painted", 85, classes=40)
    yield good("small traynet", "painted", 86, empty=True)


def good(
    shape: str,
    pictures: str,
    seed: int,
    depth: int = 0,
    start: Start = "scratch",
    classes: int = 5,
    empty: bool = False,
) -> Case:
    """Return one good run; those of an odd seed see real pictures augmented.

    Args:
        shape: one of SHAPES.
        pictures: one of SCENES or of SETS.
        seed: of weights and pictures.
        depth: stages that are frozen.
        start: "card": from the shipped weights; "file": from a file of weights with frozen norms.
        classes: of painted pictures.
        empty: one painted picture has none.
    """
    if pictures in SCENES:
        labels, batch = tuple(f"dish{i}" for i in range(classes)), painted(seed, classes, pictures, empty)
    else:
        whole = real(pictures)
        augment = AugmentSettings.preset("counter") if seed % 2 else None
        labels = whole.labels
        batch = Loader(whole, LoaderSettings(batch=8, seed=seed, longest=480), augment).batch(0)
    how = replace(SHAPES[shape], labels=labels)

    @functools.cache
    def first() -> Detector:
        torch.manual_seed(seed)
        net = from_file(how, batch) if start == "file" else build(how)
        if start == "card":
            start_from(net, read_card("traynet@1"))
            unfold_norms(net, lambda: net.predict(list(batch.images[:4])))
        return net

    def make_net() -> Detector:
        net = copy.deepcopy(first())  # as a run does
        freeze(net, FreezePlan(depth).frozen_at(0, net))
        return net

    kind = OptimiserSettings("sgd", 0.005, 5e-4) if seed % 3 == 0 else OptimiserSettings(depth_decay=0.8)
    told = {"scratch": "", "card": " from traynet@1", "file": " from a file"}[start]
    details = f"{told}{f', {depth} stages frozen' if depth else ''}"
    return Case(f"{shape}{details}, {pictures}, seed {seed}", make_net, batch, lambda net: make_optimiser(net, kind))


def from_file(shape: DetectorShape, batch: Batch) -> Detector:
    """Return a detector that starts from a file, as one does with published weights: 90 other classes, frozen norms.

    The weights are random, yet with statistics of these pictures in their norms, as trained ones have.
    """
    other = build(replace(shape, labels=tuple(f"thing{i}" for i in range(90))))
    settle_norms(other, batch.images[:2], batch.targets[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(other.net.state_dict(), path)
        net = build(replace(shape, norm="batch" if shape.arch == "traynet" else "frozen"))
        start_from(net, read_weights(path), strict=False)
    return net


@functools.cache
def real(name: str) -> DetectionSet:
    """Return one of SETS.

    Raises:
        DataError: it is not there; set TRAYLANE_DATA.
    """
    return read_set(DATA / SETS[name])
