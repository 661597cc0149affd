"""The files of a replay that other programs read (docs/contract: keep names and shapes, add only)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from core.records import Bill, Event, Tracks, TrackState
from replay.recording import FrameRow

#: States in which an object counts as there; it may be hidden by a hand.
PRESENT = (TrackState.CONFIRMED, TrackState.OCCLUDED)


def write_events(path: Path, events: Sequence[Event]) -> None:
    """Write one event a line, keys sorted. Nothing in it depends on the run, so two runs give equal bytes."""
    path.write_text("".join(json.dumps(event_row(e), sort_keys=True) + "\n" for e in events), encoding="utf-8")


def event_row(event: Event) -> dict[str, object]:
    """Return an event as plain values: seconds of the stream to the microsecond, confidence to four digits."""
    decision = event.decision
    return {
        "event_id": event.event_id,
        "lane_id": event.lane_id,
        "kind": decision.kind.value,
        "t_s": round(decision.stream_s, 6),
        "track_id": decision.track_id,
        "dish": decision.dish,
        "confidence": round(decision.confidence, 4),
        "price": decision.price,
        "reason": decision.reason,
        "bill_id": decision.bill_id,
        "revision": decision.revision,
        "zone": decision.zone,
        "model": event.model,
        "config_sha256": event.config_sha256,
        "schema": event.schema,
        "detail": {key: round(v, 6) if isinstance(v, float) else v for key, v in decision.detail.items()},
    }


def write_bills(path: Path, bills: Sequence[Bill]) -> None:
    """Write the bills in the order of opening; `closed_s` is null for one that was open at the end."""
    path.write_text(json.dumps([bill_row(bill) for bill in bills], indent=1) + "\n", encoding="utf-8")


def bill_row(bill: Bill) -> dict[str, object]:
    """Return a bill as plain values."""
    return {
        "bill_id": bill.bill_id,
        "lane_id": bill.lane_id,
        "opened_s": round(bill.opened_s, 6),
        "closed_s": None if bill.closed_s is None else round(bill.closed_s, 6),
        "close_reason": bill.close_reason,
        "revision": bill.revision,
        "total": bill.total,
        "lines": [
            {
                "line_no": line.line_no,
                "track_id": line.track_id,
                "dish": line.dish,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "t_s": round(line.t_s, 6),
                "confidence": round(line.confidence, 4),
            }
            for line in bill.lines
        ],
    }


def write_counts(path: Path, rows: Sequence[FrameRow]) -> None:
    """Write `frame,t_s,items`: confirmed items in the zone after each decided frame (frame from 0)."""
    lines = [f"{row.index},{row.t_s:.6f},{row.items}\n" for row in rows]
    path.write_text("frame,t_s,items\n" + "".join(lines), encoding="utf-8")


class TrackFile:
    """MOTChallenge rows of the confirmed tracks, written frame by frame, for a long recording has many.

    `frame,id,x,y,w,h,score,class,visibility`: the frame counts from 1; the class is the 1-based place of the dish in
    `labels`, 0 where the dish is unknown. Objects that are covered right now are among them.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._number = {label: i for i, label in enumerate(labels, start=1)}
        self._file = path.open("w", encoding="utf-8")

    def add(self, tracks: Tracks) -> None:
        """Write the tracks of one frame."""
        for track in tracks.tracks:
            if track.state not in PRESENT:
                continue
            x1, y1, x2, y2 = track.box
            box = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            rest = f"{track.score:.4f},{self._number.get(track.label, 0)},{track.visibility:.3f}"
            self._file.write(f"{tracks.frame_index + 1},{track.track_id},{box},{rest}\n")

    def __enter__(self) -> TrackFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
