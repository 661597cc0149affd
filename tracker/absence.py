"""What becomes of the tracks that a frame does not show: where they are meanwhile, why, and in which state."""

from __future__ import annotations

import numpy as np

from core.boxes import coverage
from tracker.association import touching
from tracker.edges import FrameEdges
from tracker.group_motion import SAME_SHARE, SAME_SPEED, neighbours_motion
from tracker.kalman import Floats
from tracker.lifecycle import settle_unseen
from tracker.occlusion import Hands, most_covered
from tracker.settings import TrackerSettings
from tracker.table import CONFIRMED, LOST, OCCLUDED, TENTATIVE, Mask, Rows, TrackTable, corners

#: An occluded object stays so until less than this share of what first hid it remains.
UNCOVER_SHARE = 0.5
#: A hand that covers this share of an object may take it.
HAND_TOUCH = 0.1
#: What moved faster than this (sizes/s) under a hand was carried by it.
CARRIED_SPEED = 0.5
#: A hand that moves faster than this (sizes of what it holds, per second) carries it away.
CARRYING_SPEED = 2.0
#: What a hand may have taken is under a dish only if that covers so much more of it than when it was seen.
GROWN_SHARE = 0.25


def settle(
    table: TrackTable,
    column: Rows,
    hands: Hands,
    merged: Floats,
    before: Floats,
    dt_s: float,
    edges: FrameEdges | None,
    settings: TrackerSettings,
    witnessed: Mask | None = None,
) -> None:
    """Decide for each track without a detection why it is unseen, where it is meanwhile, and its state.

    Args:
        table: the tracks; those with a detection are corrected by it.
        column: (N,) the detection of each track, -1 for none.
        hands: of this frame.
        merged: (K, 4) xyxy of detections that show two objects in one box.
        before: (2, N) centres in the frame before.
        dt_s: seconds since then.
        edges: the border of the frame, if known.
        settings: see there.
        witnessed: (N,) tracks that the picture shows though the detector does not; None for none.
    """
    unseen = column < 0
    rows = unseen.nonzero()[0]
    seen = (~unseen & (table.state == CONFIRMED)).nonzero()[0]
    hold(table, rows, seen, before, dt_s, settings)
    carried = _carry(table, rows, hands, before, dt_s) if len(hands.boxes) else rows[:0]
    hidden = np.zeros(len(table), dtype=bool)
    lost = table.state[rows] == LOST
    table.covered[rows[lost]] = 0.0
    if len(hands.boxes) or len(merged) or (seen.shape[0] and settings.dish_cover < 1.0):
        by_hand, by_dish = _covered(table, rows, seen, hands.boxes, merged)
        already = np.where(table.state[rows] == OCCLUDED, UNCOVER_SHARE, 1.0)
        hidden[rows] = (by_hand >= settings.hand_cover * already) | (by_dish >= settings.dish_cover * already)
        # What is lost stays so when a hand comes to its place, but whoever waits for it is told.
        now = hidden[rows] | (lost & (by_hand > HAND_TOUCH))
        table.covered[rows[now]] = np.maximum(by_hand, by_dish)[now]
    if edges is not None:
        mean, rate = table.motion.mean.take(rows, axis=1), table.motion.rate[:2].take(rows, axis=1)
        table.left_over[rows] |= edges.left_over(mean, rate)
    # What a hand carries away is where the hand is, but no longer lies there; where the hand rests it is put down.
    hidden[carried] = False
    hidden &= (table.left_over == 0) & ((table.state != LOST) | (table.uncovered_s < settings.recover_s))
    uncovered = unseen & ~hidden
    if witnessed is not None:
        uncovered &= ~witnessed
    table.uncovered_s[uncovered] += dt_s
    settle_unseen(table, unseen, hidden, settings)


def _covered(table: TrackTable, rows: Rows, seen: Rows, hands: Floats, merged: Floats) -> tuple[Floats, Floats]:
    """Return the share (K,) of the tracks `rows` under a hand (or merged detection), and under a track of `seen`."""
    boxes = table.boxes(rows)
    by_hand, by_dish = most_covered(boxes, hands), np.zeros(rows.shape[0])
    if len(hands):
        table.handled[rows] = np.maximum(table.handled[rows], by_hand > HAND_TOUCH)
    if len(merged):
        by_hand = np.maximum(by_hand, most_covered(boxes, merged))
    over, _ = touching(table.motion.mean.take(seen, axis=1), table.motion.mean.take(rows, axis=1), 0.0)
    if not over.shape[0]:
        return by_hand, by_dish
    seen = seen[np.bincount(over, minlength=seen.shape[0]) > 0]
    # Only what was seen together with an object can lie over it; what came later may be the object itself.
    together = table.first_seen_s[seen][None, :] < table.last_seen_s[rows][:, None]
    by_dish = most_covered(boxes, table.boxes(seen), together)
    # The dish on which something stood does not hide it when a hand has taken it.
    same = (table.handled[rows] > 0.0) & (by_dish < table.beneath[rows] + GROWN_SHARE)
    by_dish[same] = 0.0
    return by_hand, by_dish


def note_hands(table: TrackTable, column: Rows, hands: Floats) -> None:
    """Remember for each track that is seen which hands touch it, and how much of it the other dishes cover.

    Args:
        table: the tracks.
        column: (N,) the detection of each track, -1 for none.
        hands: (H, 4) xyxy.
    """
    rows = (column >= 0).nonzero()[0]
    boxes = table.boxes(rows)
    table.handled[rows] = most_covered(boxes, hands) > HAND_TOUCH
    table.beneath[rows] = most_covered(boxes, boxes, ~np.eye(rows.shape[0], dtype=bool))


def hold(table: TrackTable, rows: Rows, seen: Rows, before: Floats, dt_s: float, settings: TrackerSettings) -> None:
    """Move the unseen tracks `rows` with their neighbours `seen`; slow ones and those that left stay where they are.

    The other arguments are those of `settle`.
    """
    mean, rate = table.motion.mean, table.motion.rate
    drift = table.drift.take(rows, axis=1)
    area = mean[2].take(rows) * mean[3].take(rows)
    gone = table.left_over.take(rows) != 0
    still = gone
    if settings.slow > 0.0:
        still = gone | (drift[0] * drift[0] + drift[1] * drift[1] < settings.slow**2 * area)
    if np.count_nonzero(still):
        staying = rows[still]
        just = staying[table.unseen_s[staying] <= dt_s * 1.5]
        mean[:2, just] = before[:, just]
        rate[:2, staying] = 0.0
    rate[2:, rows] = 0.0
    if not settings.group_motion:
        return
    follows = (table.state.take(rows) != TENTATIVE) & ~gone & (table.companion.take(rows) >= 0)
    if seen.shape[0] >= 2 and np.count_nonzero(follows):
        _follow(table, rows[follows], seen, before, dt_s, settings)


def _carry(table: TrackTable, rows: Rows, hands: Hands, before: Floats, dt_s: float) -> Rows:
    """Move the unseen tracks `rows` that were carried when they vanished with the hand that holds them.

    Returns:
        (K,) those whose hand is moving.
    """
    mean, rate = table.motion.mean, table.motion.rate
    drift = table.drift.take(rows, axis=1)
    size = np.sqrt(mean[2].take(rows) * mean[3].take(rows))
    carried = (table.handled.take(rows) > 0.0) & (np.hypot(drift[0], drift[1]) > CARRIED_SPEED * size)
    rows = rows[carried & (table.left_over.take(rows) == 0)]
    if not rows.shape[0]:
        return rows
    share = coverage(corners(before[:, rows], mean[2:].take(rows, axis=1)), hands.boxes - np.tile(hands.steps, 2))
    holder = share.argmax(axis=1)
    held = share.max(axis=1) > HAND_TOUCH
    rows, step = rows[held], hands.steps[holder[held]].T
    mean[:2, rows] = before[:, rows] + step
    rate[:2, rows] = step / dt_s
    size = np.sqrt(mean[2].take(rows) * mean[3].take(rows))
    return np.asarray(rows[hands.speed[holder[held]] > CARRYING_SPEED * size])


def _follow(table: TrackTable, rows: Rows, seen: Rows, before: Floats, dt_s: float, settings: TrackerSettings) -> None:
    """Move the unseen tracks `rows` as their neighbours among `seen` move, where they did so before."""
    mean, rate = table.motion.mean, table.motion.rate
    step = mean[:2] - before
    moved, speed, known = neighbours_motion(mean, step, table.drift, seen, rows, settings.group_reach)
    if not np.count_nonzero(known):
        return
    rows, moved, speed = rows[known], moved[:, known], speed[:, known]
    # Whoever moved like the others before it was hidden moves with them now.
    size = np.sqrt(mean[2, rows] * mean[3, rows])
    apart = np.hypot(*(table.drift[:, rows] - speed))
    like = apart < np.maximum(SAME_SPEED * size, SAME_SHARE * np.hypot(*speed))
    companion = np.where(table.companion[rows] == 0, np.where(like, 1, -1), table.companion[rows])
    table.companion[rows] = companion
    with_them: Mask = companion == 1
    rows, moved = rows[with_them], moved[:, with_them]
    mean[:2, rows] = before[:, rows] + moved
    rate[:2, rows] = moved / dt_s
