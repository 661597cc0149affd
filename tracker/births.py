"""How tracks begin, and which of them are old friends."""

from __future__ import annotations

import numpy as np

from core.boxes import coverage, iou
from tracker.edges import BOTTOM, LEFT, RIGHT, TOP
from tracker.evidence import ClassEvidence
from tracker.kalman import Floats
from tracker.observations import Observations
from tracker.settings import TrackerSettings
from tracker.table import LOST, Mask, Rows, TrackTable

#: What comes back must have its old size within this factor, and be of its class with at least this probability.
SIZE_TOLERANCE = 0.3
LEAST_CLASS_AGREEMENT = 0.05
#: What re-enters over an edge does so within this many sizes of where it left.
REENTRY_REACH = 1.5


def newcomers(table: TrackTable, seen: Observations, free: Mask, settings: TrackerSettings) -> Rows:
    """Return the detections (K,) that start tracks: good, free, and not on top of a live track or one another."""
    columns = (free & (seen.scores >= settings.birth_score)).nonzero()[0]
    if not columns.shape[0]:
        return columns
    boxes = seen.boxes(columns)
    taken = (table.state != LOST).nonzero()[0]
    allowed = np.ones(len(columns), dtype=bool)
    if taken.shape[0]:
        others = table.boxes(taken)
        overlap = iou(boxes, others)
        allowed = overlap.max(axis=1) < settings.birth_overlap
        if settings.twin_overlap < 1.0 or settings.twin_nested < 1.0:
            # A second box on one long thing is no second thing.
            same = seen.class_ids.take(columns)[:, None] == table.held.take(taken)
            same &= table.unseen_s.take(taken) == 0.0
            twin = (overlap > settings.twin_overlap) | (coverage(boxes, others) > settings.twin_nested)
            allowed &= ~(same & twin).any(axis=1)
    if len(columns) > 1:
        close = iou(boxes, boxes) >= settings.birth_overlap
        for k in range(1, len(columns)):
            allowed[k] &= not (close[k, :k] & allowed[:k]).any()
    return columns[allowed]


def recognise(
    table: TrackTable, ready: Mask, evidence: ClassEvidence, settings: TrackerSettings
) -> list[tuple[int, int]]:
    """Find for tentative tracks that are ready to count the lost object that each of them continues.

    Two ways back: over the edge by which it left, near the same place; or, for an object that vanished within the
    frame, anywhere else within it (it was lifted and put down). Size and class must agree in both.

    Args:
        table: the tracks.
        ready: (N,) tentative tracks about to be confirmed.
        evidence: knows the class posteriors of the tracks.
        settings: see there.

    Returns:
        Pairs (row of the lost track, row of the tentative one), each row once.
    """
    lost = (table.state == LOST).nonzero()[0]
    young = ready.nonzero()[0]
    if not lost.shape[0] or not young.shape[0]:
        return []
    boxes = table.motion.mean.T
    old_belief, new_belief = evidence.posterior(table, lost).T, evidence.posterior(table, young).T
    away = np.where(table.left_over != 0, settings.reentry_s, settings.relocate_s)
    candidates: list[tuple[float, int, int]] = []
    for i, a in enumerate(lost.tolist()):
        for k, b in enumerate(young.tolist()):
            # It must have been gone before the other came, and not for too long.
            if table.unseen_s[a] <= table.age_s[b] or table.unseen_s[a] - table.age_s[b] > away[a]:
                continue
            old, new = old_belief[i], new_belief[k]
            agreement = float(old @ new) + float(old[-1] + new[-1]) * 0.5
            difference = _difference(boxes[a], boxes[b], int(table.left_over[a]), int(table.entered_over[b]))
            if agreement >= LEAST_CLASS_AGREEMENT and difference <= 1.0:
                candidates.append((difference - agreement, a, b))
    pairs: list[tuple[int, int]] = []
    for _, a, b in sorted(candidates):
        if all(a != x and b != y for x, y in pairs):
            pairs.append((a, b))
    return pairs


def _difference(old: Floats, new: Floats, left_over: int, entered_over: int) -> float:
    """Return how unlike two boxes (4,) are, 1 at the limit; infinity where the way back is impossible."""
    ratio = np.maximum(old[2:] / new[2:], new[2:] / old[2:]) - 1.0
    if left_over == 0 and entered_over == 0:
        return float(ratio.max() / SIZE_TOLERANCE)
    shared = left_over & entered_over
    if not shared:
        return float("inf")
    along = 1 if shared & (LEFT | RIGHT) else 0
    if shared & (TOP | BOTTOM) and shared & (LEFT | RIGHT):
        return float(ratio.max() / SIZE_TOLERANCE)
    apart = abs(old[along] - new[along]) / (REENTRY_REACH * old[2 + along])
    return float(max(apart, ratio[along] / SIZE_TOLERANCE))
