"""The verb `traylane study`: experiments and searches of a data scientist, each a sub-verb with its own report."""

from __future__ import annotations

import argparse
from typing import Any

from training.label_issues import command as labels

#: Name, one line of help, and the module with `add_arguments(parser)` and `run(args)`.
SUB_VERBS = (
    ("labels", "find overlooked, swapped and badly placed labels", labels),
)  # fmt: skip


def add(subparsers: Any) -> None:
    """Add the verb to the command line; what is heavy is imported only when it runs."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "study", help="experiments on models and data, with reports"
    )
    studies = parser.add_subparsers(dest="study", required=True, metavar="STUDY")
    for name, text, module in SUB_VERBS:
        study = studies.add_parser(name, help=text, description=module.__doc__)
        module.add_arguments(study)
        study.set_defaults(run=module.run)
