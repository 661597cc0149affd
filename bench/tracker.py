"""How fast the tracker is beside a peer, and how well it holds identities on the tray stress set.

`python -m bench.tracker [--seeds N]` writes `bench/results/tracker.json`. Speed: boxes only, one thread, the peer
(ByteTrack of roboflow/trackers) alternating with ours in one process, so that the load of the machine hits both alike;
each frame counts with the best of its repeats. The stress set runs where `../shared/tools/mot` is there.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.results_file import ROOT, row, write_results
from tracker.mot import make, make_counter

TOOLS = Path(os.environ.get("TRAYLANE_TOOLS") or ROOT.parent / "shared" / "tools") / "mot"
SEQ = {"name": "speed", "fps": 30.0, "w": 1280, "h": 720, "n": 0, "gmc": None}
COUNTS = (10, 50, 200)
#: The best figure of numpy and filterpy peers for so many objects (frames/s), on the machine of the yardsticks.
MARKS = {10: 8000.0, 50: 5000.0, 200: 1800.0}
#: Mean identity kept (%) and mean count error (%) of the best peers over the stress set.
KEPT_MARK, COUNT_MARK = 82.4, 9.2

Frames = list[NDArray[np.float64]]
Call = Callable[[NDArray[np.float64]], object]


def scene(objects: int, frames: int, seed: int = 0) -> Frames:
    """Return detections of `objects` boxes on a grid that sway, with 1 % jitter and 3 % misses."""
    rng = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(objects * 16 / 9)))
    lines = int(np.ceil(objects / columns))
    cell = np.array([1280 / columns, 720 / lines])
    place = np.arange(objects)
    centre = (np.stack([place % columns, place // columns], axis=1) + 0.5) * cell
    side = np.tile(cell * 0.75, (objects, 1))
    phase = rng.uniform(0, 6, (objects, 2))
    made = []
    for t in range(frames):
        low = centre + 0.1 * cell * np.sin(0.05 * t + phase) + rng.normal(0, 0.01, (objects, 2)) * side - side / 2
        seen = rng.random(objects) < 0.97
        score = rng.uniform(0.6, 0.95, objects)
        made.append(np.column_stack([low, low + side, score, place % 5])[seen])
    return made


def peer() -> Call:
    """Return the update of roboflow/trackers' ByteTrack, taking the same rows."""
    import supervision
    import trackers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        machine = trackers.ByteTrackTracker(frame_rate=30.0)

    def update(rows: NDArray[np.float64]) -> object:
        found = supervision.Detections(
            xyxy=rows[:, :4].astype(np.float32),
            confidence=rows[:, 4].astype(np.float32),
            class_id=np.zeros(len(rows), int),
        )
        return machine.update(found)

    return update


def frames_per_second(makers: list[Callable[[], Call]], frames: Frames, repeats: int) -> list[tuple[float, float]]:
    """Return frames/s and the 99th percentile of a frame (ms) of each maker's tracker, run in turns."""
    best = np.full((len(makers), len(frames)), np.inf)
    for _ in range(repeats):
        for k, maker in enumerate(makers):
            call = maker()
            for i, rows in enumerate(frames):
                start = time.perf_counter()
                call(rows)
                best[k, i] = min(best[k, i], time.perf_counter() - start)
    return [(len(frames) / float(b.sum()), float(np.percentile(b, 99)) * 1e3) for b in best]


def speed_rows(repeats: int) -> list[dict[str, Any]]:
    """Return the figures of speed."""
    rows = []
    for objects in COUNTS:
        frames = scene(objects, 150)
        ours, theirs = frames_per_second([lambda: make_counter(SEQ), peer], frames, repeats)
        rows.append(row(f"frames_per_s_{objects}", ours[0], "frames/s", reference=MARKS[objects]))
        rows.append(row(f"frames_per_s_{objects}_over_bytetrack", ours[0] / theirs[0], "ratio", reference=1.0))
        rows.append(row(f"frame_p99_ms_{objects}", ours[1], "ms"))
    return rows


def load_stress(folder: Path) -> ModuleType:
    """Import the stress set, whose module `bench` has the name of this package: ours steps aside for a moment."""
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "bench"}
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("stress")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("bench", None)
        sys.modules.update(ours)


def stress_rows(seeds: int, hands: bool) -> list[dict[str, Any]]:
    """Return identity kept and count error for each case of the stress set, and their means."""
    stress = load_stress(TOOLS)
    suffix = "hands" if hands else "no_hands"
    rows, kept_all, count_all = [], [], []
    for case in stress.CASES:
        kept, weight, count = 0.0, 0, []
        for seed in range(seeds):
            sequence = stress.make(case, seed)
            if not hands:
                sequence.det = [d[d[:, 5] != stress.HAND] for d in sequence.det]
            tracks, _, _ = stress.bench.run_one(make_counter, sequence)
            scored = stress.score(sequence, tracks)
            kept, weight = kept + scored["kept"] * scored["nev"], weight + scored["nev"]
            count.append(abs(scored["cnt"]) * 100)
        kept_all.append(kept / max(weight, 1))
        count_all.append(float(np.mean(count)))
        rows.append(row(f"stress_{case}_kept_{suffix}", kept_all[-1], "%"))
        rows.append(row(f"stress_{case}_count_error_{suffix}", count_all[-1], "%"))
    mean_count = float(np.mean(count_all))
    return [
        row(f"stress_kept_{suffix}", float(np.mean(kept_all)), "%", reference=KEPT_MARK),
        row(f"stress_count_error_{suffix}", mean_count, "%", reference=COUNT_MARK, better="lower"),
        *rows,
    ]


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each stress case; 0 leaves the set out")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each speed scene")
    arguments = parser.parse_args()
    rows = speed_rows(arguments.repeats)
    pedestrian, _ = frames_per_second([lambda: make(SEQ), peer], scene(50, 150), arguments.repeats)
    rows.append(row("frames_per_s_50_pedestrian", pedestrian[0], "frames/s"))
    if arguments.seeds and (TOOLS / "stress.py").exists():
        rows += stress_rows(arguments.seeds, hands=True) + stress_rows(arguments.seeds, hands=False)
    elif arguments.seeds:
        print(f"no stress set under {TOOLS}: its rows are left out")
    write_results("tracker", rows)


if __name__ == "__main__":
    main()
