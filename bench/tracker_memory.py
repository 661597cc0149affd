"""How much memory a live tracker holds, and whether it grows over a million frames in which objects come and go."""

from __future__ import annotations

import copy
import gc
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import psutil

from bench.results_file import row
from bench.tracker_speed import SEQ, scene
from bench.tracker_tools import Maker, Result, Rows, Step
from tracker.compiled import KERNELS_S, loader
from tracker.mot import make, make_counter

LIVE_OBJECTS, LIVE_FRAMES, LIVE_BAR_KIB = 200, 500, 256.0
#: The churn repeats with this period (frames), so that two sizes are compared at the same moment of it.
PERIOD = 1000
#: At the end, of what there was after a tenth of the frames: the tracker's size may be this many times as large, and
#: the process may hold so many more Python objects and so much more memory.
GROWTH_BAR, BLOCKS_BAR, RSS_BAR_KIB = 1.1, 500, 1024.0
CHURN_SEQ = {"name": "churn", "fps": 5.0, "w": 640, "h": 360, "n": 0, "gmc": None}
PLACES, STAY_FRAMES = 6, (3, 25)


@contextmanager
def _traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def live_kib(maker: Maker, objects: int = LIVE_OBJECTS, frames: int = LIVE_FRAMES) -> float:
    """Return the KiB that a tracker holds after `frames` frames of `objects` objects."""
    detections = scene(objects, frames)
    for rows in detections[:3]:
        maker(SEQ)(rows)  # what a first call loads is not the tracker's
    with _traced():
        before = tracemalloc.get_traced_memory()[0]
        step = maker(SEQ)
        for rows in detections:
            step(rows)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / 1024


def churn(frames: int, seed: int = 0) -> list[Rows]:
    """Return detections of objects that come, are missed now and then, and go, under a hand at times; with ghosts."""
    rng = np.random.default_rng(seed)
    made: list[list[list[float]]] = [[] for _ in range(frames)]
    for place in range(PLACES):
        k = int(rng.integers(20))
        while k < frames:
            stay = int(rng.integers(*STAY_FRAMES))
            side, label = rng.uniform(40, 90), int(rng.integers(5))
            x, y = 20 + place % 3 * 200 + rng.uniform(0, 60), 20 + place // 3 * 170 + rng.uniform(0, 40)
            for t in range(k, min(k + stay, frames)):
                low = np.array([x, y]) + rng.normal(0, 1, 2)
                if rng.random() < 0.9:
                    made[t].append([*low, *(low + side), rng.uniform(0.3, 0.95), label])
                if rng.random() < 0.05:
                    made[t].append([x - 10, y - 10, x + 100, y + 100, 0.8, 9])
            k += stay + int(rng.integers(20, 120))
    return [np.array(rows, dtype=np.float64).reshape(-1, 6) for rows in made]


@dataclass(frozen=True, slots=True)
class Growth:
    """What changed between a tenth of a long run and its end.

    Attributes:
        early_kib, late_kib: memory that the tracker holds at the two moments.
        blocks: Python objects that the process holds more at the end.
        rss_kib: memory of the process that is more at the end.
        ids: the highest id that was shown.
    """

    early_kib: float
    late_kib: float
    blocks: int
    rss_kib: float
    ids: int


def held_kib(step: Step) -> float:
    """Return the KiB of a copy of all that a tracker holds.

    Tracing a million frames would take five times as long as running them, so only the copying is traced. What the
    copy misses (module-level state, the slack behind a view) shows in the blocks and the memory of the process.
    """
    with _traced():
        before = tracemalloc.get_traced_memory()[0]
        twin = copy.deepcopy(step)
        held = (tracemalloc.get_traced_memory()[0] - before) / 1024
        del twin
        return held


def growth(maker: Maker, frames: int) -> Growth:
    """Run a tracker through `frames` frames of churn; both moments are a whole number of periods after the start."""
    if frames < 10 * PERIOD:
        raise ValueError(f"growth is measured over at least {10 * PERIOD} frames, got {frames}")
    loader().wait(KERNELS_S)  # what loads in between is not the tracker's either
    period = churn(PERIOD)
    early, late = frames // 10 // PERIOD, frames // PERIOD
    step = maker(CHURN_SEQ)
    held_kib(step)  # what the first copy loads is not the tracker's
    kib, blocks, rss, highest = [], [], [], 0
    for lap in range(1, late + 1):
        for rows in period:
            shown = step(rows)
            if len(shown):
                highest = max(highest, int(shown[:, 4].max()))
        if lap in (early, late):
            kib.append(held_kib(step))
            gc.collect()
            blocks.append(sys.getallocatedblocks())
            rss.append(psutil.Process().memory_info().rss / 1024)
    return Growth(kib[0], kib[1], blocks[1] - blocks[0], rss[1] - rss[0], highest)


def memory_rows(frames: int, objects: int = LIVE_OBJECTS, live_frames: int = LIVE_FRAMES) -> list[Result]:
    """Return live KiB of both presets and the growth of the counter preset."""
    rows = []
    for name, maker in (("counter", make_counter), ("pedestrian", make)):
        kib = live_kib(maker, objects, live_frames)
        rows.append(row(f"memory_live_kib_{objects}_{name}", kib, "KiB", LIVE_BAR_KIB, "lower"))
    grown = growth(make_counter, frames)
    rows.append(row("memory_churn_frames", frames, "frames"))
    rows.append(row("memory_churn_ids", grown.ids, "ids"))
    rows.append(row("memory_churn_kib_at_10_percent", grown.early_kib, "KiB"))
    rows.append(row("memory_churn_kib_at_100_percent", grown.late_kib, "KiB"))
    rows.append(row("memory_churn_growth", grown.late_kib / grown.early_kib, "ratio", GROWTH_BAR, "lower"))
    rows.append(row("memory_churn_blocks_more", max(grown.blocks, 0), "blocks", BLOCKS_BAR, "lower"))
    rows.append(row("memory_churn_rss_more_kib", max(grown.rss_kib, 0.0), "KiB", RSS_BAR_KIB, "lower"))
    return rows
