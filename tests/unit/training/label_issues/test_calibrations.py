"""The parts of the finder: what each calibration learns, against numbers that were put in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.errors import DataError
from dataset.records import DetectionSet
from dataset.splits import leave_out
from tests.painted_sets import painted
from tests.unit.training.label_issues.made_up import sample
from training.detection_scores import Found
from training.label_issues import existence, naming, placing
from training.label_issues.folds import fold_numbers, merge_predictions
from training.label_issues.places import label_table, match_places, place_table

BOX = [100.0, 100.0, 200.0, 180.0]


def one_picture(boxes: list[list[float]], classes: list[int]) -> DetectionSet:
    shown = sample("a.jpg", np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64))
    return DetectionSet("one", ("soup", "tea"), (shown,), "")


def one_found(boxes: list[list[float]], scores: list[float], classes: list[int]) -> list[Found]:
    return [
        Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int64))
    ]


def test_one_object_seen_as_two_classes_is_one_place() -> None:
    wanted = one_picture([BOX], [0])
    places = place_table(one_found([BOX, [102, 100, 202, 180], [300, 50, 340, 90]], [0.6, 0.3, 0.2], [0, 1, 1]), wanted)
    assert places.scores.tolist() == pytest.approx([0.6, 0.2])
    assert places.classes[0] == pytest.approx([0.65, 0.35])
    assert places.boxes[0] == pytest.approx([100 + 2 / 3, 100, 200 + 2 / 3, 180])
    assert places.classes.sum(axis=1) == pytest.approx(1.0)


def test_a_faint_double_does_not_take_the_label_from_the_surer_place() -> None:
    wanted = one_picture([[100, 100, 200, 200]], [0])
    places = place_table(one_found([[100, 100, 190, 190], [100, 140, 200, 200]], [0.9, 0.1], [0, 0]), wanted)
    labels = label_table(wanted)
    matches = match_places(places, labels, 1)
    assert matches.place.tolist() == [0]
    assert matches.label.tolist() == [0, -1]
    assert matches.explained.tolist() == [True, True]  # the double overlaps the label by 0.6: it is explained
    assert places.shadow[1] > 0.3
    assert places.inside[1] > 0.7


def test_neighbours_share_out_places_so_that_both_have_one() -> None:
    wanted = one_picture([[0, 0, 100, 100], [50, 0, 150, 100]], [0, 1])
    places = place_table(one_found([[25, 0, 125, 100], [60, 0, 160, 100]], [0.9, 0.8], [0, 1]), wanted)
    assert match_places(places, label_table(wanted), 1).place.tolist() == [0, 1]


def test_pictures_without_detections_or_labels_have_empty_tables() -> None:
    wanted = one_picture([], [])
    places, labels = place_table(one_found([], [], []), wanted), label_table(wanted)
    matches = match_places(places, labels, 1)
    assert len(places.picture) == len(labels.picture) == len(matches.place) == len(matches.label) == 0


@pytest.mark.parametrize("missing", [0.05, 0.2])
def test_existence_learns_the_share_of_missing_labels(missing: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, 4000)
    x = np.stack([np.ones(4000), logits, np.zeros(4000), np.zeros(4000), np.zeros(4000)], axis=1)
    there = rng.random(4000) < 1 / (1 + np.exp(-(0.5 + 1.3 * logits)))
    labelled = there & (rng.random(4000) >= missing)
    model = existence.fit(x, labelled)
    assert model.missing == pytest.approx(missing, abs=0.02)
    assert model.weights[:2] == pytest.approx([0.5, 1.3], abs=0.25)
    told = model.overlooked(x)[~labelled]
    assert told.mean() == pytest.approx(there[~labelled].mean(), abs=0.03)


def test_doubles_are_learnt_to_be_nothing() -> None:
    rng = np.random.default_rng(2)
    double = rng.random(2000) < 0.4
    x = np.stack([np.ones(2000), rng.normal(1, 1, 2000), 4 * 0.6 * double, np.zeros(2000), np.zeros(2000)], axis=1)
    labelled = ~double & (rng.random(2000) < 0.9)
    model = existence.fit(x, labelled)
    alone, doubled = np.array([[1, 1.0, 0, 0, 0]]), np.array([[1, 1.0, 2.4, 0, 0]])
    assert model.overlooked(alone)[0] > 0.2
    assert model.overlooked(doubled)[0] < 0.05


def test_naming_learns_the_noise_rate_and_how_far_the_detector_boasts() -> None:
    rng = np.random.default_rng(3)
    true = rng.dirichlet(np.full(6, 0.3), 3000)
    raw = naming.sharpened(np.maximum(true, 1e-6), 0.5)  # twice too sure
    real = (rng.random((3000, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(0, 5)
    given = np.where(rng.random(3000) < 0.1, (real + rng.integers(1, 6, 3000)) % 6, real)
    model = naming.fit(np.maximum(raw, 1e-9), given, 6)
    q = model.posterior(np.maximum(raw, 1e-9), np.ones(3000))
    boast = raw.max(axis=1).mean() - (raw.argmax(axis=1) == real).mean()
    assert boast > 0.1
    assert abs(q.max(axis=1).mean() - (q.argmax(axis=1) == real).mean()) < 0.04
    assert model.noise == pytest.approx(0.1, abs=0.04)


def test_a_mix_up_of_the_detector_is_not_the_labels_fault() -> None:
    """Tea is often taken for coffee, apple never for cake: the same evidence speaks against apple more than tea."""
    rng = np.random.default_rng(4)
    given = rng.integers(0, 4, 800)
    said = given.copy()
    said[(given == 0) & (rng.random(800) < 0.4)] = 1
    given = np.where(rng.random(800) < 0.05, rng.integers(0, 4, 800), given)
    raw = np.full((800, 4), 0.01)
    raw[np.arange(800), said] = 0.97
    model = naming.fit(raw, given, 4)
    row = np.array([[0.01, 0.97, 0.01, 0.01], [0.01, 0.01, 0.01, 0.97]])
    tea, apple = model.swapped(model.posterior(row, np.ones(2)), np.array([0, 2]))
    assert tea < 0.2
    assert apple > max(0.3, 3 * tea)


def test_what_is_hardly_seen_says_as_much_as_class_frequencies() -> None:
    model = naming.Naming(1.0, 0.1, np.eye(3), np.array([0.5, 0.3, 0.2]))
    q = model.posterior(np.array([[0.98, 0.01, 0.01]]), np.zeros(1))
    assert q[0] == pytest.approx([0.5, 0.3, 0.2])
    assert model.swapped(np.ones((1, 1)), np.zeros(1, np.int64)).tolist() == [0.0]


def test_small_boxes_are_allowed_to_overlap_less() -> None:
    rng = np.random.default_rng(5)
    side = rng.uniform(15, 200, 1500)
    boxes = np.stack([np.zeros(1500), np.zeros(1500), side, side], axis=1)
    z = placing.features(boxes, np.full(1500, 0.9), np.zeros(1500))
    overlap = 1 / (1 + np.exp(-(2.5 + 1.0 * z[:, 1] + rng.normal(0, 0.4, 1500))))
    bad = rng.random(1500) < 0.1
    overlap[bad] = rng.uniform(0.4, 0.65, int(bad.sum()))
    model = placing.fit(overlap, z, np.zeros(1500, np.int64), 1)
    assert model.centre[1] == pytest.approx(1.0, abs=0.15)
    pair = placing.features(np.array([[0, 0, 18.0, 18], [0, 0, 180.0, 180]]), np.full(2, 0.9), np.zeros(2))
    small, large = model.misplaced(np.array([0.62, 0.62]), pair, np.zeros(2, np.int64))
    assert large > 0.8
    assert small < 0.4
    assert model.bad == pytest.approx(0.1, abs=0.05)


def test_a_better_overlap_than_usual_is_never_bad() -> None:
    model = placing.Placing(np.array([0.0, 0, 0, 0]), np.zeros(4), np.zeros(1), 0.2)
    z = np.array([[1.0, 0, 0, 0]] * 3)
    assert model.misplaced(np.array([0.5, 0.7, 0.98]), z, np.zeros(3, np.int64)).tolist() == [0, 0, 0]


def test_the_detectors_usual_offset_is_put_right() -> None:
    rng = np.random.default_rng(6)
    labels = np.concatenate([rng.uniform(0, 100, (200, 2)), rng.uniform(150, 300, (200, 2))], axis=1)
    sides = np.tile(labels[:, 2:] - labels[:, :2], 2)
    places = labels + sides * np.array([-0.05, 0, 0.05, 0.1])
    labels[:10] += 40  # some are wrong: the median does not mind
    moved = placing.moved(places, placing.usual_offsets(labels, places))
    assert np.abs(moved[10:] - labels[10:]).max() < 1.0
    assert placing.usual_offsets(np.zeros((0, 4)), np.zeros((0, 4))).tolist() == [0, 0, 0, 0]


def test_folds_are_those_of_leave_out(tmp_path: Path) -> None:
    whole = painted(tmp_path / "set", 24, seed=1)
    folds = fold_numbers(whole, 3)
    for fold in range(3):
        aside = leave_out(whole, 3, fold)[1]
        mine = [s.image for s, number in zip(whole.samples, folds, strict=True) if number == fold]
        assert mine == [s.image for s in aside.samples]


def test_one_scene_fills_no_three_folds(tmp_path: Path) -> None:
    whole = painted(tmp_path / "set", 6, seed=1)
    one_scene = dataclasses.replace(whole, samples=tuple(dataclasses.replace(s, group="clip") for s in whole.samples))
    with pytest.raises(DataError, match="do not fill 3 folds"):
        fold_numbers(one_scene, 3)
    with pytest.raises(ValueError, match="at least 2"):
        fold_numbers(whole, 1)


def test_a_picture_in_two_folds_files_is_refused() -> None:
    wanted = one_picture([BOX], [0])
    with pytest.raises(DataError, match=r"a\.jpg: detections in one\.json and in two\.json"):
        merge_predictions(
            [one_found([BOX], [0.9], [0]), one_found([BOX], [0.8], [0])], wanted, ["one.json", "two.json"]
        )
    merged = merge_predictions([one_found([], [], []), one_found([BOX], [0.8], [0])], wanted, ["one.json", "two.json"])
    assert len(merged[0].boxes) == 1
