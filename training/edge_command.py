"""`traylane train --edge`: the recipe of the shipped detector, and the card that comes of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from training import finetune_command

#: Flags of the other recipes that this one fixes, besides those that only fine-tuning has.
FIXED = (
    *("arch", "init", "steps", "minutes", "batch", "rate", "data"),
    *("round_steps", "rolls", "validation_rolls", "frames", "render_only"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe's own flags."""
    group = parser.add_argument_group("the recipe of the shipped detector")
    group.add_argument(
        "--edge", action="store_true", help="from traynet@1's weights, in two stages; under two hours on 2 cores"
    )
    group.add_argument(
        "--photos",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="labelled photos (COCO, VOC, YOLO) for the second stage, whose classes do not matter; may be repeated",
    )


def run(
    args: argparse.Namespace,
    on_roll: Callable[[int, int], None],
    on_round: Callable[[Mapping[str, Any]], None],
) -> int:
    """Run the recipe, or go on with it where it was; with --export write the card. Return the exit code.

    Raises:
        ConfigError: flags that the recipe fixes, or threads below 1.
        DataError: photos cannot be read.
        ModelError: a loss that is not finite, or an export that computes something else.
    """
    from training.edge_recipe import EdgeRecipe, make_edge_detector, ship

    fixed = [f"--{name.replace('_', '-')}" for name in FIXED if getattr(args, name) is not None]
    fixed += finetune_command.given_flags(args)
    if fixed:
        raise ConfigError(f"{', '.join(fixed)}: the recipe has its own; leave it out with --edge")
    if args.threads is not None and args.threads < 1:
        raise ConfigError(f"--threads {args.threads}: must be 1 or more")
    card = None if args.export is None else args.export.with_name(args.export.name.removesuffix(".yaml") + ".yaml")
    name, version = ("", "") if card is None else name_of(card)
    recipe = EdgeRecipe(seed=1 if args.seed is None else args.seed, threads=2 if args.threads is None else args.threads)
    cache = args.cache or Path("var/traynet")
    stages = make_edge_detector(recipe, args.out, cache, args.photos, on_roll, on_round)
    print("best weights: " + ", ".join(str(stage) for stage in stages))
    if card is not None:
        accuracy = ship(stages[-1].parent, card, name, version, [path.name for path in args.photos])
        print(f"{card}: AP50 on the validation lanes fp32 {accuracy.fp32:.4f}, int8 {accuracy.int8:.4f}")
    return 0


def name_of(card: Path) -> tuple[str, str]:
    """Return name and version of traynet@2.yaml.

    Raises:
        ConfigError: it is not called so.
    """
    name, at, version = card.name.removesuffix(".yaml").rpartition("@")
    if not (name and at and version):
        raise ConfigError(f"--export {card}: name the card NAME@VERSION.yaml, such as traynet@2.yaml")
    return name, version
