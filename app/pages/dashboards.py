"""The page that shows the dashboards inside the others: optional, and never in the way.

Superset is a server of its own. Where it is not set up the page says how to set it up; where it does not answer the
page says so and tries again; nothing else of the product waits for it. The viewer's pass is signed here.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, jsonify, make_response, render_template

from app.accounts.person import Person
from app.api.problems import problem
from app.embed import PASS_S, guest_token
from app.guard import CONTENT_POLICY, current_person
from app.languages import lazy_gettext
from app.problems import refusal
from checkout.config import DashboardsSettings
from core.errors import ConfigError

_LOG = logging.getLogger(__name__)

ANSWER_S = 1.5
#: However many pages look, Superset is asked at most so often whether it is up.
ASK_AGAIN_S = 3.0
_LANE_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Panel:
    """One dashboard: `embed_id` is its UUID in `dashboards/assets`, the same on every installation."""

    slug: str
    title: str
    embed_id: str


#: A test holds the ids equal to those of the assets.
PANELS = (
    Panel("operations", lazy_gettext("Operations"), "e3aadc7c-bcd9-580c-b950-b44c6420162b"),
    Panel("sales", lazy_gettext("Sales"), "3f84099b-a1e2-5856-a0b8-d85d4a16905a"),
    Panel("quality", lazy_gettext("Quality"), "43ff3d86-b862-5f31-9b78-b10ebc5b5770"),
)


class Lookout:
    """Knows whether Superset is up, as of at most `ASK_AGAIN_S` ago; one request at a time asks it.

    Args:
        url: where it should answer.
        now_s: a monotonic clock.
    """

    def __init__(self, url: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._url, self._now_s = url, now_s
        self._lock = threading.Lock()
        self._asked_s, self._up = float("-inf"), False

    def up(self) -> bool:
        """Return whether it answers."""
        with self._lock:
            if self._now_s() - self._asked_s >= ASK_AGAIN_S:
                self._up = self._ask()
                self._asked_s = self._now_s()
            return self._up

    def _ask(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/health", timeout=ANSWER_S) as answer:  # noqa: S310 - http(s) only
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False


def read_secret(path: Path) -> str:
    """Return the shared secret.

    Raises:
        ConfigError: the file is missing or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as err:
        raise ConfigError(
            f"dashboards.secret_file: cannot read {path}: {err.strerror}; `dashboards/dash.py up` makes it"
        ) from err


def clauses_for(person: Person) -> tuple[str, ...]:
    """Return the SQL conditions that keep a person to their lanes; none for who may see all.

    What is no lane id is left out: nothing that anybody typed becomes SQL.

    >>> clauses_for(Person("1", "ann", frozenset(), frozenset(), frozenset({"lane2", "x') OR ('1'='1"})))
    ("lane IN ('lane2')",)
    """
    if person.lanes is None:
        return ()
    own = [f"'{lane_id}'" for lane_id in sorted(person.lanes) if _LANE_ID.fullmatch(lane_id)]
    return (f"lane IN ({', '.join(own)})" if own else "1 = 0",)


def dashboard_pages(settings: DashboardsSettings) -> Blueprint:
    """Return the pages below /dashboards.

    Args:
        settings: where Superset is; without a url the page tells how to set it up.
    """
    pages = Blueprint("dashboard_pages", __name__)
    lookout = None if settings.url is None else Lookout(settings.url)

    def panel_of(slug: str) -> Panel | None:
        return next((one for one in PANELS if one.slug == slug), None)

    @pages.get("/dashboards", defaults={"slug": PANELS[0].slug})
    @pages.get("/dashboards/<slug>")
    def show(slug: str) -> Response:
        panel = panel_of(slug)
        if panel is None:
            return refusal(404, "Unknown dashboard", _there_is_no(slug))
        page = render_template("dashboards.html", panels=PANELS, panel=panel, superset=settings.url)
        response = make_response(page)
        if settings.url is not None:
            # Only this page may show a frame, and only Superset's.
            response.headers["Content-Security-Policy"] = f"{CONTENT_POLICY}; frame-src {settings.url}"
            # Superset lets itself be framed by origins that it knows, and learns the origin from the Referer.
            response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        return response

    @pages.get("/dashboards/state")
    def state() -> Response:
        return _fresh(jsonify({"set_up": lookout is not None, "up": lookout is not None and lookout.up()}))

    @pages.post("/dashboards/<slug>/pass")
    def viewer_pass(slug: str) -> Response:
        panel = panel_of(slug)
        if panel is None or settings.url is None:
            return problem(404, "Unknown dashboard", _there_is_no(slug))
        person = current_person()
        try:
            secret = read_secret(settings.secret_file)
            token = guest_token(secret, panel.embed_id, person.name, time.time(), clauses_for(person))
        except (ConfigError, ValueError) as err:
            _LOG.error("dashboards: %s", err)
            return problem(503, "No pass", str(err))
        return _fresh(jsonify({"token": token, "expires_in_s": PASS_S}))

    return pages


def _there_is_no(slug: str) -> str:
    return f"there is no dashboard {slug!r}; dashboards: {', '.join(panel.slug for panel in PANELS)}"


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
