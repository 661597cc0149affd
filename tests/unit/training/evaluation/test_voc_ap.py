"""VOC's AP on lists that can be worked out by hand, and against COCO's where the two must nearly agree."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.evaluation.scenes import BOX, FAR, found, noisy, perfect, random_set, sample, set_of
from training.evaluation.coco_ap import coco_figures
from training.evaluation.voc_ap import area_ap, eleven_point_ap, voc_figures

HITS = np.array([True, False, True, True, False])


def test_eleven_points_by_hand() -> None:
    # 5 objects. Recall .2 at precision 1; .4 at 2/3; .6 at 3/4. Best precision from recall r on:
    # r = 0, .1, .2 -> 1; r = .3, .4, .5, .6 -> 3/4; r = .7 … 1 -> 0
    assert eleven_point_ap(HITS, truths=5) == pytest.approx((3 * 1 + 4 * 0.75) / 11)


def test_area_by_hand() -> None:
    assert area_ap(HITS, truths=5) == pytest.approx(0.2 * 1 + 0.4 * 0.75)


def test_recall_of_three_tenths_reaches_three_tenths() -> None:
    # 3/10 is a little less than 3 * 0.1 in binary
    assert eleven_point_ap(np.array([True] * 3), truths=10) == pytest.approx(4 / 11)


def test_nothing_to_find_is_not_nought() -> None:
    assert eleven_point_ap(HITS, truths=0) is None
    figures = voc_figures([found((BOX, 0.9, 1))], set_of(sample((BOX, 0))))
    assert figures.area_by_class == (0.0, None, None)
    assert figures.area == 0.0


def test_a_double_looks_at_the_taken_object_only() -> None:
    near = (4.0, 0.0, 14.0, 10.0)  # IoU with BOX 60/140, with the double below .5+
    double = (1.0, 0.0, 11.0, 10.0)  # overlaps BOX by 90/110, `near` by 70/130
    wanted = set_of(sample((BOX, 0), (near, 0)))
    figures = voc_figures([found((BOX, 0.9, 0), (double, 0.8, 0))], wanted)
    # VOC: a false positive. COCO: it takes the free neighbour.
    assert figures.area == pytest.approx(0.5)
    assert coco_figures([found((BOX, 0.9, 0), (double, 0.8, 0))], wanted).ap50 == pytest.approx(1.0)


def test_difficult_objects_count_neither_way() -> None:
    wanted = set_of(sample((BOX, 0), (FAR, 0), ignored=[1]))
    figures = voc_figures([found((FAR, 0.99, 0), (FAR, 0.98, 0), (BOX, 0.9, 0))], wanted)
    assert figures.area == figures.eleven_point == 1.0


def test_a_perfect_detector() -> None:
    wanted = random_set(5)
    figures = voc_figures(perfect(wanted), wanted)
    assert figures.eleven_point == pytest.approx(1.0)
    assert figures.area == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(6))
def test_area_is_near_coco_at_half_overlap(seed: int) -> None:
    wanted = random_set(seed, pictures=30, ignored=0.0)
    detections = noisy(wanted, seed)
    coco, voc = coco_figures(detections, wanted), voc_figures(detections, wanted)
    # COCO reads the curve at 101 recalls, and lets a double take a free neighbour.
    assert voc.area == pytest.approx(coco.ap50, abs=0.03)
    for ours, theirs in zip(voc.area_by_class, coco.ap50_by_class, strict=True):
        assert ours == pytest.approx(theirs, abs=0.05)
