"""The points of learning curves, whatever was learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from training.classify.statistics import Runs
from training.learning_curve.settings import CurveSettings, Start

Tell = Callable[[str], None]
#: Start -> the runs at each share, in the order of the shares.
ByShare = Mapping[Start, tuple[Runs, ...]]


@dataclass(frozen=True)
class Point:
    """One run.

    Attributes:
        start: from real weights, or from nothing.
        share: of the training pictures.
        seed: of weights, order and of which pictures they are.
        pictures: how many that is.
        scores: by name, on the fixed test part.
        train_cpu_s: processor seconds of learning.
    """

    start: Start
    share: float
    seed: int
    pictures: int
    scores: Mapping[str, float]
    train_cpu_s: float


@dataclass(frozen=True, eq=False)
class Curves:
    """All points of a study.

    Attributes:
        name: of the set.
        score: the name of the one that the curve is about.
        points: every run.
        runs: by score, start and share.
        chance: what knowing nothing scores; None where that is 0.
        test_pictures: how many.
        what: learns, for people.
        data: what the record keeps of both parts.
        warnings: about the set.
    """

    name: str
    score: str
    points: tuple[Point, ...]
    runs: Mapping[str, ByShare]
    chance: float | None
    test_pictures: int
    what: str
    data: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...]


def runs_by_share(settings: CurveSettings, runs: Callable[[Start, float], Runs]) -> dict[Start, tuple[Runs, ...]]:
    """Return the runs of every start and share."""
    return {start: tuple(runs(start, share) for share in settings.shares) for start in settings.starts}
