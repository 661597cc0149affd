"""The states of a track, by the seconds in which it was or was not seen.

    TENTATIVE -> CONFIRMED      seen over `confirm_s`
    CONFIRMED -> OCCLUDED       not seen, and something lies over its place
    CONFIRMED, OCCLUDED -> LOST not seen for `lost_after_s` with nothing over its place, or gone over the edge (at once)
    any -> CONFIRMED            seen again
    LOST -> removed             after `hold_s` (less for what was seen only shortly); `reentry_s` after leaving

What was LOST for more than `recover_s` never becomes OCCLUDED: a hand that comes later cannot hide what was already
gone. Within that time it was the hand that the detector had missed.
"""

from __future__ import annotations

import numpy as np

from core.records import TrackState
from tracker.kalman import Floats
from tracker.settings import TrackerSettings
from tracker.table import CONFIRMED, LOST, OCCLUDED, TENTATIVE, Mask, TrackTable

#: The records' names of the codes in `tracker.table`.
STATES = (TrackState.TENTATIVE, TrackState.CONFIRMED, TrackState.OCCLUDED, TrackState.LOST)

#: Below this time between frames a confirmation needs three sightings, else two.
SLOW_CAMERA_STEP_S = 0.1


def confirmable(table: TrackTable, settings: TrackerSettings) -> Mask:
    """Return which tentative tracks (N,) have been seen enough to count."""
    young: Mask = (table.state == TENTATIVE) & (table.unseen_s == 0.0)
    if not np.count_nonzero(young):
        return np.asarray(young)
    step_s = table.age_s / np.maximum(table.frames - 1, 1)
    least = np.where((step_s >= SLOW_CAMERA_STEP_S) | (settings.confirm_s == 0.0), 2, 3)
    often = (table.hits >= least) & (table.hits >= settings.confirm_share * table.frames)
    rarely = (table.hits >= settings.confirm_hits) & (table.hits >= 0.5 * settings.confirm_share * table.frames)
    enough = (often | rarely) & (table.age_s >= settings.confirm_s - 1e-6)
    return np.asarray(young & enough)


def settle_unseen(table: TrackTable, unseen: Mask, hidden: Mask, settings: TrackerSettings) -> None:
    """Give the confirmed tracks that were not matched their state.

    Args:
        table: the tracks; `unseen_s`, `uncovered_s` and `left_over` are up to date.
        unseen: (N,) tracks that were not matched in this frame.
        hidden: (N,) of these, the ones under something that may still be there.
        settings: see there.
    """
    alive = unseen & (table.state != TENTATIVE)
    table.state[alive & hidden] = OCCLUDED
    table.uncovered_s[alive & hidden] = 0.0
    gone = (table.uncovered_s >= settings.lost_after_s - 1e-6) | (table.left_over != 0)
    table.state[alive & ~hidden & gone] = LOST


def expired(table: TrackTable, settings: TrackerSettings) -> Mask:
    """Return which tracks (N,) are to be given up."""
    unseen: Mask = table.unseen_s > 0.0
    hold_s = np.minimum(settings.hold_s, settings.hold_per_s * table.watched_s)
    hold_s = np.where(table.left_over != 0, np.minimum(hold_s, settings.reentry_s), hold_s)
    old: Mask = np.where(
        table.state == TENTATIVE,
        table.unseen_s >= settings.tentative_s - 1e-6,
        np.where(table.state == LOST, table.uncovered_s > hold_s, table.unseen_s > settings.occluded_s),
    )
    return old & unseen


def in_view(table: TrackTable, settings: TrackerSettings) -> Mask:
    """Return which tracks (N,) are thought to be in view, coasted ones included."""
    seen = table.unseen_s == 0.0
    if np.count_nonzero(seen) == seen.shape[0]:
        return np.asarray(table.state == CONFIRMED)
    if settings.coasted_s == 0.0:
        return np.asarray(seen & (table.state == CONFIRMED))
    coasted_s: Floats = np.minimum(settings.coasted_s, 2.0 * table.watched_s)
    lost = (table.state == LOST) & (table.left_over == 0) & (table.unseen_s <= coasted_s)
    waiting = (table.state == CONFIRMED) & (seen | (table.unseen_s <= coasted_s))
    shown: Mask = waiting | (table.state == OCCLUDED) | lost
    return shown
