"""Do we find wrong labels? AUROC for each kind, box by box, beside raw scores and IoU.

    python -m bench.label_issues --set lane [--preset hard] [--seeds 850100 850101 …] [--trays 3]
    python -m bench.label_issues --set epicure19 --init traynet@2 [--steps 120] [--size 224]

A tenth of the labels each is dropped, swapped and shifted (IoU 0.5 to 0.7), with `--draws` seeds. Then the finder sees
the wrong labels only. What is ranked:

- overlooked: what the finder may list, every place that no label explains (score 0.05 or more), and every dropped
  object; a dropped object that nobody saw counts with the score 0. `overlooked_all` adds all labels that are left, as
  ObjectLab counts boxes: an easier question.
- swapped, badly placed: all labels that are left, those with another fault among the right ones.

The baseline: the raw score of a place; 1 - the raw probability of the given class; 1 - IoU with the nearest detection.

Lane: detections of traynet@2, which learnt from lanes of seeds up to 400,019 and has seen no lane from 850,000 on: out
of fold for every picture. Lanes (videos) are dealt to the folds of calibration whole; the bootstrap draws pieces of ten
seconds. Seeds 850000 to 850013 were looked at while priors were chosen; the default ones were
measured once before the last change (how mix-ups are counted), which was made for a unit test, not for them.
epicure19: k fine-tunings of traynet on the wrong labels of the other folds (`--init` should not have seen the pictures:
the item head of traynet@2 saw four fifths of them, as boxes without classes; the first stage of `traylane train --edge`
saw none).
Writes `bench/results/label_issues.json`; the rows of the other set stay.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.label_corruption import Corrupted, auroc_with_interval, corrupt
from bench.results_file import RESULTS, row, write_results
from core.boxes import iou
from dataset.images import load_image
from dataset.reading import read_set
from dataset.records import DetectionSet
from dataset.splits import subset
from training.detection_scores import MATCH_IOU, Found
from training.label_issues.finder import Judged, judge
from training.label_issues.folds import fold_numbers

BARS = {"overlooked": 0.85, "swapped": 0.95, "misplaced": 0.80}
FROM_SCORE = 0.05
Scored = dict[str, tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]]


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="AUROC of the label-issue finder on labels made wrong.")
    parser.add_argument("--set", choices=["lane", "epicure19"], default="lane")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=list(range(850_100, 850_106)), help="lanes, from 850000"
    )
    parser.add_argument("--trays", type=int, default=3, help="trays of each lane")
    parser.add_argument("--preset", choices=["easy", "medium", "hard"], default="medium")
    parser.add_argument("--cache", type=Path, default=Path("var/label_issues"), help="rendered lanes and folds")
    parser.add_argument("--draws", type=int, default=3, help="how often labels are made wrong anew (lane only)")
    parser.add_argument("--init", default="traynet@2", help="epicure19: first weights")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=120, help="epicure19: of each fine-tuning")
    parser.add_argument("--size", type=int, default=224, help="epicure19: pixels of the net's input")
    args = parser.parse_args()
    if min(args.seeds) < 850_000:
        parser.error("--seeds: the detector learnt from lanes below 850000")
    started = time.monotonic()
    scored = _lane(args) if args.set == "lane" else _epicure(args)
    rows = []
    prefix = f"lane_{args.preset}" if args.set == "lane" else args.set
    for name, (scores, wrong, group) in scored.items():
        value, low, high = auroc_with_interval(scores, wrong, group)
        rows.append(row(f"{prefix}_{name}", value, "AUROC", BARS.get(name)))
        rows += [row(f"{prefix}_{name}_low", low, "AUROC"), row(f"{prefix}_{name}_high", high, "AUROC")]
        rows.append(row(f"{prefix}_{name}_boxes", len(wrong), "boxes"))
    rows.append(row(f"{prefix}_minutes", (time.monotonic() - started) / 60, "min"))
    write_results("label_issues", [*_rows_of_others(prefix), *rows])


def scored_boxes(judged: Judged, wrong: Corrupted, group: NDArray[np.int64]) -> Scored:
    """Return for each kind and its baseline: scores, which are wrong, and the group of each box."""
    labels, places, matches = judged.labels, judged.places, judged.matches
    free = ~matches.explained & ~places.excused & (places.scores >= FROM_SCORE)
    # Each dropped object belongs to the free place that overlaps it most; the others are false alarms.
    is_dropped = np.zeros(len(free), dtype=np.bool_)
    unseen: list[int] = []
    for picture, boxes in enumerate(wrong.dropped):
        rows = np.flatnonzero(free & (places.picture == picture))
        overlaps = iou(boxes.astype(np.float64), places.boxes[rows])
        for mine in overlaps:
            best = int(mine.argmax()) if len(mine) else -1
            if best >= 0 and mine[best] >= MATCH_IOU and not is_dropped[rows[best]]:
                is_dropped[rows[best]] = True
            else:
                unseen.append(picture)
    nothing = np.zeros(len(unseen))
    where = np.concatenate([group[places.picture[free]], group[np.array(unseen, dtype=np.int64)]])
    dropped = np.concatenate([is_dropped[free], nothing == 0])
    kept = np.zeros(len(labels.picture))
    where_all = np.concatenate([where, group[labels.picture]])
    dropped_all = np.concatenate([dropped, kept > 0])
    of_label = group[labels.picture]
    swapped = _in_table(wrong.swapped, labels.picture, labels.index)
    shifted = _in_table(wrong.shifted, labels.picture, labels.index)
    at = np.maximum(matches.place, 0)
    seen = matches.place >= 0
    raw_swap = np.where(seen, 1 - places.classes[at, labels.classes], 0.0)
    found = judged.overlooked[free]
    return {
        "overlooked": (np.concatenate([found, nothing]), dropped, where),
        "overlooked_baseline": (np.concatenate([places.scores[free], nothing]), dropped, where),
        "overlooked_all": (np.concatenate([found, nothing, kept]), dropped_all, where_all),
        "swapped": (judged.swapped, swapped, of_label),
        "swapped_baseline": (raw_swap, swapped, of_label),
        "misplaced": (judged.misplaced, shifted, of_label),
        "misplaced_baseline": (1 - matches.overlap, shifted, of_label),
    }


def _lane(args: argparse.Namespace) -> Scored:
    parts = []
    for seed in args.seeds:
        folder = args.cache / f"lane-{args.preset}-{seed}-{args.trays}"
        if not (folder / "coco" / "annotations.json").is_file():
            from streams.synthetic.export import write_lane

            write_lane(seed, args.trays, args.preset, folder, coco=True, fps=10.0)
        parts.append(read_set(folder / "coco"))
    whole = DetectionSet("lane", parts[0].labels, tuple(s for part in parts for s in part.samples), "")
    clean = subset(whole, range(len(whole)), "lane")
    lane = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    found = _detected(clean)
    # A picture a second: pieces of ten seconds, about a tray each, as whole lanes are too few for an interval.
    within = np.concatenate([np.arange(len(part)) for part in parts])
    group = lane * 1000 + within // 10
    drawn = []
    for seed in range(1, args.draws + 1):
        wrong = corrupt(clean, seed)
        drawn.append(scored_boxes(judge(found, wrong.wanted, lane % args.folds), wrong, group))
    return {
        name: tuple(np.concatenate([one[name][part] for one in drawn]) for part in range(3))  # type: ignore[misc]
        for name in drawn[0]
    }


def _detected(clean: DetectionSet) -> list[Found]:
    from models.bare_onnx import find_model
    from models.ort_detector import OrtDetector
    from models.settings import DetectorSettings
    from training.evaluation.class_match import match_classes
    from training.evaluation.predictions import detect_set

    detector = OrtDetector(find_model("traynet@2", precision="fp32"), DetectorSettings(min_score=0.01))
    try:
        return detect_set(detector, clean, match_classes(detector.labels, clean.labels, {}), load_image)
    finally:
        detector.close()


def _epicure(args: argparse.Namespace) -> Scored:
    from training.label_issues.crossfit import detect_out_of_fold, fold_settings

    photos = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets" / "epicure19_yolo"
    clean = read_set(photos)
    wrong = corrupt(clean, seed=1)
    folds = fold_numbers(clean, args.folds)
    settings = fold_settings(args.init, (args.size, args.size), args.steps)
    found = detect_out_of_fold(
        wrong.wanted,
        folds,
        settings,
        args.cache / "epicure19",
        lambda done, of: print(f"fold {done} of {of}", flush=True),
    )
    return scored_boxes(judge(found, wrong.wanted, folds), wrong, np.arange(len(clean)))


def _in_table(
    flags: tuple[NDArray[np.bool_], ...], picture: NDArray[np.int64], index: NDArray[np.int64]
) -> NDArray[np.bool_]:
    return np.array([flags[p][i] for p, i in zip(picture.tolist(), index.tolist(), strict=True)], dtype=np.bool_)


def _rows_of_others(name: str) -> list[dict[str, object]]:
    path = RESULTS / "label_issues.json"
    if not path.is_file():
        return []
    return [r for r in json.loads(path.read_text(encoding="utf-8"))["rows"] if not r["name"].startswith(f"{name}_")]


if __name__ == "__main__":
    main()
