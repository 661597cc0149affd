"""The stages of association within one frame, from the surest to the most daring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.association import assign_among, compare
from tracker.kalman import Floats
from tracker.observations import Observations
from tracker.settings import TrackerSettings
from tracker.table import TENTATIVE, Mask, Rows, TrackTable

#: A pair that costs more than this is no match (1 is what two boxes without overlap cost).
COST_LIMIT = 1.25
#: What a low-score detection must cost less than: these may only continue what is there.
LOW_COST_LIMIT = 0.8
#: Buffered IoU below which no pair is a match, whatever else speaks for it.
LEAST_OVERLAP = 0.08


@dataclass(slots=True)
class Matches:
    """Pairs of this frame.

    Attributes:
        rows: (K,) tracks.
        columns: (K,) detections, parallel.
        free: (M,) detections that nobody took.
    """

    rows: Rows
    columns: Rows
    free: Mask


def pair_costs(table: TrackTable, seen: Observations, belief: Floats, dt_s: float, settings: TrackerSettings) -> Floats:
    """Return the cost (N, M) of every pair; infinity where the two are too far apart.

    Args:
        table: tracks, predicted to this frame.
        seen: the detections of this frame.
        belief: (N, C + 1) class posterior of the tracks.
        dt_s: seconds since the frame before.
        settings: see there.
    """
    overlap, distance = compare(table.motion.mean, seen.measured, settings.buffer, settings.keeps_size)
    waited_s = np.minimum(table.unseen_s, 0.5) + dt_s
    reach = np.minimum(settings.reach + settings.reach_rate * waited_s, settings.max_reach)
    cost = (1.0 - overlap) + settings.distance_weight * distance
    cost += (settings.unseen_weight * (table.unseen_s > 0.0))[:, None]
    if settings.class_weight > 0.0:
        against = 1.0 - belief[:, seen.class_ids] - belief[:, -1:]
        cost += settings.class_weight * np.maximum(against, 0.0)
    cost[(distance > reach[:, None]) | (overlap < LEAST_OVERLAP)] = np.inf
    return cost


def match(cost: Floats, table: TrackTable, seen: Observations, settings: TrackerSettings) -> Matches:
    """Pair tracks and detections in three stages (after ByteTrack, Zhang et al., ECCV 2022).

    1. every known track against the detections with high scores; 2. those left, if seen lately or hidden, against the
    low ones; 3. tentative tracks against the high ones that are left.
    """
    high = seen.scores >= settings.high_score
    tentative = table.state == TENTATIVE
    rows, columns = assign_among(cost, ~tentative, high, COST_LIMIT)
    open_rows, free = ~tentative, np.ones(len(seen), dtype=bool)
    open_rows[rows] = False
    free[columns] = False
    pairs = [(rows, columns)]
    if not high.all() and open_rows.any():
        rows, columns = assign_among(cost, open_rows, free & ~high, LOW_COST_LIMIT)
        free[columns] = False
        pairs.append((rows, columns))
    if tentative.any() and free.any():
        rows, columns = assign_among(cost, tentative, free & high, COST_LIMIT)
        free[columns] = False
        pairs.append((rows, columns))
    if len(pairs) == 1:
        return Matches(*pairs[0], free)
    return Matches(np.concatenate([r for r, _ in pairs]), np.concatenate([c for _, c in pairs]), free)
