"""Which patches there are, what they are called, which are drawn: promises that hold for every size, box and seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from training.patches.sampling import (
    BACKGROUND,
    LEFT_OUT,
    draw_patches,
    label_patches,
    patch_grid,
    side_px,
)
from training.patches.settings import SamplerSettings

RULE = SamplerSettings()
SIZES = st.tuples(st.integers(40, 1500), st.integers(40, 1500))


@st.composite
def scenes(draw):
    """A picture's size, and up to eight objects inside it."""
    width, height = draw(SIZES)
    boxes = []
    for _ in range(draw(st.integers(0, 8))):
        x1, y1 = draw(st.floats(0, width - 2)), draw(st.floats(0, height - 2))
        boxes.append((x1, y1, draw(st.floats(x1 + 1, width)), draw(st.floats(y1 + 1, height))))
    count = len(boxes)
    classes = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    ignored = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    as_array = np.array(boxes, np.float32).reshape(-1, 4)
    return width, height, as_array, np.array(classes, np.int64), np.array(ignored, np.bool_)


def test_a_square_picture_has_165_patches_of_five_sizes():
    grid = patch_grid(512, 512, RULE)
    assert np.bincount(grid.scales).tolist() == [0, 1, 9, 25, 49, 81]
    for scale in RULE.scales:
        sides = grid.boxes[grid.scales == scale, 2:] - grid.boxes[grid.scales == scale, :2]
        assert np.allclose(sides, 511 / scale)


@given(SIZES)
@settings(max_examples=30, deadline=None)
def test_patches_are_square_inside_and_at_most_448(size):
    width, height = size
    grid = patch_grid(width, height, RULE)
    assert 5 <= len(grid) <= 448
    assert set(grid.scales.tolist()) == set(RULE.scales)
    sides = grid.boxes[:, 2:] - grid.boxes[:, :2]
    assert np.allclose(sides, np.array([side_px(width, height, s) for s in grid.scales.tolist()])[:, None])
    assert grid.boxes.min() >= -1e-9
    assert (grid.boxes[:, 2:] <= np.array([width, height]) + 1e-6).all()
    again = patch_grid(width, height, RULE)
    assert np.array_equal(grid.boxes, again.boxes)


@given(st.tuples(st.integers(100, 700), st.integers(100, 700)))
@settings(max_examples=25, deadline=None)
def test_neighbours_overlap_by_half_and_edges_are_reached(size):
    width, height = size
    grid = patch_grid(width, height, RULE.model_copy(update={"most": 4096}))
    for scale in RULE.scales:
        mine, side = grid.boxes[grid.scales == scale], side_px(width, height, scale)
        for axis, length in enumerate(size):
            starts = np.unique(mine[:, axis])
            if len(starts) > 1:
                assert starts[0] == 0
                assert starts[-1] == pytest.approx(length - side)
                assert np.diff(starts).max() <= side / 2 + 1.0
            else:
                assert length - side <= 1.0 + 1e-6


@given(scenes())
@settings(max_examples=40, deadline=None)
def test_labels_follow_the_two_shares(scene):
    width, height, boxes, classes, ignored = scene
    patches = patch_grid(width, height, RULE).boxes
    labels = label_patches(patches, boxes, classes, ignored, RULE)
    assert labels.shape == (len(patches),)
    for patch, label in list(zip(patches, labels.tolist(), strict=True))[:: max(1, len(patches) // 25)]:
        shown, hidden = set(), False
        for box, k, aside in zip(boxes.astype(float), classes.tolist(), ignored.tolist(), strict=True):
            w = max(0.0, min(patch[2], box[2]) - max(patch[0], box[0]))
            h = max(0.0, min(patch[3], box[3]) - max(patch[1], box[1]))
            of_patch = w * h / ((patch[2] - patch[0]) ** 2)
            of_object = w * h / ((box[2] - box[0]) * (box[3] - box[1]))
            if aside:
                hidden |= of_patch >= 0.2
            elif of_patch >= 0.2 and of_object >= 0.6:
                shown.add(k)
        expected = LEFT_OUT if hidden or len(shown) > 1 else (shown.pop() if shown else BACKGROUND)
        assert label == expected


@given(scenes(), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_draws_keep_all_objects_and_cap_background(scene, seed):
    width, height, boxes, classes, ignored = scene
    labels = label_patches(patch_grid(width, height, RULE).boxes, boxes, classes, ignored, RULE)
    drawn = draw_patches(labels, RULE, (seed, 3))
    assert np.array_equal(drawn, draw_patches(labels, RULE, (seed, 3)))
    assert len(set(drawn.tolist())) == len(drawn) <= 448
    told = labels[drawn]
    objects, background = int((told >= 0).sum()), int((told == BACKGROUND).sum())
    assert LEFT_OUT not in told
    assert objects == int((labels >= 0).sum())
    assert background <= (objects if objects else RULE.lone_background)


def test_another_seed_draws_other_background():
    labels = np.full(165, BACKGROUND)
    labels[:20] = 1
    draws = {tuple(draw_patches(labels, RULE, (1, round_)).tolist()) for round_ in range(5)}
    assert len(draws) == 5


def test_more_objects_than_patches_are_cut_to_the_cap():
    rule = SamplerSettings(most=16)
    drawn = draw_patches(np.zeros(100, np.int64), rule, (0,))
    assert len(drawn) == 16


def test_a_patch_that_shows_two_classes_is_left_out_and_two_of_one_class_are_not():
    patch = np.array([[0.0, 0.0, 10.0, 10.0]])
    boxes = np.array([[0, 0, 5, 10], [5, 0, 10, 10]], np.float32)
    none = np.zeros(2, np.bool_)
    assert label_patches(patch, boxes, np.array([0, 1]), none, RULE).tolist() == [LEFT_OUT]
    assert label_patches(patch, boxes, np.array([1, 1]), none, RULE).tolist() == [1]


def test_an_object_exactly_at_both_shares_counts():
    patch = np.array([[0.0, 0.0, 10.0, 10.0]])
    box = np.array([[0, 6, 10 / 3, 16]], np.float32)  # 13.3 of 33.3: 13 % of the patch, 40 % of the object
    none = np.zeros(1, np.bool_)
    assert label_patches(patch, box, np.array([0]), none, RULE).tolist() == [BACKGROUND]
    at = np.array([[0, 0, 2, 10]], np.float32)
    assert label_patches(patch, at, np.array([0]), none, RULE).tolist() == [0]
    long = np.array([[0, 4, 10, 14]], np.float32)  # 60 of 100 inside
    assert label_patches(patch, long, np.array([0]), none, RULE).tolist() == [0]


def test_a_tiny_picture_is_refused_with_a_way_out():
    with pytest.raises(DataError, match=r"20x400 pixels.*fewer --scales"):
        patch_grid(20, 400, RULE)
    assert len(patch_grid(20, 40, SamplerSettings(scales=(1, 2))))
