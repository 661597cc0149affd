"""How often a picture is seen: those with rare classes come up more often.

Repeat-factor sampling (Gupta, Dollar & Girshick, LVIS, 2019): f(c) is the share of pictures that show class c; a class
rarer than t repeats r(c) = max(1, sqrt(t / f(c))) times, and a picture as often as the rarest of its classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset.records import DetectionSet

#: The golden ratio's fraction: its multiples spread over 0..1 more evenly than chance.
_GOLDEN = 0.6180339887498949


def repeat_factors(whole: DetectionSet, threshold: float, most: float = 4.0) -> NDArray[np.float64]:
    """Return how often each picture (N,) is to come up in one round, 1..`most`.

    Args:
        whole: the set.
        threshold: t, a share of pictures 0..1; 0 gives 1 for all.
        most: no picture comes up more often than this, however rare its class.
    """
    shows = np.zeros((len(whole), len(whole.labels)), dtype=bool)
    for i, sample in enumerate(whole.samples):
        shows[i, sample.classes[~sample.ignored]] = True
    share = np.maximum(shows.mean(axis=0), 1e-9)
    factors = np.clip(np.sqrt(threshold / share), 1.0, most)
    return np.asarray(np.where(shows, factors, 1.0).max(axis=1, initial=1.0), dtype=np.float64)


def repeated(factors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return picture indices (R,), R >= N, each as often as its factor says.

    A fraction cannot be done in one round: of the pictures with 1.6, six in ten come up twice. Which ones is fixed and
    spread evenly, so that a round repeats exactly and sums up to what the factors say, within one.
    """
    whole, fraction = np.divmod(factors, 1.0)
    # Error diffusion in golden order: neighbours in the set, often frames of one scene, are not favoured together.
    order = np.argsort((np.arange(len(factors)) * _GOLDEN) % 1.0, kind="stable")
    running = np.floor(np.cumsum(fraction[order]) + 0.5)
    times = whole.astype(np.int64)
    times[order] += np.diff(running, prepend=0.0).astype(np.int64)
    return np.repeat(np.arange(len(factors)), times)
