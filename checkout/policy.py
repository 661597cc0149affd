"""The policy: from tracks to decisions about the bill of one lane.

The rules, in the order in which `Policy.decide` goes through them:

1.  *Here.* An item is here from its first evidence in the tray zone (after `enter_s`) until `leave_s` after its last
    (`presence.py`). Hands, roles and labels that the menu ignores are no items. A box that lies inside another one of
    the same dish or deep in it, or that all but equals another one, is the same object twice, and becomes an item of
    its own only after it has lain apart for a while.
2.  *The same object.* A line belongs to an object. If its track comes back, or a new track of the same dish appears
    within `near_boxes` of where the object lay or was last seen, the line follows: `line_revise` when it is still on
    the bill, `line_add` under its old number when it had been taken off. It follows, too, to a track that nobody saw
    come in and that turns up elsewhere in the zone while the object is out of sight: a hand carried it there. It does
    not follow to what comes in from another side than the object went to: that is a dish of the next tray.
3.  *Lines.* An item becomes a line when its posterior passes `commit_confidence`, or when it has stayed between
    `ask_confidence` and that for `commit_after_s`. The first line, or question, opens the bill. Each object is a line
    of its own: equal dishes never merge by class or by time.
4.  *Revision.* A posterior that passes `commit_confidence` for another dish revises the line; a person's answer or
    correction is final (`correction.py`): a line struck off by hand does not come back, one added by hand stays.
5.  *Taken away or departed.* An item that has left is **taken away** (`line_remove`) if another line lies still in
    the zone: trays do not leave without their dishes. It is **departing** (no event) if all that is seen of the rest
    is moving too, and is taken off only if the rest then lies still for `stay_s` after all. It waits if nothing of
    the rest is seen, or there is no rest. So one dish lifted from a standing tray goes at once, and a tray that
    slides out keeps its whole bill although its dishes cross the edge of the zone one by one. A dish last seen in an
    exit zone has departed in any case. A dish that vanished at rest, carried by nobody, within `regret_s` before its
    tray sets off is put back: the detector had lost it.
6.  *Questions.* An item that stays below `ask_confidence` for `ask_after_s` is asked about, once.
7.  *Closing.* The zone is clear when no line's object is here. Clear for `clear_s` ends the tray: `closed_s` of the
    bill is that moment. The lane still waits until `return_s` for the same object to be put back (then nothing has
    happened) and writes `bill_close` at `return_s`, or as soon as another item comes; a little later if something is
    on its way in that may be one of the bill's objects in a hand (`returning.py`). What was departing stays on the
    bill. A bill also closes at `max_open_s`; objects on it are not billed again before they have left.
8.  *Interruptions.* After a gap or a restart nothing is concluded for `recover_s`: lines look for their objects. Then
    what was not found is taken off; if nothing was found, the tray left meanwhile, and its bill closes as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from checkout.basket import Basket, Entry, Moment, bill_id_for
from checkout.correction import Correction, CorrectionRefused, correct, entry_for
from checkout.departure import Departures
from checkout.identity import BilledObjects, absent_line_near, distinct, moved_line
from checkout.lines import is_unknown, question, second_thought, why_commit
from checkout.menu import Dish, Menu
from checkout.presence import FrameSize, Item, Presence
from checkout.returning import is_stranger, may_be_in_a_hand, may_be_on_its_way_back
from checkout.settings import CheckoutSettings
from checkout.zones import Zone, zones_with_role
from core.records import Bill, Box, Decision, DecisionKind, Gap, Tracks


class Policy:
    """Decides for one lane. Deterministic: equal tracks at equal stream times give equal decisions.

    Args:
        lane_id: the lane.
        stream_key: names the stream in bill ids.
        settings: thresholds.
        zones: of the lane.
        menu: dishes, prices, ignored labels.
    """

    def __init__(
        self, lane_id: str, stream_key: str, settings: CheckoutSettings, zones: Sequence[Zone], menu: Menu
    ) -> None:
        self._lane_id, self._stream_key, self._settings = lane_id, stream_key, settings
        self._menu = self._newest_menu = menu
        self._zone = next(zone.name for zone in zones_with_role(zones, "tray"))
        remember_s = max(settings.return_s, settings.stay_s, settings.clear_s) + settings.recover_s
        self._presence = Presence(zones, settings.enter_s, settings.leave_s, settings.still_window_s, remember_s)
        self._basket: Basket | None = None
        self._items: dict[int, Item] = {}
        self._asked: set[int] = set()
        self._no_goods: set[int] = set()
        self._billed = BilledObjects(settings)
        self._departures = Departures(settings, menu)
        self._clear_since: Moment | None = None
        self._recover_from_s: float | None = None
        self._interrupted = False
        self._restored_at: Bill | None = None
        self._offset_s = 0.0
        self._closed: list[Bill] = []
        self._here: list[Item] = []

    @property
    def bill(self) -> Bill | None:
        """The open bill."""
        return self._basket.bill if self._basket is not None else None

    @property
    def items_in_zone(self) -> int:
        """How many items are in the tray zone after the latest frame: lines or not, covered ones included."""
        return len(self._here)

    @property
    def quiet(self) -> bool:
        """Whether nothing would be lost if this policy began anew: no bill, and no goods in the zone."""
        return self._basket is None and not self._here and not self._billed

    def take_closed(self) -> tuple[Bill, ...]:
        """Return the bills that were closed since the last call."""
        closed, self._closed = tuple(self._closed), []
        return closed

    def restore(self, bill: Bill) -> None:
        """Go on with a bill that an earlier process left open; its lines look for their objects first."""
        self._basket = Basket(self._lane_id, self._zone, bill)
        self._restored_at, self._interrupted = bill, True
        self.change_menu(self._newest_menu)

    def change_menu(self, menu: Menu) -> None:
        """Go on with another menu. What is on the open bill already keeps its title and price until that closes."""
        self._newest_menu = menu
        kept: list[Dish] = []
        for entry in self._basket.entries if self._basket is not None else ():
            line = entry.line
            was = self._menu.dishes.get(line.dish) or Dish(line.dish, menu.title(line.dish), line.unit_price)
            kept.append(replace(was, price=line.unit_price))
        self._menu = menu.keeping(kept) if kept else menu
        self._departures.change_menu(self._menu)

    def gap(self, gap: Gap) -> list[Decision]:
        """Take note of a break in the stream: nothing was seen, so nothing is concluded from it."""
        at = Moment(gap.stream_s + self._offset_s, gap.from_s)
        seconds = max(gap.to_s - gap.from_s, 0.0)
        self._presence.shift(seconds)
        if self._clear_since is not None:
            self._clear_since = Moment(self._clear_since.stream_s + seconds, self._clear_since.utc_s + seconds)
        self._departures.interrupt()
        self._interrupted = self._basket is not None
        reason = f"no picture for {seconds:.1f} s: {gap.reason}"
        detail = {"seconds": round(seconds, 3), "to_s": round(gap.to_s, 6)}
        if self._basket is not None:
            return [self._basket.note(DecisionKind.GAP, at, reason, detail=detail)]
        return [Decision(DecisionKind.GAP, None, at.utc_s, at.stream_s, self._zone, 1.0, reason, detail=detail)]

    def resize(self, old: FrameSize, new: FrameSize) -> None:
        """Take note that the frames have another size from now on, and that the tracks begin anew."""
        scale = (new[0] / old[0], new[1] / old[1]) * 2

        def scaled(box: Box) -> Box:
            x1, y1, x2, y2 = (value * factor for value, factor in zip(box, scale, strict=True))
            return x1, y1, x2, y2

        if self._basket is not None:
            for entry in self._basket.entries:
                self._basket.see(entry, scaled(entry.line.box))
        self._billed.rescale(scaled)
        self._presence.forget()
        self._interrupted = self._basket is not None

    def decide(self, tracks: Tracks, stream_s: float, size: FrameSize) -> list[Decision]:
        """Take one frame's tracks and return what they change.

        Args:
            tracks: of this frame.
            stream_s: seconds since the start of the stream, rising from call to call.
            size: width and height of the frame, pixels.
        """
        if self._restored_at is not None:
            bill, self._restored_at = self._restored_at, None
            # The bill goes on in its own time line, which an earlier process counted.
            self._offset_s = bill.opened_s + (tracks.captured_at_s - bill.opened_at_s) - stream_s
        if self._interrupted:
            self._interrupted, self._recover_from_s = False, stream_s
        items = self._presence.update(tracks, stream_s, size)
        self._items = {item.track.track_id: item for item in items}
        at = Moment(stream_s + self._offset_s, tracks.captured_at_s)
        lines = self._line_tracks()
        self._billed.follow(self._items, lines, stream_s, self._presence.dismiss)
        goods = [item for item in items if item.here and self._is_goods(item)]
        self._here = distinct(goods, lines, self._settings.nested_share, stream_s)
        decisions = self._follow_lines(at, stream_s)
        self._here = [item for item in self._here if item.here]
        if self._recover_from_s is not None:
            # An item lingers for `leave_s` after its last sight: what counts now is what is seen again.
            unseen = any(
                (item := self._items.get(one)) is None or not item.is_seen(stream_s) for one in self._line_tracks()
            )
            if unseen and stream_s - self._recover_from_s < self._settings.recover_s:
                return decisions
            decisions += self._end_recovery(at)
        decisions += self._close_for_strangers(at, stream_s)
        decisions += self._commit(at, stream_s)
        decisions += self._revise(at, stream_s)
        if self._basket is not None:
            decisions += self._departures.decide(self._basket, self._items, at, stream_s)
        decisions += self._ask(at, stream_s)
        decisions += self._close(at, stream_s)
        return decisions

    def answer(self, track_id: int, dish: str, stream_s: float, utc_s: float) -> list[Decision]:
        """Take a person's answer: what the object of `track_id` is, or "" if it is no goods.

        Returns nothing if the bill is closed or nothing is known of the track any more: the answer came too late.
        """
        at = Moment(stream_s + self._offset_s, utc_s)
        item = self._items.get(track_id)
        if self._basket is None or item is None:
            return []
        entry = self._entry_of(track_id)
        article = self._menu[dish] if dish else None
        reason = f"answered: {article.title if article else 'no goods'}"
        decisions = [self._basket.note(DecisionKind.ANSWER, at, reason, track_id=track_id, dish=article)]
        if article is None:
            self._no_goods.add(track_id)
            if entry is not None and entry.on_bill:
                decisions.append(self._remove(self._basket, entry, at, "answered: no goods"))
        elif entry is None:
            decisions.append(self._basket.add(article, track_id, item.track.box, 1.0, at, "answered", locked=True))
        else:
            if not entry.on_bill:
                was = self._menu[entry.line.dish]
                decisions.append(self._basket.bring_back(entry, was, track_id, item.track.box, at, "answered"))
            decisions.append(self._basket.revise(entry, article, track_id, 1.0, at, "answered", locked=True))
        return decisions

    def correct(self, correction: Correction, stream_s: float, utc_s: float) -> list[Decision]:
        """Take a person's correction of the open bill.

        Raises:
            CorrectionRefused: that bill is not open here, has no such line, or has changed meanwhile.
            DataError: the menu has no such dish.
        """
        basket = self._basket
        if basket is None or basket.bill.bill_id != correction.bill_id:
            raise CorrectionRefused(f"bill {correction.bill_id} is not open on lane {self._lane_id} any more")
        at = Moment(stream_s + self._offset_s, utc_s)
        if self._restored_at is not None:
            # No frame has told yet where the bill's own time line is: it went on with the clock.
            at = Moment(basket.bill.opened_s + max(utc_s - basket.bill.opened_at_s, 0.0), utc_s)
        entry = entry_for(basket, correction)
        decisions = correct(basket, correction, self._menu, at)
        if entry is not None:
            self._departures.note_return(entry)
            if entry.struck:
                self._no_goods.add(entry.line.track_id)
            else:
                self._no_goods.discard(entry.line.track_id)
        return decisions

    # --- 1: what is here -----------------------------------------------------------------------------------------

    def _is_goods(self, item: Item) -> bool:
        track = item.track
        if track.track_id in self._no_goods or track.track_id in self._billed:
            return False
        return self._menu.is_goods(track.label)

    # --- 2: the same object --------------------------------------------------------------------------------------

    def _entry_of(self, track_id: int) -> Entry | None:
        if self._basket is None:
            return None
        for entry in self._basket.entries:
            if entry.line.track_id == track_id:
                return entry
        return None

    def _line_of(self, item: Item) -> Entry | None:
        """Return the item's line if it is on the bill."""
        entry = self._entry_of(item.track.track_id)
        return entry if entry is not None and entry.on_bill else None

    def _line_tracks(self) -> frozenset[int]:
        """Return the track ids of all lines on the bill."""
        return frozenset(entry.line.track_id for entry in self._object_lines())

    def _object_lines(self) -> list[Entry]:
        """Return the lines on the bill whose objects are somewhere in the picture: not those added by hand."""
        lines = self._basket.on_bill() if self._basket is not None else ()
        return [entry for entry in lines if not entry.by_hand]

    def _item_of(self, entry: Entry) -> Item | None:
        return self._items.get(entry.line.track_id)

    def _follow_lines(self, at: Moment, now_s: float) -> list[Decision]:
        """Give lines to the tracks that carry their objects now."""
        if self._basket is None:
            return []
        decisions: list[Decision] = []
        for item in self._here:
            if not item.is_seen(now_s):
                continue
            track = item.track
            entry = self._entry_of(track.track_id)
            if entry is None:
                entries = self._basket.with_objects()
                entry = absent_line_near(item, entries, self._items, now_s, self._settings)
                entry = entry or moved_line(item, entries, self._items, now_s, self._settings)
                if entry is None:
                    continue
                if entry.struck:
                    # The same object under a new track; a person said that it does not belong on the bill.
                    entry.line = replace(entry.line, track_id=track.track_id, box=track.box)
                    self._no_goods.add(track.track_id)
                    continue
                if entry.on_bill:
                    self._presence.dismiss(entry.line.track_id)
                    article, sure = self._menu[entry.line.dish], entry.line.confidence
                    reason = "the same object under a new track"
                    decisions.append(self._basket.revise(entry, article, track.track_id, sure, at, reason))
            if not entry.on_bill:
                article = self._menu[entry.line.dish]
                decisions.append(self._basket.bring_back(entry, article, track.track_id, track.box, at, "came back"))
            self._departures.note_return(entry)
            moved = item.moved_boxes(now_s, self._settings.still_window_s)
            if moved is not None and moved <= self._settings.still_boxes:
                self._basket.see(entry, track.box)
        return decisions

    # --- 3 and 4: lines ------------------------------------------------------------------------------------------

    def _commit(self, at: Moment, now_s: float) -> list[Decision]:
        decisions: list[Decision] = []
        for item in self._here:
            track = item.track
            if not item.is_in_sight(now_s) or track.label not in self._menu:
                continue
            if self._entry_of(track.track_id) is not None or self._may_be_on_its_way_back(item, now_s):
                continue
            reason = why_commit(item, now_s, self._settings)
            if reason is None:
                continue
            basket = self._open(at, decisions)
            article = self._menu[track.label]
            decisions.append(basket.add(article, track.track_id, track.box, track.confidence, at, reason))
        return decisions

    def _open(self, at: Moment, decisions: list[Decision]) -> Basket:
        """Return the open basket, opening a bill if there is none."""
        if self._basket is None:
            bill_id = bill_id_for(self._lane_id, self._stream_key, at.stream_s)
            self._basket = Basket.begin(self._lane_id, self._zone, bill_id, at)
            detail = {"menu_revision": self._menu.revision} if self._menu.revision else None
            decisions.append(self._basket.note(DecisionKind.BILL_OPEN, at, "first item in the zone", detail=detail))
        return self._basket

    def _revise(self, at: Moment, now_s: float) -> list[Decision]:
        if self._basket is None:
            return []
        decisions: list[Decision] = []
        for entry in self._basket.on_bill():
            item = self._item_of(entry)
            if entry.locked or item is None or not item.is_in_sight(now_s):
                continue
            verdict = second_thought(item.track, entry.line, self._menu, self._settings)
            if verdict is None:
                continue
            track, reason = item.track, verdict.reason
            if verdict.dish is None:
                decisions.append(self._remove(self._basket, entry, at, reason))
            else:
                sure = track.confidence
                decisions.append(self._basket.revise(entry, verdict.dish, track.track_id, sure, at, reason))
        return decisions

    def _remove(self, basket: Basket, entry: Entry, at: Moment, reason: str) -> Decision:
        self._departures.note_return(entry)
        return basket.remove(entry, self._menu[entry.line.dish], at, at.stream_s, reason)

    # --- 6: questions --------------------------------------------------------------------------------------------

    def _ask(self, at: Moment, now_s: float) -> list[Decision]:
        decisions: list[Decision] = []
        for item in self._here:
            track_id = item.track.track_id
            if track_id in self._asked or self._entry_of(track_id) is not None:
                continue
            if item.is_in_sight(now_s) and is_unknown(item, now_s, self._menu, self._settings):
                basket = self._open(at, decisions)
                self._asked.add(track_id)
                decisions.append(question(basket, item.track, self._menu, self._settings, at))
        return decisions

    # --- 7: closing ----------------------------------------------------------------------------------------------

    def _is_occupied(self, basket: Basket, now_s: float) -> bool:
        """Return whether the tray is still there: a line, something that may become one, or the only question."""
        lines = self._object_lines()
        if any((item := self._item_of(entry)) is not None and item.here for entry in lines):
            return True
        patience_s = max(self._settings.ask_after_s, self._settings.commit_after_s)
        for item in self._here:
            asked = item.track.track_id in self._asked
            if self._may_be_on_its_way_back(item, now_s):
                continue
            if not lines if asked else now_s - item.entered_s < patience_s:
                return True
        return False

    def _close_for_strangers(self, at: Moment, now_s: float) -> list[Decision]:
        """Close a bill whose tray has gone before an item that is none of its objects is looked at."""
        clear = self._clear_since
        if self._basket is None or clear is None or at.stream_s - clear.stream_s < self._settings.clear_s:
            return []
        others = [item for item in self._here if self._line_of(item) is None]
        others = [item for item in others if not self._may_be_on_its_way_back(item, now_s)]
        every = [(entry, self._item_of(entry)) for entry in self._basket.with_objects()]
        if not any(is_stranger(item, every, self._settings) for item in others):
            return []
        return self._finish(self._basket, at, self._later(clear), "zone clear")

    def _may_be_on_its_way_back(self, item: Item, now_s: float) -> bool:
        if self._basket is None or self._line_of(item) is not None:
            return False
        lines = [(entry, self._item_of(entry)) for entry in self._object_lines()]
        return may_be_on_its_way_back(item, lines, now_s, self._settings)

    def _later(self, clear: Moment) -> Moment:
        """Return the moment at which the zone had been clear for long enough."""
        return Moment(clear.stream_s + self._settings.clear_s, clear.utc_s + self._settings.clear_s)

    def _close(self, at: Moment, now_s: float) -> list[Decision]:
        basket = self._basket
        if basket is None:
            return []
        if self._is_occupied(basket, now_s):
            self._clear_since = None
        elif self._clear_since is None:
            seen = [item.seen_s for entry in basket.on_bill() if (item := self._item_of(entry)) is not None]
            ago_s = now_s - max(seen) if seen else 0.0
            self._clear_since = Moment(at.stream_s - ago_s, at.utc_s - ago_s)
        awaited = any(self._may_be_on_its_way_back(item, now_s) for item in self._here) or any(
            may_be_in_a_hand(self._item_of(entry), now_s, self._settings) for entry in basket.on_bill()
        )
        if self._clear_since is not None and not awaited:
            wait_s = max(self._settings.clear_s, self._settings.return_s)
            if at.stream_s - self._clear_since.stream_s >= wait_s:
                return self._finish(basket, at, self._later(self._clear_since), "zone clear")
        if at.utc_s - basket.bill.opened_at_s >= self._settings.max_open_s:
            return self._finish(basket, at, at, f"open for {self._settings.max_open_s:g} s")
        return []

    def _finish(
        self, basket: Basket, at: Moment, closed: Moment, reason: str, other_tray: bool = False
    ) -> list[Decision]:
        decision = basket.close(at, closed, reason)
        self._closed.append(basket.bill)
        if not other_tray:
            self._billed.take(basket.bill, self._items)
        self._basket, self._clear_since, self._offset_s = None, None, 0.0
        self._departures.begin_anew()
        self.change_menu(self._newest_menu)
        return [decision]

    # --- 8: interruptions ----------------------------------------------------------------------------------------

    def _missing(self) -> list[Entry]:
        """Return the lines whose objects are not here."""
        return [entry for entry in self._object_lines() if (item := self._item_of(entry)) is None or not item.here]

    def _strangers(self) -> list[Item]:
        """Return what is here and has no line."""
        return [item for item in self._here if self._entry_of(item.track.track_id) is None]

    def _end_recovery(self, at: Moment) -> list[Decision]:
        self._recover_from_s = None
        basket = self._basket
        if basket is None:
            return []
        decisions = self._adopt_moved(basket, at)
        lines, gone = self._object_lines(), self._missing()
        # Another tray may hold a dish like one of ours where ours was: what else lies there tells the two apart.
        is_other_tray = 2 * len(gone) > len(lines) and bool(self._strangers())
        if lines and (len(gone) == len(lines) or is_other_tray):
            return decisions + self._finish(basket, at, at, "gone after an interruption", is_other_tray)
        return decisions + [self._remove(basket, entry, at, "gone after an interruption") for entry in gone]

    def _adopt_moved(self, basket: Basket, at: Moment) -> list[Decision]:
        """Take up a tray that moved meanwhile: all dishes that are missing lie elsewhere in the zone."""
        strangers, pairs = self._strangers(), []
        for entry in self._missing():
            found = next((item for item in strangers if item.track.label == entry.line.dish), None)
            if found is None:
                return []
            strangers.remove(found)
            pairs.append((entry, found))
        decisions: list[Decision] = []
        for entry, item in pairs:
            article, line = self._menu[entry.line.dish], entry.line
            self._presence.dismiss(line.track_id)
            reason = "the same object, moved during an interruption"
            decisions.append(basket.revise(entry, article, item.track.track_id, line.confidence, at, reason))
            basket.see(entry, item.track.box)
        return decisions
