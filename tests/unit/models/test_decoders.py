"""Raw outputs to candidates: each decoder against a slow explicit reading of its layout."""

import math

import numpy as np
import pytest

from core.errors import InferenceError, ModelMismatch
from models.card import ModelCard
from models.decoders import DetrDecoder, TorchvisionDecoder, Yolov8Decoder, YoloxDecoder, grid, make_decoder


def card(decoder="yolox", width=96, height=64, **changes):
    return ModelCard.model_validate(
        {
            "name": "net",
            "file": "net.onnx",
            "sha256": "0" * 64,
            "decoder": decoder,
            "input": {"width": width, "height": height},
            "classes": ["cup", "plate", "person"],
            "licence": "MIT",
            "source": "a test",
        }
        | changes
    )


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def by_hand_yolox(raw, width, height, min_score, classes, activation=lambda value: value):
    """Loop over heads, rows and columns, as the paper draws them."""
    found, at = [], 0
    for stride in (8, 16, 32):
        for row in range(height // stride):
            for column in range(width // stride):
                x, y, w, h, obj, *ratings = (float(v) for v in raw[at])
                at += 1
                obj = activation(obj)
                scores = [obj * activation(rating) for rating in ratings]
                if obj < min_score:
                    continue
                cx, cy = (x + column) * stride, (y + row) * stride
                bw, bh = math.exp(w) * stride, math.exp(h) * stride
                found.append(([cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2], scores))
    assert at == len(raw)
    assert all(len(scores) == classes for _, scores in found)
    return found


@pytest.mark.parametrize("activation", ["none", "sigmoid"])
def test_yolox_equals_the_slow_loop(activation):
    rng = np.random.default_rng(3)
    raw = rng.normal(0, 1, (126, 8)).astype(np.float32)
    if activation == "none":
        raw[:, 4:] = 1 / (1 + np.exp(-raw[:, 4:]))
    found = YoloxDecoder(card(activation=activation)).decode([raw], 0.4)
    expected = by_hand_yolox(raw, 96, 64, 0.4, 3, sigmoid if activation == "sigmoid" else lambda value: value)
    assert 20 < len(expected) < 126
    np.testing.assert_allclose(found.boxes, [box for box, _ in expected], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.scores, [scores for _, scores in expected], rtol=1e-4)


def test_grid_runs_row_by_row_and_head_by_head():
    cells, strides = grid(64, 32, (8, 16, 32))
    assert len(cells) == 32 + 8 + 2
    assert cells[1].tolist() == [1, 0]
    assert cells[8].tolist() == [0, 1]
    assert strides[[0, 31, 32, 40]].ravel().tolist() == [8, 8, 16, 32]


def test_yolox_survives_absurd_sizes():
    raw = np.zeros((126, 8), np.float32)
    raw[5] = [0, 0, 500, 500, 1, 1, 0, 0]
    found = YoloxDecoder(card()).decode([raw], 0.5)
    assert np.isfinite(found.boxes).all()
    assert found.boxes[0, 2] - found.boxes[0, 0] > 96


def test_class_probabilities_are_shares_and_the_rest_is_unknown():
    raw = np.zeros((126, 8), np.float32)
    raw[0] = [0, 0, 0, 0, 0.5, 0.6, 0.1, 0]  # sums to less than one: three tenths unknown
    raw[1] = [0, 0, 0, 0, 0.5, 0.9, 0.9, 0.2]  # sums to more: scaled down
    probs = YoloxDecoder(card()).decode([raw], 0.1).probs
    np.testing.assert_allclose(probs[0], [0.6, 0.1, 0], atol=1e-6)
    np.testing.assert_allclose(probs[1], [0.45, 0.45, 0.1], atol=1e-6)


@pytest.mark.parametrize("activation", ["none", "sigmoid"])
def test_yolov8_equals_the_slow_loop(activation):
    rng = np.random.default_rng(4)
    raw = rng.normal(0, 1, (7, 40)).astype(np.float32)
    raw[:4] = rng.uniform(10, 60, (4, 40))
    if activation == "none":
        raw[4:] = 1 / (1 + np.exp(-raw[4:]))
    found = Yolov8Decoder(card("yolov8", activation=activation)).decode([raw], 0.7)
    boxes, scores = [], []
    for cx, cy, w, h, *ratings in raw.T.tolist():
        ratings = [sigmoid(rating) for rating in ratings] if activation == "sigmoid" else ratings
        if max(ratings) >= 0.7:
            boxes.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
            scores.append(ratings)
    assert 5 < len(boxes) < 40
    np.testing.assert_allclose(found.boxes, boxes, rtol=1e-5)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5)
    assert (found.probs.sum(axis=1) <= 1 + 1e-6).all()


def test_detr_softmax_leaves_the_no_object_class_out():
    logits = np.array([[5, 1, 0, 0], [0, 0, 0, 6], [0, 3, 2.9, 0]], np.float32)
    boxes = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 1, 1], [0.25, 0.25, 0.1, 0.2]], np.float32)
    found = DetrDecoder(card("detr", activation="softmax")).decode([boxes, logits], 0.2)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.scores, expected[[0, 2], :3], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [[24, 16, 72, 48], [19.2, 9.6, 28.8, 22.4]], rtol=1e-5)
    np.testing.assert_allclose(found.probs.sum(axis=1), 1, rtol=1e-5)


def test_detr_sigmoid_scores_each_class_alone():
    logits = np.array([[2, -2, -9], [-5, -5, -5]], np.float32)
    boxes = np.full((2, 4), 0.5, np.float32)
    found = DetrDecoder(card("detr", activation="sigmoid")).decode([boxes, logits], 0.5)
    np.testing.assert_allclose(found.scores, [[sigmoid(2), sigmoid(-2), sigmoid(-9)]], rtol=1e-5)


def test_extreme_logits_give_no_warning_and_no_nan():
    logits = np.array([[500, -500, 0]], np.float32)
    boxes = np.full((1, 4), 0.5, np.float32)
    for activation in ("sigmoid", "softmax"):
        rows = np.pad(logits, ((0, 0), (0, activation == "softmax")))
        found = DetrDecoder(card("detr", activation=activation)).decode([boxes, rows], 0.5)
        assert np.isfinite(found.scores).all()
        assert found.scores[0, 0] == pytest.approx(1)


def test_torchvision_numbers_classes_from_the_offset():
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 9, 9], [1, 1, 2, 2]], np.float32)
    scores = np.array([0.9, 0.8, 0.05, 0.7], np.float32)
    labels = np.array([1, 3, 2, 0])
    found = TorchvisionDecoder(card("torchvision", class_offset=1)).decode([boxes, scores, labels], 0.5)
    np.testing.assert_allclose(found.scores, [[0.9, 0, 0], [0, 0, 0.8]])
    assert found.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_torchvision_class_that_the_card_does_not_name():
    one = np.array([[1, 2, 3, 4]], np.float32), np.array([0.9], np.float32), np.array([7])
    with pytest.raises(InferenceError, match="class number 7, but its card names 3 classes from 1 on"):
        TorchvisionDecoder(card("torchvision", class_offset=1)).decode(one, 0.5)


@pytest.mark.parametrize(
    ("decoder", "activation", "shapes"),
    [
        ("yolox", "none", [(126, 8)]),
        ("yolov8", "none", [(7, 33)]),
        ("detr", "softmax", [(9, 4), (9, 4)]),
        ("detr", "sigmoid", [(9, 4), (9, 3)]),
        ("torchvision", "none", [(5, 4), (5,), (5,)]),
    ],
)
def test_right_shapes_pass_and_nothing_is_found_in_nothing(decoder, activation, shapes):
    reads = make_decoder(card(decoder, activation=activation))
    blank = [np.full(shape, -50 if activation != "none" and i else 0, np.float32) for i, shape in enumerate(shapes)]
    if activation == "softmax":
        blank[1][:, -1] = 50
    reads.check(blank)
    found = reads.decode(blank, 0.1)
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == found.probs.shape == (0, 3)


@pytest.mark.parametrize(
    ("decoder", "activation", "shapes", "message"),
    [
        ("yolox", "none", [(100, 8)], r"output is \(100, 8\), .* at 96x64 have 126 cells"),
        ("yolox", "none", [(126, 85)], "the model has 80 classes, its card names 3"),
        ("yolox", "none", [(126, 8, 1)], "correct input, strides or decoder"),
        ("yolov8", "none", [(7,)], r"reads \(4 \+ classes, cells\)"),
        ("yolov8", "none", [(84, 20)], "the model has 80 classes, its card names 3"),
        ("detr", "softmax", [(9, 4), (9, 3)], "the model has 2 classes, its card names 3"),
        ("detr", "sigmoid", [(9, 4), (8, 3)], r"outputs are \(9, 4\) and \(8, 3\)"),
        ("torchvision", "none", [(5, 4), (4,), (4,)], r"outputs are \(5, 4\), \(4\), \(4\)"),
    ],
)
def test_wrong_shapes_are_explained(decoder, activation, shapes, message):
    with pytest.raises(ModelMismatch, match=message):
        make_decoder(card(decoder, activation=activation)).check([np.zeros(shape, np.float32) for shape in shapes])
