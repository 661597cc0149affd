"""Who is who: the cost of the pairs of a track and a detection, and the cheapest way to pair them up.

The cost of a pair is 1 - IoU of the two boxes grown by a buffer (C-BIoU, Yang et al., WACV 2023), plus a centre
distance measured in box sides, plus soft costs for a class that the track surely is not and for tracks that were not
seen lately. A detection that is smaller than an object of known size is a cut box: the object may be anywhere where it
still contains what is seen, so the distance counts only beyond this slack.

Only pairs whose grown boxes touch are ever looked at; they are kept as lists, not as a matrix. Pairs that are the only
choice for both are matched at once; only what is ambiguous goes to the Hungarian solver, where leaving a pair out costs
the limit, so that a far pair is never forced upon two others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats
from tracker.table import Mask, Rows


@dataclass(slots=True)
class Pairs:
    """Possible pairs of tracks and detections, ordered by track, then detection.

    Attributes:
        rows: (P,) tracks.
        columns: (P,) detections.
        cost: (P,) infinity where a pair is ruled out.
        shape: number of tracks and of detections.
    """

    rows: Rows
    columns: Rows
    cost: Floats
    shape: tuple[int, int]


def touching(mean: Floats, measured: Floats, buffer: float) -> tuple[Rows, Rows]:
    """Return the pairs of tracks (N, 4) and detections (M, 4) whose boxes touch when each side is grown by `buffer`."""
    grow = 0.5 + buffer
    t_half, d_half = mean[:, 2:] * grow, measured[:, 2:] * grow
    t_low, t_high = (mean[:, :2] - t_half).T[:, :, None], (mean[:, :2] + t_half).T[:, :, None]
    d_low, d_high = (measured[:, :2] - d_half).T[:, None, :], (measured[:, :2] + d_half).T[:, None, :]
    near = t_low[0] < d_high[0]
    near &= t_high[0] > d_low[0]
    near &= t_low[1] < d_high[1]
    near &= t_high[1] > d_low[1]
    rows, columns = np.nonzero(near)
    return rows, columns


def compare(tracks: Floats, found: Floats, buffer: float, keeps_size: bool) -> tuple[Floats, Floats]:
    """Return buffered IoU (P,) and centre distance in box sides (P,) of parallel boxes.

    Args:
        tracks: (P, 4) centre x, centre y, width, height of tracks, pixels.
        found: (P, 4) the same of detections.
        buffer: share of its sides by which a box is grown on each side.
        keeps_size: whether a smaller detection is a cut box.
    """
    grow = 1.0 + 2.0 * buffer
    gap = np.abs(tracks[:, :2] - found[:, :2])
    sides, others = tracks[:, 2:], found[:, 2:]
    middle = (sides + others) * 0.5
    shared = np.maximum(np.minimum(np.minimum(sides, others) * grow, middle * grow - gap), 0.0)
    overlap = shared[:, 0] * shared[:, 1]
    union = (sides[:, 0] * sides[:, 1] + others[:, 0] * others[:, 1]) * (grow * grow) - overlap
    gap = np.maximum(gap - np.maximum(sides - others, 0.0) * 0.5, 0.0) / sides if keeps_size else gap / middle
    distance: Floats = np.sqrt(gap[:, 0] * gap[:, 0] + gap[:, 1] * gap[:, 1])
    return overlap / union, distance


def assign(pairs: Pairs, allowed: Mask, limit: float) -> tuple[Rows, Rows]:
    """Return rows and columns of the cheapest pairing in which every pair costs less than `limit`.

    Args:
        pairs: what is possible.
        allowed: (P,) the pairs of this stage.
        limit: what it costs to leave a pair unmatched.
    """
    chosen = np.flatnonzero(allowed & (pairs.cost < limit))
    rows, columns = pairs.rows[chosen], pairs.columns[chosen]
    if len(rows) <= 1:
        return rows, columns
    choices = (
        np.bincount(rows, minlength=pairs.shape[0])[rows] + np.bincount(columns, minlength=pairs.shape[1])[columns]
    )
    single = choices == 2
    if single.all():
        return rows, columns
    rest = ~single
    rest_rows, row_of = np.unique(rows[rest], return_inverse=True)
    rest_columns, column_of = np.unique(columns[rest], return_inverse=True)
    block = np.zeros((len(rest_rows), len(rest_columns)))
    block[row_of, column_of] = pairs.cost[chosen[rest]] - limit
    from scipy.optimize import linear_sum_assignment

    best_rows, best_columns = linear_sum_assignment(block)
    good = block[best_rows, best_columns] < 0.0
    rows = np.concatenate([rows[single], rest_rows[best_rows[good]]])
    columns = np.concatenate([columns[single], rest_columns[best_columns[good]]])
    return rows, columns


def similar_size(a: Floats, b: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Return which pairs (N, M) of (width, height) (N, 2) and (M, 2) differ by less than a factor 1 + `tolerance`."""
    ratio = a[:, None, :] / b[None, :, :]
    return np.asarray((np.maximum(ratio, 1.0 / ratio) < 1.0 + tolerance).all(axis=2))
