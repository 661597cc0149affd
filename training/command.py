"""The verb `traylane train`: arguments, rolls, the run, and what a person sees of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from training import edge_command, embed_command, finetune_command

#: Flags that only the recipe for the synthetic lane has, and their defaults.
_LANE_ONLY = {
    "minutes": 45.0,
    "round_steps": 500,
    "cache": Path("var/traynet"),
    "rolls": 1000,
    "validation_rolls": 48,
    "frames": 30,
    "render_only": False,
}
#: What it takes for flags that fine-tuning has, too.
_LANE_DEFAULTS = {"batch": 16, "rate": 2e-3, "seed": 1, "threads": 2}


def add(subparsers: Any) -> None:
    """Add the verb to the command line; torch is imported only when it runs."""
    parser = subparsers.add_parser(
        "train",
        help="train a detector on the synthetic lane, or fine-tune one on your pictures",
        description="With --data fine-tune any detector on labelled pictures; without, train the shipped one on the "
        "synthetic lane. DIR gets metrics.jsonl, best.pt, last.pt, run.json.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from DIR/last.pt")
    edge_command.add_arguments(parser)
    embed_command.add_arguments(parser)
    parser.add_argument(
        "--export", type=Path, metavar="CARD", help="write CARD.yaml and .onnx from DIR/best.pt; then stop"
    )
    budget = parser.add_mutually_exclusive_group()
    for flag in finetune_command.SHARED:
        place = budget if flag.name == "--steps" else parser
        place.add_argument(flag.name, type=flag.kind, metavar=flag.metavar, help=flag.text)
    budget.add_argument("--minutes", type=float, help="wall-clock budget on the synthetic lane; default 45")
    lane = parser.add_argument_group("the synthetic lane (without --data)")
    lane.add_argument("--round-steps", type=int, help="steps between two validations; default 500")
    lane.add_argument("--cache", type=Path, help="where rendered pictures are kept; default var/traynet")
    lane.add_argument("--rolls", type=int, help="lanes to render for training, 1..1000; default 1000")
    lane.add_argument("--validation-rolls", type=int, help="lanes to choose by, 1..50; default 48")
    lane.add_argument("--frames", type=int, help="pictures of each lane; default 30")
    lane.add_argument("--render-only", action="store_true", default=None, help="render the pictures and stop")
    finetune_command.add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the verb; return the exit code.

    Raises:
        ConfigError: flags of the other recipe.
    """
    if args.embedder:
        return embed_command.run(args, _show_shard, _show_embedder)
    if args.hold_out:
        raise ConfigError("--hold-out: for --embedder only")
    if args.edge:
        return edge_command.run(args, _show_roll, _show_round)
    if args.photos:
        raise ConfigError("--photos: for --edge and --embedder only; fine-tune on labelled pictures with --data PATH")
    lane_only = [f"--{name.replace('_', '-')}" for name in _LANE_ONLY if getattr(args, name) is not None]
    if finetune_command.is_finetune(args):
        if lane_only:
            raise ConfigError(f"{', '.join(lane_only)}: for the synthetic lane only; leave them out with --data")
        return finetune_command.run(args)
    others = finetune_command.given_flags(args)
    if others:
        raise ConfigError(f"{', '.join(others)}: for transfer learning only; say on which pictures with --data PATH")
    if args.arch not in (None, "traynet"):
        raise ConfigError(f"--arch {args.arch}: the synthetic lane trains traynet; fine-tune others with --data PATH")
    for name, default in (_LANE_ONLY | _LANE_DEFAULTS).items():
        if getattr(args, name) is None:
            setattr(args, name, default)
    return _export(args) if args.export is not None else _train(args)


def _train(args: argparse.Namespace) -> int:
    from training.synthetic_set import TRAIN_SEEDS, VALIDATION_SEEDS, load_set, plan, render_set
    from training.train_traynet import Source, TrainSettings, train

    if not 1 <= args.rolls <= len(TRAIN_SEEDS) or not 1 <= args.validation_rolls <= len(VALIDATION_SEEDS):
        raise ConfigError("--rolls must be 1..1000 and --validation-rolls 1..50: the seeds are split once and for all")
    settings = TrainSettings(
        seed=args.seed,
        steps=args.steps,
        minutes=args.minutes,
        batch=args.batch,
        round_steps=args.round_steps,
        rate=args.rate,
        threads=args.threads,
    )
    rolls = plan(TRAIN_SEEDS[: args.rolls], args.frames)
    validation = plan(VALIDATION_SEEDS[: args.validation_rolls], 12, every_s=1.7)
    made = render_set([*rolls, *validation], args.cache, processes=args.threads, on_roll=_show_roll)
    print(f"{len(rolls)} training and {len(validation)} validation lanes in {args.cache}, {made} of them rendered now")
    if args.render_only:
        return 0
    best = train(
        [Source(load_set(rolls, args.cache))],
        load_set(validation, args.cache),
        settings,
        args.out,
        init=None if args.init is None else Path(args.init),
        resume=args.resume,
        on_round=_show_round,
    )
    print(f"best weights: {best}")
    return 0


def _export(args: argparse.Namespace) -> int:
    import json

    from training.export import Origin, export

    card = args.export if args.export.suffix == ".yaml" else args.export.with_name(args.export.name + ".yaml")
    name, version = edge_command.name_of(card)
    log = args.out / "metrics.jsonl"
    try:
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    except OSError as err:
        raise ConfigError(f"{log}: cannot read the run's log; give the --out of a finished run") from err
    best = max(lines, key=lambda line: float(line["ap50"] * line["class_accuracy"]))
    scores = {f"validation_{k}": v for k, v in best.items() if k.startswith(("ap50", "class_accuracy"))}
    run_card = json.loads((args.out / "run.json").read_text(encoding="utf-8"))
    size = tuple(run_card["parameters"]["size"])
    notes = "Trained on the synthetic lane alone: for the demo and for tests, not for a real counter."
    origin = Origin(name, version, "Apache-2.0", _source_of(run_card), scores, notes=notes)
    weights = export(args.out / "best.pt", card, size, origin)
    print(f"{weights} ({weights.stat().st_size / 1e6:.2f} MB), from step {best['step']}: {scores}")
    return 0


def _source_of(run_card: Mapping[str, Any]) -> str:
    """Return how weights came to be, from the run.json of their run."""
    pictures = run_card["data"]["train"][0]
    parts = [
        "traylane train --arch traynet (docs/training.md)",
        f"commit {run_card['git'][:12]}" + (" with changes not yet committed" if run_card["git"].endswith("+") else ""),
        f"{pictures['pictures']} pictures of the synthetic lane, seeds {pictures['seeds'][0]}-{pictures['seeds'][1]}",
    ]
    if run_card["init_sha256"]:
        parts.append(f"started from weights {run_card['init_sha256'][:12]} of an earlier run of the same command")
    return "; ".join(parts)


def _show_roll(done: int, of: int) -> None:
    if done % 50 == 0 or done == of:
        print(f"rendered {done} of {of} lanes", flush=True)


def _show_shard(done: int, of: int) -> None:
    print(f"rendered {done} of {of} parts", flush=True)


def _show_embedder(line: Mapping[str, Any]) -> None:
    shown = [f"{name} {value:.3f}" for name, value in line.items() if isinstance(value, float) and name != "spent_s"]
    print("  ".join([f"step {line['step']}/{line['planned_steps']}", f"{line['spent_s']:.0f} s", *shown]), flush=True)


def _show_round(line: Mapping[str, Any]) -> None:
    parts = [f"step {line['step']}/{line['planned_steps']}", f"{line['spent_s']:.0f} s", f"loss {line['loss']:.3f}"]
    parts += [f"{name} {line[name]:.3f}" for name in line if name.startswith(("ap50", "class_accuracy"))]
    print("  ".join(parts), flush=True)
