"""What each format allows, and what it does not: file, line and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import FormatError
from dataset.reading import read_set, read_splits
from tests.unit.dataset.sets_on_disk import noise, voc_xml, write_coco, write_picture, write_yolo

IMAGE = {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}
BOX = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 30, 30]}


def coco(folder: Path, **tables: Any) -> Path:
    write_picture(folder / "a.jpg", noise(64, 48))
    write_coco(folder / "x.json", tables.get("images", [IMAGE]), tables.get("annotations", [BOX]), **{
        key: tables[key] for key in ("categories",) if key in tables
    })  # fmt: skip
    return folder


def test_coco_crowds_are_ignored(tmp_path: Path) -> None:
    rows = [BOX, BOX | {"bbox": [5, 5, 9, 9], "iscrowd": 1}, BOX | {"bbox": [7, 7, 9, 9], "ignore": 1}]
    assert read_set(coco(tmp_path, annotations=rows)).samples[0].ignored.tolist() == [False, True, True]


def test_coco_polygons_give_the_box_around_them(tmp_path: Path) -> None:
    row = {"image_id": 1, "category_id": 2, "segmentation": [[3, 4, 20, 4, 10, 30], [1, 9, 2, 9, 2, 10]]}
    assert read_set(coco(tmp_path, annotations=[row])).samples[0].boxes.tolist() == [[1, 4, 20, 30]]


def test_coco_keeps_the_order_of_ids_and_classes_that_are_not_used(tmp_path: Path) -> None:
    categories = [{"id": 10, "name": "z"}, {"id": 2, "name": "m"}, {"id": 1, "name": "q "}]
    assert read_set(coco(tmp_path, categories=categories)).labels == ("q", "m", "z")


def test_the_heading_that_roboflow_makes_a_category_is_left_out(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "dishes", "supercategory": "none"},
        {"id": 1, "name": "soup", "supercategory": "dishes"},
    ]
    found = read_set(coco(tmp_path, categories=categories))
    assert found.labels == ("soup",)
    assert any("category 0 'dishes' is only a heading" in w for w in found.warnings)
    used = [BOX | {"category_id": 0}]
    assert read_set(coco(tmp_path, categories=categories, annotations=used)).labels == ("dishes", "soup")


def test_coco_pictures_in_folders_and_not_spoken_of(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "train2017" / "a.jpg", noise(64, 48))
    write_picture(tmp_path / "images" / "train2017" / "b.jpg", noise(64, 48, 1))
    write_coco(tmp_path / "annotations" / "instances_train2017.json", [IMAGE], [BOX])
    write_coco(tmp_path / "annotations" / "captions_train2017.json", [IMAGE], [])
    found = read_set(tmp_path)
    assert len(found) == 1
    assert any(w.startswith("images/train2017/b.jpg: no annotation file") for w in found.warnings)
    assert list(read_splits(tmp_path)) == ["train2017"]


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"annotations": [BOX | {"category_id": 7}]}, r"annotation id 1: category id 7 is not in the list .*1 'soup'"),
        ({"annotations": [BOX | {"image_id": 5}]}, "annotation id 1: there is no image id 5"),
        ({"annotations": [BOX | {"bbox": [1, 2, 3]}]}, r"annotation id 1: bbox must be \[x, y, width, height\]"),
        ({"annotations": [BOX | {"bbox": [1, 2, "3", 4]}]}, "annotation id 1: bbox .* must hold numbers, got '3'"),
        ({"annotations": [BOX | {"bbox": [1, 2, float("nan"), 4]}]}, "annotation id 1: box .* is not finite"),
        ({"annotations": [BOX | {"bbox": [1, 2, float("inf"), 4]}]}, "bbox .* holds a number that no picture reaches"),
        ({"annotations": [{"image_id": 1, "category_id": 1}]}, "annotation id 1: neither a bbox nor polygons"),
        ({"annotations": [BOX | {"category_id": True}]}, "category_id must be a whole number, got True"),
        ({"images": [IMAGE, IMAGE]}, "image id 1 stands there twice"),
        ({"images": [IMAGE, IMAGE | {"id": 2}]}, "is annotated twice"),
        ({"images": [{"id": 1}]}, "image id 1 has no file_name"),
        ({"images": [{"id": 1, "file_name": "a" * 400}]}, "picture 'a+' is missing"),
        ({"images": [IMAGE | {"width": "wide"}]}, "image id 1: width must be a whole number, got 'wide'"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, r"category 'a' \(id 2\) stands there twice"),
        ({"categories": [{"id": 1}]}, "category id 1 has no name"),
    ],
)
def test_coco_errors(tmp_path: Path, tables: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        read_set(coco(tmp_path, **tables))
    assert "x.json" in caught.value.path


def test_broken_json_names_the_line(tmp_path: Path) -> None:
    folder = coco(tmp_path)
    content = json.dumps(json.loads((folder / "x.json").read_text()), indent=1)
    (folder / "x.json").write_text(content.replace('"annotations":', '"annotations" '))
    with pytest.raises(FormatError, match=r"x\.json:\d+: not valid JSON") as caught:
        read_set(folder)
    assert caught.value.line == content[: content.index('"annotations":')].count("\n") + 1


def voc(folder: Path, text: str) -> Path:
    write_picture(folder / "JPEGImages" / "a.jpg", noise(64, 48))
    (folder / "Annotations").mkdir(parents=True)
    (folder / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    return folder


def test_voc_counts_from_one_and_difficult_is_ignored(tmp_path: Path) -> None:
    text = voc_xml("a.jpg", (64, 48), [("soup", (1, 1, 64, 48), 0), ("rice", (0, "5.5", 20, 30), 1)])
    sample = read_set(voc(tmp_path, text)).samples[0]
    assert sample.boxes.tolist() == [[0, 0, 64, 48], [0, 4.5, 20, 30]]
    assert sample.ignored.tolist() == [False, True]
    assert sample.classes.tolist() == [1, 0]  # by name: rice, soup


def test_voc_finds_the_picture_by_the_xml_name_too(tmp_path: Path) -> None:
    assert len(read_set(voc(tmp_path, voc_xml("IMG_1.jpeg", None, [("soup", (1, 1, 9, 9), 0)])))) == 1


def test_voc_parts_of_image_sets_and_of_folders(tmp_path: Path) -> None:
    folder = voc(tmp_path / "lists", voc_xml("a.jpg", None, [("soup", (1, 1, 9, 9), 0)]))
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "val.txt").write_text("a\n")
    (folder / "ImageSets" / "Main" / "soup_train.txt").write_text("a -1\n")
    assert list(read_splits(folder)) == ["val"]
    for part in ("train", "test"):
        write_picture(tmp_path / "folders" / part / f"{part}.jpg", noise(64, 48))
        text = voc_xml(f"{part}.jpg", None, [("soup", (1, 1, 9, 9), 0)])
        (tmp_path / "folders" / part / f"{part}.xml").write_text(text)
    assert list(read_splits(tmp_path / "folders")) == ["test", "train"]


GOOD = voc_xml("a.jpg", (64, 48), [("soup", (1, 2, 30, 40), 0)])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.replace("</object>", ""), 7, "not valid XML"),
        (GOOD.replace("<xmin>1<", "<xmin>left<"), 5, "<xmin> must be a number, got 'left'"),
        (GOOD.replace("<xmin>1<", "<xmin>nan<"), 5, "is not finite"),
        (GOOD.replace("<xmin>1</xmin>", ""), 5, "<bndbox> has no <xmin>"),
        (GOOD.replace("<name>soup</name>", ""), 4, "an object has no <name>"),
        (GOOD.replace("bndbox", "box"), 4, "object 'soup' has no <bndbox>"),
        (GOOD.replace(">64<", ">wide<"), 3, "<width> of <size> must be a whole number, got 'wide'"),
        (GOOD.replace(">64<", ">63<"), None, "has 63x48 pixels, but it has 64x48"),
        (GOOD.replace("a.jpg", "b.jpg").replace("soup", "s"), None, ""),
        ('<!DOCTYPE annotation [<!ENTITY a "b">]>\n' + GOOD.replace("soup", "&a;"), 1, "declares the entity 'a'"),
    ],
)
def test_voc_errors(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    folder = voc(tmp_path, text)
    if not words:
        (folder / "JPEGImages" / "a.jpg").rename(folder / "JPEGImages" / "c.jpg")
        words = r"picture 'b\.jpg' is missing"
    with pytest.raises(FormatError, match=words) as caught:
        read_set(folder)
    assert caught.value.path.endswith("a.xml")
    assert caught.value.line == line


def test_yolo_names_as_list_mapping_and_file(tmp_path: Path) -> None:
    line = "1 0.5 0.5 0.5 0.5\n"
    for i, names in enumerate(("names: [soup, 'no']", "names:\n  1: no\n  0: soup\n", "nc: 2\nnames:\n- soup\n- no\n")):
        write_yolo(tmp_path / str(i), {"a": line}, names)
        assert read_set(tmp_path / str(i)).labels == ("soup", "no")  # "no" is no falsehood
    write_yolo(tmp_path / "nc", {"a": line}, "nc: 2\n")
    assert read_set(tmp_path / "nc").labels == ("class_0", "class_1")
    write_yolo(tmp_path / "txt", {"a": line})
    (tmp_path / "txt" / "data.yaml").unlink()
    with pytest.raises(FormatError, match="no list of classes here"):
        read_set(tmp_path / "txt")
    assert read_set(tmp_path / "txt", labels=("x", "y")).labels == ("x", "y")
    (tmp_path / "txt" / "classes.txt").write_text("soup\nrice\n")
    assert read_set(tmp_path / "txt").labels == ("soup", "rice")


def test_yolo_polygons_give_the_box_around_them(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "0 0.25 0.25 0.75 0.25 0.5 0.75\n0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n"})
    boxes = read_set(tmp_path).samples[0].boxes
    assert boxes[0].tolist() == [16, 12, 48, 36]
    assert boxes[1] == pytest.approx([6.4, 4.8, 12.8, 9.6])


def test_yolo_backgrounds_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "\ufeff0 0.5 0.5 0.5 0.5\r\n\r\n", "b": "", "c": None})
    found = read_set(tmp_path)
    assert [len(sample.boxes) for sample in found.samples] == [1, 0, 0]
    assert any("images: 1 pictures have no text file" in w for w in found.warnings)
    assert any("2 pictures have no box and count as background: b.jpg, c.jpg" in w for w in found.warnings)


@pytest.mark.parametrize(("pictures", "texts"), [("train/images", "train/labels"), ("images/train", "labels/train")])
def test_yolo_layouts(tmp_path: Path, pictures: str, texts: str) -> None:
    write_picture(tmp_path / pictures / "soup @ noon.png", noise(64, 48))
    (tmp_path / texts).mkdir(parents=True)
    (tmp_path / texts / "soup @ noon.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("names: [soup]\ntrain: /elsewhere/images\n")
    assert list(read_splits(tmp_path)) == ["train"]


def test_the_training_settings_beside_data_yaml_are_not_taken_for_it(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n"})
    (tmp_path / "args.yaml").write_text("epochs: 3\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    assert read_set(tmp_path).labels == ("soup", "rice")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2 0.5 0.5 0.5 0.5", "class 2 is out of range, the list of classes has 0 to 1"),
        ("-1 0.5 0.5 0.5 0.5", "class -1 is out of range"),
        ("0.5 0.5 0.5 0.5 0.5", "class 0.5 is out of range"),
        ("soup 0.5 0.5 0.5 0.5", "'soup 0.5 0.5 0.5 0.5' must be a class number and shares"),
        ("0 0.5 nan 0.5 0.5", "is not finite"),
        ("0 0.5 inf 0.5 0.5", "is not finite"),
        ("0 0.5 0.5 0.5", "3 values after the class"),
        ("0 0.5 0.5 0.5 0.5 0.9", "a prediction with its score is no annotation"),
        ("0", "0 values after the class"),
        ("0 32 24 10 10", "are no shares of the picture"),
    ],
)
def test_yolo_line_errors(tmp_path: Path, text: str, words: str) -> None:
    write_yolo(tmp_path, {"a": f"0 0.5 0.5 0.5 0.5\n{text}\n"})
    with pytest.raises(FormatError, match=words) as caught:
        read_set(tmp_path)
    assert caught.value.path.endswith("labels/a.txt")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("names: [a, b]\nnc: 3\n", "nc is 3, but there are 2 names"),
        ("names: {0: a, 2: b}\n", "names must be numbered 0 to 1 without a gap, got 0, 2"),
        ("names: soup\n", "names must be a list of class names"),
        ("names: [soup, soup]\n", "class 'soup' stands twice"),
        ("names: [soup, '']\n", "a class has no name"),
        ("nc: two\n", "nc must be the number of classes, got 'two'"),
        ("names: [soup\n", "not valid YAML"),
    ],
)
def test_yolo_names_errors(tmp_path: Path, names: str, words: str) -> None:
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n"}, names)
    with pytest.raises(FormatError, match=words):
        read_set(tmp_path)


def test_a_yolo_text_without_its_picture_is_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n"})
    (tmp_path / "labels" / "b.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    with pytest.raises(FormatError, match=r"b\.txt: its picture is missing under .*images"):
        read_set(tmp_path)


def test_two_yolo_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n"})
    write_picture(tmp_path / "images" / "a.png", noise(64, 48))
    with pytest.raises(FormatError, match="two pictures share this file"):
        read_set(tmp_path)
