"""Measure how fast the synthetic lane renders on one core; writes `bench/results/render.json`.

Processor time of one thread counts, so that other work on the machine does not; wall-clock time is shown beside it.
"""

from __future__ import annotations

import argparse
import time

import cv2

from bench.results_file import row, write_results
from streams.synthetic.lane import SyntheticLane

#: The issue's bar, frames/s at 640x360 on one core.
MARK = 60.0


def measure(preset: str, width: int, height: int, frames: int, seed: int = 901) -> tuple[float, float]:
    """Return frames per second of processor time and of wall-clock time, after one frame of warm-up."""
    pictures = iter(SyntheticLane(seed, preset, width, height))
    next(pictures)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(frames):
        next(pictures)
    return frames / (time.process_time() - cpu), frames / (time.perf_counter() - wall)


def main() -> None:
    """Measure all presets at 640x360 and medium at 1280x720."""
    parser = argparse.ArgumentParser(description="Measure how fast the synthetic lane renders.")
    parser.add_argument("--frames", type=int, default=1200, help="frames per case (default: %(default)s)")
    frames = parser.parse_args().frames
    cv2.setNumThreads(1)
    rows = []
    for preset in ("easy", "medium", "hard"):
        cpu, wall = measure(preset, 640, 360, frames)
        rows.append(row(f"render_fps_{preset}_640x360", cpu, "frames/cpu-s", MARK))
        rows.append(row(f"render_wall_fps_{preset}_640x360", wall, "frames/s"))
    cpu, _ = measure("medium", 1280, 720, max(frames // 4, 1))
    rows.append(row("render_fps_medium_1280x720", cpu, "frames/cpu-s"))
    write_results("render", rows)


if __name__ == "__main__":
    main()
