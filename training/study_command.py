"""The verb `traylane study`: experiments that end in a report. Each study is a sub-verb of a package of its own.

A study is one `add(studies)` function in `STUDIES`: it adds a parser and sets `run=function(args) -> int`, and imports
what is heavy only when it runs.
"""

from __future__ import annotations

from typing import Any

from training.embedding_study import command as embeddings
from training.label_issues import command as labels
from training.learning_curve import command as curve
from training.patches import command as patches
from training.shootout import command as shootout

STUDIES = (labels.add, patches.add, embeddings.add, shootout.add, curve.add)


def add(subparsers: Any) -> None:
    """Add the verb and its sub-verbs to the command line."""
    parser = subparsers.add_parser(
        "study",
        help="experiments that end in a report: which net, what more pictures earn, which labels are wrong?",
        description="Experiments that end in figures with intervals and a report of plots and pictures.",
    )
    studies = parser.add_subparsers(title="studies", metavar="STUDY", required=True)
    for add_study in STUDIES:
        add_study(studies)
