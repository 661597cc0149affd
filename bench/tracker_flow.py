"""What optical flow gains and costs: the rendered stress set with it and without, and milliseconds a frame.

Rendered frames are half the size of the stress world (as the yardstick's `--render` writes them) while boxes keep its
pixels, so the tracker must see the scale from the image and `seq`.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.results_file import row
from bench.tracker_render import Image, Renderer
from bench.tracker_stress import CaseScore
from bench.tracker_tools import Options, Result, Rows, Tools, stress_cases, stress_world, thinned
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
#: Share of the detections that the weak detector misses.
MISSES = 0.8
#: Cost of flow to stay below, ms of CPU a frame.
COST_BARS = {"moving": 3.0, "still": 0.3}
WIDTH, HEIGHT, OBJECTS, COST_FRAMES = 640, 360, 10, 90


@dataclass(slots=True)
class Duel:
    """The same worlds without flow and with it."""

    off: CaseScore = field(default_factory=CaseScore)
    on: CaseScore = field(default_factory=CaseScore)

    def rows(self, name: str) -> list[Result]:
        """Return the figures of one case."""
        gain, off, on = self.gain, self.off, self.on
        print(f"{name:34s} kept: flow off {off.kept_percent:5.1f} on {on.kept_percent:5.1f}", flush=True)
        return [
            row(f"{name}_kept_flow", on.kept_percent, "%", off.kept_percent),
            row(f"{name}_kept_gain", gain, "points", 0.0),
            row(f"{name}_count_error_flow", on.count_error, "%", off.count_error, "lower"),
        ]

    @property
    def gain(self) -> float:
        """Points of kept that flow brings."""
        return self.on.kept_percent - self.off.kept_percent


def rendered_rows(tools: Tools, options: Options) -> list[Result]:
    """Return kept and count error with flow on and off, hands given, on the same rendered worlds.

    Boxes alone keep nearly all identities of these worlds, so the moving cases also run with a detector that misses
    `MISSES` of what it would find (rows `rendered_missing_*`): there is something to gain.
    """
    rows: list[Result] = []
    gains: dict[str, float] = {}
    missing: dict[str, float] = {}
    for case in sorted(stress_cases(tools, options), key=lambda c: c not in MOVING):
        duels = [Duel(), Duel()] if case in MOVING else [Duel()]
        for seed in range(options.first_seed, options.first_seed + options.flow_seeds):
            world = stress_world(tools, case, seed)
            thin = thinned(world.det, MISSES, seed)
            _fight(tools, world, options.full_frames, list(zip(duels, (world.det, thin), strict=False)))
        gains[case] = duels[0].gain
        rows += duels[0].rows(f"rendered_{case}")
        for duel in duels[1:]:
            missing[case] = duel.gain
            rows += duel.rows(f"rendered_missing_{case}")
    return [*_summary(gains, missing), *rows]


def _summary(gains: Mapping[str, float], missing: Mapping[str, float]) -> list[Result]:
    rows = [row("rendered_kept_worst_gain", min(gains.values()), "points", 0.0)]
    if missing:
        moving = float(np.mean([gains[case] for case in missing]))
        rows.append(row("rendered_kept_gain_moving", moving, "points", GAIN_BAR))
        thin = float(np.mean(list(missing.values())))
        rows.append(row("rendered_missing_kept_gain_moving", thin, "points", GAIN_BAR))
        rows.append(row("rendered_missing_kept_worst_gain", min(missing.values()), "points", 0.0))
    return rows


def _fight(tools: Tools, world: Any, full: bool, rounds: list[tuple[Duel, list[Rows]]]) -> None:
    """Score each round's detections without and with flow; each picture is drawn once for all."""
    seq = tools.bench.info(world)
    steps = [(make_counter(seq), make_counter(seq)) for _ in rounds]
    tracks: list[tuple[list[Rows], list[Rows]]] = [([], []) for _ in rounds]
    renderer = Renderer(tools, world, full)
    for index in range(world.n):
        picture = renderer.frame(index)
        for (_, detections), (off, on), (plain, with_flow) in zip(rounds, steps, tracks, strict=True):
            plain.append(np.array(off(detections[index].copy())))
            with_flow.append(np.array(on.with_frame(detections[index].copy(), picture.copy())))
    for (duel, _), (plain, with_flow) in zip(rounds, tracks, strict=True):
        duel.off.add(tools, world, plain)
        duel.on.add(tools, world, with_flow)


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


def flow_rows(repeats: int, frames: int = COST_FRAMES) -> list[Result]:
    """Return the cost of flow: CPU time of `with_frame` minus that of the boxes alone, each frame at its best."""
    seq = {"name": "flow", "fps": 30.0, "w": WIDTH, "h": HEIGHT, "n": 0, "gmc": None}
    rows = []
    for name, bar in COST_BARS.items():
        pictures, detections = flow_scene(name == "moving", frames)
        best = np.full((2, frames), np.inf)
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
