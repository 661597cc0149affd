"""The pages' server over a real lane: scripted camera and detector, real tracker, policy, store and threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient

from app.pages.pictures import BOUNDARY
from app.site import Site
from app.web import create_app
from checkout.lane import Lane
from checkout.overlay import draw
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import WHOLE_FRAME, ZoneSettings, make_zones
from core.clock import SystemClock
from core.records import HAND
from store.engine import open_store
from store.spool import Spool
from tests.fakes import FixedDetector, ScriptedSource, frames, menu, seen
from tests.migrated import migrated
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LABELS = ("soup", "cup", "cake", HAND)


class Doubtful(FixedDetector):
    """Sees that there is something where a cup stands, but not what."""

    def detect(self, frames):
        found = super().detect(frames)
        for one in found:
            one.class_probs[one.class_ids == LABELS.index("cup")] = (0.25, 0.25, 0.25, 0.0)
        return found


@dataclass
class Appliance:
    site: Site
    web: FlaskClient
    lane: Lane
    go_on: threading.Event

    def state(self) -> dict:
        return self.web.get("/api/v1/lanes/lane1").get_json()

    def wait_for(self, told, what: str):
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            value = told(self.state())
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError(f"{what} did not happen: {self.state()}")


@pytest.fixture
def appliance(tmp_path) -> Iterator[Appliance]:
    """A lane that sees a sure soup and a doubtful thing for four seconds, waits to be let on, then an empty counter."""
    clock, known, go_on = SystemClock(), menu("soup", "cup", "cake"), threading.Event()

    def look(stream_s: float):
        if stream_s > 4.0:
            return []
        return [seen("soup", 200, 200, score=0.97), seen("cup", 420, 200, score=0.7)]

    def hold(position: int) -> None:
        if position == 80:
            go_on.wait(20)

    source = ScriptedSource(frames(200), before_read=hold)
    zones = make_zones({"tray": ZoneSettings(polygon=WHOLE_FRAME)})
    detector = Doubtful(LABELS, look)
    pipeline = Pipeline(
        "lane1",
        "key",
        detector,
        lambda size: MultiObjectTracker(TrackerSettings(), LABELS, size),
        lambda: Policy("lane1", "key", CheckoutSettings(), zones, known),
        clock,
    )
    store = open_store(migrated(tmp_path / "t.db"), clock)
    spool = Spool(store, tmp_path / "spool.jsonl", clock, 1000)
    lane = Lane(source, pipeline, spool, known, clock)
    picture = lambda update: draw(update.frame.image, update.tracks, update.bill, zones, known)  # noqa: E731
    site = Site("Test <site>", known, [lane], {"lane1": picture}, store, clock, tmp_path, loopback_only=True)
    site.start()
    yield Appliance(site, create_app(site).test_client(), lane, go_on)
    go_on.set()
    site.stop()
    spool.close()
    store.close()


def test_state_follows_bill_question_answer_and_close(appliance):
    bill = appliance.wait_for(lambda s: s["bill"] if s["bill"] and s["bill"]["lines"] else None, "first line")
    assert [line["dish"] for line in bill["lines"]] == ["soup"]
    assert bill["total"] == 1.0
    ask = appliance.wait_for(lambda s: s["asks"], "question")[0]
    assert {choice["dish"] for choice in ask["choices"]} == {"cup", "soup", "cake"}

    refused = appliance.web.post("/api/v1/lanes/lane1/answers", json={"track_id": ask["track_id"], "dish": "pizza"})
    assert refused.status_code == 422
    taken = appliance.web.post("/api/v1/lanes/lane1/answers", json={"track_id": ask["track_id"], "dish": "cup"})
    assert taken.status_code == 200
    appliance.go_on.set()
    last = appliance.wait_for(lambda s: s["last_bill"], "closed bill")
    assert sorted(line["dish"] for line in last["lines"]) == ["cup", "soup"]
    again = appliance.web.post("/api/v1/lanes/lane1/answers", json={"track_id": ask["track_id"], "dish": "cup"})
    assert "question.answer" in appliance.web.get("/audit").get_data(as_text=True)
    assert again.status_code == 409

    listed = appliance.web.get("/api/v1/bills?lane=lane1").get_json()["bills"]
    assert [one["bill_id"] for one in listed] == [last["bill_id"]]
    page = appliance.web.get("/bills").get_data(as_text=True)
    assert "Soup" in page
    assert last["bill_id"][:8] in page


def test_picture_stream_and_still(appliance):
    appliance.wait_for(lambda s: s["fps"], "frames")
    still = appliance.web.get("/lanes/lane1/still.jpg")
    assert still.data[:2] == b"\xff\xd8"
    response = appliance.web.get("/lanes/lane1/video.mjpg", buffered=False)
    parts = response.iter_encoded()
    assert next(parts) == f"--{BOUNDARY}\r\n".encode()
    part = next(parts)
    assert part.startswith(b"Content-Type: image/jpeg\r\n")
    assert part.endswith(f"--{BOUNDARY}\r\n".encode())
    assert b"X-Captured-At: 17000000" in part
    response.close()


def test_state_events_come_as_server_sent_events(appliance):
    response = appliance.web.get("/api/v1/lanes/stream", buffered=False)
    event = next(response.iter_encoded()).decode()
    kind, payload, *_ = event.split("\n")
    assert kind == "event: lane"
    assert json.loads(payload.removeprefix("data: "))["lane_id"] == "lane1"
    response.close()


def test_health_readiness_and_metrics(appliance):
    assert appliance.web.get("/healthz").status_code == 200
    appliance.wait_for(lambda s: s["fps"], "frames")
    ready = appliance.web.get("/readiness")
    assert ready.get_json() == {"ready": True, "waiting_for": []}
    figures = appliance.web.get("/metrics").get_data(as_text=True)
    for name in (
        "traylane_lane_fps{",
        "traylane_frames_dropped_total",
        "traylane_stage_seconds_bucket{",
        "traylane_capture_to_decision_seconds_bucket{",
        "traylane_reconnects_total",
        "traylane_storage_free_bytes",
    ):
        assert name in figures


def test_page_names_the_site_and_its_lanes_safely(appliance):
    page = appliance.web.get("/").get_data(as_text=True)
    assert "Test &lt;site&gt;" in page
    assert "/lanes/lane1/video.mjpg" in page


@pytest.mark.parametrize(
    ("call", "status", "says"),
    [
        (lambda web: web.get("/api/v1/lanes/nope"), 404, "lanes: lane1"),
        (lambda web: web.get("/lanes/nope/video.mjpg"), 404, "lanes: lane1"),
        (lambda web: web.get("/api/v1/bills?limit=0"), 400, "1 to 500"),
        (lambda web: web.get("/api/v1/bills?limit=x"), 400, "1 to 500"),
        (lambda web: web.get("/api/v1/bills?lane=zz"), 404, "lane1"),
        (lambda web: web.get("/nope"), 404, "not found"),
        (lambda web: web.post("/api/v1/lanes/lane1/answers", data="x"), 415, "application/json"),
        (lambda web: web.post("/api/v1/lanes/lane1/answers", json={"track_id": True, "dish": ""}), 422, "track_id"),
        (lambda web: web.get("/", base_url="http://evil.example"), 403, "loopback"),
        (
            lambda web: web.post(
                "/api/v1/lanes/lane1/answers",
                json={"track_id": 1, "dish": ""},
                headers={"Origin": "http://evil.example"},
            ),
            403,
            "another",
        ),
    ],
)
def test_mistakes_are_answered_with_problem_details(appliance, call, status, says):
    response = call(appliance.web)
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert set(response.get_json()) - {"errors"} == {"type", "title", "status", "detail"}
    assert says in response.get_json()["detail"]


def test_stop_lets_viewers_go(appliance):
    appliance.wait_for(lambda s: s["fps"], "frames")
    response = appliance.web.get("/lanes/lane1/video.mjpg", buffered=False)
    parts = response.iter_encoded()
    next(parts)
    appliance.go_on.set()
    appliance.site.stop()
    began_s = time.monotonic()
    assert list(parts) is not None
    assert time.monotonic() - began_s < 5
