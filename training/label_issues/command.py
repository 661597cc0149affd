"""Find labels that are likely wrong: objects overlooked, classes swapped, boxes badly placed.

Detections must come from models that never saw the pictures: k short fine-tunings (--init, the default), files of such
detections (--predictions), or a model that never learnt from the set (--model).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError
from training.arguments import size_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dataset.records import DetectionSet
    from training.detection_scores import Found

#: Lower scores tell nothing that could be listed.
MIN_SCORE = 0.01


def add(studies: Any) -> None:
    """Add the study to `traylane study`."""
    parser = studies.add_parser("labels", help="find overlooked, swapped and badly placed labels", description=__doc__)
    add_arguments(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-verb's arguments; what is heavy is imported only when it runs."""
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="the labelled set")
    parser.add_argument("--format", choices=["auto", "coco", "voc", "yolo"], default="auto", help="default: auto")
    parser.add_argument("--out", type=Path, default=Path("var/label_issues"), metavar="DIR", help="default %(default)s")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--init",
        default="traynet@2",
        metavar="CARD",
        help="fine-tune from these weights, a model a fold; default %(default)s",
    )
    source.add_argument(
        "--predictions", type=Path, nargs="+", metavar="FILE", help="COCO results, in one file or in one for each fold"
    )
    source.add_argument("--model", metavar="CARD_OR_ONNX", help="a model that never learnt from these pictures")
    parser.add_argument("--folds", type=int, default=3, metavar="K", help="of pictures, by content; default 3")
    parser.add_argument("--salt", metavar="WORD", help="another word deals the pictures to the folds in another way")
    parser.add_argument("--least", type=float, default=0.2, metavar="P", help="list from this probability; default 0.2")
    parser.add_argument("--class-map", metavar="OLD=NEW,…", help="model class=set class; OLD= leaves a class out")
    parser.add_argument("--steps", type=int, default=200, help="of each fine-tuning; default 200")
    parser.add_argument("--batch", type=int, default=8, help="pictures of one step; default 8")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate; default 0.002")
    parser.add_argument(
        "--size", default="320x320", metavar="WxH", help="what pictures are fitted into; default 320x320"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the fine-tunings; default 1")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; default 1")


def run(args: argparse.Namespace) -> int:
    """Run the sub-verb; return the exit code.

    Raises:
        ConfigError: an argument is out of range, or the results cannot be written.
        DataError: the set or the predictions cannot be used.
        ModelError: a model cannot be used.
    """
    _check(args)
    from dataset.images import load_image
    from dataset.reading import read_set
    from dataset.splits import ASIDE
    from training.label_issues.finder import KINDS, issues_of, judge
    from training.label_issues.folds import fold_numbers
    from training.label_issues.report import Origin, as_json, render
    from training.revision import commit

    wanted = read_set(args.data, args.format)
    folds = fold_numbers(wanted, args.folds, ASIDE if args.salt is None else args.salt)
    found, told = _detections(args, wanted, folds)
    judged = judge(found, wanted, folds)
    issues = issues_of(judged, wanted, args.least)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    origin = Origin(told, now, commit(), _command_line(args))
    page = render(issues, wanted, judged.rates, origin, load_image)
    _write(args.out, as_json(issues, wanted, judged.rates, origin), page)
    for kind, rate in zip(KINDS, judged.rates.tolist(), strict=True):
        count = sum(issue.kind == kind for issue in issues)
        print(f"  {kind:13} {count:4} listed; estimated for the whole set: {rate:.1%} of its objects")
    for n, issue in enumerate(issues[:5], start=1):
        print(f"  #{n} {issue.probability:.2f} {wanted.samples[issue.picture].image.name}: {issue.reason}")
    print(args.out / "label_issues.html")
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.folds < 2:
        raise ConfigError(f"--folds {args.folds}: at least 2; each picture is judged by a model of the other folds")
    if not 0.0 <= args.least <= 1.0:
        raise ConfigError(f"--least {args.least:g}: a probability is from 0 to 1")
    for name in ("steps", "batch", "threads"):
        if getattr(args, name) < 1:
            raise ConfigError(f"--{name} {getattr(args, name)}: must be 1 or more")
    if not args.rate > 0:
        raise ConfigError(f"--rate {args.rate:g}: must be above 0")
    if args.seed < 0:
        raise ConfigError(f"--seed {args.seed}: must be 0 or more")


def _detections(args: argparse.Namespace, wanted: DetectionSet, folds: NDArray[np.int64]) -> tuple[list[Found], str]:
    """Return out-of-fold detections and, for a person, where they come from."""
    if args.predictions is not None:
        files = ", ".join(path.name for path in args.predictions)
        return _given(args.predictions, args, wanted), f"given ({files})"
    if args.model is not None:
        return _by_model(args, wanted), f"{args.model}, taken to have learnt from none of these pictures"
    from training.label_issues.crossfit import detect_out_of_fold, fold_settings

    settings = fold_settings(args.init, size_of(args.size), args.steps, args.batch, args.rate, args.seed, args.threads)

    def tell(done: int, of: int) -> None:
        print(f"fold {done} of {of}", file=sys.stderr, flush=True)

    found = detect_out_of_fold(wanted, folds, settings, args.out, tell)
    return (
        found,
        f"{args.folds} fine-tunings from {args.init}, {args.steps} steps each, every picture by the one without it",
    )


def _given(paths: Sequence[Path], args: argparse.Namespace, wanted: DetectionSet) -> list[Found]:
    from training.evaluation.class_match import match_classes, parse_map
    from training.evaluation.predictions import numbering_of, read_results
    from training.label_issues.folds import merge_predictions

    numbering = numbering_of(args.data, wanted)
    renamed = parse_map(args.class_map)
    parts = [
        read_results(path, wanted, numbering, lambda labels: match_classes(labels, wanted.labels, renamed))[0]
        for path in paths
    ]
    return merge_predictions(parts, wanted, [path.name for path in paths])


def _by_model(args: argparse.Namespace, wanted: DetectionSet) -> list[Found]:
    from dataset.images import load_image
    from models.bare_onnx import find_model
    from models.ort_detector import OrtDetector
    from models.settings import DetectorSettings
    from training.evaluation.class_match import match_classes, parse_map
    from training.evaluation.predictions import detect_set

    card = find_model(args.model, precision="fp32")
    classes = match_classes(card.labels, wanted.labels, parse_map(args.class_map))
    detector = OrtDetector(card, DetectorSettings(min_score=MIN_SCORE, threads=args.threads))
    try:
        return detect_set(detector, wanted, classes, load_image)
    finally:
        detector.close()


def _command_line(args: argparse.Namespace) -> str:
    """Return the command that makes the list again, without the paths of this machine."""
    parts = ["traylane", "study", "labels", "--data", args.data.name, "--folds", str(args.folds)]
    if args.predictions is not None:
        parts += ["--predictions", *(path.name for path in args.predictions)]
    elif args.model is not None:
        parts += ["--model", Path(args.model).name]
    else:
        parts += ["--init", Path(args.init).name, "--steps", str(args.steps), "--batch", str(args.batch)]
        parts += ["--rate", f"{args.rate:g}", "--size", args.size, "--seed", str(args.seed)]
    for name in ("salt", "class_map"):
        if getattr(args, name) is not None:
            parts += [f"--{name.replace('_', '-')}", getattr(args, name)]
    return shlex.join([*parts, "--least", f"{args.least:g}"])


def _write(folder: Path, listed: str, page: str) -> None:
    from core.files import write_atomic

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "label_issues.json", listed)
        write_atomic(folder / "label_issues.html", page)
    except OSError as err:
        raise ConfigError(f"--out {folder}: cannot be written: {err.strerror or err}") from err
