"""Vectors of photos, from disk where they are there already; what is not there is computed and its time kept.

A file of the cache is named by the photo's hash and by a hash of all else that the vectors depend on.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import FolderUnusable
from core.files import write_atomic
from dataset.classification import Photo
from dataset.images import load_image
from training.embedding_study.describers import Describer, Vectors


@dataclass(frozen=True, eq=False)
class Described:
    """Photos as one model describes them.

    Attributes:
        vectors: (N, total) float16, the vectors of all settings one behind the other.
        cpu_s: (N,) CPU seconds that each photo took when it was computed, from decoded pixels to vectors.
    """

    vectors: Vectors
    cpu_s: NDArray[np.float64]


@dataclass(frozen=True)
class FeatureCache:
    """Vectors of photos, from disk where they are there already.

    Args:
        folder: of the files; made when it is missing.
        load: reads a picture as (H, W, 3) uint8 RGB.
    """

    folder: Path
    load: Callable[[Path], NDArray[np.uint8]] = field(default=load_image)

    def of(self, model: Describer, photos: Sequence[Photo], tell: Callable[[int], None]) -> Described:
        """Return the vectors of all settings of a model; `tell` hears how many photos are done.

        Raises:
            DataError: a photo cannot be read.
            FolderUnusable: the cache cannot be written.
        """
        total = sum(setting.dims for setting in model.settings)
        vectors, cpu_s = np.empty((len(photos), total), np.float16), np.empty(len(photos))
        for i, photo in enumerate(photos):
            vectors[i], cpu_s[i] = self._one(model, photo, total)
            tell(i + 1)
        return Described(vectors, cpu_s)

    def _one(self, model: Describer, photo: Photo, total: int) -> tuple[Vectors, float]:
        path = self.folder / model.key / f"{photo.sha256}.npz"
        kept = _read(path, total)
        if kept is not None:
            return kept
        pixels = self.load(photo.image)
        began = time.process_time()
        made = model.describe(pixels)
        took = time.process_time() - began
        sink = io.BytesIO()
        np.savez(sink, vectors=made, cpu_s=np.float64(took))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, sink.getbuffer())
        except OSError as err:
            raise FolderUnusable(
                f"{path}: cannot be written: {err.strerror or err}; make room or give another --cache"
            ) from err
        return made, took


def _read(path: Path, total: int) -> tuple[Vectors, float] | None:
    """Return what a file of the cache holds; None when there is none, or it is broken."""
    try:
        # Opened here: numpy leaves the file open when it is broken.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            vectors, cpu_s = kept["vectors"], float(kept["cpu_s"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return (vectors, cpu_s) if vectors.shape == (total,) and vectors.dtype == np.float16 else None
