"""Who is who: the cost of the pairs of a track and a detection, and the cheapest way to pair them up.

The cost of a pair is 1 minus the IoU of the two boxes grown by a buffer (C-BIoU, Yang et al., WACV 2023), weighted by
the IoU of their heights alone where heights tell objects apart (people who stand on one floor; Hybrid-SORT, Yang et
al., AAAI 2024); plus a centre distance measured in box sides, plus soft costs for a class that the track surely is not,
for looks that differ and for tracks that were not seen lately. A detection that is smaller than an object of known size
is a cut box: the object may be anywhere where it still contains what is seen, so the distance counts only beyond this
slack.

Only pairs whose grown boxes touch are ever looked at; they are kept as lists, not as a matrix. Pairs that are the only
choice for both are matched at once; only what is ambiguous goes to the Hungarian solver, where leaving a pair out costs
the limit, so that a far pair is never forced upon two others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats
from tracker.settings import TrackerSettings
from tracker.table import Mask, Rows

#: Blocks of at most so many tracks or detections are solved by looking at every way to pair them.
SMALL_BLOCK = 3


@dataclass(slots=True)
class Pairs:
    """Possible pairs of tracks and detections, ordered by track, then detection.

    Attributes:
        rows: (P,) tracks.
        columns: (P,) detections.
        cost: (P,) infinity where a pair is ruled out after all.
        overlap: (P,) IoU of the grown boxes, times that of their heights where it counts.
        shape: number of tracks and of detections.
    """

    rows: Rows
    columns: Rows
    cost: Floats
    overlap: Floats
    shape: tuple[int, int]


def touching(mean: Floats, measured: Floats, buffer: float) -> tuple[Rows, Rows]:
    """Return the pairs of tracks (4, N) and detections (4, M) whose boxes touch when each side is grown by `buffer`."""
    grow = 0.5 + buffer
    t_half, d_half = mean[2:] * grow, measured[2:] * grow
    t_low, t_high = (mean[:2] - t_half)[:, :, None], (mean[:2] + t_half)[:, :, None]
    d_low, d_high = measured[:2] - d_half, measured[:2] + d_half
    near = t_low < d_high[:, None]
    near &= t_high > d_low[:, None]
    rows, columns = np.divmod((near[0] & near[1]).ravel().nonzero()[0], max(measured.shape[1], 1))
    return rows, columns


def compare(tracks: Floats, found: Floats, settings: TrackerSettings) -> tuple[Floats, Floats]:
    """Return overlap (P,) and centre distance in box sides (P,) of parallel boxes.

    Args:
        tracks: (4, P) centre x, centre y, width, height of tracks, pixels.
        found: (4, P) the same of detections.
        settings: `buffer`, `keeps_size` and `height_weight`.
    """
    grow = 1.0 + 2.0 * settings.buffer
    gap = np.abs(tracks[:2] - found[:2])
    sides, others = tracks[2:], found[2:]
    middle = (sides + others) * 0.5
    shared = np.maximum(np.minimum(np.minimum(sides, others) * grow, middle * grow - gap), 0.0)
    both = shared[0] * shared[1]
    overlap = both / ((sides[0] * sides[1] + others[0] * others[1]) * (grow * grow) - both)
    if settings.height_weight > 0.0:
        heights = shared[1] / (middle[1] * (2.0 * grow) - shared[1])
        if settings.height_weight == 1.5:
            # The same everywhere to the last bit, as roots are and powers are not.
            overlap *= heights * np.sqrt(heights)
        else:
            overlap *= heights if settings.height_weight == 1.0 else heights**settings.height_weight
    if settings.keeps_size:
        gap = np.maximum(gap - np.maximum(sides - others, 0.0) * 0.5, 0.0) / sides
    else:
        gap /= middle
    distance: Floats = np.sqrt(gap[0] * gap[0] + gap[1] * gap[1])
    return overlap, distance


def assign(pairs: Pairs, allowed: Mask | None, limit: float) -> tuple[Rows, Rows]:
    """Return rows and columns of the cheapest pairing in which every pair costs less than `limit`.

    Args:
        pairs: what is possible.
        allowed: (P,) the pairs of this stage; None for all.
        limit: what it costs to leave a pair unmatched.
    """
    cheap = pairs.cost < limit
    chosen = (cheap if allowed is None else allowed & cheap).nonzero()[0]
    rows, columns = pairs.rows.take(chosen), pairs.columns.take(chosen)
    if rows.shape[0] <= 1:
        return rows, columns
    of_row, of_column = np.bincount(rows, minlength=pairs.shape[0]), np.bincount(columns, minlength=pairs.shape[1])
    single = (of_row.take(rows) + of_column.take(columns)) == 2
    if np.count_nonzero(single) == rows.shape[0]:
        return rows, columns
    rest = (~single).nonzero()[0]
    gain = limit - pairs.cost.take(chosen.take(rest))
    best = _most_gain(rows.take(rest), columns.take(rest), gain, of_row, of_column)
    kept = np.concatenate([single.nonzero()[0], rest.take(best)])
    return rows.take(kept), columns.take(kept)


def _most_gain(rows: Rows, columns: Rows, gain: Floats, of_row: Rows, of_column: Rows) -> Rows:
    """Return which of the pairs to take: at most one for each row and column, with the greatest sum of `gain` (> 0).

    Args:
        rows: (P,) tracks.
        columns: (P,) detections.
        gain: (P,).
        of_row: pairs of each track; for those in `rows`, all of them are here.
        of_column: pairs of each detection, likewise.
    """
    used_rows, used_columns = np.zeros(len(of_row), np.bool_), np.zeros(len(of_column), np.bool_)
    used_rows[rows] = used_columns[columns] = True
    row_of, column_of = used_rows.cumsum() - 1, used_columns.cumsum() - 1
    height, width = int(row_of[-1]) + 1, int(column_of[-1]) + 1
    if min(height, width) <= SMALL_BLOCK and len(gain) <= 8:
        return np.array(_best_of_all(rows.tolist(), columns.tolist(), gain.tolist()), np.intp)
    # Imported when first needed: it costs a second of every start.
    from scipy.optimize import linear_sum_assignment

    block = np.zeros((height, width))
    pair_of = np.full((height, width), -1, np.intp)
    at = row_of.take(rows), column_of.take(columns)
    block[at], pair_of[at] = -gain, np.arange(len(gain))
    best = pair_of[linear_sum_assignment(block)]
    return np.asarray(best[best >= 0])


def _best_of_all(rows: list[int], columns: list[int], gain: list[float]) -> list[int]:
    """Return the pairs of greatest total gain by trying all ways; the first found wins among equals.

    >>> _best_of_all([0, 0, 1], [0, 1, 0], [0.9, 0.6, 0.8])
    [1, 2]
    """
    best: tuple[float, list[int]] = (0.0, [])

    def extend(start: int, total: float, taken: list[int]) -> None:
        nonlocal best
        if total > best[0]:
            best = (total, taken)
        for k in range(start, len(rows)):
            if all(rows[k] != rows[j] and columns[k] != columns[j] for j in taken):
                extend(k + 1, total + gain[k], [*taken, k])

    extend(0, 0.0, [])
    return best[1]


def similar_size(a: Floats, b: Floats, tolerance: float) -> NDArray[np.bool_]:
    """Return which pairs (N, M) of (width, height) (2, N) and (2, M) differ by less than a factor 1 + `tolerance`."""
    ratio = a[:, :, None] / b[:, None, :]
    return np.asarray((np.maximum(ratio, 1.0 / ratio) < 1.0 + tolerance).all(axis=0))
