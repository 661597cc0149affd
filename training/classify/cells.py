"""One cell of a study: a net, a depth, a course of the rate and a seed; run once, then kept on disk.

A cell is kept as JSON named by a hash of all that it depends on: recipe, photos of both parts, weights, net, seed. A
study that was cut goes on where it was, one that gets a seed or a net more runs only what is new, and nothing that was
made from other photos or settings is ever taken for the answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from core.errors import FolderUnusable
from core.files import sha256_of
from core.settings import Settings
from training.classify.learning import Course, cpu_fps, fit, probabilities
from training.classify.nets import Depth, make_net, shared_tensors, trunk_sha256
from training.classify.pixels import Shown
from training.classify.range_test import find_rate
from training.classify.settings import RecipeSettings
from training.classify.zoo import Entry
from training.finetune.checkpoints import write_whole

CELLS = "cells"
#: Counts up when the same cell would give another result.
FORMAT = 2
RecordT = TypeVar("RecordT", bound=BaseModel)


class RateRecord(Settings):
    """What a range test found for a net and a depth."""

    rate: float = Field(description="Mean learning rate to run at")
    rates: tuple[float, ...] = Field(description="Of each step of the test")
    losses: tuple[float, ...] = Field(description="Smoothed, of each step of the test")


class CellRecord(Settings):
    """What a cell gave."""

    arch: str = Field(description="The net")
    depth: Depth = Field(description="What of it learns")
    course: Course = Field(description="Of the rate")
    seed: int = Field(description="Of first weights, order and changes")
    photos: int = Field(description="Learnt from")
    rate: float = Field(description="Mean learning rate")
    steps: int = Field(description="Optimiser steps")
    losses: tuple[float, ...] = Field(description="Mean training loss of each epoch")
    right: tuple[bool, ...] = Field(description="Whether each test photo is called right")
    train_cpu_s: float = Field(description="Processor seconds of learning")
    train_wall_s: float = Field(description="Seconds of the clock, other work of the machine included")
    eval_fps: float = Field(description="Photos a processor second, one at a time")
    weights_sha256: str | None = Field(description="SHA-256 of the file of weights; none from scratch")
    trunk_before: str = Field(description="SHA-256 of the trunk's tensors before learning")
    trunk_after: str = Field(description="and after it")
    shared: int = Field(description="Trunk tensors whose bytes were in the file of weights before learning")

    @property
    def accuracy(self) -> float:
        """Share of the test photos that are called right."""
        return sum(self.right) / len(self.right)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all cells of a study are run on.

    Attributes:
        out: folder of the study.
        train: photos to learn from, in memory.
        test: photos to be tested on.
        train_sha256: of the set learnt from.
        test_sha256: of the test part.
        classes: how many.
        recipe: how nets learn.
    """

    out: Path
    train: Shown
    test: Shown
    train_sha256: str
    test_sha256: str
    classes: int
    recipe: RecipeSettings


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    entry: Entry
    depth: Depth
    course: Course
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.entry.member.arch} {self.depth} {self.course} seed {self.seed}"


def run_cell(cell: Cell, bench: Bench, steps: int | None = None) -> tuple[CellRecord, bool]:
    """Return what a cell gives, and whether that was kept from before.

    Raises:
        ConfigError: the net has no weights, or cannot take the photos.
        ModelError: weights that do not fit, or a loss that is not finite.
        FolderUnusable: the result cannot be kept.
    """
    rate = bench.recipe.rate or found_rate(cell.entry, cell.depth, bench).rate
    weights = _weights_sha256(cell.entry, cell.depth)
    settings = bench.recipe.model_dump(mode="json") | {"rate": rate, "steps": steps}
    made_of = {"arch": cell.entry.member.arch, "depth": cell.depth, "course": cell.course, "seed": cell.seed}
    made_of |= {"weights": weights, "test": bench.test_sha256}

    def run() -> CellRecord:
        net = make_net(cell.entry, cell.depth, bench.classes, bench.train.px, cell.seed)
        before = trunk_sha256(net)
        shared = shared_tensors(net, cell.entry.weights) if cell.entry.weights else ()
        fitted = fit(net, bench.train, cell.depth, cell.course, rate, bench.recipe, cell.seed, steps)
        right = probabilities(net, bench.test).argmax(axis=1) == bench.test.targets
        return CellRecord(
            arch=cell.entry.member.arch,
            depth=cell.depth,
            course=cell.course,
            seed=cell.seed,
            photos=len(bench.train),
            rate=rate,
            steps=fitted.steps,
            losses=fitted.losses,
            right=tuple(bool(one) for one in right),
            train_cpu_s=round(fitted.cpu_s, 3),
            train_wall_s=round(fitted.wall_s, 3),
            eval_fps=round(cpu_fps(net, bench.train.px), 2),
            weights_sha256=weights,
            trunk_before=before,
            trunk_after=trunk_sha256(net),
            shared=len(shared),
        )

    return kept(bench.out, "cell", key_of(bench, made_of | {"settings": settings}), CellRecord, run)


def found_rate(entry: Entry, depth: Depth, bench: Bench) -> RateRecord:
    """Return the rate that a range test finds for a net and a depth: one for all courses and seeds."""
    made_of: dict[str, object] = {"arch": entry.member.arch, "depth": depth}
    made_of |= {"weights": _weights_sha256(entry, depth)}
    made_of |= {"settings": bench.recipe.model_dump(mode="json", exclude={"rate", "epochs", "cycles", "low"})}

    def run() -> RateRecord:
        net = make_net(entry, depth, bench.classes, bench.train.px, 0)
        found = find_rate(net, bench.train, depth, bench.recipe, 0)
        return RateRecord(rate=found.rate, rates=found.rates, losses=found.losses)

    return kept(bench.out, "rate", key_of(bench, made_of), RateRecord, run)[0]


def key_of(bench: Bench, made_of: Mapping[str, object]) -> str:
    """Return 20 digits that tell results apart."""
    whole: dict[str, object] = {"format": FORMAT, "train": bench.train_sha256, "classes": bench.classes}
    whole |= {"px": bench.train.px, **made_of}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:20]


def kept(out: Path, kind: str, key: str, model: type[RecordT], run: Callable[[], RecordT]) -> tuple[RecordT, bool]:
    """Return the record of that key, from disk where it is whole, and whether it was there; else run and keep it.

    Raises:
        FolderUnusable: it cannot be kept.
    """
    path = out / CELLS / f"{kind}-{key}.json"
    if path.is_file():
        try:
            return model.model_validate_json(path.read_bytes()), True
        except ValidationError:
            # Not one of ours any more: cut short, or edited. The run gives it again.
            path.unlink()
    record = run()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise FolderUnusable(f"{path.parent}: cannot be written: {err.strerror or err}; give another --out") from err
    write_whole(path, record.model_dump_json() + "\n")
    return record, False


def _weights_sha256(entry: Entry, depth: Depth) -> str | None:
    return None if depth == "scratch" or entry.weights is None else sha256_of(entry.weights)
