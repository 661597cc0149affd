"""The study from a tree of photos to its files: parts, vectors, the grid, races, report."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, DataError
from dataset.classification import Photo, PhotoSet, read_photos
from dataset.images import load_image
from training.embedding_study.backbones import published_net, random_net
from training.embedding_study.cards import card_model
from training.embedding_study.describers import Describer, HistogramDescriber, Vectors
from training.embedding_study.features import Described, FeatureCache
from training.embedding_study.grid import Cost, Grid, Measured, grid_cost, vectors_of
from training.embedding_study.metrics import Ints, sibling_chance
from training.embedding_study.outcome import Outcome, Raced, as_json, best_of, grid_csv, value
from training.embedding_study.parts import Parts, cut
from training.embedding_study.picker import Pick, Track, race
from training.embedding_study.record import ModelRecord, PhotosRecord, StudyRecord
from training.embedding_study.report import render
from training.embedding_study.settings import GridSettings, StudySettings
from training.finetune.checkpoints import write_whole
from training.finetune.run_record import machine, now_utc, run_folder, versions, write_record
from training.patches.training import exact
from training.provenance import commit

SCORES, REPORT, TABLE, MATRICES = "scores.json", "report.html", "grid.csv", "matrices.npz"
_TELL_EVERY = 200
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What a study is asked for.

    Attributes:
        data: folder of the photos.
        out: folder of the results.
        backbones: folder of the nets' published weights.
        cache: folder of the vectors.
        cards: embedders to judge beside the grid.
        settings: all else that the result depends on.
    """

    data: Path
    out: Path
    backbones: Path
    cache: Path
    settings: StudySettings
    cards: tuple[str, ...] = ()


def study(job: Job, tell: Tell) -> Outcome:
    """Run a study; return its outcome, which is also in `scores.json`, `grid.csv` and `report.html`.

    Raises:
        DataError: the photos cannot be used.
        ModelError: weights or a card cannot be used.
        FolderUnusable: results cannot be written.
    """
    began, cpu_began = time.monotonic(), time.process_time()
    with run_folder(job.out), exact(job.settings.threads):
        photos, parts = _read(job, tell)
        models = grid_models(job.settings.grid, job.backbones)
        cards: list[Describer] = [card_model(ref, job.settings.threads) for ref in job.cards]
        record = _record(job, photos, parts)
        write_record(job.out, record)
        described = [_describe(FeatureCache(job.cache), model, photos, tell) for model in (*models, *cards)]
        outcome, matrices = _measured(job, photos, parts, models, cards, described, tell)
        write_whole(job.out / SCORES, json.dumps(as_json(outcome), indent=2, sort_keys=True) + "\n")
        write_whole(job.out / TABLE, grid_csv(outcome))
        write_whole(job.out / REPORT, render(outcome, photos, parts, job.settings))
        write_whole(job.out / MATRICES, _packed(matrices))
        ended = {
            "models": {m.name: _model_record(m, outcome.cpu_s[m.name]) for m in (*models, *cards)},
            "status": "finished",
            "ended_utc": now_utc(),
            "wall_s": round(time.monotonic() - began, 1),
            "cpu_s": round(time.process_time() - cpu_began, 1),
        }
        write_record(job.out, record.model_copy(update=ended))
    return outcome


def pick_only(job: Job, tell: Tell) -> tuple[Pick, Cost]:
    """Run one race without the grid; return what it picked, and what the grid would have cost (without CPU time).

    Raises:
        DataError: the photos cannot be used, or are too few for the budget.
        ModelError: weights cannot be used.
    """
    with exact(job.settings.threads):
        photos, parts = _read(job, tell)
        models = grid_models(job.settings.grid, job.backbones)
        whole = grid_cost(models, [0.0] * len(models), len(parts.gallery))

        def compute(m: int, chosen: Ints) -> tuple[Vectors, float]:
            return _computed(models[m], [photos.photos[int(i)] for i in chosen])

        fine = np.array([photo.fine for photo in photos.photos], np.int64)
        track = Track(models, compute, parts.gallery, fine, parts.scene, job.settings.by)
        return race(track, _budget(whole, job.settings), job.settings.seed), whole


def grid_models(grid: GridSettings, folder: Path) -> list[Describer]:
    """Return the models that are compared; the cheapest baseline first.

    Raises:
        ConfigError: there are none.
        ModelError: weights cannot be used.
    """
    models: list[Describer] = []
    if grid.histogram:
        models.append(HistogramDescriber(grid.below))
    models += [published_net(name, folder, grid) for name in grid.nets]
    models += [random_net(name, seed, grid) for seed in grid.random_seeds for name in grid.nets]
    usable = [model for model in models if model.settings]
    if not usable:
        raise ConfigError(
            f"no setting has vectors below {grid.below} dimensions; raise --below, or name nets with --nets"
        )
    return usable


def _read(job: Job, tell: Tell) -> tuple[PhotoSet, Parts]:
    photos = read_photos(job.data)
    parts = cut(photos, job.settings.aside)
    for warning in (*photos.warnings, *parts.warnings):
        tell(f"note: {warning}")
    return photos, parts


def _describe(cache: FeatureCache, model: Describer, photos: PhotoSet, tell: Tell) -> Described:
    def told(done: int) -> None:
        if done % _TELL_EVERY == 0 or done == len(photos):
            tell(f"{model.name}: {done} of {len(photos)} photos, {len(model.settings)} settings")

    return cache.of(model, photos.photos, told)


def _computed(model: Describer, photos: Sequence[Photo]) -> tuple[Vectors, float]:
    """Return vectors made now, past the cache, and the CPU seconds that they took."""
    made, cpu_s = [], 0.0
    for photo in photos:
        pixels = load_image(photo.image)
        began = time.process_time()
        made.append(model.describe(pixels))
        cpu_s += time.process_time() - began
    return np.stack(made), cpu_s


def _measured(
    job: Job,
    photos: PhotoSet,
    parts: Parts,
    models: Sequence[Describer],
    cards: Sequence[Describer],
    described: Sequence[Described],
    tell: Tell,
) -> tuple[Outcome, dict[str, NDArray[np.float16]]]:
    """Measure the grid and the cards, and run the races."""
    settings = job.settings
    grid = Grid(photos, parts, settings.draws, settings.seed)
    by_model: list[list[Measured]] = []
    for model, its in zip((*models, *cards), described, strict=True):
        by_model.append([grid.measure(setting, vectors) for setting, vectors in vectors_of(model, its)])
        best = best_of(tuple(by_model[-1]), settings.by)
        tell(f"{model.name}: best {best.setting.layer}/{best.setting.pooling}, MRR aside {best.aside.mrr.value:.3f}")
    measured = tuple(one for its in by_model[: len(models)] for one in its)
    chosen = best_of(measured, settings.by)
    cpu_s = {m.name: float(d.cpu_s.mean()) for m, d in zip((*models, *cards), described, strict=True)}
    whole = grid_cost(models, [cpu_s[model.name] for model in models], len(parts.gallery))

    def compute(m: int, wanted: Ints) -> tuple[Vectors, float]:
        return described[m].vectors[wanted], float(described[m].cpu_s[wanted].sum())

    track = Track(models, compute, parts.gallery, grid.fine, parts.scene, settings.by)
    races, why = _races(track, whole, measured, chosen, settings)
    tell(f"{len(races)} races run" if races else f"no race: {why}")
    rivals = [best_of(tuple(its), settings.by) for its in by_model]
    fine = grid.fine
    outcome = Outcome(
        name=photos.name,
        by=settings.by,
        measured=measured,
        chosen=chosen,
        cards=tuple(one for its in by_model[len(models) :] for one in its),
        models=(*models, *cards),
        cpu_s=cpu_s,
        grid_cost=whole,
        races=races,
        no_race=why,
        chance=None if grid.coarse is None else sibling_chance(fine[parts.aside], fine[parts.gallery], grid.coarse),
        rivals=tuple((one, grid.difference(one, chosen, settings.by)) for one in rivals),
        warnings=(*photos.warnings, *parts.warnings),
    )
    return outcome, {one.setting.name: one.matrix.astype(np.float16) for its in by_model for one in its}


def _packed(matrices: Mapping[str, NDArray[np.float16]]) -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, allow_pickle=False, **matrices)
    return sink.getvalue()


def _races(
    track: Track, whole: Cost, measured: Sequence[Measured], chosen: Measured, settings: StudySettings
) -> tuple[tuple[Raced, ...], str]:
    """Return the races of all seeds; none, and why, where the budget does not pay for one."""
    found = {one.setting.name: one for one in measured}
    races = []
    for seed in range(settings.seed, settings.seed + settings.picker.seeds):
        try:
            pick = race(track, _budget(whole, settings), seed)
        except DataError as err:
            return (), str(err)
        mine = found[pick.setting.name]
        races.append(
            Raced(
                seed,
                pick,
                value(chosen.development, settings.by) - value(mine.development, settings.by),
                value(chosen.aside, "mrr") - value(mine.aside, "mrr"),
                value(chosen.aside, "top1") - value(mine.aside, "top1"),
            )
        )
    return tuple(races), ""


def _budget(whole: Cost, settings: StudySettings) -> Cost:
    share = settings.picker.share
    return Cost(int(share * whole.photo_forwards), int(share * whole.macs), 0, 0.0)


def _record(job: Job, photos: PhotoSet, parts: Parts) -> StudyRecord:
    return StudyRecord(
        parameters=job.settings,
        data=PhotosRecord(
            name=photos.name,
            sha256=photos.sha256,
            photos=len(photos),
            classes=len(photos.labels),
            coarse_classes=len(photos.coarse_labels),
            gallery=len(parts.gallery),
            aside=len(parts.aside),
        ),
        git=commit(),
        machine=machine(),
        versions=versions(),
        started_utc=now_utc(),
        status="running",
    )


def _model_record(model: Describer, cpu_s: float) -> ModelRecord:
    return ModelRecord(
        origin=model.origin,
        key=model.key,
        settings=len(model.settings),
        left_out=model.left_out,
        macs=model.macs,
        cpu_s_per_photo=round(cpu_s, 6),
    )
