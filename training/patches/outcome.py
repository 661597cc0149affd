"""What a study found, and how `scores.json` says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.gate import Figure
from training.patches.scores import Ranking, Values


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study found.

    Attributes:
        name: of the set.
        pictures: of the test part.
        patches: how patches rank them.
        whole: how the baseline ranks them.
        gain: mAP (area) of patches above that of the baseline.
        exponent: e, chosen on validation.
        rounds: after which round each head was best.
        history: of each head, the line of each round, with the `file` of its checkpoint while that is kept.
        probabilities: P(j, c) of each test picture's patches.
        scores: (I, C) S(i, c) of the test pictures.
        warnings: about set and split.
    """

    name: str
    pictures: int
    patches: Ranking
    whole: Ranking
    gain: Figure
    exponent: float
    rounds: dict[str, int]
    history: dict[str, tuple[dict[str, Any], ...]]
    probabilities: tuple[Values, ...]
    scores: Values
    warnings: tuple[str, ...]


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the figures of an outcome, rounded: a figure is its value and the ends of its 95 % interval."""
    return {
        "patches": _ranking_json(outcome.patches) | {"exponent": outcome.exponent, "round": outcome.rounds["patches"]},
        "whole": _ranking_json(outcome.whole) | {"round": outcome.rounds["whole"]},
        "gain": _figure_json(outcome.gain),
        "test_pictures": outcome.pictures,
    }


def _ranking_json(ranking: Ranking) -> dict[str, Any]:
    return {
        "map_area": _figure_json(ranking.area),
        "map_eleven_point": _figure_json(ranking.eleven_point),
        "map_chance": _rounded(ranking.chance),
        "classes": {
            one.label: {
                "pictures": one.pictures,
                "ap_area": _rounded(one.area),
                "ap_eleven_point": _rounded(one.eleven_point),
                "chance": _rounded(one.chance),
            }
            for one in ranking.classes
        },
    }


def _figure_json(figure: Figure) -> list[float | None]:
    return [_rounded(figure.value), _rounded(figure.low), _rounded(figure.high)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
