"""Who is learnt from and who is kept aside, fixed by what the pictures show and by nothing else.

Each scene (pictures that show the same moment, see `likeness.py`) has a place between 0 and 1: the hash of a salt and
of its smallest picture hash. Shares cut that line. Names, folders and order do not matter, and a picture that is added
moves no other, unless it joins a scene and has its smallest hash, or links two scenes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from math import isclose

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from dataset.building import picture_sha256, set_sha256
from dataset.likeness import same_scene
from dataset.records import DetectionSet


def split(whole: DetectionSet, shares: Mapping[str, float], salt: str = "") -> dict[str, DetectionSet]:
    """Cut a set into parts.

    Args:
        whole: the set.
        shares: of each part, by its name; together 1. Real shares differ by chance, as each scene goes by its own hash.
        salt: another salt is another split.

    Raises:
        DataError: a part would be empty.
    """
    if not shares or not isclose(sum(shares.values()), 1.0, abs_tol=1e-6) or min(shares.values()) <= 0:
        raise ValueError(f"shares must be above 0 and sum up to 1, got {dict(shares)}")
    ends = np.cumsum(list(shares.values()))
    # The last end is 1 but for rounding; no place lies beyond it.
    part_of = np.minimum(np.searchsorted(ends, scene_places(whole, salt), side="right"), len(ends) - 1)
    parts = {name: np.flatnonzero(part_of == at) for at, name in enumerate(shares)}
    for name, indices in parts.items():
        if len(indices) == 0:
            raise DataError(
                f"{whole.name}: no picture falls into {name!r} ({shares[name]:.0%} of {len(whole)}, where pictures of "
                "one scene stay together); give it a larger share, or another salt"
            )
    return {name: subset(whole, indices, f"{whole.name}/{name}") for name, indices in parts.items()}


def leave_out(whole: DetectionSet, k: int = 5, fold: int = 0, salt: str = "aside") -> tuple[DetectionSet, DetectionSet]:
    """Return the rest and the part kept aside: fold `fold` (0..k-1) of `k`; each picture is in one fold.

    Raises:
        DataError: one of both would be empty.
    """
    if k < 2 or not 0 <= fold < k:
        raise ValueError(f"fold must be 0..k-1 and k at least 2, got fold {fold} of {k}")
    folds = np.minimum((scene_places(whole, salt) * k).astype(np.int64), k - 1)
    rest, aside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
    if len(rest) == 0 or len(aside) == 0:
        raise DataError(
            f"{whole.name}: fold {fold} of {k} holds {len(aside)} of {len(whole)} pictures (pictures of one scene stay "
            "together); take another fold, fewer folds, or another salt"
        )
    return subset(whole, rest, f"{whole.name}/rest"), subset(whole, aside, f"{whole.name}/aside")


def portion(whole: DetectionSet, count: int, salt: str = "") -> DetectionSet:
    """Return `count` pictures, drawn by content: a smaller portion with the same salt lies within a larger one.

    Raises:
        DataError: the set has fewer pictures.
    """
    if not 1 <= count <= len(whole):
        raise DataError(f"{whole.name} has {len(whole)} pictures, {count} are asked for")
    order = sorted(range(len(whole)), key=lambda i: _place(salt, picture_sha256(whole.samples[i])))
    return subset(whole, sorted(order[:count]), f"{whole.name}/{count}")


def subset(whole: DetectionSet, indices: Sequence[int] | NDArray[np.integer], name: str) -> DetectionSet:
    """Return the samples at `indices`, in that order, as a set of its own name and hash."""
    samples = tuple(whole.samples[int(i)] for i in indices)
    return DetectionSet(name, whole.labels, samples, set_sha256(whole.labels, samples), whole.warnings)


def check_classes(train: DetectionSet, test: DetectionSet) -> tuple[str, ...]:
    """Return warnings about classes that the test set lacks: nothing is measured about them.

    Raises:
        DataError: the sets have other labels, or the test set asks for a class that the training set never shows.
    """
    if train.labels != test.labels:
        raise DataError(f"{train.name} and {test.name} have other classes: {train.labels} and {test.labels}")
    learnt, asked = counts(train), counts(test)
    missing = [label for label, a, b in zip(train.labels, learnt, asked, strict=True) if a == 0 and b > 0]
    if missing:
        raise DataError(
            f"{train.name} has no box of {', '.join(map(repr, missing))}, but {test.name} has: it cannot be learnt; "
            "add pictures of it, or split with another salt"
        )
    return tuple(
        f"{test.name}: no box of class {label!r}; its score stays unknown"
        for label, a, b in zip(train.labels, learnt, asked, strict=True)
        if a > 0 and b == 0
    )


def counts(whole: DetectionSet) -> NDArray[np.int64]:
    """Return the number of boxes (C,) of each class, ignored ones left out."""
    classes = [sample.classes[~sample.ignored] for sample in whole.samples]
    return np.bincount(np.concatenate([*classes, np.zeros(0, np.int64)]), minlength=len(whole.labels)).astype(np.int64)


def scene_places(whole: DetectionSet, salt: str) -> NDArray[np.float64]:
    """Return the place (N,), 0 <= place < 1, of each picture; pictures of one scene have the same."""
    scenes = same_scene(whole.samples)
    hashes = [picture_sha256(sample) for sample in whole.samples]
    smallest: dict[int, str] = {}
    for scene, mine in zip(scenes.tolist(), hashes, strict=True):
        smallest[scene] = min(smallest.get(scene, mine), mine)
    return np.array([_place(salt, smallest[scene]) for scene in scenes.tolist()])


def _place(salt: str, content: str) -> float:
    digest = hashlib.sha256(f"{salt}\0{content}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
