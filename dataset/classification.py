"""Photos of one thing each, sorted into fine and coarse classes: a tree of folders, or the GroceryStore layout.

*Tree*: the folder that holds a photo is its class, and the folder above that one, when it lies below the root, is its
coarse class. *GroceryStore* (Klasson et al. 2019): `classes.csv` names fine and coarse classes by number, and lists
(`train.txt`, `val.txt`, `test.txt`, `train_subset.txt`) hold lines of `photo, fine number, coarse number`.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DataError, FormatError
from dataset.images import Measured, is_picture, measure
from dataset.records import Sample

CLASSES_FILE = "classes.csv"
LISTS = ("train.txt", "val.txt", "test.txt", "train_subset.txt")


@dataclass(frozen=True)
class Photo:
    """One photo of one thing.

    Attributes:
        image: its file.
        width: pixels across, as shown.
        height: pixels down, as shown.
        fine: index into the set's labels.
        sha256: of the file's bytes.
    """

    image: Path
    width: int
    height: int
    fine: int
    sha256: str

    @property
    def sample(self) -> Sample:
        """The photo as a sample without boxes, for whoever asks what pictures show."""
        nothing = np.zeros(0, np.int64)
        boxes = np.zeros((0, 4), np.float32)
        return Sample(self.image, self.width, self.height, boxes, nothing, nothing.astype(np.bool_), sha256=self.sha256)


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """A set of photos; pixels stay on disk.

    Attributes:
        name: the folder's name.
        labels: names of the fine classes.
        coarse_labels: names of the coarse classes.
        coarse_of: for each fine class the index of its coarse class; () where the set has no coarse classes.
        photos: by class, then by path.
        sha256: hash of labels, coarse classes and the bytes of all photos, whatever their files are called.
        warnings: what was left out, one line each.
    """

    name: str
    labels: tuple[str, ...]
    coarse_labels: tuple[str, ...]
    coarse_of: tuple[int, ...]
    photos: tuple[Photo, ...]
    sha256: str
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.photos)


@dataclass(frozen=True)
class _Listed:
    """A photo as a layout names it; labels are not yet numbers."""

    image: Path
    fine: str
    coarse: str
    source: Path
    line: int | None = None


def read_photos(path: Path) -> PhotoSet:
    """Read a set of photos; the layout is told from what lies there.

    Photos whose bytes are there twice in one class are taken once, with a warning.

    Raises:
        FormatError: no such folder or layout, a line or photo that cannot be used; names file and line.
        DataError: fewer than two classes, or one photo in two classes.
    """
    if not path.is_dir():
        raise FormatError(str(path), "no such folder; give a folder with one folder of photos per class")
    listed = _read_lists(path) if (path / CLASSES_FILE).is_file() else _read_tree(path)
    if not listed:
        raise FormatError(str(path), "no photo here (jpg, png, webp, bmp, tif); each class needs a folder of photos")
    return _built(path, listed)


def _read_tree(root: Path) -> list[_Listed]:
    listed = []
    for image in sorted(path for path in root.rglob("*") if path.is_file() and is_picture(path)):
        folders = image.relative_to(root).parts[:-1]
        if not folders:
            raise FormatError(str(image), "lies beside the folders of classes; move it into the folder of its class")
        if any(part.startswith(".") for part in folders):
            continue
        listed.append(_Listed(image, "/".join(folders), "/".join(folders[:-1]), image))
    short = Counter(fine.rpartition("/")[2] for fine in {one.fine for one in listed})
    # A class is called by its own folder alone, unless two classes would then have one name.
    return [
        _Listed(one.image, last if short[last := one.fine.rpartition("/")[2]] == 1 else one.fine, one.coarse, one.image)
        for one in listed
    ]


def _read_lists(root: Path) -> list[_Listed]:
    fine, coarse = _read_classes(root / CLASSES_FILE)
    lists = [root / name for name in LISTS if (root / name).is_file()]
    if not lists:
        raise FormatError(str(root), f"has {CLASSES_FILE} but no list of photos; looked for {', '.join(LISTS)}")
    listed, seen = [], set()
    for source in lists:
        for number, text in enumerate(_lines(source), start=1):
            if not text.strip():
                continue
            parts = [part.strip() for part in text.split(",")]
            if len(parts) != 3 or not parts[1].isdecimal() or not parts[2].isdecimal():
                raise FormatError(str(source), f"expected 'photo, fine number, coarse number', got {text!r}", number)
            ids = int(parts[1]), int(parts[2])
            if ids[0] not in fine:
                raise FormatError(str(source), f"class number {ids[0]} is not in {CLASSES_FILE}; add it there", number)
            label, number_of_coarse = fine[ids[0]]
            if number_of_coarse != ids[1]:
                text = (
                    f"{label!r} has coarse number {ids[1]} here but {number_of_coarse} in {CLASSES_FILE}; correct one"
                )
                raise FormatError(str(source), text, number)
            image = root / parts[0].lstrip("/")
            if root.resolve() not in image.resolve().parents:
                raise FormatError(str(source), f"{parts[0]!r} lies outside the set; list photos inside it", number)
            if image not in seen:  # train_subset.txt repeats a part of train.txt
                seen.add(image)
                listed.append(_Listed(image, label, coarse[ids[1]], source, number))
    return listed


def _read_classes(path: Path) -> tuple[dict[int, tuple[str, int]], dict[int, str]]:
    """Return for each fine number its name and coarse number, and for each coarse number its name."""
    fine: dict[int, tuple[str, int]] = {}
    coarse: dict[int, str] = {}
    for number, row in enumerate(csv.reader(_lines(path)), start=1):
        if number == 1 or not any(cell.strip() for cell in row):
            continue  # the first line names the columns
        cells = [cell.strip() for cell in row]
        if len(cells) < 4 or not cells[1].isdecimal() or not cells[3].isdecimal() or not cells[0] or not cells[2]:
            raise FormatError(str(path), "expected 'class, number, coarse class, coarse number, …'", number)
        name, at, above, above_at = cells[0], int(cells[1]), cells[2], int(cells[3])
        if at in fine or name in {known for known, _ in fine.values()}:
            raise FormatError(str(path), f"class {name!r} or its number {at} stands here twice; name each once", number)
        if coarse.setdefault(above_at, above) != above:
            text = f"coarse number {above_at} is {coarse[above_at]!r} and {above!r}; give each its own"
            raise FormatError(str(path), text, number)
        fine[at] = (name, above_at)
    if not fine:
        raise FormatError(str(path), "names no class; a line is 'class, number, coarse class, coarse number'")
    return fine, coarse


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise FormatError(str(path), f"cannot be read as text: {err}; save it as UTF-8") from err


def _built(root: Path, listed: Sequence[_Listed]) -> PhotoSet:
    """Number the classes, measure the photos, leave doubles out."""
    coarse_of_label: dict[str, str] = {}
    for one in listed:
        coarse_of_label.setdefault(one.fine, one.coarse)
    labels = tuple(sorted(coarse_of_label, key=lambda label: (coarse_of_label[label], label)))
    if len(labels) < 2:
        raise DataError(f"{root}: one class only ({labels[0]!r}); a comparison needs two or more folders of photos")
    known = all(coarse_of_label.values())
    coarse_labels = tuple(sorted(set(coarse_of_label.values()))) if known else ()
    warnings, photos = [], []
    first: dict[str, _Listed] = {}
    for one in sorted(listed, key=lambda one: (labels.index(one.fine), str(one.image))):
        measured = _measured(one)
        twin = first.setdefault(measured.sha256, one)
        if twin is not one:
            if twin.fine != one.fine:
                raise DataError(
                    f"{one.image} ({one.fine!r}) and {twin.image} ({twin.fine!r}) are the same picture in two classes; "
                    "keep the one that is right"
                )
            warnings.append(f"{_shown(one.image, root)}: the same picture as {_shown(twin.image, root)}, taken once")
            continue
        photos.append(Photo(one.image, measured.width, measured.height, labels.index(one.fine), measured.sha256))
    if not known and any(coarse_of_label.values()):
        warnings.append("some classes lie below a coarse class and some do not; coarse classes are not used")
    coarse_of = tuple(coarse_labels.index(coarse_of_label[label]) for label in labels) if known else ()
    digest = hashlib.sha256(repr((labels, coarse_labels, coarse_of)).encode())
    for line in sorted(f"{photo.fine} {photo.sha256}" for photo in photos):
        digest.update(line.encode())
    return PhotoSet(
        root.resolve().name, labels, coarse_labels, coarse_of, tuple(photos), digest.hexdigest(), tuple(warnings)
    )


def _measured(one: _Listed) -> Measured:
    try:
        return measure(one.image)
    except FormatError as err:
        if one.line is None:
            raise
        raise FormatError(str(one.source), str(err), one.line) from err


def _shown(image: Path, root: Path) -> str:
    return str(image.relative_to(root))
