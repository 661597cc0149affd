"""The page of the latest bills."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from app.accounts.person import Person
from app.guard import current_person
from app.site import Site

SHOWN = 100


def bill_pages(site: Site) -> Blueprint:
    """Return the page of bills of `site`."""
    pages = Blueprint("bill_pages", __name__)

    @pages.get("/bills")
    def bills() -> str:
        lane_id = request.args.get("lane") or None
        return render_template("bills.html", bills=seen_bills(site, current_person(), lane_id, SHOWN), lane=lane_id)

    return pages


def seen_bills(site: Site, person: Person, lane_id: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the latest bills that a person may see, latest first.

    Args:
        site: has the bills.
        person: who looks.
        lane_id: of this lane only; None for all of theirs.
        limit: at most so many.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    if lane_id is not None:
        return site.bills(lane_id, limit) if person.may_see(lane_id) else []
    if person.lanes is None:
        return site.bills(None, limit)
    found = [bill for lane in sorted(person.lanes) for bill in site.bills(lane, limit)]
    return sorted(found, key=lambda bill: str(bill["opened_at"]), reverse=True)[:limit]
