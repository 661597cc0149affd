"""The panel with the dashboards inside the operator's pages: optional, and never in the way.

Superset is a server of its own. Where it is not set up the page says how to set it up; where it does not answer the
page says so and tries again; nothing else of the product waits for it. The viewer's pass is signed here.
"""

from __future__ import annotations

import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flask import Blueprint, Response, jsonify, make_response, render_template

from app.embed import PASS_S, guest_token
from core.errors import ConfigError

_LOG = logging.getLogger(__name__)

ANSWER_S = 1.5


class DashboardsSettings(Protocol):
    """What the page needs of the configuration; `checkout.config.DashboardsSettings` is it."""

    @property
    def url(self) -> str | None:
        """Where Superset answers, for this program and for the viewer's browser."""
        ...

    @property
    def secret_file(self) -> Path:
        """The file with the secret that both share."""
        ...


@dataclass(frozen=True, slots=True)
class Panel:
    """One dashboard: `embed_id` is its UUID in `dashboards/assets`, the same on every installation."""

    slug: str
    title: str
    embed_id: str


#: A test holds the ids equal to those of the assets.
PANELS = (
    Panel("operations", "Operations", "e3aadc7c-bcd9-580c-b950-b44c6420162b"),
    Panel("sales", "Sales", "3f84099b-a1e2-5856-a0b8-d85d4a16905a"),
    Panel("quality", "Quality", "43ff3d86-b862-5f31-9b78-b10ebc5b5770"),
)


def answers(url: str) -> bool:
    """Return whether Superset is up."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=ANSWER_S) as answer:  # noqa: S310 - http(s) by the settings
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


def dashboards_page(
    settings: DashboardsSettings,
    viewer: Callable[[], str] = lambda: "viewer",
    clauses: Callable[[], tuple[str, ...]] = tuple,
    site_name: str = "",
) -> Blueprint:
    """Return the pages below /dashboards.

    Args:
        settings: where Superset is; without an url the page tells how to set it up.
        viewer: the name of who looks, for Superset's log.
        clauses: SQL conditions on `site` or `lane` that narrow what the viewer may see.
        site_name: shown in the title.
    """
    page = Blueprint("dashboards", __name__)

    @page.get("/dashboards", defaults={"slug": PANELS[0].slug})
    @page.get("/dashboards/<slug>")
    def show(slug: str) -> Response:
        panel = next((one for one in PANELS if one.slug == slug), None)
        if panel is None:
            response = make_response(_problem(404, "Unknown dashboard", f"there is no dashboard {slug!r}"))
            return response
        response = make_response(
            render_template("dashboards.html", site_name=site_name, panels=PANELS, panel=panel, superset=settings.url)
        )
        if settings.url:
            # Only this page may show a frame, and only Superset's.
            response.headers["Content-Security-Policy"] = (
                f"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
                f"frame-src {settings.url}; frame-ancestors 'none'"
            )
            # Superset lets itself be framed by this origin alone, which it learns from the Referer.
            response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        return response

    @page.get("/dashboards/state")
    def state() -> Response:
        up = settings.url is not None and answers(settings.url)
        return _fresh(jsonify({"set_up": settings.url is not None, "up": up}))

    @page.post("/dashboards/<slug>/pass")
    def viewer_pass(slug: str) -> Response:
        panel = next((one for one in PANELS if one.slug == slug), None)
        if panel is None or settings.url is None:
            return _problem(404, "Unknown dashboard", f"there is no dashboard {slug!r}")
        try:
            token = guest_token(read_secret(settings.secret_file), panel.embed_id, viewer(), time.time(), clauses())
        except (ConfigError, ValueError) as err:
            _LOG.error("dashboards: %s", err)
            return _problem(503, "No pass", str(err))
        return _fresh(jsonify({"token": token, "expires_in_s": PASS_S}))

    return page


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _problem(status: int, title: str, detail: str) -> Response:
    response = jsonify({"type": "about:blank", "title": title, "status": status, "detail": detail})
    response.status_code = status
    response.content_type = "application/problem+json"
    return response
