"""The verb `traylane teach`: a dish from a photo, live in every running lane within seconds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    """Add the parser of `traylane teach`."""
    parser = subparsers.add_parser(
        "teach",
        help="teach a dish from a photo",
        description="Teach a dish from one photo or more: no training; running lanes know it within seconds. "
        "With --price a new dish, without it more photos of one that is there.",
    )
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="JPEG, PNG, WebP, … of the dish alone")
    parser.add_argument("--name", help="of the dish")
    parser.add_argument("--price", type=float, help="of one portion, in the menu's currency; for a new dish")
    parser.add_argument("--title", help="what people read; default: the name")
    parser.add_argument("--plu", help="article number of the till")
    parser.add_argument("--category", help="group for reports")
    parser.add_argument("--days", help="weekdays on which it is sold: mon,tue,… or all")
    parser.add_argument("--replace", action="store_true", help="forget the photos that the dish has")
    parser.add_argument(
        "--box", metavar="X,Y,X,Y", help="where the dish is in the photo, pixels: left,top,right,bottom"
    )
    parser.add_argument("--force-lookalike", action="store_true", help="teach it although it looks like another dish")
    parser.add_argument("--thumbnail", type=Path, metavar="FILE", help="write what was taken for the dish as JPEG")
    parser.add_argument("--undo", action="store_true", help="take the latest change of the menu back")
    parser.add_argument("--list", action="store_true", help="list the taught dishes")
    parser.add_argument("--who", help="name for the history; default: who is logged in")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the site's configuration (default: the demo's)")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Teach, undo or list; return the exit code."""
    from app import menu_views
    from checkout.build import default_config
    from checkout.config import load_config
    from core.errors import ConfigError

    config = default_config() if args.config is None else load_config(args.config)
    if args.undo or args.list:
        if args.photos or args.name or (args.undo and args.list):
            raise ConfigError("--undo and --list stand alone: leave photos and --name out")
        if args.undo:
            return menu_views.undo(config, args.who, args.json)
        return menu_views.show_list(config, args.json, only_taught=True)
    if not args.photos or not args.name:
        raise ConfigError("give a photo and --name: traylane teach dish.jpg --name goulash --price 6.50")
    return menu_views.teach(config, args.photos, args)
