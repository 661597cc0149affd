"""The figures of the training loop, and the input check that all scoring starts with."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from core.errors import DataError
from tests.unit.training.evaluation.scenes import BOX, FAR, found, noisy, perfect, random_set, sample, set_of
from training.detection_scores import Found
from training.evaluation.coco_ap import coco_figures
from training.evaluation.scores import quick_scores


def test_quick_scores_of_a_picture_worked_out_by_hand() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 1)))
    scores = quick_scores([found((BOX, 0.9, 0), (FAR, 0.4, 0), (FAR, 0.3, 1))], wanted)
    # tea: one hit, then one false: AP 1; bread: one hit: AP 1; soup is not there
    assert scores["ap50"] == pytest.approx(1.0)
    # kept from 0.9: 1 hit of 2 -> 2/3; from 0.4: 2/(2+1+1); from 0.3: 4/(4+1) = 0.8
    assert scores["f1_best"] == pytest.approx(0.8)
    assert scores["f1_best_threshold"] == pytest.approx(0.3)


def test_quick_scores_of_a_perfect_detector_are_one() -> None:
    wanted = random_set(1)
    scores = quick_scores(perfect(wanted), wanted)
    assert scores["ap"] == pytest.approx(1.0)
    assert scores["ap50"] == pytest.approx(1.0)
    assert scores["f1_best"] == 1.0


def test_nothing_found_scores_nought() -> None:
    wanted = random_set(2)
    assert quick_scores([found()] * len(wanted), wanted) == {
        "ap50": 0.0,
        "ap": 0.0,
        "f1_best": 0.0,
        "f1_best_threshold": 1.0,
    }


def test_scoring_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    wanted = random_set(3)
    quick_scores(noisy(wanted, 3), wanted)
    assert capfd.readouterr() == ("", "")


def test_ignored_objects_cost_nothing_and_excuse_detections_on_them() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 0), ignored=[1]))
    plain, on_ignored = [found((BOX, 0.9, 0))], [found((BOX, 0.9, 0), (FAR, 0.95, 0))]
    assert quick_scores(plain, wanted) == quick_scores(on_ignored, wanted)
    assert quick_scores(on_ignored, wanted)["ap"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (set_of(name="void"), "void: no pictures"),
        (set_of(sample(), sample(), name="blank"), "blank: none of its 2 pictures has an object"),
        (set_of(sample((BOX, 0), ignored=[0])), "none of its 1 pictures"),
    ],
)
def test_a_set_without_anything_to_find_is_refused(wanted: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        quick_scores([found()] * len(wanted), wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "broken",
    [
        found((BOX, float("nan"), 0)),
        found(((0, 0, float("inf"), 1), 0.5, 0)),
        found((BOX, 0.5, 3)),
        found((BOX, 0.5, -1)),
        Found(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros(2, np.int64)),
    ],
)
def test_detections_that_cannot_be_are_an_error_of_ours(broken: Found) -> None:
    with pytest.raises(ValueError, match=r"p\.png"):
        quick_scores([broken], set_of(sample((BOX, 0))))


def test_a_list_too_short_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match="1 lists of detections for the 2 pictures"):
        quick_scores([found()], set_of(sample((BOX, 0)), sample((BOX, 0))))


def test_coco_sizes_and_classes_that_are_not_there() -> None:
    small, large = (0.0, 0.0, 20.0, 20.0), (100.0, 100.0, 250.0, 250.0)
    wanted = set_of(sample((small, 0), (large, 1)))
    figures = coco_figures([found((small, 0.9, 0))], wanted)
    assert figures.ap_by_size == {"small": pytest.approx(1.0), "medium": None, "large": 0.0}
    assert figures.ap50_by_class == (pytest.approx(1.0), 0.0, None)
    assert figures.ap50 == pytest.approx(0.5)


def test_scores_need_no_torch() -> None:
    import subprocess

    code = "import sys, training.evaluation.scores; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
