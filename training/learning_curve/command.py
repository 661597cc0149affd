"""The study `traylane study curve`: arguments, and what a person sees of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from training.arguments import size_of
from training.classify.arguments import SHARED, add_flags, given, settings_of, weights_of
from training.finetune_command import Flag

OF_TASKS = (
    Flag("--task", "task", str, "classification (default) or detection"),
    Flag("--shares", "shares", str, "of the training pictures, rising to 1; default 0.125,0.25,0.5,1", "S,…"),
    Flag("--starts", "starts", str, "of pretrained, scratch; default both", "NAME,…"),
    Flag("--steps", "steps", int, "optimiser steps of every run; default 120"),
)
OF_PHOTOS = (
    Flag("--model", "model", str, "classification: net; default squeezenet1_1"),
    Flag("--depth", "depth", str, "classification: what a pretrained net learns, deep (default) or shallow"),
    # The budget is in steps here, so that more photos do not mean more training.
    *(flag for flag in SHARED if flag.name not in ("--epochs", "--seeds", "--draws", "--threads")),
)
OF_RUNS = tuple(flag for flag in SHARED if flag.name in ("--seeds", "--draws", "--threads"))
OF_DETECTORS = (
    Flag("--arch", "detector.arch", str, "detection: the net; default traynet"),
    Flag("--detector-batch", "detector.batch", int, "detection: pictures of a step; default 8"),
    Flag("--detector-rate", "detector.rate", float, "detection: peak learning rate; default 0.002"),
)
FLAGS = (*OF_TASKS, *OF_PHOTOS, *OF_DETECTORS, *OF_RUNS)


def add(studies: Any) -> None:
    """Add the study to the verb; torch is imported only when it runs."""
    parser = studies.add_parser(
        "curve",
        help="what do more pictures earn, and how many does a pretrained start save?",
        description="Learn from 1/8, 1/4, 1/2 and all training pictures, pretrained and from scratch, each with "
        "several seeds, and score on a fixed test part. Classification: photos sorted into folders, or the "
        "GroceryStore layout. Detection: COCO, Pascal VOC or YOLO. DIR gets report.html, points.csv, scores.json and "
        "run.json; run again to go on after a stop.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="the set")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument(
        "--weights", action="append", metavar="ARCH=FILE", help="classification: real weights of the net"
    )
    parser.add_argument(
        "--init", default="", metavar="CARD_OR_FILE", help="detection: what the pretrained start begins from"
    )
    parser.add_argument(
        "--format", choices=["auto", "coco", "voc", "yolo"], default="auto", help="detection; default: auto"
    )
    parser.add_argument("--detector-size", metavar="WxH", help="detection: what pictures are fitted into; 256x256")
    parser.add_argument("--overwrite", action="store_true", help="throw away the runs that DIR holds")
    add_flags(parser, FLAGS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the study; return the exit code.

    Raises:
        ConfigError: an argument is out of range, or two do not go together.
        DataError: the set cannot be used.
        ModelError: weights cannot be used.
        FolderUnusable: results cannot be written.
    """
    from training.learning_curve.run import Job, learning_curve
    from training.learning_curve.settings import CurveSettings
    from training.learning_curve.wording import TITLES, sentences
    from training.shootout.wording import interval

    settings = settings_of(args, FLAGS, CurveSettings)
    _check(args, settings.task)
    if args.detector_size is not None:
        detector = settings.detector.model_copy(update={"size": size_of(args.detector_size)})
        settings = settings.model_copy(update={"detector": detector})
    job = Job(args.data, args.out, settings, weights_of(args.weights), args.init, args.format, args.overwrite)
    outcome = learning_curve(job, lambda line: print(line, flush=True))
    for curve in outcome.curves:
        for count, mean in zip(curve.counts, curve.means, strict=True):
            print(f"{TITLES[curve.score]:8} {curve.start:10} {count:6} pictures  {mean.value:.3f}  ({interval(mean)})")
    for line in sentences(outcome):
        print(f"- {line}")
    print(args.out / "report.html")
    return 0


def _check(args: argparse.Namespace, task: str) -> None:
    """Refuse what belongs to the other task: it would have no effect."""
    if task == "detection":
        strange = [flag.name for flag in OF_PHOTOS if given(args, flag) is not None]
        strange += ["--weights"] if args.weights else []
    else:
        strange = [flag.name for flag in OF_DETECTORS if given(args, flag) is not None]
        strange += [name for name, there in (("--init", args.init), ("--detector-size", args.detector_size)) if there]
        strange += ["--format"] if args.format != "auto" else []
    if strange:
        raise ConfigError(f"{', '.join(strange)}: has no effect with --task {task}; leave it out")
