"""Decision → event at a client, the cost of viewers to the lanes, and of a viewer that stalls, over `traylane run`.

Three synthetic lanes at 20 fps in one process, as the demo runs them. *Latency*: a client of `/api/v1/events/stream`
and one of `/api/v1/lanes/stream` compare the arrival of an event or bill revision with the moment that the lane
decided it (`at` of a synthetic lane is the frame's time, so capture → client; the lane's own capture → decision is
taken off by its median). *Cost*: frames decided per second and lane, without viewers, with 20 viewers (state, events
and pictures mixed), and with 3 that asked for pictures and never read; phases alternate, so that other load hits all.

    .venv/bin/python -m bench.web_live [--seconds 20] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import socket
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.results_file import ROOT, row, write_results
from checkout.health import percentiles
from tests.appliance import Running, appliance

LANES = 3
VIEWERS = ("/lanes/{lane}/video.mjpg", "/api/v1/lanes/stream", "/api/v1/events/stream", "/api/v1/lanes/stream")


def configuration() -> dict[str, object]:
    """Return three synthetic lanes at 20 fps."""
    config = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    lane = next(iter(config["lanes"].values()))
    config["menu"] = {"file": str(ROOT / "configs" / "menu.yaml")}
    config["lanes"] = {
        f"lane{n}": {**lane, "source": {"url": f"synthetic://medium?seed={n}&fps=20&size=640x360"}}
        for n in range(1, LANES + 1)
    }
    return config


def decided(running: Running) -> int:
    """Return how many frames all lanes have decided, from the histogram of the decide stage."""
    with urllib.request.urlopen(f"{running.url}/metrics", timeout=20) as response:
        lines = response.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("traylane_capture_to_decision_seconds_count")]
    return round(sum(float(line.rsplit(" ", 1)[1]) for line in counts))


def frames_per_s(running: Running, seconds: float) -> float:
    """Return frames decided per second and lane over `seconds`."""
    before, began_s = decided(running), time.monotonic()
    time.sleep(seconds)
    return (decided(running) - before) / (time.monotonic() - began_s) / LANES


@contextlib.contextmanager
def viewers(running: Running, count: int, read: bool) -> Iterator[None]:
    """Hold `count` streams open; they read all they get, or nothing."""
    port = int(running.url.rsplit(":", 1)[1])
    stop, threads, lines = threading.Event(), [], []
    for number in range(count):
        line = socket.create_connection(("127.0.0.1", port), timeout=20)
        address = (VIEWERS[number % len(VIEWERS)] if read else VIEWERS[0]).format(lane=f"lane{number % LANES + 1}")
        line.sendall(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        lines.append(line)
        if read:
            thread = threading.Thread(target=_swallow, args=(line, stop), daemon=True)
            thread.start()
            threads.append(thread)
    try:
        yield
    finally:
        stop.set()
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        for thread in threads:
            thread.join(5)


def _swallow(line: socket.socket, stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while not stop.is_set() and line.recv(262_144):
            pass


def latencies(running: Running, seconds: float) -> tuple[list[float], list[float]]:
    """Return (event, state) delays in seconds after the decision's frame, at clients that just listen."""
    events: list[float] = []
    states: list[float] = []
    at_of: dict[tuple[str, int], float] = {}
    shown: dict[tuple[str, int], float] = {}
    stop_s = time.monotonic() + seconds

    def listen(address: str, take: object) -> None:
        with urllib.request.urlopen(running.url + address, timeout=30) as response:
            for raw in response:
                arrived_s = time.time()
                if raw.startswith(b"data: "):
                    take(json.loads(raw[6:]), arrived_s)  # type: ignore[operator]
                if time.monotonic() > stop_s:
                    return

    def take_event(event: dict[str, object], arrived_s: float) -> None:
        at_s = datetime.datetime.fromisoformat(str(event["at"])).timestamp()
        events.append(arrived_s - at_s)
        at_of[str(event["bill_id"]), int(str(event["revision"]))] = at_s

    def take_state(lane: dict[str, dict[str, object] | None], arrived_s: float) -> None:
        for bill in (lane["bill"], lane["last_bill"]):
            if bill is not None:
                shown.setdefault((str(bill["bill_id"]), int(str(bill["revision"]))), arrived_s)

    threads = [
        threading.Thread(target=listen, args=("/api/v1/events/stream", take_event), daemon=True),
        threading.Thread(target=listen, args=("/api/v1/lanes/stream", take_state), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 35)
    states.extend(shown[key] - at_s for key, at_s in at_of.items() if key in shown)
    return events, states


def main() -> None:
    """Measure and write bench/results/web_live.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    alone: list[float] = []
    watched: list[float] = []
    stalled: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="traylane-live-") as name,
        appliance(Path(name), configuration()) as running,
    ):
        running.wait_for(lambda state: state["fps"], "lane3", 120, "frames")
        time.sleep(5)
        events, states = latencies(running, 2 * arguments.seconds)
        own = running.get("/api/v1/lanes/lane1")["latency_ms"]
        for _ in range(arguments.rounds):
            alone.append(frames_per_s(running, arguments.seconds))
            with viewers(running, 20, read=True):
                watched.append(frames_per_s(running, arguments.seconds))
            with viewers(running, 3, read=False):
                stalled.append(frames_per_s(running, arguments.seconds))
    base = statistics.median(alone)
    event, state = percentiles(events), percentiles(states)
    if event is None or state is None or own is None:
        raise RuntimeError("no event came while it was listened; take more seconds")
    rows = [
        row("events_seen", len(events), "events"),
        row("capture_to_decision_p50", own["p50"], "ms"),
        row("capture_to_event_client_p50", 1000 * event.p50, "ms"),
        row("capture_to_event_client_p95", 1000 * event.p95, "ms"),
        row("capture_to_state_client_p95", 1000 * state.p95, "ms"),
        row("decision_to_event_client_p50", 1000 * event.p50 - own["p50"], "ms"),
        row("decision_to_event_client_p95", 1000 * event.p95 - own["p50"], "ms", 200.0, "lower"),
        row("decision_to_state_client_p95", 1000 * state.p95 - own["p50"], "ms", 200.0, "lower"),
        row("lane_fps_no_viewer", base, "1/s"),
        row("lane_fps_20_viewers_share", statistics.median(watched) / base, "ratio"),
        row("lane_fps_3_stalled_share", statistics.median(stalled) / base, "ratio", 0.98),
    ]
    write_results("web_live", rows)


if __name__ == "__main__":
    main()
