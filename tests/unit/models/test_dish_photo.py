"""From a photo to views: what is found, what is refused and why."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.errors import DataError
from models.dish_photo import (
    KEPT_SIDE,
    TURNS,
    DishPhoto,
    cut,
    decode_photo,
    find_dish,
    prepare_photo,
    sharpness,
    thumbnail,
    views_of,
)
from tests.dish_photos import blank, jpeg, plate


def test_a_plate_on_a_plain_table_is_found() -> None:
    box, how = find_dish(plate(), None)
    np.testing.assert_allclose(box, (220, 80, 420, 280), atol=8)
    assert "plain" in how


def test_a_given_box_is_taken_as_it_is() -> None:
    photo = prepare_photo(jpeg(plate()), None, (200.0, 60.0, 440.0, 300.0))
    assert photo.found == "given"
    x1, y1, x2, y2 = photo.box
    assert (x2 - x1, y2 - y1) == (240.0, 240.0)


def test_a_large_photo_is_kept_small_with_the_box_in_place() -> None:
    photo = prepare_photo(jpeg(plate(scale=3)), None)
    assert max(photo.image.shape[:2]) == KEPT_SIDE
    inner = cut(photo.image, photo.box, 0.0)
    assert abs(inner.shape[0] - inner.shape[1]) <= 8
    assert inner.shape[0] > 0.5 * KEPT_SIDE


@pytest.mark.parametrize(
    ("content", "box", "told"),
    [
        (b"", None, "empty"),
        (b"no picture at all", None, "not a picture"),
        (jpeg(plate())[:300], None, r"not a picture|no dish"),
        (jpeg(blank(12, 12)), None, "too few"),
        (jpeg(blank()), None, r"no dish found.*--box 0,0,640,360"),
        (jpeg(plate(second=True)), None, r"two things seen.*--box"),
        (jpeg((plate() * 0.1).astype(np.uint8)), (220.0, 80.0, 420.0, 280.0), r"too dark \(brightness"),
        (jpeg(cv2.GaussianBlur(plate(), (0, 0), 14)), (220.0, 80.0, 420.0, 280.0), r"too blurred \(sharpness"),
        (jpeg(np.full((360, 640, 3), 255, np.uint8)), (0.0, 0.0, 640.0, 360.0), "pure white"),
        (jpeg(plate()), (700.0, 10.0, 800.0, 90.0), "not inside"),
        (jpeg(plate()), (30.0, 30.0, 30.0, 80.0), "not inside"),
        (jpeg(plate()), (30.0, 30.0, 42.0, 42.0), "go nearer"),
    ],
    ids=[
        "empty",
        "rubbish",
        "cut off",
        "tiny",
        "no dish",
        "two dishes",
        "dark",
        "blurred",
        "burnt out",
        "box outside",
        "box without width",
        "dish too small",
    ],
)
def test_bad_photos_get_a_clear_answer(content: bytes, box: tuple[float, ...] | None, told: str) -> None:
    with pytest.raises(DataError, match=told):
        prepare_photo(content, None, box)  # type: ignore[arg-type]


def test_the_same_picture_is_as_sharp_at_any_size_and_less_so_when_blurred() -> None:
    small, large = cut(plate(), (220, 80, 420, 280)), cut(plate(scale=2), (440, 160, 840, 560))
    assert sharpness(large) == pytest.approx(sharpness(small), rel=0.5)
    assert sharpness(np.asarray(cv2.GaussianBlur(small, (0, 0), 4), np.uint8)) < 0.3 * sharpness(small)


def test_views_turn_full_circle_and_are_the_same_each_time() -> None:
    photo = prepare_photo(jpeg(plate()), None)
    views, again = views_of(photo), views_of(photo)
    assert len(views) == TURNS
    for view, same in zip(views, again, strict=True):
        np.testing.assert_array_equal(view, same)
    assert len({view.shape for view in views}) > 2


def test_a_long_thing_is_cut_tightly_at_every_angle() -> None:
    image = np.full((300, 300, 3), 200, np.uint8)
    image[130:170, 50:250] = (40, 90, 160)
    views = views_of(DishPhoto(image, (50.0, 130.0, 250.0, 170.0), "given"))
    upright = views[TURNS // 4]
    assert upright.shape[0] > 2.5 * upright.shape[1]


def test_exif_turns_are_undone() -> None:
    from io import BytesIO

    pil = pytest.importorskip("PIL.Image")
    tag = pil.Exif()
    tag[0x0112] = 6
    buffer = BytesIO()
    pil.fromarray(plate()).save(buffer, "JPEG", exif=tag)
    assert decode_photo(buffer.getvalue()).shape[:2] == (640, 360)


def test_thumbnails_are_square() -> None:
    image = decode_photo(thumbnail(prepare_photo(jpeg(plate()), None), 96))
    assert image.shape == (96, 96, 3)
