"""Crops in memory, of any size, by class; kept on disk as one file that is whole or absent."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import FormatError
from core.files import write_atomic

Crop = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CropSet:
    """Crops with their classes.

    Attributes:
        name: of the set, for people.
        crops: each (h, w, 3) uint8 RGB.
        classes: (N,) int64, index into `names`.
        names: of the classes.
        groups: (N,) int64: crops of one object (a dish on its way through a lane) share a number; -1 for none.
    """

    name: str
    crops: list[Crop]
    classes: NDArray[np.int64]
    names: tuple[str, ...]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.crops)

    @cached_property
    def sha256(self) -> str:
        """Hash of pictures, classes and names."""
        digest = hashlib.sha256("\0".join(self.names).encode())
        digest.update(self.classes.astype("<i8").tobytes())
        for crop in self.crops:
            digest.update(np.array(crop.shape, "<i8").tobytes() + np.ascontiguousarray(crop).tobytes())
        return digest.hexdigest()

    def of_class(self, number: int) -> NDArray[np.int64]:
        """Return the indices of a class's crops."""
        return np.flatnonzero(self.classes == number).astype(np.int64)

    def subset(self, indices: Sequence[int] | NDArray[np.int64], name: str) -> CropSet:
        """Return some crops, in that order, with the same names of classes."""
        picked = [int(i) for i in indices]
        return CropSet(name, [self.crops[i] for i in picked], self.classes[picked], self.names, self.groups[picked])


def crop_set(name: str, named: Sequence[tuple[str, Crop]], groups: Sequence[int] | None = None) -> CropSet:
    """Build a set from (class name, crop) pairs; classes are numbered in the order of their first crop."""
    names = tuple(dict.fromkeys(label for label, _ in named))
    index = {label: i for i, label in enumerate(names)}
    classes = np.array([index[label] for label, _ in named], np.int64)
    return CropSet(
        name,
        [crop for _, crop in named],
        classes,
        names,
        np.full(len(named), -1, np.int64) if groups is None else np.array(groups, np.int64),
    )


def shrunk(image: Crop, side: int) -> Crop:
    """Return a crop whose longer side is at most `side` pixels."""
    height, width = image.shape[:2]
    ratio = side / max(height, width)
    if ratio >= 1:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def save(crops: CropSet, path: Path) -> None:
    """Write a set whole."""
    shapes = np.array([crop.shape[:2] for crop in crops.crops], np.int32).reshape(-1, 2)
    pixels = np.concatenate([crop.ravel() for crop in crops.crops]) if len(crops) else np.zeros(0, np.uint8)
    content = io.BytesIO()
    np.savez(
        content,
        shapes=shapes,
        pixels=pixels,
        classes=crops.classes,
        names=np.array(crops.names, dtype=np.str_),
        groups=crops.groups,
        name=np.array(crops.name),
    )
    write_atomic(path, content.getbuffer())


def load(path: Path) -> CropSet:
    """Read a set that `save` wrote.

    Raises:
        FormatError: it is missing or broken.
    """
    try:
        # A handle of our own: numpy leaves its own open when the file is broken.
        with path.open("rb") as file, np.load(file) as arrays:
            part = {name: arrays[name] for name in arrays.files}
        shapes, pixels = part["shapes"], part["pixels"]
        ends = np.cumsum(shapes[:, 0].astype(np.int64) * shapes[:, 1] * 3)
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        crops = [pixels[a:b].reshape(h, w, 3) for a, b, (h, w) in zip(starts, ends, shapes, strict=True)]
        return CropSet(str(part["name"]), crops, part["classes"], tuple(part["names"].tolist()), part["groups"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise FormatError(str(path), "the crops are missing or broken; delete the file, it is rendered again") from err
