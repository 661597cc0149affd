"""Candidates to detections: the class map, and one box for one object."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.boxes import nms
from core.errors import InferenceError
from core.records import HAND, Frame
from models.candidates import Candidates
from models.card import InputSpec, ModelCard
from models.letterbox import fit
from models.settings import DetectorSettings
from models.suppression import SAME_OBJECT_IOU, Selection, pair_limits, suppress

CLASSES = ("cup", "mug", "plate", "person", "table")
MAP = {"cup": "Cup", "mug": "Cup", "plate": "Plate", "person": HAND}
CUP, MUG, PLATE, PERSON, TABLE = np.eye(5, dtype=np.float32)


def select(boxes, scores, class_map=MAP, nms_mode=None, probs=None, size=(200, 100), **settings):
    card = ModelCard.model_validate(
        {
            "name": "net",
            "file": "net.onnx",
            "sha256": "0" * 64,
            "decoder": "yolox",
            "input": {"width": 192, "height": 96},
            "classes": CLASSES,
            "class_map": class_map,
            "nms": nms_mode,
            "licence": "MIT",
            "source": "a test",
        }
    )
    frame = Frame("lane", 5, 12.0, 0.0, np.zeros((size[1], size[0], 3), np.uint8))
    where = fit(InputSpec(width=192, height=96, letterbox="stretch"), *size)
    boxes = np.array(boxes, np.float32).reshape(-1, 4) * np.array([192 / size[0], 96 / size[1]] * 2, np.float32)
    scores = np.array(scores, np.float32).reshape(-1, 5)
    candidates = Candidates(boxes, scores, scores if probs is None else np.array(probs, np.float32))
    return Selection(card, DetectorSettings(**settings)).select(candidates, where, frame)


def test_detections_carry_the_frame_and_the_model_and_are_sorted():
    found = select([[0, 0, 20, 20], [50, 50, 90, 90]], [0.5 * CUP, 0.9 * PLATE])
    assert (found.frame_index, found.captured_at_s, found.model) == (5, 12.0, "net@1")
    assert found.labels == ("Cup", "Plate", HAND)
    assert found.class_ids.tolist() == [1, 0]
    np.testing.assert_allclose(found.scores, [0.9, 0.5])
    np.testing.assert_allclose(found.boxes, [[50, 50, 90, 90], [0, 0, 20, 20]], rtol=1e-5)
    assert found.boxes.dtype == found.scores.dtype == found.class_probs.dtype == np.float32


def test_classes_of_one_label_add_up_to_its_probability_and_the_best_gives_the_score():
    found = select([[0, 0, 20, 20]], [0.4 * CUP + 0.3 * MUG + 0.2 * PLATE])
    np.testing.assert_allclose(found.scores, [0.4])
    np.testing.assert_allclose(found.class_probs, [[0.7, 0.2, 0]], atol=1e-6)


def test_without_a_map_the_classes_are_the_labels():
    found = select([[0, 0, 20, 20]], [0.4 * CUP + 0.3 * TABLE], class_map=None)
    assert found.labels == CLASSES
    np.testing.assert_allclose(found.class_probs, [[0.4, 0, 0, 0, 0.3]])


def test_what_is_rather_something_ignored_is_left_out():
    assert len(select([[0, 0, 20, 20]], [0.3 * CUP + 0.5 * TABLE])) == 0
    assert len(select([[0, 0, 20, 20]], [0.5 * CUP + 0.3 * TABLE])) == 1


def test_threshold_and_number_are_limits():
    boxes = [[x, 0, x + 8, 8] for x in range(0, 100, 10)]
    scores = [(0.05 + 0.1 * i) * CUP for i in range(10)]
    assert len(select(boxes, scores, min_score=0.2)) == 8
    found = select(boxes, scores, min_score=0.2, max_detections=3)
    np.testing.assert_allclose(found.scores, [0.95, 0.85, 0.75], rtol=1e-5)


def test_equal_boxes_of_one_object_become_one():
    found = select([[0, 0, 40, 40], [2, 1, 41, 41], [1, 0, 40, 42]], [0.6 * CUP, 0.9 * CUP, 0.7 * CUP])
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes, [[2, 1, 41, 41]], rtol=1e-5)


def test_two_opinions_on_one_object_become_the_better_one():
    found = select([[0, 0, 40, 40], [1, 1, 40, 40]], [0.6 * CUP, 0.9 * PLATE])
    assert found.class_ids.tolist() == [1]


def test_a_cup_on_a_plate_stays_two():
    assert len(select([[0, 0, 40, 40], [5, 5, 35, 35]], [0.9 * PLATE, 0.8 * CUP])) == 2
    assert len(select([[0, 0, 40, 40], [2, 2, 36, 38]], [0.9 * PLATE, 0.8 * CUP], nms_mode="all")) == 1


def test_two_equal_cups_side_by_side_stay_two():
    assert len(select([[0, 0, 40, 40], [25, 0, 65, 40]], [0.9 * CUP, 0.8 * CUP])) == 2


def test_a_hand_over_an_item_hides_neither():
    assert len(select([[0, 0, 40, 40], [0, 0, 40, 40]], [0.9 * PERSON, 0.8 * CUP])) == 2


def test_mode_none_keeps_everything():
    assert len(select([[0, 0, 40, 40], [0, 0, 40, 40]], [0.9 * CUP, 0.8 * CUP], nms_mode="none")) == 2


def test_boxes_outside_of_the_frame_are_left_out_and_others_cut():
    found = select([[300, 10, 340, 40], [180, 80, 260, 140]], [0.9 * CUP, 0.8 * CUP])
    np.testing.assert_allclose(found.boxes, [[180, 80, 200, 100]], rtol=1e-5)


def test_nothing_is_a_result_too():
    found = select([], [])
    assert len(found) == 0
    assert found.class_probs.shape == (0, 3)


def test_boxes_that_are_no_numbers_are_an_inference_error():
    with pytest.raises(InferenceError, match="net@1 gave boxes that are not numbers on frame 5"):
        select([[0, 0, np.nan, 20]], [0.9 * CUP])


coordinates = st.integers(0, 40).map(float)
boxes_strategy = st.lists(
    st.tuples(coordinates, coordinates, st.integers(1, 30), st.integers(1, 30), st.integers(0, 2)), max_size=25
)


@given(boxes_strategy, st.floats(0.2, 0.9))
def test_suppression_equals_the_reference(rows, limit):
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    ids = np.array([row[4] for row in rows], int)
    scores = np.linspace(1, 0.5, len(rows))
    limits = np.where(ids[:, None] == ids[None, :], limit, 2).astype(np.float32)
    assert suppress(boxes, limits).tolist() == nms(boxes, scores, ids, np.float32(limit)).tolist()


@given(boxes_strategy)
def test_survivors_do_not_overlap_and_each_victim_has_a_better_neighbour(rows):
    labels = ("a", "b", HAND)
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in rows], np.float32).reshape(-1, 4)
    ids = np.array([row[4] for row in rows], int)
    limits = pair_limits(labels, "label", 0.6)[ids[:, None], ids[None, :]]
    kept = suppress(boxes, limits)
    from core.boxes import iou

    over = iou(boxes, boxes) > limits
    for i in range(len(boxes)):
        better = [k for k in kept if k < i]
        assert (i in kept) == (not any(over[k, i] for k in better))


def test_limits_of_pairs():
    limits = pair_limits(("a", "b", HAND), "label", 0.6)
    np.testing.assert_allclose(np.diag(limits), 0.6)
    assert limits[0, 1] == pytest.approx(SAME_OBJECT_IOU)
    assert limits[0, 2] == limits[2, 1] == 2
    assert pair_limits(("a", "b"), "label", 0.9)[0, 1] == pytest.approx(0.9)
    assert pair_limits(("a", "b"), "all", 0.5)[0, 1] == pytest.approx(0.5)
