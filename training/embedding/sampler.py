"""Which crops a step sees: some classes of every source, some crops of each class. A pure function of seed and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from training.embedding.augmentation import ABOVE, Strength, varied
from training.embedding.crop_set import CropSet


@dataclass(frozen=True, eq=False)
class Source:
    """Crops of one kind.

    Attributes:
        crops: the set.
        classes: how many of its classes are in each batch.
        strength: how freely its crops may be changed.
        family: so many classes in a row look alike; a batch takes them in pairs of one family. 1: as they come.
    """

    crops: CropSet
    classes: int
    strength: Strength = ABOVE
    family: int = 1

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """The crops of each class."""
        return [self.crops.of_class(number) for number in range(len(self.crops.names))]


def check_sources(sources: Sequence[Source]) -> None:
    """Raise DataError when a source has too few classes or a class without crops."""
    for source in sources:
        if len(source.crops.names) < source.classes:
            raise DataError(
                f"{source.crops.name}: has {len(source.crops.names)} classes, a batch asks for {source.classes}; give "
                "more classes, or render more"
            )
        empty = [name for name, mine in zip(source.crops.names, source.members, strict=True) if not len(mine)]
        if empty:
            raise DataError(f"{source.crops.name}: no crop of class {empty[0]!r}")


def picked_at(step: int, seed: int, number: int, source: Source, views: int) -> list[tuple[int, int]]:
    """Return (class, crop) of one source's part of a batch: `views` crops of each class, none twice if possible.

    Args:
        step: of the run.
        seed: of the run.
        number: of the source.
        source: where to pick from.
        views: crops of each class.
    """
    rng = np.random.default_rng([seed, 41, step, number])
    picked = []
    for chosen in _classes_at(rng, source):
        mine = source.members[chosen]
        twice = len(mine) < views
        picked += [(chosen, int(crop)) for crop in rng.choice(mine, views, replace=twice)]
    return picked


def _classes_at(rng: np.random.Generator, source: Source) -> list[int]:
    """Return the classes of one batch: of families two siblings each, as long as that fits."""
    count = len(source.crops.names)
    families = count // max(source.family, 1)
    if source.family < 2 or families * 2 < source.classes:
        return [int(chosen) for chosen in rng.choice(count, source.classes, replace=False)]
    chosen = []
    for family in rng.choice(families, -(-source.classes // 2), replace=False).tolist():
        chosen += (family * source.family + rng.choice(source.family, 2, replace=False)).tolist()
    return [int(number) for number in chosen[: source.classes]]


def batch_at(
    step: int, seed: int, sources: Sequence[Source], views: int, size: int, pad: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return pictures (B, size, size, 3) and their classes (B,), numbered through all sources."""
    pictures, classes, first = [], [], 0
    for number, source in enumerate(sources):
        for place, (chosen, crop) in enumerate(picked_at(step, seed, number, source, views)):
            rng = np.random.default_rng([seed, 42, step, number, place])
            pictures.append(varied(source.crops.crops[crop], size, pad, rng, source.strength))
            classes.append(first + chosen)
        first += len(source.crops.names)
    return np.stack(pictures), np.array(classes, np.int64)
