"""The journal: stored events, a page at a time or as they happen."""

from __future__ import annotations

import re

from pydantic import Field

from app.api.cursors import link_header, next_address, read_cursor
from app.api.event_shapes import EventPage, shown_event
from app.api.lanes import known_lane
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem
from app.api.shapes import BillId, CursorText, FieldError, LaneId, Limit, Shape, Whole
from app.api.streaming import EVENT_STREAM, stream_reply

_LAST_SEQ = 2**53


class EventQuery(Shape):
    """Which events, and which page of them."""

    lane: LaneId | None = Field(default=None, description="Of this lane")
    bill: BillId | None = Field(default=None, description="Of this bill")
    after: Whole | None = Field(
        default=None, ge=0, le=_LAST_SEQ, description="Only events stored after the one with this `seq`"
    )
    limit: Limit = 100
    cursor: CursorText | None = None


class EventStreamQuery(Shape):
    """Which events are told."""

    lane: LaneId | None = Field(default=None, description="Of this lane")
    after: Whole | None = Field(
        default=None, ge=0, le=_LAST_SEQ, description="Begin after the event with this `seq`; Last-Event-ID goes first"
    )


def _events(call: Call) -> Reply:
    query = call.query_as(EventQuery)
    if query.lane is not None:
        known_lane(call, query.lane)
    after = query.after or 0
    if query.cursor is not None:
        after = int(read_cursor("events", query.cursor, query)[0])
    found = call.services.store.events(query.lane, after, query.limit + 1, query.bill, call.lanes)
    page = found[: query.limit]
    more = next_address(call, "events", (page[-1].seq,)) if len(found) > len(page) else None
    return Reply(EventPage(events=[shown_event(one) for one in page], next=more), headers=link_header(more))


def _stream(call: Call) -> Reply:
    query = call.query_as(EventStreamQuery)
    if query.lane is not None:
        known_lane(call, query.lane)
    after, last = query.after, call.headers.get("last-event-id", "").strip()
    if last:
        if not re.fullmatch(r"[0-9]{1,15}", last):
            detail = "Last-Event-ID is the id of an event of this stream, a whole number"
            raise ApiProblem(400, "Bad Last-Event-ID", detail, [FieldError(parameter="Last-Event-ID", detail=detail)])
        after = int(last)
    return stream_reply(call, lambda: call.services.events.watch(query.lane, after, call.lanes))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation(
            "events_list", "GET", "/events", "Stored events, oldest first", "events", _events, EventPage,
            query=EventQuery, problems=(404,), tagged=True,
        ),
        Operation(
            "events_stream", "GET", "/events/stream", "Events as they are stored", "events", _stream,
            query=EventStreamQuery, media=(EVENT_STREAM,), problems=(404,),
            headers={"Last-Event-ID": "id of the last event that you have; what was stored since comes first"},
            more="Server-sent events in the order of the store: `id:` is the event's seq, `event:` its kind, `data:` "
            "the event as JSON. A browser comes back by itself and misses nothing. A client that reads too slowly is "
            "let go with `event: resync`; it comes back with Last-Event-ID.",
        ),
    )  # fmt: skip
