"""Look bills up by what people ask for, a page at a time, and sum them up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, tuple_

from core.records import Bill
from store.rows import bill_from_rows
from store.sql_store import SqlStore
from store.tables import bill_lines, bills, events

_EXPORT_PAGE = 500


@dataclass(frozen=True, slots=True)
class BillFilter:
    """Which bills are wanted; what is None does not matter.

    Attributes:
        lane_id: of this lane.
        lane_ids: of one of these lanes.
        from_s: opened at or after this moment, UTC epoch seconds.
        to_s: opened before this moment.
        dish: some line is this dish.
        min_cents: the total is at least this.
        max_cents: the total is at most this.
        closed: whether it is closed.
        corrected: whether a person corrected it.
        asked: whether the lane asked about something on it.
    """

    lane_id: str | None = None
    lane_ids: frozenset[str] | None = None
    from_s: float | None = None
    to_s: float | None = None
    dish: str | None = None
    min_cents: int | None = None
    max_cents: int | None = None
    closed: bool | None = None
    corrected: bool | None = None
    asked: bool | None = None


@dataclass(frozen=True, slots=True)
class DishSum:
    """How often a dish was sold, and for how much."""

    dish: str
    quantity: int
    cents: int


@dataclass(frozen=True, slots=True)
class Sums:
    """What bills add up to."""

    bills: int
    open_bills: int
    lines: int
    cents: int
    asked_bills: int
    corrected_bills: int
    dishes: tuple[DishSum, ...]


class BillSearch:
    """Searches a store's bills. Every method raises StoreUnavailable when the store is away."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def page(self, wanted: BillFilter, limit: int, before: tuple[float, str] | None = None) -> list[Bill]:
        """Return bills, latest opened first.

        Args:
            wanted: which.
            limit: at most this many.
            before: (opened_at_s, bill_id) of the last bill of the page before.
        """
        query = self._select(wanted).limit(limit)
        if before is not None:
            query = query.where(tuple_(bills.c.opened_at_s, bills.c.bill_id) < tuple_(*before))
        with self._store.reading("search bills") as connection:
            heads = connection.execute(query).mappings().all()
            ids = [str(head["bill_id"]) for head in heads]
            lines: dict[str, list[Any]] = {bill_id: [] for bill_id in ids}
            if ids:
                found = select(bill_lines).where(bill_lines.c.bill_id.in_(ids)).order_by(bill_lines.c.line_no)
                for row in connection.execute(found).mappings():
                    lines[row["bill_id"]].append(row)
        return [bill_from_rows(head, lines[head["bill_id"]]) for head in heads]

    def every(self, wanted: BillFilter) -> Iterator[Bill]:
        """Yield all bills, latest first, holding a page of them at a time."""
        before: tuple[float, str] | None = None
        while page := self.page(wanted, _EXPORT_PAGE, before):
            yield from page
            before = page[-1].opened_at_s, page[-1].bill_id

    def find(self, bill_id: str) -> Bill | None:
        """Return one bill by its id."""
        with self._store.reading("read a bill") as connection:
            head = connection.execute(select(bills).where(bills.c.bill_id == bill_id)).mappings().first()
            if head is None:
                return None
            query = select(bill_lines).where(bill_lines.c.bill_id == bill_id).order_by(bill_lines.c.line_no)
            return bill_from_rows(head, connection.execute(query).mappings().all())

    def sums(self, wanted: BillFilter) -> Sums:
        """Return what the closed and open bills of a filter add up to, dishes by what they brought in."""
        matching = and_(True, *_conditions(wanted))
        per_line = bill_lines.c.quantity * bill_lines.c.unit_price_cents
        joined = bill_lines.join(bills, bills.c.bill_id == bill_lines.c.bill_id)
        by_dish = (
            select(bill_lines.c.dish, func.sum(bill_lines.c.quantity), func.sum(per_line))
            .select_from(joined)
            .where(matching)
            .group_by(bill_lines.c.dish)
            .order_by(func.sum(per_line).desc(), bill_lines.c.dish)
        )
        heads = select(
            func.count(),
            func.count().filter(bills.c.closed_s.is_(None)),
            func.coalesce(func.sum(bills.c.total_cents), 0),
            func.count().filter(_has_event("ask")),
            func.count().filter(_has_event("correction")),
        ).where(matching)
        with self._store.reading("sum bills up") as connection:
            count, open_bills, cents, asked, corrected = connection.execute(heads).one()
            dishes = tuple(DishSum(dish, int(n), int(c)) for dish, n, c in connection.execute(by_dish))
            line_count = select(func.count()).select_from(joined).where(matching)
            lines = connection.execute(line_count).scalar_one()
        return Sums(int(count), int(open_bills), int(lines), int(cents), int(asked), int(corrected), dishes)

    def _select(self, wanted: BillFilter) -> Select[Any]:
        newest_first = select(bills).order_by(bills.c.opened_at_s.desc(), bills.c.bill_id.desc())
        return newest_first.where(*_conditions(wanted))


def _has_event(kind: str) -> ColumnElement[bool]:
    return exists().where(events.c.bill_id == bills.c.bill_id, events.c.kind == kind).correlate(bills)


def _conditions(wanted: BillFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.lane_id is not None:
        found.append(bills.c.lane_id == wanted.lane_id)
    if wanted.lane_ids is not None:
        found.append(bills.c.lane_id.in_(sorted(wanted.lane_ids)))
    if wanted.from_s is not None:
        found.append(bills.c.opened_at_s >= wanted.from_s)
    if wanted.to_s is not None:
        found.append(bills.c.opened_at_s < wanted.to_s)
    if wanted.dish is not None:
        has_dish = exists().where(bill_lines.c.bill_id == bills.c.bill_id, bill_lines.c.dish == wanted.dish)
        found.append(has_dish.correlate(bills))  # the query around it may be over the lines, too
    if wanted.min_cents is not None:
        found.append(bills.c.total_cents >= wanted.min_cents)
    if wanted.max_cents is not None:
        found.append(bills.c.total_cents <= wanted.max_cents)
    if wanted.closed is not None:
        found.append(bills.c.closed_s.is_not(None) if wanted.closed else bills.c.closed_s.is_(None))
    for flag, kind in ((wanted.corrected, "correction"), (wanted.asked, "ask")):
        if flag is not None:
            found.append(_has_event(kind) if flag else ~_has_event(kind))
    return found
