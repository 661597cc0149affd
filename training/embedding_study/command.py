"""The study `traylane study embeddings`: arguments, and what a person sees of it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core.errors import ConfigError
from training.finetune_command import Flag

if TYPE_CHECKING:
    from training.embedding_study.run import Job
    from training.embedding_study.settings import StudySettings

FLAGS = (
    Flag("--nets", "grid.nets", str, "of the published ones; default all four", "NAME,…"),
    Flag("--random-seeds", "grid.random_seeds", str, "a seed of random nets each, none to leave out; default 1", "N,…"),
    Flag("--kernels", "grid.kernels", str, "sides of averaged squares; default 1,2,4,…,64", "K,…"),
    Flag("--below", "grid.below", int, "vectors are shorter than this; default 2000"),
    Flag("--aside", "aside", float, "share of each class's photos that only judges; default 0.3"),
    Flag("--share", "picker.share", float, "of the grid's cost that picking may take; default 0.1"),
    Flag("--races", "picker.seeds", int, "picks with other draws, to show how far luck goes; default 25"),
    Flag("--by", "by", str, "figure to choose by: mrr (default) or top1"),
    Flag("--draws", "draws", int, "bootstrap draws of an interval; default 1000"),
    Flag("--seed", "seed", int, "of the bootstrap and the first race; default 1"),
    Flag("--threads", "threads", int, "threads of torch; default 1"),
)
_LISTS = ("grid.nets", "grid.random_seeds", "grid.kernels")


def add(studies: Any) -> None:
    """Add the study to the verb; torch is imported only when it runs."""
    parser = studies.add_parser(
        "embeddings",
        help="which model, layer and kernel tells dishes apart best? and a cheap way to pick it",
        description="Compare every layer of several nets, averaged by several kernels, as embeddings of photos: "
        "nearest neighbours, plausible errors, separation; and race for a good one at a tenth of the cost. DIR gets "
        "report.html, scores.json, grid.csv, matrices.npz and run.json.",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="photos, a folder per class; or GroceryStore's layout"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the study")
    parser.add_argument(
        "--backbones", type=Path, metavar="DIR", help="published weights; default TRAYLANE_DATA/backbones"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("var/embedding_study"), metavar="DIR", help="default: var/embedding_study"
    )
    parser.add_argument(
        "--embedder", nargs="+", default=[], metavar="CARD", help="embedders to judge beside the grid: dish-embed@1"
    )
    parser.add_argument("--no-histogram", action="store_true", help="leave the colour histograms out")
    parser.add_argument("--pick-only", action="store_true", help="race once and name the setting; no grid, no files")
    for flag in FLAGS:
        parser.add_argument(flag.name, type=flag.kind, metavar=flag.metavar, help=flag.text)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the study, or one race; return the exit code.

    Raises:
        ConfigError: an argument is out of range, or two do not go together.
        DataError: the photos cannot be used.
        ModelError: weights or a card cannot be used.
        FolderUnusable: results cannot be written.
    """
    if args.pick_only and args.embedder:
        raise ConfigError("--embedder: not with --pick-only; a card is judged beside the grid and never picked")
    if args.out is None and not args.pick_only:
        raise ConfigError("--out DIR: say where the study goes, or ask for a name alone with --pick-only")
    return _pick(args) if args.pick_only else _study(args)


def settings_of(args: argparse.Namespace) -> StudySettings:
    """Return the settings that the flags ask for.

    Raises:
        ConfigError: a value is out of range; names the flag.
    """
    from training.embedding_study.settings import StudySettings

    values: dict[str, Any] = {"grid": {"histogram": not args.no_histogram}}
    names = {}
    for flag in FLAGS:
        given = getattr(args, flag.name.removeprefix("--").replace("-", "_"))
        if given is None:
            continue
        names[flag.key] = flag.name
        place = values
        *path, last = flag.key.split(".")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = _listed(given) if flag.key in _LISTS else given
    try:
        return StudySettings.model_validate(values)
    except ValidationError as err:
        told = []
        for error in err.errors():
            key = ".".join(str(part) for part in error["loc"])
            name = next((names[known] for known in names if key.startswith(known)), key)
            told.append(f"{name}: {error['msg'].removeprefix('Value error, ')}, got {error['input']!r}")
        raise ConfigError("\n".join(dict.fromkeys(told))) from err


def backbones_folder(given: Path | None) -> Path:
    """Return the folder of published weights: as given, or where TRAYLANE_DATA has it.

    Raises:
        ConfigError: neither says where.
    """
    if given is not None:
        return given
    folder = os.environ.get("TRAYLANE_DATA")
    if not folder:
        raise ConfigError(
            "--backbones: no folder given, and TRAYLANE_DATA is not set; give the folder with "
            "squeezenet1_1_caffe_torchvision.pth and its neighbours, or compare without published nets: --nets none"
        )
    return Path(folder) / "backbones"


def _listed(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if names == ("none",) else names


def _job(args: argparse.Namespace) -> Job:
    from training.embedding_study.run import Job

    settings = settings_of(args)
    folder = backbones_folder(args.backbones) if settings.grid.nets else Path()
    return Job(args.data, args.out or Path(), folder, args.cache, settings, tuple(args.embedder))


def _study(args: argparse.Namespace) -> int:
    from training.embedding_study.report import interval
    from training.embedding_study.run import REPORT, study

    outcome = study(_job(args), lambda line: print(line, flush=True))
    chosen = outcome.chosen
    print(f"{outcome.name}: {len(outcome.measured)} settings; on photos kept aside (95 % intervals):")
    print(f"  the grid's choice  {chosen.setting.name}, {chosen.setting.dims} dimensions")
    for title, figure in (("MRR", chosen.aside.mrr), ("top-1", chosen.aside.top1), ("top-5", chosen.aside.top5)):
        print(f"  {title:17}  {figure.value:.3f}  ({interval(figure)})")
    if outcome.picked is None:
        print(f"  no pick: {outcome.no_race}")
    else:
        share = outcome.races[0].pick.cost.shares_of(outcome.grid_cost)[1]
        gap = 100 * outcome.gap(outcome.races[0])
        print(f"  the race's pick    {outcome.picked.setting.name}, {gap:.1f} points below, {share:.1%} of the cost")
        print(f"  {len(outcome.races)} races: {outcome.within(1)} within a point")
    for one in outcome.cards:
        print(f"  {one.setting.model}: MRR {one.aside.mrr.value:.3f}, top-1 {one.aside.top1.value:.3f}")
    print(args.out / REPORT)
    return 0


def _pick(args: argparse.Namespace) -> int:
    from training.embedding_study.run import pick_only

    pick, whole = pick_only(_job(args), lambda line: print(line, flush=True))
    for number, one in enumerate(pick.rounds, start=1):
        print(
            f"round {number}: {len(one.models)} models, {one.photos} photos of {one.classes} classes; {one.best} leads"
        )
    forwards, macs, _ = pick.cost.shares_of(whole)
    print(f"{pick.setting.name}  {pick.setting.dims} dimensions")
    print(f"cost: {macs:.1%} of the grid's multiply-adds, {forwards:.1%} of its passes, {pick.cost.cpu_s:.1f} CPU s")
    return 0
