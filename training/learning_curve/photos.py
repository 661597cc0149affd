"""One point of a classifier's curve: so many photos, one start, one seed; accuracy on the fixed test part."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import ConfigError, DataError
from core.files import sha256_of
from dataset.classification import read_photos
from training.classify.cells import CELLS, Bench, Cell, found_rate, run_cell
from training.classify.nets import Depth
from training.classify.pictures import ClassSet, Parts, choose, cut, portion
from training.classify.pixels import Shown, show
from training.classify.record import described
from training.classify.statistics import Runs, accuracy_runs
from training.classify.zoo import Entry, enlist
from training.learning_curve.points import Curves, Point, Tell, runs_by_share
from training.learning_curve.settings import CurveSettings, Start

ACCURACY = "accuracy"


@dataclass(frozen=True, eq=False)
class Laid:
    """What all points share."""

    entry: Entry
    parts: Parts
    train: Shown
    test: Shown


def classifier_curves(
    data: Path, out: Path, weights: dict[str, Path], settings: CurveSettings, overwrite: bool, tell: Tell
) -> Curves:
    """Run every point; those kept in `out` are not run again.

    Raises:
        ConfigError: the net is unknown, or has no weights to start from.
        DataError: the photos cannot be used.
        ModelError: weights that do not fit, or a run that breaks.
        FolderUnusable: results cannot be kept.
    """
    laid = _lay(data, weights, settings, tell)
    if overwrite:
        shutil.rmtree(out / CELLS, ignore_errors=True)
    names = {photo.sha256: i for i, photo in enumerate(laid.parts.train.photos)}
    right: dict[tuple[Start, float], list[tuple[bool, ...]]] = {}
    points: list[Point] = []
    whole = _bench(out, laid, laid.parts.train, laid.train, settings, settings.recipe.rate)
    # One rate a start, found on all photos, so that sizes differ by their photos alone.
    rates = {
        start: settings.recipe.rate or found_rate(laid.entry, depth_of(start, settings), whole).rate
        for start in settings.starts
    }
    planned = len(settings.shares) * len(settings.starts) * settings.seeds
    for seed in range(1, settings.seeds + 1):
        for share in settings.shares:
            part = portion(laid.parts.train, share, f"curve-{seed}")
            at = [names[photo.sha256] for photo in part.photos]
            for start in settings.starts:
                cell = Cell(laid.entry, depth_of(start, settings), "constant", seed)
                bench = _bench(out, laid, part, laid.train.subset(np.array(at)), settings, rates[start])
                record, before = run_cell(cell, bench, settings.steps)
                right.setdefault((start, share), []).append(record.right)
                points.append(Point(start, share, seed, len(part), {ACCURACY: record.accuracy}, record.train_cpu_s))
                told = "kept from before" if before else f"{record.train_cpu_s:.1f} s of CPU"
                tell(
                    f"{len(points)} of {planned}  {start} {len(part)} photos seed {seed}: accuracy "
                    f"{record.accuracy:.3f} ({told})"
                )

    def runs(start: Start, share: float) -> Runs:
        return accuracy_runs(right[start, share], laid.parts.test.scenes, settings.draws)

    return Curves(
        name=laid.parts.test.name.partition("/")[0],
        score=ACCURACY,
        points=tuple(points),
        runs={ACCURACY: runs_by_share(settings, runs)},
        chance=float(laid.parts.test.counts().max() / len(laid.parts.test)),
        test_pictures=len(laid.parts.test),
        what=f"{laid.entry.member.arch}, {settings.depth} from {laid.entry.member.learnt_from}",
        data={
            "train": described(laid.parts.train).model_dump(mode="json"),
            "test": described(laid.parts.test).model_dump(mode="json"),
        },
        warnings=laid.parts.warnings,
    )


def _lay(data: Path, weights: dict[str, Path], settings: CurveSettings, tell: Tell) -> Laid:
    """Read and cut the photos, and find the net's weights."""
    (entry,) = enlist((settings.model,), weights)
    if entry.weights is None and "pretrained" in settings.starts:
        raise ConfigError(
            f"{settings.model}: no real weights here to start from; give them with --weights {settings.model}=FILE, or "
            "draw the curve from scratch alone with --starts scratch"
        )
    whole = read_photos(data)
    parts = cut(choose(whole, settings.photos), settings.photos.test)
    parts = Parts(parts.train, parts.test, (*whole.warnings, *parts.warnings))
    for warning in parts.warnings:
        tell(f"note: {warning}")
    sizes = [len(portion(parts.train, share, "curve-1")) for share in settings.shares]
    if len(set(sizes)) < len(sizes) or sizes[0] < 2:
        raise DataError(
            f"{parts.train.name}: {len(parts.train)} photos give sets of {', '.join(map(str, sizes))} for --shares "
            f"{','.join(f'{share:g}' for share in settings.shares)}; take larger shares, or more photos"
        )
    px = entry.member.side(settings.recipe.px)
    return Laid(entry, parts, show(parts.train, px), show(parts.test, px))


def depth_of(start: Start, settings: CurveSettings) -> Depth:
    """Return what of the net learns."""
    return "scratch" if start == "scratch" else settings.depth


def _bench(out: Path, laid: Laid, part: ClassSet, shown: Shown, settings: CurveSettings, rate: float | None) -> Bench:
    recipe = settings.recipe.model_copy(update={"rate": rate})
    return Bench(out, shown, laid.test, part.sha256, laid.parts.test.sha256, len(part.labels), recipe)


def weights_told(settings: CurveSettings, weights: dict[str, Path]) -> str:
    """Return the hash of the net's weights for the record; "": none.

    Raises:
        ConfigError: the net is unknown.
        ModelNotFound: the file that was given is not there.
    """
    (entry,) = enlist((settings.model,), weights)
    return "" if entry.weights is None else sha256_of(entry.weights)
