"""What surrounds every page: the rail, the reader's language and theme."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, redirect, request

from app.accounts.accounts import Accounts
from app.accounts.person import Via
from app.api.problems import problem
from app.guard import current_person
from app.languages import LANGUAGE_COOKIE, LANGUAGES, lazy_gettext, shown_language
from app.permissions import Everyone, need_of
from app.site import Site

YEAR_S = 365 * 24 * 3600
THEMES = {"light", "dark"}


@dataclass(frozen=True, slots=True)
class RailEntry:
    """One entry of the left rail: shown if its page exists and the person may open it."""

    path: str
    name: str
    icon: str


#: In the order of the rail; the icon is an id in `static/icons.svg`.
RAIL = (
    RailEntry("/", lazy_gettext("Live"), "live"),
    RailEntry("/bills", lazy_gettext("Bills"), "bills"),
    RailEntry("/questions", lazy_gettext("Questions"), "questions"),
    RailEntry("/menu", lazy_gettext("Menu"), "menu"),
    RailEntry("/label", lazy_gettext("Label"), "label"),
    RailEntry("/dashboards", lazy_gettext("Dashboards"), "dashboards"),
    RailEntry("/models", lazy_gettext("Models"), "models"),
    RailEntry("/replay", lazy_gettext("Replay"), "replay"),
    RailEntry("/settings", lazy_gettext("Settings"), "settings"),
    RailEntry("/users", lazy_gettext("Users"), "users"),
    RailEntry("/audit", lazy_gettext("Audit"), "audit"),
)


def add_frame(app: Flask, site: Site, accounts: Accounts, off_rail: frozenset[str] = frozenset()) -> None:
    """Give every template the frame's values, and add the switch of the language.

    Args:
        app: the application.
        site: what it shows.
        accounts: who may see it.
        off_rail: paths of pages that are there and not set up, so that no link leads to them.
    """

    @app.context_processor
    def frame() -> dict[str, object]:
        theme = request.cookies.get("traylane_theme", "")
        return {
            "site_name": site.name,
            "site_timezone": site.timezone,
            "currency": site.currency,
            "person": current_person(),
            "rail": rail(off_rail),
            "account_path": "/account" if accounts.required and current_person().may(Everyone.SIGNED_IN) else "",
            "language": shown_language(),
            "languages": LANGUAGES,
            "theme": theme if theme in THEMES else "",
        }

    @app.post("/language")
    def language() -> Response:
        wanted = request.form.get("language", "")
        if wanted not in LANGUAGES:
            return problem(400, "Unknown language", f"there is {', '.join(LANGUAGES)}, not {wanted!r}")
        person = current_person()
        if person.via in {Via.SESSION, Via.PROXY}:
            accounts.people.set_language(person, wanted)
        response = current_app.make_response(redirect(local_path(request.form.get("next", ""))))
        response.set_cookie(
            LANGUAGE_COOKIE, wanted, max_age=YEAR_S, samesite="Lax", httponly=True, secure=request.is_secure
        )
        return response


def rail(off_rail: frozenset[str] = frozenset()) -> list[RailEntry]:
    """Return the entries that this person gets to see."""
    pages = {rule.rule for rule in current_app.url_map.iter_rules() if "GET" in (rule.methods or ())} - off_rail
    person = current_person()
    return [entry for entry in RAIL if entry.path in pages and person.may(need_of("GET", entry.path))]


def local_path(wanted: str) -> str:
    r"""Return a path of this site to go on to; anything that leads elsewhere becomes "/".

    >>> local_path("/bills?lane=lane1"), local_path("https://evil.example/"), local_path("//evil.example")
    ('/bills?lane=lane1', '/', '/')
    >>> local_path("/\\evil.example"), local_path("/a\nb"), local_path("")
    ('/', '/', '/')
    """
    parts = urlsplit(wanted)
    odd = "\\" in wanted or any(ord(letter) < 33 for letter in wanted)
    if odd or parts.scheme or parts.netloc or not wanted.startswith("/") or wanted.startswith("//"):
        return "/"
    return wanted
