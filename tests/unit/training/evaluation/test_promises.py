"""What must hold for every model and every set: properties of all figures together, on random pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.training.evaluation.scenes import FAR, found, noisy, perfect, random_set, sample, set_of
from training.detection_scores import Found
from training.evaluation.coco_ap import coco_figures
from training.evaluation.inputs import set_of_one_class
from training.evaluation.intervals import IOUS, coco_ap_draws, draw_pictures
from training.evaluation.matching import match_set
from training.evaluation.scores import detail, evaluate_set
from training.evaluation.voc_ap import voc_figures

BETTER_AT_ONE = (
    *("ap", "ap50", "ap75", "ar", "ap50_agnostic", "ap_agnostic", "ap_voc07", "ap_voc_area", "f1_best"),
    *("f1_best_agnostic", "f1_frozen", "f1_frozen_agnostic", "precision_frozen", "recall_frozen"),
    *("class_accuracy", "cacc", "mciou", "recall100_agnostic", "recall20_agnostic"),
)


def test_a_perfect_detector_has_all_ones() -> None:
    wanted = random_set(11)
    figures = evaluate_set(perfect(wanted), wanted, "s", "holdout", 0.5).figures
    for name in BETTER_AT_ONE:
        assert figures[name].value == pytest.approx(1.0), name
    assert figures["acd"].value == figures["mccd"].value == 0.0
    assert figures["f1_frozen"].low == figures["f1_frozen"].high == 1.0


def test_finding_nothing_has_all_noughts_and_no_crash() -> None:
    wanted = random_set(12)
    figures = evaluate_set([found()] * len(wanted), wanted, "s", "holdout", 0.5).figures
    for name in ("ap", "ap50", "f1_best", "f1_frozen", "recall20_agnostic", "ap_voc07"):
        assert figures[name].value == 0.0, name
    assert figures["precision_frozen"].value is None  # of nothing
    assert figures["ece"].value is None


def shuffled(one: Found, rng: np.random.Generator) -> Found:
    order = rng.permutation(len(one.boxes))
    return Found(one.boxes[order], one.scores[order], one.classes[order])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_order_does_not_matter(seed: int) -> None:
    wanted = random_set(seed, pictures=8)
    detections = noisy(wanted, seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(wanted))
    turned = dataclasses.replace(wanted, samples=tuple(wanted.samples[i] for i in order))
    mixed = [shuffled(detections[i], rng) for i in order]
    ours, theirs = detail(detections, wanted, 0.5), detail(mixed, turned, 0.5)
    for name, figure in ours.figures.items():
        assert theirs.figures[name].value == pytest.approx(figure.value), name
    assert (ours.confusion == theirs.confusion).all()


@given(seed=st.integers(0, 10_000), score=st.floats(0.01, 0.99))
@settings(max_examples=15, deadline=None)
def test_one_more_false_positive_never_raises_ap_precision_or_f1(seed: int, score: float) -> None:
    wanted = random_set(seed, pictures=6)
    detections = noisy(wanted, seed, extra=2)
    worse = [*detections[:-1], _with(detections[-1], (390.0, 390.0, 399.0, 399.0), score)]
    before, after = coco_figures(detections, wanted), coco_figures(worse, wanted)
    for name in ("ap", "ap50", "ap75"):
        assert getattr(after, name) <= getattr(before, name) + 1e-12
    assert voc_figures(worse, wanted).area <= voc_figures(detections, wanted).area + 1e-12  # type: ignore[operator]
    old, new = match_set(detections, wanted).curve(), match_set(worse, wanted).curve()
    for threshold in (0.0, 0.3, 0.6):
        assert new.at(threshold).hits == old.at(threshold).hits
        assert new.at(threshold).false >= old.at(threshold).false
    assert new.f1.max() <= old.f1.max() + 1e-12


def _with(one: Found, box: tuple[float, ...], score: float) -> Found:
    more = found((box, score, 0))
    return Found(
        np.concatenate([one.boxes, more.boxes]),
        np.concatenate([one.scores, more.scores]),
        np.concatenate([one.classes, more.classes]),
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_recall_rises_with_a_falling_threshold_and_with_more_detections(seed: int) -> None:
    wanted = random_set(seed)
    measured = match_set(noisy(wanted, seed), wanted)
    for curve in (measured.curve(), measured.curve(class_aware=False)):
        assert (np.diff(curve.recall) >= 0).all()
        assert (np.diff(curve.thresholds) < 0).all()
    from training.evaluation.figures import recall_at

    values = [recall_at(measured, k) for k in (0, 1, 2, 5, 20, 100)]
    assert values == sorted(values)
    assert values[0] == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_our_weighted_ap_is_cocos_when_every_picture_counts_once(seed: int) -> None:
    wanted = random_set(seed, pictures=25, ignored=0.2)
    detections = noisy(wanted, seed, extra=30)
    once = np.ones((1, len(wanted)), dtype=np.int64)
    coco = coco_figures(detections, wanted)
    assert coco_ap_draws(detections, wanted, once)[0] == pytest.approx(coco.ap, abs=1e-9)
    assert coco_ap_draws(detections, wanted, once, IOUS[:1])[0] == pytest.approx(coco.ap50, abs=1e-9)


def test_our_weighted_ap_knows_cocos_limit_of_a_hundred_a_class() -> None:
    clutter = [((x, y, x + 9.0, y + 9.0), 0.9 - 0.001 * i, 0) for i, (x, y) in enumerate(_grid(110))]
    wanted = set_of(sample((FAR, 0), ((300.0, 300.0, 350.0, 350.0), 1)))
    detections = [found(*clutter, (FAR, 0.5, 0), ((300.0, 300.0, 350.0, 350.0), 0.1, 1))]
    once = np.ones((1, 1), dtype=np.int64)
    ap50 = coco_figures(detections, wanted).ap50
    assert ap50 == pytest.approx(0.5)  # the one tea is not among its hundred best
    assert coco_ap_draws(detections, wanted, once, IOUS[:1])[0] == pytest.approx(ap50)


def _grid(count: int) -> list[tuple[float, float]]:
    return [(100.0 + 12 * (i % 20), 100.0 + 12 * (i // 20)) for i in range(count)]


def test_intervals_hold_the_value_repeat_and_draw_groups_whole() -> None:
    wanted = random_set(3, pictures=40)
    detections = noisy(wanted, 3)
    first, again = (evaluate_set(detections, wanted, "s", "holdout", 0.5) for _ in range(2))
    assert first == again
    for name in ("ap", "ap50", "f1_best", "f1_frozen", "recall20_agnostic", "cacc"):
        figure = first.figures[name]
        assert figure.low is not None, name
        assert figure.high is not None, name
        assert figure.value is not None, name
        assert figure.low - 0.05 <= figure.value <= figure.high + 0.05, name
        assert 0.0 < figure.high - figure.low < 0.4, name
    weights = draw_pictures(np.array([0, 0, 1, 2, 2]), draws=50)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()


def test_grouped_pictures_make_wider_intervals() -> None:
    wanted = random_set(4, pictures=10)
    copies = dataclasses.replace(wanted, samples=wanted.samples * 6)
    grouped = dataclasses.replace(
        copies, samples=tuple(dataclasses.replace(s, group=s.image.name) for s in copies.samples)
    )
    detections = noisy(wanted, 4) * 6
    lone, together = (
        evaluate_set(detections, one, "s", "holdout", 0.5).figures["f1_frozen"] for one in (copies, grouped)
    )
    assert lone.value == together.value
    assert together.high - together.low > 1.5 * (lone.high - lone.low)  # type: ignore[operator]


def test_outcomes_of_pictures_add_up_to_the_figures() -> None:
    wanted = random_set(6)
    scores = evaluate_set(noisy(wanted, 6), wanted, "s", "holdout", 0.4)
    assert scores.outcomes is not None
    hits, false, missed = (sum(row) for row in (scores.outcomes.hits, scores.outcomes.false, scores.outcomes.missed))
    assert scores.figures["f1_frozen"].value == pytest.approx(2 * hits / (2 * hits + false + missed))
    assert scores.figures["cacc"].value == pytest.approx(sum(scores.outcomes.whole) / len(wanted))
    assert evaluate_set(noisy(wanted, 6), wanted, "s", "holdout", None).outcomes is None


def test_one_class_is_another_question_with_another_hash() -> None:
    wanted = random_set(8)
    one = set_of_one_class(wanted, "item")
    assert one.sha256 != wanted.sha256
    assert set_of_one_class(wanted, "item").sha256 == one.sha256
    assert one.labels == ("item",)
    assert all((s.classes == 0).all() for s in one.samples)
