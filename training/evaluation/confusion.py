"""The confusion matrix of a detector: what each object was taken for, with a row and a column for the background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.evaluation.matching import MatchedSet


def confusion_matrix(matched: MatchedSet, threshold: float) -> NDArray[np.int64]:
    """Return (C + 1, C + 1) counts: rows are the truth, columns what the model said; the last of each is background.

    Detections with score >= `threshold`, matched whatever their class at IoU 0.5. The last row holds false positives,
    the last column missed objects; detections on ignored objects are in neither.
    """
    background = len(matched.labels)
    matrix = np.zeros((background + 1, background + 1), dtype=np.int64)
    kept = matched.scores >= threshold
    hit = kept & matched.agnostic.hits
    taken = matched.agnostic.taken[hit]
    np.add.at(matrix, (matched.objects.classes[taken], matched.classes[hit]), 1)
    false = kept & ~matched.agnostic.hits & ~matched.agnostic.excused
    np.add.at(matrix[background], matched.classes[false], 1)
    missed = matched.objects.wanted.copy()
    missed[taken] = False
    np.add.at(matrix[:, background], matched.objects.classes[missed], 1)
    return matrix
