"""Folds of a set by content, and detections that come in a file for each fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from dataset.records import DetectionSet
from dataset.splits import ASIDE, scene_places
from training.detection_scores import Found


def fold_numbers(wanted: DetectionSet, k: int, salt: str = ASIDE) -> NDArray[np.int64]:
    """Return the fold (pictures,), 0..k-1, of each picture: the one in which `leave_out` keeps it aside.

    Raises:
        DataError: a fold would be empty.
    """
    if k < 2:
        raise ValueError(f"at least 2 folds are needed, got {k}")
    if len(wanted) == 0:
        raise DataError(f"{wanted.name}: no pictures in the set")
    folds = np.minimum((scene_places(wanted, salt) * k).astype(np.int64), k - 1)
    if len(np.unique(folds)) < k:
        raise DataError(
            f"{wanted.name}: its {len(wanted)} pictures (those of one scene stay together) do not fill {k} folds; take "
            "fewer folds or another salt"
        )
    return folds


def merge_predictions(parts: Sequence[Sequence[Found]], wanted: DetectionSet, names: Sequence[str]) -> list[Found]:
    """Return the detections of several files (one for each fold) as one list.

    Raises:
        DataError: two files have detections of one picture, so one of them may come from a model that saw it.
    """
    merged: list[Found] = []
    for i, sample in enumerate(wanted.samples):
        having = [n for n, part in enumerate(parts) if len(part[i].boxes)]
        if len(having) > 1:
            raise DataError(
                f"{sample.image.name}: detections in {names[having[0]]} and in {names[having[1]]}; each picture "
                "belongs to one fold: keep only those of the model that did not learn from it"
            )
        merged.append(parts[having[0] if having else 0][i])
    return merged
