"""Bills as their events tell them: a pure fold, so that a publisher that starts again says what it said before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.records import DecisionKind
from store.store import StoredEvent

#: Bills whose state is kept in memory; others are folded anew from the store.
_KEPT = 64


@dataclass(frozen=True, slots=True)
class LineState:
    """One line after an event. Prices are in the menu's currency."""

    line_no: int
    track_id: int | None
    dish: str
    unit_price: float
    confidence: float


@dataclass(frozen=True, slots=True)
class BillState:
    """One bill after an event: what the store's own bill shows at this revision."""

    bill_id: str
    lane_id: str
    opened_at_s: float
    closed_at_s: float | None
    revision: int
    lines: tuple[LineState, ...]

    @property
    def total(self) -> float:
        """Sum of the lines, rounded to cents."""
        return round(sum(line.unit_price for line in self.lines), 2)


def after(before: BillState | None, stored: StoredEvent) -> BillState | None:
    """Return a bill after one more event of it; None for an event of no bill.

    An event that finds no bill (its opening was removed, or lies before a migration) begins one: what is known is said.
    """
    event = stored.event
    decision = event.decision
    if not decision.bill_id:
        return None
    state = before or BillState(decision.bill_id, event.lane_id, decision.decided_at_s, None, 0, ())
    state = replace(state, revision=decision.revision)
    number = decision.detail.get("line_no")
    if decision.kind in (DecisionKind.LINE_ADD, DecisionKind.LINE_REVISE) and isinstance(number, int):
        price = 0.0 if decision.price is None else decision.price
        line = LineState(number, decision.track_id, decision.dish, price, decision.confidence)
        others = [one for one in state.lines if one.line_no != number]
        return replace(state, lines=tuple(sorted([*others, line], key=lambda one: one.line_no)))
    if decision.kind is DecisionKind.LINE_REMOVE:
        return replace(state, lines=tuple(one for one in state.lines if one.line_no != number))
    if decision.kind is DecisionKind.BILL_CLOSE:
        return replace(state, closed_at_s=decision.decided_at_s)
    return state


class Ledger:
    """The states of the bills that events are about.

    Args:
        events_of: returns all events of a bill, oldest first; asked when a bill is not remembered.
    """

    def __init__(self, events_of: Callable[[str], Sequence[StoredEvent]]) -> None:
        self._events_of = events_of
        self._states: OrderedDict[str, tuple[int, BillState | None]] = OrderedDict()

    def take(self, stored: StoredEvent) -> tuple[BillState | None, BillState | None]:
        """Return an event's bill before and after it. Events of a bill come in their order, or again from any of them.

        Raises:
            StoreUnavailable: the bill is not remembered and the store is away.
        """
        bill_id = stored.event.decision.bill_id
        if not bill_id:
            return None, None
        known = self._states.pop(bill_id, None)
        if known is not None and known[0] < stored.seq:
            before = known[1]
        elif stored.event.decision.kind is DecisionKind.BILL_OPEN:
            before = None
        else:
            before = None
            for earlier in self._events_of(bill_id):
                if earlier.seq < stored.seq:
                    before = after(before, earlier)
        now = after(before, stored)
        self._states[bill_id] = stored.seq, now
        while len(self._states) > _KEPT:
            self._states.popitem(last=False)
        return before, now
