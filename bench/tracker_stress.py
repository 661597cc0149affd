"""How well identities are held on the tray stress set: each case beside its goal, with and without hands given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.results_file import row
from bench.tracker_tools import Maker, Options, Result, Tools, slug, stress_cases, stress_world, thinned, without_hands
from tracker.mot import make_counter

#: Bars of the issue: mean kept and mean count error, %, with hands given; and kept without.
KEPT_BAR, COUNT_BAR, KEPT_BAR_NO_HANDS = 96.0, 3.0, 90.0
#: Goals of the yardsticks' README, %: identity kept, and count error where one is named.
GOALS: dict[str, tuple[float, float | None]] = {
    "plain": (99, 1),
    "occl_static_15": (98, 1),
    "occl_static_60": (95, 1),
    "occl_static_150": (90, 1),
    "occl_moving_15": (96, 3),
    "occl_moving_45": (70, 25),
    "cross_identical": (98, 1),
    "bounce_identical": (98, 1),
    "hand_carry": (75, 8),
    "hand_sweep": (98.5, 1),
    "reentry_15": (95, None),
    "replace": (95, None),
    "jitter_3": (99, 1),
    "jitter_8": (99, 1),
    "merge_split": (99, 1),
    "stack": (99, 1),
    "clutter_3": (99, 1),
    "dup_40": (99, 1),
    "miss_50": (100, None),
    "miss_70": (98, None),
    "fps_5": (98, None),
    "shake_10": (100, 1),
    "shake_30": (100, 1),
    "shake_60": (99, 1),
    "tray_jump": (99, None),
}
NO_SWITCH = ("plain", "jitter_3", "jitter_8", "merge_split", "stack", "clutter_3", "dup_40")
IDF1_GOALS = {"miss_50": 93.0, "miss_70": 78.0}
CLASS_CASE, CLASS_GOAL, CHANGES_GOAL = "class_flicker_25", 100.0, 0.3


@dataclass(slots=True)
class CaseScore:
    """Scores of one case over its seeds, as the yardstick averages them: `kept` by events, the rest by worlds."""

    kept: float = 0.0
    events: int = 0
    count: list[float] = field(default_factory=list)
    classes: list[tuple[float, float]] = field(default_factory=list)
    evaluated: dict[str, Any] = field(default_factory=dict)

    def add(self, tools: Tools, world: Any, tracks: list[Any], evaluate: bool = False) -> None:
        """Score one world; `evaluate` asks for TrackEval's metrics too."""
        found = tools.stress.score(world, tracks)
        self.kept += found["kept"] * found["nev"]
        self.events += found["nev"]
        self.count.append(abs(found["cnt"]) * 100)
        if found["cls"]:
            self.classes.append(found["cls"])
        if evaluate:
            self.evaluated[world.name] = tools.bench.score(tools.bench.to_eval(world, tracks))

    @property
    def kept_percent(self) -> float:
        """Share of the events over which the identity was kept, %."""
        return self.kept / max(self.events, 1)

    @property
    def count_error(self) -> float:
        """Mean of |ids - dishes| / dishes, %."""
        return float(np.mean(self.count))


def run_case(
    tools: Tools,
    maker: Maker,
    case: str,
    seeds: range,
    hands: bool = True,
    evaluate: bool = False,
    misses: float = 0.0,
) -> CaseScore:
    """Run `maker`'s tracker through the worlds of a case, with a detector that misses the share `misses` more."""
    scored = CaseScore()
    for seed in seeds:
        world = stress_world(tools, case, seed)
        given = world.det
        world.det = thinned(given if hands else without_hands(tools, given), misses, seed)
        try:
            tracks, _, _ = tools.bench.run_one(maker, world)
        finally:
            world.det = given
        scored.add(tools, world, tracks, evaluate)
    return scored


def stress_rows(tools: Tools, options: Options) -> list[Result]:
    """Return the figures with hands given, without, and, when asked for, those of the peers, who know no hands."""
    rows = []
    for hands in (True, False):
        rows += _ours(tools, options, hands)
    return rows + (_peers(tools, options) if options.peers else [])


def _ours(tools: Tools, options: Options, hands: bool) -> list[Result]:
    suffix = "hands" if hands else "no_hands"
    rows: list[Result] = []
    scores = []
    for case in stress_cases(tools, options):
        evaluate = case in IDF1_GOALS or case in NO_SWITCH
        scored = run_case(tools, make_counter, case, options.stress_seeds, hands, evaluate)
        scores.append(scored)
        kept, count = GOALS.get(case, (None, None))
        rows.append(row(f"stress_{case}_kept_{suffix}", scored.kept_percent, "%", kept))
        rows.append(row(f"stress_{case}_count_error_{suffix}", scored.count_error, "%", count, "lower"))
        rows += _extras(tools, case, suffix, scored)
        print(f"{case:18s} {suffix:9s} kept {scored.kept_percent:5.1f} count {scored.count_error:5.1f}", flush=True)
    return [*_means("stress", suffix, scores, hands), *rows]


def _means(prefix: str, suffix: str, scores: list[CaseScore], hands: bool) -> list[Result]:
    kept = float(np.mean([s.kept_percent for s in scores]))
    count = float(np.mean([s.count_error for s in scores]))
    return [
        row(f"{prefix}_kept_{suffix}", kept, "%", KEPT_BAR if hands else KEPT_BAR_NO_HANDS),
        row(f"{prefix}_count_error_{suffix}", count, "%", COUNT_BAR if hands else None, "lower"),
    ]


def _extras(tools: Tools, case: str, suffix: str, scored: CaseScore) -> list[Result]:
    """Return what only some cases are asked for: IDF1, ID switches, the held class."""
    rows = []
    if scored.evaluated:
        overall = tools.bench.row(tools.bench.combine(scored.evaluated))
        if case in IDF1_GOALS:
            rows.append(row(f"stress_{case}_idf1_{suffix}", overall["IDF1"], "%", IDF1_GOALS[case]))
        if case in NO_SWITCH:
            rows.append(row(f"stress_{case}_id_switches_{suffix}", overall["IDSW"], "switches", 0.0, "lower"))
    if case == CLASS_CASE:
        right, changes = np.mean(scored.classes, axis=0).tolist() if scored.classes else (None, None)
        rows.append(row(f"stress_{case}_class_right_{suffix}", right, "%", CLASS_GOAL))
        rows.append(row(f"stress_{case}_class_changes_{suffix}", changes, "per dish", CHANGES_GOAL, "lower"))
    return rows


def _peers(tools: Tools, options: Options) -> list[Result]:
    rows = []
    for who, maker in tools.peers.select(["default", "long"]).items():
        scores = [run_case(tools, maker, c, options.stress_seeds, hands=False) for c in stress_cases(tools, options)]
        rows += _peer_rows(f"stress_peer_{slug(who)}", stress_cases(tools, options), scores)
        print(f"{who:34s} kept {rows[-2]['value']} count {rows[-1]['value']}", flush=True)
    return rows


def _peer_rows(prefix: str, cases: list[str], scores: list[CaseScore]) -> list[Result]:
    rows = [row(f"{prefix}_{case}_kept", s.kept_percent, "%") for case, s in zip(cases, scores, strict=True)]
    rows.append(row(f"{prefix}_kept", float(np.mean([s.kept_percent for s in scores])), "%"))
    rows.append(row(f"{prefix}_count_error", float(np.mean([s.count_error for s in scores])), "%"))
    return rows
