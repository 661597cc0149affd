"""One frame of tracking on plain arrays: the sentence that `tracker.py` and `mot.py` put their faces on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.records import TrackNote
from tracker.absence import note_hands, settle
from tracker.adaptation import MOST_SURPRISE, Liveliness
from tracker.appearance import learn_looks
from tracker.association import Pairs
from tracker.births import newcomers, recognise
from tracker.compiled import Kernels, QuietFrame, loader
from tracker.edges import FrameEdges
from tracker.evidence import ClassEvidence
from tracker.explain import Before, explain
from tracker.group_motion import common_shift
from tracker.kalman import Floats, Gaussians, process_noise, squared_sizes
from tracker.lifecycle import confirmable, expired
from tracker.matching import (
    DISPLACED_COST,
    STRANGE_SHARE,
    Matches,
    ambiguous,
    doubt_pairs,
    match,
    possible_pairs,
)
from tracker.measuring import Measurement, measure, relative_variance
from tracker.observations import NO_BOXES, Observations, duplicates, observe
from tracker.occlusion import Hands
from tracker.settings import TrackerSettings
from tracker.sight import Sight, follow_flow
from tracker.table import CLOCKS, CONFIRMED, COUNTED, SIGHTED, TENTATIVE, Mask, Rows, TrackTable, corners

#: Time constant of the slow average of an object's velocity.
DRIFT_S = 0.3
#: The shortest time step (a stream whose clock stands still or goes back).
SHORTEST_STEP_S = 1e-3
#: The first sighting of an object counts as a view of at least this many seconds.
FIRST_LOOK_S = 0.05
#: Frames that follow closer than this on one another say the same of what an object is: one of them is read.
READ_STEP_S = 0.045
#: A camera that moves no object by more than this (sizes) in a frame stands still.
CAMERA_AT_REST = 0.02
#: The decay of rates where every track is seen.
NO_DECAY: Floats = np.zeros(0)
#: More than this of a time step says no more about how long an object was watched.
LONGEST_WATCH_S = 0.25


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
        self.evidence = ClassEvidence(classes, settings)
        self.removed: tuple[int, ...] = ()
        self.notes: tuple[TrackNote, ...] = ()
        self.at_start = True
        self._classes = classes
        self._hand_class = hand_class
        self._edges = None if frame_size is None else FrameEdges(frame_size)
        self._hands = Hands(settings.hand_memory_s)
        flow = settings.optical_flow
        self._sight = None if flow.when == "never" else Sight(flow, frame_size)
        self._liveliness = Liveliness(settings) if settings.adapt_rate > 0.0 else None
        place, side = settings.acceleration, settings.resize_acceleration
        self._acceleration = np.array([place, place, side, side])
        # Velocities are averaged where somebody asks for the average.
        self._drifts = settings.slow > 0.0 or settings.group_motion
        # What depends on the time step alone, made anew when that changes.
        self._step_s, self._noise = 0.0, np.zeros((3, 4, 1))
        self._tick, self._sighting = np.zeros((3, 1)), np.zeros((2, 1))
        self._next_id = 1
        self._unread_s = 0.0
        self._now_s: float | None = None
        # What was seen well in the first frame of the stream, as what.
        self._lay_there: dict[int, int] = {}
        # None while numpy does all the work.
        self._quiet: QuietFrame | None = None
        self._waits = settings.compiled == "auto" and QuietFrame.supports(settings) and loader().problem is None

    def use(self, made: Kernels) -> None:
        """Let these kernels do the work of quiet frames from now on."""
        self._quiet, self._waits = QuietFrame(made, self.settings, self._hand_class, self._edges), False

    def gap(self, seconds: float) -> None:
        """Take note that nothing was seen for `seconds`: time passes, but nothing is concluded from it."""
        if not 0.0 <= seconds < np.inf:
            raise ValueError(f"a gap cannot last {seconds} s: give a number, zero or more")
        if self._now_s is not None:
            self._now_s += seconds
        motion = self.table.motion
        motion.rate *= np.exp(-seconds / self.settings.coast_s)
        motion.p00 += np.minimum(seconds, 1.0) ** 2 * motion.p11
        self.table.surprise[:] = 0.0
        if self._sight is not None:
            self._sight.forget()

    def step(
        self,
        boxes: Floats,
        scores: Floats,
        class_ids: NDArray[np.int64],
        class_probs: Floats | None,
        captured_at_s: float,
        camera: Floats | None = None,
        image: NDArray[np.uint8] | None = None,
        embeddings: Floats | None = None,
    ) -> None:
        """Bring `table` to the frame of `captured_at_s` (UTC epoch seconds).

        Args:
            boxes: (N, 4) xyxy pixels.
            scores: (N,) 0..1.
            class_ids: (N,) 0..C-1.
            class_probs: (N, C) or None.
            captured_at_s: of the frame; what is not later than the frame before counts as a moment later.
            camera: (2, 3) affine that takes points of the frame before to this one, where the camera's motion is known.
            image: (H, W, 3) RGB of the frame, or a smaller copy of it, for the optical flow.
            embeddings: (N, D) unit appearance vectors of the detections, or None.
        """
        dt_s = self._advance(captured_at_s)
        self.removed = ()
        table, settings = self.table, self.settings
        if self._waits and (made := loader().kernels) is not None:
            self.use(made)
        seen = None if self._quiet is None else self._quiet.observe(boxes, scores, class_ids, class_probs, embeddings)
        if seen is None:
            seen = observe(boxes, scores, class_ids, class_probs, self._hand_class, settings, embeddings)
        reading = None if image is None or self._sight is None else self._sight.look(image, table)
        before = table.motion.mean[:2].copy()
        if camera is None and reading is not None and reading.camera_certain >= settings.optical_flow.believe:
            camera = reading.camera
        if camera is not None and len(table):
            self._follow_camera(camera)
        start = table.motion.mean[:2].copy()
        squares = self._predict(dt_s)
        witnessed = None
        if reading is not None:
            witnessed = follow_flow(reading, table, before, start, dt_s, settings)
        before = start
        seen, possible, pairs = self._match(seen, before, dt_s)
        marks = Before(table) if settings.explain else None
        self._hands.update(seen.hands, dt_s)
        hands = self._hands.boxes
        table.floats[CLOCKS] += self._tick
        merged = NO_BOXES
        if np.count_nonzero(pairs.free) < len(seen):
            whole = None if self._quiet is None else self._quiet.measure(table, pairs.column, seen, squares)
            if self._quiet is not None and whole is not None:
                self._correct_quietly(self._quiet, pairs, whole, seen, dt_s, captured_at_s)
            else:
                found = measure(table, pairs.column, pairs.everyone, seen, squares, hands, self._edges, settings)
                self._correct(pairs.column, pairs.everyone, found, seen, dt_s, captured_at_s)
                if found.merged is not None:
                    merged = seen.boxes(found.merged)
        if not pairs.everyone:
            settle(table, pairs.column, self._hands, merged, before, dt_s, self._edges, settings, witnessed)
        if len(hands) or np.count_nonzero(table.handled):
            note_hands(table, pairs.column, hands)
        self._renew_population(pairs, seen, captured_at_s, dt_s)
        if marks is not None:
            self.notes = explain(marks, table, possible, pairs, seen, settings)

    def boxes(self) -> Floats:
        """Return the boxes (N, 4) xyxy to report, by `sharpness` nearer to the detections than the filter is."""
        table = self.table
        if self.settings.sharpness == 0.0:
            return table.boxes()
        mean = table.motion.mean
        lean = self.settings.sharpness * (table.anchor - mean[:2])
        if np.count_nonzero(table.unseen_s):
            lean *= table.unseen_s == 0.0
        return corners(mean[:2] + lean, mean[2:])

    def _advance(self, captured_at_s: float) -> float:
        """Return the time step in seconds; more than `max_step_s` is a gap."""
        if not np.isfinite(captured_at_s):
            raise ValueError(f"a frame cannot be captured at {captured_at_s}: give UTC epoch seconds")
        if self._now_s is None:
            self._now_s = captured_at_s
            return SHORTEST_STEP_S
        dt_s = round(captured_at_s - self._now_s, 6)
        if dt_s > self.settings.max_step_s:
            self.gap(dt_s - self.settings.max_step_s)
            dt_s = self.settings.max_step_s
        self._now_s = captured_at_s
        return max(dt_s, SHORTEST_STEP_S)

    def _predict(self, dt_s: float) -> Floats:
        """Move all tracks on; return their squared sizes (4, N)."""
        table, settings = self.table, self.settings
        motion = table.motion
        if dt_s != self._step_s:
            self._step_s = dt_s
            self._noise = process_noise(dt_s, self._acceleration)
            self._tick = np.array([[dt_s], [1.0], [dt_s]])
            self._sighting = np.array([[1.0], [min(dt_s, LONGEST_WATCH_S)]])
        noise = self._noise if self._liveliness is None else self._noise * self._liveliness.variance_factors
        decay = NO_DECAY
        if np.count_nonzero(table.unseen_s):
            coast_s: Floats | float = settings.coast_s
            if settings.steady_coast_s != settings.coast_s:
                coast_s = np.where(table.moves_evenly(), settings.steady_coast_s, coast_s)
            decay = np.where(table.unseen_s > 0.0, np.exp(-dt_s / coast_s), 1.0)
        if self._quiet is not None:
            return self._quiet.predict(table, noise, decay, dt_s)
        squares = squared_sizes(motion.mean[2:])
        motion.predict(dt_s, noise, squares, settings.keeps_size)
        if decay is not NO_DECAY:
            motion.slow_down(decay)
        np.maximum(motion.mean[2:], 1.0, out=motion.mean[2:])
        return squares

    def _follow_camera(self, camera: Floats) -> None:
        """Move everything with the camera, unless all that it moved is within the noise of measuring it."""
        table = self.table
        mean = table.motion.mean
        moved = np.abs(camera[:, :2] @ mean[:2] + camera[:, 2:] - mean[:2]).max()
        if moved < CAMERA_AT_REST * np.sqrt(np.median(mean[2] * mean[3])):
            return
        table.motion.warp(camera)
        turn, shift = camera[:, :2], camera[:, 2:]
        table.drift[:] = turn @ table.drift
        table.viewed[:] = turn @ table.viewed + shift
        table.anchor[:] = turn @ table.anchor + shift
        self._hands.warp(camera)

    def _match(self, seen: Observations, before: Floats, dt_s: float) -> tuple[Observations, Pairs, Matches]:
        """Return the frame without duplicates, its possible pairs, and who is who.

        Two boxes on one object are two choices for its track; where no track has a choice and no more than one
        detection is left over, there is nothing to look for.
        """
        settings, table = self.settings, self.table
        if self._quiet is None:
            possible = possible_pairs(table, seen, self.evidence, dt_s, settings)
        else:
            possible, pairs = self._quiet.pairs(table, seen, dt_s)
            if pairs is not None:
                return seen, possible, pairs
            doubt_pairs(possible, table, seen, self.evidence, settings)
        if settings.duplicate_iou < 1.0 and (len(seen) > len(table) + 1 or ambiguous(possible, settings)):
            spare = duplicates(seen, settings.duplicate_iou)
            if spare is not None:
                seen = seen.only((~spare).nonzero()[0])
                possible = possible_pairs(table, seen, self.evidence, dt_s, settings)
        if settings.group_motion and len(table) > 1 and len(seen) > 1:
            possible = self._follow_jump(possible, seen, before, dt_s)
        return seen, possible, match(possible, table, seen, dt_s, settings)

    def _follow_jump(self, possible: Pairs, seen: Observations, before: Floats, dt_s: float) -> Pairs:
        """When many detections lie where no track is, ask whether all moved alike; move them and `before`."""
        table = self.table
        strange = np.ones(len(seen), dtype=bool)
        strange[possible.columns[possible.cost < DISPLACED_COST]] = False
        if np.count_nonzero(strange) < max(2, STRANGE_SHARE * len(seen)):
            return possible
        here = table.left_over == 0
        known = (table.state != TENTATIVE) & here
        start = np.concatenate([before, table.motion.mean[2:]])
        shift = common_shift(start[:, known], seen.measured)
        if shift is None:
            return possible
        moved = shift[:, None]
        before[:, here] += moved
        table.motion.mean[:2, here] = before[:, here]
        table.viewed[:, here] += moved
        return possible_pairs(table, seen, self.evidence, dt_s, self.settings)

    def _correct(
        self,
        column: Rows,
        everyone: bool,
        found: Measurement,
        seen: Observations,
        dt_s: float,
        captured_at_s: float,
    ) -> None:
        """Give the tracks the detections `column` (N,) and note that they were seen."""
        table, settings = self.table, self.settings
        has_detection: Mask = column >= 0
        # A slice is served without copying.
        matched: Mask | slice = slice(None) if everyone else has_detection
        innovation, total = table.motion.update(found.value, found.variance)
        score = seen.scores.take(column)
        if settings.reupdate_s > 0.0:
            self._reupdate(matched, found)
        if settings.reupdate_s > 0.0 or settings.sharpness > 0.0:
            np.copyto(table.anchor, found.value[:2], where=has_detection)
        if self._liveliness is not None:
            well = (score >= settings.high_score) & (table.state == CONFIRMED)
            self._liveliness.learn(table, innovation, total, well, dt_s)
        if found.renewed is not None:
            which = np.concatenate([np.zeros_like(found.renewed), found.renewed])
            as_seen = seen.measured.take(column, axis=1)
            table.motion.renew(which, as_seen, (settings.size_noise * as_seen) ** 2)
        # What was seen in the frame before, too, has nothing to be set back.
        back = np.count_nonzero(table.unseen_s > 1.5 * dt_s) > 0 or bool(np.count_nonzero(table.left_over))
        elapsed_s = table.unseen_s.copy()
        if everyone:
            table.floats[SIGHTED] = 0.0
            table.floats[COUNTED] += self._sighting
            table.covered[:] = 0.0 if found.covered is None else found.covered
            table.score[:] = score
        else:
            table.floats[SIGHTED] *= ~has_detection
            table.floats[COUNTED] += self._sighting * has_detection
            np.copyto(table.covered, 0.0 if found.covered is None else found.covered, where=has_detection)
            np.copyto(table.score, score, where=has_detection)
        if back or not everyone:
            table.left_over[matched] = 0
            table.companion[matched] = 0
            table.state[matched] = np.where(table.state[matched] == TENTATIVE, TENTATIVE, CONFIRMED)
        if settings.keeps_size:
            table.at_edge[matched] = 0 if found.at_edge is None else found.at_edge[matched]
        table.last_seen_s[matched] = captured_at_s
        if self._drifts:
            self._average(matched, elapsed_s)
        if seen.embeddings is not None:
            learn_looks(table, column, seen.embeddings, elapsed_s, settings)
        if self._reads(dt_s):
            self.evidence.add(table, column, everyone, seen, np.maximum(elapsed_s, self._unread_s))
            self._unread_s = 0.0

    def _correct_quietly(
        self,
        quiet: QuietFrame,
        pairs: Matches,
        found: Measurement,
        seen: Observations,
        dt_s: float,
        captured_at_s: float,
    ) -> None:
        """Do the same by the kernels, where every detection shows a whole object."""
        table, settings = self.table, self.settings
        fade = np.exp(table.unseen_s * (-1.0 / DRIFT_S)) if self._drifts else NO_DECAY
        times = np.array([dt_s, self._sighting[1, 0], captured_at_s, settings.high_score, MOST_SURPRISE])
        elapsed_s, product = quiet.correct(table, pairs, found, seen, fade, times)
        if self._liveliness is not None:
            self._liveliness.adapt(product, dt_s)
        if seen.embeddings is not None:
            learn_looks(table, pairs.column, seen.embeddings, elapsed_s, settings)
        if not self._reads(dt_s):
            return
        if seen.class_probs is None and not len(seen.hands):
            how = self.evidence.weights
            differs, weight, ratio, named = quiet.weigh(table, pairs.column, seen, elapsed_s, self._unread_s, how)
            self.evidence.add_ratios(table, named, weight, ratio, differs)
        else:
            since_s = np.maximum(elapsed_s, self._unread_s)
            self.evidence.add(table, pairs.column, pairs.everyone, seen, since_s)
        self._unread_s = 0.0

    def _reads(self, dt_s: float) -> bool:
        """Return whether this frame is read: what was seen in the frames in between is the same view.

        A young track is read in every frame: each look counts for what it will be shown as.
        """
        self._unread_s += dt_s
        return self._unread_s >= READ_STEP_S or bool(np.count_nonzero(self.table.state) < len(self.table))

    def _reupdate(self, matched: Mask | slice, found: Measurement) -> None:
        """Take the velocity of objects that come back after a while from where they were and are (OC-SORT's ORU)."""
        table = self.table
        again = table.unseen_s > self.settings.reupdate_s
        if not isinstance(matched, slice):
            again &= matched
        rows = again.nonzero()[0]
        if rows.shape[0]:
            elapsed_s, motion = table.unseen_s[rows], table.motion
            motion.rate[:2, rows] = (found.value[:2, rows] - table.anchor[:, rows]) / elapsed_s
            spread = motion.p00[:2, rows]
            motion.p01[:2, rows] = spread / elapsed_s
            motion.p11[:2, rows] = np.maximum(2.0 * spread / elapsed_s**2, motion.p01[:2, rows] ** 2 / spread * 1.01)

    def _average(self, matched: Mask | slice, elapsed_s: Floats) -> None:
        """Let the slow averages of the velocity follow it."""
        table = self.table
        share = np.maximum(1.0 - np.exp(elapsed_s * (-1.0 / DRIFT_S)), 1.0 / table.hits)
        if not isinstance(matched, slice):
            share *= matched
        change = table.motion.rate[:2] - table.drift
        table.unsteady += share * (np.sqrt(change[0] * change[0] + change[1] * change[1]) - table.unsteady)
        table.drift += share * change

    def _renew_population(self, pairs: Matches, seen: Observations, captured_at_s: float, dt_s: float) -> None:
        """Confirm, begin and forget tracks."""
        table = self.table
        if np.count_nonzero(table.state) < len(table):
            if self._lay_there:
                self._look_again(pairs.column, seen)
            self._confirm()
        if np.count_nonzero(pairs.free):
            self._begin(newcomers(table, seen, pairs.free, self.settings), seen, captured_at_s, dt_s)
        if self.at_start:
            well = table.score >= self.settings.sure_score
            if self.settings.start_looks == 1:
                # Nothing came in before our eyes: what is seen well lay there before we looked.
                table.state[well] = CONFIRMED
            else:
                self._lay_there = dict(zip(table.track_id[well].tolist(), table.held[well].tolist(), strict=True))
            self.at_start = False
        if np.count_nonzero(table.unseen_s):
            self._drop(expired(table, self.settings))

    def _look_again(self, column: Rows, seen: Observations) -> None:
        """Let what lay there before the stream began count, as soon as a second look says the same of it as the first.

        A first look alone may show it as the wrong thing; where two differ, the track is confirmed like any other.
        """
        table, there = self.table, {}
        for k, track_id in enumerate(table.track_id.tolist()):
            first = self._lay_there.get(track_id)
            if first is None:
                continue
            if column[k] < 0:
                there[track_id] = first
            elif seen.class_ids[column[k]] == first and table.score[k] >= self.settings.sure_score:
                table.state[k] = CONFIRMED
        self._lay_there = there

    def _confirm(self) -> None:
        """Let tentative tracks that were seen enough count, under their old id where they are known."""
        table = self.table
        ready = confirmable(table, self.settings)
        if not np.count_nonzero(ready):
            return
        pairs = recognise(table, ready, self.evidence, self.settings)
        table.state[ready] = CONFIRMED
        gone = np.zeros(len(table), dtype=bool)
        for old, new in pairs:
            table.take_over(old, new)
            gone[new] = True
        self._drop(gone)

    def _begin(self, columns: Rows, seen: Observations, captured_at_s: float, dt_s: float) -> None:
        """Start a tentative track for each of the detections `columns`."""
        count = columns.shape[0]
        if not count:
            return
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        newly = seen.only(columns)
        squares = squared_sizes(newly.measured[2:])
        noise = np.sqrt(relative_variance(newly.scores, self.settings) * squares)
        rate_std = np.sqrt(squares) * (self.settings.first_speed * np.array([[1.0], [1.0], [0.1], [0.1]]))
        born = TrackTable.born(
            ids, Gaussians.start(newly.measured, noise, rate_std), captured_at_s, newly.scores, self._classes
        )
        if self._edges is not None:
            born.entered_over[:] = born.at_edge[:] = self._edges.touched(newly.measured)
        if newly.embeddings is not None:
            born.embedding = newly.embeddings
        self.evidence.add(born, np.arange(count), True, newly, np.full(count, max(dt_s, FIRST_LOOK_S)))
        self.table.append(born)

    def _drop(self, gone: Mask) -> None:
        if np.count_nonzero(gone):
            self.removed = (*self.removed, *self.table.track_id[gone].tolist())
            self.table.keep(~gone)
