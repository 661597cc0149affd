"""The basket: the ledger of one bill. Pure: no clock, no tracks, no thresholds.

A bill is a journal. Each entry is a `Decision` with the next revision number, and the bill at a revision is what the
entries up to it say; so nothing is ever changed in silence, and the revision is at the same time the entry's ordinal,
from which its event id is made. A line that is taken off stays in the ledger, off the bill: the object may come back
and then gets its line number back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from checkout.menu import Dish
from core.records import Bill, Box, Decision, DecisionKind, LineItem

_NAMESPACE = uuid.UUID("5e0f3f0a-7d1c-5b86-9d57-2f6d5a8e9c11")
Detail = Mapping[str, float | int | str | bool | None]


def bill_id_for(lane_id: str, stream_key: str, opened_s: float) -> str:
    """Return the id of the bill that a lane opened at `opened_s` of a stream: equal when the stream is run again."""
    return str(uuid.uuid5(_NAMESPACE, f"{lane_id}|{stream_key}|{round(opened_s * 1e6)}"))


def event_id_for(lane_id: str, stream_key: str, decision: Decision, ordinal: int) -> str:
    """Return the id of a decision's event: of its bill and revision, or else of its stream and `ordinal`."""
    if decision.bill_id:
        return str(uuid.uuid5(_NAMESPACE, f"{lane_id}|{decision.bill_id}|{decision.revision}"))
    name = f"{lane_id}|{stream_key}|{decision.kind}|{round(decision.stream_s * 1e6)}|{ordinal}"
    return str(uuid.uuid5(_NAMESPACE, name))


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both time lines: seconds since the stream's start, and UTC epoch seconds."""

    stream_s: float
    utc_s: float


@dataclass(slots=True)
class Entry:
    """A line in the ledger.

    Attributes:
        line: as it stands on the bill.
        on_bill: False after it was taken off.
        locked: a person said what it is; no model changes it.
        off_s: stream seconds when its object was last seen before it was taken off.
        vanished: taken off although nobody was seen to carry its object away.
        struck: a person took it off: its object does not bring it back.
    """

    line: LineItem
    on_bill: bool = True
    locked: bool = False
    off_s: float | None = None
    vanished: bool = False
    struck: bool = False

    @property
    def by_hand(self) -> bool:
        """Whether a person added it: it has no object in the picture."""
        return self.line.track_id == 0


class Basket:
    """The ledger of one bill.

    Args:
        lane_id: the lane.
        zone: name of the tray zone, for the decisions.
        bill: what the ledger starts from: a new bill of revision 0 without lines, or a restored one.
        highest_line_no: that the bill ever had, if more than its lines tell.
    """

    def __init__(self, lane_id: str, zone: str, bill: Bill, highest_line_no: int = 0) -> None:
        self._lane_id, self._zone, self._bill, self._highest = lane_id, zone, bill, highest_line_no
        self._entries: dict[int, Entry] = {line.line_no: Entry(line) for line in bill.lines}
        self._snapshot: Bill | None = None

    @classmethod
    def begin(cls, lane_id: str, zone: str, bill_id: str, at: Moment) -> Basket:
        """Return the ledger of a new bill; the caller writes `BILL_OPEN` first."""
        return cls(lane_id, zone, Bill(bill_id, lane_id, at.stream_s, None, at.utc_s, None, 0, ()))

    @property
    def bill(self) -> Bill:
        """The bill at the latest revision."""
        if self._snapshot is None:
            lines = tuple(entry.line for entry in self._entries.values() if entry.on_bill)
            self._snapshot = replace(self._bill, lines=lines)
        return self._snapshot

    @property
    def entries(self) -> Iterable[Entry]:
        """All lines that ever were, in order of line number."""
        return self._entries.values()

    def with_objects(self) -> list[Entry]:
        """Return all lines that ever were and belong to something in the picture: not those added by hand."""
        return [entry for entry in self._entries.values() if not entry.by_hand]

    def on_bill(self) -> list[Entry]:
        """Return the lines that are on the bill now."""
        return [entry for entry in self._entries.values() if entry.on_bill]

    def note(
        self,
        kind: DecisionKind,
        at: Moment,
        reason: str,
        *,
        track_id: int | None = None,
        confidence: float = 1.0,
        dish: Dish | None = None,
        detail: Detail | None = None,
    ) -> Decision:
        """Write one journal entry under the next revision number and return it."""
        self._bill = replace(self._bill, revision=self._bill.revision + 1)
        self._snapshot = None
        return Decision(
            kind=kind,
            track_id=track_id,
            decided_at_s=at.utc_s,
            stream_s=at.stream_s,
            zone=self._zone,
            confidence=round(confidence, 6),
            reason=reason,
            bill_id=self._bill.bill_id,
            dish=dish.name if dish else "",
            price=dish.price if dish else None,
            revision=self._bill.revision,
            detail=dict(detail or {}),
        )

    def add(
        self, dish: Dish, track_id: int, box: Box, confidence: float, at: Moment, reason: str, locked: bool = False
    ) -> Decision:
        """Write a new line of quantity one."""
        line_no = max([self._highest, *self._entries]) + 1
        line = LineItem(line_no, track_id, dish.name, 1, dish.price, at.stream_s, round(confidence, 6), box)
        self._entries[line_no] = Entry(line, locked=locked)
        return self._note_line(DecisionKind.LINE_ADD, line, dish, at, reason)

    def bring_back(self, entry: Entry, dish: Dish, track_id: int, box: Box, at: Moment, reason: str) -> Decision:
        """Put a line that was taken off on the bill again, under its old number."""
        entry.line = replace(entry.line, track_id=track_id, box=box, t_s=at.stream_s)
        entry.on_bill, entry.off_s = True, None
        return self._note_line(DecisionKind.LINE_ADD, entry.line, dish, at, reason)

    def revise(
        self, entry: Entry, dish: Dish, track_id: int, confidence: float, at: Moment, reason: str, locked: bool = False
    ) -> Decision:
        """Change what a line is, or which track carries it."""
        was = entry.line
        entry.line = replace(
            was, dish=dish.name, unit_price=dish.price, track_id=track_id, confidence=round(confidence, 6)
        )
        entry.locked = entry.locked or locked
        before: dict[str, float | int | str | bool | None] = {"dish_before": was.dish, "track_before": was.track_id}
        return self._note_line(DecisionKind.LINE_REVISE, entry.line, dish, at, reason, before)

    def remove(self, entry: Entry, dish: Dish, at: Moment, off_s: float, reason: str) -> Decision:
        """Take a line off the bill. `off_s` is when its object was last seen."""
        entry.on_bill, entry.off_s = False, off_s
        seen = {"last_seen_s": round(off_s, 6)}
        return self._note_line(DecisionKind.LINE_REMOVE, entry.line, dish, at, reason, seen)

    def see(self, entry: Entry, box: Box) -> None:
        """Remember where the line's object lies; a place is no claim, so it is not an entry in the journal."""
        line = entry.line
        if box == line.box:
            return
        # Each frame comes here for each line: `dataclasses.replace` would cost a multiple.
        entry.line = LineItem(
            line.line_no, line.track_id, line.dish, line.quantity, line.unit_price, line.t_s, line.confidence, box
        )
        self._snapshot = None

    def close(self, at: Moment, closed: Moment, reason: str) -> Decision:
        """Close the bill as it stands. `closed` is the moment the tray had gone, which may lie before `at`."""
        self._bill = replace(self._bill, closed_s=closed.stream_s, closed_at_s=closed.utc_s, close_reason=reason)
        lines = self.on_bill()
        total = round(sum(entry.line.quantity * entry.line.unit_price for entry in lines), 2)
        return self.note(DecisionKind.BILL_CLOSE, at, reason, detail={"lines": len(lines), "total": total})

    def _note_line(
        self, kind: DecisionKind, line: LineItem, dish: Dish, at: Moment, reason: str, more: Detail | None = None
    ) -> Decision:
        detail = {"line_no": line.line_no, **(more or {})}
        return self.note(kind, at, reason, track_id=line.track_id, confidence=line.confidence, dish=dish, detail=detail)
