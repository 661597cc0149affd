"""Who is who: the cost of every pair of a track and a detection, and the cheapest way to pair them up.

The cost of a pair is 1 - IoU of the two boxes grown by a buffer (C-BIoU, Yang et al., WACV 2023), plus a centre
distance measured in box sides, plus soft costs for a class that the track surely is not and for tracks that were not
seen lately. A detection that is smaller than an object of known size is a cut box: the object may be anywhere where
it still contains what is seen, so the distance counts only beyond this slack.

Pairs that are the only choice for both are matched at once; only what is ambiguous goes to the Hungarian solver, where
leaving a pair out costs the limit, so that a far pair is never forced upon two others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tracker.kalman import Floats
from tracker.table import Mask, Rows


def compare(mean: Floats, measured: Floats, buffer: float, keeps_size: bool) -> tuple[Floats, Floats]:
    """Return buffered IoU (N, M) and centre distance in box sides (N, M) of tracks (N, 4) and detections (M, 4).

    Args:
        mean: centre x, centre y, width, height of tracks, pixels.
        measured: the same of detections.
        buffer: share of its sides by which a box is grown on each side.
        keeps_size: whether a smaller detection is a cut box.
    """
    t, d = mean.T[:, :, None], measured.T[:, None, :]
    gap_x, gap_y = np.abs(t[0] - d[0]), np.abs(t[1] - d[1])
    sum_w, sum_h = (t[2] + d[2]) * 0.5, (t[3] + d[3]) * 0.5
    grow = 1.0 + 2.0 * buffer
    wide = np.minimum(np.minimum(t[2], d[2]) * grow, np.maximum(sum_w * grow - gap_x, 0.0))
    high = np.minimum(np.minimum(t[3], d[3]) * grow, np.maximum(sum_h * grow - gap_y, 0.0))
    overlap = wide * high
    union = (t[2] * t[3] + d[2] * d[3]) * (grow * grow) - overlap
    if keeps_size:
        gap_x = np.maximum(gap_x - np.maximum(t[2] - d[2], 0.0) * 0.5, 0.0)
        gap_y = np.maximum(gap_y - np.maximum(t[3] - d[3], 0.0) * 0.5, 0.0)
        side_w, side_h = t[2], t[3]
    else:
        side_w, side_h = sum_w, sum_h
    distance: Floats = np.hypot(gap_x / side_w, gap_y / side_h)
    return overlap / np.maximum(union, 1e-9), distance


def assign(cost: Floats, limit: float) -> tuple[Rows, Rows]:
    """Return rows and columns of the cheapest pairing in which every pair costs less than `limit`.

    Args:
        cost: (N, M); infinity rules a pair out.
        limit: what it costs to leave a pair unmatched.
    """
    open_pairs = cost < limit
    per_row, per_column = open_pairs.sum(axis=1), open_pairs.sum(axis=0)
    single = open_pairs & (per_row == 1)[:, None] & (per_column == 1)[None, :]
    rows, columns = np.nonzero(single)
    if int(per_row.sum()) == len(rows):
        return rows, columns
    rest_rows = np.flatnonzero((per_row > 0) & ~single.any(axis=1))
    rest_columns = np.flatnonzero((per_column > 0) & ~single.any(axis=0))
    block = np.minimum(cost[np.ix_(rest_rows, rest_columns)] - limit, 0.0)
    chosen_rows, chosen_columns = linear_sum_assignment(block)
    good = block[chosen_rows, chosen_columns] < 0.0
    rows = np.concatenate([rows, rest_rows[chosen_rows[good]]])
    columns = np.concatenate([columns, rest_columns[chosen_columns[good]]])
    return rows, columns


def assign_among(cost: Floats, tracks: Mask, detections: Mask, limit: float) -> tuple[Rows, Rows]:
    """Return the pairs of `assign` among the marked tracks and detections, as indices of the whole."""
    rows, columns = np.flatnonzero(tracks), np.flatnonzero(detections)
    if not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    if len(rows) == len(tracks) and len(columns) == len(detections):
        return assign(cost, limit)
    some_rows, some_columns = assign(cost[np.ix_(rows, columns)], limit)
    return rows[some_rows], columns[some_columns]


def similar_size(a: Floats, b: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Return which pairs (N, M) of (width, height) (N, 2) and (M, 2) differ by less than a factor 1 + `tolerance`."""
    ratio = a[:, None, :] / b[None, :, :]
    return np.asarray((np.maximum(ratio, 1.0 / ratio) < 1.0 + tolerance).all(axis=2))
