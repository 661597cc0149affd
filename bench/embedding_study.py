"""The embedding study on GroceryStore: what the grid chooses, how near a race comes, and what both cost.

    python -m bench.embedding_study --out var/embeddings

Photos and published weights come from TRAYLANE_DATA. `--read` writes the result of a study that was run before. The
minutes are wall clock of the whole command; with vectors in `--cache` they say little, so the CPU seconds of a run
from nothing stand beside them, summed from the time that each photo took when it was computed.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from bench.results_file import row, write_results

PHOTOS = "datasets/grocerystore81"
#: A race may lose a point to the grid, for a tenth of the cost; the study may take a quarter of an hour.
MOST_GAP, MOST_SHARE, MOST_MINUTES = 1.0, 0.1, 15.0


def main() -> None:
    """Run the study, or read one, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("var/embeddings"))
    parser.add_argument("--embedder", nargs="+", default=[], metavar="CARD")
    parser.add_argument("--read", action="store_true", help="read the study in --out instead of running it")
    args = parser.parse_args()
    if not args.read:
        from training.embedding_study.run import Job, study
        from training.embedding_study.settings import StudySettings

        shared = Path(os.environ.get("TRAYLANE_DATA", "../shared/data"))
        job = Job(
            data=shared / PHOTOS,
            out=args.out,
            backbones=shared / "backbones",
            cache=Path("var/embedding_study"),
            settings=StudySettings(),
            cards=tuple(args.embedder),
        )
        study(job, lambda line: print(line, flush=True))
    scores = json.loads((args.out / "scores.json").read_text(encoding="utf-8"))
    record = json.loads((args.out / "run.json").read_text(encoding="utf-8"))
    write_results("embedding_study", rows_of(scores, record))


def rows_of(scores: dict[str, Any], record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the result's rows from scores.json and run.json."""
    rows = [row("settings", scores["grid"]["settings"], "settings")]
    for name, model in scores["models"].items():
        for figure in ("top1", "mrr"):
            value, low, high = model["aside"][figure]
            stem = f"{name}_{figure}".replace("~", "_").replace("@", "_").replace("-", "_")
            rows += [row(stem, value, "share"), row(f"{stem}_low", low, "share"), row(f"{stem}_high", high, "share")]
    picker = scores["picker"]
    gaps = sorted(100 * one["gap_aside_mrr"] for one in picker["all"])
    middle = gaps[len(gaps) // 2]
    a_photo_s = sum(model["cpu_s_per_photo"] for model in record["models"].values())
    vectors_s = a_photo_s * record["data"]["photos"]
    rows += [
        row("pick_gap_first_race", 100 * picker["gap"], "points", MOST_GAP, "lower"),
        row("pick_gap_median", middle, "points", MOST_GAP, "lower"),
        row("pick_gap_worst", gaps[-1], "points", MOST_GAP, "lower"),
        row("races", picker["races"], "races"),
        row("races_within_a_point", picker["within_one_point"], "races"),
        row("pick_share_of_multiply_adds", picker["largest_share_of_macs"], "share", MOST_SHARE, "lower"),
        row("pick_share_of_passes", picker["largest_share_of_photo_forwards"], "share", MOST_SHARE, "lower"),
        row("minutes", record["wall_s"] / 60, "min", MOST_MINUTES, "lower"),
        row("cpu_s_of_all_vectors", vectors_s, "s"),
        row("cpu_s_of_this_run", record["cpu_s"], "s"),
    ]
    return rows


if __name__ == "__main__":
    main()
