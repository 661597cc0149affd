"""What a study found, and how `scores.json` and `grid.csv` say it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.gate import Figure
from training.embedding_study.describers import Describer
from training.embedding_study.grid import Cost, Measured
from training.embedding_study.metrics import Scores
from training.embedding_study.picker import Pick


@dataclass(frozen=True)
class Raced:
    """One race beside the grid.

    Attributes:
        seed: of the race.
        pick: what it found.
        development: by how much the grid's choice is above the pick, where the grid chose.
        aside_mrr: the same on the queries aside, MRR.
        aside_top1: and top-1.
    """

    seed: int
    pick: Pick
    development: float
    aside_mrr: float
    aside_top1: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study found.

    Attributes:
        name: of the set.
        by: the figure that settings are chosen by.
        measured: every setting, in the order of the models.
        chosen: the grid's choice: best inside the gallery.
        cards: embedders that are judged beside the grid and never chosen.
        models: of the grid and the cards.
        cpu_s: of each model, CPU seconds of one photo.
        grid_cost: what choosing by the whole grid takes.
        races: one for each seed, the first one's pick is the study's; () where photos are too few for the budget.
        no_race: why there was none.
        chance: share of siblings among strangers; None where there are no coarse classes.
        rivals: each model's best setting (chosen inside the gallery) against the grid's choice, on the queries aside.
        warnings: about set and split.
    """

    name: str
    by: str
    measured: tuple[Measured, ...]
    chosen: Measured
    cards: tuple[Measured, ...]
    models: tuple[Describer, ...]
    cpu_s: Mapping[str, float]
    grid_cost: Cost
    races: tuple[Raced, ...]
    no_race: str
    chance: float | None
    rivals: tuple[tuple[Measured, Figure], ...]
    warnings: tuple[str, ...]

    @property
    def picked(self) -> Measured | None:
        """The setting that the first race picked."""
        return next((one for one in self.measured if self.races and one.setting == self.races[0].pick.setting), None)

    @property
    def left_out(self) -> int:
        """Settings of the grid whose vectors are too long."""
        return sum(model.left_out for model in self.models)

    def within(self, points: float) -> int:
        """Return how many races end no more than so many points below the grid's choice, on the queries aside."""
        # The bar is a whole point; the figures are sums of fractions.
        return sum(self.gap(one) <= points / 100 + 1e-9 for one in self.races)

    def gap(self, raced: Raced) -> float:
        """Return how far below the grid's choice a race ended on the queries aside, by the study's figure."""
        return raced.aside_mrr if self.by == "mrr" else raced.aside_top1


def best_of(measured: tuple[Measured, ...], by: str, of: str = "development") -> Measured:
    """Return the best setting by a figure; of equal ones the one with the shorter vector."""

    def place(one: Measured) -> tuple[float, int, str]:
        return -value(getattr(one, of), by), one.setting.dims, one.setting.name

    return min(measured, key=place)


def value(scores: Scores, by: str) -> float:
    """Return "mrr" or "top1" of some scores."""
    figure = scores.mrr if by == "mrr" else scores.top1
    return figure.value or 0.0


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the figures, rounded: a figure is its value and the ends of its 95 % interval. Times are in run.json."""
    best_aside = best_of(outcome.measured, outcome.by, "aside")
    return {
        "chosen_by": outcome.by,
        "grid": {
            "settings": len(outcome.measured),
            "left_out": outcome.left_out,
            "choice": _setting_json(outcome.chosen),
            "best_aside": {"name": best_aside.setting.name, outcome.by: _rounded(value(best_aside.aside, outcome.by))},
            "cost": _cost_json(outcome.grid_cost),
        },
        "models": {
            one.setting.model: _setting_json(one) | {"against_choice": _figure_json(difference)}
            for one, difference in outcome.rivals
        },
        "sibling_chance": _rounded(outcome.chance),
        "picker": _races_json(outcome),
        "settings": {one.setting.name: _setting_json(one) for one in (*outcome.measured, *outcome.cards)},
    }


def grid_csv(outcome: Outcome) -> str:
    """Return all settings as a table."""
    macs = {model.name: model.macs for model in outcome.models}
    sink = io.StringIO()
    table = csv.writer(sink, lineterminator="\n")
    figures = ("top1", "top5", "mrr", "plausible", "auroc")
    table.writerow(
        ["model", "layer", "pooling", "dims", "macs_per_photo", "cpu_ms_per_photo"]
        + [
            f"{part}_{name}{end}"
            for part in ("development", "aside")
            for name in figures
            for end in ("", "_low", "_high")
        ]
        + ["development_d_prime", "aside_d_prime"]
    )
    for one in (*outcome.measured, *outcome.cards):
        s = one.setting
        cells: list[object] = [
            s.model,
            s.layer,
            s.pooling,
            s.dims,
            macs[s.model],
            round(1000 * outcome.cpu_s[s.model], 2),
        ]
        for scores in (one.development, one.aside):
            for name in figures:
                cells += ["" if x is None else x for x in _figure_json(getattr(scores, name))]
        cells += ["" if x is None else _rounded(x) for x in (one.development.d_prime, one.aside.d_prime)]
        table.writerow(cells)
    return sink.getvalue()


def _races_json(outcome: Outcome) -> dict[str, Any]:
    if not outcome.races:
        return {"why_none": outcome.no_race}
    first = outcome.races[0]
    shares = [one.pick.cost.shares_of(outcome.grid_cost) for one in outcome.races]
    return {
        "pick": first.pick.setting.name,
        "gap": _rounded(outcome.gap(first)),
        "races": len(outcome.races),
        "within_one_point": outcome.within(1),
        "largest_share_of_photo_forwards": _rounded(max(share[0] for share in shares)),
        "largest_share_of_macs": _rounded(max(share[1] for share in shares)),
        "all": [
            {
                "seed": one.seed,
                "pick": one.pick.setting.name,
                "gap_development": _rounded(one.development),
                "gap_aside_mrr": _rounded(one.aside_mrr),
                "gap_aside_top1": _rounded(one.aside_top1),
                "cost": _cost_json(one.pick.cost),
                "photos": [r.photos for r in one.pick.rounds],
            }
            for one in outcome.races
        ],
    }


def _setting_json(one: Measured) -> dict[str, Any]:
    return {
        "name": one.setting.name,
        "dims": one.setting.dims,
        "development": _scores_json(one.development),
        "aside": _scores_json(one.aside),
    }


def _scores_json(scores: Scores) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: _figure_json(getattr(scores, name)) for name in ("top1", "top5", "mrr", "plausible", "auroc")
    }
    return told | {"d_prime": _rounded(scores.d_prime)}


def _cost_json(cost: Cost) -> dict[str, int]:
    return {
        "photo_forwards": cost.photo_forwards,
        "forward_macs": cost.forward_macs,
        "scoring_macs": cost.scoring_macs,
    }


def _figure_json(figure: Figure) -> list[float | None]:
    return [_rounded(figure.value), _rounded(figure.low), _rounded(figure.high)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
