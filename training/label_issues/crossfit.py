"""Detections by models that never saw the picture: k fine-tuned ones, one for each fold that is left out.

The folds are those of `dataset.splits.leave_out`: by content, pictures of one scene together. Each model is fine-tuned
on the other folds and scored once, at its end; nothing is chosen by the fold that is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError
from dataset.records import DetectionSet
from dataset.splits import subset
from training.detection_scores import Found
from training.finetune.settings import (
    CheckpointRecipe,
    FinetuneSettings,
    NetRecipe,
    OptimiserRecipe,
    ScheduleRecipe,
    StartRecipe,
)

_NEVER = 1_000_000


def fold_settings(
    init: str, size: tuple[int, int], steps: int, batch: int = 8, rate: float = 2e-3, seed: int = 1, threads: int = 1
) -> FinetuneSettings:
    """Return the settings of a fold's short fine-tuning of traynet."""
    return FinetuneSettings(
        net=NetRecipe(size=size),
        start=StartRecipe(init=init),
        steps=steps,
        batch=batch,
        optimiser=OptimiserRecipe(rate=rate),
        schedule=ScheduleRecipe(kind="cosine", unit="steps", warm_up=min(20, steps)),
        augment="counter",
        ema=0.98,
        validate_every=_NEVER,
        checkpoints=CheckpointRecipe(every_epochs=_NEVER, every_steps=40),
        gate=False,
        allow_missing_classes=True,
        seed=seed,
        threads=threads,
    )


def detect_out_of_fold(
    wanted: DetectionSet,
    folds: NDArray[np.int64],
    settings: FinetuneSettings,
    out: Path,
    on_fold: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Found]:
    """Return each picture's detections by the model that never saw it.

    Folds that are finished in `out` are taken from there; one that was interrupted goes on from its last checkpoint.

    Args:
        wanted: the set.
        folds: (pictures,) from `fold_numbers`.
        settings: of each fine-tuning.
        out: gets a folder for each fold: fold-0, fold-1 ….
        on_fold: told how many folds are done, of how many.

    Raises:
        ConfigError: `out` holds folds of other labels or settings.
        DataError: what `finetune` refuses.
    """
    from training.finetune.checkpoints import net_of_run
    from training.finetune.distributed import World
    from training.finetune.validation import found_on

    found: list[Found | None] = [None] * len(wanted)
    k = int(folds.max()) + 1
    for fold in range(k):
        aside = np.flatnonzero(folds == fold)
        folder = out / f"fold-{fold}"
        rest = subset(wanted, np.flatnonzero(folds != fold), f"{wanted.name}/without-{fold}")
        left_out = subset(wanted, aside, f"{wanted.name}/fold-{fold}")
        _train(rest, left_out, settings, folder)
        detections = found_on(net_of_run(folder), left_out, settings.batch, settings.longest_px, World())
        for i, one in zip(aside.tolist(), detections, strict=True):
            found[i] = one
        on_fold(fold + 1, k)
    return [one for one in found if one is not None]


def _train(rest: DetectionSet, left_out: DetectionSet, settings: FinetuneSettings, folder: Path) -> None:
    """Fine-tune on `rest`, or take up what `folder` holds of it."""
    from training.finetune.loop import finetune
    from training.finetune.run_record import RECORD, read_record

    resume = False
    if (folder / RECORD).is_file():
        record = read_record(folder)
        data = record.data.get("train")
        if (data is not None and data.sha256 != rest.sha256) or record.parameters != settings:
            raise ConfigError(
                f"{folder}: a fold of other labels or settings is there; give another --out, or delete it"
            )
        if record.status == "finished":
            return
        resume = (folder / "last.pt").is_file()
    finetune(rest, left_out, settings, folder, resume=resume, overwrite=not resume)
