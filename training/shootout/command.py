"""The study `traylane study shootout`: arguments, and what a person sees of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.classify.arguments import SHARED, add_flags, settings_of, weights_of
from training.finetune_command import Flag

FLAGS = (
    Flag("--models", "models", str, "nets; default squeezenet1_1,shufflenetv2_05,cifar_resnet20", "ARCH,…"),
    Flag("--depths", "depths", str, "of shallow, deep, scratch; default all", "DEPTH,…"),
    Flag("--schedules", "schedules", str, "of constant, cyclical; default both", "NAME,…"),
    Flag("--cycles", "recipe.cycles", int, "cyclical: triangles over the whole run; default 2"),
    *SHARED,
)


def add(studies: Any) -> None:
    """Add the study to the verb; torch is imported only when it runs."""
    parser = studies.add_parser(
        "shootout",
        help="which backbone, how deep to fine-tune it, on which schedule?",
        description="Train every net shallow (a new head), deep (all layers) and from scratch, at constant and "
        "cyclical rates, and compare accuracy, training time and speed. Classes are folders of photos, or the "
        "GroceryStore layout. DIR gets report.html, cells.csv, scores.json and run.json; run again to go on after a "
        "stop.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="photos, sorted into classes")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument(
        "--weights",
        action="append",
        metavar="ARCH=FILE",
        help="real weights of a net; those of TRAYLANE_DATA are found",
    )
    parser.add_argument("--overwrite", action="store_true", help="throw away the runs that DIR holds")
    add_flags(parser, FLAGS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the study; return the exit code.

    Raises:
        ConfigError: an argument is out of range, or a model or class is unknown.
        DataError: the photos cannot be used.
        ModelError: weights cannot be used.
        FolderUnusable: results cannot be written.
    """
    from training.shootout.run import Job, shootout
    from training.shootout.settings import ShootoutSettings
    from training.shootout.wording import interval, sentences

    settings = settings_of(args, FLAGS, ShootoutSettings)
    job = Job(args.data, args.out, weights_of(args.weights), settings, args.overwrite)
    outcome = shootout(job, lambda line: print(line, flush=True))
    print(f"{'model':18} {'depth':8} {'schedule':9} accuracy  95 %             train CPU s  photos/CPU s")
    for row in outcome.rows:
        print(
            f"{row.arch:18} {row.depth:8} {row.course:9} {row.accuracy.value:8.3f}  {interval(row.accuracy):15}  "
            f"{row.train_cpu_s:11.1f}  {row.eval_fps:12.0f}"
        )
    for line in sentences(outcome):
        print(f"- {line}")
    print(args.out / "report.html")
    return 0
