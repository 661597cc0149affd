"""What optical flow gains and costs: the rendered stress set with it and without, and milliseconds a frame.

Rendered frames are half the size of the stress world (as the yardstick's `--render` writes them) while boxes keep its
pixels, so the tracker must see the scale from the image and `seq`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.results_file import row
from bench.tracker_render import Image, Renderer
from bench.tracker_stress import CaseScore
from bench.tracker_tools import Options, Result, Rows, Tools, stress_cases, stress_world
from tracker.mot import make_counter

#: Cases whose mean flow must raise by `GAIN_BAR` points of kept; on the others it may lose nothing.
MOVING = (
    "occl_moving_15",
    "occl_moving_45",
    "hand_carry",
    "fps_5",
    "shake_10",
    "shake_30",
    "shake_60",
    "tray_jump",
)
GAIN_BAR = 3.0
#: Cost of flow to stay below, ms of CPU a frame.
COST_BARS = {"moving": 3.0, "still": 0.3}
WIDTH, HEIGHT, OBJECTS, COST_FRAMES = 640, 360, 10, 90


def rendered_rows(tools: Tools, options: Options) -> list[Result]:
    """Return kept and count error with flow on and off, hands given, on the same rendered worlds."""
    rows: list[Result] = []
    gains: dict[str, float] = {}
    for case in sorted(stress_cases(tools, options), key=lambda c: c not in MOVING):
        off, on = CaseScore(), CaseScore()
        for seed in range(options.flow_seeds):
            world = stress_world(tools, case, seed)
            plain, with_flow = _both(tools, world, options.full_frames)
            off.add(tools, world, plain)
            on.add(tools, world, with_flow)
        gains[case] = on.kept_percent - off.kept_percent
        rows.append(row(f"rendered_{case}_kept_flow", on.kept_percent, "%", off.kept_percent))
        rows.append(row(f"rendered_{case}_kept_gain", gains[case], "points", 0.0))
        rows.append(row(f"rendered_{case}_count_error_flow", on.count_error, "%", off.count_error, "lower"))
        print(f"{case:18s} flow off {off.kept_percent:5.1f} on {on.kept_percent:5.1f}", flush=True)
    return [*_summary(gains), *rows]


def _summary(gains: Mapping[str, float]) -> list[Result]:
    rows = [row("rendered_kept_worst_gain", min(gains.values()), "points", 0.0)]
    moving = [gain for case, gain in gains.items() if case in MOVING]
    if moving:
        rows.insert(0, row("rendered_kept_gain_moving", float(np.mean(moving)), "points", GAIN_BAR))
    return rows


def _both(tools: Tools, world: Any, full: bool) -> tuple[list[Rows], list[Rows]]:
    """Return the tracks of each frame without and with flow; both trackers see each picture once."""
    seq = tools.bench.info(world)
    off, on = make_counter(seq), make_counter(seq)
    renderer = Renderer(tools, world, full)
    plain, with_flow = [], []
    for index, detections in enumerate(world.det):
        plain.append(np.array(off(detections.copy())))
        with_flow.append(np.array(on.with_frame(detections.copy(), renderer.frame(index))))
    return plain, with_flow


def flow_scene(moving: bool, frames: int, objects: int = OBJECTS, seed: int = 0) -> tuple[list[Image], list[Rows]]:
    """Return 640x360 pictures with sensor noise, and detections of textured discs that lie still or ride a belt."""
    rng = np.random.default_rng(seed)
    grain = rng.integers(60, 110, (HEIGHT // 4, WIDTH // 4)).astype(np.float32)
    table = np.repeat(np.repeat(grain, 4, 0), 4, 1)[:, :, None] * np.ones(3, np.float32)
    columns = (objects + 1) // 2
    place = np.arange(objects)
    centre = np.stack([(place % columns + 0.5) * WIDTH / columns, np.where(place < columns, 100.0, 250.0)], axis=1)
    radius = rng.uniform(25, 40, objects).astype(int)
    discs = [cv2.resize(rng.integers(90, 250, (9, 9, 3)).astype(np.float32), (2 * r, 2 * r)) for r in radius]
    pictures, detections = [], []
    for k in range(frames):
        at = centre.copy()
        at[:, 0] = (at[:, 0] + (2.5 * k if moving else 0.0)) % WIDTH
        picture = table.copy()
        for (x, y), r, disc in zip(at.tolist(), radius.tolist(), discs, strict=True):
            _paste(picture, disc, round(x) - r, round(y) - r)
        noisy = picture + rng.normal(0, 1.5, picture.shape)
        pictures.append(np.clip(noisy, 0, 255).astype(np.uint8))
        side = 2.0 * radius[:, None]
        low = at - side / 2 + rng.normal(0, 0.012, (objects, 2)) * side
        high = np.minimum(low + side, (WIDTH, HEIGHT))
        score = rng.uniform(0.7, 0.95, objects)
        rows = np.column_stack([np.maximum(low, 0), high, score, place % 5])
        detections.append(rows[rng.random(objects) < 0.97])
    return pictures, detections


def _paste(picture: NDArray[np.float32], disc: NDArray[np.float32], left: int, top: int) -> None:
    """Draw the part of a round patch that is inside the picture; its top is."""
    r = len(disc) / 2
    dy, dx = np.mgrid[: len(disc), : len(disc)] - r + 0.5
    first, last = max(0, -left), min(len(disc), WIDTH - left)
    inside = (dx * dx + dy * dy <= r * r)[:, first:last]
    window = picture[top : top + len(disc), left + first : left + last]
    window[inside] = disc[:, first:last][inside]


def flow_rows(repeats: int) -> list[Result]:
    """Return the cost of flow: CPU time of `with_frame` minus that of the boxes alone, each frame at its best."""
    seq = {"name": "flow", "fps": 30.0, "w": WIDTH, "h": HEIGHT, "n": 0, "gmc": None}
    rows = []
    for name, bar in COST_BARS.items():
        pictures, detections = flow_scene(name == "moving", COST_FRAMES)
        best = np.full((2, COST_FRAMES), np.inf)
        gc.collect()
        gc.disable()
        try:
            for _ in range(repeats):
                off, on = make_counter(seq), make_counter(seq)
                for k, (picture, found) in enumerate(zip(pictures, detections, strict=True)):
                    start = time.process_time()
                    off(found)
                    middle = time.process_time()
                    on.with_frame(found, picture)
                    best[:, k] = np.minimum(best[:, k], (middle - start, time.process_time() - middle))
        finally:
            gc.enable()
        cost = (best[1] - best[0]) * 1e3
        rows.append(row(f"flow_cost_ms_{name}", float(cost.mean()), "ms", bar, "lower"))
        rows.append(row(f"flow_cost_p99_ms_{name}", float(np.percentile(cost, 99)), "ms"))
    return rows
