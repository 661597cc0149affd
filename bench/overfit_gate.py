"""Measure the overfit gate: seeded mistakes that it catches, and good runs that it lets pass.

    python -m bench.overfit_gate [--only good|seeded|held]

Writes `bench/results/overfit_gate.json`: mistakes caught of those known while the gate was built and of those held back
until it was done, false alarms in some 50 good runs, and CPU seconds of one on one thread. Needs the data sets of
TRAYLANE_DATA.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable
from typing import Any

import torch

from bench.gate_cases import Case, good_cases
from bench.held_back_bugs import HELD_BACK
from bench.results_file import row, write_results
from bench.seeded_bugs import SEEDED
from training.finetune.overfit import GateResult, overfit_gate


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Measure the overfit gate.")
    parser.add_argument("--only", choices=["good", "seeded", "held"], help="print one part and write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for part, bugs in (("held", HELD_BACK), ("seeded", SEEDED)):
        if args.only in (None, part):
            results = run((name, make()) for name, make in bugs.items())
            rows += figures_of_bugs(part, results)
    if args.only in (None, "good"):
        rows += figures_of_good(run((case.name, case) for case in good_cases()))
    if args.only is None:
        write_results("overfit_gate", rows)


def run(cases: Iterable[tuple[str, Case]]) -> dict[str, GateResult]:
    """Return the gate's verdict on each case; tells them as they come."""
    results = {}
    for name, case in cases:
        case.make_net()  # builds it for the first time; a run only copies the net that it has
        result = overfit_gate(case.make_net, case.batch, None, case.make_optimiser, case.take_step)
        results[name] = result
        said = "; ".join(result.reasons) or "passed" + "".join(f" (not checked: {why})" for why in result.skipped)
        print(f"{result.seconds:5.1f} s  {name}: {said}", flush=True)
    return results


def figures_of_bugs(part: str, results: dict[str, GateResult]) -> list[dict[str, Any]]:
    """Return rows on mistakes: how many were caught, of how many, and the longest time."""
    caught = sum(not result.passed for result in results.values())
    mark = 0.9 * len(results)  # 18 of 20
    return [
        row(f"{part}_bugs_caught", caught, "bugs", mark),
        row(f"{part}_bugs", len(results), "bugs"),
        row(f"{part}_seconds_max", max((r.seconds for r in results.values()), default=0.0), "s", 10.0, "lower"),
    ]


def figures_of_good(results: dict[str, GateResult]) -> list[dict[str, Any]]:
    """Return rows on good runs: how many raised an alarm, and the time."""
    seconds = [result.seconds for result in results.values()]
    return [
        row("good_runs", len(results), "runs", 50),
        row("false_alarms", sum(not result.passed for result in results.values()), "runs", 0, "lower"),
        row("seconds_median", statistics.median(seconds), "s", 10.0, "lower"),
        row("seconds_max", max(seconds), "s", 10.0, "lower"),
    ]


if __name__ == "__main__":
    main()
