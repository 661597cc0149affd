"""A site whose trays a test puts down and takes away, behind the product's own web server, for tests of its pages.

The camera and the detector are scripted; tracker, policy, lane threads, store, evidence and server are the real ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import yaml

from app.accounts.accounts import Accounts
from app.commands.run import listen
from app.server import make_server
from app.site import Site
from app.web import create_app
from checkout.config import load_config
from checkout.evidence.journal import JournalledPolicy
from checkout.evidence.keeper import EvidenceKeeper
from checkout.evidence.packet import Rules
from checkout.lane import Lane
from checkout.menu import Dish, Menu
from checkout.overlay import draw
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import Zone, ZoneSettings, make_zones
from core.clock import SystemClock
from core.errors import SourceOpenError
from core.records import HAND, Frame
from store.engine import open_store
from store.spool import Spool
from streams.reconnect import BackoffSettings
from tests.fakes import FixedDetector, ScriptedSource, Seen, frames, seen
from tests.sites import write_site
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LABELS = ("soup", "salad", "cake", HAND)
MENU = Menu(
    "EUR",
    {
        "soup": Dish("soup", "Tomato soup", 3.4, "201", "side"),
        "salad": Dish("salad", "Green salad", 3.2, "204", "side"),
        "cake": Dish("cake", "Chocolate cake", 2.4, "302", "dessert"),
    },
)
ZONE = "0.15,0.15,0.85,0.15,0.85,0.9,0.15,0.9"
FPS = 10.0
#: A sure soup, and something that the detector finds and does not know.
TRAY = (seen("soup", 220, 190, 110, score=0.97), seen("cake", 420, 190, 90, score=0.7))
SURE_TRAY = (seen("soup", 220, 190, 110, score=0.97), seen("salad", 420, 190, 90, score=0.96))
_INKS = {"soup": (200, 60, 40), "salad": (60, 150, 60), "cake": (110, 70, 40)}


class Doubtful(FixedDetector):
    """Sees that there is something where a cake stands, but not what."""

    def detect(self, frames: Sequence[Frame]) -> list:
        found = super().detect(frames)
        for one in found:
            one.class_probs[one.class_ids == LABELS.index("cake")] = (0.25, 0.25, 0.25, 0.0)
        return found


@dataclass
class Counter:
    """What stands under one lane's camera now."""

    things: Sequence[Seen] = ()


@dataclass
class LaneSite:
    """A running site.

    Attributes:
        url: where its pages are.
        counters: what stands under the cameras of `lane1` and `lane2`; `lane3` has lost its camera.
    """

    url: str
    site: Site
    counters: dict[str, Counter] = field(default_factory=dict)

    def wait_for(self, lane_id: str, told, what: str, timeout_s: float = 40.0):
        """Poll a lane's state until `told` returns something true."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            value = told(self.site.state(lane_id))
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what} did not happen: {self.site.state(lane_id)}")


def _picture(things: Sequence[Seen]) -> np.ndarray:
    """Paint a counter with a tray and a plate for each thing."""
    image = np.full((360, 640, 3), (92, 96, 104), np.uint8)
    if things:
        cv2.rectangle(image, (130, 90), (510, 300), (150, 112, 80), -1)
    for thing in things:
        x1, y1, x2, y2 = thing.box
        middle, half = (int((x1 + x2) / 2), int((y1 + y2) / 2)), int((x2 - x1) / 2)
        cv2.circle(image, middle, half, (240, 240, 236), -1, cv2.LINE_AA)
        cv2.circle(image, middle, int(half * 0.7), _INKS[thing.label], -1, cv2.LINE_AA)
    return image


def _script(lane_id: str) -> list[Frame]:
    """Return ten minutes of frames; one picture serves them all, and none is older than its decision."""
    started_s = time.time()
    picture = _picture(TRAY if lane_id == "lane1" else SURE_TRAY)
    return [
        replace(one, captured_at_s=started_s + one.stream_s, received_s=1e9, image=picture)
        for one in frames(6000, FPS, lane_id)
    ]


def _lane(lane_id: str, counter: Counter, folder: Path, zones: tuple[Zone, ...], spool: Spool, keeper) -> Lane:
    clock = SystemClock()
    source = ScriptedSource(_script(lane_id), lane_id, before_read=lambda position: time.sleep(1 / FPS))
    if lane_id == "lane3":
        away = "rtsp://***@10.0.0.7/stream: no route to host; is the camera on?"
        source = ScriptedSource([], lane_id, live=True, open_errors=[SourceOpenError(away) for _ in range(1000)])
    pipeline = Pipeline(
        lane_id,
        "key",
        Doubtful(LABELS, lambda stream_s: counter.things),
        lambda size: MultiObjectTracker(TrackerSettings(), LABELS, size),
        lambda: JournalledPolicy(Policy(lane_id, "key", CheckoutSettings(), zones, MENU), keeper, MENU),
        clock,
    )
    lane = Lane(source, pipeline, spool, MENU, clock, BackoffSettings(first_s=6.0, max_s=30.0))
    lane.subscribe(keeper.take)
    return lane


@contextmanager
def lane_site(folder: Path, accounts_of=None) -> Iterator[LaneSite]:
    """Run a site with two lanes that work and one that has lost its camera, until the block ends.

    Args:
        folder: for store and evidence.
        accounts_of: makes the accounts from the site; nobody logs in without.
    """
    dishes = {
        dish.name: {"title": dish.title, "price": dish.price, "plu": dish.plu, "category": dish.category}
        for dish in MENU.dishes.values()
    }
    (folder / "menu.yaml").write_text(yaml.safe_dump({"currency": MENU.currency, "dishes": dishes}))
    config, clock = load_config(write_site(folder, menu=folder / "menu.yaml")), SystemClock()
    zones = make_zones({"tray": ZoneSettings(polygon=ZONE)})
    store = open_store(f"sqlite:///{folder}/t.db", clock)
    counters, lanes, spools, keepers = {}, [], [], []
    for lane_id in ("lane1", "lane2", "lane3"):
        counters[lane_id] = Counter()
        spools.append(Spool(store, folder / f"{lane_id}.jsonl", clock, 1000))
        rules = Rules(lane_id, "key", CheckoutSettings(), zones, "fixed@1", config.sha256)
        keepers.append(EvidenceKeeper(config.site.record.evidence, rules, lambda: MENU, clock))
        lanes.append(_lane(lane_id, counters[lane_id], folder, zones, spools[-1], keepers[-1]))
    picture = lambda update: draw(update.frame.image, update.tracks, update.bill, zones, MENU)  # noqa: E731
    site = Site(
        "Canteen 1", MENU, lanes, dict.fromkeys(counters, picture), store, clock, folder, loopback_only=True,
        timezone="Europe/Berlin", zones=dict.fromkeys(counters, zones),
    )  # fmt: skip
    accounts: Accounts | None = None if accounts_of is None else accounts_of(site)
    listener = listen(config.site.web)
    server = make_server(create_app(site, accounts, config), listener)
    serving = threading.Thread(target=server.run, daemon=True)
    site.start()
    serving.start()
    try:
        yield LaneSite(f"http://127.0.0.1:{listener.getsockname()[1]}", site, counters)
    finally:
        site.stop(5.0)
        for keeper in keepers:
            keeper.stop()
        server.close()
        serving.join(5.0)
        listener.close()
        for spool in spools:
            spool.close()
        store.close()
