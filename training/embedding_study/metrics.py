"""How well vectors tell classes apart: cosine distances, nearest neighbours, and how far classes lie from one another.

A query q is held against every photo g of the gallery by the cosine distance

    d(q, g) = 1 - q·g / (|q| |g|)      (0: the same direction, 1: nothing in common; a vector of zeros is 1 from all).

Its *rank* is the place of the first photo of its own class when the gallery is sorted by d; of photos at equal distance
those of other classes come first, so that a model that calls everything equal earns nothing. Over queries:

    top-k = share of ranks <= k        MRR = mean of 1 / rank
    plausible = of the queries whose nearest photo is of another class, the share where that class is at least of the
                same coarse class: a sibling (another apple), not a stranger
    AUROC = mean over queries of the share of pairs (own, other photo of the gallery) of which the own lies nearer
            (equal: half)
    d' = (mean d of other classes - mean d of the own) / sqrt((variance of both) / 2), over all pairs.

A query without a photo of its class in the gallery is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.gate import Figure
from training.evaluation.intervals import figure_with_interval

Ints = NDArray[np.int64]
Values = NDArray[np.float64]
Bools = NDArray[np.bool_]
#: Distances are rounded to this, so that equal vectors are at distance 0 and ties do not hang on the last bit.
_DECIMALS = 9
#: Neighbours that are kept for looking at.
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Answers:
    """What a gallery answers to queries; only those that it can answer.

    Attributes:
        rank: (Q,) place of the first photo of the own class, from 1.
        first: (Q, up to 5) indices into the gallery of the nearest photos, nearest first.
        distance: (Q, up to 5) of these.
        sibling: (Q,) whether the nearest photo is of another class, but of the same coarse class.
        auroc: (Q,) share of pairs that are in the right order.
        d_prime: over all pairs; None where nothing varies.
    """

    rank: Ints
    first: Ints
    distance: Values
    sibling: Bools
    auroc: Values
    d_prime: float | None

    @property
    def nearest(self) -> Ints:
        """(Q,) index into the gallery of the nearest photo."""
        return self.first[:, 0]

    @property
    def wrong(self) -> Bools:
        """(Q,) whether the nearest photo is of another class."""
        return self.rank > 1


@dataclass(frozen=True)
class Scores:
    """The figures of one setting on one part."""

    top1: Figure
    top5: Figure
    mrr: Figure
    plausible: Figure
    auroc: Figure
    d_prime: float | None


def cosine_distances(queries: NDArray[np.floating], gallery: NDArray[np.floating]) -> Values:
    """Return (Q, G) cosine distances of (Q, D) and (G, D)."""
    cosines: Values = (_unit(queries) @ _unit(gallery).T).astype(np.float64)
    return np.asarray(np.round(np.clip(1 - cosines, 0.0, 2.0), _DECIMALS), dtype=np.float64)


def answers(
    distances: Values, query_fine: Ints, gallery_fine: Ints, coarse_of: Ints | None, hidden: Bools | None = None
) -> Answers:
    """Return what the gallery answers, from (Q, G) distances and the class of each photo.

    Args:
        distances: (Q, G).
        query_fine: (Q,) classes; each must be in the gallery, among photos that are not hidden from the query.
        gallery_fine: (G,) classes.
        coarse_of: for each class its coarse class; None where there are none.
        hidden: (Q, G) photos that a query must not see: itself and what shows the same moment.
    """
    own = query_fine[:, None] == gallery_fine[None, :]
    other = ~own
    if hidden is not None:
        own, other = own & ~hidden, other & ~hidden
        distances = np.where(hidden, np.inf, distances)
    if not own.any(axis=1).all():
        raise ValueError("a query has no photo of its class in the gallery; leave it out before")
    best = np.where(own, distances, np.inf).min(axis=1)
    rank = 1 + (other & (distances <= best[:, None])).sum(axis=1)
    # Strangers first where distances are equal, as the rank has it: half of the last decimal decides.
    key = np.where(own, distances + 0.5 * 10.0**-_DECIMALS, distances)
    first = np.sort(np.argpartition(key, min(SHOWN, key.shape[1]) - 1, axis=1)[:, :SHOWN], axis=1)
    order = np.argsort(np.take_along_axis(key, first, axis=1), axis=1, kind="stable")
    first = np.take_along_axis(first, order, axis=1)
    nearest = first[:, 0]
    sibling = np.zeros(len(rank), np.bool_)
    if coarse_of is not None:
        sibling = (rank > 1) & (coarse_of[gallery_fine[nearest]] == coarse_of[query_fine])
    return Answers(
        rank,
        first,
        np.take_along_axis(distances, first, axis=1),
        sibling,
        _auroc_by_query(distances, own, other),
        _d_prime(distances[own], distances[other]),
    )


def scores(found: Answers, weights: NDArray[np.int64], with_coarse: bool) -> Scores:
    """Return the figures with 95 % intervals; `weights` (draws, Q) says how often a draw has each query."""
    wrong = found.wrong
    total = weights.sum(axis=1)

    def mean(values: NDArray[np.floating] | Bools) -> Figure:
        return figure_with_interval(float(values.mean()), weights @ values.astype(np.float64) / total)

    plausible = Figure(value=None)
    if with_coarse and wrong.any():
        below = (weights @ wrong.astype(np.int64)).astype(np.float64)
        drawn = np.divide(
            weights @ found.sibling.astype(np.int64), below, out=np.full(len(below), np.nan), where=below > 0
        )
        plausible = figure_with_interval(float(found.sibling.sum() / wrong.sum()), drawn)
    return Scores(
        top1=mean(~wrong),
        top5=mean(found.rank <= 5),
        mrr=mean(1 / found.rank),
        plausible=plausible,
        auroc=mean(found.auroc),
        d_prime=found.d_prime,
    )


def class_matrix(distances: Values, query_fine: Ints, gallery_fine: Ints, classes: int) -> Values:
    """Return (C, C): the mean distance from queries of one class to the gallery's photos of another; NaN: no pair."""
    rows = np.eye(classes)[query_fine]  # (Q, C)
    columns = np.eye(classes)[gallery_fine]
    pairs = np.outer(rows.sum(axis=0), columns.sum(axis=0))
    total = rows.T @ distances @ columns
    return np.divide(total, pairs, out=np.full_like(total, np.nan), where=pairs > 0)


def sibling_chance(query_fine: Ints, gallery_fine: Ints, coarse_of: Ints) -> float:
    """Return how often a stranger drawn blindly from the gallery is of the same coarse class, mean over queries."""
    other = query_fine[:, None] != gallery_fine[None, :]
    kin = other & (coarse_of[query_fine][:, None] == coarse_of[gallery_fine][None, :])
    return float((kin.sum(axis=1) / np.maximum(other.sum(axis=1), 1)).mean())


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit


def _auroc_by_query(distances: Values, own: Bools, other: Bools) -> Values:
    """Return (Q,) the share of (own, other) pairs in the right order: the Mann-Whitney U of each row."""
    most = int(own.sum(axis=1).max())
    # The own photos of each row, and nothing (NaN compares as false) where a row has fewer.
    columns = np.argsort(~own, axis=1, kind="stable")[:, :most]
    mine = np.where(np.take_along_axis(own, columns, axis=1), np.take_along_axis(distances, columns, axis=1), np.nan)
    strangers = np.where(other, distances, np.nan)
    worse = np.zeros(len(distances))
    for k in range(most):
        one = mine[:, k : k + 1]
        worse += (strangers < one).sum(axis=1) + 0.5 * (strangers == one).sum(axis=1)
    pairs = own.sum(axis=1) * other.sum(axis=1)
    shares: Values = np.divide(pairs - worse, pairs, out=np.full(len(worse), np.nan), where=pairs > 0)
    return shares


def _d_prime(same: Values, other: Values) -> float | None:
    spread = np.sqrt((same.var() + other.var()) / 2) if len(same) and len(other) else 0.0
    return float((other.mean() - same.mean()) / spread) if spread > 0 else None
