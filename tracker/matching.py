"""The stages of association within one frame, from the surest to the most daring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.appearance import unlikeness
from tracker.association import Pairs, assign, compare, touching
from tracker.evidence import ClassEvidence
from tracker.kalman import Floats
from tracker.observations import Observations
from tracker.settings import TrackerSettings
from tracker.table import TENTATIVE, Mask, Rows, TrackTable

#: A tentative track may be a ghost: its second sighting must be close, the closer the sooner it comes (cost and 1/s).
YOUNG_COST_LIMIT, YOUNG_COST_RATE = 0.8, 2.0
#: An object that was out of view is not one of a class that its posterior holds this improbable.
SURELY_OTHER = 0.9
#: Overlap below which no pair is a match, whatever else speaks for it.
LEAST_OVERLAP = 0.08
#: A detection that costs more than this with every track lies where nothing should be; when this share of them does, it
#: is time to ask whether all have moved.
DISPLACED_COST, STRANGE_SHARE = 0.75, 0.4


@dataclass(slots=True)
class Matches:
    """Who is who in this frame.

    Attributes:
        column: (N,) the detection of each track, -1 for none.
        free: (M,) detections that nobody took.
        everyone: whether every track has a detection.
    """

    column: Rows
    free: Mask
    everyone: bool


def possible_pairs(
    table: TrackTable, seen: Observations, evidence: ClassEvidence, dt_s: float, settings: TrackerSettings
) -> Pairs:
    """Return the pairs that are near enough, with their cost.

    Args:
        table: tracks, predicted to this frame.
        seen: the detections of this frame.
        evidence: knows the class posteriors of the tracks.
        dt_s: seconds since the frame before.
        settings: see there.
    """
    mean = table.motion.mean
    some_unseen = np.count_nonzero(table.unseen_s)
    waited_s = (np.minimum(table.unseen_s, 0.5) if some_unseen else 0.0) + dt_s
    reach = np.minimum(settings.reach + settings.reach_rate * waited_s, settings.max_reach)
    buffer = settings.buffer
    if not settings.keeps_size:
        # Boxes that touch are too many to compare: what is out of reach need not touch.
        buffer = min(buffer, 0.5 * float(np.max(reach)) - 0.5)
    rows, columns = touching(mean, seen.measured, buffer)
    overlap, distance = compare(mean.take(rows, axis=1), seen.measured.take(columns, axis=1), settings)
    near = overlap >= LEAST_OVERLAP
    near &= distance <= (reach.take(rows) if some_unseen else reach)
    if np.count_nonzero(near) < near.shape[0]:
        stay = near.nonzero()[0]
        rows, columns, overlap, distance = rows.take(stay), columns.take(stay), overlap.take(stay), distance.take(stay)
    cost = settings.distance_weight * distance
    cost += 1.0
    cost -= overlap
    if some_unseen:
        cost += (settings.unseen_weight * (table.unseen_s > 0.0)).take(rows)
    pairs = Pairs(rows, columns, cost, overlap, (len(table), len(seen)))
    doubt_pairs(pairs, table, seen, evidence, settings)
    return pairs


def doubt_pairs(
    pairs: Pairs, table: TrackTable, seen: Observations, evidence: ClassEvidence, settings: TrackerSettings
) -> None:
    """Add to the cost of `pairs`, which is by place and size alone, what classes and looks say against them."""
    if settings.class_weight > 0.0:
        _doubt_other_classes(pairs.cost, pairs.rows, pairs.columns, table, seen, evidence, settings)
    if seen.embeddings is not None and settings.embedding_weight > 0.0:
        pairs.cost += settings.embedding_weight * unlikeness(table, pairs.rows, seen.embeddings, pairs.columns)


def _doubt_other_classes(
    cost: Floats,
    rows: Rows,
    columns: Rows,
    table: TrackTable,
    seen: Observations,
    evidence: ClassEvidence,
    settings: TrackerSettings,
) -> None:
    """Add to `cost` (P,) what speaks against pairs whose detection is of another class than the track shows.

    How much: the part of the posterior that lies neither on the detection's class nor on *unknown*. While an object is
    in view its class is never a gate, since detectors err; out of view it may have been replaced.
    """
    held = table.held.take(rows)
    classes = seen.class_ids.take(columns)
    other = (classes != held).nonzero()[0]
    if not other.shape[0]:
        return
    some = rows.take(other)
    belief = evidence.posterior(table, some)
    against = 1.0 - belief[classes.take(other), np.arange(some.shape[0])] - belief[-1]
    cost[other] += settings.class_weight * np.maximum(against, 0.0)
    gone = table.unseen_s.take(some) > settings.stranger_s
    if np.count_nonzero(gone):
        gone &= (against > SURELY_OTHER) & (seen.scores.take(columns.take(other)) >= settings.high_score)
        cost[other[gone]] = np.inf


def ambiguous(pairs: Pairs, settings: TrackerSettings) -> bool:
    """Return whether a track has more than one detection to choose from: two of them may be one object."""
    rows = pairs.rows[pairs.cost < settings.match_cost]
    return bool(np.count_nonzero(rows[1:] == rows[:-1]))


def young_limit(dt_s: float, settings: TrackerSettings) -> float:
    """Return what the second sighting of a tentative track may cost, `dt_s` seconds after the first."""
    return min(YOUNG_COST_LIMIT + YOUNG_COST_RATE * dt_s, settings.match_cost)


def match(pairs: Pairs, table: TrackTable, seen: Observations, dt_s: float, settings: TrackerSettings) -> Matches:
    """Pair tracks and detections in three stages (after ByteTrack, Zhang et al., ECCV 2022).

    1. every known track against the detections with high scores; 2. the known ones left against the low ones;
    3. tentative tracks against the high ones that are left.
    """
    tracks, found = pairs.shape
    column, free = np.full(tracks, -1, np.intp), np.ones(found, dtype=bool)
    high = seen.scores >= settings.high_score
    known = table.state != TENTATIVE
    all_high, all_known = np.count_nonzero(high) == found, np.count_nonzero(known) == tracks
    if all_high and all_known:
        rows, columns = assign(pairs, None, settings.match_cost)
        column[rows] = columns
        free[columns] = False
    else:
        pair_high, pair_known = high.take(pairs.columns), known.take(pairs.rows)
        rows, columns = assign(pairs, pair_known & pair_high, settings.match_cost)
        column[rows] = columns
        free[columns] = False
        if not all_high:
            low = ~pair_high & pair_known & (column.take(pairs.rows) < 0)
            low &= pairs.overlap >= settings.low_overlap
            rows, columns = assign(pairs, low, settings.low_match_cost)
            column[rows] = columns
            free[columns] = False
        if not all_known:
            young = pair_high & ~pair_known & free.take(pairs.columns)
            rows, columns = assign(pairs, young, young_limit(dt_s, settings))
            column[rows] = columns
            free[columns] = False
    return Matches(column, free, np.count_nonzero(column < 0) == 0)
