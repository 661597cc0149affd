"""COCO: one JSON file of pictures, categories and annotations (Lin et al., 2014).

Layouts: Roboflow's (`train/_annotations.coco.json` beside the pictures), that of COCO itself
(`annotations/instances_train.json` and `images/train/…`), one JSON beside a folder of pictures, or the JSON file
itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import FormatError
from dataset.building import RawBox, SetBuilder
from dataset.images import is_picture
from dataset.layout import SPLIT_NAMES, head_of

_HEAD_WORDS = ('"images"', '"annotations"', '"categories"', '"licenses"', '"info"')


def find_files(path: Path) -> list[Path]:
    """Return the COCO files of a folder (or of the file itself), in a fixed order; empty when there are none."""
    if path.is_file():
        return [path] if path.suffix == ".json" and _looks_like_coco(path) else []
    places = [path, path / "annotations", *(path / name for name in SPLIT_NAMES)]
    found = [
        file for place in places if place.is_dir() for file in sorted(place.glob("*.json")) if _looks_like_coco(file)
    ]
    # COCO itself ships captions and key points of the same pictures beside the instances.
    instances = [file for file in found if file.name.startswith("instances")]
    return instances or found


def read(path: Path, labels: tuple[str, ...] | None) -> SetBuilder:
    """Read all COCO files under `path` into one set.

    Args:
        path: a folder, or one JSON file.
        labels: class names in their order; None takes those of the files, by category id.

    Raises:
        FormatError: something that cannot be mended; names the file and the annotation.
    """
    root = path
    if path.is_file():
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
    files = [_File.load(file) for file in find_files(path)]
    if not files:
        raise FormatError(str(path), "no COCO file here: expected a JSON file with images, annotations and categories")
    warnings: list[str] = []
    named = [_labels_of(file, warnings) for file in files]
    builder = SetBuilder(
        root.name, root, labels or tuple(dict.fromkeys(name for names in named for name in names.values()))
    )
    builder.warnings.extend(warnings)
    pictures = _Pictures(root)
    for file, names in zip(files, named, strict=True):
        _read_file(file, names, pictures, builder)
    pictures.warn_unlisted(builder)
    return builder


@dataclass(frozen=True)
class _File:
    """A parsed file: its three tables, each row a JSON object."""

    path: Path
    images: Sequence[Mapping[str, Any]]
    annotations: Sequence[Mapping[str, Any]]
    categories: Sequence[Mapping[str, Any]]

    @classmethod
    def load(cls, path: Path) -> _File:
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except json.JSONDecodeError as err:
            raise FormatError(str(path), f"not valid JSON: {err.msg}; export it again", err.lineno) from err
        except UnicodeDecodeError as err:
            raise FormatError(str(path), f"not UTF-8 text at byte {err.start}; save the file as UTF-8") from err
        except OSError as err:
            raise FormatError(str(path), f"cannot read the annotations: {err.strerror}") from err
        if not isinstance(content, dict):
            raise FormatError(str(path), "not a COCO file: the outermost value must be an object")
        tables = []
        for key in ("images", "annotations", "categories"):
            table = content.get(key)
            if not isinstance(table, list) or not all(isinstance(row, dict) for row in table):
                raise FormatError(str(path), f"not a COCO file: {key!r} must be a list of objects")
            tables.append(table)
        return cls(path, *tables)


def _labels_of(file: _File, warnings: list[str]) -> dict[int, str]:
    """Return class names by category id; Roboflow's empty category 0, the name of the whole project, is left out."""
    names: dict[int, str] = {}
    for row in sorted(file.categories, key=lambda row: str(row.get("id")).zfill(12)):
        number = _integer(row.get("id"), file.path, f"category {row.get('name')!r}: id")
        name = row.get("name")
        if not isinstance(name, str) or not name.strip():
            raise FormatError(str(file.path), f"category id {number} has no name; give it one")
        if number in names or name.strip() in names.values():
            raise FormatError(str(file.path), f"category {name!r} (id {number}) stands there twice; keep one")
        names[number] = name.strip()
    parents = {row.get("supercategory") for row in file.categories if row.get("id") != 0}
    used = {row.get("category_id") for row in file.annotations}
    if 0 in names and 0 not in used and names[0] in parents:
        warnings.append(f"{file.path.name}: category 0 {names[0]!r} is only a heading: left out")
        del names[0]
    return names


def _read_file(file: _File, names: Mapping[int, str], pictures: _Pictures, builder: SetBuilder) -> None:
    images: dict[int, Mapping[str, Any]] = {}
    for row in file.images:
        number = _integer(row.get("id"), file.path, f"image {row.get('file_name')!r}: id")
        if number in images:
            raise FormatError(str(file.path), f"image id {number} stands there twice; give each picture its own id")
        images[number] = row
    boxes: dict[int, list[RawBox]] = {number: [] for number in images}
    for place, row in enumerate(file.annotations):
        which = f"annotation id {row.get('id', f'(number {place + 1})')}"
        number = _integer(row.get("image_id"), file.path, f"{which}: image_id")
        if number not in boxes:
            raise FormatError(str(file.path), f"{which}: there is no image id {number}; correct or remove it")
        boxes[number].append(_box(row, names, file.path, which))
    split = _split_of(file.path, builder.root)
    for number, row in images.items():
        name = row.get("file_name")
        if not isinstance(name, str) or not name:
            raise FormatError(str(file.path), f"image id {number} has no file_name; give it one")
        image = pictures.find(name, file.path, split)
        declared = None
        if row.get("width") and row.get("height"):
            width, height = (
                _integer(row[side], file.path, f"image id {number}: {side}") for side in ("width", "height")
            )
            declared = (width, height)
        builder.add(image, builder.measure(image, file.path), boxes[number], file.path, declared, split)


def _box(row: Mapping[str, Any], names: Mapping[int, str], path: Path, which: str) -> RawBox:
    number = _integer(row.get("category_id"), path, f"{which}: category_id")
    if number not in names:
        known = ", ".join(f"{key} {name!r}" for key, name in names.items())
        raise FormatError(str(path), f"{which}: category id {number} is not in the list of categories ({known})")
    box = row.get("bbox")
    if box is None or box == []:
        xyxy = _hull(row.get("segmentation"), path, which)
    elif isinstance(box, list) and len(box) == 4:
        x, y, width, height = (_number(value, path, f"{which}: bbox {box}") for value in box)
        xyxy = (x, y, x + width, y + height)
    else:
        raise FormatError(str(path), f"{which}: bbox must be [x, y, width, height], got {box!r}")
    return RawBox(xyxy, names[number], bool(row.get("iscrowd")) or bool(row.get("ignore")), name=which)


def _hull(polygons: Any, path: Path, which: str) -> tuple[float, float, float, float]:
    """Return the box around a list of polygons [x, y, x, y, …]."""
    if not isinstance(polygons, list) or not polygons or not all(isinstance(p, list) and len(p) >= 6 for p in polygons):
        raise FormatError(str(path), f"{which}: neither a bbox nor polygons; give it a bbox")
    flat = [
        _number(value, path, f"{which}: segmentation")
        for polygon in polygons
        for value in polygon[: len(polygon) // 2 * 2]
    ]
    xs = flat[0::2]
    ys = flat[1::2]
    return min(xs), min(ys), max(xs), max(ys)


class _Pictures:
    """Finds a picture by the name that a COCO file gives it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = sorted(p for p in root.rglob("*") if is_picture(p))
        self._times = Counter(p.name for p in self._files)
        self._by_name = {p.name: p for p in self._files}
        self._taken: set[Path] = set()

    def find(self, name: str, source: Path, split: str) -> Path:
        """Return the file: beside the JSON, in an images folder, or the only one of its name under the root."""
        bases = [source.parent, source.parent / "images"]
        for base in (self._root / "images", self._root / "data", self._root):
            bases += [base / split, base] if split else [base]
        found = next((base / name for base in bases if (base / name).is_file()), None)
        if found is None and self._times[Path(name).name] == 1:
            found = self._by_name[Path(name).name]
        if found is None:
            text = f"picture {name!r} is missing under {self._root}; put it there or take it out of the annotations"
            raise FormatError(str(source), text)
        self._taken.add(found.resolve())
        return found

    def warn_unlisted(self, builder: SetBuilder) -> None:
        """Note the pictures that no file speaks of: they may well hold objects, so they are no background."""
        for file in self._files:
            if file.resolve() not in self._taken:
                builder.warn(file, "no annotation file speaks of this picture: left out")


def _split_of(file: Path, root: Path) -> str:
    """Return "train" for train/_annotations.coco.json and annotations/instances_train.json; "" when nothing tells."""
    if file.parent != root and file.parent.name in SPLIT_NAMES:
        return file.parent.name
    words = file.stem.split("_", 1)
    return words[1] if len(words) == 2 and words[0] in ("instances", "annotations") else ""


def _looks_like_coco(file: Path) -> bool:
    head = head_of(file)
    return head.lstrip("\ufeff \r\n\t").startswith("{") and any(word in head for word in _HEAD_WORDS)


def _integer(value: Any, path: Path, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(str(path), f"{what} must be a whole number, got {value!r}")
    return value


def _number(value: Any, path: Path, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(str(path), f"{what} must hold numbers, got {value!r}")
    return float(value)
