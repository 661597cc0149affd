"""Bills: looked for, a page at a time; and one bill with its history and evidence."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, render_template, request

from app.api.bills import as_filter
from app.api.cursors import read_cursor, write_cursor
from app.api.problems import ApiProblem
from app.api.services import Services
from app.guard import current_person
from app.languages import gettext
from app.pages.bill_filter import read_filter
from app.pages.bill_steps import steps_of
from app.pages.lane_words import lane_words
from app.permissions import Action
from app.problems import refusal
from app.site import Site

SHOWN = 50
_JOURNAL = 10_000


def bill_pages(site: Site, services: Services) -> Blueprint:
    """Return the pages of bills of `site`."""
    pages = Blueprint("bill_pages", __name__)

    @pages.get("/bills")
    def bills() -> Response:
        person = current_person()
        wanted = read_filter(request.args, site.timezone)
        before: tuple[float, str] | None = None
        cursor = request.args.get("cursor", "")
        found, more, marks = [], "", {}
        if wanted.query is not None and (wanted.query.lane is None or person.may_see(wanted.query.lane)):
            try:
                if cursor:
                    opened_at_s, bill_id = read_cursor("bills", cursor, wanted.query)
                    before = float(opened_at_s), str(bill_id)
            except ApiProblem as err:
                return refusal(err.status, gettext("Bad address"), err.detail)
            found = services.search.page(as_filter(wanted.query, person.lanes), SHOWN + 1, before)
            if len(found) > SHOWN:
                found = found[:SHOWN]
                more = write_cursor("bills", (found[-1].opened_at_s, found[-1].bill_id), wanted.query)
            marks = services.search.marks([bill.bill_id for bill in found])
        page = render_template(
            "bills.html",
            bills=[site.shown_bill(bill) for bill in found],
            marks=marks,
            wanted=wanted,
            lane_choices=[(lane_id, lane_id) for lane_id in site.lane_ids if person.may_see(lane_id)],
            menu=sorted(site.menu_titles.items(), key=lambda one: one[1].casefold()),
            csv=f"/api/v1/bills.csv?{urlencode(wanted.arguments)}",
            older=f"/bills?{urlencode({**wanted.typed, 'cursor': more})}" if more else "",
            newest=f"/bills?{urlencode(wanted.typed)}" if cursor else "",
        )
        return current_app.make_response(page)

    @pages.get("/bills/<bill_id>")
    def bill(bill_id: str) -> Response:
        person = current_person()
        found = services.search.find(bill_id)
        if found is None or not person.may_see(found.lane_id):
            told = gettext("There is no bill %(bill)s.", bill=bill_id)
            return refusal(404, gettext("Unknown bill"), told)
        journal = services.store.events(found.lane_id, limit=_JOURNAL, bill_id=bill_id)
        page = render_template(
            "bill.html",
            bill=site.shown_bill(found),
            close_reason=found.close_reason,
            marks=services.search.marks([bill_id])[bill_id],
            steps=steps_of(journal, site.menu_titles, site.currency),
            cut_short=len(journal) == _JOURNAL,
            origin=journal[0].event if journal else None,
            titles=site.menu_titles,
            may_answer=person.may(Action.ANSWER, found.lane_id),
            may_erase=person.may(Action.CONFIGURE),
            words={**lane_words(), **evidence_words()},
        )
        return current_app.make_response(page)

    return pages


def evidence_words() -> dict[str, str]:
    """Return the texts of `bill.js`."""
    return {
        "no_evidence": gettext("There is no evidence of this bill: it is still open, too old, or none was kept."),
        "was_erased": gettext("The evidence of this bill was erased; only the hashes of its files are kept."),
        "evidence_failed": gettext("The evidence cannot be read now."),
        "no_clip": gettext("No clip was kept."),
        "rerun_same": gettext("Decided again: the same bill, from {n} decisions."),
        "rerun_other": gettext("Decided again: it comes out otherwise."),
        "rerun_busy": gettext("Deciding again …"),
        "course_of": gettext("What line {n}, {dish}, was thought to be, over time"),
        "course_end": gettext("{label}: {share} at the end"),
        "seen_share": gettext("share seen"),
        "seconds": gettext("{n} s"),
        "no_course": gettext("Added by hand, or without a journal: nothing to show over time."),
        "erased_now": gettext("The evidence was erased."),
        "files": gettext("{n} files with their SHA-256"),
    }
