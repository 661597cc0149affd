"""Which pictures show the same moment: frames of one burst must not lie on both sides of a split.

The difference hash (dHash, Krawetz 2013) of a picture tells for each cell of a 16 x 16 grid whether the next cell to
the right is brighter: 256 bits that hardly change with size, compression and light. Two pictures are alike when at most
32 bits differ and their 16 x 17 grey thumbnails correlate by 0.9 or more. Looked at on webcam frames and photo series
of counters: 64 bits chain different objects on one counter together, 256 do so now and then, and the correlation rules
those out. Likeness is passed on: when A and C are both like B, all three are one scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.building import picture_sha256
from dataset.images import load_image
from dataset.records import Sample

CELLS = 16
MOST_BITS = 32
LEAST_CORRELATION = 0.9


def same_scene(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """Return a number (N,) for each sample; those that show the same scene have the same.

    Same means: equal bytes, alike as above, or one `group`. The number is the index of the first sample of the scene.
    """
    parents = np.arange(len(samples))
    first_with: dict[tuple[str, str], int] = {}
    for i, sample in enumerate(samples):
        keys = [("bytes", picture_sha256(sample))] + ([("group", sample.group)] if sample.group else [])
        for key in keys:
            _join(parents, first_with.setdefault(key, i), i)
    thumbnails = np.stack([thumbnail(sample.image) for sample in samples])
    bits = np.packbits(thumbnails[:, :, 1:] > thumbnails[:, :, :-1], axis=2).reshape(len(samples), -1)
    flat = thumbnails.reshape(len(samples), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    for i in range(len(samples) - 1):
        distance = np.bitwise_count(bits[i + 1 :] ^ bits[i]).sum(axis=1)
        near = np.flatnonzero(distance <= MOST_BITS) + i + 1
        for j in near[flat[near] @ flat[i] >= LEAST_CORRELATION]:
            _join(parents, i, int(j))
    return np.array([_root(parents, i) for i in range(len(samples))], dtype=np.int64)


def thumbnail(path: Path) -> NDArray[np.float64]:
    """Return a picture as (16, 17) grey means, 0..255."""
    grey = cv2.cvtColor(load_image(path), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (CELLS + 1, CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float64)


def _join(parents: NDArray[np.int64], a: int, b: int) -> None:
    first, second = _root(parents, a), _root(parents, b)
    parents[max(first, second)] = min(first, second)


def _root(parents: NDArray[np.int64], i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = int(parents[i])
    return i
