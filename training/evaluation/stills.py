"""Whole pictures: is the count of every class right? What a till would charge if it had this one picture.

P[i, k] is how many of class k the model counts in picture i (score >= threshold, not on an ignored object), G[i, k] how
many there are:

cAcc  = share of pictures with P[i] = G[i]                                   (RPC, Wei et al. 2019)
ACD   = mean over pictures of Σ_k |P - G|
mCCD  = mean over classes with Σ_i G > 0 of Σ_i |P - G| / Σ_i G
mCIoU = mean over classes of either side of Σ_i min(P, G) / Σ_i max(P, G)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluation.matching import MatchedSet


@dataclass(frozen=True)
class StillFigures:
    """Counts of whole pictures.

    Attributes:
        counted: (P, C) what the model counts.
        true: (P, C) what is there.
        cacc, acd, mccd, mciou: see the module; None where there is nothing to divide by.
    """

    counted: NDArray[np.int64]
    true: NDArray[np.int64]
    cacc: float
    acd: float
    mccd: float | None
    mciou: float | None

    @property
    def right(self) -> NDArray[np.bool_]:
        """(P,) whether the whole count vector is right."""
        return np.asarray((self.counted == self.true).all(axis=1), dtype=np.bool_)


def still_figures(matched: MatchedSet, threshold: float) -> StillFigures:
    """Return the count figures at a threshold."""
    shape = (matched.pictures, len(matched.labels))
    counted, true = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    kept = (matched.scores >= threshold) & ~matched.agnostic.excused
    np.add.at(counted, (matched.picture[kept], matched.classes[kept]), 1)
    sought = matched.objects.wanted
    np.add.at(true, (matched.objects.picture[sought], matched.objects.classes[sought]), 1)
    off, there = np.abs(counted - true), true.sum(axis=0)
    larger = np.maximum(counted, true).sum(axis=0)
    some, either = there > 0, larger > 0
    return StillFigures(
        counted,
        true,
        cacc=float((off.sum(axis=1) == 0).mean()),
        acd=float(off.sum(axis=1).mean()),
        mccd=float((off.sum(axis=0)[some] / there[some]).mean()) if some.any() else None,
        mciou=float((np.minimum(counted, true).sum(axis=0)[either] / larger[either]).mean()) if either.any() else None,
    )
