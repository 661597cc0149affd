"""The learning curve for programs: points.csv with every run, scores.json with curves, laws and savings."""

from __future__ import annotations

import csv
import io
import json

from training.learning_curve.outcome import Curve, Outcome
from training.shootout.tables import figure


def as_csv(outcome: Outcome) -> str:
    """Return a line for each run, below the names of the columns."""
    names = list(outcome.points.runs)
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\n")
    table.writerow(["start", "share", "pictures", "seed", *names, "train_cpu_s"])
    for one in outcome.points.points:
        scores = [round(one.scores[name], 6) for name in names]
        table.writerow([one.start, one.share, one.pictures, one.seed, *scores, one.train_cpu_s])
    return sink.getvalue()


def as_json(outcome: Outcome) -> str:
    """Return everything that was found; a figure is its value and the ends of its 95 % interval."""
    content = {
        "set": outcome.points.name,
        "score": outcome.points.score,
        "what": outcome.points.what,
        "test_pictures": outcome.points.test_pictures,
        "chance": outcome.points.chance,
        "curves": [_curve(one) for one in outcome.curves],
        "pretrained_above_scratch": [figure(one) for one in outcome.gains],
        "fewer_pictures_for_what_scratch_reaches": {
            name: {"times": one.factor, "at_least": one.at_least, "low": one.low, "high": one.high}
            for name, one in outcome.savings.items()
        },
        "warnings": list(outcome.points.warnings),
    }
    return json.dumps(content, indent=1) + "\n"


def _curve(one: Curve) -> dict[str, object]:
    return {
        "start": one.start,
        "score": one.score,
        "pictures": list(one.counts),
        "means": [figure(mean) for mean in one.means],
        "seeds": [[round(value, 6) for value in seeds] for seeds in one.seeds],
        "law": {"b": round(one.law.b, 6), "c": round(one.law.c, 6)},
        "largest_foretold_by_smaller": None if one.foretold is None else round(one.foretold, 6),
        "more_pictures_for": [
            {"gain": ahead.gain, "more": ahead.more, "low": ahead.low, "high": ahead.high} for ahead in one.ahead
        ],
    }
