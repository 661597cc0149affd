"""The shoot-out from a folder of photos to its files: cut, run every cell, say what follows."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigError
from core.files import sha256_of
from dataset.classification import read_photos
from training.classify.cells import CELLS, Bench, Cell, CellRecord, run_cell
from training.classify.pictures import Parts, choose, cut
from training.classify.pixels import show
from training.classify.record import described
from training.classify.zoo import Entry, enlist
from training.finetune.checkpoints import write_whole
from training.finetune.run_record import machine, now_utc, run_folder, versions, write_record
from training.patches.training import exact
from training.revision import commit
from training.shootout.outcome import Outcome, outcome_of
from training.shootout.record import ShootoutRecord
from training.shootout.report import render
from training.shootout.settings import ShootoutSettings
from training.shootout.tables import as_csv, as_json

TABLE, SCORES, REPORT = "cells.csv", "scores.json", "report.html"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What a shoot-out is asked for.

    Attributes:
        data: folder of the photos.
        out: folder of the results.
        weights: files of weights by net, beside those of TRAYLANE_DATA.
        settings: all else that the result depends on.
        overwrite: throw away what runs before left in `out`.
    """

    data: Path
    out: Path
    weights: dict[str, Path]
    settings: ShootoutSettings
    overwrite: bool = False


def shootout(job: Job, tell: Tell) -> Outcome:
    """Run a shoot-out; return its outcome, which is also in cells.csv, scores.json and report.html.

    Raises:
        ConfigError: a model or class is unknown, or nothing is left to run.
        DataError: the photos cannot be used.
        ModelError: weights do not fit, or a run breaks.
        FolderUnusable: results cannot be written.
    """
    settings = job.settings
    entries = enlist(settings.models, job.weights)
    cells = list(cells_of(entries, settings))
    if not cells:
        raise ConfigError(f"none of {', '.join(settings.models)} has weights, so only --depths scratch can be run")
    with run_folder(job.out), exact(settings.threads):
        if job.overwrite:
            shutil.rmtree(job.out / CELLS, ignore_errors=True)
        whole = read_photos(job.data)
        parts = cut(choose(whole, settings.photos), settings.photos.test)
        warnings = (*whole.warnings, *parts.warnings, *_without_weights(entries, settings))
        for warning in warnings:
            tell(f"note: {warning}")
        record = ShootoutRecord(
            parameters=settings,
            weights={e.member.arch: None if e.weights is None else sha256_of(e.weights) for e in entries},
            data={"train": described(parts.train), "test": described(parts.test)},
            git=commit(),
            machine=machine(),
            versions=versions(),
            load=os.getloadavg(),
            started_utc=now_utc(),
        )
        write_record(job.out, record)
        records = _run(cells, parts, job, tell)
        outcome = outcome_of(records, parts, entries, settings, warnings)
        write_whole(job.out / TABLE, as_csv(records))
        write_whole(job.out / SCORES, as_json(outcome))
        write_whole(job.out / REPORT, render(outcome, record))
        write_record(job.out, record.model_copy(update={"status": "finished", "ended_utc": now_utc()}))
    return outcome


def cells_of(entries: tuple[Entry, ...], settings: ShootoutSettings) -> Iterator[Cell]:
    """Return every cell in the order in which it is run: all nets with one seed before the next seed."""
    for seed in range(1, settings.seeds + 1):
        for entry in entries:
            for depth in settings.depths:
                if depth == "scratch" or entry.weights is not None:
                    for course in settings.schedules:
                        yield Cell(entry, depth, course, seed)


def _run(cells: list[Cell], parts: Parts, job: Job, tell: Tell) -> list[CellRecord]:
    benches: dict[int, Bench] = {}
    records, began, worked = [], time.monotonic(), 0
    for place, cell in enumerate(cells, start=1):
        px = cell.entry.member.side(job.settings.recipe.px)
        if px not in benches:
            train, test = (show(part, px) for part in (parts.train, parts.test))
            benches[px] = Bench(
                job.out,
                train,
                test,
                parts.train.sha256,
                parts.test.sha256,
                len(parts.train.labels),
                job.settings.recipe,
            )
        record, before = run_cell(cell, benches[px])
        worked += not before
        spent = time.monotonic() - began
        left = f", about {(len(cells) - place) * spent / worked / 60:.0f} min left" if worked >= 3 else ""
        told = "kept from before" if before else f"{record.train_cpu_s:.1f} s of CPU{left}"
        tell(f"{place} of {len(cells)}  {cell.name}: accuracy {record.accuracy:.3f} ({told})")
        records.append(record)
    return records


def _without_weights(entries: tuple[Entry, ...], settings: ShootoutSettings) -> list[str]:
    """Return a note for each net that takes part from scratch only."""
    if settings.depths == ("scratch",):
        return []
    return [
        f"{e.member.arch}: no real weights here, so it takes part from scratch only; "
        f"give them with --weights {e.member.arch}=FILE"
        for e in entries
        if e.weights is None
    ]
