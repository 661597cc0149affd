"""What each part of the tracker earns: each is switched off in turn, and what got better without it can go.

`python -m bench.tracker_ablation [--parts NAME…]` writes `bench/results/tracker_ablation.json`: the stress set with
hands given when a part is off in the counter preset, and HOTA on MOT17-val and MOT17-train (boxes only) when it is off
in the pedestrian preset (`missing_stress`: the same worlds with a detector that misses more). The reference of each
row is the whole tracker in the same run: a ratio above 1 says that it does better without the part. To add a part, add
a line to `PARTS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import bench.one_thread  # noqa: F401
from bench.results_file import RESULTS, row, write_results
from bench.tracker_stress import run_case
from bench.tracker_tools import TOOLS, Maker, Options, Result, Tools, boxes_only, load_tools, stress_cases
from bench.tracker_tools import load_sequences as load
from tracker.mot import Step
from tracker.settings import COUNTER, PEDESTRIAN, TrackerSettings

Overrides = Mapping[str, Any]

#: Share of the detections that the weak detector misses: the stress set as it is tells too few parts apart.
MISSES = 0.7


@dataclass(frozen=True, slots=True)
class Part:
    """Settings that switch one part off in each preset; none where the preset does not use it anyway."""

    counter: Overrides = field(default_factory=dict)
    pedestrian: Overrides = field(default_factory=dict)


def both(**overrides: Any) -> Part:
    """Return a part that is switched off alike in both presets."""
    return Part(overrides, overrides)


PARTS: dict[str, Part] = {
    "group_motion": Part({"group_motion": False}),
    "keeps_size": Part({"keeps_size": False}),
    "duplicates": Part({"duplicate_iou": 1.0}),
    "twins": Part({"twin_overlap": 1.0, "twin_nested": 1.0}),
    "class_cost": both(class_weight=0.0),
    "buffered_iou": both(buffer=0.0),
    "centre_distance": both(distance_weight=0.0),
    "unseen_cost": both(unseen_weight=0.0),
    "growing_reach": both(reach_rate=0.0),
    "low_scores": both(low_score=0.5),
    "long_hold": Part({"hold_s": 1.0, "hold_per_s": 1.0, "occluded_s": 1.0}, {"hold_s": 0.5, "occluded_s": 0.5}),
    "relocation": Part({"relocate_s": 0.0}),
    "reentry": Part({"reentry_s": 0.0}),
    "hand_cover": Part({"hand_cover": 1.0}),
    "dish_cover": Part({"dish_cover": 1.0}),
    "hand_memory": Part({"hand_memory_s": 0.0}),
    "steady_coast": Part({"steady_coast_s": COUNTER.coast_s}),
    "coasted_output": Part({"coasted_s": 0.0}),
    "confirmation": Part({"confirm_s": 0.0}),
    "stay_when_slow": Part({"slow": 0.0}),
    "view_decorrelation": Part({"view_s": 0.001, "view_shift": 0.001}),
    "score_noise": both(score_noise=0.0),
    "decay_unseen": both(coast_s=1000.0, steady_coast_s=1000.0),
    "height_aware_iou": Part({}, {"height_weight": 0.0}),
    "adaptive_acceleration": Part({}, {"adapt_rate": 0.0, "adapt_size_rate": 0.0}),
    "sharp_report": Part({}, {"sharpness": 0.0}),
    # The other way round: a part that both presets leave off, switched on.
    "reupdate_off": both(reupdate_s=0.2),
}


def changed(settings: TrackerSettings, overrides: Overrides) -> TrackerSettings:
    """Return checked settings: a key that is not known any more is an error, so the table cannot rot."""
    return TrackerSettings(**{**settings.model_dump(), **overrides})


def maker_of(settings: TrackerSettings) -> Maker:
    """Return `make` for these settings."""

    def make(seq: Mapping[str, Any]) -> Any:
        return Step(seq, settings)

    return make


def stress_scores(tools: Tools, options: Options, overrides: Overrides) -> dict[str, float]:
    """Return mean kept and count error over the cases, kept of the worst case, and the same with a weak detector."""
    maker = maker_of(changed(COUNTER, overrides))
    found = {}
    for name, misses in (("stress", 0.0), ("missing_stress", MISSES)):
        scores = [
            run_case(tools, maker, case, options.stress_seeds, misses=misses) for case in stress_cases(tools, options)
        ]
        kept = [score.kept_percent for score in scores]
        found[f"{name}_kept"] = float(np.mean(kept))
        found[f"{name}_kept_worst_case"] = min(kept)
        found[f"{name}_count_error"] = float(np.mean([score.count_error for score in scores]))
        found[f"{name}_class_changes"] = float(np.mean([pair[1] for score in scores for pair in score.classes]))
    return found


def mot_scores(tools: Tools, sets: Mapping[str, list[Any]], overrides: Overrides) -> dict[str, float]:
    """Return HOTA on each set, boxes only, %."""
    maker = boxes_only(maker_of(changed(PEDESTRIAN, overrides)))
    return {
        f"{name.lower().replace('-', '_')}_hota": tools.bench.bench({name: maker}, sequences)[name]["all"]["HOTA"]
        for name, sequences in sets.items()
    }


def ablation_rows(tools: Tools, options: Options, parts: Mapping[str, Part]) -> list[Result]:
    """Return the whole tracker's figures, then those without each part."""
    sets = {name: load(tools, name, options) for name in options.sets}
    whole = {**stress_scores(tools, options, {}), **mot_scores(tools, sets, {})}
    rows = [row(f"whole_{name}", float(value), unit_of(name)) for name, value in whole.items()]
    print("whole", {name: round(float(value), 2) for name, value in whole.items()}, flush=True)
    for part, off in parts.items():
        found = stress_scores(tools, options, off.counter) if off.counter else {}
        found |= mot_scores(tools, sets, off.pedestrian) if off.pedestrian else {}
        for name, value in found.items():
            better = "lower" if name.endswith(("count_error", "changes")) else "higher"
            rows.append(row(f"without_{part}_{name}", value, unit_of(name), whole[name], better))
        print(
            "without", part, {name: round(float(value - whole[name]), 2) for name, value in found.items()}, flush=True
        )
    return rows


def unit_of(name: str) -> str:
    """Return the unit of a figure."""
    return "per dish" if name.endswith("changes") else "%"


def main() -> None:
    """Measure and write the results."""
    usual = Options()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS), help="parts to switch off")
    parser.add_argument("--seeds", type=int, default=usual.seeds, help="worlds of each stress case")
    parser.add_argument("--first-seed", type=int, default=usual.first_seed, help="the first of these worlds")
    parser.add_argument("--cases", nargs="+", default=(), help="stress cases instead of all")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    tools = load_tools()
    if tools is None:
        parser.error(f"no yardsticks under {TOOLS}; set TRAYLANE_TOOLS")
    options = Options(
        seeds=given.seeds, first_seed=given.first_seed, cases=tuple(given.cases), sets=("MOT17-val", "MOT17-train")
    )
    parts = {name: PARTS[name] for name in given.parts}
    write_results("tracker_ablation", ablation_rows(tools, options, parts), given.out)


if __name__ == "__main__":
    main()
