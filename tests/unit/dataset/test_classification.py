"""Photos by class: both layouts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import DataError, FormatError
from dataset.classification import read_photos

HEAD = "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int)\n"


def paint(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((8, 12, 3), shade, np.uint8))
    return path


def shop(
    root: Path, classes: str = "Royal,0,Apple,0\nLime,1,Lime,1\n", lines: str = "a.png, 0, 0\nb.png, 1, 1\n"
) -> Path:
    paint(root / "a.png", 10)
    paint(root / "b.png", 20)
    (root / "classes.csv").write_text(HEAD + classes)
    (root / "train.txt").write_text(lines)
    return root


def test_a_tree_has_fine_and_coarse_classes(tmp_path: Path) -> None:
    for number, name in enumerate(("Fruit/Apple", "Fruit/Pear", "Milk/Apple")):
        paint(tmp_path / name / "1.png", number)
    got = read_photos(tmp_path)
    # Two folders are called Apple, so both go by their path.
    assert got.labels == ("Fruit/Apple", "Pear", "Milk/Apple")
    assert (got.coarse_labels, got.coarse_of) == (("Fruit", "Milk"), (0, 0, 1))
    assert [(photo.fine, photo.width, photo.height) for photo in got.photos] == [(0, 12, 8), (1, 12, 8), (2, 12, 8)]


def test_a_flat_tree_has_no_coarse_classes(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "1.png", 1)
    paint(tmp_path / "b" / "1.png", 2)
    assert read_photos(tmp_path).coarse_of == ()


def test_grocery_store_layout_and_hash_that_no_name_changes(tmp_path: Path) -> None:
    got = read_photos(shop(tmp_path / "one"))
    assert got.labels == ("Royal", "Lime")
    assert got.coarse_labels == ("Apple", "Lime")
    other = shop(tmp_path / "two")
    (other / "a.png").rename(other / "z.png")
    (other / "train.txt").write_text("z.png, 0, 0\n\nb.png, 1, 1\n")
    assert read_photos(other).sha256 == got.sha256


def test_the_same_picture_twice_is_taken_once(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "1.png", 1)
    paint(tmp_path / "a" / "2.png", 1)
    paint(tmp_path / "b" / "1.png", 2)
    got = read_photos(tmp_path)
    assert len(got) == 2
    assert "taken once" in got.warnings[0]


def test_one_picture_in_two_classes_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "a" / "1.png", 1)
    paint(tmp_path / "b" / "1.png", 1)
    with pytest.raises(DataError, match="in two classes"):
        read_photos(tmp_path)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a.png, 0\n", "expected 'photo"),
        ("a.png, 7, 0\n", "class number 7"),
        ("a.png, 0, 1\n", "coarse number 1 here but 0"),
        ("../a.png, 0, 0\n", "outside the set"),
        ("none.png, 0, 0\n", "no such picture"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, lines: str, words: str) -> None:
    root = shop(tmp_path, lines="b.png, 1, 1\n" + lines)
    with pytest.raises(FormatError, match=words) as told:
        read_photos(root)
    assert told.value.line == 2


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("Royal,0,Apple\n", "expected 'class"),
        ("Royal,0,Apple,0\nRoyal,1,Apple,0\n", "stands here twice"),
        ("Royal,0,Apple,0\nLime,1,Lime,0\n", "coarse number 0 is"),
        ("", "names no class"),
    ],
)
def test_a_bad_table_of_classes_is_named(tmp_path: Path, classes: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read_photos(shop(tmp_path, classes=classes))


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such folder"):
        read_photos(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="no photo here"):
        read_photos(tmp_path)
    paint(tmp_path / "a" / "1.png", 1)
    with pytest.raises(DataError, match="one class only"):
        read_photos(tmp_path)
    paint(tmp_path / "2.png", 2)
    with pytest.raises(FormatError, match="lies beside"):
        read_photos(tmp_path)


def test_a_list_is_needed(tmp_path: Path) -> None:
    root = shop(tmp_path)
    (root / "train.txt").unlink()
    with pytest.raises(FormatError, match="no list of photos"):
        read_photos(root)
