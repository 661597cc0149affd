"""`traylane train --data PATH …`: fine-tune a detector on a labelled set. Its flags, its sets, and what a person sees.

What is not given on the command line comes from the recipe (`--recipe FILE`), for a resume from the run's own record,
and else from the defaults of `finetune/settings.py`. Torch is imported only when the verb runs.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import threading
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, FolderUnusable, TraylaneError

if TYPE_CHECKING:
    from dataset.records import DetectionSet
    from training.finetune.distributed import World
    from training.finetune.run_record import RunRecord
    from training.finetune.settings import FinetuneSettings

_log = logging.getLogger(__name__)

HOLDOUT = 0.2


@dataclass(frozen=True)
class Flag:
    """A flag that changes one setting.

    Attributes:
        name: as typed.
        key: the setting, with dots.
        kind: of its value; bool gives the flag a --no- twin.
        text: what --help says.
        metavar: what stands for its value there.
    """

    name: str
    key: str
    kind: type
    text: str
    metavar: str | None = None


#: Flags that the recipe for the synthetic lane has, too.
SHARED = (
    Flag("--arch", "net.arch", str, "the net; default traynet"),
    Flag("--init", "start.init", str, "first weights: pretrained, backbone, a card such as traynet@1, or a checkpoint"),
    Flag("--steps", "steps", int, "optimiser steps of the whole run"),
    Flag("--batch", "batch", int, "pictures of one forward pass"),
    Flag("--rate", "optimiser.rate", float, "(peak) learning rate of the head"),
    Flag("--seed", "seed", int, "of weights, order and augmentation"),
    Flag("--threads", "threads", int, "threads of torch"),
)
OWN = (
    Flag("--size", "net.size", str, "what pictures are fitted into; default 320x320", "WxH"),
    Flag("--norm", "net.norm", str, "batch, frozen (pretrained, small batches) or group (from scratch)"),
    Flag("--epochs", "epochs", int, "times through the pictures; 0 evaluates only; default 10"),
    Flag("--accumulate", "accumulate", int, "forward passes of one optimiser step; default 1"),
    Flag("--optimiser", "optimiser.kind", str, "sgd or adamw; default adamw"),
    Flag("--momentum", "optimiser.momentum", float, "of SGD, and AdamW's first beta; default 0.9"),
    Flag("--nesterov", "optimiser.nesterov", bool, "Nesterov's momentum"),
    Flag("--weight-decay", "optimiser.weight_decay", float, "of weights, not of norms and biases; default 0.02"),
    Flag("--depth-decay", "optimiser.depth_decay", float, "factor of the rate per stage away from the head; default 1"),
    Flag("--schedule", "schedule.kind", str, "constant, step, multistep, cosine, cyclic or one_cycle; default cosine"),
    Flag("--warm-up", "schedule.warm_up", float, "epochs of linear warm-up; default 0"),
    Flag("--every", "schedule.every", float, "step: epochs between two falls; default 3"),
    Flag("--milestones", "schedule.milestones", str, "multistep: epochs at which the rate falls", "E,E,…"),
    Flag("--gamma", "schedule.gamma", float, "step, multistep: factor of a fall; default 0.1"),
    Flag("--ema", "ema", float, "decay of the running mean of weights; 0 for none; default 0.998"),
    Flag("--amp", "amp", str, "mixed precision: off, bf16 or fp16; default off"),
    Flag("--clip-norm", "clip_norm", float, "longest gradient; 0 for no limit; default 10"),
    Flag("--match", "start.match", str, "how a checkpoint's tensors find their places: name or shape; default name"),
    Flag("--accept", "start.accept", str, "which tensors take part: a prefix that ends with a dot, or a pattern"),
    Flag("--optimiser-state", "start.optimiser_state", bool, "take the checkpoint's momentum or moments over, too"),
    Flag("--freeze-depth", "start.freeze_depth", int, "stages from the input on that are held still; default 0"),
    Flag("--freeze", "start.freeze", str, "parts that are held still", "PREFIX,…"),
    Flag("--freeze-until", "start.freeze_until", int, "epoch (from 0) that lets them go"),
    Flag("--augment", "augment", str, "none, light, counter or strong; default light"),
    Flag("--repeat-threshold", "repeat_threshold", float, "rarer classes than this come up more often; default 0"),
    Flag("--incomplete", "incomplete.on", bool, "labels lack objects: pseudo-labels, and softer background"),
    Flag("--noisy", "noisy.on", bool, "some labels have a wrong class: weigh them against what the net sees"),
    Flag("--logit-adjustment", "logit_adjustment", float, "for rare classes: factor of log frequencies; default 0"),
    Flag("--checkpoint-every", "checkpoints.every_epochs", int, "epochs between checkpoints; default 1"),
    Flag("--checkpoint-every-steps", "checkpoints.every_steps", int, "also within an epoch; default 0: not"),
    Flag("--keep-last", "checkpoints.keep_last", int, "epochs' checkpoints that are kept; default 2"),
    Flag("--validate-every", "validate_every", int, "epochs between two validations; default 1"),
    Flag("--chosen-by", "chosen_by", str, "ap50, ap, f1_best or f1_frozen; default ap50"),
    Flag("--frozen-threshold", "frozen_threshold", float, "score threshold of f1_frozen; default 0.5"),
    Flag("--patience", "early_stop.patience", int, "validations without a gain that end the run; default 0: never"),
    Flag("--min-delta", "early_stop.min_delta", float, "what counts as a gain; default 0"),
    Flag("--workers", "workers", int, "processes that prepare pictures; default 0"),
    Flag("--device", "device", str, "auto, cpu, cuda or cuda:N; default auto"),
    Flag("--deterministic", "deterministic", str, "auto, on or off; default auto: on a CPU"),
    Flag("--gate", "gate", bool, "overfit one batch before the run; default on"),
    Flag("--allow-missing-classes", "allow_missing_classes", bool, "train without pictures of a class to be found"),
    Flag("--tensorboard", "tensorboard", bool, "write TensorBoard's event files into DIR/tensorboard"),
)
#: Flags that are no setting of the run.
_OTHERS = (
    *("validation", "format", "holdout", "salt", "pictures", "recipe", "overwrite"),
    *("mlflow", "mlflow_export", "licence"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that only fine-tuning has; those of SHARED are the parser's already."""
    group = parser.add_argument_group("transfer learning (with --data)")
    group.add_argument("--data", type=Path, metavar="PATH", help="labelled pictures: COCO, Pascal VOC or YOLO")
    group.add_argument("--format", choices=["auto", "coco", "voc", "yolo"], help="of --data; default auto")
    other = group.add_mutually_exclusive_group()
    other.add_argument("--validation", type=Path, metavar="PATH", help="another labelled set to choose the weights by")
    other.add_argument(
        "--holdout", type=float, metavar="SHARE", help="share of --data to choose by, where it has no part; default 0.2"
    )
    group.add_argument("--salt", help="another word gives another hold-out and portion; default empty")
    group.add_argument("--pictures", type=int, metavar="N", help="learn from N pictures only, drawn by content")
    group.add_argument("--recipe", type=Path, metavar="FILE", help="YAML file of settings; flags win over it")
    group.add_argument("--overwrite", action="store_true", default=None, help="throw away the run that is in DIR")
    group.add_argument("--mlflow", metavar="URI", help="write the finished run there: folder, sqlite:///… or http://…")
    group.add_argument(
        "--mlflow-export", action="store_true", default=None, help="write the run in DIR to --mlflow; then stop"
    )
    group.add_argument(
        "--licence", metavar="TEXT", help="of the weights, for --export; default 'unknown: set it in the card'"
    )
    for flag in OWN:
        if flag.kind is bool:
            group.add_argument(flag.name, action=argparse.BooleanOptionalAction, default=None, help=flag.text)
        else:
            group.add_argument(flag.name, type=flag.kind, metavar=flag.metavar, help=flag.text)


def is_finetune(args: argparse.Namespace) -> bool:
    """Tell whether this command line is about fine-tuning: it names pictures, or a run that did."""
    if args.data is not None or args.mlflow_export:
        return True
    record = args.out / "run.json"
    if (args.resume or args.export is not None) and record.is_file():
        try:
            return bool(json.loads(record.read_text(encoding="utf-8")).get("kind") == "finetune")
        except (OSError, ValueError):
            return False  # the recipe that it belongs to will say what is wrong with it
    return False


def given_flags(args: argparse.Namespace) -> list[str]:
    """Return the flags of fine-tuning that were given, for the recipe that has no use for them."""
    own = [flag.name for flag in OWN if getattr(args, _attribute(flag)) is not None]
    return own + [f"--{name.replace('_', '-')}" for name in _OTHERS if getattr(args, name) is not None]


def run(args: argparse.Namespace) -> int:
    """Run the verb; return the exit code.

    Raises:
        TraylaneError: with the exit code that tells its kind.
    """
    if args.mlflow_export:
        return _export_to_mlflow(args.out, args.mlflow)
    if args.export is not None:
        return _export_card(args)
    if args.licence is not None:
        raise ConfigError("--licence: goes into a card; give --export CARD, too")
    from training.finetune.distributed import joined

    settings = settings_of(args)
    with joined(settings.device, settings.timeout_s) as world, ended_by_sigterm():
        record = _train(args, settings, world)
        if not world.leads:
            return 0
    best = record.best
    print(f"{record.reason}: {args.out}", flush=True)
    if best is not None:
        scores = "  ".join(f"{name} {value:.3f}" for name, value in best.scores.items())
        print(f"best after epoch {best.epoch}: {scores}", flush=True)
    if args.mlflow is not None:
        try:
            _export_to_mlflow(args.out, args.mlflow)
        except ConfigError as err:
            _log.warning("%s", err)  # the run is finished and whole: that MLflow is away must not make it a failure
    return 0


def settings_of(args: argparse.Namespace) -> FinetuneSettings:
    """Return the settings of a run: flags over the recipe over the defaults; a resume begins with the run's own.

    Raises:
        ConfigError: names the file and line, or the flag.
    """
    from pydantic import ValidationError

    from core.settings import load_settings
    from training.finetune.run_record import read_record
    from training.finetune.settings import FinetuneSettings

    base = FinetuneSettings()
    if args.recipe is not None:
        base = load_settings(FinetuneSettings, args.recipe)[0]
    elif args.resume:
        base = read_record(args.out).parameters
    values = base.model_dump()
    names = {}
    for flag in (*SHARED, *OWN):
        value = getattr(args, _attribute(flag))
        if value is not None:
            *path, last = flag.key.split(".")
            place = values
            for part in path:
                place = place[part]
            place[last] = _parsed(flag, value)
            names[flag.key] = flag.name
    try:
        return FinetuneSettings.model_validate(values)
    except ValidationError as err:
        told = []
        for error in err.errors():
            key = ".".join(str(part) for part in error["loc"])
            name = next((names[known] for known in names if key.startswith(known)), key or "settings")
            told.append(f"{name}: {error['msg'].removeprefix('Value error, ')}, got {error['input']!r}")
        raise ConfigError("\n".join(dict.fromkeys(told))) from err


def read_sets(args: argparse.Namespace, source: Mapping[str, str]) -> tuple[DetectionSet, DetectionSet]:
    """Return the pictures to learn from and those to choose by.

    The latter are, in this order: --validation; a part that the maker kept for it; a hold-out, fixed by content.

    Raises:
        DataError: a set cannot be read or cut.
    """
    from dataset.reading import TRAINING_PARTS, VALIDATION_PARTS, read_set, read_splits
    from dataset.splits import portion, split

    path, kind = Path(source["data"]), source["format"]
    if "validation" in source:
        train_set = read_set(path, kind)  # type: ignore[arg-type]
        validation_set = read_set(Path(source["validation"]), labels=train_set.labels)
    else:
        parts = read_splits(path, kind)  # type: ignore[arg-type]
        kept = next((parts[name] for name in VALIDATION_PARTS if name in parts), None)
        shown = next((parts[name] for name in TRAINING_PARTS if name in parts), None)
        if "holdout" not in source and kept is not None and shown is not None:
            train_set, validation_set = shown, kept
        else:
            share = float(source.get("holdout", HOLDOUT))
            cut = split(read_set(path, kind), {"train": 1 - share, "validation": share}, source["salt"])  # type: ignore[arg-type]
            train_set, validation_set = cut["train"], cut["validation"]
    for warning in dict.fromkeys((*train_set.warnings, *validation_set.warnings)):
        _log.warning("%s", warning)
    if "pictures" in source:
        train_set = portion(train_set, int(source["pictures"]), source["salt"])
    return train_set, validation_set


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does, so that its record says so. Only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: types.FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _train(args: argparse.Namespace, settings: FinetuneSettings, world: World) -> RunRecord:
    from training.finetune.loop import finetune
    from training.finetune.progress import NOBODY, ProgressLine

    source = _source_of(args)
    try:
        train_set, validation_set = read_sets(args, source)
    except TraylaneError as err:
        if world.leads and not args.resume:
            _note_failure(args.out, settings, source, err)
        raise
    with ProgressLine() as line:
        return finetune(
            train_set,
            validation_set,
            settings,
            args.out,
            resume=args.resume,
            overwrite=bool(args.overwrite),
            world=world,
            watchers=line.watchers() if world.leads else NOBODY,
            source=source,
        )


def _source_of(args: argparse.Namespace) -> dict[str, str]:
    """Return where the pictures are read from; a resume knows it from its record.

    Raises:
        ConfigError: nothing says where.
    """
    from training.finetune.run_record import read_record

    if args.holdout is not None and not 0 < args.holdout < 1:
        raise ConfigError(f"--holdout {args.holdout:g}: a share above 0 and below 1")
    source: dict[str, str] = dict(read_record(args.out).source) if args.resume else {}
    if args.data is not None:
        source = {"data": str(args.data.absolute())}
    for name in ("format", "holdout", "salt", "pictures"):
        if getattr(args, name) is not None:
            source[name] = str(getattr(args, name))
    if args.validation is not None:
        source["validation"] = str(args.validation.absolute())
    if "data" not in source:
        raise ConfigError(f"{args.out}: its record does not say where the pictures are; give --data")
    return {"format": "auto", "salt": "", **source}


def _note_failure(out: Path, settings: FinetuneSettings, source: Mapping[str, str], err: TraylaneError) -> None:
    """Leave a record of a run that had no pictures to begin with, unless `out` holds another one."""
    from training.finetune.distributed import World
    from training.finetune.journal import fresh_record
    from training.finetune.run_record import RECORD, now_utc, run_folder, write_record

    if (out / RECORD).exists():
        return
    try:
        with run_folder(out):
            record = fresh_record({}, settings, World(), source)
            failed = {"status": "failed", "reason": str(err), "ended_utc": now_utc()}
            write_record(out, record.model_copy(update=failed))
    except FolderUnusable as also:
        err.add_note(str(also))


def _export_to_mlflow(out: Path, uri: str | None) -> int:
    from training.finetune.tracking import export_to_mlflow

    if uri is None:
        raise ConfigError("--mlflow-export: say where to with --mlflow URI (a folder, sqlite:///FILE, or a server)")
    print(f"MLflow run {export_to_mlflow(out, uri)} at {uri}", flush=True)
    return 0


def _export_card(args: argparse.Namespace) -> int:
    from training.finetune.shipping import NO_LICENCE, export_run

    if args.licence is not None and not args.licence.strip():
        raise ConfigError("--licence: say what the weights may be used for, such as CC-BY-4.0, or leave it out")
    weights = export_run(args.out, args.export, args.licence or NO_LICENCE)
    print(f"{weights} ({weights.stat().st_size / 1e6:.2f} MB)", flush=True)
    return 0


def _attribute(flag: Flag) -> str:
    return flag.name.removeprefix("--").replace("-", "_")


def _parsed(flag: Flag, value: Any) -> Any:
    """Return a flag's value as its setting wants it.

    Raises:
        ConfigError: WxH or a list of numbers is not written as such.
    """
    try:
        if flag.name == "--size":
            width, height = (int(part) for part in str(value).lower().split("x"))
            return (width, height)
        if flag.name == "--milestones":
            return tuple(float(part) for part in str(value).split(","))
    except ValueError as err:
        raise ConfigError(f"{flag.name} {value}: write it as {flag.metavar}") from err
    if flag.name == "--freeze":
        return tuple(part for part in str(value).split(",") if part)
    return value
