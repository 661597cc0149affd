"""What the pages show of one appliance: its lanes as plain values, their pictures, bills and open questions."""

from __future__ import annotations

import datetime
import functools
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.registry import Collector

from app.metrics import Instruments
from app.screen import Draw, LaneScreen, cut_out
from checkout.correction import Correction, Ticket
from checkout.debug_overlay import draw_debug
from checkout.evidence.camera_roll import ZoneMask
from checkout.health import LaneHealth, LaneState
from checkout.lane import Lane
from checkout.menu import Menu
from checkout.pipeline import LaneUpdate
from checkout.zones import WHOLE_FRAME, Zone, ZoneSettings, make_zones
from core.clock import Clock
from core.records import Bill, Box, Decision, DecisionKind
from store.store import Store

READY_WITHIN_S = 5.0
CHOICES = 3
#: What ends a confirmation.
CHANGES = frozenset(
    {DecisionKind.LINE_ADD, DecisionKind.LINE_REVISE, DecisionKind.LINE_REMOVE, DecisionKind.CORRECTION}
)


@dataclass(frozen=True, slots=True)
class _Question:
    track_id: int
    bill_id: str
    asked_at_s: float


class _LaneView:
    """The newest of one lane, kept by its subscription."""

    def __init__(self, lane: Lane, screen: LaneScreen, debug: LaneScreen, mask: ZoneMask) -> None:
        self.lane, self.screen, self.debug, self.mask = lane, screen, debug, mask
        self.lock, self.masking = threading.Lock(), threading.Lock()
        self.update: LaneUpdate | None = None
        self.seen: LaneUpdate | None = None
        self.confirmed_bill = ""
        self.last_bill: Bill | None = None
        self.questions: dict[int, _Question] = {}

    def take(self, update: LaneUpdate) -> None:
        """Keep what an update changes; called by the lane's own thread for subscribers."""
        with self.lock:
            self.update = update
            if update.frame is not None:
                self.seen = update
            if update.closed:
                self.last_bill = update.closed[-1]
            for event in update.events:
                decision = event.decision
                self._note_confirmation(decision)
                if decision.kind is DecisionKind.ASK and decision.track_id is not None:
                    question = _Question(decision.track_id, decision.bill_id, decision.decided_at_s)
                    self.questions[decision.track_id] = question
                elif decision.kind is DecisionKind.BILL_CLOSE:
                    self.questions.clear()
                elif decision.track_id is not None:
                    self.questions.pop(decision.track_id, None)
            alive = {track.track_id for track in update.tracks.tracks}
            self.questions = {key: value for key, value in self.questions.items() if key in alive}
        self.screen.show(update)
        self.debug.show(update)

    def _note_confirmation(self, decision: Decision) -> None:
        """Remember which bill a person found right; a line that changes afterwards ends it."""
        if decision.kind is DecisionKind.CONFIRM:
            self.confirmed_bill = decision.bill_id
        elif decision.kind in CHANGES and decision.bill_id == self.confirmed_bill:
            self.confirmed_bill = ""


class Site:
    """All lanes of one appliance, for the pages.

    Args:
        name: shown as the title.
        menu: dishes and currency.
        lanes: not yet started.
        draw: how the marked-up picture of each lane is made, by lane id.
        store: where bills are looked up.
        clock: both clocks.
        storage: the folder whose free space is shown, or None.
        loopback_only: refuse requests that name another host.
        timezone: the zone in which the pages tell times, such as "Europe/Berlin".
        zones: of each lane, by its id; the whole picture where not given.
    """

    def __init__(
        self,
        name: str,
        menu: Menu,
        lanes: Sequence[Lane],
        draw: Mapping[str, Draw],
        store: Store,
        clock: Clock,
        storage: Path | None,
        loopback_only: bool,
        timezone: str = "UTC",
        zones: Mapping[str, tuple[Zone, ...]] | None = None,
    ) -> None:
        self.name, self.loopback_only, self.timezone = name, loopback_only, timezone
        self.currency = menu.currency
        self._first_menu = menu
        self.closing = threading.Event()
        self.store, self._clock, self._storage = store, clock, storage
        self._instruments = Instruments(self.health, self.free_bytes)
        whole = make_zones({"tray": ZoneSettings(polygon=WHOLE_FRAME)})
        self._views = {
            lane.lane_id: self._view(lane, draw[lane.lane_id], (zones or {}).get(lane.lane_id, whole)) for lane in lanes
        }

    @property
    def menu(self) -> Menu:
        """The menu in force: what is taught while lanes run is on it as soon as they have taken it up."""
        views = self._views.values()
        return max((view.lane.menu for view in views), key=lambda menu: menu.revision, default=self._first_menu)

    @property
    def menu_titles(self) -> dict[str, str]:
        """What people read for each dish of the menu in force, by name."""
        return {dish.name: dish.title for dish in self.menu.dishes.values()}

    @property
    def lane_ids(self) -> list[str]:
        """The lanes in the order of the configuration."""
        return list(self._views)

    def start(self) -> None:
        """Start all lanes."""
        for view in self._views.values():
            view.lane.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let the viewers go, then stop all lanes side by side; each gets `timeout_s`."""
        self.closing.set()
        for view in self._views.values():
            view.screen.close()
            view.debug.close()
        stoppers = [threading.Thread(target=view.lane.stop, args=(timeout_s,)) for view in self._views.values()]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join(timeout_s + 1.0)

    def screen(self, lane_id: str, debug: bool = False) -> LaneScreen | None:
        """Return the pictures of a lane, with everything drawn on request; None if there is no such lane."""
        view = self._views.get(lane_id)
        if view is None:
            return None
        return view.debug if debug else view.screen

    def crop(self, lane_id: str, track_id: int) -> bytes | None:
        """Return the object of a track in the newest picture as JPEG, without anything outside the zones.

        Returns:
            None if the lane has no such track now.
        """
        view = self._views[lane_id]
        with view.lock:
            seen = view.seen
        found = None
        if seen is not None:
            found = next((track for track in seen.tracks.tracks if track.track_id == track_id), None)
        if seen is None or seen.frame is None or found is None:
            return None
        with view.masking:
            masked = view.mask(seen.frame.image)
        return cut_out(masked, found.box)

    def watch(self, listener: Callable[[str, LaneUpdate], None]) -> None:
        """Call `listener` with the lane id and each update, in a thread of the lane, from now on."""
        for lane_id, view in self._views.items():
            view.lane.subscribe(functools.partial(listener, lane_id))

    def correct(self, lane_id: str, correction: Correction) -> Ticket:
        """Hand a person's correction of the open bill to the lane.

        Raises:
            DataError: the menu has no such dish.
            CorrectionRefused: the lane does not run.
        """
        return self._views[lane_id].lane.correct(correction)

    def note_correction(self, bill: Bill, confirmed: bool = False) -> None:
        """Take note that a closed bill was corrected or confirmed: it may be the one that is shown."""
        view = self._views.get(bill.lane_id)
        if view is not None:
            with view.lock:
                if view.last_bill is not None and view.last_bill.bill_id == bill.bill_id:
                    view.last_bill = bill
                    view.confirmed_bill = bill.bill_id if confirmed else ""

    def answer(self, lane_id: str, track_id: int, dish: str) -> bool:
        """Hand a person's answer to the lane; return False if nothing was asked about this track.

        Raises:
            DataError: the menu has no such dish.
        """
        view = self._views[lane_id]
        with view.lock:
            asked = track_id in view.questions
        if asked:
            view.lane.answer(track_id, dish)
        return asked

    def seen(self, lane_id: str, track_id: int) -> tuple[NDArray[np.uint8], Box] | None:
        """Return the newest frame (H, W, 3) of a lane and where an object is in it; None if it is not seen now."""
        view = self._views[lane_id]
        with view.lock:
            update = view.update
        if update is None or update.frame is None:
            return None
        found = next((track for track in update.tracks.tracks if track.track_id == track_id and track.matched), None)
        return None if found is None else (update.frame.image, found.box)

    def health(self) -> dict[str, LaneHealth]:
        """Return the health of every lane."""
        return {lane_id: view.lane.health() for lane_id, view in self._views.items()}

    def lane_models(self) -> dict[str, str]:
        """Return the full name of the model that each lane runs."""
        return {lane_id: view.lane.model for lane_id, view in self._views.items()}

    def not_ready(self) -> list[str]:
        """Return one line per lane that has not decided a frame lately; nothing when all is well."""
        lines = []
        for lane_id, health in self.health().items():
            age_s = health.last_decided_age_s
            over = health.state is LaneState.STOPPED and not health.live  # a recording that has been played to its end
            if not over and (age_s is None or age_s > READY_WITHIN_S):
                seen = "no frame decided yet" if age_s is None else f"last frame decided {age_s:.0f} s ago"
                lines.append(f"{lane_id}: {health.state}, {seen}{f' ({health.why})' if health.why else ''}")
        return lines

    def measure(self, figures: Collector) -> None:
        """Show further figures among those of the lanes."""
        self._instruments.add(figures)

    def metrics_text(self) -> bytes:
        """Return all figures in Prometheus' exposition format."""
        return self._instruments.text()

    def state(self, lane_id: str) -> dict[str, Any]:
        """Return what the live page shows of a lane, as JSON-able values; unknown is None."""
        view = self._views[lane_id]
        health = view.lane.health()
        with view.lock:
            update, last_bill, questions = view.update, view.last_bill, list(view.questions.values())
            confirmed_bill = view.confirmed_bill
        bill = None if update is None else update.bill
        shown = bill or last_bill
        latency = health.latency
        return {
            "lane_id": lane_id,
            "source": health.shown_url,
            "state": str(health.state),
            "why": health.why,
            "since_s": None if health.since_s is None else round(health.since_s),
            "next_try_s": None if health.next_try_s is None else round(health.next_try_s),
            "fps": None if health.fps is None else round(health.fps, 1),
            "latency_ms": None
            if latency is None
            else {"p50": round(1000 * latency.p50), "p95": round(1000 * latency.p95), "p99": round(1000 * latency.p99)},
            "dropped": dict(sorted(health.dropped.items())),
            "spooled": health.spooled,
            "reconnects": health.reconnects,
            "bills_closed": health.bills,
            "items_in_zone": None if update is None else update.items_in_zone,
            "bill": None if bill is None else self.shown_bill(bill),
            "last_bill": None if last_bill is None else self.shown_bill(last_bill),
            "confirmed": shown is not None and shown.bill_id == confirmed_bill,
            "asks": [self._shown_question(question, update) for question in questions],
        }

    def _view(self, lane: Lane, draw: Draw, zones: tuple[Zone, ...]) -> _LaneView:
        lane_id = lane.lane_id
        screen = LaneScreen(draw, self._clock, lambda seconds: self._instruments.observe_picture(lane_id, seconds))
        debug = LaneScreen(lambda update: draw_debug(update, zones, lane.menu), self._clock, lambda seconds: None)
        view = _LaneView(lane, screen, debug, ZoneMask(zones))
        self._instruments.begin(lane_id)
        lane.subscribe(view.take)
        lane.subscribe(lambda update: self._observe(lane_id, update))
        return view

    def _observe(self, lane_id: str, update: LaneUpdate) -> None:
        # `decided_s` is monotonic; the capture time is UTC: bring both to now.
        age_s = self._clock.monotonic_s() - update.decided_s
        captured_at_s = update.frame.captured_at_s if update.frame is not None else self._clock.utc_s()
        self._instruments.observe(lane_id, update, max(0.0, self._clock.utc_s() - age_s - captured_at_s))

    def free_bytes(self) -> int | None:
        """Return the free space where the store is, None if that is not known."""
        if self._storage is None or not self._storage.exists():
            return None
        return shutil.disk_usage(self._storage).free

    def shown_bill(self, bill: Bill) -> dict[str, Any]:
        """Return a bill as JSON-able values."""
        menu = self.menu
        return {
            "bill_id": bill.bill_id,
            "lane_id": bill.lane_id,
            "revision": bill.revision,
            "opened_at": _utc(bill.opened_at_s),
            "closed_at": None if bill.closed_at_s is None else _utc(bill.closed_at_s),
            "total": bill.total,
            "lines": [
                {
                    "line_no": line.line_no,
                    "dish": line.dish,
                    "title": menu.title(line.dish),
                    "quantity": line.quantity,
                    "unit_price": line.unit_price,
                    "confidence": round(line.confidence, 3),
                }
                for line in bill.lines
            ],
        }

    def _shown_question(self, question: _Question, update: LaneUpdate | None) -> dict[str, Any]:
        tracks = () if update is None else update.tracks.tracks
        posterior = next((track.posterior for track in tracks if track.track_id == question.track_id), ())
        menu = self.menu
        choices = [(dish, p) for dish, p in posterior if dish in menu][:CHOICES]
        return {
            "track_id": question.track_id,
            "bill_id": question.bill_id,
            "asked_at": _utc(question.asked_at_s),
            "choices": [{"dish": dish, "title": menu.title(dish), "probability": round(p, 3)} for dish, p in choices],
        }


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
