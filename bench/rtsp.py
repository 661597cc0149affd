"""Three lanes on real RTSP cameras in one process; the third camera is killed for five seconds, three times.

    .venv/bin/python -m bench.rtsp                      truth as detector: what is measured is streams, lanes and store
    .venv/bin/python -m bench.rtsp --config FILE        with the detector, menu and zones of a configuration

All cameras show the same scene at the same time, so that the two lanes that are left alone tell what the third should
have seen. Bars: the two others drop nothing, the third decides frames again within 3 s after its camera is back, each
break is a gap in the store, no bill is lost or doubled.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench.results_file import ROOT, row, write_results
from bench.truth_lane import SIZE, Scene, film, make_truth_menu
from checkout.build import build_detector, build_lane, build_live_menu
from checkout.config import DetectSettings, load_config
from checkout.lane import Lane
from checkout.pipeline import LaneUpdate, Pipeline
from checkout.policy import Policy
from checkout.presence import FrameSize
from checkout.settings import CheckoutSettings
from checkout.zones import ZoneSettings, make_zones
from core.clock import SystemClock
from core.records import HAND, Bill, DecisionKind, Detections, Frame
from store.engine import open_store
from store.spool import Spool
from store.store import Store
from streams.factory import make_source
from streams.source import SourceSettings
from streams.synthetic.catalogue import DISH_NAMES
from streams.synthetic.lane import TRAY_ZONE
from tests.cameras import RtspCamera
from tests.media import make_clip, number_in
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LANES = ("lane1", "lane2", "lane3")
BACK_BAR_S = 3.0
FPS = 20.0
#: A tray that could be seen for less than this may or may not have become a bill.
_SURELY_SEEN_S = 3.0


class NumberDetector:
    """Reads the number that `tests.media.numbered` drew, and tells what the scene says about that frame."""

    name = "truth@1"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.labels: tuple[str, ...] = (*DISH_NAMES, HAND)

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the detections of the frames, in their pixels."""
        out = []
        for frame in frames:
            seen = self._scene.frames[min(number_in(frame.image), len(self._scene.frames) - 1)]
            boxes = (seen.boxes * (frame.width / SIZE[0])).astype(np.float32)
            out.append(replace(seen, frame_index=frame.index, captured_at_s=frame.captured_at_s, boxes=boxes))
        return out

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Watch:
    """What one lane decided, and when."""

    lane: Lane
    decided_s: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, update: LaneUpdate) -> None:
        """Keep the moment of a decided frame."""
        if update.frame is not None:
            with self.lock:
                self.decided_s.append(update.decided_s)

    def first_after(self, at_s: float) -> float | None:
        """Return the seconds from `at_s` to the first frame decided after it."""
        with self.lock:
            return next((moment - at_s for moment in self.decided_s if moment > at_s), None)


@dataclass(frozen=True)
class Outage:
    """Wall-clock seconds at which a camera was killed and was back, and how long its lane then took."""

    from_utc: float
    to_utc: float
    back_s: float


@dataclass(frozen=True)
class Verdict:
    """How the bills of the disturbed lane differ from those of an undisturbed one."""

    bills: int
    disturbed: int
    lost: int
    doubled: int
    changed: int
    extra: int


def truth_lane(scene: Scene, lane_id: str, url: str, spool: Spool, buffer_frames: int) -> Lane:
    """Return a lane on the camera at `url` that knows what each frame shows."""
    clock, detector, menu = SystemClock(), NumberDetector(scene), make_truth_menu()
    zones = make_zones({"tray": ZoneSettings(role="tray", polygon=TRAY_ZONE)})
    key = f"live-{clock.utc_s():.3f}"

    def make_tracker(size: FrameSize) -> MultiObjectTracker:
        return MultiObjectTracker(TrackerSettings(), detector.labels, size)

    def make_policy() -> Policy:
        return Policy(lane_id, key, CheckoutSettings(), zones, menu)

    pipeline = Pipeline(lane_id, key, detector, make_tracker, make_policy, clock)
    source = make_source(SourceSettings(url=url), lane_id, clock)
    return Lane(source, pipeline, spool, menu, clock, buffer_frames=buffer_frames)


def disturb(camera: RtspCamera, watch: Watch, outages: int, off_s: float, calm_s: float) -> list[Outage]:
    """Kill the camera for `off_s` again and again, each time after `calm_s`."""
    found = []
    for _ in range(outages):
        time.sleep(calm_s)
        from_utc = time.time()
        camera.kill()
        time.sleep(off_s)
        camera.start()
        to_utc, ready_s = time.time(), time.monotonic()
        while (back_s := watch.first_after(ready_s)) is None and time.monotonic() < ready_s + 30:
            time.sleep(0.05)
        found.append(Outage(from_utc, to_utc, float("inf") if back_s is None else back_s))
    time.sleep(calm_s)
    return found


def judge(calm: Sequence[Bill], other: Sequence[Bill], breaks: Sequence[tuple[float, float]]) -> Verdict:
    """Compare the bills of two lanes that saw the same counter, one of them with breaks (UTC seconds).

    A bill is lost if its tray could be seen for three seconds and no bill of the other lane is open in that time. It is
    doubled if two are, changed if no break touched it and its lines are not the same; extra bills have no counterpart.
    """
    lost = doubled = changed = disturbed = 0
    spans = [(one, one.opened_at_s, end_seen_s(one, breaks)) for one in other]
    for bill in calm:
        begin_s, end_s = bill.opened_at_s, end_seen_s(bill, [])
        match = [one for one, from_s, to_s in spans if min(to_s, end_s) - max(from_s, begin_s) > 0.5]
        hidden_s = sum(max(min(to_s, end_s) - max(from_s, begin_s), 0.0) for from_s, to_s in breaks)
        touched = any(from_s < end_s + 1 and to_s > begin_s - 1 for from_s, to_s in breaks)
        disturbed += touched
        doubled += len(match) > 1
        lost += not match and end_s - begin_s - hidden_s >= _SURELY_SEEN_S
        changed += bool(match) and not touched and dishes(match[0]) != dishes(bill)
    seen = [(bill.opened_at_s, end_seen_s(bill, [])) for bill in calm]
    extra = sum(
        not any(min(to_s, end_s) > max(from_s, begin_s) for begin_s, end_s in seen) for _, from_s, to_s in spans
    )
    return Verdict(len(calm), disturbed, lost, doubled, changed, extra)


def end_seen_s(bill: Bill, breaks: Sequence[tuple[float, float]]) -> float:
    """Return until when a bill's tray was seen, UTC seconds.

    A tray that leaves during a break is missed only when the picture is back, maybe with the next tray in it.
    """
    end_s = bill.closed_at_s or bill.opened_at_s
    if bill.close_reason != "gone after an interruption":
        return end_s
    return min([end_s, *(from_s for from_s, _ in breaks if bill.opened_at_s < from_s < end_s)])


def dishes(bill: Bill) -> Counter[str]:
    """Return how many of each dish are on a bill."""
    counts: Counter[str] = Counter()
    for line in bill.lines:
        counts[line.dish] += line.quantity
    return counts


def closed_bills(store: Store, lane_id: str) -> list[Bill]:
    """Return the closed bills of a lane, oldest first."""
    return sorted(store.bills(lane_id, closed=True, limit=10_000), key=lambda bill: bill.opened_at_s)


def render_clip(folder: Path, seconds: float) -> Path:
    """Render the synthetic lane to a clip, for detectors that look at pictures."""
    trays = str(max(int(seconds / 7), 2))
    command = [sys.executable, "-m", "app", "simulate", "--seed", "900700", "--trays", trays, "--fps", f"{FPS:g}"]
    subprocess.run([*command, "--out", str(folder / "clip")], cwd=ROOT, check=True)
    flat = folder / "camera.mp4"
    # Cameras send no B-frames, and a key picture each second.
    source = str(folder / "clip" / "lane.mp4")
    options = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "20", str(flat)]
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, *options], check=True)
    return flat


def run(
    folder: Path, outages: int, off_s: float, calm_s: float, config: Path | None, buffer_frames: int
) -> list[dict[str, object]]:
    """Run the three lanes and return the rows."""
    length_s = 10 + (outages + 1) * calm_s + outages * (off_s + 4)
    clock = SystemClock()
    store = open_store(f"sqlite:///{folder}/lanes.db", clock)
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        spools = {lane_id: Spool(store, folder / f"{lane_id}.jsonl", clock) for lane_id in LANES}
        for spool in spools.values():
            stack.callback(spool.close)
        if config is None:
            scene = film(31, min(length_s, 4000 / FPS), preset="easy", fps=FPS)
            clip = make_clip(folder / "scene.mp4", len(scene.frames), FPS, SIZE, gop=20)
        else:
            clip = render_clip(folder, length_s)
        epoch_s = time.time() + 3
        cameras = [stack.enter_context(RtspCamera(clip, epoch_s=epoch_s)) for _ in LANES]
        if config is None:
            lanes = [
                truth_lane(scene, lane_id, camera.url, spools[lane_id], buffer_frames)
                for lane_id, camera in zip(LANES, cameras, strict=True)
            ]
        else:
            lanes = configured_lanes(config, [camera.url for camera in cameras], spools, folder, stack)
        watches = [Watch(lane) for lane in lanes]
        for watch in watches:
            watch.lane.subscribe(watch.note)
            watch.lane.start()
            stack.callback(watch.lane.stop)
        deadline_s = time.monotonic() + 30
        while any(watch.first_after(0) is None for watch in watches):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"a lane decides nothing: {[watch.lane.health().why for watch in watches]}")
            time.sleep(0.1)
        time.sleep(1.0)
        before = [watch.lane.health() for watch in watches]
        found = disturb(cameras[2], watches[2], outages, off_s, calm_s)
        healths = [watch.lane.health() for watch in watches]
        for watch in watches:
            watch.lane.stop()
        gaps = [stored.event.decision for stored in store.events(LANES[2], limit=100_000)]
        gaps = [decision for decision in gaps if decision.kind == DecisionKind.GAP]
        breaks = [(outage.from_utc, outage.to_utc + outage.back_s) for outage in found]
        verdict = judge(closed_bills(store, LANES[0]), closed_bills(store, LANES[2]), breaks)
        control = judge(closed_bills(store, LANES[0]), closed_bills(store, LANES[1]), [])
    worst_back_s = max(outage.back_s for outage in found)
    others = [sum(health.dropped.values()) for health in healths[:2]]
    others = [now - sum(health.dropped.values()) for now, health in zip(others, before, strict=False)]
    other_gaps = sum(health.gaps for health in healths[:2])
    print("dropped:", [dict(health.dropped) for health in healths], "latency:", [health.latency for health in healths])
    return [
        row("outages", outages, "outages"),
        row("back_to_decided_worst", worst_back_s, "s", BACK_BAR_S, "lower"),
        row("back_to_decided_mean", float(np.mean([outage.back_s for outage in found])), "s"),
        row("others_dropped_frames", sum(others), "frames", 0, "lower"),
        row("others_gaps", other_gaps, "gaps", 0, "lower"),
        row("others_decided_frames", sum(health.decided_frames for health in healths[:2]), "frames"),
        row("third_gap_events", len(gaps), "gaps", outages),
        row("bills", verdict.bills, "bills"),
        row("bills_touched_by_an_outage", verdict.disturbed, "bills"),
        row("bills_lost", verdict.lost, "bills", 0, "lower"),
        row("bills_doubled", verdict.doubled, "bills", 0, "lower"),
        row("bills_changed", verdict.changed, "bills", 0, "lower"),
        row("bills_extra", verdict.extra, "bills", 0, "lower"),
        row(
            "control_bills_differing",
            control.lost + control.doubled + control.changed + control.extra,
            "bills",
            0,
            "lower",
        ),
    ]


def configured_lanes(
    config: Path, urls: Sequence[str], spools: dict[str, Spool], folder: Path, stack: contextlib.ExitStack
) -> list[Lane]:
    """Return lanes like the first one of a configuration, on the given cameras."""
    loaded = load_config(config)
    _, first = loaded.lane()
    sources = {lane_id: SourceSettings(url=url) for lane_id, url in zip(LANES, urls, strict=True)}
    lanes = {lane_id: first.model_copy(update={"source": source}) for lane_id, source in sources.items()}
    loaded = replace(loaded, site=loaded.site.model_copy(update={"lanes": lanes}))
    clock, detector = SystemClock(), build_detector(loaded)
    stack.callback(detector.close)
    live_menu = build_live_menu(loaded, clock)
    stack.callback(live_menu.close)
    return [build_lane(loaded, lane_id, clock, detector, live_menu, spools[lane_id])[0] for lane_id in LANES]


def main() -> int:
    """Run the bench; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--outages", type=int, default=3)
    parser.add_argument("--off-s", type=float, default=5.0, help="how long the camera is dead")
    parser.add_argument("--calm-s", type=float, default=25.0, help="time before each outage, and after the last")
    parser.add_argument("--config", type=Path, help="detector, menu and zones of this file instead of the truth")
    parser.add_argument("--buffer-frames", type=int, default=DetectSettings().buffer_frames)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="traylane-rtsp-") as name:
        rows = run(Path(name), args.outages, args.off_s, args.calm_s, args.config, args.buffer_frames)
    write_results("rtsp" if args.config is None else "rtsp_model", rows)
    figures = {str(line["name"]): line["value"] for line in rows}
    zero = ("others_dropped_frames", "others_gaps", "bills_lost", "bills_doubled", "bills_changed", "bills_extra")
    good = all(figures[name] == 0 for name in zero)
    back = figures["back_to_decided_worst"]
    good &= isinstance(back, float) and back <= BACK_BAR_S and figures["third_gap_events"] == args.outages
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
