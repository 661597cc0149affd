"""Sites, people and browsers for the tests of accounts: real store, real argon2 (at its least cost), no lanes' threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from app.site import Site
from checkout.lane import Lane
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import WHOLE_FRAME, ZoneSettings, make_zones
from core.clock import Clock, SystemClock
from store.engine import open_store
from store.spool import Spool
from tests.fakes import FixedDetector, ScriptedSource, frames, menu
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LANES = ("lane1", "lane2")


@contextmanager
def still_site(folder: Path, clock: Clock | None = None, store_url: str | None = None) -> Iterator[Site]:
    """Give a site with two lanes that are built and not started."""
    clock = clock or SystemClock()
    known = menu("soup", "cup")
    zones = make_zones({"tray": ZoneSettings(polygon=WHOLE_FRAME)})
    store = open_store(store_url or f"sqlite:///{folder}/t.db", clock)
    spools, lanes = [], []
    for lane_id in LANES:
        pipeline = Pipeline(
            lane_id,
            "key",
            FixedDetector(("soup", "cup"), lambda _: []),
            lambda size: MultiObjectTracker(TrackerSettings(), ("soup", "cup"), size),
            lambda lane_id=lane_id: Policy(lane_id, "key", CheckoutSettings(), zones, known),
            clock,
        )
        source = ScriptedSource(frames(1))
        source.lane_id = lane_id
        spool = Spool(store, folder / f"{lane_id}.jsonl", clock, 1000)
        spools.append(spool)
        lanes.append(Lane(source, pipeline, spool, known, clock))
    pictures = dict.fromkeys(LANES, lambda update: np.zeros((8, 8, 3), np.uint8))
    site = Site("Test site", known, lanes, pictures, store, clock, folder, loopback_only=True)
    try:
        yield site
    finally:
        site.stop(1.0)
        for spool in spools:
            spool.close()
        store.close()
