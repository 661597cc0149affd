"""The verb `traylane models`: what models there are, what is in force where, and how that changes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANNEL = "default (all lanes without their own), or a lane's id; default: default"


def add(subparsers: Any) -> None:
    """Add the verb and its own verbs to the command line."""
    parser = subparsers.add_parser(
        "models",
        help="list, import, compare, promote and roll back models",
        description='The models of a site. A lane whose configuration says `models.detector.card: "@current"` runs '
        "what is promoted, from its next start on.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    listing = _verb(verbs, "list", "all models, and which lane runs what", _list)
    listing.add_argument("--json", action="store_true", help="for machines")

    show = _verb(verbs, "show", "one model: card, lineage, scores, history", _show)
    show.add_argument("model", metavar="MODEL", help="NAME@VERSION, @current or @CHANNEL")
    show.add_argument("--json", action="store_true", help="for machines")

    bring = _verb(verbs, "import", "bring in a foreign .onnx, or a card with its weights", _import)
    bring.add_argument("file", type=Path, metavar="FILE", help=".onnx file (its card beside it is read), or .yaml card")
    bring.add_argument("--name", help="short name, lower case; default: the card's, or the file's")
    bring.add_argument("--version", help="version of the weights; default: the card's, or 1")
    bring.add_argument("--licence", help="licence of the weights, such as Apache-2.0; required without a card")
    bring.add_argument("--source", help="where the weights come from; default: the card's, or the file's name")
    bring.add_argument(
        "--class-map",
        metavar="MAP",
        help="model's class=dish, comma-separated (person=@hand,cup=Coffee,chair=), or a YAML file; what is missing or "
        "empty is ignored",
    )
    bring.add_argument("--scores", type=Path, metavar="FILE", help="what `traylane evaluate` measured of these weights")

    promote = _verb(verbs, "promote", "let lanes run a model, if the gate agrees", _promote)
    promote.add_argument("model", metavar="MODEL", help="NAME@VERSION")
    promote.add_argument("--channel", default="default", help=_CHANNEL)
    promote.add_argument("--scores", type=Path, metavar="FILE", help="keep this record as the model's scores first")
    promote.add_argument("--rules", type=Path, metavar="FILE", help="YAML file with the gate's rules")
    promote.add_argument("--force", default="", metavar="REASON", help="overrule the gate; the reason is written down")

    rollback = _verb(verbs, "rollback", "go back to the model before", _roll_back)
    rollback.add_argument("--channel", default="default", help=_CHANNEL)

    compare = _verb(verbs, "compare", "two models' figures side by side", _compare)
    compare.add_argument("one", metavar="MODEL", help="NAME@VERSION, @current or @CHANNEL")
    compare.add_argument("other", metavar="CANDIDATE", help="the model that might take its place")
    compare.add_argument("--json", action="store_true", help="for machines")


def _verb(verbs: Any, name: str, told: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the site's configuration (default: the demo's)")
    parser.set_defaults(run=run)
    return parser


def _list(args: argparse.Namespace) -> int:
    from app import model_views

    return model_views.show_list(_configuration(args), args.json)


def _show(args: argparse.Namespace) -> int:
    from app import model_views

    return model_views.show_model(_configuration(args), args.model, args.json)


def _compare(args: argparse.Namespace) -> int:
    from app import model_views

    return model_views.show_comparison(_configuration(args), args.one, args.other, args.json)


def _import(args: argparse.Namespace) -> int:
    from app import model_changes

    asked = model_changes.Asked(args.name, args.version, args.licence, args.source, args.class_map)
    return model_changes.bring_in(_configuration(args), args.file, asked, args.scores)


def _promote(args: argparse.Namespace) -> int:
    from app import model_changes

    return model_changes.promote(
        _configuration(args), args.model, args.channel, args.scores, args.rules, args.force.strip()
    )


def _roll_back(args: argparse.Namespace) -> int:
    from app import model_changes

    return model_changes.roll_back(_configuration(args), args.channel)


def _configuration(args: argparse.Namespace) -> Any:
    from checkout.build import default_config
    from checkout.config import load_config

    return default_config() if args.config is None else load_config(args.config)
