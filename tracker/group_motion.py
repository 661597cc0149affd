"""Trays: what lies on one moves together, and when the camera or a tray is pushed, everything jumps alike."""

from __future__ import annotations

import numpy as np

from tracker.association import similar_size
from tracker.kalman import Floats
from tracker.table import Mask

#: A pair of detection and track agrees with a shift when it is this close after it, in box sides.
AGREEMENT = 0.12
#: No shift of more box sides than this is thought of.
LONGEST_JUMP = 2.5
#: So many detections, the surest ones, are enough for a vote.
MOST_VOTERS = 16
#: How alike in size two boxes must be to vote.
SIZE_TOLERANCE = 0.3
#: An object belongs to a group whose velocity differs from its own by less than this (sizes/s), or this share of it.
SAME_SPEED, SAME_SHARE = 1.5, 0.4
#: Neighbours that move slower than this (sizes/s) are at rest.
AT_REST = 0.1


def common_shift(mean: Floats, measured: Floats) -> Floats | None:
    """Find the one displacement that explains most detections by known tracks, by vote.

    Every pair of alike size proposes its displacement; the proposal wins that brings a track of their size close to
    most detections, and among equals the shortest. It must explain at least half of them, two at the least, and more
    than standing still does: where most detections are missing, what is left must not look like a jump.

    Args:
        mean: (N, 4) centre x, centre y, width, height of the tracks that are in the frame, seen or not.
        measured: (M, 4) the same of the detections, surest first.

    Returns:
        The displacement (2,) in pixels, or None.
    """
    if len(mean) < 2 or len(measured) < 2:
        return None
    measured = measured[:MOST_VOTERS]
    alike = similar_size(mean[:, 2:], measured[:, 2:], SIZE_TOLERANCE)
    step = measured[None, :, :2] - mean[:, None, :2]
    sides = mean[:, None, 2:]
    possible = alike & (np.abs(step) < LONGEST_JUMP * sides).all(axis=2)
    proposals = np.concatenate([np.zeros((1, 2)), step[possible]])
    off = np.abs(step[None] - proposals[:, None, None, :]) < AGREEMENT * sides[None]
    agrees = off.all(axis=3) & alike[None]
    votes = agrees.any(axis=1).sum(axis=1)
    order = np.lexsort((np.hypot(proposals[:, 0], proposals[:, 1]), -votes))
    best = order[0]
    if best == 0 or votes[best] <= votes[0] or votes[best] < max(2, 0.5 * len(measured)):
        return None
    carried: Floats = np.median(step[agrees[best]], axis=0)
    return carried


def neighbours_motion(
    mean: Floats, step: Floats, drift: Floats, seen: Mask, hidden: Mask, reach: float
) -> tuple[Floats, Floats, Mask]:
    """Return how the seen neighbours of each hidden track move, by their median.

    Args:
        mean: (N, 4) centre x, centre y, width, height.
        step: (N, 2) movement of the centres in this frame, pixels.
        drift: (N, 2) slow average of the velocity, pixels/s: neighbours at rest do not tremble with their detections.
        seen: (N,) tracks that were matched in this frame.
        hidden: (N,) tracks to answer for; K of them.
        reach: how far away a neighbour may be, sizes of the hidden object.

    Returns:
        Movement in this frame (K, 2) in pixels, slow average of the velocity (K, 2) in pixels/s, and whether there
        were at least two neighbours (K,).
    """
    rows, others = np.flatnonzero(hidden), np.flatnonzero(seen)
    moved, speed, known = np.zeros((len(rows), 2)), np.zeros((len(rows), 2)), np.zeros(len(rows), dtype=bool)
    if len(others) < 2 or not len(rows):
        return moved, speed, known
    size = np.sqrt(mean[rows, 2] * mean[rows, 3])
    away = np.abs(mean[rows, None, :2] - mean[None, others, :2]).max(axis=2)
    near = away < reach * size[:, None]
    known = near.sum(axis=1) >= 2
    # Where fewer than half of the neighbours move at all, their median is at rest.
    moving = (near & (np.abs(drift[others]).max(axis=1) > 0.5 * AT_REST * size[:, None])).sum(axis=1)
    for k in np.flatnonzero(known & (moving * 2 >= near.sum(axis=1))).tolist():
        group = others[near[k]]
        middle = np.median(drift[group], axis=0)
        if np.hypot(*middle) > AT_REST * size[k]:
            moved[k], speed[k] = np.median(step[group], axis=0), middle
    return moved, speed, known
