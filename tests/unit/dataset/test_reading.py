"""What all formats share: boxes checked, the format told from the folder, the set's hash, the sets that we have."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import FormatError
from dataset.reading import read_set, read_splits, tell_format
from tests.shared_data import DATASETS, needs_datasets
from tests.unit.dataset.sets_on_disk import noise, voc_xml, write_coco, write_picture, write_yolo


def coco_folder(folder: Path, boxes: list[list[float]], size: tuple[int, int] = (64, 48)) -> Path:
    write_picture(folder / "a.jpg", noise(64, 48))
    rows = [{"image_id": 1, "category_id": 1, "bbox": box} for box in boxes]
    write_coco(
        folder / "_annotations.coco.json",
        [{"id": 1, "file_name": "a.jpg", "width": size[0], "height": size[1]}],
        rows,
    )
    return folder


def test_the_same_boxes_in_three_formats_are_the_same_set(tmp_path: Path) -> None:
    coco = coco_folder(tmp_path / "coco", [[16, 12, 32, 24]])
    write_coco(
        coco / "_annotations.coco.json",
        [{"id": 9, "file_name": "a.jpg", "width": 64, "height": 48}],
        [{"image_id": 9, "category_id": 7, "bbox": [16, 12, 32, 24]}],
        [{"id": 7, "name": "soup"}],
    )
    write_picture(tmp_path / "voc" / "a.jpg", noise(64, 48))
    (tmp_path / "voc" / "a.xml").write_text(voc_xml("a.jpg", (64, 48), [("soup", (17, 13, 48, 36), 0)]))
    write_yolo(tmp_path / "yolo", {"a": "0 0.5 0.5 0.5 0.5\n"}, "names: {0: soup}\nnc: 1\n")
    sets = [read_set(tmp_path / name) for name in ("coco", "voc", "yolo")]
    assert [tell_format(tmp_path / name) for name in ("coco", "voc", "yolo")] == ["coco", "voc", "yolo"]
    for found in sets:
        assert found.labels == ("soup",)
        assert found.samples[0].boxes.tolist() == [[16, 12, 48, 36]]
        assert (found.samples[0].width, found.samples[0].height) == (64, 48)
        assert found.warnings == ()
    assert len({found.sha256 for found in sets}) == 1


def test_the_hash_follows_content_and_not_places(tmp_path: Path) -> None:
    first = read_set(coco_folder(tmp_path / "one", [[1, 2, 30, 20]])).sha256
    assert read_set(coco_folder(tmp_path / "another" / "place", [[1, 2, 30, 20]])).sha256 == first
    assert read_set(coco_folder(tmp_path / "box", [[1, 2, 30, 21]])).sha256 != first
    other = coco_folder(tmp_path / "pixels", [[1, 2, 30, 20]])
    write_picture(other / "a.jpg", noise(64, 48, 5))
    assert read_set(other).sha256 != first


def test_a_box_that_sticks_out_is_clipped_and_told(tmp_path: Path) -> None:
    found = read_set(coco_folder(tmp_path, [[-5, 4, 20, 100]]))
    assert found.samples[0].boxes.tolist() == [[0, 4, 15, 48]]
    assert found.warnings[0] == (
        "_annotations.coco.json: annotation id 1: box [-5, 4, 15, 104] sticks out of a.jpg (64x48): clipped"
    )


def test_rounding_is_clipped_in_silence(tmp_path: Path) -> None:
    found = read_set(coco_folder(tmp_path, [[-0.4, 0, 65, 48]]))
    assert found.samples[0].boxes.tolist() == [[0, 0, 64, 48]]
    assert not [w for w in found.warnings if ": clipped" in w]


@pytest.mark.parametrize("box", [[10, 10, 0, 5], [10, 10, 5, 0.2], [80, 10, 10, 10], [10, 10, -4, 10]])
def test_a_box_without_an_area_is_left_out_and_told(tmp_path: Path, box: list[float]) -> None:
    found = read_set(coco_folder(tmp_path, [box, [1, 1, 30, 30]]))
    assert len(found.samples[0].boxes) == 1
    assert any("annotation id 1: box" in w and "left out" in w for w in found.warnings)


def test_doubles_are_left_out_and_told(tmp_path: Path) -> None:
    found = read_set(coco_folder(tmp_path, [[1, 1, 30, 30], [1, 1, 30, 30], [1, 1, 30, 29]]))
    assert len(found.samples[0].boxes) == 2
    assert any("'soup' [1, 1, 31, 31] is annotated twice" in w for w in found.warnings)


def test_two_classes_on_one_box_are_told(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n"})
    found = read_set(tmp_path)
    assert found.samples[0].classes.tolist() == [0, 1]
    assert any("labels/a.txt:2" in w and "two classes: 'soup' and 'rice'" in w for w in found.warnings)


def test_a_class_without_boxes_is_told(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n"})
    assert any("no box of class 'rice'" in w for w in read_set(tmp_path).warnings)


def test_a_size_that_disagrees_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"says that a\.jpg has 640x480 pixels, but it has 64x48"):
        read_set(coco_folder(tmp_path, [[1, 1, 5, 5]], (640, 480)))


def test_boxes_of_a_turned_picture_are_turned_when_drawn_on_stored_pixels(tmp_path: Path) -> None:
    coco_folder(tmp_path, [[16, 8, 24, 8]])
    write_picture(tmp_path / "a.jpg", noise(64, 48), orientation=6)
    found = read_set(tmp_path)
    assert (found.samples[0].width, found.samples[0].height) == (48, 64)
    assert found.samples[0].boxes.tolist() == [[32, 16, 40, 40]]
    assert any("boxes turned with the picture (EXIF orientation 6)" in w for w in found.warnings)


def test_boxes_of_a_turned_picture_stay_when_drawn_on_it(tmp_path: Path) -> None:
    coco_folder(tmp_path, [[4, 40, 20, 20]], (48, 64))
    write_picture(tmp_path / "a.jpg", noise(64, 48), orientation=6)
    assert read_set(tmp_path).samples[0].boxes.tolist() == [[4, 40, 24, 60]]


def test_shares_of_a_turned_picture_are_told(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.25\n"})
    write_picture(tmp_path / "images" / "a.jpg", noise(64, 48), orientation=8)
    found = read_set(tmp_path)
    assert found.samples[0].boxes.tolist() == [[12, 24, 36, 40]]
    assert any("EXIF orientation 8: boxes are taken as drawn on the turned picture" in w for w in found.warnings)


def test_a_set_without_boxes_or_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="none of the 1 pictures has a box"):
        read_set(coco_folder(tmp_path / "bare", []))
    write_coco(tmp_path / "none" / "a.json", [], [])
    with pytest.raises(FormatError, match="the set is empty"):
        read_set(tmp_path / "none")


def test_corrupt_and_missing_pictures_are_named(tmp_path: Path) -> None:
    folder = coco_folder(tmp_path, [[1, 1, 5, 5]])
    (folder / "a.jpg").write_bytes((folder / "a.jpg").read_bytes()[:400])
    with pytest.raises(FormatError, match=r"a\.jpg: the picture is cut off"):
        read_set(folder)
    (folder / "a.jpg").unlink()
    with pytest.raises(FormatError, match=r"_annotations\.coco\.json: picture 'a\.jpg' is missing"):
        read_set(folder)


def test_labels_of_another_set_are_kept(tmp_path: Path) -> None:
    folder = coco_folder(tmp_path, [[1, 1, 30, 30]])
    found = read_set(folder, labels=("bread", "soup"))
    assert found.labels == ("bread", "soup")
    assert found.samples[0].classes.tolist() == [1]
    with pytest.raises(FormatError, match="annotation id 1: unknown class 'soup'; known are bread, rice"):
        read_set(folder, labels=("bread", "rice"))


def test_no_format_and_two_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file or folder"):
        read_set(tmp_path / "nowhere")
    write_picture(tmp_path / "a.jpg", noise(64, 48))
    with pytest.raises(FormatError, match="no known format here: looked for COCO"):
        read_set(tmp_path)
    coco_folder(tmp_path, [[1, 1, 30, 30]])
    (tmp_path / "a.xml").write_text(voc_xml("a.jpg", (64, 48), [("soup", (1, 1, 9, 9), 0)]))
    with pytest.raises(FormatError, match=r"more than one format here \(coco, voc\); say which with --format"):
        read_set(tmp_path)
    assert len(read_set(tmp_path, "voc")) == 1
    with pytest.raises(FormatError, match="no YOLO set here"):
        read_set(tmp_path, "yolo")


def test_parts_have_the_same_labels(tmp_path: Path) -> None:
    for part, category in (("train", 1), ("valid", 2)):
        coco_folder(tmp_path / part, [[1, 1, 30, 30]])
        write_coco(
            tmp_path / part / "_annotations.coco.json",
            [{"id": 1, "file_name": "a.jpg"}],
            [{"image_id": 1, "category_id": category, "bbox": [1, 1, 30, 30]}],
        )
    parts = read_splits(tmp_path)
    assert list(parts) == ["train", "valid"]
    assert [part.name.split("/")[-1] for part in parts.values()] == ["train", "valid"]
    assert {part.labels for part in parts.values()} == {("soup", "rice")}
    assert [part.samples[0].classes.tolist() for part in parts.values()] == [[0], [1]]
    assert len(read_set(tmp_path)) == 2
    assert len(read_set(tmp_path / "valid")) == 1


def test_order_does_not_depend_on_the_file(tmp_path: Path) -> None:
    for name in "cab":
        write_picture(tmp_path / f"{name}.jpg", noise(64, 48, ord(name)))
    for order in ("abc", "bca"):
        write_coco(
            tmp_path / "x.json",
            [{"id": ord(name), "file_name": f"{name}.jpg"} for name in order],
            [{"image_id": ord(name), "category_id": 1, "bbox": [1, 1, 9, 9]} for name in order],
        )
        assert [sample.image.name for sample in read_set(tmp_path).samples] == ["a.jpg", "b.jpg", "c.jpg"]


@needs_datasets
@pytest.mark.parametrize(
    ("folder", "format_", "pictures", "classes", "boxes"),
    [
        ("epicure19_yolo", "yolo", 157, 19, 1308),
        ("nextar2_coco", "coco", 279, 2, 609),
        ("raccoon_voc", "voc", 147, 1, 161),
        ("format_samples/coco_dataset/coco_instances", "coco", 2, 3, 3),
        ("format_samples/coco_dataset/coco_instances/annotations/instances_val.json", "coco", 1, 3, 2),
        ("format_samples/coco_dataset/coco_roboflow", "coco", 2, 3, 3),
        ("format_samples/voc_dataset/voc_dataset1", "voc", 1, 2, 2),
        ("format_samples/voc_dataset/voc_dataset3", "voc", 1, 1, 1),
        ("format_samples/yolo_dataset/labels", "yolo", 2, 10, 4),
        ("format_samples/yolo_dataset/annotations", "yolo", 1, 10, 2),
        ("format_samples/yolo_dataset/strict", "yolo", 1, 10, 2),
    ],
)
def test_the_sets_that_we_have(folder: str, format_: str, pictures: int, classes: int, boxes: int) -> None:
    assert tell_format(DATASETS / folder) == format_
    found = read_set(DATASETS / folder)
    assert (len(found), len(found.labels)) == (pictures, classes)
    assert sum(len(sample.boxes) for sample in found.samples) == boxes
    for sample in found.samples:
        assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
        assert np.all(sample.boxes >= 0)
        assert np.all(sample.boxes <= [sample.width, sample.height] * 2)


@needs_datasets
def test_annotations_without_pictures_are_refused() -> None:
    with pytest.raises(FormatError, match=r"@\.xml: picture '@\.jpg' is missing"):
        read_set(DATASETS / "format_samples" / "voc_dataset" / "voc_dataset2")


@needs_datasets
def test_label_map_and_odd_name(tmp_path: Path) -> None:
    shutil.copytree(DATASETS / "format_samples" / "voc_dataset" / "voc_dataset2", tmp_path / "set")
    for seed, name in enumerate("@abcd"):
        write_picture(tmp_path / "set" / "JPEGImages" / f"{name}.jpg", noise(12, 8, seed))
    found = read_set(tmp_path / "set")
    assert len(found) == 5
    assert found.labels[:3] == ("background", "aeroplane", "bicycle")
    assert "ignored" not in found.labels
    assert set(read_splits(tmp_path / "set")) == {"trainval"}
