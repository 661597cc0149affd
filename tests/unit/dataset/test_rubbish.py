"""Whatever stands in a file: a set comes out of it or a FormatError; no other error, and no box that cannot be."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import FormatError
from dataset.images import load_image, measure
from dataset.reading import Format, read_set
from tests.unit.dataset.sets_on_disk import noise, voc_xml, write_picture

JUNK = st.one_of(
    st.floats(),
    st.integers(-5, 200),
    st.sampled_from([10**400, "", "x", "1", "\0", "a" * 400, None, True, False, [], [[]], [1, 2], {}, {"id": 1}]),
)
#: Where junk is put: table, key of its first row, and place in the value's list.
SPOTS = st.sampled_from(
    [
        *(("images", key, None) for key in ("id", "file_name", "width", "height")),
        *(("annotations", key, None) for key in ("id", "image_id", "category_id", "bbox", "segmentation", "iscrowd")),
        *(("annotations", "bbox", at) for at in range(4)),
        *(("annotations", "segmentation", at) for at in range(2)),
        *(("categories", key, None) for key in ("id", "name", "supercategory")),
        *((table, None, None) for table in ("images", "annotations", "categories")),
    ]
)
SHAPES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["images", "annotations", "categories"]), inner),
    ),
    max_leaves=6,
)
FIELDS = st.one_of(st.floats(-1, 2), st.integers(-1, 3), st.sampled_from(["nan", "x", "1e999"]))


def read_or_refuse(files: dict[str, bytes], format_: Format) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        write_picture(folder / "a.png", noise(64, 48))
        for name, content in files.items():
            (folder / name).write_bytes(content)
        try:
            found = read_set(folder, format_)
        except FormatError as err:
            if str(folder) not in str(err):
                pytest.fail(f"names no file: {err}")
            return
        for sample in found.samples:
            assert np.isfinite(sample.boxes).all()
            assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
            assert (sample.boxes >= 0).all()
            assert (sample.boxes <= [64, 48, 64, 48]).all()
            assert ((sample.classes >= 0) & (sample.classes < len(found.labels))).all()
    finally:
        shutil.rmtree(folder)


def made_up_coco() -> dict[str, Any]:
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "iscrowd": 0}
    polygon = {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[1, 2, 30, 2, 30, 40], [5, 5, 6, 6, 7, 8]]}
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "annotations": [polygon, box],
        "categories": [{"id": 0, "name": "all"}, {"id": 1, "name": "soup", "supercategory": "all"}],
    }


@settings(max_examples=80, deadline=None)
@given(spot=SPOTS, junk=JUNK, row=st.integers(0, 1))
def test_coco_rubbish(spot: tuple[str, str | None, int | None], junk: object, row: int) -> None:
    content = made_up_coco()
    table, key, at = spot
    rows = content[table]
    row = min(row, len(rows) - 1)
    if key is None:
        rows[row] = junk
    elif at is None or key not in rows[row]:
        rows[row][key] = junk
    else:
        rows[row][key][at] = junk
    read_or_refuse({"x.json": json.dumps(content).encode()}, "coco")


@settings(max_examples=40, deadline=None)
@given(SHAPES)
def test_coco_of_other_shapes(content: object) -> None:
    read_or_refuse({"x.json": b'{"images": 1, ' + json.dumps({"x": content}).encode()[1:]}, "coco")
    read_or_refuse({"x.json": json.dumps(content).encode()}, "coco")


@pytest.mark.parametrize("content", [b'{"images": ' + b"[" * 100_000, b'{"images": ' + b"9" * 5000 + b"}", b"\xff{"])
def test_json_that_python_cannot_parse(content: bytes) -> None:
    read_or_refuse({"x.json": content}, "coco")


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(st.lists(FIELDS, max_size=8), max_size=4), raw=st.binary(max_size=6))
def test_yolo_rubbish(lines: list[list[object]], raw: bytes) -> None:
    text = "\n".join(" ".join(str(field) for field in line) for line in lines).encode()
    for content in (text, text + b"\n" + raw):
        read_or_refuse({"a.txt": content, "classes.txt": b"soup\nrice\n"}, "yolo")


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=30), st.sampled_from(["data.yaml", "obj.names", "classes.txt"]))
def test_rubbish_lists_of_classes(content: bytes, name: str) -> None:
    read_or_refuse({"a.txt": b"0 0.5 0.5 0.5 0.5\n", name: content}, "yolo")


@settings(max_examples=40, deadline=None)
@given(corner=JUNK, size=JUNK, cut=st.integers(0, 300), flipped=st.integers(0, 255))
def test_voc_rubbish(corner: object, size: object, cut: int, flipped: int) -> None:
    text = voc_xml("a.png", None, [("soup", (corner, 1, 30, 40), 0)])
    text = text.replace("<object>", f"<size><width>{size}</width><height>48</height></size><object>")
    read_or_refuse({"a.xml": text.encode()}, "voc")
    raw = bytearray(voc_xml("a.png", (64, 48), [("soup", (1, 1, 30, 40), 0)]).encode())
    raw[cut % len(raw)] = flipped
    read_or_refuse({"a.xml": bytes(raw)}, "voc")


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp"])
@settings(max_examples=40, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
def test_pictures_with_flipped_bytes(ending: str, changes: list[tuple[int, int]]) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / f"a{ending}"
        write_picture(path, noise(24, 16))
        raw = bytearray(path.read_bytes())
        for at, value in changes:
            raw[at % len(raw)] = value
        path.write_bytes(bytes(raw))
        for read in (measure, load_image):
            try:
                read(path)
            except FormatError as err:
                if f"a{ending}" not in str(err):
                    pytest.fail(f"names no file: {err}")
    finally:
        shutil.rmtree(folder)
