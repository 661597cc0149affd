"""Why each track is where it is: for every track and frame what became of it, and what was considered.

Derived after the fact from what the stages of a frame leave behind, so that it costs nothing when it is off and cannot
change a decision when it is on.
"""

from __future__ import annotations

import numpy as np

from core.records import TrackNote
from tracker.association import Pairs
from tracker.lifecycle import STATES
from tracker.matching import Matches
from tracker.observations import Observations
from tracker.settings import TrackerSettings
from tracker.table import LOST, OCCLUDED, TENTATIVE, TrackTable


class Before:
    """What of the table must be kept to tell afterwards what changed.

    Args:
        table: predicted, not yet corrected.
    """

    def __init__(self, table: TrackTable) -> None:
        self.track_id: list[int] = table.track_id.tolist()
        self.state: list[int] = table.state.tolist()
        self.unseen_s: list[float] = table.unseen_s.tolist()


def explain(
    before: Before, table: TrackTable, pairs: Pairs, matches: Matches, seen: Observations, settings: TrackerSettings
) -> tuple[TrackNote, ...]:
    """Return a note for each track that was alive before or is after this frame, ordered by id.

    Args:
        before: see there.
        table: the tracks after the frame.
        pairs: what was possible.
        matches: who was matched, by the columns of `before`.
        seen: the frame.
        settings: see `TrackerSettings`.
    """
    now = {track_id: column for column, track_id in enumerate(table.track_id.tolist())}
    taken_by = {int(d): before.track_id[row] for row, d in enumerate(matches.column.tolist()) if d >= 0}
    notes = []
    for row, track_id in enumerate(before.track_id):
        detection = int(matches.column[row])
        column = now.get(track_id)
        if detection >= 0:
            pair = ((pairs.rows == row) & (pairs.columns == detection)).nonzero()[0]
            cost = float(pairs.cost[pair[0]]) if pair.shape[0] else None
            verdict, why = _matched(before, row, seen, detection, settings)
            if column is None:
                verdict, why = "merged", f"{why}; it continues an older track, under whose id it goes on"
        else:
            cost = _best_cost(pairs, row)
            verdict, why = _unmatched(before, row, column, table, pairs, taken_by, settings)
        notes.append(TrackNote(track_id, verdict, why, detection if detection >= 0 else None, cost))
    known = set(before.track_id)
    for track_id, column in now.items():
        if track_id not in known:
            why = f"a detection of score {table.score[column]:.2f} that no track took"
            notes.append(TrackNote(track_id, "born", why, None, None))
    return tuple(notes)


def _matched(
    before: Before, row: int, seen: Observations, detection: int, settings: TrackerSettings
) -> tuple[str, str]:
    score = float(seen.scores[detection])
    strength = "strong" if score >= settings.high_score else "weak"
    why = f"a {strength} detection ({score:.2f})"
    if before.state[row] in (OCCLUDED, LOST):
        name = STATES[before.state[row]].value
        return "found", f"{why} where it was {name} for {before.unseen_s[row]:.1f} s"
    return "matched", why


def _unmatched(
    before: Before,
    row: int,
    column: int | None,
    table: TrackTable,
    pairs: Pairs,
    taken_by: dict[int, int],
    settings: TrackerSettings,
) -> tuple[str, str]:
    missing = _why_missing(row, pairs, taken_by, settings)
    if column is None:
        kind = "a ghost" if before.state[row] == TENTATIVE else "given up"
        return "removed", f"{kind}: unseen for too long; {missing}"
    state = int(table.state[column])
    if state == OCCLUDED:
        return "hidden", f"{table.covered[column]:.0%} of it lies under something; {missing}"
    moves = ", moves with its neighbours" if table.companion[column] == 1 else ""
    if state == LOST:
        reason = "it left over the edge" if table.left_over[column] else "nothing covers its place"
        return "lost", f"{reason}, unseen for {table.unseen_s[column]:.1f} s{moves}; {missing}"
    return "coasting", f"unseen for {table.unseen_s[column]:.2f} s{moves}; {missing}"


def _why_missing(row: int, pairs: Pairs, taken_by: dict[int, int], settings: TrackerSettings) -> str:
    mine = (pairs.rows == row).nonzero()[0]
    if not mine.shape[0]:
        return "no detection is near"
    best = mine[np.argmin(pairs.cost[mine])]
    cost, owner = float(pairs.cost[best]), taken_by.get(int(pairs.columns[best]))
    if not np.isfinite(cost):
        return "the detection at its place is of another class"
    if cost >= settings.match_cost:
        return f"the nearest detection costs {cost:.2f}, more than {settings.match_cost:g}"
    if owner is not None:
        return f"the nearest detection went to track {owner}"
    return f"the nearest detection (cost {cost:.2f}) is too weak or too far for what the track is"


def _best_cost(pairs: Pairs, row: int) -> float | None:
    mine = pairs.cost[pairs.rows == row]
    return float(mine.min()) if mine.shape[0] and np.isfinite(mine.min()) else None
