"""The sentence of the product: frame -> detect -> track -> recognise -> decide -> LaneUpdate.

A pipeline is deterministic: the same frames give the same updates. It lives in *epochs*. When a bill has closed and
nothing lies in the zone, the next frame meets a new tracker and a new policy, and the update carries a `Checkpoint`:
what comes after depends on later frames alone. So a recording that was killed at any moment goes on from its latest
checkpoint and gives, bit for bit, what it would have given undisturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from checkout.basket import event_id_for
from checkout.correction import Correction
from checkout.evidence.journal import JournalledPolicy
from checkout.live_menu import Knowledge
from checkout.menu import Menu
from checkout.policy import Policy
from checkout.presence import FrameSize
from checkout.recognition import Recogniser
from core.clock import Clock
from core.records import Bill, Decision, Detections, Event, Frame, Gap, Tracks
from models.detector import Detector
from store.store import Checkpoint


class Tracker(Protocol):
    """What the pipeline wants of a tracker."""

    def update(self, detections: Detections, image: NDArray[np.uint8] | None = None) -> Tracks:
        """Take one frame's detections; return the tracks that are alive after it."""
        ...

    def gap(self, seconds: float) -> None:
        """Take note that the stream broke for `seconds`: nothing was seen, nothing is concluded from it."""
        ...

    def join(self) -> None:
        """Take note, before the first frame, that the scene ran before: what that frame shows may have just come."""
        ...


@dataclass(frozen=True, slots=True)
class LaneUpdate:
    """Everything that one frame (or gap, or answer) led to.

    Attributes:
        frame: the frame; None for a gap or an answer.
        detections: of the frame; None likewise.
        tracks: alive after it; the latest ones for a gap or an answer.
        events: what was decided, in order.
        bill: the open bill after it.
        closed: bills that it closed.
        stage_s: seconds spent in detect, track, recognise (where dishes are taught) and decide; empty for a gap or an
            answer.
        items_in_zone: confirmed items in the tray zone after it, covered ones included.
        decided_s: monotonic seconds when it was decided.
        checkpoint: set when everything before it is settled for good.
    """

    frame: Frame | None
    detections: Detections | None
    tracks: Tracks
    events: tuple[Event, ...]
    bill: Bill | None
    closed: tuple[Bill, ...]
    stage_s: Mapping[str, float]
    items_in_zone: int
    decided_s: float
    checkpoint: Checkpoint | None = field(default=None)


class Pipeline:
    """One lane's chain of stages. Not thread-safe: one thread calls it.

    Args:
        lane_id: the lane.
        stream_key: names the stream in ids and checkpoints: the recording's content hash or a live session's start.
        detector: may be shared with other lanes.
        make_tracker: returns a fresh tracker for frames of (width, height).
        make_policy: returns a fresh policy.
        clock: for stage times.
        config_sha256: of the configuration, for the events.
        recogniser: tells taught dishes; None where nothing can be taught.
    """

    def __init__(
        self,
        lane_id: str,
        stream_key: str,
        detector: Detector,
        make_tracker: Callable[[FrameSize], Tracker],
        make_policy: Callable[[], Policy | JournalledPolicy],
        clock: Clock,
        config_sha256: str = "",
        recogniser: Recogniser | None = None,
    ) -> None:
        self.lane_id, self.stream_key = lane_id, stream_key
        self._detector, self._make_tracker, self._make_policy = detector, make_tracker, make_policy
        self._clock, self._config_sha256 = clock, config_sha256
        self._recogniser = recogniser
        self._menu: Menu | None = None
        self._policy = make_policy()
        self._tracker: Tracker | None = None
        self._size: FrameSize = (0, 0)
        self._tracks = Tracks(-1, 0.0, ())
        self._stream_s = 0.0
        self._id_base = self._highest_id = 0
        self._at_start = True

    @property
    def detector(self) -> Detector:
        """The detector, for its name and labels."""
        return self._detector

    @property
    def trouble(self) -> str:
        """Why taught dishes are not recognised; "" while they are."""
        return "" if self._recogniser is None else self._recogniser.trouble

    def adopt(self, knowledge: Knowledge) -> None:
        """Go on with another menu and gallery from the next frame on; an open bill's lines keep their prices.

        Raises:
            ValueError: the pipeline was made without a recogniser.
        """
        if self._recogniser is None:
            raise ValueError(f"lane {self.lane_id} has no recogniser: it cannot take a taught menu")
        self._recogniser.change(knowledge)
        self._menu = knowledge.menu
        self._policy.change_menu(knowledge.menu)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on after `checkpoint`, before the first step; the caller brings the frames that follow it."""
        self._id_base = self._highest_id = checkpoint.last_track_id
        self._at_start = False

    def restore(self, bill: Bill) -> None:
        """Go on with the bill that a live lane's former process left open, before the first step."""
        self._policy.restore(bill)
        # New tracks must not be taken for the objects of the old process.
        self._id_base = self._highest_id = max((line.track_id for line in bill.lines), default=0)

    def step(self, frame: Frame) -> LaneUpdate:
        """Take the lane one frame further.

        Raises:
            InferenceError: the detector failed; the state is as before this frame.
        """
        began_s = self._clock.monotonic_s()
        detections = self._detector.detect([frame])[0]
        detected_s = self._clock.monotonic_s()
        self._tracks = self._track(frame, detections)
        tracked_s = recognised_s = self._clock.monotonic_s()
        stage_s = {"detect": detected_s - began_s, "track": tracked_s - detected_s}
        if self._recogniser is not None and not self._recogniser.idle:
            self._tracks = self._recogniser.recognise(frame, self._tracks)
            recognised_s = self._clock.monotonic_s()
            stage_s["recognise"] = recognised_s - tracked_s
        self._stream_s = frame.stream_s
        decisions = self._policy.decide(self._tracks, frame.stream_s, self._size)
        events, bill, closed = self._conclude(decisions)
        items_in_zone = self._policy.items_in_zone
        decided_s = self._clock.monotonic_s()
        return LaneUpdate(
            frame=frame,
            detections=detections,
            tracks=self._tracks,
            events=events,
            bill=bill,
            closed=closed,
            stage_s={**stage_s, "decide": decided_s - recognised_s},
            items_in_zone=items_in_zone,
            decided_s=decided_s,
            checkpoint=self._begin_epoch(frame) if closed and self._policy.quiet else None,
        )

    def gap(self, gap: Gap) -> LaneUpdate:
        """Take note of a break in the stream."""
        if self._tracker is not None:
            self._tracker.gap(max(gap.to_s - gap.from_s, 0.0))
        return self._without_frame(self._policy.gap(gap))

    def answer(self, track_id: int, dish: str) -> LaneUpdate:
        """Take a person's answer to a question: the dish, or "" for no goods. Without events it came too late."""
        utc_s = self._tracks.captured_at_s
        return self._without_frame(self._policy.answer(track_id, dish, self._stream_s, utc_s))

    def correct(self, correction: Correction) -> LaneUpdate:
        """Take a person's correction of the open bill. Raises CorrectionRefused and DataError: see `Policy.correct`."""
        utc_s = self._tracks.captured_at_s if self._tracks.frame_index >= 0 else self._clock.utc_s()
        return self._without_frame(self._policy.correct(correction, self._stream_s, utc_s))

    def _track(self, frame: Frame, detections: Detections) -> Tracks:
        size = (frame.width, frame.height)
        if self._tracker is None or size != self._size:
            if self._tracker is not None:
                self._policy.resize(self._size, size)
                if self._recogniser is not None:
                    self._recogniser.forget()
            self._tracker, self._size, self._id_base = self._make_tracker(size), size, self._highest_id
            if not self._at_start:
                self._tracker.join()
            self._at_start = False
        tracks = self._tracker.update(detections, frame.image)
        if self._id_base:
            base = self._id_base
            tracks = replace(
                tracks,
                tracks=tuple(replace(track, track_id=track.track_id + base) for track in tracks.tracks),
                removed=tuple(track_id + base for track_id in tracks.removed),
                notes=tuple(replace(note, track_id=note.track_id + base) for note in tracks.notes),
            )
        if tracks.tracks:
            self._highest_id = max(self._highest_id, tracks.tracks[-1].track_id)  # they are ordered by id
        return tracks

    def _conclude(self, decisions: list[Decision]) -> tuple[tuple[Event, ...], Bill | None, tuple[Bill, ...]]:
        """Return the events of the decisions, the open bill, and the bills that they closed."""
        events = tuple([self._event(decision, ordinal) for ordinal, decision in enumerate(decisions)])
        return events, self._policy.bill, self._policy.take_closed()

    def _without_frame(self, decisions: list[Decision]) -> LaneUpdate:
        events, bill, closed = self._conclude(decisions)
        return LaneUpdate(
            frame=None,
            detections=None,
            tracks=self._tracks,
            events=events,
            bill=bill,
            closed=closed,
            stage_s={},
            items_in_zone=self._policy.items_in_zone,
            decided_s=self._clock.monotonic_s(),
        )

    def _event(self, decision: Decision, ordinal: int) -> Event:
        event_id = event_id_for(self.lane_id, self.stream_key, decision, ordinal)
        return Event(event_id, self.lane_id, decision, self._detector.name, self._config_sha256)

    def _begin_epoch(self, frame: Frame) -> Checkpoint:
        self._tracker, self._policy = None, self._make_policy()
        if self._menu is not None:
            self._policy.change_menu(self._menu)
        if self._recogniser is not None:
            self._recogniser.forget()
        self._id_base = self._highest_id
        return Checkpoint(self.lane_id, self.stream_key, frame.stream_s, frame.index, self._highest_id)
