"""The stages of association within one frame, from the surest to the most daring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.association import Pairs, assign, compare, touching
from tracker.kalman import Floats
from tracker.observations import Observations
from tracker.settings import TrackerSettings
from tracker.table import TENTATIVE, Mask, Rows, Selection, TrackTable

#: A pair that costs more than this is no match (1 is what two boxes without overlap cost).
COST_LIMIT = 1.25
#: What a low-score detection must cost less than: these may only continue what is there.
LOW_COST_LIMIT = 0.8
#: A tentative track may be a ghost: its second sighting must be close, the closer the sooner it comes (1 and 1/s).
YOUNG_COST_LIMIT, YOUNG_COST_RATE = 0.8, 2.0
#: An object that was out of view is not one of a class that its posterior holds this improbable.
SURELY_OTHER = 0.9
#: Buffered IoU below which no pair is a match, whatever else speaks for it.
LEAST_OVERLAP = 0.08


@dataclass(slots=True)
class Matches:
    """Pairs of this frame.

    Attributes:
        rows: (K,) tracks, ascending; or the whole range as a slice when every track was matched.
        columns: (K,) detections, parallel.
        free: (M,) detections that nobody took.
    """

    rows: Selection
    columns: Rows
    free: Mask


def possible_pairs(
    table: TrackTable, seen: Observations, belief: Floats, dt_s: float, settings: TrackerSettings
) -> Pairs:
    """Return the pairs that are near enough, with their cost.

    Args:
        table: tracks, predicted to this frame.
        seen: the detections of this frame.
        belief: (N, C + 1) class posterior of the tracks.
        dt_s: seconds since the frame before.
        settings: see there.
    """
    mean = table.motion.mean
    rows, columns = touching(mean, seen.measured, settings.buffer)
    overlap, distance = compare(mean[rows], seen.measured[columns], settings.buffer, settings.keeps_size)
    waited_s = np.minimum(table.unseen_s, 0.5) + dt_s
    reach = np.minimum(settings.reach + settings.reach_rate * waited_s, settings.max_reach)
    unseen = settings.unseen_weight * (table.unseen_s > 0.0)
    cost = (1.0 + unseen[rows]) - overlap + settings.distance_weight * distance
    if settings.class_weight > 0.0:
        against = 1.0 - belief[rows, seen.class_ids[columns]] - belief[rows, -1]
        cost += settings.class_weight * np.maximum(against, 0.0)
        # While an object is in view its class is never a gate: detectors err. Out of view it may be replaced.
        stranger = (against > SURELY_OTHER) & (table.unseen_s > settings.stranger_s)[rows]
        cost[stranger & (seen.scores >= settings.high_score)[columns]] = np.inf
    cost[(distance > reach[rows]) | (overlap < LEAST_OVERLAP)] = np.inf
    return Pairs(rows, columns, cost, (len(table), len(seen)))


def match(pairs: Pairs, table: TrackTable, seen: Observations, dt_s: float, settings: TrackerSettings) -> Matches:
    """Pair tracks and detections in three stages (after ByteTrack, Zhang et al., ECCV 2022).

    1. every known track against the detections with high scores; 2. the known ones left against the low ones;
    3. tentative tracks against the high ones that are left.
    """
    free = np.ones(len(seen), dtype=bool)
    waiting = table.state != TENTATIVE
    known = waiting[pairs.rows]
    high = (seen.scores >= settings.high_score)[pairs.columns]
    first = known & high
    rows, columns = assign(pairs, first, COST_LIMIT)
    free[columns] = False
    if not first.all():
        waiting[rows] = False
        found = [(rows, columns)]
        low, young = ~high & waiting[pairs.rows], high & ~known & free[pairs.columns]
        for allowed, limit in (
            (low, LOW_COST_LIMIT),
            (young, min(YOUNG_COST_LIMIT + YOUNG_COST_RATE * dt_s, COST_LIMIT)),
        ):
            if allowed.any():
                found.append(assign(pairs, allowed, limit))
        rows, columns = np.concatenate([r for r, _ in found]), np.concatenate([c for _, c in found])
        free[columns] = False
    order = np.argsort(rows)
    if len(rows) == len(table):
        return Matches(slice(None), columns[order], free)
    return Matches(rows[order], columns[order], free)
