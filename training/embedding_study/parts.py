"""Who is compared with whom, fixed beforehand by what the photos show: the gallery, and queries that are kept aside.

In each class the photos are put in the order of a hash of their scene (photos that show the same moment stay together,
see `dataset/likeness.py`): the first ones are aside, the rest is the gallery. Names, folders and order do not matter.
Settings are chosen inside the gallery, each of its photos held against the others; the photos aside only judge. A class
of one scene is only in the gallery, where it can still be confused with others.

The order is the one by which `training/embedding/` keeps photos from its embedder, so that with the share as it is no
photo aside was ever learnt from by a shipped card.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from dataset.classification import PhotoSet
from dataset.likeness import same_scene

Ints = NDArray[np.int64]
SALT = "embedder-aside-1"


@dataclass(frozen=True, eq=False)
class Parts:
    """Photos of each part, as sorted indices into the set.

    Attributes:
        gallery: what queries are held against, and what settings are chosen by.
        aside: queries to judge by; nothing is chosen by them. Each has a photo of its class in the gallery.
        scene: (N,) of each photo of the set; those of one scene have the same number.
        warnings: about classes that a part lacks.
    """

    gallery: Ints
    aside: Ints
    scene: Ints
    warnings: tuple[str, ...]


def cut(photos: PhotoSet, aside: float) -> Parts:
    """Cut a set into its parts.

    Args:
        photos: the set.
        aside: share of each class's photos that is kept aside; at least one scene where there are two.

    Raises:
        DataError: fewer than two classes could be judged.
    """
    scene = same_scene([photo.sample for photo in photos.photos])
    fine = np.array([photo.fine for photo in photos.photos])
    gallery: list[int] = []
    judged: list[int] = []
    alone = []
    for label, name in enumerate(photos.labels):
        mine = np.flatnonzero(fine == label)
        scenes = _scenes_in_order(photos, mine, scene)
        kept = 0
        while len(scenes) > 1 and kept < max(1, round(aside * len(mine))):
            first = scenes.pop(0)
            judged += first
            kept += len(first)
        gallery += [i for members in scenes for i in members]
        if not kept:
            alone.append(name)
    if len({fine[i] for i in judged}) < 2:
        raise DataError(
            f"{photos.name}: photos of two different moments are needed of each class, one for the gallery and one to "
            f"judge by; only {len(photos.labels) - len(alone)} of {len(photos.labels)} classes have them"
        )
    warnings: tuple[str, ...] = ()
    if alone:
        shown = ", ".join(map(repr, alone[:6])) + (" …" if len(alone) > 6 else "")
        warnings = (f"photos of one moment only, so never asked for, but in the gallery: {shown}",)
    return Parts(np.array(sorted(gallery), np.int64), np.array(sorted(judged), np.int64), scene, warnings)


def _scenes_in_order(photos: PhotoSet, mine: Ints, scene: Ints) -> list[list[int]]:
    """Return the photos of one class by scene, in the order of a hash of each scene's smallest picture hash."""
    by_scene: dict[int, list[int]] = {}
    for i in mine.tolist():
        by_scene.setdefault(int(scene[i]), []).append(i)

    def place(members: list[int]) -> bytes:
        smallest = min(photos.photos[i].sha256 for i in members)
        return hashlib.sha256(f"{SALT}\0{smallest}".encode()).digest()

    return sorted(by_scene.values(), key=place)
