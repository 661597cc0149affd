"""Taken away, or departed with the tray: what becomes of a line whose object has left the zone.

Trays do not leave without their dishes. So a dish that left while another line lies still was *taken away*. If all
that is seen of the rest moves, the tray is setting off and the dish is *departing*: it stays on the bill, and is
taken off only if the rest then lies still for `stay_s` after all. If nothing of the rest is seen, or there is none,
it waits.
"""

from __future__ import annotations

from checkout.basket import Basket, Entry, Moment
from checkout.identity import Items
from checkout.menu import Menu
from checkout.settings import CheckoutSettings
from core.records import Decision


class Departures:
    """Decides about the absent lines of one bill."""

    def __init__(self, settings: CheckoutSettings, menu: Menu) -> None:
        self._settings, self._menu = settings, menu
        self._departing: set[int] = set()
        self._by_exit: set[int] = set()
        self._rest_still_s: float | None = None

    def change_menu(self, menu: Menu) -> None:
        """Take another menu; it must have every dish of the bill."""
        self._menu = menu

    def begin_anew(self) -> None:
        """Forget everything: the bill has closed."""
        self._departing.clear()
        self._by_exit.clear()
        self._rest_still_s = None

    def interrupt(self) -> None:
        """Take note of a break in the stream: how long the rest has been still is not known."""
        self._rest_still_s = None

    def note_return(self, entry: Entry) -> None:
        """Take note that the object of a line is seen."""
        self._departing.discard(entry.line.line_no)
        self._by_exit.discard(entry.line.line_no)

    def decide(self, basket: Basket, items: Items, at: Moment, now_s: float) -> list[Decision]:
        """Return what becomes of the lines whose objects are not here."""
        lines = [entry for entry in basket.on_bill() if not entry.by_hand]
        still, moving = self._rest(lines, items, now_s)
        decisions: list[Decision] = []
        if not still:
            self._rest_still_s = None
            if moving:
                decisions += self._regret(basket, at)
        elif self._rest_still_s is None:
            self._rest_still_s = now_s
        for entry in lines:
            item = items.get(entry.line.track_id)
            if item is not None and item.here:
                continue
            line_no = entry.line.line_no
            if moving and not still:
                self._departing.add(line_no)
            if item is not None and item.by_exit:
                self._by_exit.add(line_no)
            if self._rest_still_s is None or line_no in self._by_exit:
                continue
            if line_no in self._departing and now_s - self._rest_still_s < self._settings.stay_s:
                continue
            ago_s = 0.0 if item is None or item.left_s is None else now_s - item.left_s
            dish = self._menu[entry.line.dish]
            decisions.append(basket.remove(entry, dish, at, at.stream_s - ago_s, "taken away while others stay"))
            entry.vanished = item is not None and item.vanished(self._settings.still_boxes)
        return decisions

    def _rest(self, lines: list[Entry], items: Items, now_s: float) -> tuple[bool, bool]:
        """Return whether some line is seen to lie still, and whether some is seen to move."""
        still = moving = False
        for entry in lines:
            item = items.get(entry.line.track_id)
            if item is None or not item.here:
                continue
            moved = item.moved_boxes(now_s, self._settings.still_window_s)
            if moved is not None:
                still |= moved <= self._settings.still_boxes
                moving |= moved > self._settings.still_boxes
        return still, moving

    def _regret(self, basket: Basket, at: Moment) -> list[Decision]:
        """Put lines back whose objects vanished at rest just before the tray set off: the detector had lost them."""
        decisions: list[Decision] = []
        for entry in basket.entries:
            if entry.on_bill or not entry.vanished or entry.off_s is None:
                continue
            if at.stream_s - entry.off_s <= self._settings.regret_s:
                dish, line = self._menu[entry.line.dish], entry.line
                reason = "departs with its tray, not seen"
                decisions.append(basket.bring_back(entry, dish, line.track_id, line.box, at, reason))
                self._departing.add(line.line_no)
        return decisions
