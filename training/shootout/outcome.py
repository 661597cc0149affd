"""What the cells of a shoot-out say together: a row for each, fronts, and comparisons paired photo by photo."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.gate import Figure
from training.classify.cells import CellRecord
from training.classify.learning import Course
from training.classify.nets import Depth
from training.classify.pictures import Parts
from training.classify.statistics import Difference, Ints, Runs, accuracy_runs, difference, holm, score
from training.classify.zoo import Entry
from training.shootout.settings import ShootoutSettings

#: A comparison's family: its p-values are adjusted for how many it has.
Family = Literal["start", "depth", "schedule"]
#: A run whose loss ends above this share of where it began learnt next to nothing in its budget.
_IDLE = 0.9


@dataclass(frozen=True)
class Row:
    """A cell over its seeds.

    Attributes:
        arch: the net.
        depth: what of it learnt.
        course: of the rate.
        accuracy: mean over seeds, with its interval over photos and seeds.
        seeds: accuracy of each seed.
        train_cpu_s: median over seeds.
        eval_fps: photos a processor second; median over all runs of the net, as depth does not change it.
        rate: mean learning rate.
        steps: optimiser steps.
        losses: mean training loss of each epoch, mean over seeds.
    """

    arch: str
    depth: Depth
    course: Course
    accuracy: Figure
    seeds: tuple[float, ...]
    train_cpu_s: float
    eval_fps: float
    rate: float
    steps: int
    losses: tuple[float, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.arch}, {self.depth}, {self.course}"

    @property
    def idle(self) -> bool:
        """Whether it learnt next to nothing: its training loss hardly fell."""
        return self.losses[-1] > _IDLE * self.losses[0]


@dataclass(frozen=True)
class Comparison:
    """One way against another, both with the same net.

    Attributes:
        family: "start": pretrained against scratch; "depth": deep against shallow; "schedule": cyclical against
            constant.
        arch: the net.
        ours: the first way.
        theirs: the other.
        over: what both were averaged over, or held at.
        result: ours less theirs; its p-value is adjusted for the family (Holm).
    """

    family: Family
    arch: str
    ours: str
    theirs: str
    over: str
    result: Difference

    @property
    def verdict(self) -> Literal["better", "worse", "unsure"]:
        """Whether ours is better: the interval does not hold 0, and an adjusted p-value is below 0.05."""
        gain, p = self.result.gain, self.result.p
        if gain.low is None or gain.high is None or (p is not None and p >= 0.05):
            return "unsure"
        return "better" if gain.low > 0 else ("worse" if gain.high < 0 else "unsure")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a shoot-out found.

    Attributes:
        name: of the set.
        labels: the classes.
        photos: learnt from and tested on.
        rows: every cell over its seeds, most accurate first.
        comparisons: see `Comparison`.
        depth_scores: accuracy by net and depth, over all schedules and seeds.
        best: the most accurate row.
        near: rows of which the test cannot tell that they are worse than the best, cheapest training first.
        chance: accuracy of always naming the most frequent class of the test part.
        warnings: about the set and what was left out.
    """

    name: str
    labels: tuple[str, ...]
    photos: tuple[int, int]
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    depth_scores: Mapping[tuple[str, Depth], Figure]
    best: Row
    near: tuple[Row, ...]
    chance: float
    warnings: tuple[str, ...]

    @property
    def idle_scratch(self) -> tuple[str, ...]:
        """Nets that learnt next to nothing from scratch: their loss hardly fell, or their accuracy may be chance."""

        def idle(row: Row) -> bool:
            return row.idle or (row.accuracy.low is not None and row.accuracy.low <= self.chance)

        return tuple(sorted({row.arch for row in self.rows if row.depth == "scratch" and idle(row)}))

    def of(self, family: Family) -> tuple[Comparison, ...]:
        """Return the comparisons of a family."""
        return tuple(one for one in self.comparisons if one.family == family)


def outcome_of(
    records: Sequence[CellRecord],
    parts: Parts,
    entries: Sequence[Entry],
    settings: ShootoutSettings,
    warnings: tuple[str, ...],
) -> Outcome:
    """Return what the runs of all cells say together."""
    scenes, draws = parts.test.scenes, settings.draws
    rows = sorted(
        (
            _row(records, e.member.arch, depth, course, scenes, draws)
            for e, depth, course in _cells(records, entries, settings)
        ),
        key=lambda row: (-(row.accuracy.value or 0.0), row.train_cpu_s),
    )
    best = rows[0]
    top = _runs(records, scenes, draws, best.arch, best.depth, best.course)

    def as_good(row: Row) -> bool:
        gain = difference(_runs(records, scenes, draws, row.arch, row.depth, row.course), top).gain
        return row is best or (gain.high is not None and gain.high >= 0)

    near = tuple(sorted((row for row in rows if as_good(row)), key=lambda row: row.train_cpu_s))
    compared: list[Comparison] = []
    for make in (_starts, _depths, _schedules):
        family = list(make(records, entries, settings, scenes))
        adjusted = holm([one.result.p or 0.0 for one in family])
        compared += [replace(one, result=replace(one.result, p=p)) for one, p in zip(family, adjusted, strict=True)]
    return Outcome(
        name=parts.test.name.partition("/")[0],
        labels=parts.test.labels,
        photos=(len(parts.train), len(parts.test)),
        rows=tuple(rows),
        comparisons=tuple(compared),
        depth_scores={
            (row.arch, row.depth): score(_runs(records, scenes, draws, row.arch, row.depth, None)) for row in rows
        },
        best=best,
        near=near,
        chance=float(parts.test.counts().max() / len(parts.test)),
        warnings=warnings,
    )


def front(rows: Sequence[Row], cost: Callable[[Row], float]) -> tuple[Row, ...]:
    """Return the rows that no other beats: none is as accurate or more at a lower cost. Cheapest first."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: (cost(row), -(row.accuracy.value or 0.0))):
        if not kept or (row.accuracy.value or 0.0) > (kept[-1].accuracy.value or 0.0):
            kept.append(row)
    return tuple(kept)


def _cells(
    records: Sequence[CellRecord], entries: Sequence[Entry], settings: ShootoutSettings
) -> Iterator[tuple[Entry, Depth, Course]]:
    there = {(one.arch, one.depth, one.course) for one in records}
    for entry in entries:
        for depth in settings.depths:
            for course in settings.schedules:
                if (entry.member.arch, depth, course) in there:
                    yield entry, depth, course


def _row(records: Sequence[CellRecord], arch: str, depth: Depth, course: Course, scenes: Ints, draws: int) -> Row:
    mine = [one for one in records if (one.arch, one.depth, one.course) == (arch, depth, course)]
    runs = accuracy_runs([one.right for one in mine], scenes, draws)
    return Row(
        arch=arch,
        depth=depth,
        course=course,
        accuracy=score(runs),
        seeds=tuple(one.accuracy for one in mine),
        train_cpu_s=statistics.median(one.train_cpu_s for one in mine),
        eval_fps=statistics.median(one.eval_fps for one in records if one.arch == arch),
        rate=mine[0].rate,
        steps=mine[0].steps,
        losses=tuple(statistics.mean(at) for at in zip(*(one.losses for one in mine), strict=True)),
    )


def _runs(
    records: Sequence[CellRecord], scenes: Ints, draws: int, arch: str, depth: Depth, course: Course | None
) -> Runs:
    """Return the runs of a net at a depth, on one course or on all."""
    mine = [one for one in records if (one.arch, one.depth) == (arch, depth) and course in (None, one.course)]
    return accuracy_runs([one.right for one in mine], scenes, draws)


def _starts(
    records: Sequence[CellRecord], entries: Sequence[Entry], settings: ShootoutSettings, scenes: Ints
) -> Iterator[Comparison]:
    """Compare each pretrained depth with scratch, over all schedules and seeds."""
    for entry in entries:
        arch = entry.member.arch
        for depth in settings.depths:
            if entry.weights is None or depth == "scratch" or "scratch" not in settings.depths:
                continue
            ours, theirs = (_runs(records, scenes, settings.draws, arch, d, None) for d in (depth, "scratch"))
            found = difference(ours, theirs, scenes)
            yield Comparison("start", arch, depth, "scratch", "all schedules", found)


def _depths(
    records: Sequence[CellRecord], entries: Sequence[Entry], settings: ShootoutSettings, scenes: Ints
) -> Iterator[Comparison]:
    """Compare deep with shallow, over all schedules and seeds."""
    for entry in entries:
        if entry.weights is None or not {"deep", "shallow"} <= set(settings.depths):
            continue
        arch = entry.member.arch
        ours, theirs = (_runs(records, scenes, settings.draws, arch, d, None) for d in ("deep", "shallow"))
        yield Comparison("depth", arch, "deep", "shallow", "all schedules", difference(ours, theirs, scenes))


def _schedules(
    records: Sequence[CellRecord], entries: Sequence[Entry], settings: ShootoutSettings, scenes: Ints
) -> Iterator[Comparison]:
    """Compare cyclical with constant, at each depth."""
    if not {"constant", "cyclical"} <= set(settings.schedules):
        return
    for entry in entries:
        for depth in settings.depths:
            if depth != "scratch" and entry.weights is None:
                continue
            arch = entry.member.arch
            ours, theirs = (_runs(records, scenes, settings.draws, arch, depth, c) for c in ("cyclical", "constant"))
            yield Comparison("schedule", arch, "cyclical", "constant", depth, difference(ours, theirs, scenes))
