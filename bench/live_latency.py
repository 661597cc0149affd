"""Capture → marked-up pixel of live lanes at 20 fps, as a viewer on the machine gets it, by `traylane run` itself.

Cameras are real RTSP streams (a recording of the synthetic lane, served in a loop by a GStreamer server in processes of
their own), the detector is our own. Each viewer reads its lane's MJPEG and compares arrival with the capture time of
the picture. A queue that grows shows as a second half slower than the first.

    .venv/bin/python -m bench.live_latency [--seconds 60] [--lanes 1 3]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.mjpeg import pictures
from bench.results_file import ROOT, row, write_results
from checkout.health import Percentiles, percentiles
from tests.cameras import RtspCamera

HOST, PORT = "127.0.0.1", 8099
WARM_UP_S = 8.0
BARS_MS = {1: 150.0, 3: 400.0}


@contextlib.contextmanager
def running_lanes(urls: list[str], folder: Path) -> Iterator[None]:
    """Run `traylane run` on RTSP `urls` until the block ends; the block starts when every lane is ready."""
    site = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    lane = next(iter(site["lanes"].values()))
    site["lanes"] = {f"lane{i + 1}": {**lane, "source": {"url": url}} for i, url in enumerate(urls)}
    site["store"] = {"url": f"sqlite:///{folder}/bench.db"}
    site["web"] = {"host": HOST, "port": PORT}
    site["menu"] = {"file": str(ROOT / "configs" / "menu.yaml")}
    config = folder / "bench.yaml"
    config.write_text(yaml.safe_dump(site))
    child = subprocess.Popen([sys.executable, "-m", "app", "run", "--config", str(config)], cwd=ROOT)
    try:
        deadline_s = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://{HOST}:{PORT}/readiness", timeout=2):
                    break
            except OSError:
                if time.monotonic() > deadline_s or child.poll() is not None:
                    raise
                time.sleep(0.2)
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)


def camera(stack: contextlib.ExitStack, clip: Path) -> str:
    """Start an RTSP camera that shows `clip` until the stack ends; return its address."""
    return stack.enter_context(RtspCamera(clip)).url


def watch(lane_id: str, seconds: float, delays_s: list[float]) -> None:
    """Collect arrival − capture of one lane's pictures for `seconds`."""
    end_s = time.monotonic() + seconds
    for arrived_s, captured_s, _ in pictures(HOST, PORT, f"/lanes/{lane_id}/video.mjpg"):
        delays_s.append(arrived_s - captured_s)
        if time.monotonic() > end_s:
            return


def measure(lanes: int, seconds: float) -> list[dict[str, object]]:
    """Return the rows for so many live lanes."""
    with tempfile.TemporaryDirectory(prefix="traylane-latency-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "app",
                "simulate",
                "--seed",
                "900500",
                "--trays",
                "8",
                "--fps",
                "20",
                "--out",
                str(folder / "clip"),
            ],
            cwd=ROOT,
            check=True,
        )
        urls = [camera(stack, folder / "clip" / "lane.mp4") for _ in range(lanes)]
        stack.enter_context(running_lanes(urls, folder))
        delays: dict[str, list[float]] = {f"lane{i + 1}": [] for i in range(lanes)}
        viewers = [threading.Thread(target=watch, args=(lane, WARM_UP_S, []), daemon=True) for lane in delays]
        for viewer in viewers:
            viewer.start()
        for viewer in viewers:
            viewer.join()
        viewers = [threading.Thread(target=watch, args=(lane, seconds, delays[lane]), daemon=True) for lane in delays]
        for viewer in viewers:
            viewer.start()
        for viewer in viewers:
            viewer.join()
        with urllib.request.urlopen(f"http://{HOST}:{PORT}/api/v1/lanes", timeout=5) as response:
            states = json.load(response)["lanes"]
    dropped = sum(sum(state["dropped"].values()) for state in states)
    worst = max(delays.values(), key=lambda values: spread(values).p95)
    delay = spread(worst)
    half = len(worst) // 2
    drift = statistics.median(worst[half:]) / statistics.median(worst[:half])
    rate = min(len(values) for values in delays.values()) / seconds
    prefix = f"lanes_{lanes}"
    return [
        row(f"{prefix}_capture_to_pixel_p50", 1000 * delay.p50, "ms"),
        row(f"{prefix}_capture_to_pixel_p95", 1000 * delay.p95, "ms", BARS_MS.get(lanes), "lower"),
        row(f"{prefix}_capture_to_pixel_p99", 1000 * delay.p99, "ms"),
        row(f"{prefix}_second_half_over_first", drift, "ratio"),
        row(f"{prefix}_pictures_per_s_slowest_lane", rate, "1/s", 20.0),
        row(f"{prefix}_frames_dropped", dropped, "frames"),
    ]


def spread(values: list[float]) -> Percentiles:
    """Return the percentiles of a lane's delays; a lane that showed nothing has none to tell."""
    found = percentiles(values)
    if found is None:
        raise RuntimeError("a lane showed no picture while it was watched")
    return found


def main() -> None:
    """Measure and write bench/results/live_latency.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 3])
    arguments = parser.parse_args()
    write_results("live_latency", [row for lanes in arguments.lanes for row in measure(lanes, arguments.seconds)])


if __name__ == "__main__":
    main()
