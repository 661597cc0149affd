"""All that a pipeline said about one recording, and what it means for the lines."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.records import Bill, Decision, DecisionKind, Event
from replay.matching import Stay

if TYPE_CHECKING:
    from checkout.pipeline import LaneUpdate


@dataclass(frozen=True, slots=True)
class FrameRow:
    """What was known after one frame."""

    index: int
    t_s: float
    items: int


@dataclass
class Recording:
    """All that a pipeline said about one recording, in order.

    Attributes:
        rows: one per decided frame.
        bills: by id, in the order of opening, each in its latest revision.
        stage_s: seconds per decided frame, by stage (decode, detect, track, decide); the wait for the next frame
            of the recording is the decode.
        left_out: frames that were not decided, by reason; the stride is one.
        wall_s: seconds of this machine from the first read to the end, pictures included.
    """

    lane_id: str
    rows: list[FrameRow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    bills: dict[str, Bill] = field(default_factory=dict)
    stage_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    left_out: Mapping[str, int] = field(default_factory=dict)
    wall_s: float = 0.0

    def add(self, update: LaneUpdate, read_s: float) -> None:
        """Note one update of the pipeline, and the seconds that its frame took to read."""
        self.events.extend(update.events)
        for bill in (*update.closed, *((update.bill,) if update.bill is not None else ())):
            self.bills[bill.bill_id] = bill
        if update.frame is None:
            return
        self.rows.append(FrameRow(update.frame.index, update.frame.stream_s, update.items_in_zone))
        for stage, seconds in {**update.stage_s, "decode": read_s}.items():
            self.stage_s[stage].append(seconds)

    @property
    def ended_s(self) -> float:
        """Stream seconds of the last frame; 0 without one."""
        return self.rows[-1].t_s if self.rows else 0.0

    @property
    def dropped(self) -> int:
        """Frames lost for another reason than the stride; 0 for a sound file."""
        return sum(count for reason, count in self.left_out.items() if reason != "stride")

    @property
    def latency_s(self) -> list[float]:
        """Seconds of work per decided frame, all stages together."""
        return [sum(stages) for stages in zip(*self.stage_s.values(), strict=True)]

    def fps(self) -> float | None:
        """Frames per second of the recording itself, strides not counted; None with fewer than two frames."""
        if len(self.rows) < 2:
            return None
        first, last = self.rows[0], self.rows[-1]
        return (last.index - first.index) / (last.t_s - first.t_s) if last.t_s > first.t_s else None


def stays(recording: Recording) -> list[Stay]:
    """Return every stay of a line on a bill, in the order of adding.

    A line that is taken off ends its stay; one that comes back begins another. A revision changes the dish of
    the stay it belongs to, so that a stay carries our last word.
    """
    running: dict[tuple[str, Hashable], Stay] = {}
    ended: list[Stay] = []

    def end(key: tuple[str, Hashable], at_s: float, removed: bool) -> None:
        ended.append(dataclasses.replace(running.pop(key), until_s=at_s, removed=removed))

    for event in recording.events:
        decision = event.decision
        key = (decision.bill_id, line_key(decision))
        if decision.kind is DecisionKind.LINE_ADD:
            if key in running:
                end(key, decision.stream_s, removed=False)
            running[key] = Stay(
                decision.bill_id,
                key[1],
                decision.track_id,
                decision.dish,
                decision.stream_s,
                decision.stream_s,
                False,
                decision.confidence,
                decision.price,
            )
        elif decision.kind is DecisionKind.LINE_REVISE and key in running:
            running[key] = dataclasses.replace(
                running[key], dish=decision.dish, confidence=decision.confidence, price=decision.price
            )
        elif decision.kind is DecisionKind.LINE_REMOVE and key in running:
            end(key, decision.stream_s, removed=True)
        elif decision.kind is DecisionKind.BILL_CLOSE:
            bill = recording.bills.get(decision.bill_id)
            # The event comes when the lane is sure; the bill says when the tray had gone.
            closed_s = decision.stream_s if bill is None or bill.closed_s is None else bill.closed_s
            for other in [k for k in running if k[0] == decision.bill_id]:
                end(other, max(closed_s, running[other].t_s), removed=False)
    for key in list(running):
        end(key, recording.ended_s, removed=False)
    return sorted(ended, key=lambda stay: (stay.t_s, stay.bill_id, str(stay.line)))


def line_key(decision: Decision) -> Hashable:
    """Return what tells the lines of one bill apart: the line's number where the event names it, else the track."""
    return decision.detail.get("line_no", decision.track_id)
