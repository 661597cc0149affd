"""Decision → event at a client, the cost of viewers to the lanes, and of a viewer that stalls.

*Latency*: a client of `/api/v1/events/stream` and one of `/api/v1/lanes/stream`, over a real connection and beside 20
other viewers, compare the arrival with the moment at which the lane decided. *Cost*: three synthetic lanes at 20 fps in
`traylane run`; frames decided per second and lane without viewers, with 20 (state, events and pictures mixed), and with
3 that asked for pictures and never read; the phases alternate, so that other load hits all.

    .venv/bin/python -m bench.web_live [--seconds 20] [--rounds 3] [--decisions 200]
"""

from __future__ import annotations

import argparse
import contextlib
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
from checkout.correction import Action, Correction
from checkout.health import percentiles
from checkout.pipeline import LaneUpdate
from tests.api_site import api_site
from tests.appliance import Running, appliance
from tests.integration.test_live_feeds import Reader, served

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
def viewers(port: int, count: int, read: bool, lanes: int = LANES) -> Iterator[None]:
    """Hold `count` streams open; they read all they get, or nothing."""
    stop, threads, lines = threading.Event(), [], []
    for number in range(count):
        line = socket.create_connection(("127.0.0.1", port), timeout=20)
        address = (VIEWERS[number % len(VIEWERS)] if read else VIEWERS[0]).format(lane=f"lane{number % lanes + 1}")
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


def latencies(decisions: int, watching: int) -> tuple[list[float], list[float]]:
    """Return seconds from the decision to the event and to the state at a client, over a real connection.

    A lane decides (corrections of its open bill, ten a second at most); its own clock says when. Client, server and
    lane are one process, so the clock is one, and they share an interpreter, which flatters nobody.
    """
    events: list[float] = []
    states: list[float] = []
    decided_at: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="traylane-live-") as name, api_site(Path(name)) as site:
        bill_id = site.open_bill()["bill_id"]
        site.site.watch(lambda _, update: _note(decided_at, update))
        with served(site) as port, viewers(port, watching, read=True, lanes=1):
            journal, state = Reader(port, "/events/stream"), Reader(port, "/lanes/stream")
            state.next()
            threads = [
                threading.Thread(target=_collect, args=(journal, decided_at, events, decisions, False), daemon=True),
                threading.Thread(target=_collect, args=(state, decided_at, states, decisions, True), daemon=True),
            ]
            for thread in threads:
                thread.start()
            for number in range(decisions):
                dish = ("soup", "cake")[number % 2]
                job = Correction(bill_id, Action.REPLACE, 1, dish, "bench")
                site.site.correct("lane1", job).wait(30)
                time.sleep(0.1)
            for thread in threads:
                thread.join(60)
            journal.close()
            state.close()
    return events, states


def _note(decided_at: dict[int, float], update: LaneUpdate) -> None:
    for event in update.events:
        decided_at[event.decision.revision] = update.decided_s


def _collect(
    reader: Reader, decided_at: dict[int, float], delays_s: list[float], decisions: int, of_state: bool
) -> None:
    seen: set[int] = set()
    while len(delays_s) < decisions:
        _, _, told = reader.next()
        arrived_s = time.monotonic()
        revision = told["bill"]["revision"] if of_state else told["revision"]
        # A correction is two events of one decision; the second is the change of the line.
        # A state is told again when the lane's figures change: what counts is when it was told first.
        if revision in decided_at and revision not in seen and (of_state or told["kind"] == "line_revise"):
            seen.add(revision)
            delays_s.append(arrived_s - decided_at[revision])


def main() -> None:
    """Measure and write bench/results/web_live.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3, help="of the cost; 0 leaves it out")
    parser.add_argument("--decisions", type=int, default=200)
    arguments = parser.parse_args()
    events, states = latencies(arguments.decisions, 20)
    event, state = percentiles(events), percentiles(states)
    if event is None or state is None:
        raise RuntimeError("no event came while it was listened")
    rows = [
        row("decisions", len(events), "decisions"),
        row("decision_to_event_client_p50", 1000 * event.p50, "ms"),
        row("decision_to_event_client_p95", 1000 * event.p95, "ms", 200.0, "lower"),
        row("decision_to_state_client_p50", 1000 * state.p50, "ms"),
        row("decision_to_state_client_p95", 1000 * state.p95, "ms", 200.0, "lower"),
    ]
    write_results("web_live", rows + cost(arguments.seconds, arguments.rounds))


def cost(seconds: float, rounds: int) -> list[dict[str, object]]:
    """Return what 20 viewers, and 3 that stall, cost three lanes; nothing if `rounds` is 0."""
    alone: list[float] = []
    watched: list[float] = []
    stalled: list[float] = []
    if not rounds:
        return []
    with (
        tempfile.TemporaryDirectory(prefix="traylane-live-") as name,
        appliance(Path(name), configuration()) as running,
    ):
        running.wait_for(lambda state: state["fps"], "lane3", 120, "frames")
        port = int(running.url.rsplit(":", 1)[1])
        for _ in range(rounds):
            alone.append(frames_per_s(running, seconds))
            with viewers(port, 20, read=True):
                watched.append(frames_per_s(running, seconds))
            with viewers(port, 3, read=False):
                stalled.append(frames_per_s(running, seconds))
    base = statistics.median(alone)
    return [
        row("lane_fps_no_viewer", base, "1/s"),
        row("lane_fps_20_viewers_share", statistics.median(watched) / base, "ratio"),
        row("lane_fps_3_stalled_share", statistics.median(stalled) / base, "ratio", 0.98),
    ]


if __name__ == "__main__":
    main()
