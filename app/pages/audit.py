"""The audit: who changed what; as a page and as CSV."""

from __future__ import annotations

import json

from flask import Blueprint, Response, render_template, request

from app.accounts.accounts import Accounts
from app.problems import refusal

SHOWN = 50


def audit_pages(accounts: Accounts) -> Blueprint:
    """Return the page of the audit."""
    pages = Blueprint("audit_pages", __name__)

    @pages.get("/audit")
    def audit() -> str | Response:
        wanted = request.args.get("before", "")
        if wanted and not (wanted.isdecimal() and len(wanted) < 19):
            return refusal(400, "Bad cursor", "before must be the number of a row")
        action, person = request.args.get("action", "").strip(), request.args.get("person", "").strip()
        found = accounts.book.read(SHOWN + 1, int(wanted) if wanted else None, action, person)
        shown = [(row, json.loads(row.before), json.loads(row.after)) for row in found[:SHOWN]]
        older = found[SHOWN - 1].seq if len(found) > SHOWN else None
        return render_template("audit.html", rows=shown, older=older, action=action, person_name=person)

    @pages.get("/audit.csv")
    def audit_csv() -> Response:
        action, person = request.args.get("action", "").strip(), request.args.get("person", "").strip()
        response = Response(accounts.book.as_csv(action, person), mimetype="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = "attachment; filename=traylane-audit.csv"
        return response

    return pages
