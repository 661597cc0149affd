"""Precision, recall and F1 at every threshold, and what follows when one is chosen.

A threshold t keeps the detections with score >= t, so the curve has a point at each distinct score: equal scores are
kept or dropped together. precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), pooled over
pictures and classes. The best threshold is that of the highest F1 (the highest such threshold, where several are
equal): it flatters a model on the pictures that it was chosen on, so it is chosen on development pictures, frozen, and
read off elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Point:
    """What one threshold gives.

    Attributes:
        threshold: scores from here on are kept.
        hits: true positives.
        false: false positives.
        missed: objects without a detection.
    """

    threshold: float
    hits: int
    false: int
    missed: int

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP); None when nothing was kept."""
        kept = self.hits + self.false
        return self.hits / kept if kept else None

    @property
    def recall(self) -> float | None:
        """TP / (TP + FN); None when nothing was to be found."""
        truths = self.hits + self.missed
        return self.hits / truths if truths else None

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None when there was nothing on either side."""
        total = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / total if total else None


@dataclass(frozen=True)
class Curve:
    """The counts at every distinct score, highest first.

    Attributes:
        thresholds: (P,) falling.
        hits: (P,) true positives with that score or more.
        false: (P,) false positives.
        truths: how many objects were to be found.
    """

    thresholds: NDArray[np.float64]
    hits: NDArray[np.int64]
    false: NDArray[np.int64]
    truths: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """(P,) precision, as measured: not made monotonic."""
        return np.asarray(self.hits / np.maximum(self.hits + self.false, 1), dtype=np.float64)

    @property
    def recall(self) -> NDArray[np.float64]:
        """(P,) recall; never falls along the curve."""
        return np.asarray(self.hits / max(self.truths, 1), dtype=np.float64)

    @property
    def f1(self) -> NDArray[np.float64]:
        """(P,) F1."""
        return np.asarray(2 * self.hits / np.maximum(self.hits + self.false + self.truths, 1), dtype=np.float64)

    def at(self, threshold: float) -> Point:
        """Return what `threshold` gives."""
        kept = int(np.searchsorted(-self.thresholds, -threshold, side="right"))
        hits, false = (int(self.hits[kept - 1]), int(self.false[kept - 1])) if kept else (0, 0)
        return Point(threshold, hits, false, self.truths - hits)

    @property
    def best(self) -> Point | None:
        """The point of the highest F1; None without detections, or when nothing was to be found."""
        if not len(self.thresholds) or not self.truths:
            return None
        return self.at(float(self.thresholds[int(self.f1.argmax())]))


def curve_of(scores: NDArray[np.floating], hits: NDArray[np.bool_], truths: int) -> Curve:
    """Return the curve of detections that count (excused ones left out), in any order.

    >>> curve = curve_of(np.array([0.9, 0.5, 0.5, 0.2]), np.array([True, True, False, False]), truths=3)
    >>> curve.thresholds.tolist(), curve.hits.tolist(), curve.false.tolist()
    ([0.9, 0.5, 0.2], [1, 2, 2], [0, 1, 2])
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order].astype(np.float64)
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.zeros(0, np.int64)
    true, false = np.cumsum(hits[order], dtype=np.int64), np.cumsum(~hits[order], dtype=np.int64)
    return Curve(falling[ends], true[ends], false[ends], truths)
