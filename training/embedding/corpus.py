"""What the embedder learns from and is chosen by: rendered once to a folder, in shards, then held in memory.

A shard is a file of `crop_set.save` that is whole or absent; rendering that was stopped goes on where it was. The name
of a shard says all that it depends on, and RENDERING is part of it: raise it when a painter changes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.errors import ConfigError
from streams.synthetic.catalogue import DISH_NAMES
from training.embedding.crop_set import CropSet, crop_set, load, save
from training.embedding.lane_crops import DEVELOPMENT_SEEDS, LEARNT, TRAIN_SEEDS, catalogue_views, lane_crops
from training.embedding.views import made_up_views

RENDERING = 2
#: Classes (or lanes) of one shard.
PART = 40
LANE_PART = 10


@dataclass(frozen=True)
class Plan:
    """How much is rendered.

    Attributes:
        dishes: made-up dishes.
        packets: things that always look the same.
        views: crops of each of them.
        every_dish: learn all dishes of the catalogue, as the shipped model does; else LEARNT ones alone, to see what an
            embedder is worth for dishes that it never saw.
        lanes: lanes to learn from.
        frames: looks at each of these.
        catalogue: views of each of these dishes beside its lane crops.
        development_lanes: lanes of all dishes to choose by.
        development_frames: looks at each of these.
    """

    dishes: int = 480
    packets: int = 240
    views: int = 12
    every_dish: bool = True
    lanes: int = 60
    frames: int = 30
    catalogue: int = 24
    development_lanes: int = 40
    development_frames: int = 24

    def __post_init__(self) -> None:
        if min(self.dishes + self.packets, self.views, self.lanes, self.frames, self.development_lanes) < 1:
            raise ConfigError("a plan needs at least one class, view, lane and frame of each kind")
        if self.lanes > len(TRAIN_SEEDS) or self.development_lanes > len(DEVELOPMENT_SEEDS):
            raise ConfigError(
                f"at most {len(TRAIN_SEEDS)} lanes to learn from and {len(DEVELOPMENT_SEEDS)} to choose by"
            )


@dataclass(frozen=True)
class _Shard:
    """One file: `kind` and the numbers first..last-1."""

    kind: str
    first: int
    last: int
    views: int

    @property
    def file(self) -> str:
        return f"{self.kind}-{self.first}-{self.last}-{self.views}-r{RENDERING}.npz"


def render(
    plan: Plan, folder: Path, processes: int = 1, on_shard: Callable[[int, int], None] = lambda done, of: None
) -> None:
    """Render the shards that `folder` does not hold yet."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(shard, folder) for shard in _shards(plan) if not (folder / shard.file).is_file()]
    with contextlib.ExitStack() as stack:
        done: Iterator[None] = map(_draw, jobs)
        if processes > 1 and len(jobs) > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(processes))
            done = pool.imap_unordered(_draw, jobs)
        for count, _ in enumerate(done, start=1):
            on_shard(count, len(jobs))


def training_sets(plan: Plan, folder: Path) -> dict[str, CropSet]:
    """Return the rendered sets to learn from: "dishes", "things" and "lane" (with the catalogue's views in it)."""
    shards = _shards(plan)
    lane = joined("lane", [load(folder / s.file) for s in shards if s.kind.startswith(("lane", "catalogue"))])
    sets = {"lane": lane}
    for name, kind in (("dishes", "dish"), ("things", "thing")):
        parts = [load(folder / s.file) for s in shards if s.kind == kind]
        if parts:
            sets[name] = joined(name, parts)
    return sets


def development_lane(plan: Plan, folder: Path) -> CropSet:
    """Return the crops of all dishes on lanes to choose by."""
    return joined("development lane", [load(folder / s.file) for s in _shards(plan) if s.kind == "development"])


def joined(name: str, parts: Sequence[CropSet]) -> CropSet:
    """Return sets as one; classes of one name are one class."""
    named = [(part.names[c], crop) for part in parts for c, crop in zip(part.classes, part.crops, strict=True)]
    return crop_set(name, named, np.concatenate([part.groups for part in parts]).tolist())


def _shards(plan: Plan) -> list[_Shard]:
    shards = [_Shard("dish", *span, plan.views) for span in _spans(0, plan.dishes, PART)]
    shards += [_Shard("thing", *span, plan.views) for span in _spans(0, plan.packets, PART)]
    which = "-all" if plan.every_dish else ""
    shards += [_Shard(f"lane{which}", *span, plan.frames) for span in _spans(0, plan.lanes, LANE_PART)]
    if plan.catalogue:
        dishes = len(DISH_NAMES if plan.every_dish else LEARNT)
        shards += [_Shard(f"catalogue{which}", *span, plan.catalogue) for span in _spans(0, dishes, len(LEARNT))]
    shards += [
        _Shard("development", *span, plan.development_frames) for span in _spans(0, plan.development_lanes, LANE_PART)
    ]
    return shards


def _spans(first: int, last: int, step: int) -> list[tuple[int, int]]:
    return [(at, min(at + step, last)) for at in range(first, last, step)]


def _draw(job: tuple[_Shard, Path]) -> None:
    shard, folder = job
    cv2.setNumThreads(1)
    span = range(shard.first, shard.last)
    if shard.kind == "dish":
        crops = made_up_views(span, range(0), shard.views)
    elif shard.kind == "thing":
        crops = made_up_views(range(0), span, shard.views)
    elif shard.kind.startswith("catalogue"):
        dishes = DISH_NAMES if shard.kind.endswith("-all") else LEARNT
        crops = catalogue_views(dishes[shard.first : shard.last], shard.views)
    elif shard.kind.startswith("lane"):
        dishes = DISH_NAMES if shard.kind.endswith("-all") else LEARNT
        crops = lane_crops(TRAIN_SEEDS[shard.first : shard.last], shard.views, dishes)
    else:
        crops = lane_crops(DEVELOPMENT_SEEDS[shard.first : shard.last], shard.views, DISH_NAMES, ("medium",))
    save(crops, folder / shard.file)
