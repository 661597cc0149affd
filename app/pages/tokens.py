"""Tokens of machines: which there are, new ones, revoked ones."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request

from app.accounts.accounts import Accounts
from app.accounts.errors import AccountRefused
from app.guard import current_person
from app.languages import gettext
from app.pages.account_texts import ACTION_TEXTS, refused_text
from app.permissions import Action
from app.site import Site


def token_pages(site: Site, accounts: Accounts) -> Blueprint:
    """Return the page of tokens."""
    pages = Blueprint("token_pages", __name__)

    def listing(wrong: str = "", status: int = 200) -> Response:
        people = accounts.people.all()
        response = current_app.make_response(
            render_template(
                "tokens.html",
                tokens=accounts.tokens.all(),
                names={row.person_id: row.name for row in people},
                owners=[row for row in people if row.disabled_at_s is None],
                action_texts=ACTION_TEXTS,
                lane_ids=site.lane_ids,
                now_s=accounts.rows.clock.utc_s(),
                wrong=wrong,
                form=request.form,
            )
        )
        response.status_code = status
        return response

    @pages.get("/users/tokens")
    def tokens() -> Response:
        return listing()

    @pages.post("/users/tokens")
    def make() -> Response:
        form = request.form
        scopes = [action for action in Action if str(action) in form.getlist("scope")]
        lanes = None if form.get("lanes") == "all" else form.getlist("lane")
        days = int(form["days"]) if form.get("days", "").isdecimal() and len(form["days"]) < 6 else 0
        try:
            owner = accounts.people.get(form.get("owner", ""))
            made = accounts.tokens.make(current_person(), owner, form.get("label", ""), scopes, days, lanes)
        except AccountRefused as err:
            return listing(refused_text(err), 422)
        page = render_template("secret.html", row=owner, secret=made.token, kind="token")
        response = current_app.make_response(page)
        response.headers["Cache-Control"] = "no-store"
        return response

    @pages.post("/users/tokens/<token_id>/revoke")
    def revoke(token_id: str) -> Response:
        try:
            row = accounts.tokens.revoke(current_person(), token_id)
        except AccountRefused as err:
            return listing(refused_text(err), 404)
        flash(gettext("The token %(prefix)s… is revoked.", prefix=row.prefix), "good")
        return current_app.make_response(redirect("/users/tokens"))

    return pages
