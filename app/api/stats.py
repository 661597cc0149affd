"""What bills add up to."""

from __future__ import annotations

from pydantic import Field

from app.api.bills import BillFilterQuery, filter_of
from app.api.operation import Call, Operation, Reply
from app.api.shapes import Shape


class DishSumShape(Shape):
    """How often a dish was sold."""

    dish: str = Field(description="Name of the dish")
    title: str = Field(description="What people read")
    quantity: int = Field(description="How many")
    total: float = Field(description="In the menu's currency")


class StatsShape(Shape):
    """Bills of a filter, added up."""

    currency: str = Field(description="ISO 4217")
    bills: int = Field(description="How many")
    open_bills: int = Field(description="Of these, still open")
    lines: int = Field(description="On all bills")
    total: float = Field(description="Of all bills")
    asked_bills: int = Field(description="The lane asked about something on it")
    corrected_bills: int = Field(description="A person corrected it")
    dishes: list[DishSumShape] = Field(description="What brought in most comes first")


def _stats(call: Call) -> Reply:
    site = call.services.site
    sums = call.services.search.sums(filter_of(call, call.query_as(BillFilterQuery)))
    dishes = [
        DishSumShape(
            dish=one.dish, title=site.menu_titles.get(one.dish, one.dish), quantity=one.quantity, total=one.cents / 100
        )
        for one in sums.dishes
    ]
    return Reply(
        StatsShape(
            currency=site.currency,
            bills=sums.bills,
            open_bills=sums.open_bills,
            lines=sums.lines,
            total=sums.cents / 100,
            asked_bills=sums.asked_bills,
            corrected_bills=sums.corrected_bills,
            dishes=dishes,
        )
    )


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation(
            "stats_get", "GET", "/stats", "What bills add up to", "stats", _stats, StatsShape,
            query=BillFilterQuery, problems=(404,), tagged=True,
        ),
    )  # fmt: skip
