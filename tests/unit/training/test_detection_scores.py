"""AP and class accuracy on pictures whose answer can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.detection_scores import Found, Wanted, average_precision, class_accuracy, match, of_class

BOX = [0.0, 0.0, 10.0, 10.0]
FAR = [50.0, 50.0, 60.0, 60.0]


def found(*rows: tuple[list[float], float, int]) -> Found:
    return Found(
        np.array([row[0] for row in rows], dtype=np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], dtype=np.float32),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


def wanted(*rows: tuple[list[float], int, bool]) -> Wanted:
    return Wanted(
        np.array([row[0] for row in rows], dtype=np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=bool),
    )


def test_perfect_detections_score_one() -> None:
    outcome = match(found((BOX, 0.9, 0), (FAR, 0.8, 1)), wanted((BOX, 0, True), (FAR, 1, True)))
    assert average_precision([outcome]) == 1.0
    assert class_accuracy([outcome]) == 1.0


def test_a_double_is_a_false_positive() -> None:
    outcome = match(found((BOX, 0.9, 0), (BOX, 0.8, 0), (FAR, 0.7, 0)), wanted((BOX, 0, True), (FAR, 0, True)))
    assert outcome.hits.tolist() == [True, False, True]
    # precision 1 up to recall 1/2, then 2/3 up to recall 1
    assert average_precision([outcome]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_missed_object_costs_recall() -> None:
    outcome = match(found((BOX, 0.9, 0)), wanted((BOX, 0, True), (FAR, 0, True)))
    assert average_precision([outcome]) == 0.5


def test_detections_on_ignored_objects_count_neither_way() -> None:
    inside = [1.0, 1.0, 5.0, 5.0]
    outcome = match(found((BOX, 0.9, 0), (inside, 0.8, 1)), wanted((BOX, 0, False)))
    assert len(outcome.scores) == 0
    assert average_precision([outcome]) is None


def test_wrong_class_hits_class_agnostically_but_not_per_class() -> None:
    f, w = found((BOX, 0.9, 1)), wanted((BOX, 0, True))
    assert average_precision([match(f, w)]) == 1.0
    assert class_accuracy([match(f, w)]) == 0.0
    assert average_precision([match(*of_class(f, w, 0))]) == 0.0


def test_scores_are_ranked_over_all_pictures() -> None:
    good = match(found((BOX, 0.6, 0)), wanted((BOX, 0, True)))
    bad = match(found((FAR, 0.9, 0)), wanted((BOX, 0, True)))
    assert average_precision([good, bad]) == pytest.approx(0.25)  # recall 1/2 at precision 1/2


def test_nothing_to_find_and_nothing_found() -> None:
    outcome = match(found(), wanted())
    assert average_precision([outcome]) is None
    assert class_accuracy([outcome]) is None
