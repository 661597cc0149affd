"""The verb `traylane menu`: what is sold, what it costs, and what was changed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add(subparsers: Any) -> None:
    """Add the verb and its own verbs to the command line."""
    parser = subparsers.add_parser(
        "menu",
        help="list and change the menu",
        description="The menu of a site: the dishes of the menu file and those that were taught. Running lanes take a "
        "change up within seconds; each change is a revision and can be undone.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _verb(verbs, "list", "all dishes, and which are sold today", _list)
    show = _verb(verbs, "show", "one dish: photos, days, what it looks like", _show)
    show.add_argument("name", metavar="DISH")
    price = _verb(verbs, "price", "set the price of a dish", _price)
    price.add_argument("name", metavar="DISH")
    price.add_argument("price", type=float, metavar="PRICE")
    days = _verb(verbs, "days", "set the weekdays on which a dish is sold", _days)
    days.add_argument("name", metavar="DISH")
    days.add_argument("days", metavar="DAYS", help="mon,tue,… or all or none")
    rename = _verb(verbs, "rename", "give a taught dish another name", _rename)
    rename.add_argument("name", metavar="DISH")
    rename.add_argument("to", metavar="NEW-NAME")
    remove = _verb(verbs, "remove", "forget what was taught of a dish", _remove)
    remove.add_argument("name", metavar="DISH")
    _verb(verbs, "undo", "take the latest change back", _undo)
    history = _verb(verbs, "history", "who changed what, when", _history)
    history.add_argument("--limit", type=int, default=20, help="how many changes, the latest first (20)")
    export = _verb(verbs, "export", "write all dishes as a CSV table", _export)
    export.add_argument("file", type=Path, metavar="FILE", nargs="?", help="default: standard output")
    bring = _verb(verbs, "import", "take prices, titles and days from a CSV table", _import)
    bring.add_argument("file", type=Path, metavar="FILE")
    check = _verb(verbs, "check", "check every file of the taught menu, and look for look-alikes", _check)
    check.add_argument("--repair", action="store_true", help="make missing vectors again from the kept photos")


def _verb(verbs: Any, name: str, told: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the site's configuration (default: the demo's)")
    parser.add_argument("--who", help="name for the history; default: who is logged in")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(run=run)
    return parser


def _list(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.show_list(_configuration(args), args.json)


def _show(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.show_dish(_configuration(args), args.name, args.json)


def _price(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.set_values(
        _configuration(args), args.name, {"price": args.price}, f"{args.price:.2f}", args.who, args.json
    )


def _days(args: argparse.Namespace) -> int:
    from app import menu_views
    from checkout.menu_csv import days_of

    days = days_of(args.days)
    told = " ".join(days) or "no day"
    return menu_views.set_values(_configuration(args), args.name, {"days": days}, told, args.who, args.json)


def _rename(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.rename(_configuration(args), args.name, args.to, args.who, args.json)


def _remove(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.remove(_configuration(args), args.name, args.who, args.json)


def _undo(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.undo(_configuration(args), args.who, args.json)


def _history(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.show_history(_configuration(args), args.limit, args.json)


def _export(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.export(_configuration(args), args.file)


def _import(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.bring_in(_configuration(args), args.file, args.who, args.json)


def _check(args: argparse.Namespace) -> int:
    from app import menu_views

    return menu_views.check(_configuration(args), args.repair, args.who, args.json)


def _configuration(args: argparse.Namespace) -> Any:
    from checkout.build import default_config
    from checkout.config import load_config

    return default_config() if args.config is None else load_config(args.config)
