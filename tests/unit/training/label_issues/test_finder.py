"""The finder: clean labels raise nothing, each fault raises its own score most, made-up sets are ranked well."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.label_corruption import SHIFTED_IOU, auroc, auroc_with_interval, corrupt
from bench.label_issues import scored_boxes
from core.boxes import iou
from core.errors import DataError
from tests.unit.training.label_issues.made_up import LABELS, folds_of, made_up_set, sample, seen, with_sample
from training.detection_scores import Found
from training.label_issues.finder import find_issues, issues_of, judge

CLEAN = made_up_set()
SEEN = seen(CLEAN)
FOLDS = folds_of(CLEAN)


def without(index: int, row: int):
    one = CLEAN.samples[index]
    left = np.arange(len(one.boxes)) != row
    return with_sample(CLEAN, index, sample(one.image.name, one.boxes[left], one.classes[left]))


def with_class(index: int, row: int, class_id: int):
    one = CLEAN.samples[index]
    classes = one.classes.copy()
    classes[row] = class_id
    return with_sample(CLEAN, index, dataclasses.replace(one, classes=classes))


def with_box(index: int, row: int, box: np.ndarray):
    one = CLEAN.samples[index]
    boxes = one.boxes.copy()
    boxes[row] = box
    return with_sample(CLEAN, index, dataclasses.replace(one, boxes=boxes))


def test_clean_labels_seen_well_raise_nothing() -> None:
    perfect = [
        Found(
            s.boxes,
            np.full(len(s.boxes), 0.95, np.float32),
            s.classes,
            np.eye(len(LABELS), dtype=np.float32)[s.classes],
        )
        for s in CLEAN.samples
    ]
    for found in (perfect, SEEN):
        judged = judge(found, CLEAN, FOLDS)
        assert judged.overlooked.max(initial=0) < 0.5
        assert judged.swapped.max() < 0.2
        assert judged.misplaced.max() < 0.5
    assert find_issues(perfect, CLEAN, FOLDS) == []


@pytest.mark.parametrize(("index", "row"), [(0, 0), (7, 3), (29, 5)])
def test_a_dropped_label_is_the_surest_overlooked_object(index: int, row: int) -> None:
    found = [*SEEN]
    found[index] = dataclasses.replace(
        found[index], scores=np.where(np.arange(8) == row, np.float32(0.97), found[index].scores)
    )
    first = find_issues(found, without(index, row), FOLDS, least=0.0)[0]
    assert (first.kind, first.picture, first.label, first.given) == ("overlooked", index, None, None)
    assert first.suggested_class == LABELS[CLEAN.samples[index].classes[row]]
    assert iou(np.array([first.suggested_box]), CLEAN.samples[index].boxes[row : row + 1])[0, 0] > 0.6


@pytest.mark.parametrize(("index", "row"), [(0, 0), (7, 3), (29, 5)])
def test_a_swapped_class_is_the_surest_swap_and_told_with_both_names(index: int, row: int) -> None:
    true = int(CLEAN.samples[index].classes[row])
    wrong = (true + 2) % len(LABELS)
    judged = judge(SEEN, with_class(index, row, wrong), FOLDS)
    at = int(judged.swapped.argmax())
    assert (judged.labels.picture[at], judged.labels.index[at]) == (index, row)
    ranked = issues_of(judged, with_class(index, row, wrong), 0.0)
    issue = next(issue for issue in ranked if issue.kind == "swapped")
    assert (issue.given, issue.suggested_class) == (LABELS[wrong], LABELS[true])
    assert LABELS[wrong] in issue.reason
    assert LABELS[true] in issue.reason
    assert judged.misplaced[at] < judged.swapped[at]


@pytest.mark.parametrize(("index", "row"), [(0, 0), (7, 3), (29, 5)])
def test_a_shifted_box_is_the_surest_misplacement(index: int, row: int) -> None:
    box = CLEAN.samples[index].boxes[row]
    wrong = with_box(index, row, box + np.float32(0.28) * np.tile(box[2:] - box[:2], 2) * np.array([1, 0, 1, 0]))
    judged = judge(SEEN, wrong, FOLDS)
    at = int(judged.misplaced.argmax())
    assert (judged.labels.picture[at], judged.labels.index[at]) == (index, row)
    assert judged.swapped[at] < judged.misplaced[at]
    issue = next(issue for issue in issues_of(judged, wrong, 0.0) if issue.kind == "badly placed")
    assert iou(np.array([issue.suggested_box]), box[None])[0, 0] > iou(np.array([issue.box]), box[None])[0, 0] + 0.1
    assert f"{judged.overlap[at]:.2f}" in issue.reason


def test_a_tenth_of_each_fault_is_ranked_above_the_bars_and_its_share_estimated() -> None:
    clean = made_up_set(80, seed=3)
    wrong = corrupt(clean, seed=5)
    judged = judge(seen(clean, seed=3, off_px=4), wrong.wanted, folds_of(clean))
    scored = scored_boxes(judged, wrong, np.arange(len(clean)))
    bars = {"overlooked": 0.85, "swapped": 0.95, "misplaced": 0.80}
    assert {name: auroc(*scored[name][:2]) >= bar for name, bar in bars.items()} == dict.fromkeys(bars, True)
    assert auroc(*scored["misplaced"][:2]) > auroc(*scored["misplaced_baseline"][:2])
    np.testing.assert_allclose(judged.rates[:2], 0.1, atol=0.05)


def test_probabilities_hold_what_they_promise() -> None:
    """Of what is listed above one half, at least half is wrong."""
    clean = made_up_set(80, seed=4)
    wrong = corrupt(clean, seed=6)
    judged = judge(seen(clean, seed=4), wrong.wanted, folds_of(clean))
    scored = scored_boxes(judged, wrong, np.arange(len(clean)))
    for name in ("overlooked", "swapped", "misplaced"):
        scores, is_wrong, _ = scored[name]
        assert (scores > 0.5).sum() >= 12
        assert is_wrong[scores > 0.5].mean() > 0.7


def test_a_box_is_listed_once_and_the_list_is_ranked() -> None:
    wrong = corrupt(CLEAN, seed=1)
    issues = find_issues(SEEN, wrong.wanted, FOLDS, least=0.01)
    assert [i.probability for i in issues] == sorted((i.probability for i in issues), reverse=True)
    boxes = [(i.picture, i.label) for i in issues if i.label is not None]
    assert len(boxes) == len(set(boxes)) > 20
    assert all(0 <= i.box[0] < i.box[2] <= 640 and 0 <= i.box[1] < i.box[3] <= 360 for i in issues)


def test_a_label_that_nothing_was_seen_of_is_not_listed_but_keeps_the_usual_share() -> None:
    blind = [*SEEN]
    blind[4] = Found(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros((0, 5), np.float32)
    )
    judged = judge(blind, CLEAN, FOLDS)
    unseen = judged.labels.picture == 4
    np.testing.assert_allclose(judged.misplaced[unseen], judged.rates[2])
    np.testing.assert_allclose(judged.swapped[unseen], judged.rates[1])
    assert all(issue.picture != 4 for issue in issues_of(judged, CLEAN, 0.0))


def test_what_lies_on_a_crowd_is_not_overlooked() -> None:
    row, index = 2, 5
    one = CLEAN.samples[index]
    crowd = dataclasses.replace(one, ignored=np.arange(6) == row)
    judged = judge(SEEN, with_sample(CLEAN, index, crowd), FOLDS)
    here = np.flatnonzero(judged.places.picture == index)
    on_it = here[iou(judged.places.boxes[here], one.boxes[row : row + 1].astype(np.float64))[:, 0] > 0.6]
    assert len(on_it) == 1
    assert judged.overlooked[on_it[0]] == 0.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(1, 4), probs=st.booleans())
def test_every_score_is_a_probability_whatever_was_seen(seed: int, classes: int, probs: bool) -> None:
    rng = np.random.default_rng(seed)
    clean = made_up_set(8, seed)
    samples = tuple(dataclasses.replace(s, classes=s.classes % classes) for s in clean.samples)
    wanted = dataclasses.replace(clean, labels=LABELS[:classes], samples=samples)
    found = []
    for one in seen(clean, seed, off_px=float(rng.uniform(0, 8)), false_alarms=int(rng.integers(0, 9))):
        rows = rng.dirichlet(np.ones(classes), len(one.boxes)).astype(np.float32) if probs else None
        scores = np.where(rng.random(len(one.scores)) < 0.1, np.float32(1), one.scores * np.float32(rng.integers(0, 2)))
        found.append(Found(one.boxes, scores.astype(np.float32), one.classes % classes, rows))
    judged = judge(found, wanted, folds_of(wanted, 2))
    for scores in (judged.overlooked, judged.swapped, judged.misplaced, judged.there):
        assert np.isfinite(scores).all()
        assert ((scores >= 0) & (scores <= 1)).all()
    if classes == 1:
        assert not judged.swapped.any()


def test_too_little_to_calibrate_on_is_said() -> None:
    few = made_up_set(4)
    with pytest.raises(DataError, match="12 labels outside one fold"):
        judge(seen(few), few, folds_of(few, 2))


def test_folds_must_be_of_these_pictures() -> None:
    with pytest.raises(ValueError, match="two folds"):
        judge(SEEN, CLEAN, np.zeros(len(CLEAN), np.int64))
    with pytest.raises(ValueError, match="30 pictures"):
        judge(SEEN, CLEAN, FOLDS[:-1])


def test_corruption_does_what_it_says() -> None:
    wrong = corrupt(CLEAN, seed=2)
    assert (
        sum(map(len, wrong.dropped)) == sum(f.sum() for f in wrong.swapped) == sum(f.sum() for f in wrong.shifted) == 18
    )
    assert wrong.wanted.sha256 != corrupt(CLEAN, seed=3).wanted.sha256
    for before, after, dropped, swapped, shifted in zip(
        CLEAN.samples, wrong.wanted.samples, wrong.dropped, wrong.swapped, wrong.shifted, strict=True
    ):
        left = np.array([not (box == dropped).all(axis=1).any() for box in before.boxes])
        overlap = np.diag(iou(before.boxes[left].astype(np.float64), after.boxes.astype(np.float64)))
        assert ((before.classes[left] != after.classes) == swapped).all()
        assert ((overlap > SHIFTED_IOU[0] - 1e-3) & (overlap < SHIFTED_IOU[1] + 1e-3))[shifted].all()
        np.testing.assert_allclose(overlap[~shifted], 1.0)


def test_auroc_by_hand_and_its_interval() -> None:
    scores, wrong = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    assert auroc(scores, wrong) == pytest.approx((1 + 0.5 + 2) / 4)
    assert np.isnan(auroc(scores, np.ones(4, dtype=bool)))
    rng = np.random.default_rng(0)
    is_wrong = rng.random(300) < 0.3
    value, low, high = auroc_with_interval(rng.normal(is_wrong, 1.0), is_wrong, np.arange(300) // 3)
    assert low < value < high
    assert 0.05 < high - low < 0.3
