"""Bills: search, one bill, how it came to be what it is, and the table for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from app.api.bill_shapes import BillPage, BillShape
from app.api.cursors import link_header, next_address, read_cursor
from app.api.event_shapes import RevisionList, RevisionShape, shown_event
from app.api.lanes import known_lane
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem, unknown
from app.api.shapes import BillId, CursorText, Decimal, DishName, Flag, LaneId, Limit, Moment, Shape
from app.site import Site
from core.clock import utc_text
from core.records import Bill
from store.bill_search import BillFilter

CSV = "text/csv; charset=utf-8"
_COLUMNS = (
    "bill_id", "lane_id", "opened_at", "closed_at", "revision", "line_no", "dish", "title", "quantity",
    "unit_price", "line_total", "bill_total", "currency", "confidence",
)  # fmt: skip
_JOURNAL = 10_000


class BillFilterQuery(Shape):
    """Which bills."""

    lane: LaneId | None = Field(default=None, description="Of this lane")
    from_: Moment | None = Field(default=None, alias="from", description="Opened at or after this moment")
    to: Moment | None = Field(default=None, description="Opened before this moment")
    dish: DishName | None = Field(default=None, description="Some line is this dish")
    min_total: Decimal | None = Field(default=None, ge=0, le=10_000_000, description="The total is at least this")
    max_total: Decimal | None = Field(default=None, ge=0, le=10_000_000, description="The total is at most this")
    state: Literal["open", "closed"] | None = Field(default=None, description="Open or closed ones only")
    corrected: Flag | None = Field(default=None, description="A person corrected it, or nobody did")
    asked: Flag | None = Field(default=None, description="The lane asked about something on it, or not")

    @model_validator(mode="after")
    def _ordered(self) -> BillFilterQuery:
        if self.from_ is not None and self.to is not None and self.from_ > self.to:
            raise ValueError("from is after to; swap them")
        return self


class BillQuery(BillFilterQuery):
    """Which bills, and which page of them."""

    limit: Limit = 50
    cursor: CursorText | None = None


class BillPath(Shape):
    """Which bill."""

    bill_id: BillId


def filter_of(call: Call, query: BillFilterQuery) -> BillFilter:
    """Return what to look for.

    Raises:
        ApiProblem: 404, no such lane.
    """
    if query.lane is not None:
        known_lane(call, query.lane)
    return as_filter(query, call.lanes)


def as_filter(query: BillFilterQuery, lanes: frozenset[str] | None) -> BillFilter:
    """Return what to look for among the bills of some lanes; None means all lanes."""
    return BillFilter(
        lane_id=query.lane,
        lane_ids=lanes,
        from_s=query.from_,
        to_s=query.to,
        dish=query.dish,
        min_cents=None if query.min_total is None else round(100 * query.min_total),
        max_cents=None if query.max_total is None else round(100 * query.max_total),
        closed=None if query.state is None else query.state == "closed",
        corrected=query.corrected,
        asked=query.asked,
    )


def shown_bill(site: Site, bill: Bill) -> BillShape:
    """Return a bill as it is sent."""
    return BillShape.model_validate(site.shown_bill(bill))


def find_bill(call: Call, bill_id: str) -> Bill:
    """Return a stored bill.

    Raises:
        ApiProblem: 404, there is none.
    """
    bill = call.services.search.find(bill_id)
    if bill is None or not call.sees(bill.lane_id):
        raise unknown("bill", bill_id)
    return bill


def _bills(call: Call) -> Reply:
    query = call.query_as(BillQuery)
    wanted = filter_of(call, query)
    if "text/csv" in call.headers.get("accept", ""):
        return _table(call, wanted)
    before: tuple[float, str] | None = None
    if query.cursor is not None:
        opened_at_s, bill_id = read_cursor("bills", query.cursor, query)
        before = float(opened_at_s), str(bill_id)
    found = call.services.search.page(wanted, query.limit + 1, before)
    page = found[: query.limit]
    more = next_address(call, "bills", (page[-1].opened_at_s, page[-1].bill_id)) if len(found) > len(page) else None
    bills = [shown_bill(call.services.site, bill) for bill in page]
    return Reply(BillPage(bills=bills, next=more), headers=link_header(more))


def _bills_csv(call: Call) -> Reply:
    return _table(call, filter_of(call, call.query_as(BillFilterQuery)))


def _table(call: Call, wanted: BillFilter) -> Reply:
    """Return bills as a table, one row a line, made while it is sent."""
    rows = _rows(call.services.site, call.services.search.every(wanted))
    # The first row is read here, so that a store that is away is an error and not half a file.
    first = next(rows, "")

    def pieces() -> Iterator[str]:
        yield "\ufeff" + _row(_COLUMNS) + first
        yield from rows

    name = (("Content-Disposition", 'attachment; filename="bills.csv"'),)
    return Reply(stream=pieces(), media=CSV, headers=name)


def _rows(site: Site, bills: Iterator[Bill]) -> Iterator[str]:
    for bill in bills:
        closed_at = "" if bill.closed_at_s is None else utc_text(bill.closed_at_s)
        head = (bill.bill_id, bill.lane_id, utc_text(bill.opened_at_s), closed_at, bill.revision)
        if not bill.lines:
            yield _row((*head, "", "", "", "", "", "", bill.total, site.currency, ""))
        for line in bill.lines:
            title = site.menu_titles.get(line.dish, line.dish)
            cost = round(line.quantity * line.unit_price, 2)
            told = (line.line_no, line.dish, title, line.quantity, line.unit_price, cost)
            yield _row((*head, *told, bill.total, site.currency, round(line.confidence, 3)))


def _row(cells: tuple[str | float | int, ...]) -> str:
    r"""Return one row (RFC 4180).

    >>> _row(('=HYPERLINK("x")', -1.5, "a,b"))
    '"\'=HYPERLINK(""x"")",-1.5,"a,b"\r\n'
    """
    return ",".join(_cell(cell) for cell in cells) + "\r\n"


def _cell(value: str | float | int) -> str:
    """Return a cell; text that a spreadsheet would take for a formula begins with an apostrophe (OWASP)."""
    if not isinstance(value, str):
        return str(value)
    text = f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else value
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in '",\r\n') else text


def _bill(call: Call) -> Reply:
    return Reply(shown_bill(call.services.site, find_bill(call, call.path_as(BillPath).bill_id)))


def _revisions(call: Call) -> Reply:
    bill_id = call.path_as(BillPath).bill_id
    bill = find_bill(call, bill_id)
    journal = call.services.store.events(bill.lane_id, limit=_JOURNAL, bill_id=bill_id)
    if len(journal) == _JOURNAL:
        raise ApiProblem(503, "Too long", f"bill {bill_id} has more than {_JOURNAL} entries; read /events?bill=… pages")
    steps = [RevisionShape(revision=one.event.decision.revision, event=shown_event(one)) for one in journal]
    return Reply(RevisionList(bill_id=bill_id, revisions=steps))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation(
            "bills_list", "GET", "/bills", "Bills, latest first", "bills", _bills, BillPage, query=BillQuery,
            problems=(404,), tagged=True, media=("text/csv",),
            headers={"Accept": "text/csv for a table of all that fit instead of a page"},
        ),
        Operation(
            "bills_csv", "GET", "/bills.csv", "Bills as a table, a row per line", "bills", _bills_csv,
            query=BillFilterQuery, problems=(404,), media=("text/csv",),
        ),
        Operation("bills_get", "GET", "/bills/{bill_id}", "One bill", "bills", _bill, BillShape, path=BillPath,
                  tagged=True),
        Operation(
            "bills_revisions", "GET", "/bills/{bill_id}/revisions", "How a bill came to be what it is", "bills",
            _revisions, RevisionList, path=BillPath, tagged=True,
        ),
    )  # fmt: skip
