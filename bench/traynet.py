"""Score the shipped detector on synthetic lanes that no training has seen; writes `bench/results/traynet.json`.

    python -m bench.traynet [--lanes 20] [--frames 24] [--card traynet@2]

AP at IoU 0.5 regardless of class, and the share of found objects with the right class in a single picture, for each
preset, with 95 % bootstrap intervals over lanes; AP per label; the detector's time for one frame on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.results_file import row, write_results
from core.records import Frame
from models.card import load_card
from models.detector import Detector
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings
from training.evaluate import Figure, LaneScores, ap50, ap50_per_label, class_accuracy_of, score_lane
from training.synthetic_set import PRESET_SHARES, TEST_SEEDS_FROM

#: What the shipped detector has to reach so that the bills of a whole lane come out right.
MARKS = {"ap50_easy": 0.97, "ap50_medium": 0.92, "ap50_hard": 0.85}


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Score the shipped detector on unseen synthetic lanes.")
    parser.add_argument("--lanes", type=int, default=20, help="lanes of each preset")
    parser.add_argument("--frames", type=int, default=24, help="pictures of each lane")
    parser.add_argument("--card", default="traynet@2", help="name@version or path of a model card")
    args = parser.parse_args()
    detector = OrtDetector(
        load_card(args.card), DetectorSettings(card=args.card, min_score=0.02, threads=1, device="cpu")
    )
    rows: list[dict[str, Any]] = []
    every: list[LaneScores] = []
    for preset in PRESET_SHARES:
        seeds = range(TEST_SEEDS_FROM, TEST_SEEDS_FROM + args.lanes)
        lanes = [score_lane(detector, seed, preset, args.frames) for seed in seeds]
        every += lanes
        measures: list[tuple[str, Callable[[Sequence[LaneScores]], Figure]]] = [
            ("ap50", ap50),
            ("class_accuracy", class_accuracy_of),
        ]
        for name, measure in measures:
            figure = measure(lanes)
            rows.append(row(f"{name}_{preset}", figure.value, "ratio", MARKS.get(f"{name}_{preset}")))
            rows.append(row(f"{name}_{preset}_ci95_low", figure.low, "ratio"))
            rows.append(row(f"{name}_{preset}_ci95_high", figure.high, "ratio"))
    rows += [row(f"ap50_of_{label}", value, "ratio") for label, value in ap50_per_label(every).items()]
    rows.append(row("detect_ms_p50", detect_ms(detector), "ms", 8.0, "lower"))
    rows.append(row("pictures", 3 * args.lanes * args.frames, "pictures"))
    write_results("traynet", rows)
    detector.close()


def detect_ms(detector: Detector, repeats: int = 200) -> float:
    """Return the median time of one 640x360 frame through letterbox, network and decoder, in ms."""
    image = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    frame = Frame("bench", 0, 0.0, 0.0, image)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        detector.detect([frame])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3


if __name__ == "__main__":
    main()
