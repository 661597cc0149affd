"""The verb `traylane evaluate`: arguments, and what a person sees of a run."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError
from training.arguments import size_of

if TYPE_CHECKING:
    from training.evaluation.run import Job, Result

SHOWN = ("f1_frozen", "f1_best", "ap50", "ap", "ap50_agnostic", "recall20_agnostic", "cacc", "ece")


def add(subparsers: Any) -> None:
    """Add the verb to the command line; what is heavy is imported only when it runs."""
    parser = subparsers.add_parser(
        "evaluate",
        help="score a detector on labelled pictures",
        description="Score a detector on labelled pictures, with the letterbox and decoder that lanes use: scores.json "
        "(for the gate; grows by a set with each run), report.html, predictions.json (COCO results).",
    )
    parser.add_argument("model", nargs="?", metavar="CARD_OR_ONNX", help="shipped model, model card or .onnx file")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="the labelled set")
    parser.add_argument("--format", choices=["auto", "coco", "voc", "yolo"], default="auto", help="default: auto")
    parser.add_argument(
        "--role",
        choices=["development", "regression", "holdout"],
        default="development",
        help="what the pictures are for; the threshold is frozen on development pictures; default development",
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        help="one part of the set, such as valid; aside: the fixed fifth that none is trained on; default: all",
    )
    parser.add_argument(
        "--holdout",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="with --split validation (or train) on a set without parts: the share that train chose by; default 0.2",
    )
    parser.add_argument("--salt", default="", help="with --holdout: the salt that train was given; default empty")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="score from which a box counts, 0..1; default: the one frozen on a development set in --out",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results; default var/evaluation/MODEL")
    parser.add_argument("--against", metavar="CARD", help="another model on the same pictures, judged by the gate")
    parser.add_argument("--class-map", metavar="OLD=NEW,…", help="model class=set class; OLD= leaves a class out")
    parser.add_argument("--agnostic", action="store_true", help="leave classes out of it: is an item found at all?")
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="score COCO results instead of a model")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N; default auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; default 1")
    parser.add_argument("--size", metavar="WxH", help="what pictures are fitted into; default: what the card says")
    parser.add_argument("--precision", choices=["auto", "fp32", "int8"], default="fp32", help="of the card's weights")
    parser.add_argument("--registry", type=Path, default=Path("var/models"), help="of imported models")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the verb; return the exit code.

    Raises:
        ConfigError: an argument is out of range, or the results cannot be written.
        DataError: the set or the predictions cannot be used.
        ModelError: a model cannot be used.
    """
    from training.evaluation.run import evaluate

    job = job_of(args)
    result = evaluate(job, _progress())
    for note in result.notes[:8]:
        print(f"note: {note}")
    if len(result.notes) > 8:
        print(f"note: and {len(result.notes) - 8} more, in the report")
    print("\n".join(summary_lines(result)))
    return 0


def job_of(args: argparse.Namespace) -> Job:
    """Return the job that the arguments ask for.

    Raises:
        ConfigError: an argument is out of range, or two do not go together.
    """
    from training.evaluation.class_match import parse_map
    from training.evaluation.run import Job

    if args.threshold is not None and not 0.0 <= args.threshold <= 1.0:
        raise ConfigError(f"--threshold {args.threshold:g}: a score is from 0 to 1")
    if not 0.0 < args.holdout < 1.0:
        raise ConfigError(f"--holdout {args.holdout:g}: a share above 0 and below 1")
    if not 1 <= args.threads <= 64:
        raise ConfigError(f"--threads {args.threads}: must be from 1 to 64")
    if args.model is None and args.predictions is None:
        raise ConfigError("give a model card or .onnx file, or --predictions FILE")
    return Job(
        model=args.model,
        data=args.data,
        out=args.out,
        format=args.format,
        role=args.role,
        part=args.split,
        holdout=args.holdout,
        salt=args.salt,
        threshold=args.threshold,
        against=args.against,
        class_map=parse_map(args.class_map),
        agnostic=args.agnostic,
        predictions=args.predictions,
        device=args.device,
        threads=args.threads,
        size=None if args.size is None else size_of(args.size),
        precision=args.precision,
        registry=args.registry,
        command=_command_line(args),
    )


def summary_lines(result: Result) -> list[str]:
    """Return the few lines that a person wants to read after an evaluation."""
    scores = result.record.sets[-1]
    lines = [f"{result.record.model} on {scores.name} ({scores.role}, {scores.pictures} pictures)"]
    for name in SHOWN:
        figure = scores.figures[name]
        if figure.value is None:
            continue
        interval = "" if figure.low is None else f"  (95 %: {figure.low:.3f} to {figure.high:.3f})"
        lines.append(f"  {name:18} {figure.value:.3f}{interval}")
    if scores.frozen_threshold is None:
        lines.append("  no frozen threshold: evaluate a development set into the same --out first, or give --threshold")
    else:
        lines.append(f"  at the threshold   {scores.frozen_threshold:.3f}")
    if result.verdict is not None:
        lines.append("the gate lets it pass:" if result.verdict.passed else "the gate refuses it:")
        lines += [f"  {reason}" for reason in result.verdict.reasons]
    return [*lines, str(result.folder / "report.html")]


def _command_line(args: argparse.Namespace) -> str:
    """Return the command that makes the figures again, without the paths of this machine."""
    parts = ["traylane", "evaluate", *([] if args.model is None else [Path(args.model).name])]
    parts += ["--data", args.data.name, "--role", args.role]
    for name in ("split", "threshold", "against", "class_map", "size"):
        if (value := getattr(args, name)) is not None:
            parts += [f"--{name.replace('_', '-')}", str(value)]
    if args.precision != "fp32":
        parts += ["--precision", args.precision]
    if args.predictions is not None:
        parts += ["--predictions", args.predictions.name]
    return shlex.join([*parts, *(["--agnostic"] if args.agnostic else [])])


def _progress() -> Callable[[int, int], None]:
    """Return what shows how far a model is: a bar on a terminal, plain lines in a log."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar: Any = tqdm(unit="picture")

        def show(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)
            if done == of:
                bar.close()

        return show
    told = 0

    def tell(done: int, of: int) -> None:
        nonlocal told
        if done < told or done - told >= of / 5 or done == of:
            told = done
            print(f"{done} of {of} pictures", file=sys.stderr, flush=True)

    return tell
