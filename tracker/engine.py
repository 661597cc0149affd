"""One frame of tracking on plain arrays: the sentence that `tracker.py` and `mot.py` put their faces on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.association import Pairs
from tracker.births import newcomers, recognise
from tracker.edges import FrameEdges
from tracker.evidence import ClassEvidence
from tracker.group_motion import SAME_SHARE, SAME_SPEED, common_shift, neighbours_motion
from tracker.kalman import Floats, Gaussians
from tracker.lifecycle import confirmable, expired, settle_unseen
from tracker.matching import match, possible_pairs
from tracker.measuring import Measurement, measure, measurement_noise
from tracker.observations import Observations, observe
from tracker.occlusion import Hands, most_covered
from tracker.settings import TrackerSettings
from tracker.table import CONFIRMED, LOST, OCCLUDED, TENTATIVE, Mask, Rows, Selection, TrackTable

#: Time constant of the slow average of an object's velocity.
DRIFT_S = 0.3
#: The shortest time step (a stream whose clock stands still or goes back).
SHORTEST_STEP_S = 1e-3
#: A detection that costs more than this with every track lies where nothing should be; when this share of them does, it
#: is time to ask whether all have moved.
DISPLACED_COST, STRANGE_SHARE = 0.75, 0.4
#: An occluded object stays so until less than this share of what first hid it remains.
UNCOVER_SHARE = 0.5
#: An object whose velocity strays from its average by less than this share of it moves steadily.
STEADY_SHARE = 0.25
NO_BOXES: Floats = np.zeros((0, 4))


class TrackingEngine:
    """Keeps the live tracks of one lane; `step` takes the detections of the next frame.

    Args:
        settings: what is assumed about the world.
        classes: number C of classes; class ids are 0..C-1.
        hand_class: class id of hands, or -1.
        frame_size: width and height in pixels; None switches the logic of edges off.
    """

    def __init__(
        self, settings: TrackerSettings, classes: int, hand_class: int, frame_size: tuple[int, int] | None
    ) -> None:
        self.settings = settings
        self.table = TrackTable.empty(classes)
        self.belief: Floats = np.zeros((0, classes + 1))
        self.removed: tuple[int, ...] = ()
        self._classes = classes
        self._hand_class = hand_class
        self._edges = None if frame_size is None else FrameEdges(frame_size)
        self._evidence = ClassEvidence(classes, settings)
        self._hands = Hands(settings.hand_memory_s)
        # A size that is kept has no rate that lasts: it may only be found to be a little different.
        self._decay_seen = np.array([[1.0, 1.0, 0.0, 0.0]]) if settings.keeps_size else np.ones((1, 4))
        self._next_id = 1
        self._now_s: float | None = None
        self.at_start = True

    def gap(self, seconds: float) -> None:
        """Take note that nothing was seen for `seconds`: time passes, but nothing is concluded from it."""
        if seconds < 0:
            raise ValueError(f"a gap cannot last {seconds} s: give zero or more")
        if self._now_s is not None:
            self._now_s += seconds
        motion = self.table.motion
        motion.rate *= np.exp(-seconds / self.settings.coast_s)
        motion.p00 += np.minimum(seconds, 1.0) ** 2 * motion.p11

    def step(
        self,
        boxes: Floats,
        scores: Floats,
        class_ids: NDArray[np.int64],
        class_probs: Floats | None,
        captured_at_s: float,
    ) -> None:
        """Bring `table` and `belief` to the frame of `captured_at_s` (UTC epoch seconds).

        Args:
            boxes: (N, 4) xyxy pixels.
            scores: (N,) 0..1.
            class_ids: (N,) 0..C-1.
            class_probs: (N, C) or None.
            captured_at_s: of the frame; what is not later than the frame before counts as a moment later.
        """
        dt_s = self._advance(captured_at_s)
        self.removed = ()
        table, settings = self.table, self.settings
        seen = observe(boxes, scores, class_ids, class_probs, self._hand_class, settings)
        before = table.motion.mean[:, :2].copy()
        self._predict(dt_s)
        possible = possible_pairs(table, seen, self.belief, dt_s, settings)
        if settings.group_motion and len(table) > 1 and len(seen) > 1:
            possible = self._follow_jump(possible, seen, before, dt_s)
        pairs = match(possible, table, seen, dt_s, settings)
        hands = self._hands.update(seen.hands, dt_s)
        merged = self._correct(pairs.rows, seen, pairs.columns, hands, dt_s, captured_at_s)
        unseen = np.ones(len(table), dtype=bool)
        unseen[pairs.rows] = False
        if unseen.any():
            self._settle(unseen, np.concatenate([hands, merged]) if len(merged) else hands, before, dt_s)
        self._confirm()
        self._begin(newcomers(table, seen, pairs.free, settings), seen, captured_at_s, dt_s)
        if self.at_start:
            # Nothing came in before our eyes: what is seen well lay there before we looked.
            table.state[table.score >= settings.sure_score] = CONFIRMED
            self.at_start = False
        self._forget()
        self.belief = self._evidence.posterior(self.table)

    def _advance(self, captured_at_s: float) -> float:
        """Return the time step in seconds; more than `max_step_s` is a gap."""
        if self._now_s is None:
            self._now_s = captured_at_s
            return SHORTEST_STEP_S
        dt_s = round(captured_at_s - self._now_s, 6)
        if dt_s > self.settings.max_step_s:
            self.gap(dt_s - self.settings.max_step_s)
            dt_s = self.settings.max_step_s
        self._now_s = captured_at_s
        return max(dt_s, SHORTEST_STEP_S)

    def _predict(self, dt_s: float) -> None:
        table, settings = self.table, self.settings
        if not len(table):
            return
        unseen = table.unseen_s > 0.0
        decay = self._decay_seen
        if unseen.any():
            steady = table.unsteady < STEADY_SHARE * np.hypot(table.drift[:, 0], table.drift[:, 1])
            coast_s = np.where(steady, settings.steady_coast_s, settings.coast_s)
            decay = np.where(unseen, np.exp(-dt_s / coast_s), 1.0)[:, None] * decay
        sides = table.motion.mean[:, 2:]
        scale = np.sqrt(sides[:, :1] * sides[:, 1:]) * settings.acceleration
        acceleration = np.concatenate([scale, scale, sides * settings.resize_acceleration], axis=1)
        table.motion.predict(dt_s, acceleration, decay)
        np.maximum(table.motion.mean[:, 2:], 1.0, out=table.motion.mean[:, 2:])

    def _follow_jump(self, possible: Pairs, seen: Observations, before: Floats, dt_s: float) -> Pairs:
        """When many detections lie where no track is, ask whether all moved alike; move them and `before`."""
        table = self.table
        known = (table.state != TENTATIVE) & (table.left_over == 0)
        strange = np.ones(len(seen), dtype=bool)
        strange[possible.columns[possible.cost < DISPLACED_COST]] = False
        if int(strange.sum()) < max(2, STRANGE_SHARE * len(seen)):
            return possible
        start = table.motion.mean.copy()
        start[:, :2] = before
        shift = common_shift(start[known], seen.measured)
        if shift is None:
            return possible
        here = table.left_over == 0
        before[here] += shift
        table.motion.mean[here, :2] = before[here]
        table.viewed[here] += shift
        return possible_pairs(table, seen, self.belief, dt_s, self.settings)

    def _correct(
        self, rows: Selection, seen: Observations, columns: Rows, hands: Floats, dt_s: float, captured_at_s: float
    ) -> Floats:
        """Give the tracks `rows` their detections `columns`; return those (K, 4) that show two objects in one box."""
        table = self.table
        table.age_s += dt_s
        table.frames += 1
        elapsed_s = table.unseen_s[rows] + dt_s
        table.unseen_s += dt_s
        if not len(columns):
            return NO_BOXES
        found = measure(table, rows, seen, columns, hands, self._edges, self.settings)
        table.motion.update(rows, found.value, found.noise)
        if found.renewed.any():
            self._renew_sizes(rows, found, seen.measured[columns])
        table.covered[rows] = found.covered
        table.at_edge[rows] = found.at_edge
        rate = table.motion.rate[rows, :2]
        share = np.maximum(1.0 - np.exp(-elapsed_s / DRIFT_S), 1.0 / table.hits[rows])[:, None]
        change = rate - table.drift[rows]
        table.unsteady[rows] += share[:, 0] * (np.hypot(change[:, 0], change[:, 1]) - table.unsteady[rows])
        table.drift[rows] += share * change
        table.state[rows] = np.where(table.state[rows] == TENTATIVE, TENTATIVE, CONFIRMED)
        table.hits[rows] += 1
        table.watched_s[rows] += min(dt_s, 0.25)
        table.unseen_s[rows] = 0.0
        table.uncovered_s[rows] = 0.0
        table.left_over[rows] = 0
        table.companion[rows] = 0
        table.last_seen_s[rows] = captured_at_s
        table.score[rows] = seen.scores[columns]
        self._evidence.add(table, rows, seen, columns, elapsed_s)
        return seen.boxes[columns[found.merged]] if found.merged.any() else NO_BOXES

    def _renew_sizes(self, rows: Selection, found: Measurement, measured: Floats) -> None:
        """Take the sides that the edge of the frame has released as they are seen now."""
        motion = self.table.motion
        which = np.zeros((len(self.table), 4), dtype=bool)
        value, noise = np.zeros_like(motion.mean), np.zeros_like(motion.mean)
        which[rows] = np.concatenate([np.zeros_like(found.renewed), found.renewed], axis=1)
        value[rows], noise[rows] = measured, self.settings.size_noise * measured
        motion.renew(which, value, noise)

    def _settle(self, unseen: Mask, covers: Floats, before: Floats, dt_s: float) -> None:
        """Decide why each unseen track is unseen, where it is meanwhile, and its state.

        `covers` (H, 4) are hands, and detections that show two objects in one box.
        """
        table, settings = self.table, self.settings
        self._hold(unseen, before, dt_s)
        boxes = table.boxes()
        hidden = np.zeros(len(table), dtype=bool)
        rows = np.flatnonzero(unseen)
        seen_rows = np.flatnonzero(~unseen & (table.state == CONFIRMED))
        by_hand = most_covered(boxes[rows], covers)
        # Only what was seen together with an object can lie over it; what came later may be the object itself.
        together = table.first_seen_s[seen_rows][None, :] < table.last_seen_s[rows][:, None]
        by_dish = most_covered(boxes[rows], boxes[seen_rows], together)
        before_hidden = np.where(table.state[rows] == OCCLUDED, UNCOVER_SHARE, 1.0)
        hidden[rows] = (by_hand >= settings.hand_cover * before_hidden) | (
            by_dish >= settings.dish_cover * before_hidden
        )
        if self._edges is not None:
            table.left_over[rows] |= self._edges.left_over(boxes[rows], table.motion.rate[rows, :2])
        table.covered[rows] = np.where(hidden[rows], np.maximum(by_hand, by_dish), table.covered[rows])
        hidden &= (table.left_over == 0) & ((table.state != LOST) | (table.uncovered_s < settings.recover_s))
        table.uncovered_s[unseen & ~hidden] += dt_s
        settle_unseen(table, unseen, hidden, settings)

    def _hold(self, unseen: Mask, before: Floats, dt_s: float) -> None:
        """Move unseen objects with their neighbours; let slow ones and those that left stay where they are."""
        table, settings = self.table, self.settings
        motion = table.motion
        size = np.sqrt(motion.mean[:, 2] * motion.mean[:, 3])
        slow = unseen & (np.hypot(table.drift[:, 0], table.drift[:, 1]) < settings.slow * size)
        still = slow | (unseen & (table.left_over != 0))
        just = still & (table.unseen_s <= dt_s * 1.5)
        motion.mean[just, :2] = before[just]
        motion.rate[still] = 0.0
        motion.rate[unseen, 2:] = 0.0
        if not settings.group_motion:
            return
        seen = ~unseen & (table.state == CONFIRMED)
        follows = unseen & (table.state != TENTATIVE) & (table.left_over == 0) & (table.companion >= 0)
        step = motion.mean[:, :2] - before
        moved, speed, known = neighbours_motion(motion.mean, step, table.drift, seen, follows, settings.group_reach)
        if not known.any():
            return
        rows = np.flatnonzero(follows)[known]
        moved, speed = moved[known], speed[known]
        # Whoever moved like the others before it was hidden moves with them now.
        apart = np.linalg.norm(table.drift[rows] - speed, axis=1)
        like = apart < np.maximum(SAME_SPEED * size[rows], SAME_SHARE * np.linalg.norm(speed, axis=1))
        table.companion[rows] = np.where(table.companion[rows] == 0, np.where(like, 1, -1), table.companion[rows])
        with_them = table.companion[rows] == 1
        rows, moved = rows[with_them], moved[with_them]
        motion.mean[rows, :2] = before[rows] + moved
        motion.rate[rows, :2] = moved / dt_s

    def _confirm(self) -> None:
        """Let tentative tracks that were seen enough count, under their old id where they are known."""
        table = self.table
        ready = confirmable(table, self.settings)
        if not ready.any():
            return
        pairs = recognise(table, ready, self._evidence.posterior(table), self.settings)
        table.state[ready] = CONFIRMED
        gone = np.zeros(len(table), dtype=bool)
        for old, new in pairs:
            table.take_over(old, new)
            gone[new] = True
        self._drop(gone)

    def _begin(self, columns: Rows, seen: Observations, captured_at_s: float, dt_s: float) -> None:
        """Start a tentative track for each of the detections `columns`."""
        if not len(columns):
            return
        ids = np.arange(self._next_id, self._next_id + len(columns), dtype=np.int64)
        self._next_id += len(columns)
        measured = seen.measured[columns]
        noise = measurement_noise(measured[:, 2:], seen.scores[columns], self.settings)
        scale = np.sqrt(measured[:, 2:3] * measured[:, 3:4])
        rate_std = np.concatenate([scale, scale, 0.1 * measured[:, 2:]], axis=1) * self.settings.first_speed
        born = TrackTable.born(
            ids, Gaussians.start(measured, noise, rate_std), captured_at_s, seen.scores[columns], self._classes
        )
        if self._edges is not None:
            born.entered_over[:] = born.at_edge[:] = self._edges.touched(seen.boxes[columns])
        self._evidence.add(born, np.arange(len(columns)), seen, columns, np.full(len(columns), dt_s))
        self.table.append(born)

    def _forget(self) -> None:
        """Remove what is given up."""
        self._drop(expired(self.table, self.settings))

    def _drop(self, gone: Mask) -> None:
        if gone.any():
            self.removed = (*self.removed, *self.table.track_id[gone].tolist())
            self.table.keep(~gone)
