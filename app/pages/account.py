"""What is a person's own: password, log-ins elsewhere."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request

from app.accounts.accounts import Accounts
from app.accounts.errors import AccountRefused
from app.accounts.passwords import SHORTEST
from app.accounts.person import Via
from app.accounts.sessions import digest
from app.guard import current_person
from app.identify import session_cookie_name
from app.languages import gettext
from app.pages.account_texts import ROLE_TEXTS, refused_text
from app.problems import refusal


def account_pages(accounts: Accounts) -> Blueprint:
    """Return the page of one's own account."""
    pages = Blueprint("account_pages", __name__)

    def page(wrong: dict[str, str], status: int = 200) -> Response:
        person = current_person()
        row = None if person.via is Via.DEMO else accounts.people.get(person.person_id)
        response = current_app.make_response(
            render_template(
                "account.html",
                sessions=[] if row is None else accounts.sessions.of(row),
                this_session=digest(request.cookies.get(session_cookie_name(), "")),
                has_password=row is not None and accounts.people.has_password(row.person_id),
                role_texts=ROLE_TEXTS,
                shortest=SHORTEST,
                wrong=wrong,
                demo=row is None,
            )
        )
        response.status_code = status
        return response

    @pages.get("/account")
    def account() -> Response:
        return page({})

    @pages.post("/account/password")
    def password() -> Response:
        person, new = current_person(), request.form.get("new", "")
        if person.via is Via.DEMO:
            return refusal(409, "No account", "nobody logs in here: there is no password to change")
        if new != request.form.get("again", ""):
            return page({"again": gettext("The two do not agree.")}, 422)
        kept = digest(request.cookies.get(session_cookie_name(), ""))
        wait_s = accounts.log_in.wait_s(person.name, person.address)
        if wait_s:
            return page({"old": gettext("Too many tries from here. Wait a little, then try again.")}, 429)
        try:
            accounts.people.change_own_password(person, request.form.get("old", ""), new, kept)
        except AccountRefused as err:
            field = "old" if err.code == "old-password" else "new"
            return page({field: refused_text(err)}, 422)
        flash(gettext("The password is changed. All other log-ins have ended."), "good")
        return current_app.make_response(redirect("/" if person.must_change else "/account"))

    @pages.post("/account/logout-everywhere")
    def log_out_everywhere() -> Response:
        person = current_person()
        accounts.sessions.end_all(person.person_id, but=digest(request.cookies.get(session_cookie_name(), "")))
        accounts.book.write(person, "person.logout-everywhere", person.name)
        flash(gettext("All other log-ins have ended."), "good")
        return current_app.make_response(redirect("/account"))

    return pages
