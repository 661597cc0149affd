"""The photos of a study: which classes, and who is learnt from and who is kept for the test.

The test part is fixed by what photos show, as in `dataset/splits.py`: within each class whole scenes (near-equal
photos, see `dataset/likeness.py`) are ordered by a hash of their content. No seed of a study moves it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, DataError
from dataset.classification import Photo, PhotoSet
from dataset.likeness import same_scene
from training.classify.settings import PhotoSettings

_SALT = "classify"
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassSet:
    """Photos with one class each.

    Attributes:
        name: for people.
        labels: the classes.
        photos: the photos.
        targets: (N,) index into the labels.
        scenes: (N,) photos of one number show the same scene.
    """

    name: str
    labels: tuple[str, ...]
    photos: tuple[Photo, ...]
    targets: Ints
    scenes: Ints

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def sha256(self) -> str:
        """Hash of labels, classes and the bytes of all photos, in their order."""
        digest = hashlib.sha256("\0".join(self.labels).encode())
        for photo, target in zip(self.photos, self.targets.tolist(), strict=True):
            digest.update(f"{target} {photo.sha256}\n".encode())
        return digest.hexdigest()

    def counts(self) -> Ints:
        """Return the number of photos (C,) of each class."""
        return np.bincount(self.targets, minlength=len(self.labels)).astype(np.int64)

    def subset(self, indices: Sequence[int] | Ints, name: str) -> ClassSet:
        """Return the photos at `indices`, in that order."""
        at = np.asarray(indices, dtype=np.int64)
        photos = tuple(self.photos[int(i)] for i in at)
        return ClassSet(name, self.labels, photos, self.targets[at], self.scenes[at])


@dataclass(frozen=True, eq=False)
class Parts:
    """What is learnt from, what is reported on, and what was odd."""

    train: ClassSet
    test: ClassSet
    warnings: tuple[str, ...]


def choose(whole: PhotoSet, settings: PhotoSettings) -> ClassSet:
    """Return the photos of the classes that take part, at most so many of each.

    Raises:
        ConfigError: a class is unknown, or the set has no coarse classes.
        DataError: a class has too few photos, or fewer than two take part.
    """
    labels, of = _level(whole, settings.level)
    counts = np.bincount(of, minlength=len(labels))
    if settings.classes:
        for name in settings.classes:
            if name not in labels:
                near = get_close_matches(name, labels, n=3) or list(labels[:8])
                raise ConfigError(f"--classes {name}: no such class; did you mean {', '.join(map(repr, near))}?")
            if counts[labels.index(name)] < settings.least_photos:
                raise DataError(
                    f"{whole.name}: class {name!r} has {counts[labels.index(name)]} photos, {settings.least_photos} "
                    "are needed to learn and to test; add photos, or leave it out"
                )
        chosen = list(dict.fromkeys(settings.classes))
    else:
        able = [k for k in range(len(labels)) if counts[k] >= settings.least_photos]
        chosen = [labels[k] for k in sorted(able, key=lambda k: (-counts[k], labels[k]))[: settings.most_classes]]
    if len(chosen) < 2:
        raise DataError(
            f"{whole.name}: {len(chosen)} classes have {settings.least_photos} photos or more, two are needed; add "
            "photos" + ("" if settings.level == "fine" else ", or tell fine classes apart with --level fine")
        )
    chosen.sort()
    kept, targets = [], []
    for target, name in enumerate(chosen):
        mine = [photo for photo, k in zip(whole.photos, of, strict=True) if labels[k] == name]
        mine = sorted(mine, key=lambda photo: _place(_SALT, photo.sha256))[: settings.most_photos]
        kept += mine
        targets += [target] * len(mine)
    scenes = same_scene([photo.sample for photo in kept])
    return ClassSet(whole.name, tuple(chosen), tuple(kept), np.array(targets, dtype=np.int64), scenes)


def cut(chosen: ClassSet, share: float) -> Parts:
    """Cut into training and test part; of each class about `share` is tested, and scenes stay together.

    Raises:
        DataError: a class has nothing to learn from, or nothing to be tested on.
    """
    places = {
        int(scene): _place(_SALT, min(chosen.photos[int(i)].sha256 for i in np.flatnonzero(chosen.scenes == scene)))
        for scene in np.unique(chosen.scenes)
    }
    tested: dict[int, bool] = {}
    warnings = []
    for target, label in enumerate(chosen.labels):
        mine = chosen.scenes[chosen.targets == target]
        scenes = sorted({int(scene) for scene in mine}, key=lambda scene: places[scene])
        sizes = {scene: int((mine == scene).sum()) for scene in scenes}
        wanted, taken = max(1, round(share * len(mine))), sum(sizes[s] for s in scenes if tested.get(s))
        for scene in scenes:
            if scene not in tested:
                # The scene that comes nearest to the share is the last one that is tested.
                tested[scene] = taken + sizes[scene] / 2 <= wanted
                taken += sizes[scene] if tested[scene] else 0
        if not 0 < taken < len(mine):
            what = "to be tested on" if taken == 0 else "to learn from"
            raise DataError(
                f"{chosen.name}: class {label!r} has no photo {what}: its {len(mine)} photos are {len(scenes)} scenes "
                "(near-equal photos stay together); add photos, another --test share, or leave the class out"
            )
        if taken < 5:
            warnings.append(f"class {label!r} has {taken} test photos: little can be said about it")
    aside = np.array([tested[int(scene)] for scene in chosen.scenes])
    train = chosen.subset(np.flatnonzero(~aside), f"{chosen.name}/train")
    return Parts(train, chosen.subset(np.flatnonzero(aside), f"{chosen.name}/test"), tuple(warnings))


def portion(whole: ClassSet, share: float, salt: str) -> ClassSet:
    """Return a share of each class, one photo at least; a smaller share with the same salt lies within a larger one."""
    kept: list[int] = []
    for target in range(len(whole.labels)):
        mine = np.flatnonzero(whole.targets == target)
        order = sorted(mine.tolist(), key=lambda i: _place(salt, whole.photos[i].sha256))
        kept += order[: max(1, math.floor(share * len(order) + 0.5))]
    return whole.subset(sorted(kept), f"{whole.name}/{share:g}")


def _level(whole: PhotoSet, level: str) -> tuple[tuple[str, ...], list[int]]:
    """Return the classes of a level, and the class of each photo."""
    if level == "fine":
        return whole.labels, [photo.fine for photo in whole.photos]
    if not whole.coarse_of:
        raise ConfigError(f"{whole.name}: has no coarse classes; tell its classes apart with --level fine")
    return whole.coarse_labels, [whole.coarse_of[photo.fine] for photo in whole.photos]


def _place(salt: str, content: str) -> str:
    return hashlib.sha256(f"{salt}\0{content}".encode()).hexdigest()
