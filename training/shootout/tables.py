"""The shoot-out for programs: cells.csv with every run, scores.json with rows and comparisons."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from models.gate import Figure
from training.classify.cells import CellRecord
from training.shootout.outcome import Outcome, Row, front

COLUMNS = (
    "model",
    "depth",
    "schedule",
    "seed",
    "accuracy",
    "test_photos",
    "train_photos",
    "rate",
    "steps",
    "train_cpu_s",
    "train_wall_s",
    "eval_fps",
    "first_epoch_loss",
    "last_epoch_loss",
    "trunk_moved",
    "weights_sha256",
)


def as_csv(records: Sequence[CellRecord]) -> str:
    """Return a line for each run, below the names of the columns."""
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in records:
        table.writerow(
            [
                one.arch,
                one.depth,
                one.course,
                one.seed,
                round(one.accuracy, 6),
                len(one.right),
                one.photos,
                one.rate,
                one.steps,
                one.train_cpu_s,
                one.train_wall_s,
                one.eval_fps,
                one.losses[0],
                one.losses[-1],
                int(one.trunk_before != one.trunk_after),
                one.weights_sha256 or "",
            ]
        )
    return sink.getvalue()


def as_json(outcome: Outcome) -> str:
    """Return rows and comparisons; a figure is its value and the ends of its 95 % interval."""
    fast = front(outcome.rows, lambda row: row.train_cpu_s)
    quick = front(outcome.rows, lambda row: -row.eval_fps)
    content = {
        "set": outcome.name,
        "classes": list(outcome.labels),
        "train_photos": outcome.photos[0],
        "test_photos": outcome.photos[1],
        "chance": round(outcome.chance, 6),
        "rows": [_row(row) | {"front_train": row in fast, "front_eval": row in quick} for row in outcome.rows],
        "best": outcome.best.name,
        "as_good": [row.name for row in outcome.near],
        "comparisons": [
            {
                "family": one.family,
                "model": one.arch,
                "ours": one.ours,
                "theirs": one.theirs,
                "over": one.over,
                "gain": figure(one.result.gain),
                "p_adjusted": None if one.result.p is None else round(one.result.p, 5),
                "verdict": one.verdict,
            }
            for one in outcome.comparisons
        ],
        "warnings": list(outcome.warnings),
    }
    return json.dumps(content, indent=1) + "\n"


def figure(one: Figure) -> list[float | None]:
    """Return a figure's value and the ends of its interval, rounded."""
    return [None if value is None else round(value, 6) for value in (one.value, one.low, one.high)]


def _row(row: Row) -> dict[str, object]:
    return {
        "model": row.arch,
        "depth": row.depth,
        "schedule": row.course,
        "accuracy": figure(row.accuracy),
        "seeds": [round(value, 6) for value in row.seeds],
        "train_cpu_s": round(row.train_cpu_s, 3),
        "eval_fps": round(row.eval_fps, 2),
        "rate": row.rate,
        "steps": row.steps,
        "learnt_next_to_nothing": row.idle,
    }
