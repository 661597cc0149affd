"""Photos as pictures of the edge recipe: shrunk with their boxes, classes unknown, ignored boxes not wanted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import FormatError
from dataset.building import set_sha256
from dataset.records import DetectionSet, Sample
from training.assign import UNKNOWN_CLASS
from training.augment import plain_sample
from training.photos import photo_pictures

LABELS = ("soup", "salad")


def photo(folder: Path, name: str, size: tuple[int, int], boxes: list[list[int]], ignored: list[bool]) -> Sample:
    """Write a grey photo with red boxes; `size` is width and height."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = (0, 0, 255)  # BGR
    path = folder / name
    cv2.imwrite(str(path), image)
    return Sample(
        path,
        size[0],
        size[1],
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros(len(boxes), np.int64),
        np.array(ignored, np.bool_),
    )


def set_of(*samples: Sample) -> DetectionSet:
    return DetectionSet("counter", ("thing",), samples, set_sha256(("thing",), samples))


def test_boxes_shrink_with_their_photo_and_classes_are_unknown(tmp_path: Path) -> None:
    wide = photo(tmp_path, "wide.png", (400, 200), [[40, 20, 240, 120], [300, 100, 380, 180]], [False, True])
    high = photo(tmp_path, "high.png", (90, 180), [[0, 90, 90, 180]], [False])
    small = photo(tmp_path, "small.png", (50, 25), [], [])
    pictures = photo_pictures(set_of(wide, high, small), LABELS, side=100)
    assert [pictures.image(i).shape for i in range(3)] == [(50, 100, 3), (100, 50, 3), (50, 100, 3)]
    np.testing.assert_allclose(pictures.boxes[0], [[10, 5, 60, 30], [75, 25, 95, 45]], atol=1e-4)
    np.testing.assert_allclose(pictures.boxes[1], [[0, 50, 50, 100]], atol=1e-4)
    assert pictures.boxes[2].shape == (0, 4)
    for boxes in pictures.boxes:
        assert boxes.dtype == np.float32
    assert (np.concatenate(pictures.classes) == UNKNOWN_CLASS).all()
    assert pictures.labels == LABELS
    assert pictures.presets == ["counter"] * 3
    assert pictures.sha256 == set_of(wide, high, small).sha256
    x1, y1, x2, y2 = pictures.boxes[0][0].astype(int)
    red = pictures.image(0)[..., 0] > 200
    assert red[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].all()
    assert not red[:y1].any()


def test_a_side_that_is_no_multiple_still_keeps_boxes_on_their_things(tmp_path: Path) -> None:
    pictures = photo_pictures(set_of(photo(tmp_path, "a.png", (333, 251), [[50, 60, 250, 200]], [False])), LABELS, 97)
    rows, columns = np.nonzero(pictures.image(0)[..., 2] < 64)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(pictures.boxes[0][0], box, atol=1.0)


def test_ignored_boxes_are_not_wanted(tmp_path: Path) -> None:
    sample = photo(tmp_path, "a.png", (64, 64), [[4, 4, 30, 30], [34, 34, 60, 60]], [False, True])
    laid = plain_sample(photo_pictures(set_of(sample), LABELS, 64), 0, (64, 64))
    assert laid.wanted.tolist() == [True, False]


def test_a_broken_photo_is_named(tmp_path: Path) -> None:
    good = photo(tmp_path, "good.png", (64, 64), [[4, 4, 30, 30]], [False])
    bad = photo(tmp_path, "bad.png", (64, 64), [[4, 4, 30, 30]], [False])
    bad.image.write_bytes(bad.image.read_bytes()[:60])
    with pytest.raises(FormatError, match=r"bad\.png"):
        photo_pictures(set_of(good, bad), LABELS)


def test_a_photo_of_another_size_than_its_labels_is_refused(tmp_path: Path) -> None:
    sample = photo(tmp_path, "swapped.png", (64, 48), [[4, 4, 30, 30]], [False])
    cv2.imwrite(str(sample.image), np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(FormatError, match=r"swapped\.png.*48x64 pixels, its labels are for 64x48"):
        photo_pictures(set_of(sample), LABELS)
