"""One point of a detector's curve: the loop of `traylane train` on so many pictures; AP50 and F1 on the fixed fifth.

The last weights of a run are scored: nothing is chosen, so the test part can take the place of a validation part that
the loop asks for, once, at the end.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from core.errors import ConfigError, DataError
from core.files import sha256_of
from core.settings import Settings
from dataset.likeness import same_scene
from dataset.reading import Format, read_set
from dataset.records import DetectionSet
from dataset.splits import counts, leave_out, portion
from training.classify.cells import CELLS, kept
from training.classify.statistics import Ints, Runs
from training.evaluation.intervals import best_f1_draws, coco_ap_draws, draw_pictures
from training.evaluation.matching import match_set
from training.evaluation.scores import quick_scores
from training.finetune.checkpoints import net_of_run
from training.finetune.distributed import World
from training.finetune.loop import finetune
from training.finetune.run_record import described
from training.finetune.settings import (
    CheckpointRecipe,
    FinetuneSettings,
    NetRecipe,
    OptimiserRecipe,
    ScheduleRecipe,
    StartRecipe,
)
from training.finetune.validation import found_on
from training.learning_curve.points import Curves, Point, Tell, runs_by_share
from training.learning_curve.settings import CurveSettings, Start

AP50, F1 = "ap50", "f1_best"
_NEVER = 1_000_000


class DetectorRecord(Settings):
    """What one run gave."""

    scores: dict[str, float] = Field(description="On the test part: ap50 and f1_best, class-aware at IoU 0.5")
    draws: dict[str, tuple[float | None, ...]] = Field(description="The same in each draw of the test pictures")
    train_cpu_s: float = Field(description="Processor seconds of learning, and of the one validation at its end")


@dataclass(frozen=True, eq=False)
class Laid:
    """What all points share: both parts, and which test pictures are drawn together."""

    rest: DetectionSet
    test: DetectionSet
    scenes: Ints


def detector_curves(
    data: Path, form: Format, init: str, out: Path, settings: CurveSettings, overwrite: bool, tell: Tell
) -> Curves:
    """Run every point; those kept in `out` are not run again.

    Args:
        data: the labelled set.
        form: of it.
        init: weights that the pretrained start begins from: a card, a checkpoint, "pretrained" or "backbone".
        out: folder of the study.
        settings: of it.
        overwrite: throw away what `out` holds.
        tell: is given a line for each point.

    Raises:
        ConfigError: no weights for a pretrained start, or a net that is unknown.
        DataError: the set cannot be used.
        ModelError: weights that do not fit, or a run that breaks.
        FolderUnusable: results cannot be kept.
    """
    if not init and "pretrained" in settings.starts:
        raise ConfigError(
            "--init: no weights for the pretrained start; give a card such as traynet@2, a checkpoint, or draw the "
            "curve from scratch alone with --starts scratch"
        )
    whole = read_set(data, form)
    rest, test = leave_out(whole)
    if not counts(test).any():
        raise DataError(f"{test.name}: no labelled object on {len(test)} test pictures; nothing could be measured")
    laid = Laid(rest, test, same_scene(test.samples))
    sizes = [_count(rest, share) for share in settings.shares]
    if len(set(sizes)) < len(sizes) or sizes[0] < settings.detector.batch:
        raise DataError(
            f"{rest.name}: {len(rest)} pictures give sets of {', '.join(map(str, sizes))}; each must be larger than "
            f"the one before, the first at least a batch of {settings.detector.batch}: take larger --shares"
        )
    if overwrite:
        shutil.rmtree(out / CELLS, ignore_errors=True)
    records: dict[tuple[Start, float], list[DetectorRecord]] = {}
    points: list[Point] = []
    planned = len(settings.shares) * len(settings.starts) * settings.seeds
    for seed in range(1, settings.seeds + 1):
        for share, size in zip(settings.shares, sizes, strict=True):
            part = portion(rest, size, salt=f"curve-{seed}")
            for start in settings.starts:
                record, before = _point(part, laid, init if start == "pretrained" else "", seed, out, settings)
                records.setdefault((start, share), []).append(record)
                points.append(Point(start, share, seed, size, record.scores, record.train_cpu_s))
                told = "kept from before" if before else f"{record.train_cpu_s:.0f} s of CPU"
                scores = record.scores
                tell(
                    f"{len(points)} of {planned}  {start} {size} pictures seed {seed}: AP50 {scores[AP50]:.3f}, best "
                    f"F1 {scores[F1]:.3f} ({told})"
                )

    def runs_of(name: str, start: Start, share: float) -> Runs:
        mine = records[start, share]
        drawn = np.array([[np.nan if value is None else value for value in one.draws[name]] for one in mine])
        return Runs(np.array([one.scores[name] for one in mine]), drawn, np.zeros((len(mine), 0), np.bool_))

    return Curves(
        name=whole.name,
        score=AP50,
        points=tuple(points),
        runs={
            name: runs_by_share(settings, lambda start, share, name=name: runs_of(name, start, share))  # type: ignore[misc]
            for name in (AP50, F1)
        },
        chance=None,
        test_pictures=len(test),
        what=f"{settings.detector.arch} from {init or 'nothing'}",
        data={use: described(one).model_dump(mode="json") for use, one in (("train", rest), ("test", test))},
        warnings=whole.warnings,
    )


def _count(rest: DetectionSet, share: float) -> int:
    return max(1, round(share * len(rest)))


def _point(
    part: DetectionSet, laid: Laid, init: str, seed: int, out: Path, settings: CurveSettings
) -> tuple[DetectorRecord, bool]:
    """Return what a run gives, and whether it was kept from before."""
    recipe = recipe_of(init, seed, settings)
    made_of = {"format": 1, "recipe": recipe.model_dump(mode="json"), "train": part.sha256, "test": laid.test.sha256}
    made_of |= {"draws": settings.draws, "weights": sha256_of(Path(init)) if init and Path(init).is_file() else init}
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:20]

    def run() -> DetectorRecord:
        folder = out / CELLS / f"run-{key}"
        began = time.process_time()
        finetune(part, laid.test, recipe, folder, overwrite=True)
        spent = time.process_time() - began
        found = found_on(net_of_run(folder), laid.test, recipe.batch, recipe.longest_px, World())
        # What a resume of the run would need is large, and the run is done.
        shutil.rmtree(folder)
        scores = quick_scores(found, laid.test)
        _, group = np.unique(laid.scenes, return_inverse=True)
        weights = draw_pictures(group.astype(np.int64), settings.draws)
        draws = {
            AP50: coco_ap_draws(found, laid.test, weights, np.array([0.5])),
            F1: best_f1_draws(match_set(found, laid.test), weights),
        }
        return DetectorRecord(
            scores={name: round(scores[name], 6) for name in (AP50, F1)},
            draws={k: tuple(round(float(x), 6) if np.isfinite(x) else None for x in v) for k, v in draws.items()},
            train_cpu_s=round(spent, 3),
        )

    return kept(out, "detector", key, DetectorRecord, run)


def recipe_of(init: str, seed: int, settings: CurveSettings) -> FinetuneSettings:
    """Return the recipe of a run: the same steps, rates and changes for all sizes and both starts."""
    return FinetuneSettings(
        net=NetRecipe(arch=settings.detector.arch, size=settings.detector.size),
        start=StartRecipe(init=init),
        steps=settings.steps,
        batch=settings.detector.batch,
        optimiser=OptimiserRecipe(rate=settings.detector.rate),
        schedule=ScheduleRecipe(kind="cosine", unit="steps", warm_up=settings.steps // 10),
        augment="counter",
        ema=0.98,
        validate_every=_NEVER,
        checkpoints=CheckpointRecipe(every_epochs=_NEVER),
        gate=False,
        allow_missing_classes=True,
        seed=seed,
        threads=settings.threads,
    )
