"""People: who may come in, as what, to which lanes."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request

from app.accounts.accounts import Accounts
from app.accounts.errors import AccountRefused
from app.accounts.passwords import make_password
from app.guard import current_person
from app.languages import gettext
from app.pages.account_texts import ROLE_TEXTS, refused_text
from app.permissions import Role
from app.site import Site
from store.accounts import PersonRow


def user_pages(site: Site, accounts: Accounts) -> Blueprint:
    """Return the list of people, where they are added, and the page of one."""
    pages = Blueprint("user_pages", __name__)
    people = accounts.people

    @pages.get("/users")
    def users() -> Response:
        return _listing(site, accounts)

    @pages.post("/users")
    def add() -> Response:
        password = make_password() if request.form.get("with_password") else None
        name = request.form.get("name", "")
        try:
            row = people.add(current_person(), name, _roles(), _lanes(site.lane_ids), password)
        except AccountRefused as err:
            return _listing(site, accounts, refused_text(err), 422)
        if password is not None:
            return _show_once(row, password)
        flash(gettext("%(name)s was added.", name=row.name), "good")
        return current_app.make_response(redirect("/users"))

    @pages.get("/users/<person_id>")
    def person(person_id: str) -> Response:
        return _one(site, accounts, people.get(person_id))

    _add_changes(pages, site, accounts)
    return pages


def _add_changes(pages: Blueprint, site: Site, accounts: Accounts) -> None:
    """Add what changes one person."""
    people = accounts.people

    @pages.post("/users/<person_id>/access")
    def access(person_id: str) -> Response:
        row = people.get(person_id)
        try:
            people.set_access(current_person(), person_id, _roles(), _lanes([*site.lane_ids, *(row.lanes or ())]))
        except AccountRefused as err:
            return _one(site, accounts, row, refused_text(err), 422)
        flash(gettext("Roles and lanes of %(name)s are saved.", name=row.name), "good")
        return current_app.make_response(redirect(f"/users/{person_id}"))

    @pages.post("/users/<person_id>/password")
    def password(person_id: str) -> Response:
        row, made = people.get(person_id), make_password()
        people.set_password(current_person(), person_id, made)
        return _show_once(row, made)

    @pages.post("/users/<person_id>/disabled")
    def disabled(person_id: str) -> Response:
        row, wanted = people.get(person_id), request.form.get("disabled") == "yes"
        try:
            people.set_disabled(current_person(), person_id, wanted)
        except AccountRefused as err:
            return _one(site, accounts, row, refused_text(err), 422)
        told = gettext("%(name)s is disabled, and logged out everywhere.", name=row.name)
        flash(told if wanted else gettext("%(name)s may come in again.", name=row.name), "good")
        return current_app.make_response(redirect(f"/users/{person_id}"))


def _listing(site: Site, accounts: Accounts, wrong: str = "", status: int = 200) -> Response:
    page = render_template(
        "users.html",
        people=accounts.people.all(),
        role_texts=ROLE_TEXTS,
        lane_ids=site.lane_ids,
        wrong=wrong,
        form=request.form,
        required=accounts.required,
    )
    return _no_store(page, status)


def _one(site: Site, accounts: Accounts, row: PersonRow, wrong: str = "", status: int = 200) -> Response:
    page = render_template(
        "person.html",
        row=row,
        role_texts=ROLE_TEXTS,
        lane_ids=sorted({*site.lane_ids, *(row.lanes or ())}),
        sessions=accounts.sessions.of(row),
        has_password=accounts.people.has_password(row.person_id),
        wrong=wrong,
    )
    return _no_store(page, status)


def _roles() -> list[Role]:
    """Return the roles that the form ticks; those that do not exist are not among them."""
    return [role for role in Role if str(role) in request.form.getlist("role")]


def _lanes(known: list[str]) -> list[str] | None:
    """Return the lanes that the form ticks, None for all of them.

    Raises:
        AccountRefused: a lane that there is not.
    """
    if request.form.get("lanes") == "all":
        return None
    wanted = request.form.getlist("lane")
    if foreign := set(wanted) - set(known):
        raise AccountRefused("bad-lane", f"there is no lane {', '.join(sorted(foreign))}")
    return wanted


def _show_once(row: PersonRow, password: str) -> Response:
    """Show a password that was just made; it is kept nowhere."""
    return _no_store(render_template("secret.html", row=row, secret=password, kind="password"), 200)


def _no_store(page: str, status: int) -> Response:
    response = current_app.make_response(page)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
