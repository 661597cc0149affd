"""YOLO: one text file a picture, one line a box: class, then centre and size as shares of the picture (Redmon, 2016).

Layouts: Ultralytics' and Roboflow's (`images/` and `labels/` folders, `data.yaml`), Darknet's (`obj.names`, text files
beside the pictures or in `Annotations/`). A line with three or more points (segmentation, oriented box) gives the box
around them. A picture without a text file is background, as in all YOLO tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import yaml

from core.errors import FormatError
from dataset.building import RawBox, SetBuilder
from dataset.images import is_picture
from dataset.layout import SPLIT_NAMES

_PICTURE_FOLDERS = ("images", "Images", "JPEGImages")
_TEXT_FOLDERS = ("labels", "Labels", "annotations", "Annotations")
_NAMES_FILES = ("obj.names", "classes.txt", "classes.names", "names.txt", "_darknet.labels")
#: Text files that lie among the labels and are none.
_NO_LABELS = frozenset(
    {"classes.txt", "names.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt", "notes.txt"}
)
#: Shares beyond this are pixels, or another format altogether.
_LARGEST_SHARE = 2.0


@dataclass(frozen=True)
class _Folder:
    """Pictures and their text files: `texts` mirrors `pictures` (both are the same folder for Darknet)."""

    pictures: Path
    texts: Path


def find_names(path: Path) -> Path | None:
    """Return the file that lists the classes, in the folder or (for one part of a set) in the one above."""
    for folder in (path, path.parent):
        yamls = [file for ending in ("*.yaml", "*.yml") for file in sorted(folder.glob(ending))]
        # data.yaml first: other YAML files may be settings of a training.
        for file in sorted(yamls, key=lambda file: file.stem not in ("data", "dataset")):
            if {"names", "nc"} & set(_top_keys(file)):
                return file
        found = next((folder / name for name in _NAMES_FILES if (folder / name).is_file()), None)
        if found is not None:
            return found
    return None


def find_folders(path: Path) -> list[_Folder]:
    """Return the folders with pictures and text files; empty when there are none."""
    found = []
    for part in (path, *(path / name for name in SPLIT_NAMES)):
        for pictures in _PICTURE_FOLDERS:
            texts = next(
                (part / name for name in _TEXT_FOLDERS if (part / name).is_dir() and _has_texts(part / name)), None
            )
            if (part / pictures).is_dir() and texts is not None:
                found.append(_Folder(part / pictures, texts))
                break
    beside = [path, *sorted(p for p in path.iterdir() if p.is_dir())] if path.is_dir() and not found else []
    return found + [_Folder(folder, folder) for folder in beside if _pairs_in(folder)]


def read(path: Path, labels: tuple[str, ...] | None) -> SetBuilder:
    """Read all pictures and text files under `path` into one set.

    Args:
        path: the folder of the set, or of one of its parts (`train/`).
        labels: class names in their order; a list of classes in the folder must name no others. None takes that list.

    Raises:
        FormatError: something that cannot be mended; names file and line.
    """
    folders = find_folders(path)
    if not folders:
        raise FormatError(str(path), "no YOLO set here: expected images/ and labels/, or text files beside pictures")
    listing = find_names(path)
    if listing is None and labels is None:
        raise FormatError(str(path), "no list of classes here: expected data.yaml with names, obj.names or classes.txt")
    builder = SetBuilder(path.name, path, labels or ())
    names = labels if listing is None else read_names(listing, builder)
    builder = SetBuilder(path.name, path, labels or names or (), builder.warnings)
    for folder in folders:
        _read_folder(folder, names or (), builder)
    return builder


def read_names(listing: Path, builder: SetBuilder) -> tuple[str, ...]:
    """Return the class names of data.yaml (a list, or a mapping from numbers) or of a file with one name a line.

    Raises:
        FormatError: names and their count `nc` disagree, or numbers are left out.
    """
    try:
        text = listing.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise FormatError(str(listing), f"not UTF-8 text at byte {err.start}; save the file as UTF-8") from err
    if listing.suffix not in (".yaml", ".yml"):
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        # Plain strings: otherwise a class "no" would become False.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - safe: it makes strings, lists and mappings only
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise FormatError(str(listing), f"not valid YAML: {getattr(err, 'problem', None) or err}", line) from err
    names, count = content.get("names"), content.get("nc")
    if count is not None and not (isinstance(count, str) and count.isdecimal()):
        raise FormatError(str(listing), f"nc must be the number of classes, got {count!r}")
    if names is None and count is not None:
        builder.warn(listing, f"the classes have no names: they are called class_0 to class_{int(count) - 1}")
        return tuple(f"class_{i}" for i in range(int(count)))
    if isinstance(names, dict):
        if set(names) != {str(i) for i in range(len(names))}:
            text = f"names must be numbered 0 to {len(names) - 1} without a gap, got {', '.join(names)}"
            raise FormatError(str(listing), text)
        names = [names[str(i)] for i in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(str(listing), "names must be a list of class names, or a mapping from numbers to names")
    if count is not None and int(count) != len(names):
        raise FormatError(str(listing), f"nc is {count}, but there are {len(names)} names; correct one of them")
    return tuple(name.strip() for name in names)


def _read_folder(folder: _Folder, names: tuple[str, ...], builder: SetBuilder) -> None:
    pictures = sorted(file for file in folder.pictures.rglob("*") if is_picture(file))
    texts = set()
    bare = 0
    for image in pictures:
        inside = image.relative_to(folder.pictures)
        text = (folder.texts / inside).with_name(f"{image.stem}.txt")
        if text in texts:
            raise FormatError(str(text), f"two pictures share this file, one is {image.name}; rename one of them")
        texts.add(text)
        present = text.is_file()
        bare += not present
        measured = builder.measure(image, text)
        boxes = list(_boxes(text, names, (measured.width, measured.height))) if present else []
        builder.add(image, measured, boxes, text, split=_split_of(folder, inside, builder.root))
    if bare:
        builder.warn(folder.pictures, f"{bare} pictures have no text file")
    for text in sorted(folder.texts.rglob("*.txt")):
        if text not in texts and text.name.lower() not in _NO_LABELS:
            raise FormatError(
                str(text), f"its picture is missing under {folder.pictures}; put it there or remove this file"
            )


def _boxes(text: Path, names: tuple[str, ...], size: tuple[int, int]) -> Iterator[RawBox]:
    """Yield the boxes of a text file in pixels of a picture of `size` (width, height)."""
    try:
        lines = text.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as err:
        raise FormatError(str(text), f"not UTF-8 text at byte {err.start}; save the file as UTF-8") from err
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            values = [float(value) for value in fields]
        except ValueError as err:
            raise FormatError(
                str(text), f"{line.strip()!r} must be a class number and shares, all numbers", number
            ) from err
        if not all(isfinite(value) for value in values):
            raise FormatError(str(text), f"{line.strip()!r} is not finite; correct or remove it", number)
        label = values[0]
        if label != int(label) or not 0 <= label < len(names):
            known = f"0 to {len(names) - 1}"
            raise FormatError(str(text), f"class {fields[0]} is out of range, the list of classes has {known}", number)
        x1, y1, x2, y2 = _shares(values[1:], text, number)
        yield RawBox((x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1]), names[int(label)], line=number)


def _shares(values: list[float], text: Path, number: int) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 as shares of the picture from what stands after the class."""
    if max((abs(value) for value in values), default=0) > _LARGEST_SHARE:
        raise FormatError(
            str(text), f"{values} are no shares of the picture (0..1) but pixels; divide by its size", number
        )
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 6 and len(values) % 2 == 0:
        return min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2])
    hint = " (a prediction with its score is no annotation)" if len(values) == 5 else ""
    text_ = f"{len(values)} values after the class; a box has 4, a polygon 6 or more, always in pairs{hint}"
    raise FormatError(str(text), text_, number)


def _split_of(folder: _Folder, inside: Path, root: Path) -> str:
    """Return "train" for train/images/1.jpg and for images/train/1.jpg; "" when nothing tells."""
    if len(inside.parts) > 1:
        return inside.parts[0]
    return folder.pictures.parent.name if folder.pictures.parent not in (root, root.parent) else ""


def _has_texts(folder: Path) -> bool:
    return any(file.name.lower() not in _NO_LABELS for file in folder.rglob("*.txt"))


def _pairs_in(folder: Path) -> bool:
    """Tell whether a folder holds text files beside pictures of the same name."""
    return any(is_picture(file) and file.with_suffix(".txt").is_file() for file in folder.iterdir())


def _top_keys(file: Path) -> list[str]:
    """Return the outermost keys of a YAML file; none when it is no mapping or no YAML at all."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506 - as above
    except (yaml.YAMLError, UnicodeDecodeError):
        # `read_names` tells about a broken data.yaml; another tool's file is none of our business.
        return ["names"] if file.stem == "data" else []
    return list(content) if isinstance(content, dict) else []
