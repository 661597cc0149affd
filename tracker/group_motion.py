"""Trays: what lies on one moves together, and when the camera or a tray is pushed, everything jumps alike."""

from __future__ import annotations

import numpy as np

from tracker.association import similar_size
from tracker.kalman import Floats
from tracker.table import Mask, Rows

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
        mean: (4, N) centre x, centre y, width, height of the tracks that are in the frame, seen or not.
        measured: (4, M) the same of the detections, surest first.

    Returns:
        The displacement (2,) in pixels, or None.
    """
    if mean.shape[1] < 2 or measured.shape[1] < 2:
        return None
    measured = measured[:, :MOST_VOTERS]
    alike = similar_size(mean[2:], measured[2:], SIZE_TOLERANCE)
    step = (measured[:2, None, :] - mean[:2, :, None]).transpose(1, 2, 0)
    sides = mean[2:].T[:, None, :]
    possible = alike & (np.abs(step) < LONGEST_JUMP * sides).all(axis=2)
    proposals = np.concatenate([np.zeros((1, 2)), step[possible]])
    off = np.abs(step[None] - proposals[:, None, None, :]) < AGREEMENT * sides[None]
    agrees = off.all(axis=3) & alike[None]
    votes = agrees.any(axis=1).sum(axis=1)
    order = np.lexsort((np.hypot(proposals[:, 0], proposals[:, 1]), -votes))
    best = order[0]
    if best == 0 or votes[best] <= votes[0] or votes[best] < max(2, 0.5 * measured.shape[1]):
        return None
    carried: Floats = np.median(step[agrees[best]], axis=0)
    return carried


def neighbours_motion(
    mean: Floats, step: Floats, drift: Floats, seen: Rows, hidden: Rows, reach: float
) -> tuple[Floats, Floats, Mask]:
    """Return how the seen neighbours of each hidden track move, by their median.

    Args:
        mean: (4, N) centre x, centre y, width, height.
        step: (2, N) movement of the centres in this frame, pixels.
        drift: (2, N) slow average of the velocity, pixels/s: neighbours at rest do not tremble with their detections.
        seen: (S,) tracks that were matched in this frame.
        hidden: (K,) tracks to answer for.
        reach: how far away a neighbour may be, sizes of the hidden object.

    Returns:
        Movement in this frame (2, K) in pixels, slow average of the velocity (2, K) in pixels/s, and whether there
        were at least two neighbours (K,).
    """
    count = hidden.shape[0]
    moved, speed = np.zeros((2, count)), np.zeros((2, count))
    size = np.sqrt(mean[2].take(hidden) * mean[3].take(hidden))
    within = (reach * size)[:, None]
    near = np.abs(mean[0].take(hidden)[:, None] - mean[0].take(seen)) < within
    near &= np.abs(mean[1].take(hidden)[:, None] - mean[1].take(seen)) < within
    neighbours = near.sum(axis=1)
    known: Mask = neighbours >= 2
    # Where fewer than half of the neighbours move at all, their median is at rest.
    speeds = np.maximum.reduce(np.abs(drift.take(seen, axis=1)))
    moving = (near & (speeds > (0.5 * AT_REST * size)[:, None])).sum(axis=1)
    for k in (known & (moving * 2 >= neighbours)).nonzero()[0].tolist():
        group = seen[near[k]]
        middle = np.median(drift[:, group], axis=1)
        if np.hypot(*middle) > AT_REST * size[k]:
            moved[:, k], speed[:, k] = np.median(step[:, group], axis=1), middle
    return moved, speed, known
