"""Scale's recipe with a test set that stays fixed: Faster R-CNN R50-FPN on nextar2 and raccoon at two data sizes.

    python -m bench.seed_comparison [--full] [--init backbone]

The post (SGD .005/.9/5e-4, step 3 x .1, 10 epochs) reports F1 .517 with 147 images and .655 with 351, on a test set
that moved with the data. Here a fixed fifth of both sets together is the test set. `--full` is the recipe as posted
(800 px, 10 epochs, all pictures; hours on a CPU, minutes on a GPU); without it the same code runs at reduced size, to
show that it runs from end to end and what it costs, not how good it gets. Without network there are no ImageNet weights
to start from (`--init ""`, reported as such). Writes `bench/results/seed_comparison.json`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.results_file import row, write_results
from dataset.building import set_sha256
from dataset.reading import read_set
from dataset.records import DetectionSet
from dataset.splits import leave_out, portion
from training.finetune.loop import finetune
from training.finetune.settings import (
    CheckpointRecipe,
    FinetuneSettings,
    NetRecipe,
    OptimiserRecipe,
    ScheduleRecipe,
    StartRecipe,
)

#: What the post has, by its number of images.
POSTED = {147: 0.517, 351: 0.655}


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Scale's Faster R-CNN recipe on a fixed test set.")
    default = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets"
    parser.add_argument("--datasets", type=Path, default=default)
    parser.add_argument("--full", action="store_true", help="the recipe as posted: 800 px, 10 epochs, all pictures")
    parser.add_argument("--init", default="", help="first weights: backbone, pretrained, a file; default none")
    parser.add_argument("--arch", default="fasterrcnn_resnet50_fpn")
    parser.add_argument("--size", type=int, default=128, help="pixels, without --full")
    parser.add_argument("--epochs", type=int, default=10, help="without --full")
    parser.add_argument("--pictures", type=int, nargs=2, default=(24, 57), help="the two sizes, without --full")
    parser.add_argument("--test-pictures", type=int, default=40, help="of the fixed fifth, without --full")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    rows = []
    sizes = tuple(POSTED) if args.full else tuple(args.pictures)
    for posted, pictures in zip(POSTED, sizes, strict=True):
        f1, minutes, per_second, test_pictures = run(args, pictures)
        rows.append(row(f"f1_best_{posted}" if args.full else f"f1_best_reduced_{pictures}", f1, "ratio"))
        rows.append(row(f"posted_f1_{posted}", POSTED[posted], "ratio"))
        rows.append(row(f"minutes_{pictures}", minutes, "min"))
        rows.append(row(f"images_per_s_{pictures}", per_second, "images/s"))
        rows.append(row(f"test_pictures_{pictures}", test_pictures, "pictures"))
    rows.append(row("pixels", 800 if args.full else args.size, "px"))
    rows.append(row("epochs", 10 if args.full else args.epochs, "epochs"))
    write_results("seed_comparison", rows)


def run(args: argparse.Namespace, pictures: int) -> tuple[float, float, float, int]:
    """Return F1@best on the fixed test set, minutes of the whole run, trained images/s, pictures of the test set."""
    labels = ("Nextar", "Steam Cake", "raccoon")
    rests, asides = zip(
        *(leave_out(read_set(args.datasets / name, labels=labels)) for name in ("nextar2_coco", "raccoon_voc")),
        strict=True,
    )
    rest, aside = joined(rests, "nextar2+raccoon/rest"), joined(asides, "nextar2+raccoon/aside")
    test_set = aside if args.full else portion(aside, min(args.test_pictures, len(aside)), salt="seed")
    size, epochs = (800, 10) if args.full else (args.size, args.epochs)
    settings = FinetuneSettings(
        net=NetRecipe(arch=args.arch, size=(size, size), norm="frozen" if args.init else "batch"),
        start=StartRecipe(init=args.init),
        epochs=epochs,
        batch=4,
        optimiser=OptimiserRecipe(kind="sgd", rate=0.005, momentum=0.9, weight_decay=5e-4),
        schedule=ScheduleRecipe(kind="step", every=3, gamma=0.1),
        augment="light",
        ema=0.0,
        validate_every=epochs,
        checkpoints=CheckpointRecipe(every_epochs=epochs),
        gate=False,
        threads=args.threads,
    )
    train_set = portion(rest, pictures, salt="seed")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        record = finetune(train_set, test_set, settings, Path(folder))
    spent = time.monotonic() - started
    assert record.best is not None
    return record.best.scores["f1_best"], spent / 60, epochs * pictures / spent, len(test_set)


def joined(sets: Sequence[DetectionSet], name: str) -> DetectionSet:
    """Return sets of the same labels as one."""
    samples = tuple(sample for one in sets for sample in one.samples)
    return DetectionSet(name, sets[0].labels, samples, set_sha256(sets[0].labels, samples))


if __name__ == "__main__":
    main()
