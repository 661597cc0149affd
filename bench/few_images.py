"""How many pictures does a new counter need? Fine-tuning on epicure19 from our edge net against from scratch.

    python -m bench.few_images --init var/edge/synthetic/best.pt [--steps 200] [--size 256] [--seeds 3]

19 classes of groceries. A fixed fifth of the photos (`dataset.splits.leave_out`, by content) is the test set and is
never trained on or chosen by; the last weights of a run are scored, so that nothing is chosen at all. Training sets of
20, 40, 80 and 126 photos are nested; each seed draws its own. Both starts get the same steps, pictures, augmentation
and rates. `--init` must not have seen epicure19: it is the first stage of `traylane train --edge`.
Writes `bench/results/few_images.json`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.results_file import row, write_results
from bench.workers import worker_pool
from dataset.reading import read_set
from dataset.splits import leave_out, portion
from training.evaluation.scores import quick_scores
from training.finetune.checkpoints import net_of_run
from training.finetune.distributed import World
from training.finetune.loop import finetune
from training.finetune.settings import (
    CheckpointRecipe,
    FinetuneSettings,
    NetRecipe,
    OptimiserRecipe,
    ScheduleRecipe,
    StartRecipe,
)
from training.finetune.validation import found_on

SIZES = (20, 40, 80, 126)
STARTS = ("pretrained", "scratch")


@dataclass(frozen=True)
class Job:
    """One run: so many pictures of `photos`, from `init` ("" for scratch)."""

    photos: Path
    pictures: int
    seed: int
    init: str
    steps: int
    size: int


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Fine-tuning from the edge net against from scratch.")
    default = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets" / "epicure19_yolo"
    parser.add_argument("--photos", type=Path, default=default)
    parser.add_argument("--init", required=True, help="weights that have not seen the photos: checkpoint or card")
    parser.add_argument("--steps", type=int, default=200, help="optimiser steps of every run")
    parser.add_argument("--size", type=int, default=256, help="pixels of the net's input")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    args = parser.parse_args()
    jobs = [
        Job(args.photos, pictures, seed, args.init if start == "pretrained" else "", args.steps, args.size)
        for pictures in SIZES
        for start in STARTS
        for seed in range(1, args.seeds + 1)
    ]
    scores: dict[tuple[str, int], list[float]] = {}
    started = time.monotonic()
    with worker_pool(args.workers) as pool:
        for job, score in zip(jobs, pool.map(run, jobs), strict=True):
            start = "pretrained" if job.init else "scratch"
            scores.setdefault((start, job.pictures), []).append(score)
            print(f"{start} {job.pictures} pictures seed {job.seed}: F1@best {score:.3f}", flush=True)
    rows = []
    for (start, pictures), values in scores.items():
        mark = 0.80 if (start, pictures) == ("pretrained", SIZES[-1]) else None
        rows.append(row(f"f1_best_{start}_{pictures}", statistics.mean(values), "ratio", mark))
        rows.append(row(f"f1_best_{start}_{pictures}_min", min(values), "ratio"))
        rows.append(row(f"f1_best_{start}_{pictures}_max", max(values), "ratio"))
    means = {key: statistics.mean(values) for key, values in scores.items()}
    rows.append(row("fewer_pictures_for_equal_f1", fewer(means), "times", 4.0))
    rows.append(row("minutes", (time.monotonic() - started) / 60, "min"))
    write_results("few_images", rows)


def run(job: Job) -> float:
    """Train and return F1@best (class-aware, IoU 0.5) of the last weights on the fifth that is kept aside."""
    rest, aside = leave_out(read_set(job.photos))
    train_set = portion(rest, job.pictures, salt=f"few-{job.seed}")
    settings = FinetuneSettings(
        net=NetRecipe(size=(job.size, job.size)),
        start=StartRecipe(init=job.init),
        steps=job.steps,
        batch=8,
        optimiser=OptimiserRecipe(rate=2e-3),
        schedule=ScheduleRecipe(kind="cosine", unit="steps", warm_up=20),
        augment="counter",
        ema=0.98,
        validate_every=10_000,
        checkpoints=CheckpointRecipe(every_epochs=10_000),
        gate=False,
        allow_missing_classes=True,
        seed=job.seed,
        threads=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        # The loop validates once, at the end; on the aside part, but nothing is chosen there: it is the only time.
        finetune(train_set, aside, settings, Path(folder))
        net = net_of_run(Path(folder))
    found = found_on(net, aside, 8, settings.longest_px, World())
    return quick_scores(found, aside)["f1_best"]


def fewer(means: dict[tuple[str, int], float]) -> float | None:
    """Return how many times fewer pictures the pretrained start needs for the F1 that scratch has with all of them.

    Between two sizes F1 is taken to grow linearly with the logarithm of the number. When the smallest set already
    does, the true factor is larger than what is returned; None when not even all pictures do.
    """
    wanted = means["scratch", SIZES[-1]]
    reached = [means["pretrained", pictures] for pictures in SIZES]
    if max(reached) < wanted:
        return None
    if reached[0] >= wanted:
        return SIZES[-1] / SIZES[0]
    after = next(at for at, f1 in enumerate(reached) if f1 >= wanted)
    # All before it are below: the line from the best of them, at its size or later, to the first that reaches it.
    before = max(reached[:after])
    needed = np.exp(np.interp(wanted, [before, reached[after]], np.log(SIZES[after - 1 : after + 1])))
    return float(SIZES[-1] / needed)


if __name__ == "__main__":
    main()
