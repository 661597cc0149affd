"""Events and bills as a lane would make them, for tests of the store."""

from __future__ import annotations

from core.records import Bill, Decision, DecisionKind, Event, LineItem


def make_event(number: int, lane_id: str = "lane1", kind: DecisionKind = DecisionKind.LINE_ADD) -> Event:
    """Return an event that is recognised by `number`."""
    decision = Decision(
        kind=kind,
        track_id=number,
        decided_at_s=1_700_000_000.1 + number / 3,
        stream_s=number / 3,
        zone="tray",
        confidence=0.1 + 0.2,
        reason=f"posterior passed 90 % ({number}); größer 'quoted' 🍜",
        bill_id=f"{lane_id}-bill",
        dish="noodles",
        price=19.99,
        revision=number,
        detail={"share": 1 / 3, "held": True, "none": None, "word": "x", "count": 2},
    )
    return Event(f"{lane_id}-event-{number}", lane_id, decision, "traynet@1", "ab" * 32)


def make_bill(name: str, revision: int, closed_s: float | None = None, lane_id: str = "lane1", lines: int = 2) -> Bill:
    """Return a bill with `lines` lines of 0.10 and 0.20 and so on."""
    items = tuple(
        LineItem(n, 100 + n, f"dish{n}", n, round(n * 0.1, 2), n / 7, 0.9, (n / 3, 2.0, 3.0, 4.5))
        for n in range(1, lines + 1)
    )
    closed_at_s = None if closed_s is None else 1_700_000_000.0 + closed_s
    opened_s = float(sum(map(ord, name)) % 97)
    reason = "zone clear" if closed_s is not None else ""
    return Bill(name, lane_id, opened_s, closed_s, 1_700_000_000.0 + opened_s, closed_at_s, revision, items, reason)
