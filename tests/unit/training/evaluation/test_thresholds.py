"""F1, precision and recall by threshold, on counts that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.evaluation.scenes import BOX, FAR, found, sample, set_of
from training.evaluation.matching import match_set
from training.evaluation.thresholds import curve_of

CURVE = curve_of(np.array([0.9, 0.8, 0.6, 0.3]), np.array([True, False, True, False]), truths=3)


@pytest.mark.parametrize(
    ("threshold", "hits", "false", "missed"),
    [(1.0, 0, 0, 3), (0.9, 1, 0, 2), (0.85, 1, 0, 2), (0.8, 1, 1, 2), (0.5, 2, 1, 1), (0.3, 2, 2, 1), (0.0, 2, 2, 1)],
)
def test_counts_at_a_threshold(threshold: float, hits: int, false: int, missed: int) -> None:
    point = CURVE.at(threshold)
    assert (point.hits, point.false, point.missed) == (hits, false, missed)


def test_best_is_where_f1_is_highest() -> None:
    best = CURVE.best
    assert best is not None
    assert best.threshold == 0.6
    assert best.f1 == pytest.approx(4 / (4 + 1 + 1))
    assert best.precision == pytest.approx(2 / 3)
    assert best.recall == pytest.approx(2 / 3)


def test_equal_scores_stay_together() -> None:
    # Alone, the hit at 0.5 would give F1 = 1; it cannot be kept without the false one.
    curve = curve_of(np.array([0.5, 0.5]), np.array([True, False]), truths=1)
    assert curve.thresholds.tolist() == [0.5]
    assert curve.best is not None
    assert curve.best.f1 == pytest.approx(2 / 3)


def test_unknown_is_not_nought() -> None:
    empty = curve_of(np.zeros(0), np.zeros(0, dtype=bool), truths=2)
    assert empty.best is None
    assert empty.at(0.5).precision is None
    assert empty.at(0.5).recall == 0.0
    assert curve_of(np.zeros(0), np.zeros(0, dtype=bool), truths=0).at(0.5).f1 is None


def test_a_score_found_in_float32_is_kept_at_itself() -> None:
    wanted = set_of(sample((BOX, 0)))
    curve = match_set([found((BOX, 0.1, 0))], wanted).curve()
    assert curve.best is not None
    assert curve.at(curve.best.threshold).hits == 1


def test_class_aware_and_class_agnostic_curves_differ_by_the_wrong_class() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 1)))
    matched = match_set([found((BOX, 0.9, 1), (FAR, 0.8, 1))], wanted)
    aware, agnostic = matched.curve().at(0.5), matched.curve(class_aware=False).at(0.5)
    assert (aware.hits, aware.false, aware.missed) == (1, 1, 1)
    assert (agnostic.hits, agnostic.false, agnostic.missed) == (2, 0, 0)
    of_bread = matched.curve(class_id=1).at(0.5)
    assert (of_bread.hits, of_bread.false, of_bread.missed) == (1, 1, 0)
