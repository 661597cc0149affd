"""How many frames a CPU second each preset takes, boxes only, in turns with peers in one process.

Each frame counts with the best of its repeats: what is left is the work, not the other programs of the machine.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.results_file import row
from bench.tracker_peers import PEERS, Runner
from bench.tracker_tools import Result, Rows
from tracker.compiled import KERNELS_S, loader
from tracker.mot import Step, make, make_counter
from tracker.settings import PEDESTRIAN

SEQ = {"name": "speed", "fps": 30.0, "w": 1280, "h": 720, "n": 0, "gmc": None}
FRAMES = 150
COUNTS = (10, 50, 200)
#: Frames/s to reach for so many objects without the occlusion and state logic of the counter preset ...
MARKS = {10: 8000.0, 50: 5000.0, 200: 1800.0}
#: ... which may cost no more than to leave this share of them.
COUNTER_SHARE = 0.6
#: ms of CPU that 99 % of the frames stay below, with that logic.
P99_MARKS = {50: 0.6, 200: 2.0}
#: The filterpy peer is slow: it runs so many times only.
SLOW_REPEATS = 2

Times = NDArray[np.float64]


def scene(objects: int, frames: int, seed: int = 0) -> list[Rows]:
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


def ours(maker: Callable[[Mapping[str, object]], Callable[[Rows], Rows]]) -> Callable[[], Runner]:
    """Return a maker of one of our presets for the clock."""
    return lambda: ((lambda rows: rows), maker(SEQ))


def by_numpy(seq: Mapping[str, object]) -> Step:
    """Return the pedestrian preset as it runs where numba is not installed."""
    return Step(seq, PEDESTRIAN.model_copy(update={"compiled": "never"}))


def frame_times(makers: Mapping[str, Callable[[], Runner]], frames: list[Rows], repeats: int) -> dict[str, Times]:
    """Return the CPU seconds (F,) of each frame for each tracker, run in turns, at the best of the repeats."""
    best = {name: np.full(len(frames), np.inf) for name in makers}
    gc.collect()
    gc.disable()
    try:
        for repeat in range(repeats):
            for name, maker in makers.items():
                if name == "filterpy_sort" and repeat >= SLOW_REPEATS:
                    continue
                prepare, update = maker()
                for i, rows in enumerate(frames):
                    given = prepare(rows)
                    start = time.process_time()
                    update(given)
                    best[name][i] = min(best[name][i], time.process_time() - start)
    finally:
        gc.enable()
    return best


def speed_rows(repeats: int, counts: tuple[int, ...] = COUNTS, frames: int = FRAMES) -> list[Result]:
    """Return frames/s of both presets, with and without kernels, and of the peers, and the percentiles of a frame."""
    loader().wait(KERNELS_S)
    makers = {"pedestrian": ours(make), "counter": ours(make_counter), "numpy": ours(by_numpy), **PEERS}
    rows = []
    for n in counts:
        best = frame_times(makers, scene(n, frames), repeats)
        speed = {name: frames / float(times.sum()) for name, times in best.items()}
        share = COUNTER_SHARE * speed["pedestrian"]
        rows.append(row(f"frames_per_s_{n}", speed["pedestrian"], "frames/s", MARKS.get(n)))
        rows.append(row(f"counter_frames_per_s_{n}", speed["counter"], "frames/s", share))
        rows += [row(f"{name}_frames_per_s_{n}", speed[name], "frames/s") for name in ("numpy", *PEERS)]
        rows.append(row(f"frames_per_s_{n}_over_bytetrack", speed["pedestrian"] / speed["bytetrack"], "ratio", 1.0))
        for name, prefix in (("counter", ""), ("pedestrian", "pedestrian_")):
            p50, p99 = np.percentile(best[name] * 1e3, (50, 99)).tolist()
            rows.append(row(f"{prefix}frame_p50_ms_{n}", p50, "ms"))
            rows.append(row(f"{prefix}frame_p99_ms_{n}", p99, "ms", P99_MARKS.get(n), "lower"))
        print(n, {name: round(value) for name, value in speed.items()}, flush=True)
    return rows
