"""Log in and out."""

from __future__ import annotations

import math

from flask import Blueprint, Response, current_app, redirect, render_template, request, session

from app.accounts.accounts import Accounts
from app.accounts.errors import LoginRefused, TooManyTries
from app.accounts.log_in import Ticket
from app.guard import current_person
from app.identify import session_cookie_name
from app.languages import gettext
from app.pages.frame import YEAR_S, local_path

DEVICE_COOKIE = "traylane_device"


def login_pages(accounts: Accounts) -> Blueprint:
    """Return the log-in page."""
    pages = Blueprint("login_pages", __name__)

    @pages.get("/login")
    def login() -> Response:
        wanted = local_path(request.args.get("next", ""))
        if current_person().known:
            return current_app.make_response(redirect(wanted))
        return _page("", wanted, "", 200)

    @pages.post("/login")
    def log_in() -> Response:
        name, wanted = request.form.get("name", ""), local_path(request.form.get("next", ""))
        device = request.cookies.get(DEVICE_COOKIE, "")
        address, agent = request.remote_addr or "", request.headers.get("User-Agent", "")
        try:
            ticket = accounts.log_in.with_password(name, request.form.get("password", ""), address, agent, device)
        except LoginRefused:
            return _page(name, wanted, gettext("Name and password do not fit."), 401)
        except TooManyTries as err:
            minutes = math.ceil(err.wait_s / 60)
            told = gettext("Too many tries from here. Wait %(n)s minutes, then try again.", n=minutes)
            response = _page(name, wanted, told, 429)
            response.headers["Retry-After"] = str(math.ceil(err.wait_s))
            return response
        return _let_in(accounts, ticket, wanted)

    @pages.post("/logout")
    def log_out() -> Response:
        cookie = request.cookies.get(session_cookie_name(), "")
        if cookie:
            accounts.sessions.end(cookie)
        session.clear()
        response = current_app.make_response(redirect("/login"))
        response.delete_cookie(session_cookie_name(), secure=request.is_secure, httponly=True, samesite="Lax")
        # What this browser kept of the pages goes, too; the theme's cookie and the device's stay.
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    return pages


def _page(name: str, wanted: str, refused: str, status: int) -> Response:
    response = current_app.make_response(render_template("login.html", name=name, wanted=wanted, refused=refused))
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def _let_in(accounts: Accounts, ticket: Ticket, wanted: str) -> Response:
    """Answer a log-in: everything that was known to whoever held this browser before is new."""
    old = request.cookies.get(session_cookie_name(), "")
    if old:
        accounts.sessions.end(old)
    session.clear()
    response = current_app.make_response(redirect("/account" if ticket.must_change else wanted))
    response.set_cookie(
        session_cookie_name(),
        ticket.cookie,
        max_age=int(ticket.lasts_s),
        httponly=True,
        secure=request.is_secure,
        samesite="Lax",
    )
    response.set_cookie(
        DEVICE_COOKIE,
        ticket.device,
        max_age=YEAR_S,
        path="/login",
        httponly=True,
        secure=request.is_secure,
        samesite="Lax",
    )
    response.headers["Cache-Control"] = "no-store"
    return response
