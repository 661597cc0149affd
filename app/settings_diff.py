"""How two texts differ, line by line, as people read it: what goes, what comes, and a few lines around."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

#: Lines around a change that are shown, and how many lines are shown at most.
AROUND = 3
MOST_LINES = 2000

Kind = Literal["same", "added", "removed", "gap"]


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """One line of a difference; `line` is 1-based, of the old text for what is removed, 0 for a gap."""

    kind: Kind
    line: int
    text: str


def difference(before: str, after: str) -> list[ChangedLine]:
    r"""Return how `after` differs from `before`; nothing if they are the same.

    >>> [(one.kind, one.line, one.text) for one in difference("a\nb\n", "a\nc\n")]
    [('same', 1, 'a'), ('removed', 2, 'b'), ('added', 2, 'c')]
    """
    lines = list(_lines(before.splitlines(), after.splitlines()))
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], ChangedLine("gap", 0, "")]


def _lines(old: list[str], new: list[str]) -> Iterator[ChangedLine]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > MOST_LINES)
    for number, group in enumerate(matcher.get_grouped_opcodes(AROUND)):
        if number:
            yield ChangedLine("gap", 0, "")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (ChangedLine("same", j1 + k + 1, new[j1 + k]) for k in range(j2 - j1))
                continue
            yield from (ChangedLine("removed", i + 1, old[i]) for i in range(i1, i2))
            yield from (ChangedLine("added", j + 1, new[j]) for j in range(j1, j2))
