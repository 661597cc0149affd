"""Turned, mirrored and scaled pictures keep their boxes; what a lane's training sees has not changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.training.test_traynet_run import blocks
from training.augment import LANE, MIN_VISIBLE, Look, _turned, collate, varied_sample
from training.synthetic_set import Pictures

ANY = Look(zoom=(-0.75, 0.3), turns=True)
#: Size, picture, mean pixel, sum of all boxes, wanted boxes, next random number: of the code before `Look`.
BEFORE = (
    ((96, 64), 0, 98.264, 412.000, 3, 0.870354),
    ((64, 32), 0, 89.421, 173.824, 2, 0.649969),
    ((96, 64), 1, 93.792, 208.624, 1, 0.987920),
    ((64, 32), 1, 87.466, 148.435, 1, 0.987920),
    ((96, 64), 2, 117.033, 46.551, 1, 0.238510),
    ((64, 32), 2, 116.379, 60.260, 1, 0.238510),
    ((96, 64), 3, 79.881, 328.000, 2, 0.970457),
    ((64, 32), 3, 118.391, 164.610, 2, 0.289288),
)


def one_picture(size: tuple[int, int], box: tuple[int, int, int, int], visible: float = 1.0) -> Pictures:
    """A red rectangle on blue."""
    image = np.zeros((1, size[1], size[0], 3), np.uint8)
    image[..., 2] = 120
    x1, y1, x2, y2 = box
    image[0, y1:y2, x1:x2] = (220, 0, 0)
    return Pictures(
        [image],
        np.zeros((1, 2), np.int64),
        [np.array([box], np.float32)],
        [np.zeros(1, np.int64)],
        [np.array([visible], np.float32)],
        ["easy"],
        np.zeros(1, np.int64),
        ("red",),
        "0" * 64,
    )


@pytest.mark.parametrize(("size", "index", "mean", "boxes", "wanted", "following"), BEFORE)
def test_the_lanes_look_gives_what_it_always_gave(
    size: tuple[int, int], index: int, mean: float, boxes: float, wanted: int, following: float
) -> None:
    """Shipped weights can be made again: the same pictures, and as many random numbers drawn."""
    rng = np.random.default_rng([index, 2])
    sample = varied_sample(blocks(4, 6), index, size, rng)
    assert sample.image.mean() == pytest.approx(mean, abs=0.01)
    assert sample.boxes.sum() == pytest.approx(boxes, abs=0.01)
    assert sample.wanted.sum() == wanted
    assert rng.random() == pytest.approx(following, abs=1e-6)


def test_leaving_the_look_out_is_the_lanes_look() -> None:
    pictures = blocks(3, 6)
    for index in range(3):
        first, second = (
            varied_sample(pictures, index, (64, 32), np.random.default_rng(index), *look) for look in ((), (LANE,))
        )
        assert first.image.tobytes() == second.image.tobytes()
        assert first.boxes.tobytes() == second.boxes.tobytes()


@given(
    width=st.integers(40, 110),
    height=st.integers(40, 110),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    canvas=st.sampled_from([(64, 64), (96, 64), (64, 96), (128, 128)]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=150, deadline=None)
def test_boxes_enclose_what_was_painted(width, height, place, canvas, seed) -> None:  # type: ignore[no-untyped-def]
    w, h = 8 + int(place[2] * (width - 20)), 8 + int(place[3] * (height - 20))
    x, y = int(place[0] * (width - w)), int(place[1] * (height - h))
    pictures = one_picture((width, height), (x, y, x + w, y + h))
    sample = varied_sample(pictures, 0, canvas, np.random.default_rng(seed), ANY)
    assert sample.image.shape == (canvas[1], canvas[0], 3)
    red, blue = sample.image[..., 0].astype(int), sample.image[..., 2].astype(int)
    rows, columns = np.nonzero((red > blue + 60) & (red > 90))
    if not len(sample.boxes):
        assert len(rows) <= 40  # a sliver at most
        return
    ((x1, y1, x2, y2),) = sample.boxes
    assert 0 <= x1 < x2 <= canvas[0]
    assert 0 <= y1 < y2 <= canvas[1]
    if min(x2 - x1, y2 - y1) < 4:
        return
    # Enclosed, and no more than that: each side within a pixel and a half, as light is interpolated between pixels.
    assert columns.min() == pytest.approx(x1, abs=1.6)
    assert columns.max() + 1 == pytest.approx(x2, abs=1.6)
    assert rows.min() == pytest.approx(y1, abs=1.6)
    assert rows.max() + 1 == pytest.approx(y2, abs=1.6)


def test_turns_and_small_scales_really_happen() -> None:
    pictures = one_picture((96, 48), (10, 10, 50, 22))  # four times as wide as high
    shapes = []
    for seed in range(40):
        sample = varied_sample(pictures, 0, (64, 64), np.random.default_rng(seed), ANY)
        if len(sample.boxes):
            sides = sample.boxes[0, 2:] - sample.boxes[0, :2]
            shapes.append((sides[0] > sides[1], float(sides.max())))
    assert 8 < sum(wide for wide, _ in shapes) < len(shapes) - 8
    assert min(longest for _, longest in shapes) < 26
    lying = [
        varied_sample(pictures, 0, (64, 64), np.random.default_rng(seed), Look(ANY.zoom)).boxes for seed in range(20)
    ]
    assert all(b[0, 2] - b[0, 0] > b[0, 3] - b[0, 1] for b in lying if len(b) and b[0, 2] - b[0, 0] > 20)


def test_four_quarters_are_a_whole_turn() -> None:
    pictures = blocks(1, 3)
    image, boxes = pictures.image(0), pictures.boxes[0]
    turned, moved = image, boxes
    for quarters in range(1, 5):
        turned, moved = _turned(turned, moved, 1)
        once, at_once = _turned(image, boxes, quarters)
        np.testing.assert_array_equal(once, turned)
        np.testing.assert_allclose(at_once, moved)
        assert (moved[:, 2:] > moved[:, :2]).all()
    np.testing.assert_array_equal(turned, image)
    np.testing.assert_allclose(moved, boxes)


def test_pictures_without_objects_can_be_turned() -> None:
    pictures = one_picture((60, 40), (0, 0, 8, 8))
    pictures.boxes[0], pictures.classes[0] = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    pictures.visible[0] = np.zeros(0, np.float32)
    samples = [varied_sample(pictures, 0, (64, 64), np.random.default_rng(seed), ANY) for seed in range(6)]
    images, truth = collate(samples)
    assert images.shape == (6, 3, 64, 64)
    assert truth.boxes.shape == (6, 0, 4)


def test_hardly_visible_things_stay_ignored_when_turned() -> None:
    pictures = one_picture((64, 64), (20, 20, 44, 44), visible=MIN_VISIBLE - 0.01)
    for seed in range(12):
        sample = varied_sample(pictures, 0, (64, 64), np.random.default_rng(seed), ANY)
        assert not sample.wanted.any()
