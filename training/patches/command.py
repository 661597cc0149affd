"""The study `traylane study patches`: arguments, and what a person sees of it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core.errors import ConfigError
from training.finetune_command import Flag

if TYPE_CHECKING:
    from training.patches.settings import StudySettings

WEIGHTS = "squeezenet1_1_caffe_torchvision.pth"
FLAGS = (
    Flag("--arch", "backbone.arch", str, "squeezenet1_1 (default), mobilenet_v2 or mobilenet_v3_small"),
    Flag("--patch-px", "backbone.patch_px", int, "what a patch is scaled to; default 96"),
    Flag("--whole-px", "backbone.whole_px", int, "what the whole picture is scaled to, for the baseline; default 448"),
    Flag("--scales", "sampler.scales", str, "patches are (shorter side - 1) / scale large; default 1,2,3,4,5", "S,S,…"),
    Flag("--stride", "sampler.stride", float, "from patch to patch, in sides; default 0.5"),
    Flag("--most", "sampler.most", int, "most patches of one picture; default 448"),
    Flag("--background", "sampler.background", float, "most background, in patches of objects; default 1"),
    Flag("--exponents", "exponents", str, "values of e to choose from on validation; default 1,2,3,5,8,12", "E,E,…"),
    Flag("--hidden", "head.hidden", int, "width of the head; default 256"),
    Flag("--dropout", "head.dropout", float, "default 0.5"),
    Flag("--optimiser", "head.optimiser", str, "sgd (default) or adamw"),
    Flag("--rate", "head.rate", float, "learning rate; default 0.02"),
    Flag("--schedule", "head.schedule", str, "cosine (default) or constant"),
    Flag("--weight-decay", "head.weight_decay", float, "default 0.0005"),
    Flag("--batch", "head.batch", int, "feature vectors of a step; default 256"),
    Flag("--rounds", "head.rounds", int, "passes over the pictures; default 40"),
    Flag("--history", "head.history", int, "checkpoints that are kept; default 20"),
    Flag("--validation", "validation", float, "share of the pictures learnt from, to choose by; default 0.2"),
    Flag("--draws", "draws", int, "bootstrap draws of an interval; default 1000"),
    Flag("--seed", "seed", int, "of weights, draws and dropout; default 1"),
    Flag("--threads", "threads", int, "threads of torch; default 1"),
)
_LISTS = ("sampler.scales", "exponents")


def add(studies: Any) -> None:
    """Add the study to the verb; torch is imported only when it runs."""
    parser = studies.add_parser(
        "patches",
        help="which classes does a picture show? patches of many sizes against whole pictures",
        description="Learn classes from patches of many sizes, rank the pictures of the fixed test fifth by them, and "
        "say what that earns above whole pictures. DIR gets report.html, scores.json, run.json and both heads.",
    )
    parser.add_argument("--data", type=Path, metavar="PATH", help="labelled pictures: COCO, Pascal VOC or YOLO")
    parser.add_argument("--format", choices=["auto", "coco", "voc", "yolo"], default="auto", help="default: auto")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--weights", type=Path, metavar="FILE", help=f"of the net; default {WEIGHTS} of TRAYLANE_DATA")
    parser.add_argument("--cache", type=Path, default=Path("var/patches"), metavar="DIR", help="default: var/patches")
    parser.add_argument("--classes", metavar="NAME,…", help="whose heat maps to show")
    parser.add_argument("--picture", type=Path, nargs="+", metavar="FILE", help="judge pictures by the study in DIR")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from the checkpoints in DIR")
    again.add_argument("--overwrite", action="store_true", help="throw them away")
    for flag in FLAGS:
        parser.add_argument(flag.name, type=flag.kind, metavar=flag.metavar, help=flag.text)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the study, or judge pictures by one; return the exit code.

    Raises:
        ConfigError: an argument is out of range, or two do not go together.
        DataError: the set or a picture cannot be used.
        ModelError: weights cannot be used.
        FolderUnusable: results cannot be written.
    """
    if (args.data is None) == (args.picture is None):
        raise ConfigError("give --data PATH to run a study, or --picture FILE to judge pictures by the one in --out")
    return _study(args) if args.picture is None else _look(args)


def settings_of(args: argparse.Namespace) -> StudySettings:
    """Return the settings that the flags ask for.

    Raises:
        ConfigError: a value is out of range; names the flag.
    """
    from training.patches.settings import StudySettings

    values: dict[str, Any] = {}
    names = {}
    for flag in FLAGS:
        value = getattr(args, flag.name.removeprefix("--").replace("-", "_"))
        if value is None:
            continue
        names[flag.key] = flag.name
        place = values
        *path, last = flag.key.split(".")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = tuple(value.split(",")) if flag.key in _LISTS else value
    try:
        return StudySettings.model_validate(values)
    except ValidationError as err:
        told = []
        for error in err.errors():
            key = ".".join(str(part) for part in error["loc"])
            name = next((names[known] for known in names if key.startswith(known)), key)
            told.append(f"{name}: {error['msg'].removeprefix('Value error, ')}, got {error['input']!r}")
        raise ConfigError("\n".join(dict.fromkeys(told))) from err


def weights_path(given: Path | None) -> Path:
    """Return the file of the backbone's weights: as given, or where TRAYLANE_DATA has it.

    Raises:
        ConfigError: neither says where.
    """
    if given is not None:
        return given
    folder = os.environ.get("TRAYLANE_DATA")
    if not folder:
        raise ConfigError(
            "--weights: no file given, and TRAYLANE_DATA is not set; give torchvision's ImageNet weights of the net "
            "(squeezenet1_1, unless --arch names another)"
        )
    return Path(folder) / "backbones" / WEIGHTS


def _study(args: argparse.Namespace) -> int:
    from training.patches.report import interval
    from training.patches.run import Job, study

    job = Job(
        data=args.data,
        format=args.format,
        out=args.out,
        weights=weights_path(args.weights),
        cache=args.cache,
        settings=settings_of(args),
        classes=_names(args.classes),
        resume=args.resume,
        overwrite=args.overwrite,
    )
    outcome = study(job, lambda line: print(line, flush=True))
    print(f"{outcome.name}, {outcome.pictures} test pictures (95 % intervals):")
    for title, figure in (
        ("mAP, patches", outcome.patches.area),
        ("mAP, whole pictures", outcome.whole.area),
        ("what patches earn", outcome.gain),
    ):
        value = "unknown" if figure.value is None else f"{figure.value:.3f}"
        print(f"  {title:20} {value}  ({interval(figure)})")
    print(f"  exponent {outcome.exponent:g}, round {outcome.rounds['patches']}, chance {outcome.patches.chance:.3f}")
    print(args.out / "report.html")
    return 0


def _look(args: argparse.Namespace) -> int:
    from training.patches.looking import look

    given = [flag.name for flag in FLAGS if getattr(args, flag.name.removeprefix("--").replace("-", "_")) is not None]
    if given or args.resume or args.overwrite:
        raise ConfigError(
            f"{', '.join(given) or '--resume, --overwrite'}: not with --picture; the study's own are used"
        )
    for seen in look(args.out, weights_path(args.weights), args.picture, _names(args.classes)):
        print(f"{seen.picture}")
        for label, score, drawn in seen.classes:
            print(f"  {score:10.4g}  {label}  {drawn}")
    return 0


def _names(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(name.strip() for name in text.split(",") if name.strip())
