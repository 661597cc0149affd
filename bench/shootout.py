"""Which net, how deep, which schedule: the study `traylane study shootout` on coarse classes of GroceryStore photos.

    python -m bench.shootout [--out var/shootout] [--seeds 2] [--epochs 8] [--most-photos 30]

12 coarse classes, 64 px, three nets with real weights, shallow / deep / scratch, constant and cyclical rates. Runs
that `--out` holds already are not run again. Times are processor seconds, medians over seeds; the accuracy of each
cell is a mean over seeds with its 95 % interval over photos and seeds. Writes `bench/results/shootout.json`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from bench.results_file import row, write_results
from models.gate import Figure
from training.classify.settings import PhotoSettings, RecipeSettings
from training.shootout.run import Job, shootout
from training.shootout.settings import ShootoutSettings

SET = "grocerystore81"


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Nets, depths and schedules on GroceryStore photos.")
    default = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets" / SET
    parser.add_argument("--photos", type=Path, default=default)
    parser.add_argument("--out", type=Path, default=Path("var/shootout"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--most-photos", type=int, default=30, help="of each class")
    args = parser.parse_args()
    settings = ShootoutSettings(
        photos=PhotoSettings(most_photos=args.most_photos),
        recipe=RecipeSettings(epochs=args.epochs),
        seeds=args.seeds,
    )
    outcome = shootout(Job(args.photos, args.out, {}, settings), lambda line: print(line, flush=True))
    rows = []
    for one in outcome.rows:
        name = f"{one.arch}_{one.depth}_{one.course}"
        rows += figures(f"accuracy_{name}", one.accuracy)
        rows.append(row(f"train_cpu_s_{name}", one.train_cpu_s, "s"))
    for arch, fps in {one.arch: one.eval_fps for one in outcome.rows}.items():
        rows.append(row(f"eval_fps_{arch}", fps, "photos/CPU s"))
    for compared in outcome.comparisons:
        name = f"{compared.arch}_{compared.ours}_above_{compared.theirs}"
        name += "" if compared.family != "schedule" else f"_{compared.over}"
        # Pretrained must beat scratch: the lower end of its interval is held to 0.
        rows += figures(f"gain_{name}", compared.result.gain)
        rows.append(row(f"p_{name}", compared.result.p, "probability"))
    won = [one for one in outcome.of("start") if one.verdict == "better"]
    rows.append(row("pretrained_beats_scratch", len(won), "comparisons", len(outcome.of("start"))))
    rows.append(row("nets_that_learnt_nothing_from_scratch", len(outcome.idle_scratch), "nets"))
    rows.append(row("seeds", args.seeds, "runs"))
    rows.append(row("test_photos", outcome.photos[1], "photos"))
    rows.append(row("accuracy_most_frequent_class", outcome.chance, "ratio"))
    write_results("shootout", rows)


def figures(name: str, figure: Figure) -> Sequence[dict[str, object]]:
    """Return a figure's rows: its value, and the ends of its interval."""
    ends = ((name, figure.value), (f"{name}_low", figure.low), (f"{name}_high", figure.high))
    return [row(one, value, "ratio") for one, value in ends]


if __name__ == "__main__":
    main()
