"""Two replays of one recording, bill by bill: what would stand on the bills with the other model or configuration."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import FormatError


@dataclass(frozen=True, slots=True)
class ReplayedLine:
    """A line of a bill: `t_s` seconds of the recording, `unit_price` in the menu's currency."""

    dish: str
    quantity: int
    unit_price: float
    t_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class ReplayedBill:
    """A bill of a replay; `closed_s` is None for one that was open at the end of the recording."""

    bill_id: str
    opened_s: float
    closed_s: float | None
    total: float
    lines: tuple[ReplayedLine, ...]

    def dishes(self) -> Counter[tuple[str, float]]:
        """Return how often each dish stands on the bill, by dish and price."""
        found: Counter[tuple[str, float]] = Counter()
        for line in self.lines:
            found[line.dish, line.unit_price] += line.quantity
        return found


@dataclass(frozen=True, slots=True)
class BillPair:
    """Bills of one tray in two replays.

    Attributes:
        kind: same (dishes, numbers and prices are equal), differs, or only in one of the two.
        from_s: where to look in the recording, seconds.
        gone: dishes that only the first one has, each as often as that; come: likewise of the other.
    """

    kind: Literal["same", "differs", "only-one", "only-other"]
    from_s: float
    one: ReplayedBill | None
    other: ReplayedBill | None
    gone: tuple[str, ...] = ()
    come: tuple[str, ...] = ()


def read_bills(path: Path) -> tuple[ReplayedBill, ...]:
    """Return the bills of a replay's bills.json.

    Raises:
        FormatError: it is not one.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            ReplayedBill(
                bill_id=row["bill_id"],
                opened_s=row["opened_s"],
                closed_s=row["closed_s"],
                total=row["total"],
                lines=tuple(
                    ReplayedLine(
                        line["dish"], line["quantity"], line["unit_price"] or 0.0, line["t_s"], line["confidence"]
                    )
                    for line in row["lines"]
                ),
            )
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise FormatError(str(path), f"no bills of a replay ({type(err).__name__}); run the replay again") from err


def compare(one: Sequence[ReplayedBill], other: Sequence[ReplayedBill]) -> list[BillPair]:
    """Pair the bills that lie at the same time, those that overlap longest first, and say how each pair differs.

    Returns:
        Pairs in the order of the recording.
    """
    overlaps = sorted(
        (
            (_overlap_s(a, b), i, j)
            for i, a in enumerate(one)
            for j, b in enumerate(other)
            if _overlap_s(a, b) > 0
        ),
        key=lambda found: (-found[0], found[1], found[2]),
    )  # fmt: skip
    partner: dict[int, int] = {}
    for _, i, j in overlaps:
        if i not in partner and j not in partner.values():
            partner[i] = j
    pairs = [_pair(bill, other[partner[i]]) for i, bill in enumerate(one) if i in partner]
    pairs += [BillPair("only-one", bill.opened_s, bill, None) for i, bill in enumerate(one) if i not in partner]
    taken = set(partner.values())
    pairs += [BillPair("only-other", bill.opened_s, None, bill) for j, bill in enumerate(other) if j not in taken]
    return sorted(pairs, key=lambda pair: pair.from_s)


def _overlap_s(a: ReplayedBill, b: ReplayedBill) -> float:
    ends = [float("inf") if bill.closed_s is None else bill.closed_s for bill in (a, b)]
    return min(ends) - max(a.opened_s, b.opened_s)


def _pair(one: ReplayedBill, other: ReplayedBill) -> BillPair:
    had, has = one.dishes(), other.dishes()
    gone = tuple(sorted(dish for dish, _ in (had - has).elements()))
    come = tuple(sorted(dish for dish, _ in (has - had).elements()))
    return BillPair("differs" if gone or come else "same", min(one.opened_s, other.opened_s), one, other, gone, come)
