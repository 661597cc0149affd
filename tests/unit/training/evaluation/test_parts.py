"""Calibration, confusion, whole pictures and slices: each on a picture whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.evaluation.scenes import BOX, FAR, found, sample, set_of
from training.detection_scores import Found
from training.evaluation.calibration import class_reliability, reliability, score_reliability
from training.evaluation.confusion import confusion_matrix
from training.evaluation.matching import match_set
from training.evaluation.scores import detail
from training.evaluation.slices import by_crowd, by_occlusion, by_size, covered_shares, occlusion_of
from training.evaluation.stills import still_figures

ASIDE = (100.0, 0.0, 110.0, 10.0)


def test_calibrated_scores_have_a_small_error_and_boasting_ones_a_large_one() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.1, 1, 6000)
    right = rng.random(6000) < scores
    honest, boasting = reliability(scores, right), reliability(np.sqrt(scores), right)
    assert honest is not None
    assert boasting is not None
    assert honest.ece < 0.03
    assert boasting.ece > 0.1
    assert len(honest.count) == 15
    assert honest.count.max() - honest.count.min() <= 1  # equal mass


def test_ece_by_hand() -> None:
    told = reliability(np.array([0.8] * 20 + [0.4] * 20), np.array([True] * 10 + [False] * 10 + [True] * 20))
    assert told is not None
    assert told.confidence.tolist() == pytest.approx([0.4, 0.8])
    assert told.right.tolist() == pytest.approx([1.0, 0.5])
    assert told.ece == pytest.approx(0.5 * 0.6 + 0.5 * 0.3)
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)) is None


def test_scores_below_the_lanes_limit_and_excused_ones_are_not_judged() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 0), ignored=[1]))
    told = score_reliability(match_set([found((BOX, 0.9, 0), (FAR, 0.9, 0), (ASIDE, 0.05, 0))], wanted))
    assert told is not None
    assert told.count.tolist() == [1]
    assert told.ece == pytest.approx(0.1, abs=1e-6)


def test_class_probabilities_are_judged_on_hits_alone() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 1)))
    seen = found((BOX, 0.9, 0), (FAR, 0.9, 2), (ASIDE, 0.9, 0))
    probs = np.array([[0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [1, 0, 0]], dtype=np.float32)
    told = class_reliability(match_set([Found(seen.boxes, seen.scores, seen.classes, probs)], wanted))
    assert told is not None
    assert told.count.tolist() == [2]
    assert told.ece == pytest.approx(abs(0.5 - 0.65), abs=1e-6)
    assert class_reliability(match_set([seen], wanted)) is None


def test_confusion_has_a_background_row_and_column() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 1), ((200, 200, 220, 220), 2), ((300, 300, 320, 320), 0), ignored=[3]))
    seen = found((BOX, 0.9, 1), (FAR, 0.8, 1), (ASIDE, 0.7, 2), ((300, 300, 320, 320), 0.9, 2), (ASIDE, 0.2, 0))
    matrix = confusion_matrix(match_set([seen], wanted), 0.5)
    assert matrix.tolist() == [
        [0, 1, 0, 0],  # tea taken for bread
        [0, 1, 0, 0],  # bread is bread
        [0, 0, 0, 1],  # soup missed
        [0, 0, 1, 0],  # a soup from nothing; the one on the ignored object is nowhere
    ]


def test_whole_pictures() -> None:
    right = sample((BOX, 0), (FAR, 0))
    wrong_class = sample((BOX, 1))
    empty = sample()
    on_ignored = sample((BOX, 0), ignored=[0])
    seen = [found((BOX, 0.9, 0), (ASIDE, 0.8, 0)), found((BOX, 0.9, 2)), found((BOX, 0.3, 0)), found((BOX, 0.9, 0))]
    stills = still_figures(match_set(seen, set_of(right, wrong_class, empty, on_ignored)), 0.5)
    # a badly placed second tea still counts: a till counts, it does not measure boxes
    assert stills.right.tolist() == [True, False, True, True]
    assert stills.cacc == 0.75
    assert stills.acd == pytest.approx(2 / 4)
    assert stills.mccd == pytest.approx((0 + 1) / 2)  # tea 0/2, bread 1/1
    assert stills.mciou == pytest.approx((1 + 0 + 0) / 3)  # tea 2/2, bread 0/1, soup 0/1


def test_covered_share_is_that_of_the_union() -> None:
    whole, left, again, right = (0, 0, 10, 10), (0, 0, 4, 10), (0, 0, 4, 10), (6, 0, 20, 10)
    assert covered_shares(np.array([whole, left, again, right], dtype=float))[0] == pytest.approx(0.8)
    assert covered_shares(np.zeros((0, 4))).tolist() == []


def test_slices_by_size_occlusion_and_crowd() -> None:
    medium, large, on_large = (100.0, 100.0, 150.0, 150.0), (200.0, 200.0, 350.0, 350.0), (200.0, 200.0, 350.0, 300.0)
    wanted = set_of(sample((BOX, 0), (medium, 0), (large, 1), (on_large, 1)), sample((BOX, 0)), sample())
    seen = [found((BOX, 0.9, 0), (large, 0.3, 1)), found((ASIDE, 0.9, 0)), found()]
    matched = match_set(seen, wanted)
    small, mid, big = by_size(matched, 0.5)
    assert (small.objects, small.found, small.pictures) == (2, 0.5, 2)
    assert (mid.objects, mid.found) == (1, 0.0)
    assert (big.objects, big.found, big.reachable) == (2, 0.0, 0.5)
    clear, partly, heavily = by_occlusion(matched, 0.5, occlusion_of(matched, None))
    assert [part.objects for part in (clear, partly, heavily)] == [3, 0, 2]
    assert partly.found is None
    few, many, most = by_crowd(matched, 0.5, still_figures(matched, 0.5))
    assert (few.pictures, few.objects, few.cacc) == (1, 1, 1.0)  # the empty picture is in none
    assert few.point is not None
    assert (few.point.hits, few.point.false, few.point.missed) == (0, 1, 1)
    assert many.objects == 4
    assert (most.objects, most.point, most.cacc) == (0, None, None)


def test_known_visibility_is_used_instead_of_boxes() -> None:
    matched = match_set([found()], set_of(sample((BOX, 0), (FAR, 0))))
    assert occlusion_of(matched, [np.array([1.0, 0.25])]).tolist() == [0.0, 0.75]
    with pytest.raises(ValueError, match="visibility of 1 objects, there are 2"):
        occlusion_of(matched, [np.array([1.0])])


def test_details_use_the_best_threshold_where_none_was_frozen() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 1)))
    free = detail([found((BOX, 0.9, 0), (FAR, 0.4, 1))], wanted, None)
    assert free.threshold == pytest.approx(0.4)
    assert free.figures["f1_best"].value == 1.0
    assert free.figures["f1_frozen"].value is None
    assert free.figures["cacc"].value is None
    frozen = detail([found((BOX, 0.9, 0), (FAR, 0.4, 1))], wanted, 0.6)
    assert frozen.figures["f1_frozen"].value == pytest.approx(2 / 3)
    assert frozen.figures["recall_frozen"].value == 0.5
    assert frozen.figures["cacc"].value == 0.0
    with pytest.raises(ValueError, match=r"0\.\.1"):
        detail([found()], wanted, 1.5)
