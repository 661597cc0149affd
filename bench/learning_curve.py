"""What more photos earn, pretrained against scratch: `traylane study curve` on coarse classes of GroceryStore photos.

    python -m bench.learning_curve [--out var/learning_curve] [--seeds 3] [--steps 60] [--size 48] [--most-photos 30]

1/8, 1/4, 1/2 and all training photos, nested, a fixed test part, the same steps for all. Runs that `--out` holds
already are not run again. Writes `bench/results/learning_curve.json`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bench.results_file import row, write_results
from bench.shootout import SET, figures
from training.classify.settings import PhotoSettings, RecipeSettings
from training.learning_curve.run import Job, learning_curve
from training.learning_curve.settings import CurveSettings
from training.learning_curve.wording import scratch_learnt_nothing


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Learning curves on GroceryStore photos.")
    default = Path(os.environ.get("TRAYLANE_DATA", "../shared/data")) / "datasets" / SET
    parser.add_argument("--photos", type=Path, default=default)
    parser.add_argument("--out", type=Path, default=Path("var/learning_curve"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=48, help="pixels")
    parser.add_argument("--most-photos", type=int, default=30, help="of each class")
    args = parser.parse_args()
    settings = CurveSettings(
        photos=PhotoSettings(most_photos=args.most_photos),
        recipe=RecipeSettings(px=args.size),
        steps=args.steps,
        seeds=args.seeds,
    )
    outcome = learning_curve(Job(args.photos, args.out, settings, {}), lambda line: print(line, flush=True))
    rows = []
    for curve in outcome.curves:
        for count, mean in zip(curve.counts, curve.means, strict=True):
            rows += figures(f"{curve.score}_{curve.start}_{count}", mean)
        rows.append(row(f"law_exponent_{curve.start}", curve.law.c, "exponent"))
        rows.append(row(f"foretold_{curve.start}_{curve.counts[-1]}", curve.foretold, "ratio"))
    for share, gain in zip(settings.shares, outcome.gains, strict=True):
        rows += figures(f"pretrained_above_scratch_share_{share:g}", gain)
    for name, saved in outcome.savings.items():
        rows.append(row(f"fewer_photos_for_equal_{name}", saved.factor, "times", 4.0))
        rows.append(row(f"fewer_photos_for_equal_{name}_low", saved.low, "times"))
        rows.append(row(f"fewer_photos_for_equal_{name}_high", saved.high, "times"))
        rows.append(row(f"fewer_photos_for_equal_{name}_is_a_lower_bound", int(saved.at_least), "0 or 1"))
    rows.append(row("scratch_learnt_nothing_in_this_budget", int(scratch_learnt_nothing(outcome)), "0 or 1"))
    rows.append(row("test_photos", outcome.points.test_pictures, "photos"))
    rows.append(row("train_cpu_s", sum(one.train_cpu_s for one in outcome.points.points), "s"))
    write_results("learning_curve", rows)


if __name__ == "__main__":
    main()
