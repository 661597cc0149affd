"""An appliance for tests of the API: a real lane that stands at an open bill, stored bills, a configuration file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from app.site import Site
from app.web import create_app
from checkout.config import load_config
from checkout.lane import Lane
from checkout.overlay import draw
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import WHOLE_FRAME, ZoneSettings, make_zones
from core.clock import SystemClock
from core.records import HAND, Bill, Decision, DecisionKind, Event, LineItem
from store.engine import open_store
from store.spool import Spool
from store.sql_store import SqlStore
from tests.fakes import FixedDetector, ScriptedSource, frames, menu, seen
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LABELS = ("soup", "cup", "cake", HAND)
DAY_S = 1_750_000_000.0
CONFIG = """# The canteen.
site: {{name: canteen}}  # what people call it
store: {{url: "{store}", spool: "{folder}/spool"}}
models: {{registry: "{folder}/models"}}
menu: {{file: "{folder}/menu.yaml"}}
replays: {{recordings: "{folder}/recordings", results: "{folder}/replays"}}
webhooks:
  - {{name: till, url: "https://till.example/hook", secret: "0123456789abcdef"}}
lanes:
  lane1: {{source: {{url: "synthetic://easy?seed=1"}}}}  # the only one
"""
MENU = """currency: EUR
dishes:
  soup: {title: Soup, price: 1}
  cup: {title: Cup, price: 2}
  cake: {title: Cake, price: 3}
"""


def made_bill(number: int, lane_id: str = "lane1", closed: bool = True, dishes: tuple[str, ...] = ("soup",)) -> Bill:
    """Return the n-th bill of a day, a minute after the one before."""
    opened_s = 60.0 * number
    lines = tuple(
        LineItem(n, n, dish, 1, float(LABELS.index(dish) + 1), opened_s, 0.9, (0.0, 0.0, 9.0, 9.0))
        for n, dish in enumerate(dishes, start=1)
    )
    closed_s = opened_s + 30.0 if closed else None
    closed_at_s = None if closed_s is None else DAY_S + closed_s
    revision = 2 + len(lines)
    return Bill(
        f"bill-{number:05d}", lane_id, opened_s, closed_s, DAY_S + opened_s, closed_at_s, revision, lines, "zone clear"
    )


def made_events(bill: Bill) -> list[Event]:
    """Return the journal of a made bill."""
    kinds = [DecisionKind.BILL_OPEN, *(DecisionKind.LINE_ADD for _ in bill.lines), DecisionKind.BILL_CLOSE]
    found = []
    for revision, kind in enumerate(kinds, start=1):
        line = bill.lines[revision - 2] if kind is DecisionKind.LINE_ADD else None
        decision = Decision(
            kind, None if line is None else line.track_id, bill.opened_at_s + revision, bill.opened_s + revision,
            "tray", 1.0, "made for a test", bill.bill_id, "" if line is None else line.dish,
            None if line is None else line.unit_price, revision, {} if line is None else {"line_no": line.line_no},
        )  # fmt: skip
        found.append(Event(f"{bill.bill_id}-{revision}", bill.lane_id, decision, "fixed@1", "ab" * 32))
    return found


@dataclass
class ApiSite:
    """What a test has in hand."""

    app: Flask
    site: Site
    store: SqlStore
    web: FlaskClient
    folder: Path
    go_on: threading.Event

    def get(self, address: str, **more: Any) -> Any:
        """Return the JSON of a GET under /api/v1 that must succeed."""
        response = self.web.get(f"/api/v1{address}", **more)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()

    def open_bill(self) -> dict[str, Any]:
        """Return the lane's open bill once it has its two lines."""
        told: dict[str, Any] = {}

        def ready() -> bool:
            bill = self.get("/lanes/lane1")["bill"]
            told.update(bill or {})
            return bool(bill and len(bill["lines"]) == 2)

        wait_until(ready, "an open bill of two lines")
        return told


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Wait until `condition()` is true."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not happen"
        time.sleep(0.01)


@contextmanager
def api_site(folder: Path, url: str = "", bills: int = 0) -> Iterator[ApiSite]:
    """Give an appliance whose lane shows a soup and a cup until `go_on` is set; `bills` are stored before."""
    clock, known, go_on = SystemClock(), menu("soup", "cup", "cake"), threading.Event()
    url = url or f"sqlite:///{folder}/t.db"
    (folder / "menu.yaml").write_text(MENU)
    (folder / "recordings").mkdir(exist_ok=True)
    path = folder / "site.yaml"
    path.write_text(CONFIG.format(folder=folder, store=f"sqlite:///{folder}/t.db"))

    def look(stream_s: float) -> list[Any]:
        return [] if stream_s > 3.0 else [seen("soup", 200, 200, score=0.97), seen("cup", 420, 200, score=0.97)]

    def hold(position: int) -> None:
        if position == 60:
            go_on.wait(600)

    zones = make_zones({"tray": ZoneSettings(polygon=WHOLE_FRAME)})
    pipeline = Pipeline(
        "lane1", "key", FixedDetector(LABELS, look),
        lambda size: MultiObjectTracker(TrackerSettings(), LABELS, size),
        lambda: Policy("lane1", "key", CheckoutSettings(), zones, known), clock,
    )  # fmt: skip
    store = open_store(url, clock)
    for number in range(bills):
        bill = made_bill(number, dishes=("soup", "cake") if number % 2 else ("cup",))
        store.append(made_events(bill), [bill])
    spool = Spool(store, folder / "spool.jsonl", clock, 1000)
    lane = Lane(ScriptedSource(frames(160), before_read=hold), pipeline, spool, known, clock)
    picture = lambda update: draw(update.frame.image, update.tracks, update.bill, zones, known)  # noqa: E731
    site = Site("Test <site>", known, [lane], {"lane1": picture}, store, clock, folder, loopback_only=True)
    site.start()
    app = create_app(site, load_config(path))
    try:
        yield ApiSite(app, site, store, app.test_client(), folder, go_on)
    finally:
        go_on.set()
        site.stop()
        spool.close()
        store.close()
