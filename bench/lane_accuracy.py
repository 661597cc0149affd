"""Bills of the synthetic lane, from pixels to lines: cAcc, T4-F1 and the rest per preset, with intervals.

    python -m bench.lane_accuracy [--presets easy medium hard] [--trays 200] [--zone tray|frame] [--through-mp4]

Lanes with seeds from 900000 on, which no training ever used, are rendered and run through the product's pipeline with
its shipped configuration and detector: 8 seeds of 25 trays make 200. Every pixel is rendered; the mp4 in between is
left out unless `--through-mp4` asks for it. `--zone frame` is what `traylane replay` uses without a configuration;
`tray` is the zone that the synthetic counter publishes. Staged scenes test the rules: two equal dishes side by side
and one second apart are two lines, a dish that leaves and returns within two seconds is one, things and hands are none.

Each seed's result is kept in var/bench/lane_accuracy under a hash of code, model and settings, so that a run that was
cut goes on where it was. Writes bench/results/lane_accuracy.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from bench.results_file import ROOT, row, write_results
from bench.staged_scenes import SCENES, Scene
from bench.truth_lane import TruthDetector, TruthSource, film_all
from bench.workers import worker_pool
from checkout.build import build_detector, build_menu, build_pipeline, default_config
from checkout.config import LoadedConfig
from checkout.zones import ZoneSettings
from core.clock import SystemClock
from core.files import sha256_of, write_atomic
from core.records import Frame
from models.bare_onnx import find_model
from replay.matching import Matching, Stay
from replay.metrics import CountError, Lines
from replay.observe import updates
from replay.recording import Recording
from replay.score import Score, TrayResult, bill_figures, score
from replay.truth import TruthBill, parse_truth
from streams.source import SourceSettings
from streams.synthetic.lane import TRAY_ZONE, SyntheticLane
from streams.synthetic.truth import FrameTruth, truth_file
from streams.video_writer import VideoWriter

FIRST_SEED, TRAYS_PER_SEED, FPS, SIZE = 900_000, 25, 20.0, (640, 360)
KEPT = ROOT / "var" / "bench" / "lane_accuracy"
#: Bars of the yardstick: (cAcc, T4-F1) by preset.
BARS: dict[str, tuple[float | None, float | None]] = {
    "easy": (0.97, 0.99),
    "medium": (0.90, 0.96),
    "hard": (None, None),
}
#: A staged scene or a preset has its own range of seeds.
PRESET_SEEDS = {"easy": 0, "medium": 100, "hard": 200}


@dataclasses.dataclass(frozen=True)
class Task:
    """One lane to run: a preset's seed, or a staged scene."""

    preset: str
    seed: int
    trays: int
    zone: str
    through_mp4: bool
    truth_boxes: bool
    scene: str = ""

    @property
    def name(self) -> str:
        """What the progress calls it."""
        return f"{self.scene or self.preset} {self.seed}"


def lane_of(task: Task) -> SyntheticLane:
    """Return the lane of a task, not rendered yet."""
    whole = task.zone == "frame"
    if task.scene:
        scene = SCENES[task.scene]
        return SyntheticLane(task.seed, task.preset, *SIZE, FPS, script=scene.trays(task.seed), whole_frame=whole)
    return SyntheticLane(task.seed, task.preset, *SIZE, FPS, trays=task.trays, whole_frame=whole)


class LaneSource:
    """A synthetic lane as a recording that is rendered while it is read; keeps the truth."""

    live = False

    def __init__(self, lane: SyntheticLane, lane_id: str) -> None:
        self.lane_id, self.shown_url, self.lane = lane_id, f"synthetic lane {lane.seed}", lane
        self.truths: list[FrameTruth] = []
        self._frames: Iterator[Any] = iter(())
        self.dropped: dict[str, int] = {}

    def open(self) -> None:
        """Begin from the start."""
        self._frames = iter(self.lane)

    def read(self) -> Frame:
        """Render the next frame."""
        from core.errors import SourceEnded

        for image, truth in self._frames:
            self.truths.append(truth)
            return Frame(self.lane_id, truth.index, truth.t_s, time.monotonic(), image, truth.t_s)
        raise SourceEnded(f"{self.shown_url}: the last tray has left")

    def close(self) -> None:
        """Let go."""
        self._frames = iter(())


def configuration(zone: str) -> LoadedConfig:
    """Return the shipped configuration, with the counter's own zone or with the whole frame."""
    config = default_config()
    if zone == "frame":
        return config
    lane_id, lane = config.lane()
    lane = lane.model_copy(update={"zones": {"tray": ZoneSettings(role="tray", polygon=TRAY_ZONE)}})
    return dataclasses.replace(config, site=config.site.model_copy(update={"lanes": {lane_id: lane}}))


def run_task(task: Task) -> dict[str, Any]:
    """Run one lane and return its result as plain values."""
    began = time.monotonic()
    config, clock = configuration(task.zone), SystemClock()
    menu = build_menu(config)
    lane_id, _ = config.lane()
    lane = lane_of(task)
    recording = Recording(lane_id)
    with tempfile.TemporaryDirectory() as scratch:
        detector: Any
        source: Any = LaneSource(lane, lane_id)
        truths = source.truths
        if task.truth_boxes:
            scene, truths = film_all(lane)
            source, detector = TruthSource(scene, lane_id, clock), TruthDetector(scene)
        else:
            detector = build_detector(config)
            if task.through_mp4:
                truths, source = _record(lane, Path(scratch) / "lane.mp4", lane_id)
        pipeline = build_pipeline(config, lane_id, f"synthetic-{task.name}", clock, detector, menu)
        for _ in updates(source, pipeline, recording, clock):
            pass
    truth = parse_truth(truth_file(FPS, lane.finished_trays, truths), task.name)
    judged = score(recording, truth, {dish: menu[dish].price for dish in menu.dishes})
    return {
        "task": dataclasses.asdict(task),
        "seconds": round(time.monotonic() - began, 1),
        "frames": len(recording.rows),
        "asks": sum(event.decision.kind == "ask" for event in recording.events),
        "score": _plain(judged),
    }


def _record(lane: SyntheticLane, path: Path, lane_id: str) -> tuple[list[FrameTruth], Any]:
    from streams.av_source import AvSource

    truths = []
    with VideoWriter(path, *SIZE, FPS) as video:
        for image, truth in lane:
            video.write(image)
            truths.append(truth)
    return truths, AvSource(SourceSettings(url=str(path)), lane_id, SystemClock())


def _plain(judged: Score) -> dict[str, Any]:
    trays = [{**dataclasses.asdict(tray), "bill": None} for tray in judged.trays]
    return {**dataclasses.asdict(judged), "trays": trays, "confusion": [[*k, n] for k, n in judged.confusion.items()]}


def restore(plain: dict[str, Any]) -> Score:
    """Return the judged recording that `run_task` wrote down."""
    exact = plain["exact"]
    trays = []
    for tray in plain["trays"]:
        true = None if tray["tray"] is None else TruthBill(**tray["tray"])
        trays.append(TrayResult(**{**tray, "tray": true}))
    return Score(
        stays=tuple(Stay(**stay) for stay in plain["stays"]),
        exact=Matching(*(tuple(map(tuple, exact["pairs"])), tuple(exact["stays_left"]), tuple(exact["items_left"]))),
        confusion={(true, ours): n for true, ours, n in plain["confusion"]},
        trays=tuple(trays),
        lines_per_tray=tuple(Lines(**lines) for lines in plain["lines_per_tray"]),
        counts=CountError(**plain["counts"]) if plain["counts"] else None,
        delays_s=tuple(plain["delays_s"]),
    )


def code_key(with_model: bool) -> str:
    """Return a hash of everything that a result depends on: the product's code, the model, the settings."""
    content = hashlib.sha256()
    packages = ("core", "streams/synthetic", "models", "tracker", "checkout", "replay")
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    for path in [*files, ROOT / "bench" / "staged_scenes.py", ROOT / "bench" / "truth_lane.py"]:
        content.update(path.read_bytes())
    config = default_config()
    content.update(config.sha256.encode())
    if with_model:
        content.update(sha256_of(Path(find_model(config.site.models.detector.card, config.folder).file)).encode())
    return content.hexdigest()[:12]


def run_all(tasks: Sequence[Task], workers: int, key: str) -> list[dict[str, Any]]:
    """Run the tasks that have no kept result, in parallel; return all results in the order of the tasks."""
    KEPT.mkdir(parents=True, exist_ok=True)

    def place(task: Task) -> Path:
        name = "-".join(str(value) for value in dataclasses.astuple(task) if value not in ("", False))
        return KEPT / f"{key}-{name}.json"

    missing = [task for task in tasks if not place(task).exists()]
    print(f"{len(tasks) - len(missing)} of {len(tasks)} lanes are kept from before ({key})", flush=True)
    with worker_pool(workers) as pool:
        running = {pool.submit(run_task, task): task for task in missing}
        for done, future in enumerate(as_completed(running), start=1):
            result = future.result()
            write_atomic(place(running[future]), json.dumps(result))
            figures = bill_figures([restore(result["score"])])
            rate = result["frames"] / result["seconds"]
            print(
                f"{done}/{len(missing)} {running[future].name}: cAcc {figures['cacc']}, T4-F1 {figures['t4']['f1']}, "  # type: ignore[index]
                f"{result['frames']} frames at {rate:.0f}/s",
                flush=True,
            )
    return [json.loads(place(task).read_text()) for task in tasks]


def preset_rows(preset: str, results: Sequence[dict[str, Any]], suffix: str) -> list[dict[str, Any]]:
    """Return the figures of one preset, pooled over its seeds."""
    scores = [restore(result["score"]) for result in results]
    figures: dict[str, Any] = bill_figures(scores)
    counts = [judged.counts for judged in scores if judged.counts is not None]
    judged_frames = sum(count.judged for count in counts)
    cacc_bar, f1_bar = BARS[preset] if suffix == "" else (None, None)
    name = f"{preset}{suffix}"
    low, high = figures["cacc_ci95"] or (None, None)
    f1_low, f1_high = figures["t4"]["ci95"] or (None, None)
    values = [
        row(f"{name}_cacc", figures["cacc"], "share", cacc_bar),
        row(f"{name}_cacc_ci95_low", low, "share"),
        row(f"{name}_cacc_ci95_high", high, "share"),
        row(f"{name}_t4_f1", figures["t4"]["f1"], "share", f1_bar),
        row(f"{name}_t4_f1_ci95_low", f1_low, "share"),
        row(f"{name}_t4_f1_ci95_high", f1_high, "share"),
    ]
    for key in ("tp", "fp", "fn"):
        values.append(row(f"{name}_t4_{key}", figures["t4"][key], "lines"))
    for key in ("trays", "extra_bills", "acd", "mccd", "mciou", "ece", "aurc"):
        values.append(row(f"{name}_{key}", figures[key], "trays" if key == "trays" else "1"))
    values += [row(f"{name}_money_{key}", value, "EUR/tray") for key, value in figures["money"].items()]
    values.append(row(f"{name}_agreement_all", figures["agreement"]["all"], "share"))
    values.append(row(f"{name}_agreement_frequent", figures["agreement"]["frequent"], "share"))
    for key, value in (figures["delay_s"] or {}).items():
        values.append(row(f"{name}_delay_{key}", value, "s"))
    wrong = sum(count.wrong for count in counts)
    values.append(row(f"{name}_count_error", wrong / judged_frames if judged_frames else None, "share"))
    values.append(row(f"{name}_asks", sum(result["asks"] for result in results), "questions"))
    return values


def scene_row(scene: Scene, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the share of a staged scene's trays whose bill has exactly the lines that it must have."""
    trays = [tray for result in results for tray in restore(result["score"]).trays]
    real = [tray for tray in trays if tray.tray is not None]
    right = sum(sum(tray.ours.values()) == scene.lines and tray.wrong == 0 for tray in real)
    right -= min(len(trays) - len(real), right)
    return row(f"scene_{scene.name}", right / len(real) if real else None, "share", 1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="*", choices=list(BARS), default=list(BARS))
    parser.add_argument("--trays", type=int, default=200, help="per preset")
    parser.add_argument("--zone", choices=("tray", "frame"), default="tray")
    parser.add_argument("--through-mp4", action="store_true")
    parser.add_argument(
        "--truth-boxes", action="store_true", help="true boxes instead of pixels and detector: what the rules can reach"
    )
    parser.add_argument("--no-scenes", action="store_true")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--dry", action="store_true", help="print only, leave bench/results as it is")
    args = parser.parse_args(arguments)
    tasks = [
        Task(
            preset, FIRST_SEED + PRESET_SEEDS[preset] + i, TRAYS_PER_SEED, args.zone, args.through_mp4, args.truth_boxes
        )
        for preset in args.presets
        for i in range(-(-args.trays // TRAYS_PER_SEED))
    ]
    if not args.no_scenes:
        tasks += [
            Task("easy", FIRST_SEED + 300, 0, args.zone, args.through_mp4, args.truth_boxes, name) for name in SCENES
        ]
    results = run_all(tasks, args.workers, code_key(not args.truth_boxes))
    suffix = ("" if args.zone == "tray" else "_whole_frame") + ("_mp4" if args.through_mp4 else "")
    suffix += "_truth_boxes" if args.truth_boxes else ""
    rows: list[dict[str, Any]] = []
    for preset in args.presets:
        rows += preset_rows(
            preset, [r for r in results if r["task"]["preset"] == preset and not r["task"]["scene"]], suffix
        )
    for name, scene in SCENES.items():
        own = [result for result in results if result["task"]["scene"] == name]
        if own:
            rows.append(scene_row(scene, own))
    if args.dry:
        for line in rows:
            print(f"{line['name']:<36} {line['value']!s:>10} {line['unit']}")
    else:
        write_results("lane_accuracy" + suffix, rows)
    missed = [line["name"] for line in rows if line["reference"] is not None and (line["ratio"] or 0) < 1]
    print("missed: " + ", ".join(missed) if missed else "all bars are reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
