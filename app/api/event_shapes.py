"""Events as they are sent, over the API, in the stream and by webhooks alike."""

from __future__ import annotations

from pydantic import Field

from app.api.shapes import BillId, LaneId, Next, Shape, UtcTime
from core.records import DecisionKind
from fleet.event_text import event_content
from store.store import StoredEvent


class EventShape(Shape):
    """A stored fact; never changed."""

    seq: int = Field(description="Place in the journal; rises, gaps are possible", examples=[4711])
    event_id: str = Field(description="The same when a recording is run again", examples=["0b7a4b0e-2c3f"])
    lane_id: LaneId
    kind: DecisionKind = Field(description="What was decided", examples=["line_add"])
    at: UtcTime = Field(examples=["2026-05-04T12:00:00.000Z"])
    bill_id: str = Field(description="The bill it belongs to, or empty")
    revision: int = Field(description="Of the bill, after this event")
    track_id: int | None = Field(description="The object it is about; null for the whole bill or lane")
    dish: str = Field(description="The dish, or empty", examples=["soup"])
    price: float | None = Field(description="Unit price in the menu's currency, for lines")
    confidence: float = Field(description="Calibrated, 0 to 1")
    zone: str = Field(description="Name of the zone, or empty")
    reason: str = Field(description="Why, for people", examples=["posterior 0.95 passed 0.9"])
    detail: dict[str, float | int | str | bool | None] = Field(description="Further plain values")
    model: str = Field(description="The detector", examples=["traynet@1"])
    config_sha256: str = Field(description="Of the configuration in force")


class EventPage(Shape):
    """Events, oldest first."""

    events: list[EventShape] = Field(description="Oldest first")
    next: Next


class RevisionShape(Shape):
    """One step in the life of a bill."""

    revision: int = Field(description="Number of the step, from 1")
    event: EventShape = Field(description="What changed")


class RevisionList(Shape):
    """How a bill came to be what it is."""

    bill_id: BillId
    revisions: list[RevisionShape] = Field(description="In order")


def shown_event(stored: StoredEvent) -> EventShape:
    """Return an event as it is sent."""
    return EventShape.model_validate(event_content(stored))
