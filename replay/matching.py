"""Who belongs to whom: our lines to true items, and our bills to true trays.

The rule for lines is that of the AI City Challenge, Track 4 (checkout): a line is a moment, a true item an
interval; a line is right when its class is right and its moment lies in the interval of an item that no other
line has taken. Per class the moments are taken in ascending order, and each takes the unmatched interval that
contains it and *ends first*: for points and intervals on a line this greedy choice gives a largest matching.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from replay.truth import TruthBill, TruthItem


@dataclass(frozen=True, slots=True)
class Stay:
    """One line item during one uninterrupted stay on a bill: what we say was in the zone, and from when.

    Attributes:
        line: tells lines of one bill apart; the same again when a dish comes back to its line.
        dish: the last word on it (revisions applied).
        t_s: stream seconds when the line was added.
        until_s: stream seconds when it was taken off or the bill ended.
        removed: whether it was taken off before the bill ended.
        confidence: of the dish, at the last word.
        asked: whether a person was asked about it.
    """

    bill_id: str
    line: Hashable
    track_id: int | None
    dish: str
    t_s: float
    until_s: float
    removed: bool
    confidence: float
    price: float | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs (index of the stay, index of the item), and who was left over on each side."""

    pairs: tuple[tuple[int, int], ...]
    stays_left: tuple[int, ...]
    items_left: tuple[int, ...]


def take_first_ending(
    points: Sequence[tuple[float, int]], intervals: Sequence[tuple[float, float, int]]
) -> list[tuple[int, int]]:
    """Return (point id, interval id) pairs: each point, ascending, takes the free interval around it that ends first.

    Args:
        points: (time, id).
        intervals: (from, to, id), both ends inside.

    >>> take_first_ending([(1.0, 0), (2.0, 1)], [(0.0, 9.0, 0), (0.0, 3.0, 1)])
    [(0, 1), (1, 0)]
    """
    free = sorted(intervals, key=lambda interval: (interval[1], interval[0], interval[2]))
    pairs = []
    for time_s, point in sorted(points):
        hit = next((interval for interval in free if interval[0] <= time_s <= interval[1]), None)
        if hit is not None:
            free.remove(hit)
            pairs.append((point, hit[2]))
    return pairs


def match_lines(stays: Sequence[Stay], items: Sequence[TruthItem]) -> Matching:
    """Pair our lines with true items of the same dish by the Track 4 rule.

    A line that was taken off and came back may match a second stay of its object. Where there is none it is
    still the one line on the bill, and no duplicate: each line is left over at most once, and only if no stay
    of it matched.
    """
    pairs: list[tuple[int, int]] = []
    for dish in sorted({stay.dish for stay in stays} & {item.dish for item in items}):
        points = [(stay.t_s, i) for i, stay in enumerate(stays) if stay.dish == dish]
        intervals = [(item.t_in_s, item.t_out_s, i) for i, item in enumerate(items) if item.dish == dish]
        pairs += take_first_ending(points, intervals)
    return _leftovers(pairs, stays, len(items))


def match_any_dish(stays: Sequence[Stay], items: Sequence[TruthItem], exact: Matching) -> Matching:
    """Pair what `exact` left over, now without regard to the dish: a pair here is a confusion of two dishes."""
    points = [(stays[i].t_s, i) for i in exact.stays_left]
    intervals = [(items[i].t_in_s, items[i].t_out_s, i) for i in exact.items_left]
    return _leftovers([*exact.pairs, *take_first_ending(points, intervals)], stays, len(items))


def _leftovers(pairs: Sequence[tuple[int, int]], stays: Sequence[Stay], items: int) -> Matching:
    used_stays, used_items = {s for s, _ in pairs}, {i for _, i in pairs}
    known = {(stays[i].bill_id, stays[i].line) for i in used_stays}
    stays_left = []
    for i, stay in enumerate(stays):
        if i not in used_stays and (stay.bill_id, stay.line) not in known:
            known.add((stay.bill_id, stay.line))
            stays_left.append(i)
    items_left = tuple(i for i in range(items) if i not in used_items)
    return Matching(tuple(sorted(pairs)), tuple(stays_left), items_left)


def match_bills(spans: Sequence[tuple[float, float]], trays: Sequence[TruthBill]) -> tuple[list[int | None], list[int]]:
    """Give each true tray at most one of our bills, so that the shared time is largest in all.

    Args:
        spans: (opened, closed) stream seconds of our bills, in order; an open bill ends with the recording.
        trays: the truth. If any has no times, bills and trays are paired in order.

    Returns:
        For each tray the index of its bill or None, and the indices of bills that have no tray.
    """
    found: list[int | None] = [None] * len(trays)
    if any(tray.t_in_s is None or tray.t_out_s is None for tray in trays):
        for i in range(min(len(spans), len(trays))):
            found[i] = i
    elif spans and trays:
        ours = np.asarray(spans, dtype=np.float64)
        true = np.asarray([(tray.t_in_s, tray.t_out_s) for tray in trays], dtype=np.float64)
        shared = np.minimum(ours[None, :, 1], true[:, None, 1]) - np.maximum(ours[None, :, 0], true[:, None, 0])
        rows, columns = linear_sum_assignment(-np.maximum(shared, 0.0))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if shared[row, column] > 0.0:
                found[row] = column
    taken = set(found)
    return found, [i for i in range(len(spans)) if i not in taken]
