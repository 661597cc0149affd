"""A person's correction of a bill: what a line is, that it does not belong there, a dish that is missing, or all right.

A correction is two entries of the journal: `CORRECTION` says who wants what and why, and what it was before, so that
it can serve as a label later; the second one is the change of the line itself. What a person said is final: no model
changes such a line, and what was struck off does not come back by itself. A dish that is added by hand has no object
in the picture, so nothing that is seen or not seen takes it off again. A person may also say that a bill is right as
it stands: one entry, `CONFIRM`, which holds until the next change of a line.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from checkout.basket import Basket, Entry, Moment, event_id_for
from checkout.menu import Dish, Menu
from core.errors import DataError, TraylaneError
from core.records import Bill, Decision, DecisionKind, Event

#: The track of a line that was added by hand: no object. Tracks count from 1.
NO_TRACK = 0
_NO_BOX = (0.0, 0.0, 0.0, 0.0)


class Action(enum.StrEnum):
    """`REPLACE` a line is another dish, `REMOVE` it is none, `ADD` a dish is missing, `CONFIRM` all is right."""

    REPLACE = "replace"
    REMOVE = "remove"
    ADD = "add"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person wants changed.

    Attributes:
        line_no: of the line; None to add one or to confirm.
        dish: what it is; "" to remove or to confirm.
        by: who wants it, for the audit.
        reason: why, in the person's words; may be "".
        revision: of the bill that the person saw; None if it does not matter.
    """

    bill_id: str
    action: Action
    line_no: int | None
    dish: str
    by: str
    reason: str = ""
    revision: int | None = None


class CorrectionRefused(TraylaneError):
    """The bill is not as the person thinks: no such line, another bill, changed meanwhile."""


def check_dish(correction: Correction, menu: Menu) -> None:
    """Make sure that the menu has the dish.

    Raises:
        DataError: it does not.
    """
    names_dish = correction.action in (Action.REPLACE, Action.ADD)
    if names_dish and correction.dish not in menu:
        raise DataError(f"the menu has no dish {correction.dish!r}; use one of its names")


def entry_for(basket: Basket, correction: Correction) -> Entry | None:
    """Return the line that a correction is about, None for a new one or the whole bill.

    Raises:
        CorrectionRefused: there is no such line, or nothing would change, or the bill has changed meanwhile.
    """
    bill = basket.bill
    if correction.revision is not None and correction.revision != bill.revision:
        raise CorrectionRefused(
            f"bill {bill.bill_id} has changed: it is at revision {bill.revision}, not {correction.revision}; "
            "look at it again"
        )
    if correction.action in (Action.ADD, Action.CONFIRM):
        return None
    entry = next((one for one in basket.entries if one.line.line_no == correction.line_no), None)
    if entry is None or not (entry.on_bill or (entry.struck and correction.action is Action.REPLACE)):
        numbers = ", ".join(str(one.line.line_no) for one in basket.on_bill()) or "none"
        raise CorrectionRefused(f"bill {bill.bill_id} has no line {correction.line_no}; its lines: {numbers}")
    return entry


def correct(basket: Basket, correction: Correction, menu: Menu, at: Moment) -> list[Decision]:
    """Write a correction into a ledger and return its decisions.

    Raises:
        CorrectionRefused: see `entry_for`.
        DataError: the menu has no such dish.
    """
    check_dish(correction, menu)
    entry = entry_for(basket, correction)
    if correction.action is Action.CONFIRM:
        return [_confirm(basket, correction, at)]
    was = entry.line if entry is not None else None
    article = menu[correction.dish] if correction.dish else None
    detail: dict[str, float | int | str | bool | None] = {
        "action": str(correction.action),
        "by": correction.by,
        "why": correction.reason,
        "dish_before": was.dish if was is not None else None,
        "price_before": was.unit_price if was is not None else None,
    }
    if was is not None:
        detail["line_no"] = was.line_no
    reason = f"corrected by {correction.by}" + (f": {correction.reason}" if correction.reason else "")
    track_id = was.track_id if was is not None and was.track_id != NO_TRACK else None
    decisions = [
        basket.note(DecisionKind.CORRECTION, at, reason, track_id=track_id, dish=article, detail=detail),
    ]
    if entry is None or was is None:
        decisions.append(basket.add(_required(article), NO_TRACK, _NO_BOX, 1.0, at, reason, locked=True))
    elif article is None:
        before = Dish(was.dish, was.dish, was.unit_price) if was.dish not in menu else menu[was.dish]
        decisions.append(basket.remove(entry, before, at, at.stream_s, reason))
        entry.struck, entry.vanished = True, False
    else:
        if not entry.on_bill:
            dish = menu.dishes.get(was.dish, article)
            decisions.append(basket.bring_back(entry, dish, was.track_id, was.box, at, reason))
        entry.struck = False
        decisions.append(basket.revise(entry, article, was.track_id, 1.0, at, reason, locked=True))
    return decisions


def _confirm(basket: Basket, correction: Correction, at: Moment) -> Decision:
    """Write down that a person finds the bill right as it stands."""
    detail: dict[str, float | int | str | bool | None] = {
        "by": correction.by,
        "why": correction.reason,
        "lines": len(basket.on_bill()),
        "total": basket.bill.total,
    }
    reason = f"confirmed by {correction.by}" + (f": {correction.reason}" if correction.reason else "")
    return basket.note(DecisionKind.CONFIRM, at, reason, detail=detail)


def correct_closed(
    bill: Bill, highest_line_no: int, correction: Correction, menu: Menu, now_s: float, origin: Event
) -> tuple[list[Event], Bill]:
    """Return the events of a correction to a closed bill, and the bill after them.

    Args:
        bill: closed.
        highest_line_no: that it ever had.
        correction: what a person wants.
        menu: today's.
        now_s: UTC epoch seconds.
        origin: an event of this bill: its zone, model and configuration are the correction's, too.

    Raises:
        CorrectionRefused: see `entry_for`.
        DataError: the menu has no such dish.
    """
    basket = Basket(bill.lane_id, origin.decision.zone, bill, highest_line_no)
    # The stream's own time stands still at the bill's end: what comes after was not seen by it.
    at = Moment(bill.closed_s if bill.closed_s is not None else bill.opened_s, now_s)
    decisions = correct(basket, correction, menu, at)
    events = [
        Event(event_id_for(bill.lane_id, "", one, n), bill.lane_id, one, origin.model, origin.config_sha256)
        for n, one in enumerate(decisions)
    ]
    return events, basket.bill


class Ticket:
    """A correction on its way to the lane's thread and its outcome on the way back."""

    def __init__(self, correction: Correction) -> None:
        self.correction = correction
        self._lock, self._done = threading.Lock(), threading.Event()
        self._claimed = self._cancelled = False
        self._bill: Bill | None = None
        self._events: Sequence[Event] = ()
        self._refusal: TraylaneError | None = None

    def claim(self) -> bool:
        """Take it to work; False if nobody waits for it any more."""
        with self._lock:
            self._claimed = not self._cancelled
            return self._claimed

    def settle(self, bill: Bill | None, events: Sequence[Event], refusal: TraylaneError | None = None) -> None:
        """Tell the outcome."""
        self._bill, self._events, self._refusal = bill, events, refusal
        self._done.set()

    def wait(self, timeout_s: float) -> tuple[Bill | None, Sequence[Event]] | None:
        """Return the bill and the events after the correction, or None if the lane did not come to it in time.

        Raises:
            CorrectionRefused: the lane refuses it.
        """
        if not self._done.wait(timeout_s):
            with self._lock:
                self._cancelled = not self._claimed
            if self._cancelled or not self._done.wait(timeout_s):
                return None
        if self._refusal is not None:
            raise self._refusal
        return self._bill, self._events


def _required(dish: Dish | None) -> Dish:
    if dish is None:
        raise DataError("say which dish is missing")
    return dish
