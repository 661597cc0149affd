"""`traylane train --embedder`: the recipe of the shipped dish embedder, and the card that comes of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import ConfigError, ModelNotFound
from training import edge_command, finetune_command

#: Flags of the other recipes that this one has no use for, besides those that only fine-tuning has.
FOREIGN = ("arch", "minutes", "batch", "rate", "data", "rolls", "validation_rolls", "frames")
#: What it takes for flags that other recipes have, too.
CACHE = Path("var/embed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the recipe's own flag; --photos, --init, --steps, --round-steps, --seed, --threads, --cache it shares."""
    group = parser.add_argument_group("the recipe of the shipped dish embedder")
    group.add_argument(
        "--embedder",
        action="store_true",
        help="train the embedder that tells taught dishes apart: on renders, and on --photos (a GroceryStore tree, "
        "detection sets), from --init (torchvision's SqueezeNet 1.1); under an hour on a core",
    )
    group.add_argument(
        "--hold-out",
        action="store_true",
        help="leave out 24 of the lane's 36 dishes and a third of the photos' classes: what is it worth for dishes "
        "that it never saw? (bench/embedder.py)",
    )


def run(
    args: argparse.Namespace,
    on_shard: Callable[[int, int], None],
    on_round: Callable[[Mapping[str, Any]], None],
) -> int:
    """Run the recipe, or go on with it; with --export write the card. Return the exit code.

    Raises:
        ConfigError: flags of other recipes, or values out of range.
        ModelNotFound: --init is no file.
        DataError: photos cannot be read.
        ModelError: a loss that is not finite, or an export that computes something else.
    """
    from training.embedding.corpus import Plan, render
    from training.embedding.recipe import make_embedder, read_photos
    from training.embedding.ship import ship
    from training.embedding.train import EmbedSettings
    from training.finetune.run_record import run_folder

    foreign = [f"--{name.replace('_', '-')}" for name in FOREIGN if getattr(args, name) is not None]
    if args.edge:
        foreign.append("--edge")
    foreign += finetune_command.given_flags(args)
    if foreign:
        raise ConfigError(f"{', '.join(foreign)}: not for the embedder's recipe; leave it out with --embedder")
    init = None if args.init is None else Path(args.init)
    if init is not None and not init.is_file():
        raise ModelNotFound(f"--init {init}: no such file; give torchvision's weights of squeezenet1_1")
    card = None if args.export is None else args.export.with_name(args.export.name.removesuffix(".yaml") + ".yaml")
    name, version = ("", "") if card is None else edge_command.name_of(card)
    given = {"seed": args.seed, "steps": args.steps, "round_steps": args.round_steps, "threads": args.threads}
    settings = EmbedSettings(**{key: value for key, value in given.items() if value is not None})
    plan, cache = Plan(every_dish=not args.hold_out), args.cache or CACHE
    if args.render_only:
        render(plan, cache, settings.threads, on_shard)
        return 0
    photos = read_photos(args.photos, args.hold_out)
    with run_folder(args.out):
        best = make_embedder(settings, plan, args.out, cache, photos, init, args.resume, on_shard, on_round)
        print(f"weights: {best}")
        if card is not None:
            crops = [] if photos.shop is None else photos.shop.aside.crops
            weights = ship(args.out, card, name, version, [path.name for path in args.photos], crops)
            print(f"{weights} ({weights.stat().st_size / 1e6:.2f} MB)")
    return 0
