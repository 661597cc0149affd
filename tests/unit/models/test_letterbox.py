"""Frames into the network's input, and boxes back."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.card import InputSpec
from models.letterbox import Letterbox, fit

NOISE = np.random.default_rng(7)


def picture(height, width):
    return NOISE.integers(0, 256, (height, width, 3), dtype=np.uint8)


def plain_letterbox(image, spec):
    """The same, said slowly."""
    where = fit(spec, image.shape[1], image.shape[0])
    canvas = np.full((spec.height, spec.width, 3), spec.pad, np.uint8)
    small = cv2.resize(image, (where.inner_width, where.inner_height), interpolation=cv2.INTER_LINEAR)
    canvas[where.top : where.top + where.inner_height, where.left : where.left + where.inner_width] = small
    if spec.color == "bgr":
        canvas = canvas[:, :, ::-1]
    values = (canvas.astype(np.float64) * spec.scale - np.array(spec.mean)) / np.array(spec.std)
    return values.transpose(2, 0, 1).astype(np.float32)


def written(image, spec):
    target = np.zeros((3, spec.height, spec.width), np.float32)
    return target, Letterbox(spec, target).write(image)


@pytest.mark.parametrize("mode", ["topleft", "center", "stretch"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize(
    "numbers",
    [{}, {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}],
    ids=["bytes", "normalised"],
)
def test_input_equals_the_plain_way(mode, color, numbers):
    spec = InputSpec(width=96, height=64, letterbox=mode, color=color, **numbers)
    image = picture(90, 160)
    np.testing.assert_allclose(written(image, spec)[0], plain_letterbox(image, spec), rtol=1e-5, atol=1e-5)


def test_image_of_the_inputs_size_is_taken_as_it_is():
    spec = InputSpec(width=32, height=24)
    image = picture(24, 32)
    assert (written(image, spec)[0] == image.transpose(2, 0, 1)).all()


def test_nhwc_layout():
    spec = InputSpec(width=32, height=24, layout="nhwc")
    image = picture(24, 32)
    target = np.zeros((24, 32, 3), np.float32)
    Letterbox(spec, target).write(image)
    assert (target == image).all()


def test_border_is_clean_again_after_the_frame_size_changes():
    spec = InputSpec(width=64, height=64)
    target = np.zeros((3, 64, 64), np.float32)
    letterbox = Letterbox(spec, target)
    for image in (picture(64, 64), picture(20, 64), picture(64, 10)):
        letterbox.write(image)
        assert (target == plain_letterbox(image, spec)).all()


def test_second_frame_of_one_size_replaces_the_first():
    spec = InputSpec(width=64, height=64)
    target = np.zeros((3, 64, 64), np.float32)
    letterbox = Letterbox(spec, target)
    for image in (picture(36, 64), picture(36, 64)):
        letterbox.write(image)
        assert (target == plain_letterbox(image, spec)).all()


def test_read_only_and_uncontiguous_images_are_fine():
    spec = InputSpec(width=64, height=64)
    image = picture(100, 120)[::2, ::2]
    image.flags.writeable = False
    np.testing.assert_array_equal(written(image, spec)[0], plain_letterbox(np.ascontiguousarray(image), spec))


@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    mode=st.sampled_from(["topleft", "center", "stretch"]),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_come_back_to_where_they_were(width, height, mode, corners):
    spec = InputSpec(width=320, height=192, letterbox=mode)
    where = fit(spec, width, height)
    assert 0 <= where.left <= where.left + where.inner_width <= 320
    assert 0 <= where.top <= where.top + where.inner_height <= 192
    left, right = sorted(corners[:2])
    top, bottom = sorted(corners[2:])
    box = np.array([[left * width, top * height, right * width, bottom * height]], np.float32)
    scale = np.array([where.scale_x, where.scale_y] * 2, np.float32)
    shift = np.array([where.left, where.top] * 2, np.float32)
    tolerance = 1e-3 * max(width, height) / min(320, 192) + 1e-3
    np.testing.assert_allclose(where.to_frame(box * scale + shift), box, atol=tolerance, rtol=1e-5)


def test_boxes_are_cut_to_the_frame():
    where = fit(InputSpec(width=64, height=64), 640, 320)
    assert where.to_frame(np.array([[-5, -5, 100, 100]], np.float32)).tolist() == [[0, 0, 640, 320]]
