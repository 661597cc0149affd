"""A picture's size comes from its header, its pixels are turned, and what is broken is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import FormatError
from dataset.building import turned
from dataset.images import is_picture, load_image, measure
from tests.unit.dataset.sets_on_disk import noise, write_picture


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".png", ".bmp", ".webp", ".tif"])
def test_the_header_tells_what_decoding_shows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    write_picture(path, noise(37, 23))
    found = measure(path)
    assert (found.width, found.height, found.orientation) == (37, 23, 1)
    assert load_image(path).shape == (23, 37, 3)
    assert is_picture(path)


def test_a_progressive_jpeg_is_measured_too(tmp_path: Path) -> None:
    _, raw = cv2.imencode(".jpg", noise(50, 30), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    (tmp_path / "a.jpg").write_bytes(raw.tobytes())
    assert (measure(tmp_path / "a.jpg").width, measure(tmp_path / "a.jpg").height) == (50, 30)


def test_channels_are_red_green_blue(tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 200
    write_picture(tmp_path / "red.png", image)
    assert load_image(tmp_path / "red.png")[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_and_boxes_turn_together(tmp_path: Path, orientation: int) -> None:
    stored = np.full((40, 64, 3), 20, np.uint8)
    stored[8:16, 16:40] = 230
    path = tmp_path / "a.jpg"
    write_picture(path, stored, orientation)
    found, shown = measure(path), load_image(path)
    assert found.orientation == orientation
    assert found.stored == (64, 40)
    assert shown.shape[:2] == (found.height, found.width)
    rows, columns = np.nonzero(shown[..., 0] > 128)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    box = turned(np.array([[16, 8, 40, 16]], np.float32), found)
    assert np.abs(box[0] - seen).max() <= 1


def test_a_broken_orientation_is_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_picture(path, noise(20, 10), orientation=9)
    assert measure(path).orientation == 1


@pytest.mark.parametrize("ending", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_picture_that_is_cut_off_is_refused(tmp_path: Path, ending: str, kept: float) -> None:
    path = tmp_path / f"a{ending}"
    write_picture(path, noise(200, 150))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept)])
    for read in (measure, load_image):
        with pytest.raises(FormatError, match=r"a\.(jpg|png): the picture is cut off"):
            read(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty file"), (b"hello, I am text", "not a picture"), (b"\xff\xd8\xff\xd9", "cut off")],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=words):
        load_image(path)
    with pytest.raises(FormatError, match=words):
        measure(path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone\.jpg: no such picture"):
        load_image(tmp_path / "gone.jpg")


@pytest.mark.parametrize("name", ["@.jpg", "Käse & Brot.jpg", "two words.jpg", "汤.jpg", "a.b.c.jpg"])
def test_odd_names_are_read(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, noise(16, 16))
    assert load_image(tmp_path / name).shape == (16, 16, 3)


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg", noise(16, 16, 1))
    write_picture(tmp_path / "b.jpg", noise(16, 16, 1))
    write_picture(tmp_path / "c.jpg", noise(16, 16, 2))
    a, b, c = (measure(tmp_path / f"{name}.jpg").sha256 for name in "abc")
    assert a == b != c
