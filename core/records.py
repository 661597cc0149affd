"""The records that travel between the stages: frozen, and checked once, when they are made.

Many detections and array maths: struct of arrays. Few tracks, read by rules: a tuple of records.
Times: `captured_at_s` is UTC epoch seconds from the stream's clock, `received_s` the monotonic clock
of this machine. Boxes are xyxy pixels of the captured frame. Images are uint8 (H, W, 3) RGB, read-only.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

EVENT_SCHEMA = 1

#: Labels that start with "@" are roles, not dishes: an occluder (hand, arm) and an item of unknown dish.
HAND = "@hand"
ITEM = "@item"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image with its times.

    Attributes:
        lane_id: the lane that captured it.
        index: 0-based count of frames the source decoded (dropped ones counted), per lane.
        captured_at_s: UTC epoch seconds at capture.
        received_s: monotonic seconds of this machine at decode.
        image: (H, W, 3) uint8 RGB, read-only.
        stream_s: seconds since the start of the stream (a recording's own time line).
    """

    lane_id: str
    index: int
    captured_at_s: float
    received_s: float
    image: NDArray[np.uint8]
    stream_s: float = 0.0

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"Frame.image must be uint8 (H, W, 3), got {self.image.dtype} {self.image.shape}")
        self.image.flags.writeable = False

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True)
class Gap:
    """A break in a stream that everyone downstream sees: nothing is known between the two times.

    Attributes:
        from_s: UTC epoch seconds of the last moment that was seen.
        to_s: UTC epoch seconds when the stream was back.
        stream_s: stream time of the last frame before the gap.
        reason: short text for a person, without credentials.
    """

    lane_id: str
    from_s: float
    to_s: float
    stream_s: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """All detections of one frame as parallel arrays.

    Attributes:
        boxes: (N, 4) float32 xyxy, pixels of the captured frame.
        scores: (N,) float32, 0..1, the detector's.
        class_ids: (N,) int64, index into `labels`.
        labels: dish names, or roles such as `HAND` and `ITEM`; the same tuple for each frame of a model.
        class_probs: (N, C) float32 rows that sum to at most 1 over `labels` (the rest is unknown), or None.
        embeddings: (N, D) float32 unit vectors, or None.
        model: name@version of the detector.
    """

    frame_index: int
    captured_at_s: float
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    labels: tuple[str, ...]
    class_probs: NDArray[np.float32] | None = None
    embeddings: NDArray[np.float32] | None = None
    model: str = ""

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4):
            raise ValueError(f"Detections.boxes must be (N, 4), got {self.boxes.shape}")
        if self.scores.shape != (count,) or self.class_ids.shape != (count,):
            raise ValueError(f"scores {self.scores.shape} and class_ids {self.class_ids.shape} must be ({count},)")
        if self.class_probs is not None and self.class_probs.shape != (count, len(self.labels)):
            raise ValueError(f"class_probs must be ({count}, {len(self.labels)}), got {self.class_probs.shape}")
        if self.embeddings is not None and len(self.embeddings) != count:
            raise ValueError(f"embeddings must have {count} rows, got {len(self.embeddings)}")
        if count and not np.isfinite(self.boxes).all():
            raise ValueError("Detections.boxes holds NaN or infinity: a decoder is broken")
        # As a list: two reductions of a short array cost more than it does.
        if count and not 0 <= min(ids := self.class_ids.tolist()) <= max(ids) < len(self.labels):
            raise ValueError(f"class_ids must be in 0..{len(self.labels) - 1}")

    def __len__(self) -> int:
        return len(self.boxes)


class TrackState(enum.StrEnum):
    """Where a track stands in its life.

    `TENTATIVE` seen too little to count; `CONFIRMED` seen lately; `OCCLUDED` not seen, but something covers
    the place where it must be; `LOST` not seen and nothing covers it; `REMOVED` given up, never comes back.
    """

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    OCCLUDED = "occluded"
    LOST = "lost"
    REMOVED = "removed"


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Track:
    """One object over time, as known after one frame.

    Attributes:
        track_id: unique in its lane, counted from 1, never reused.
        box: x1, y1, x2, y2 pixels.
        velocity_px_s: pixels per second of the centre, x and y.
        score: the detector's score when last matched, 0..1.
        state: see TrackState.
        visibility: share of the object that is thought to be seen now, 0..1.
        posterior: (label, probability) pairs: the label that is shown (another must be clearly likelier to replace it),
            then the most probable ones, top few; the rest is unknown.
        first_seen_s: UTC epoch seconds of the first detection.
        last_seen_s: UTC epoch seconds of the latest matched detection.
        matched: whether a detection of this frame was given to it.
    """

    track_id: int
    box: Box
    velocity_px_s: tuple[float, float]
    score: float
    state: TrackState
    visibility: float
    posterior: tuple[tuple[str, float], ...]
    first_seen_s: float
    last_seen_s: float
    matched: bool

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.box)):
            raise ValueError(f"track {self.track_id}: box is not finite: {self.box}")
        if not 0.0 <= self.visibility <= 1.0:
            raise ValueError(f"track {self.track_id}: visibility {self.visibility} is not in 0..1")

    @property
    def label(self) -> str:
        """The label that is shown, or `ITEM` when nothing is known."""
        return self.posterior[0][0] if self.posterior else ITEM

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return self.posterior[0][1] if self.posterior else 0.0


@dataclass(frozen=True, slots=True)
class TrackNote:
    """Why a track is where it is after one frame; for people who debug, made only when asked for.

    Attributes:
        track_id: the track.
        verdict: "born", "matched", "found" (again), "merged" (into an older track), "coasting", "hidden", "lost" or
            "removed".
        why: one line for people.
        detection: index, by falling score, of the detection it got; None without.
        cost: of the pair, or of the best one that was possible; None if there was none.
    """

    track_id: int
    verdict: str
    why: str
    detection: int | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks that are alive after one frame (tentative ones included), ordered by id.

    Attributes:
        removed: ids that were given up in this frame.
        notes: why, for each track; empty unless asked for.
    """

    frame_index: int
    captured_at_s: float
    tracks: tuple[Track, ...]
    removed: tuple[int, ...] = ()
    notes: tuple[TrackNote, ...] = ()


class DecisionKind(enum.StrEnum):
    """What the policy can decide; each becomes an event."""

    BILL_OPEN = "bill_open"
    LINE_ADD = "line_add"
    LINE_REVISE = "line_revise"
    LINE_REMOVE = "line_remove"
    BILL_CLOSE = "bill_close"
    ASK = "ask"
    ANSWER = "answer"
    CORRECTION = "correction"
    CONFIRM = "confirm"
    GAP = "gap"
    LANE_START = "lane_start"
    LANE_STOP = "lane_stop"


@dataclass(frozen=True, slots=True)
class Decision:
    """An opinion of this moment: what should happen to the bill, and why.

    Attributes:
        track_id: the track it is about, or None for the whole bill or lane.
        decided_at_s: UTC epoch seconds of the frame that led to it.
        stream_s: the same on the stream's own time line (seconds since its start).
        zone: name of the zone, or "".
        confidence: calibrated 0..1, of the label for lines; 1.0 for facts.
        reason: short text for a person and for the audit.
        bill_id: the bill it belongs to, or "".
        dish: the dish, for lines and questions; "" where none.
        price: unit price in the menu's currency, for lines; else None.
        revision: of the bill, after this decision.
        detail: further plain values (numbers, strings), JSON-able.
    """

    kind: DecisionKind
    track_id: int | None
    decided_at_s: float
    stream_s: float
    zone: str
    confidence: float
    reason: str
    bill_id: str = ""
    dish: str = ""
    price: float | None = None
    revision: int = 0
    detail: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """A stored fact: a decision with its identity and origin. Never edited.

    Attributes:
        event_id: stable across re-runs of the same recording; storing it twice stores it once.
        lane_id: the lane.
        decision: what was decided.
        model: name@version of the detector.
        config_sha256: of the configuration file in force.
        schema: version of this record.
    """

    event_id: str
    lane_id: str
    decision: Decision
    model: str
    config_sha256: str
    schema: int = EVENT_SCHEMA


@dataclass(frozen=True, slots=True)
class LineItem:
    """One dish on a bill.

    Attributes:
        line_no: 1-based, in the order of adding; stays when other lines go.
        track_id: the track that carries it now.
        t_s: stream seconds when the line was added.
        box: where its object was last seen.
    """

    line_no: int
    track_id: int
    dish: str
    quantity: int
    unit_price: float
    t_s: float
    confidence: float
    box: Box


@dataclass(frozen=True, slots=True)
class Bill:
    """The ledger of one tray after `revision` changes. `closed_s` is None while it is open.

    Times are stream seconds; `opened_at_s` and `closed_at_s` are the same moments in UTC.
    """

    bill_id: str
    lane_id: str
    opened_s: float
    closed_s: float | None
    opened_at_s: float
    closed_at_s: float | None
    revision: int
    lines: tuple[LineItem, ...]
    close_reason: str = ""

    @property
    def total(self) -> float:
        """Sum of the lines in the menu's currency, rounded to cents."""
        return round(sum(line.quantity * line.unit_price for line in self.lines), 2)
