"""What stands before every request: foreign hosts and pages, who asks, whether they may, and the headers of the answer.

The order: host and origin; the route's row in `app/permissions.py`; who it is; whether their actions hold what the row
needs; whether the lane in the path is theirs; the form's token where a browser's cookie is what proves them. A route
without a row is refused.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import quote, urlsplit

from flask import Flask, Response, current_app, g, redirect, request
from werkzeug.exceptions import Unauthorized

from app.accounts.accounts import Accounts
from app.accounts.audit import AuditBook, Values
from app.accounts.person import Person, Via, nobody
from app.accounts.proxy import is_address
from app.api.problems import problem
from app.permissions import Everyone, Need, need_of
from app.problems import refusal, wants_page
from app.site import Site
from checkout.web_settings import LOOPBACK, WebSettings
from core.errors import StoreUnavailable

_LOG = logging.getLogger(__name__)

#: The longest form of a page without files.
FORM_BYTES = 256 * 1024
SAFE = {"GET", "HEAD", "OPTIONS"}
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers then send `Origin: null` with forms, and the origin is what is checked.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

#: A stream asks at most so often whether its viewer may still look.
LOOK_AGAIN_S = 2.0
_BOOK = "traylane-audit"

#: Finds out who sends the request.
Identify = Callable[[], Person]
#: Checks the token of a form or fetch; raises an HTTP error.
CheckForm = Callable[[], None]


def current_person() -> Person:
    """Return who sends this request."""
    return cast(Person, g.get("person") or nobody())


class Permit:
    """Tells a stream whether its viewer may still look; asks at most every `LOOK_AGAIN_S`.

    Args:
        again: finds out who it is now.
        may: whether that person may look.
        lanes: what they might see when the stream began: one that shows several lanes ends when this changes.
    """

    def __init__(self, again: Identify, may: Callable[[Person], bool], lanes: frozenset[str] | None = None) -> None:
        self._again, self._may, self._lanes = again, may, lanes
        self._asked_s = time.monotonic()

    def holds(self) -> bool:
        """Return whether the stream may go on."""
        now_s = time.monotonic()
        if now_s - self._asked_s < LOOK_AGAIN_S:
            return True
        self._asked_s = now_s
        try:
            person = self._again()
            return self._may(person) and person.lanes == self._lanes
        except Unauthorized:
            return False
        except StoreUnavailable:
            return True  # who was let in stays: while the store is away nobody can be shut out either


def stream_permit() -> Permit:
    """Return what an endless answer asks in its loop: a log-in that ends, or a right that goes, ends the answer."""
    rule = request.url_rule
    need = None if rule is None else need_of(request.method, rule.rule)
    lane_id = (request.view_args or {}).get("lane_id")
    return Permit(g.again, lambda person: person.may(need, lane_id), current_person().lanes)


def audit(person: Person, action: str, target: str, before: Values | None = None, after: Values | None = None) -> None:
    """Write down that a person changed a price, label, model, user or setting; secrets are hidden.

    Args:
        person: who; in a request `current_person()`.
        action: what, as `thing.verb`, such as "menu.price".
        target: on which thing.
        before: the values that changed, as they were; None for what is new.
        after: the same values as they are now; None for what is gone.

    Raises:
        StoreUnavailable: it cannot be written down; write it before what cannot be undone.
    """
    book: AuditBook = current_app.extensions[_BOOK]
    book.write(person, action, target, before, after)


def note(person: Person, action: str, target: str, before: Values | None = None, after: Values | None = None) -> None:
    """Write down what a lane has already decided, as `audit` does.

    A lane goes on while the store is away, and keeps its journal until the store is back. What a person told it is done
    then, too, so it is no failure: the log keeps what the audit could not take.
    """
    try:
        audit(person, action, target, before, after)
    except StoreUnavailable as err:
        _LOG.error("not in the audit, for %s: %s of %s by %s: %s", err, action, target, person.name, after)


def stand_guard(app: Flask, site: Site, accounts: Accounts, identify: Identify, check_form: CheckForm) -> None:
    """Put the guard before every route of `app`, those that are added later, too.

    Args:
        app: the application.
        site: has the lanes.
        accounts: who may come in, and under which names the pages are known.
        identify: finds out who sends a request, and leaves in `g.again` what finds it out later.
        check_form: checks the token of a form or fetch; raises an HTTP error.
    """
    app.extensions[_BOOK] = accounts.book
    names = _own_names(accounts.web)

    @app.before_request
    def check() -> Response | None:
        if request.mimetype == "application/x-www-form-urlencoded":
            request.max_content_length = FORM_BYTES  # it is read whole, before anybody is known
        return _foreign(site, names) or _let_in(identify, check_form)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if current_person().known:
            response.headers.setdefault("Cache-Control", "no-store")
        if request.method == "HEAD":
            # Nobody reads the body, so nobody would end it: a stream would count as watched for ever.
            response.close()
            response.response = []
        return response


def _own_names(web: WebSettings) -> frozenset[str]:
    """Return the names under which people may open the pages, beside addresses."""
    own = socket.gethostname().casefold()
    names = {"localhost", own, f"{own.partition('.')[0]}.local", web.host.casefold()}
    return frozenset(names | {name.casefold() for name in web.allowed_hosts})


def _foreign(site: Site, names: frozenset[str]) -> Response | None:
    """Refuse what another site's page sends, and names under which this appliance is not known.

    A page of an attacker whose name is made to point here (DNS rebinding) sends that name as the host; it cannot make a
    browser send an address instead, so addresses are fine.
    """
    host = _host_name()
    if site.loopback_only and host not in LOOPBACK:
        return problem(403, "Foreign host", f"this appliance answers on loopback only, not as {host!r}")
    if host not in names and not is_address(host):
        return problem(403, "Foreign host", f"this appliance is not known as {host!r}; see web.allowed_hosts")
    origin = request.headers.get("Origin")
    if request.method not in SAFE and origin and urlsplit(origin).netloc != request.host:
        return problem(403, "Foreign origin", "a page of another site may not change anything here")
    return None


def _host_name() -> str:
    """Return the host of the request without its port; "" if it is no host."""
    try:
        return (urlsplit(f"//{request.host}").hostname or "").casefold()
    except ValueError:
        return ""


def _let_in(identify: Identify, check_form: CheckForm) -> Response | None:
    if request.url_rule is None or request.method == "OPTIONS":
        return None  # 404 and 405 are Flask's to tell; OPTIONS tells what a route allows
    need = need_of(request.method, request.url_rule.rule)
    if need is None:
        _LOG.error("%s %s has no row in app/permissions.py: refused", request.method, request.url_rule.rule)
        return refusal(403, "Not permitted", f"nobody may {request.method} {request.path}: it has no permission row")
    if request.endpoint == "static":
        return None
    try:
        person = g.person = identify()
    except StoreUnavailable:
        if need is not Everyone.ANYONE:
            raise
        person = g.person = nobody()  # health is told while the store is away
    refused = _refused(person, need)
    if refused is None and request.method not in SAFE and person.via in {Via.SESSION, Via.PROXY, Via.NOTHING}:
        check_form()
    return refused


def _refused(person: Person, need: Need) -> Response | None:
    if need is Everyone.ANYONE:
        return None
    if not person.known:
        return _ask_to_log_in()
    if person.must_change and need is not Everyone.SIGNED_IN:
        if wants_page() and request.method in SAFE:
            return cast(Response, redirect("/account"))
        return refusal(403, "Not permitted", f"{person.name} has to change the password first: on /account")
    lane_id = (request.view_args or {}).get("lane_id")
    if person.may(need, lane_id):
        return None
    if need is Everyone.SIGNED_IN:
        lacks = "lacks a log-in by a person"
    elif need not in person.actions:
        lacks = f"lacks the right {str(need)!r}"
    elif lane_id is None:
        lacks = f"is confined to some lanes, and the right {str(need)!r} concerns all"
    else:
        # The same answer whether there is such a lane or not.
        lacks = f"may not see lane {lane_id!r}"
    return refusal(403, "Not permitted", f"{person.name} {lacks}: {request.method} {request.path}")


def _ask_to_log_in() -> Response:
    if wants_page() and request.method in SAFE:
        wanted = request.full_path.rstrip("?")
        return cast(Response, redirect(f"/login?next={quote(wanted, safe='/')}"))
    response = refusal(401, "Log-in required", "log in, or send a token: Authorization: Bearer tlk_…")
    response.headers["WWW-Authenticate"] = 'Bearer realm="traylane"'
    return response
