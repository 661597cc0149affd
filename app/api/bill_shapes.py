"""Bills as they are sent."""

from __future__ import annotations

from pydantic import Field

from app.api.shapes import LaneId, Next, Shape


class LineShape(Shape):
    """One dish on a bill."""

    line_no: int = Field(description="Number of the line; stays when others go", examples=[1])
    dish: str = Field(description="Name of the dish", examples=["soup"])
    title: str = Field(description="What people read", examples=["Tomato soup"])
    quantity: int = Field(description="How many", examples=[1])
    unit_price: float = Field(description="In the menu's currency", examples=[4.5])
    confidence: float = Field(description="Calibrated, 0 to 1; 1 when a person said so", examples=[0.97])


class BillShape(Shape):
    """The ledger of one tray at its latest revision."""

    bill_id: str = Field(description="Equal when a recording is run again")
    lane_id: LaneId
    revision: int = Field(description="Rises with every change", examples=[4])
    opened_at: str = Field(description="UTC, RFC 3339", examples=["2026-05-04T12:00:00Z"])
    closed_at: str | None = Field(description="UTC, RFC 3339; null while it is open")
    total: float = Field(description="In the menu's currency", examples=[12.4])
    lines: list[LineShape] = Field(description="By number")


class BillPage(Shape):
    """Bills, latest opened first."""

    bills: list[BillShape] = Field(description="Latest opened first")
    next: Next
