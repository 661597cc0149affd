"""Journey 5: a camera, a broker, the process itself or the store goes away: said on the page, and nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.appliance import Running, appliance, free_port
from tests.browser import CHROMIUM, browser_page
from tests.cameras import RtspCamera, missing
from tests.journeys import keep_picture, lane, picture_of, site, tile
from tests.mosquitto import Broker, needs_broker
from tests.mqtt_receiver import Receiver
from tests.postgres import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
EASY = "synthetic://easy?seed=900900&fps=10&size=640x360"


def bills_of(running: Running) -> list[dict]:
    return running.get("/api/v1/bills?limit=500")["bills"]


@pytest.mark.skipif(bool(missing()), reason=f"needs a GStreamer RTSP server: {missing()}")
def test_a_camera_that_is_unplugged_is_told_and_comes_back(tmp_path):
    with RtspCamera(picture_of(tmp_path)) as camera:
        lanes = {"lane1": lane(camera.url), "lane2": lane(EASY)}
        with appliance(tmp_path, site(lanes)) as running, browser_page() as page:
            running.wait_for(lambda s: s["fps"], "lane1", 120, "the first frames")
            page.goto(running.url)
            wait_for(lambda: tile(page, "lane1") == "", 60)
            camera.kill()
            wait_for(lambda: "next try" in tile(page, "lane1"), 60)
            told = tile(page, "lane1")
            keep_picture(page, "journey-5-unplugged")
            assert f"127.0.0.1:{camera.port}" in told, "why"
            assert "for " in told, "since when"
            assert tile(page, "lane2") == "", "the other lane goes on"
            decided = running.get("/api/v1/lanes/lane2")["fps"]
            assert decided
            camera.start()
            wait_for(lambda: tile(page, "lane1") == "", 60)
            running.wait_for(lambda s: s["state"] == "running" and s["reconnects"] >= 1, "lane1", 60, "coming back")


@needs_broker
def test_events_wait_for_a_broker_that_is_down_and_arrive_once(tmp_path):
    kept, run = tmp_path / "broker", tmp_path / "run"
    kept.mkdir()
    run.mkdir()
    broker = Broker(kept)
    broker.start()
    receiver = Receiver(broker.port)
    try:
        config = site({"lane1": lane(EASY)}, mqtt={"host": "127.0.0.1", "port": broker.port})
        with appliance(run, config) as running:
            receiver.wait(lambda: receiver.events["lane1"], 120, "the first event")
            broker.kill()
            before = len(bills_of(running))
            wait_for(lambda: len(bills_of(running)) > before + 1, 120)
            broker.start()
            closed = running.wait_for(lambda s: s["last_bill"], "lane1", 90, "a closed bill")
            ended = lambda: {one["after"]["bill_id"] for one in receiver.events["lane1"] if one["type"] == "end"}  # noqa: E731
            receiver.wait(lambda: closed["bill_id"] in ended(), 90, "the bill that closed meanwhile")
            stored = running.get("/api/v1/events?lane=lane1&limit=500")["events"]
            ids = [one["event_id"] for one in receiver.events["lane1"]]
            wanted = [one["event_id"] for one in stored if one["bill_id"]][: len(ids)]
            assert ids == wanted, "each once, in order"
    finally:
        broker.stop()


def test_a_process_that_is_killed_loses_no_bill_and_doubles_none(tmp_path):
    config, port = site({"lane1": lane(EASY)}), free_port()
    with appliance(tmp_path, config, port=port) as running:
        opened = running.wait_for(lambda s: s["bill"] and s["bill"]["lines"] and s["bill"], "lane1", 120, "a bill")
        stored = {bill["bill_id"]: bill for bill in bills_of(running)}
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(20)
    with appliance(tmp_path, config, port=port) as running:
        running.wait_for(lambda s: s["fps"], "lane1", 120, "the first frames after the kill")
        after = {bill["bill_id"]: bill for bill in bills_of(running)}
        assert set(stored) <= set(after)
        assert after[opened["bill_id"]]["revision"] >= opened["revision"]
        done = running.wait_for(
            lambda _: (bill := running.get(f"/api/v1/bills/{opened['bill_id']}"))["closed_at"] and bill,
            "lane1", 90, "closing the bill that was open",
        )  # fmt: skip
        events = running.get("/api/v1/events?lane=lane1&limit=500")["events"]
    assert done["bill_id"] == opened["bill_id"]
    assert max(Counter(one["event_id"] for one in events).values()) == 1
    closes = Counter(one["bill_id"] for one in events if one["kind"] == "bill_close")
    assert closes[opened["bill_id"]] == 1


def test_a_store_that_is_away_is_said_on_the_page_and_bills_wait(tmp_path):
    with appliance(tmp_path, site({"lane1": lane(EASY)})) as running, browser_page(refusals=(503,)) as page:
        running.wait_for(lambda s: s["bill"] or s["last_bill"], "lane1", 120, "a bill")
        page.goto(running.url)
        page.wait_for_selector(".lines", timeout=30_000)
        holder = sqlite3.connect(tmp_path / "t.db", isolation_level=None, timeout=20)
        holder.execute("BEGIN EXCLUSIVE")
        running.wait_for(lambda s: s["spooled"], "lane1", 120, "events that wait")
        wait_for(lambda: "wait for the store" in page.locator("#lane-lane1").inner_text(), 60)
        keep_picture(page, "journey-5-store-away")
        assert any(os.stat(path).st_size for path in Path(tmp_path / "spool").glob("*.jsonl"))
        holder.execute("ROLLBACK")
        holder.close()
        began_s = time.monotonic()
        running.wait_for(lambda s: not s["spooled"], "lane1", 60, "taking what waited")
        assert time.monotonic() - began_s < 60
        events = running.get("/api/v1/events?lane=lane1&limit=500")["events"]
    assert max(Counter(one["event_id"] for one in events).values()) == 1
    assert [one["revision"] for one in events if one["bill_id"] == events[0]["bill_id"]][:2] == [1, 2]
