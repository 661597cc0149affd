"""A made-up recording: two trays, one right, one with a swapped dish and a line too many."""

from __future__ import annotations

from core.records import Bill, Decision, DecisionKind, Event, LineItem
from replay.recording import FrameRow, Recording
from replay.truth import Truth, TruthBill, TruthItem

FPS = 10.0
K = DecisionKind
PRICES = {"tea": 2.0, "soup": 4.5, "roll": 1.2}


def event(
    kind: DecisionKind, t_s: float, bill: str, track: int | None = None, dish: str = "", sure: float = 1.0
) -> Event:
    price = PRICES.get(dish)
    decision = Decision(kind, track, t_s, t_s, "tray", sure, "made up", bill, dish, price)
    return Event(f"{bill}-{kind}-{t_s}-{track}", "lane1", decision, "fixed@1", "0" * 64)


def line(number: int, track: int, dish: str, t_s: float) -> LineItem:
    return LineItem(number, track, dish, 1, PRICES[dish], t_s, 0.95, (10.0, 10.0, 30.0, 30.0))


def bill(name: str, opened_s: float, closed_s: float | None, *lines: LineItem) -> Bill:
    return Bill(name, "lane1", opened_s, closed_s, opened_s, closed_s, len(lines), lines)


def two_trays() -> tuple[Recording, Truth]:
    """Tray 1 is right; on tray 2 a roll is called soup, and a tea is added that is not there."""
    recording = Recording("lane1")
    recording.events = [
        event(K.BILL_OPEN, 1.0, "b1"),
        event(K.LINE_ADD, 1.2, "b1", 1, "tea", 0.97),
        event(K.LINE_ADD, 1.5, "b1", 2, "roll", 0.91),
        event(K.LINE_REVISE, 1.9, "b1", 2, "soup", 0.96),
        event(K.BILL_CLOSE, 6.0, "b1"),
        event(K.BILL_OPEN, 10.0, "b2"),
        event(K.LINE_ADD, 10.4, "b2", 3, "soup", 0.9),
        event(K.LINE_ADD, 11.0, "b2", 4, "tea", 0.92),
        event(K.LINE_ADD, 12.0, "b2", 5, "tea", 0.99),
        event(K.LINE_REMOVE, 13.0, "b2", 5, "tea"),
        event(K.BILL_CLOSE, 16.0, "b2"),
    ]
    recording.bills = {
        "b1": bill("b1", 1.0, 6.0, line(1, 1, "tea", 1.2), line(2, 2, "soup", 1.5)),
        "b2": bill("b2", 10.0, 16.0, line(1, 3, "soup", 10.4), line(2, 4, "tea", 11.0)),
    }
    for index in range(200):
        t_s = index / FPS
        items = 2 if 1.4 <= t_s < 6.0 else 3 if 12.0 <= t_s < 13.0 else 2 if 11.0 <= t_s < 16.0 else 0
        recording.rows.append(FrameRow(index, t_s, items))
        for stage, seconds in (
            ("decode", 0.001),
            ("detect", 0.010 + 0.0001 * (index % 7)),
            ("track", 0.0008),
            ("decide", 0.0003),
        ):
            recording.stage_s[stage].append(seconds)
    recording.wall_s = 4.0
    truth = Truth(
        fps=FPS,
        items=(
            TruthItem("tea", 0.8, 6.0),
            TruthItem("soup", 0.9, 6.0),
            TruthItem("roll", 10.0, 16.0),
            TruthItem("tea", 10.5, 15.8),
        ),
        count_by_frame=((0, 0), (9, 2), (60, 0), (103, 2), (160, 0)),
        bills=(TruthBill({"tea": 1, "soup": 1}, 0.5, 7.0), TruthBill({"tea": 1, "roll": 1}, 9.5, 17.0)),
    )
    return recording, truth
