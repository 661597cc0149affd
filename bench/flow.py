"""What the optical flow costs, and how exact it is, on frames whose motion is known.

`python -m bench.flow [--seeds N] [--stress-frames N]` writes `bench/results/flow.json`. Cost: CPU time of a reading at
640x360 with ten tracks, from RGB frame to result, on the synthetic lane, with one OpenCV thread and with as many
as it takes by itself. Exactness: the displacement of each dish against the lane's truth, and the motion of the camera
against the shaken cases of the tray stress set, where `../shared/tools/mot` is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.results_file import row, write_results
from bench.tracker_tools import TOOLS, Tools, load_tools
from core.records import HAND
from streams.synthetic.lane import SyntheticLane
from tracker.flow import FlowSettings, OpticalFlow

WIDTH, HEIGHT, FPS = 640, 360, 20.0
TRACKS = 10
PRESETS = ("easy", "medium", "hard")
SHAKES = ("shake_10", "shake_30", "shake_60")
#: A dish of which less can be seen is thought to be hidden by the engine; more, and its motion is judged here.
HIDDEN, WELL_SEEN = 0.3, 0.7
#: A reading of at least this certainty is judged.
CERTAIN = 0.5
MOVES_PX = 0.3

Floats = NDArray[np.float64]
Step = tuple[NDArray[np.uint8], Floats, NDArray[np.int64], Floats]


def lane(preset: str, seed: int) -> Iterator[Step]:
    """Yield the frames of one tray, and boxes, ids and visible shares of its dishes."""
    for image, truth in SyntheticLane(seed, preset, WIDTH, HEIGHT, FPS, trays=1):
        dish = np.array([label != HAND for label in truth.labels], bool)
        boxes = truth.boxes[dish].astype(np.float64).reshape(-1, 4)
        yield image, boxes, truth.object_ids[dish], truth.visible[dish].astype(np.float64)


def padded(boxes: Floats, ids: NDArray[np.int64], seen: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Put boxes of the counter beside those of the dishes, so that there are `TRACKS`."""
    more = max(TRACKS - len(boxes), 0)
    x = 20.0 + 60.0 * np.arange(more)
    extra = np.column_stack([x, np.full(more, 20.0), x + 50.0, np.full(more, 70.0)])
    return np.vstack([boxes, extra]), np.append(ids, 10**6 + np.arange(more)), np.append(seen, np.ones(more))


def cost_rows(seeds: int) -> list[dict[str, Any]]:
    """Return CPU time per frame, moving and still, with one thread and with OpenCV's own choice."""
    default = cv2.getNumThreads()
    moving: dict[int, list[float]] = {1: [], default: []}
    still: dict[int, list[float]] = {1: [], default: []}
    for preset in ("easy", "hard"):
        for seed in range(seeds):
            flows = {threads: OpticalFlow(FlowSettings()) for threads in moving}
            last = padded(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
            for image, *now in lane(preset, seed):
                for threads, flow in flows.items():
                    cv2.setNumThreads(threads)
                    start = time.process_time()
                    reading = flow.read(image, last[0], last[1], last[2] < HIDDEN)
                    (still if reading.still else moving)[threads].append((time.process_time() - start) * 1e3)
                last = padded(*now)
    cv2.setNumThreads(default)
    return [
        row("moving_ms_median", float(np.median(moving[1])), "ms", reference=3.0, better="lower"),
        row("moving_ms_p99", float(np.percentile(moving[1], 99)), "ms"),
        row("still_ms_median", float(np.median(still[1])), "ms", reference=0.3, better="lower"),
        row("moving_ms_median_default_threads", float(np.median(moving[default])), "ms", 3.0, "lower"),
        row("moving_ms_p99_default_threads", float(np.percentile(moving[default], 99)), "ms"),
        row("still_ms_median_default_threads", float(np.median(still[default])), "ms", 0.3, "lower"),
    ]


def displacement_errors(preset: str, seed: int) -> tuple[Floats, int]:
    """Return the errors (K,) of certain displacements of moving, well seen dishes, pixels, and how many there were."""
    flow = OpticalFlow(FlowSettings())
    boxes, ids, seen = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0)
    errors, asked = [], 0
    for image, now, now_ids, now_seen in lane(preset, seed):
        reading = flow.read(image, boxes, ids, seen < HIDDEN)
        _, rows, now_rows = np.intersect1d(ids, now_ids, return_indices=True)
        # A box that is cut at the edge of the frame does not tell where its dish went.
        both = np.stack([boxes[rows], now[now_rows]])
        whole = ((both[..., :2] > 1) & (both[..., 2:] < (WIDTH - 1, HEIGHT - 1))).all(axis=(0, 2))
        step = (both[1, :, :2] + both[1, :, 2:] - both[0, :, :2] - both[0, :, 2:]) / 2
        judged = whole & (np.minimum(seen[rows], now_seen[now_rows]) > WELL_SEEN)
        judged &= (np.hypot(step[:, 0], step[:, 1]) > MOVES_PX) & (not reading.still)
        certain = judged & (reading.certain[rows] >= CERTAIN)
        off = reading.moved[rows] - step
        errors.append(np.hypot(off[:, 0], off[:, 1])[certain])
        asked += int(judged.sum())
        boxes, ids, seen = now, now_ids, now_seen
    return np.concatenate(errors), asked


def displacement_rows(seeds: int) -> list[dict[str, Any]]:
    """Return how exact the displacement of dishes is on the lane, by preset."""
    rows = []
    for preset in PRESETS:
        runs = [displacement_errors(preset, seed) for seed in range(seeds)]
        errors, asked = np.concatenate([run[0] for run in runs]), sum(run[1] for run in runs)
        rows += [
            row(f"lane_{preset}_moving_dishes", asked, "dishes x frames"),
            row(f"lane_{preset}_certain_share", len(errors) / max(asked, 1), "ratio"),
            row(f"lane_{preset}_error_px_median", float(np.median(errors)), "px"),
            row(f"lane_{preset}_error_px_p99", float(np.percentile(errors, 99)), "px"),
        ]
    return rows


def camera_rows(tools: Tools, frames: int) -> list[dict[str, Any]]:
    """Return how exact the camera's motion is on the shaken stress cases, rendered and halved to 640x360."""
    stress = tools.stress
    corners = np.array([[0, 0], [WIDTH, 0], [0, HEIGHT], [WIDTH, HEIGHT], [WIDTH / 2, HEIGHT / 2]], float)
    rows = []
    for case in SHAKES:
        sequence, flow = stress.make(case, 0), OpticalFlow(FlowSettings())
        errors, known, boxes, ids = [], 0, np.zeros((0, 4)), np.zeros(0, np.int64)
        for j in range(min(frames, sequence.n)):
            large = stress.render(sequence, j)
            image = np.asarray(cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
            reading = flow.read(image, boxes, ids, np.zeros(len(ids), bool))
            if j:
                # The renderer lays the background at whole pixels of 1280x720.
                step = (np.round(sequence.cam[j]) - np.round(sequence.cam[j - 1])) / 2
                off = corners @ reading.camera[:, :2].T + reading.camera[:, 2] - corners - step
                errors.append(float(np.hypot(off[:, 0], off[:, 1]).mean()))
                known += reading.camera_certain > 0
            truth = sequence.gt[j]
            boxes, ids = np.hstack([truth[:, 2:4], truth[:, 2:4] + truth[:, 4:6]]) / 2, truth[:, 1].astype(np.int64)
        rows += [
            row(f"{case}_camera_known_share", known / max(len(errors), 1), "ratio"),
            row(f"{case}_camera_error_px_mean", float(np.mean(errors)), "px", reference=0.15, better="lower"),
            row(f"{case}_camera_error_px_p99", float(np.percentile(errors, 99)), "px"),
        ]
    return rows


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="trays of each preset")
    parser.add_argument("--stress-frames", type=int, default=120, help="frames of each shaken case; 0 leaves them out")
    arguments = parser.parse_args()
    rows = cost_rows(arguments.seeds) + displacement_rows(arguments.seeds)
    tools = load_tools() if arguments.stress_frames else None
    if tools is not None:
        rows += camera_rows(tools, arguments.stress_frames)
    elif arguments.stress_frames:
        print(f"no stress set under {TOOLS}: its rows are left out")
    write_results("flow", rows)


if __name__ == "__main__":
    main()
