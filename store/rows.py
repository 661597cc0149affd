"""Records to flat rows of plain values and back. The spool writes the same rows as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.records import Bill, Decision, DecisionKind, Event, LineItem
from store.store import Checkpoint

Row = dict[str, float | int | str | None]


def to_cents(price: float) -> int:
    """Return a price in whole cents.

    Raises ValueError when it is not a whole number of cents: a price that is rounded in silence is a wrong bill.

    >>> to_cents(19.99)
    1999
    """
    cents = round(price * 100)
    if abs(price * 100 - cents) > 1e-6 * max(1.0, abs(price)):
        raise ValueError(f"price {price!r} is not a whole number of cents; round it before it becomes a decision")
    return int(cents)


def plain_text(value: str) -> str:
    """Return `value` as text both engines can hold: PostgreSQL refuses NUL, UTF-8 refuses lone surrogates."""
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _plain(value: object) -> object:
    """Return the Python value of a NumPy scalar, for `json`."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"a decision's detail holds a {type(value).__name__}; give numbers, strings, booleans or None")
    return item()


def event_row(event: Event) -> Row:
    """Return the columns of `events` without `seq` and `stored_at_s`. Raises ValueError for NaN in the detail."""
    decision = event.decision
    return {
        "event_id": plain_text(event.event_id),
        "lane_id": plain_text(event.lane_id),
        "kind": str(decision.kind),
        "track_id": None if decision.track_id is None else int(decision.track_id),
        "decided_at_s": float(decision.decided_at_s),
        "stream_s": float(decision.stream_s),
        "zone": plain_text(decision.zone),
        "confidence": float(decision.confidence),
        "reason": plain_text(decision.reason),
        "bill_id": plain_text(decision.bill_id),
        "dish": plain_text(decision.dish),
        "price_cents": None if decision.price is None else to_cents(decision.price),
        "revision": int(decision.revision),
        "detail": json.dumps(dict(decision.detail), sort_keys=True, allow_nan=False, default=_plain),
        "model": plain_text(event.model),
        "config_sha256": plain_text(event.config_sha256),
        "schema_version": int(event.schema),
    }


def event_from_row(row: Mapping[Any, Any]) -> Event:
    """Return the event of a row (further columns are ignored)."""
    decision = Decision(
        kind=DecisionKind(row["kind"]),
        track_id=row["track_id"],
        decided_at_s=row["decided_at_s"],
        stream_s=row["stream_s"],
        zone=row["zone"],
        confidence=row["confidence"],
        reason=row["reason"],
        bill_id=row["bill_id"],
        dish=row["dish"],
        price=None if row["price_cents"] is None else row["price_cents"] / 100,
        revision=row["revision"],
        detail=json.loads(row["detail"]),
    )
    return Event(
        event_id=row["event_id"],
        lane_id=row["lane_id"],
        decision=decision,
        model=row["model"],
        config_sha256=row["config_sha256"],
        schema=row["schema_version"],
    )


def bill_row(bill: Bill) -> Row:
    """Return the columns of `bills`."""
    return {
        "bill_id": plain_text(bill.bill_id),
        "lane_id": plain_text(bill.lane_id),
        "opened_s": float(bill.opened_s),
        "closed_s": None if bill.closed_s is None else float(bill.closed_s),
        "opened_at_s": float(bill.opened_at_s),
        "closed_at_s": None if bill.closed_at_s is None else float(bill.closed_at_s),
        "revision": int(bill.revision),
        "close_reason": plain_text(bill.close_reason),
        "total_cents": sum(int(line.quantity) * to_cents(line.unit_price) for line in bill.lines),
    }


def line_rows(bill: Bill) -> list[Row]:
    """Return the columns of `bill_lines`, one row per line."""
    return [
        {
            "bill_id": plain_text(bill.bill_id),
            "line_no": int(line.line_no),
            "track_id": int(line.track_id),
            "dish": plain_text(line.dish),
            "quantity": int(line.quantity),
            "unit_price_cents": to_cents(line.unit_price),
            "t_s": float(line.t_s),
            "confidence": float(line.confidence),
            **{name: float(value) for name, value in zip(("x1", "y1", "x2", "y2"), line.box, strict=True)},
        }
        for line in bill.lines
    ]


def bill_from_rows(row: Mapping[Any, Any], lines: Sequence[Mapping[Any, Any]]) -> Bill:
    """Return the bill of a `bills` row and its `bill_lines` rows, which are in order of `line_no`."""
    return Bill(
        bill_id=row["bill_id"],
        lane_id=row["lane_id"],
        opened_s=row["opened_s"],
        closed_s=row["closed_s"],
        opened_at_s=row["opened_at_s"],
        closed_at_s=row["closed_at_s"],
        revision=row["revision"],
        close_reason=row["close_reason"],
        lines=tuple(
            LineItem(
                line_no=line["line_no"],
                track_id=line["track_id"],
                dish=line["dish"],
                quantity=line["quantity"],
                unit_price=line["unit_price_cents"] / 100,
                t_s=line["t_s"],
                confidence=line["confidence"],
                box=(line["x1"], line["y1"], line["x2"], line["y2"]),
            )
            for line in lines
        ),
    )


def checkpoint_row(checkpoint: Checkpoint) -> Row:
    """Return the columns of `checkpoints`."""
    return {
        "lane_id": plain_text(checkpoint.lane_id),
        "stream_key": plain_text(checkpoint.stream_key),
        "stream_s": float(checkpoint.stream_s),
        "frame_index": int(checkpoint.frame_index),
        "last_track_id": int(checkpoint.last_track_id),
    }


def checkpoint_from_row(row: Mapping[Any, Any]) -> Checkpoint:
    """Return the checkpoint of a row."""
    return Checkpoint(row["lane_id"], row["stream_key"], row["stream_s"], row["frame_index"], row["last_track_id"])
