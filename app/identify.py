"""Who sends a request: a bearer token, a proven name of the proxy, a session's cookie, or nobody."""

from __future__ import annotations

from collections.abc import Callable

from flask import g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.accounts.accounts import Accounts
from app.accounts.person import Person, nobody
from app.accounts.proxy import PROVEN_NAME


def session_cookie_name() -> str:
    """Return the cookie's name: over https a browser keeps it from other hosts and from plain http by its prefix."""
    return "__Host-traylane" if request.is_secure else "traylane_session"


def identify_by(accounts: Accounts) -> Callable[[], Person]:
    """Return what finds out who sends the present request; it leaves in `g.again` what finds it out later."""

    def identify() -> Person:
        g.again = _question(accounts)
        return g.again()  # type: ignore[no-any-return]

    return identify


def _question(accounts: Accounts) -> Callable[[], Person]:
    """Return a function that tells who it is, now and as long as the answer streams."""
    address = request.remote_addr or ""
    if not accounts.required:
        return lambda: accounts.demo(address)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        return lambda: accounts.tokens.find(token.strip(), address) or _refuse_token()
    name = request.environ.get(PROVEN_NAME)
    if name is not None:
        return lambda: accounts.by_proxy(name, address)
    cookie = request.cookies.get(session_cookie_name(), "")

    # Only the request itself counts as use: a page that is left open is nobody who works.
    uses = iter((True,))

    def by_cookie() -> Person:
        found = accounts.by_session(cookie, address, next(uses, False)) if cookie else None
        return found[0] if found else nobody(address)

    return by_cookie


def _refuse_token() -> Person:
    raise Unauthorized(
        "the bearer token is unknown, revoked or over; make a new one",
        www_authenticate=WWWAuthenticate("bearer", {"realm": "traylane", "error": "invalid_token"}),
    )
