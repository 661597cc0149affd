"""Do poor labels still teach? Half of the boxes dropped, a fifth of the classes flipped, a menu with a fat tail.

    python -m bench.hard_labels [--seeds 1 2 3] [--steps 240] [--only half_plain half_ours …]
    python -m bench.hard_labels --set epicure19 --seeds 1 --steps 150 [--only …]

Trays of the synthetic lane with a menu of twelve dishes (`bench/menu_lane.py`); only the training part is made worse.
A small traynet learns from scratch, with the same steps, pictures, augmentation and rates in every run, so that nothing
in its first weights knows these dishes. The score threshold is frozen where F1 is best on the validation lane with the
run on clean labels of the same seed; F1 is read on the test lane. Seeds of lanes are fixed below. Seed 1 is no clean
test of the method: a first version was run on it, and the detections of its runs on validation and test lane showed
what was wrong with the calibration (`training/finetune/belief.py`: the slope's bound, the share of wrong labels).

    clean          whole labels
    half_plain     half of the boxes dropped, taken as they are;      half_ours     with --incomplete
    half_told      half_ours that is told that half of the objects have a label
    flip_plain     a fifth of the classes flipped, taken as they are; flip_ours     with --noisy
    tail_plain     100 : 1 from the most to the least frequent dish;  tail_repeat   with --repeat-threshold
    tail_ours      tail_repeat with --logit-adjustment 1
    clean_asked    whole labels, with --incomplete and --noisy: what it costs where nothing is wrong

The tail is scored on the same test lane, where all dishes are alike frequent, by AP50 of the four rarest dishes over
that of the four most frequent. Intervals: 95 %, by drawing pieces of the test lane again, the same pieces for all.

epicure19: 19 classes of groceries, a traynet of full size from the card traynet@1, which has seen lanes only. The fixed
fifth of `dataset.splits.leave_out` is the test set; a fifth of the rest is the validation set. Labels that are missing
or loose in it as published stay so, in the test set too.
Runs that are there in --cache are not made again. Writes `bench/results/hard_labels.json`; the rows of the other set
stay.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.label_corruption import flipped, without_some
from bench.menu_lane import MENU, menu_lane
from bench.results_file import RESULTS, row, write_results
from core.files import write_atomic
from dataset.reading import read_set
from dataset.records import DetectionSet
from dataset.splits import leave_out
from training.detection_scores import Found
from training.evaluation.coco_ap import coco_figures
from training.evaluation.figures import counts_per_picture
from training.evaluation.matching import match_set
from training.evaluation.scores import quick_scores
from training.finetune.checkpoints import net_of_run
from training.finetune.distributed import World
from training.finetune.loop import finetune
from training.finetune.settings import (
    CheckpointRecipe,
    FinetuneSettings,
    IncompleteRecipe,
    NetRecipe,
    NoisyRecipe,
    OptimiserRecipe,
    ScheduleRecipe,
    StartRecipe,
)
from training.finetune.tutor import TAUGHT
from training.finetune.validation import found_on

#: Lanes: seed and trays. TAIL shows the dishes in the order of RARITY, 100 : 1.
TRAIN, VALIDATION, TEST, TAIL = (860_001, 80), (860_101, 24), (860_201, 50), (860_301, 160)
#: From the most frequent dish to the rarest; look-alikes (soups, hot drinks, fruit) are far apart.
RARITY = (
    *("pizza", "apple", "tea", "tomato_soup", "cola_glass", "spaghetti"),
    *("orange", "bread_roll", "green_salad", "coffee", "schnitzel_fries", "pea_soup"),
)
IMBALANCE = 100.0
NET = NetRecipe(size=(192, 128), widths=(8, 16, 32, 48, 64), depths=(0, 1, 1, 1), neck=32)
DRAWS = 1000
BAR, TAIL_BAR = 0.95, 0.90


@dataclass(frozen=True)
class Job:
    """A kind of run: which labels it gets, and which settings on top of the common ones."""

    labels: str
    changes: Mapping[str, Any]


JOBS = {
    "clean": Job("clean", {}),
    "half_plain": Job("half", {}),
    "half_ours": Job("half", {"incomplete": IncompleteRecipe(on=True)}),
    "half_told": Job("half", {"incomplete": IncompleteRecipe(on=True, labelled=0.5)}),
    "flip_plain": Job("flip", {}),
    "flip_ours": Job("flip", {"noisy": NoisyRecipe(on=True)}),
    "tail_plain": Job("tail", {}),
    "tail_repeat": Job("tail", {"repeat_threshold": 0.3}),
    "tail_ours": Job("tail", {"repeat_threshold": 0.3, "logit_adjustment": 1.0}),
    "clean_asked": Job("clean", {"incomplete": IncompleteRecipe(on=True), "noisy": NoisyRecipe(on=True)}),
}


@dataclass(frozen=True)
class Outcome:
    """What a run found on the validation and the test lane, and the last line of its journal."""

    validation: list[Found]
    test: list[Found]
    line: dict[str, float]


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Training on missing, wrong and unbalanced labels.")
    parser.add_argument("--set", choices=["lane", "epicure19"], default="lane")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--cache", type=Path, default=Path("var/hard_labels"))
    args = parser.parse_args()
    started = time.monotonic()
    lanes = Lanes(args.cache) if args.set == "lane" else Photos(args.cache)
    outcomes = {}
    for seed in args.seeds:
        for name in args.only:
            outcomes[name, seed] = run(name, seed, args.steps, lanes)
            print(f"{name} seed {seed}: {outcomes[name, seed].line}", flush=True)
    prefix = "" if args.set == "lane" else f"{args.set}_"
    rows = figures(outcomes, lanes, args.seeds, prefix)
    rows.append(row(f"{prefix}minutes", (time.monotonic() - started) / 60, "min"))
    write_results("hard_labels", [*_rows_of_others(args.set), *rows])


class Lanes:
    """The pictures of all runs, rendered when they are first asked for."""

    net, init, augment, rate = NET, "", "light", 3e-3
    #: Pictures that are drawn together: about two trays, as neighbours look alike.
    piece = 6

    def __init__(self, cache: Path) -> None:
        self.runs = cache / "runs"
        even = np.ones(len(MENU))
        self.clean = menu_lane(cache / "train", *TRAIN, even)
        self.validation = menu_lane(cache / "validation", *VALIDATION, even)
        self.test = menu_lane(cache / "test", *TEST, even)
        rank = np.array([RARITY.index(name) for name in MENU])
        self.tail = menu_lane(cache / "tail", *TAIL, IMBALANCE ** (-rank / (len(MENU) - 1)))

    def labelled(self, labels: str, seed: int) -> DetectionSet:
        """Return what a run with this seed learns from."""
        makers: dict[str, Callable[[], DetectionSet]] = {
            "clean": lambda: self.clean,
            "half": lambda: without_some(self.clean, seed),
            "flip": lambda: flipped(self.clean, seed),
            "tail": lambda: self.tail,
        }
        return makers[labels]()


class Photos(Lanes):
    """epicure19 in their place; no tail."""

    net, init, augment, rate = NetRecipe(size=(224, 224)), "traynet@1", "counter", 2e-3
    piece = 1

    def __init__(self, cache: Path) -> None:
        self.runs = cache / "runs_epicure19"
        photos = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets" / "epicure19_yolo"
        rest, self.test = leave_out(read_set(photos))
        self.clean, self.validation = leave_out(rest, salt="hard labels")


def run(name: str, seed: int, steps: int, lanes: Lanes) -> Outcome:
    """Train once, or take the outcome from the cache."""
    kept = lanes.runs / f"{name}-{seed}-{steps}.json"
    if not kept.is_file():
        job = JOBS[name]
        settings = FinetuneSettings(
            net=lanes.net,
            start=StartRecipe(init=lanes.init),
            steps=steps,
            batch=8,
            optimiser=OptimiserRecipe(rate=lanes.rate),
            schedule=ScheduleRecipe(kind="cosine", unit="steps", warm_up=20),
            augment=lanes.augment,
            ema=0.98,
            validate_every=1_000_000,
            checkpoints=CheckpointRecipe(every_epochs=1_000_000),
            gate=False,
            allow_missing_classes=True,
            seed=seed,
            threads=1,
            device="cpu",
        ).model_copy(update=dict(job.changes))
        with tempfile.TemporaryDirectory() as folder:
            finetune(lanes.labelled(job.labels, seed), lanes.validation, settings, Path(folder))
            net = net_of_run(Path(folder))
            line = json.loads((Path(folder) / "metrics.jsonl").read_text().splitlines()[-1])
        sets = [found_on(net, one, 8, settings.longest_px, World()) for one in (lanes.validation, lanes.test)]
        content = {
            "line": line,
            "validation": [_plain(one) for one in sets[0]],
            "test": [_plain(one) for one in sets[1]],
        }
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, json.dumps(content))
    content = json.loads(kept.read_text())
    told = {key: value for key, value in content["line"].items() if key in ("ap50", "f1_best", *TAUGHT)}
    return Outcome([_found(one) for one in content["validation"]], [_found(one) for one in content["test"]], told)


def figures(
    outcomes: Mapping[tuple[str, int], Outcome], lanes: Lanes, seeds: Sequence[int], prefix: str
) -> list[dict[str, Any]]:
    """Return the rows: F1 at the frozen threshold, its share of the clean one, the tail's AP, and what was believed."""
    rows = [row("seeds", len(seeds), "runs"), row("test_pictures", len(lanes.test), "pictures")]
    rows += [*_f1_rows(outcomes, lanes), *_tail_rows(outcomes, lanes), *_belief_rows(outcomes)]
    return [one | {"name": prefix + one["name"]} for one in rows]


def _f1_rows(outcomes: Mapping[tuple[str, int], Outcome], lanes: Lanes) -> list[dict[str, Any]]:
    counted: dict[str, list[NDArray[np.int64]]] = {}  # per seed (pictures, 3): hits, false, missed
    for (name, seed), outcome in outcomes.items():
        if ("clean", seed) in outcomes:
            clean = outcomes["clean", seed].validation
            threshold = quick_scores(clean, lanes.validation)["f1_best_threshold"]
            parts = counts_per_picture(match_set(outcome.test, lanes.test), threshold)
            counted.setdefault(name, []).append(np.stack(parts, axis=1))
    rng = np.random.default_rng(0)
    pieces = np.array_split(np.arange(len(lanes.test)), max(1, len(lanes.test) // lanes.piece))
    drawn = [np.concatenate([pieces[i] for i in rng.integers(0, len(pieces), len(pieces))]) for _ in range(DRAWS)]
    everything = np.arange(len(lanes.test))
    rows = []
    for name, tables in counted.items():
        rows.append(row(f"{name}_f1_frozen", _f1(tables, everything), "ratio"))
        best = [quick_scores(one.test, lanes.test)["f1_best"] for one in _of(outcomes, name)]
        rows.append(row(f"{name}_f1_best", float(np.mean(best)), "ratio"))
        aps = [np.nanmean(_ap_by_class(one.test, lanes.test)) for one in _of(outcomes, name)]
        rows.append(row(f"{name}_ap50", float(np.mean(aps)), "ratio"))
        if name.startswith(("half", "flip", "clean_")):
            share = _f1(tables, everything) / _f1(counted["clean"], everything)
            shares = [_f1(tables, some) / _f1(counted["clean"], some) for some in drawn]
            rows += _with_interval(f"{name}_of_clean", share, shares, None if name.endswith("plain") else BAR)
    return rows


def _tail_rows(outcomes: Mapping[tuple[str, int], Outcome], lanes: Lanes) -> list[dict[str, Any]]:
    if lanes.test.labels != MENU:
        return []
    rank = np.array([RARITY.index(name) for name in MENU])
    third, rows = len(MENU) // 3, []
    # Dishes differ: what each third is worth where all are alike frequent (clean) stands beside it.
    for name in dict.fromkeys(name for name, _ in outcomes if name.startswith("tail") or name == "clean"):
        aps = np.nanmean([_ap_by_class(one.test, lanes.test) for one in _of(outcomes, name)], axis=0)
        parts = [float(np.nanmean(aps[(rank >= low) & (rank < low + third)])) for low in (0, third, 2 * third)]
        for part, value in zip(("frequent", "middle", "rare"), parts, strict=True):
            rows.append(row(f"{name}_ap50_{part}", value, "ratio"))
        bar = TAIL_BAR if name == "tail_ours" else None
        rows.append(row(f"{name}_rare_of_frequent", parts[2] / parts[0], "ratio", bar))
    return rows


def _belief_rows(outcomes: Mapping[tuple[str, int], Outcome]) -> list[dict[str, Any]]:
    """Return what the journals say of the runs that were asked to doubt: means over the whole run."""
    rows = []
    for name in dict.fromkeys(name for name, _ in outcomes if name.endswith(("ours", "told", "asked"))):
        lines = [one.line for one in _of(outcomes, name)]
        for key in (key for key in TAUGHT if all(key in line for line in lines)):
            rows.append(row(f"{name}_{key}", float(np.mean([line[key] for line in lines])), "mean of the run"))
    return rows


def _of(outcomes: Mapping[tuple[str, int], Outcome], name: str) -> list[Outcome]:
    return [outcome for (which, _), outcome in outcomes.items() if which == name]


def _f1(tables: Sequence[NDArray[np.int64]], pictures: NDArray[np.int64]) -> float:
    hits, false, missed = np.sum([table[pictures].sum(axis=0) for table in tables], axis=0)
    return float(2 * hits / max(2 * hits + false + missed, 1))


def _with_interval(name: str, value: float, drawn: Sequence[float], bar: float | None) -> list[dict[str, Any]]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return [row(name, value, "ratio", bar), row(f"{name}_low", low, "ratio"), row(f"{name}_high", high, "ratio")]


def _ap_by_class(found: list[Found], wanted: DetectionSet) -> NDArray[np.float64]:
    return np.array([np.nan if ap is None else ap for ap in coco_figures(found, wanted).ap50_by_class])


def _rows_of_others(name: str) -> list[dict[str, Any]]:
    path = RESULTS / "hard_labels.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    return [one for one in rows if one["name"].startswith("epicure19_") != (name == "epicure19")]


def _plain(found: Found) -> list[list[float]]:
    return [found.boxes.ravel().tolist(), found.scores.tolist(), found.classes.tolist()]


def _found(plain: Sequence[Sequence[float]]) -> Found:
    boxes, scores, classes = plain
    return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int64))


if __name__ == "__main__":
    main()
