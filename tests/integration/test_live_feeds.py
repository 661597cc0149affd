"""Live feeds: pushed at once, resumed by number, bounded for who is slow, over a real server for who stalls."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from app import feeds, server
from app.api.services import VIEWERS
from tests.api_site import ApiSite, api_site, made_bill, made_events, wait_until


@contextmanager
def served(site: ApiSite) -> Iterator[int]:
    """Serve an appliance on loopback; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    web = server.make_server(site.app, listener)

    def run() -> None:
        with suppress(OSError):  # it is closed under its feet at the end
            web.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        site.site.closing.set()
        web.close()
        thread.join(10)


class Reader:
    """A client of server-sent events."""

    def __init__(self, port: int, address: str, last_id: int | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        self.connection.request("GET", f"/api/v1{address}", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200

    def next(self) -> tuple[str, int | None, dict]:
        """Return (event, id, data) of the next event that has data."""
        kind, number, text = "message", None, ""
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if not line and text:
                return kind, number, json.loads(text)
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                number = int(value)
            elif name == "data":
                text += value

    def close(self) -> None:
        self.connection.close()


def store_bill(site: ApiSite, number: int, lane: str = "lane1") -> list[str]:
    bill = made_bill(number, lane)
    events = made_events(bill)
    site.store.append(events, [bill])
    return [event.event_id for event in events]


def test_a_client_that_comes_back_after_a_restart_has_every_event_once(tmp_path):
    got: list[str] = []
    with api_site(tmp_path) as site, served(site) as port:
        site.open_bill()
        site.go_on.set()
        reader = Reader(port, "/events/stream?after=0")
        for _ in range(4):
            _, last, event = reader.next()
            got.append(event["event_id"])
        reader.close()
    with api_site(tmp_path) as site:
        missed = store_bill(site, 1)
        with served(site) as port:
            reader = Reader(port, "/events/stream?after=99", last_id=last)
            waiting = [one.event.event_id for one in site.store.events(after_seq=last)]
            assert set(missed) <= set(waiting)
            for _ in waiting:
                got.append(reader.next()[2]["event_id"])
            fresh = store_bill(site, 2)
            for _ in fresh:
                got.append(reader.next()[2]["event_id"])
            reader.close()
        stored = [one.event.event_id for one in site.store.events(limit=10_000)]
    assert got == stored[: len(got)]
    assert got[-1] == fresh[-1]


def test_a_stream_of_one_lane_has_only_its_events_and_begins_now(tmp_path):
    with api_site(tmp_path, bills=2) as site, served(site) as port:
        site.open_bill()
        reader = Reader(port, "/events/stream?lane=lane1")
        store_bill(site, 10, "lane7")
        mine = store_bill(site, 11)
        assert [reader.next()[2]["event_id"] for _ in mine] == mine
        reader.close()


def test_a_decision_is_on_the_state_stream_at_once(tmp_path):
    with api_site(tmp_path) as site, served(site) as port:
        bill = site.open_bill()
        reader = Reader(port, "/lanes/stream")
        assert reader.next()[2]["bill"]["bill_id"] == bill["bill_id"]
        client = site.app.test_client()
        client.post(f"/api/v1/bills/{bill['bill_id']}/lines", json={"dish": "cake"})
        began_s = time.monotonic()
        while len(reader.next()[2]["bill"]["lines"]) < 3:
            assert time.monotonic() - began_s < 5
        reader.close()


def test_who_is_too_slow_is_let_go_with_a_note_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "QUEUE_EVENTS", 5)
    with api_site(tmp_path) as site:
        site.open_bill()
        feed = feeds.EventFeed(site.site, site.store, lambda stored: json.dumps({"seq": stored.seq}))
        stream = feed.watch(None, 0)
        first = next(stream)
        assert first.startswith("retry: 1000\nid: 0\n")
        before = [next(stream) for _ in site.store.events(limit=1000)]
        for number in range(4):
            store_bill(site, number)
        wait_until(lambda: any(one.behind for one in feed._viewers), "falling behind")
        told = list(stream)
        assert told[-1].startswith("event: resync\n")
        last = int(told[-1].partition("id: ")[2].partition("\n")[0])
        assert feed._viewers == []
        again = feed.watch(None, last)
        rest = site.store.events(after_seq=last)
        assert len(rest) == 12
        next(again)
        assert [next(again).partition("\n")[0] for _ in rest] == [f"id: {one.seq}" for one in rest]
        again.close()
        assert len(before) == 3


def test_only_so_many_may_watch_and_the_rest_is_told(tmp_path):
    with api_site(tmp_path) as site:
        client = site.app.test_client()
        streams = [client.get("/api/v1/events/stream", buffered=False) for _ in range(VIEWERS)]
        refused = client.get("/api/v1/lanes/stream")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert refused.content_type == "application/problem+json"
        assert client.get("/lanes/lane1/video.mjpg").status_code == 503
        assert client.head("/api/v1/events/stream").status_code == 503
        for stream in streams:
            stream.close()
        assert site.get("/health")["viewers"] == 0
        client.head("/api/v1/events/stream").close()
        assert site.get("/health")["viewers"] == 0


@pytest.mark.parametrize("address", ["/lanes/lane1/video.mjpg"])
def test_a_viewer_that_stalls_is_cut_off_and_holds_nothing(tmp_path, monkeypatch, address):
    monkeypatch.setattr(server, "STALL_S", 1.0)
    with api_site(tmp_path) as site, served(site) as port:
        site.open_bill()
        # Pictures one after another: the backlog of who does not read fills in no time.
        monkeypatch.setattr("app.pages.pictures.PICTURE_WAIT_S", 0.0)
        stalled = []
        for _ in range(3):
            viewer = socket.create_connection(("127.0.0.1", port), timeout=20)
            viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            viewer.sendall(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            stalled.append(viewer)
        wait_until(lambda: site.get("/health")["viewers"] == 3, "three viewers")
        wait_until(lambda: site.get("/health")["viewers"] == 0, "cutting them off", 30)
        for viewer in stalled:
            viewer.close()


def test_a_wrong_last_event_id_is_refused(tmp_path):
    with api_site(tmp_path) as site:
        for last in ("x", "-1", "1.5", "99999999999999999999"):
            response = site.web.get("/api/v1/events/stream", headers={"Last-Event-ID": last})
            assert response.status_code == 400
            assert response.get_json()["errors"][0]["parameter"] == "Last-Event-ID"
