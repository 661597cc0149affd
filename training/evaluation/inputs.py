"""What is scored: detections beside the set that they were made on, checked once, before any figure is computed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from core.errors import DataError
from dataset.records import DetectionSet, Sample
from training.detection_scores import Found, Wanted


def wanted_of(sample: Sample) -> Wanted:
    """Return the objects of a sample as matching wants them."""
    return Wanted(sample.boxes, sample.classes, ~sample.ignored)


def check_inputs(found: Sequence[Found], wanted: DetectionSet) -> None:
    """Raise unless `found` are detections of the pictures of `wanted`, and there is something to find.

    Raises:
        DataError: the set has no pictures, or not one object that is to be found.
        ValueError: the detections do not fit the set, or are not numbers: our own code is wrong.
    """
    if len(wanted) == 0:
        raise DataError(f"{wanted.name}: no pictures in the set; nothing can be scored on it")
    if len(found) != len(wanted):
        raise ValueError(f"{len(found)} lists of detections for the {len(wanted)} pictures of {wanted.name}")
    if not any((~sample.ignored).any() for sample in wanted.samples):
        raise DataError(
            f"{wanted.name}: none of its {len(wanted)} pictures has an object to be found; check its labels"
        )
    for sample, one in zip(wanted.samples, found, strict=True):
        count = len(one.boxes)
        if one.boxes.shape != (count, 4) or one.scores.shape != (count,) or one.classes.shape != (count,):
            raise ValueError(f"{sample.image.name}: boxes {one.boxes.shape} and scores {one.scores.shape} do not fit")
        if not (np.isfinite(one.boxes).all() and np.isfinite(one.scores).all()):
            raise ValueError(f"{sample.image.name}: a detection has a box or score that is not a number")
        if count and not 0 <= one.classes.min() <= one.classes.max() < len(wanted.labels):
            raise ValueError(f"{sample.image.name}: a detection's class is not one of the {len(wanted.labels)} labels")


def of_one_class(found: Sequence[Found]) -> list[Found]:
    """Return the detections with their classes forgotten (all 0)."""
    return [Found(one.boxes, one.scores, np.zeros_like(one.classes)) for one in found]


def set_of_one_class(wanted: DetectionSet, label: str) -> DetectionSet:
    """Return the set with every object called `label`; its hash tells that it is not the same question."""
    samples = tuple(dataclasses.replace(s, classes=np.zeros_like(s.classes)) for s in wanted.samples)
    sha256 = hashlib.sha256(f"{wanted.sha256} as one class {label}".encode()).hexdigest()
    return dataclasses.replace(
        wanted, name=f"{wanted.name} (one class)", labels=(label,), samples=samples, sha256=sha256
    )
