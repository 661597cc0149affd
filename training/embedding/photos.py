"""Photos to learn from: a tree of one folder per class as GroceryStore has it, or boxes of a detection set.

GroceryStore (Klasson et al., 2019) was taken in shops; the copy that we have names no shop and holds the training part
only. So the part that is kept aside is fixed by content, class by class: photos that show the same scene
(`dataset/likeness.py`) stay together, scenes go by the hash of their smallest picture hash, and the first ones are
aside until they are ASIDE_PHOTOS or more. Neither names nor order matter.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DataError, FormatError
from dataset.building import picture_sha256
from dataset.images import is_picture, load_image
from dataset.likeness import same_scene
from dataset.reading import read_set
from dataset.records import Sample
from dataset.splits import leave_out
from training.embedding.crop_set import CropSet, crop_set, shrunk

#: Pixels of the longer side of what is kept of a photo.
SIDE = 192
#: Photos of each class that are never learnt from.
ASIDE_PHOTOS = 3
_SALT = "embedder-aside-1"
_CLASSES = "classes.csv"


@dataclass(frozen=True, eq=False)
class Shop:
    """A classification set.

    Attributes:
        learnt: photos to learn from.
        aside: photos that are never learnt from; same names of classes.
        iconic: one clean picture of each class, as on a price list; same names of classes.
    """

    learnt: CropSet
    aside: CropSet
    iconic: CropSet


def is_shop(root: Path) -> bool:
    """Tell whether a folder is laid out as GroceryStore is."""
    return (root / _CLASSES).is_file()


def read_shop(root: Path, aside: int = ASIDE_PHOTOS) -> Shop:
    """Read a GroceryStore tree.

    Raises:
        FormatError: classes.csv or a picture cannot be read.
        DataError: a class has too few photos.
    """
    names, icons = _class_rows(root / _CLASSES)
    folder_of = {Path(icon).parent.name: number for number, icon in enumerate(icons)}
    photos = sorted(path for path in (root / "train").rglob("*") if is_picture(path))
    if not photos:
        raise FormatError(str(root / "train"), "no photos; give the folder of GroceryStore that holds classes.csv")
    unknown = [path for path in photos if path.parent.name not in folder_of]
    if unknown:
        raise FormatError(str(unknown[0]), f"its folder is no class of {_CLASSES}")
    classes = np.array([folder_of[path.parent.name] for path in photos], np.int64)
    kept = _aside(photos, classes, aside)
    crops = [shrunk(load_image(path), SIDE) for path in photos]
    groups = np.full(len(photos), -1, np.int64)
    whole = CropSet(root.name, crops, classes, names, groups)
    pictures = [shrunk(load_image(root / icon.lstrip("/")), SIDE) for icon in icons]
    return Shop(
        whole.subset(np.flatnonzero(~kept), f"{root.name}/learnt"),
        whole.subset(np.flatnonzero(kept), f"{root.name}/aside"),
        CropSet(f"{root.name}/iconic", pictures, np.arange(len(names)), names, np.full(len(names), -1, np.int64)),
    )


def box_crops(root: Path, least_px: int = 24, most: int = 150) -> tuple[CropSet, CropSet]:
    """Return the boxes of a detection set (COCO, VOC, YOLO) as crops: to learn from, and of the fifth kept aside.

    Args:
        root: the set.
        least_px: smaller boxes are left out.
        most: crops of one class to learn from; by content, not by order.

    Raises:
        DataError: it cannot be read.
    """
    rest, aside = leave_out(read_set(root))
    parts = []
    for part in (rest, aside):
        named = []
        for sample in part.samples:
            image = load_image(sample.image)
            for box, number, ignored in zip(sample.boxes, sample.classes, sample.ignored, strict=True):
                x1, y1 = np.floor(box[:2]).astype(int)
                x2, y2 = np.ceil(box[2:]).astype(int)
                if not ignored and min(x2 - x1, y2 - y1) >= least_px:
                    named.append((f"{root.name} {part.labels[number]}", shrunk(image[y1:y2, x1:x2], SIDE)))
        parts.append(crop_set(part.name, _thinned(named, most) if part is rest else named))
    return parts[0], parts[1]


def _thinned(named: Sequence[tuple[str, np.ndarray]], most: int) -> list[tuple[str, np.ndarray]]:
    """Return at most `most` crops of each class, spread evenly."""
    kept = []
    for label in dict.fromkeys(name for name, _ in named):
        mine = [pair for pair in named if pair[0] == label]
        picked = np.unique(np.linspace(0, len(mine) - 1, min(most, len(mine))).astype(int))
        kept += [mine[int(i)] for i in picked]
    return kept


def _class_rows(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and iconic pictures of the classes, in the order of their numbers."""
    try:
        with path.open(encoding="utf-8", newline="") as table:
            rows = list(csv.reader(table))[1:]
        ordered = sorted(rows, key=lambda row: int(row[1]))
        return tuple(row[0] for row in ordered), tuple(row[4] for row in ordered)
    except (OSError, ValueError, IndexError, csv.Error) as err:
        raise FormatError(str(path), f"not GroceryStore's table of classes ({err})") from err


def _aside(photos: Sequence[Path], classes: np.ndarray, count: int) -> np.ndarray:
    """Return (N,) bool: which photos are kept aside."""
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    samples = [Sample(path, 1, 1, *nothing) for path in photos]
    hashes = [picture_sha256(sample) for sample in samples]
    scenes = same_scene(samples)
    kept = np.zeros(len(photos), np.bool_)
    for number in np.unique(classes):
        mine = np.flatnonzero(classes == number)
        smallest = {int(scene): min(hashes[i] for i in mine[scenes[mine] == scene]) for scene in scenes[mine]}
        order = sorted(smallest, key=lambda scene: hashlib.sha256(f"{_SALT}\0{smallest[scene]}".encode()).digest())
        for scene in order:
            if kept[mine].sum() >= count:
                break
            kept[mine[scenes[mine] == scene]] = True
        if kept[mine].all():
            raise DataError(f"{photos[mine[0]].parent}: all photos show one scene; none is left to learn from")
    return kept
