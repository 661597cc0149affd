"""Score the shipped detector's item head on photos of real counters, and both precisions' accuracy and time.

    python -m bench.edge [--card traynet@2] [--synthetic RUN/synthetic/best.pt] [--lanes 8]

- recall of the 20 best boxes and AP at IoU 0.5, without classes, at 320x320, on the fixed fifth of epicure19 and
  nextar2 that nothing was trained on (`dataset.splits.leave_out`); with --synthetic also for the first stage of
  `traylane train --edge`, which has seen no photo at all, on that fifth and on all photos;
- AP50 on lanes that no training has seen, fp32 and int8, on the same pictures;
- milliseconds of the network alone, one thread, 320x320 and 320x192, fp32 and int8 in turn.

`bench.traynet` has the lanes in full. Writes `bench/results/edge.json`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.results_file import row, write_results
from models.card import ModelCard, load_card
from models.device import Device
from models.ort_detector import OrtDetector
from models.runtimes import open_model
from models.settings import DetectorSettings
from training.evaluate import LaneScores, ap50, score_lane
from training.evaluation.run import Job, evaluate
from training.export import Origin, export
from training.synthetic_set import PRESET_SHARES, TEST_SEEDS_FROM

SQUARE, WIDE = (320, 320), (320, 192)
PHOTOS = {"epicure19": "epicure19_yolo", "nextar2": "nextar2_coco"}


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Score the shipped detector's item head, precisions and times.")
    parser.add_argument("--card", default="traynet@2")
    parser.add_argument("--synthetic", type=Path, help="best.pt of the first stage, which has seen no photo")
    default = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets"
    parser.add_argument("--datasets", type=Path, default=default)
    parser.add_argument("--lanes", type=int, default=8, help="unseen lanes of each preset for fp32 against int8")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, place in PHOTOS.items():
            rows += photo_rows(args.card, args.datasets / place, "aside", Path(folder), f"{name}_aside", 0.90)
        if args.synthetic is not None:
            card = Path(folder) / "traynet-synthetic@2.yaml"
            export(args.synthetic, card, WIDE, Origin("traynet-synthetic", "2", "Apache-2.0", "stage 1 of the recipe"))
            for name, place in PHOTOS.items():
                for part, which in (("aside", f"{name}_aside"), (None, f"{name}_all")):
                    label = f"synthetic_only_{which}"
                    rows += photo_rows(str(card), args.datasets / place, part, Path(folder), label, 0.60)
    rows += precision_rows(args.card, args.lanes)
    rows += time_rows(load_card(args.card))
    write_results("edge", rows)


def photo_rows(
    card: str, photos: Path, part: str | None, folder: Path, label: str, mark: float
) -> list[dict[str, Any]]:
    """Return recall@20 and AP50 without classes, with 95 % intervals, on one part of a set of photos."""
    job = Job(model=card, data=photos, out=folder / label, part=part, role="holdout", agnostic=True, size=SQUARE)
    scores = evaluate(job).record.sets[-1]
    rows = [row(f"pictures_{label}", scores.pictures, "pictures")]
    for name, reference in (("recall20_agnostic", mark), ("ap50_agnostic", None)):
        figure = scores.figures[name]
        rows.append(row(f"{name}_{label}", figure.value, "ratio", reference))
        rows.append(row(f"{name}_{label}_ci95_low", figure.low, "ratio"))
        rows.append(row(f"{name}_{label}_ci95_high", figure.high, "ratio"))
    return rows


def precision_rows(ref: str, lanes: int) -> list[dict[str, Any]]:
    """Return AP50 of fp32 and int8 on the same unseen lanes, and what int8 loses."""
    rows, values = [], {}
    for precision in ("fp32", "int8"):
        settings = DetectorSettings(card=ref, min_score=0.02, threads=1, device="cpu")
        detector = OrtDetector(load_card(ref, precision=precision), settings)
        scored: list[LaneScores] = [
            score_lane(detector, seed, preset, 12)
            for preset in PRESET_SHARES
            for seed in range(TEST_SEEDS_FROM, TEST_SEEDS_FROM + lanes)
        ]
        detector.close()
        values[precision] = ap50(scored).value or 0.0
        rows.append(row(f"ap50_unseen_lanes_{precision}", values[precision], "ratio"))
    return [*rows, row("int8_loses_ap50", values["fp32"] - values["int8"], "ratio", 0.01, "lower")]


def time_rows(card: ModelCard, rounds: int = 150) -> list[dict[str, Any]]:
    """Return the median milliseconds of one picture on one thread; precisions and sizes take turns."""
    marks = {("fp32", SQUARE): 7.0, ("int8", SQUARE): 4.0}
    cases = [(precision, size) for size in (SQUARE, WIDE) for precision in ("fp32", "int8")]
    runs, times = {}, {case: [] for case in cases}  # type: ignore[var-annotated]
    for precision, size in cases:
        weights = Path(card.file) if precision == "fp32" else _beside(card, precision)
        session = open_model(weights, Device("cpu"), DetectorSettings(threads=1))
        pixels = np.random.default_rng(0).integers(0, 256, (1, 3, size[1], size[0])).astype(np.float32)
        names = [output.name for output in session.outputs]
        runs[precision, size] = (session, names, {session.inputs[0].name: pixels})
    for _ in range(rounds):
        for case in cases:
            session, names, feed = runs[case]
            started = time.perf_counter()
            session.run(names, feed)
            times[case].append(time.perf_counter() - started)
    return [
        row(f"ms_{p}_{s[0]}x{s[1]}", statistics.median(times[p, s]) * 1e3, "ms", marks.get((p, s)), "lower")
        for p, s in cases
    ]


def _beside(card: ModelCard, precision: str) -> Path:
    return Path(load_card(card.ref, precision=precision).file)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
