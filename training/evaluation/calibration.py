"""Does a score of 0.8 mean right in 8 of 10? Reliability in bins of equal mass, and the expected calibration error.

Predictions are sorted by confidence and cut into B bins of equal size (equal-mass bins: with equal widths most of them
would be nearly empty). With n_b predictions in bin b, mean confidence c_b and share of right ones a_b:

ECE = Σ_b n_b / n · |a_b - c_b|     (Naeini et al., AAAI 2015; on detections: Küppers et al., CVPRW 2020)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.matching import MatchedSet

#: Lower scores never reach a lane (`DetectorSettings.min_score`), and their mass would hide what happens above.
FROM_SCORE = 0.1
MOST_BINS = 15
#: A bin of fewer predictions measures its own chance, not the model.
LEAST_IN_BIN = 20


@dataclass(frozen=True)
class Reliability:
    """What confidence is worth.

    Attributes:
        confidence: (B,) mean confidence of each bin, rising.
        right: (B,) share of right predictions in it.
        count: (B,) predictions in it.
        ece: the expected calibration error.
    """

    confidence: NDArray[np.float64]
    right: NDArray[np.float64]
    count: NDArray[np.int64]
    ece: float


def reliability(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> Reliability | None:
    """Return the reliability of predictions in any order; None without any.

    >>> told = reliability(np.array([0.9] * 10 + [0.5] * 10), np.array([True] * 9 + [False] + [True, False] * 5))
    >>> abs(told.ece) < 1e-9, told.count.tolist()
    (True, [20])
    """
    if not len(confidence):
        return None
    bins = int(np.clip(len(confidence) // LEAST_IN_BIN, 1, MOST_BINS))
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, bins)
    mean = np.array([confidence[part].mean(dtype=np.float64) for part in parts])
    share = np.array([right[part].mean(dtype=np.float64) for part in parts])
    count = np.array([len(part) for part in parts], dtype=np.int64)
    return Reliability(mean, share, count, float((count / count.sum() * np.abs(share - mean)).sum()))


def score_reliability(matched: MatchedSet) -> Reliability | None:
    """Return how far a score of FROM_SCORE or more tells that box and class are right (class-aware hits)."""
    judged = ~matched.aware.excused & (matched.scores >= FROM_SCORE)
    return reliability(matched.scores[judged], matched.aware.hits[judged])


def class_reliability(matched: MatchedSet) -> Reliability | None:
    """Return how far the largest class probability tells the class, of detections that hit an object.

    None where the model gives no class probabilities.
    """
    if matched.class_probs is None:
        return None
    judged = matched.agnostic.hits & (matched.scores >= FROM_SCORE) & np.isfinite(matched.class_probs).all(axis=1)
    probs = matched.class_probs[judged]
    true = matched.objects.classes[matched.agnostic.taken[judged]]
    if not len(probs):
        return None
    return reliability(probs.max(axis=1), probs.argmax(axis=1) == true)
