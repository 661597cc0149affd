"""Every refusal and failure in one shape: RFC 9457 problem details for programs, a page for people."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, current_app, render_template, request
from werkzeug.exceptions import HTTPException

from app.accounts.errors import AccountRefused
from app.api.problems import ApiProblem, problem, status_of
from app.site import Site
from core.errors import TraylaneError
from core.redact import redact_text


def refusal(status: int, title: str, detail: str) -> Response:
    """Return a problem as a page where a person looks at a page, else as problem details."""
    if not wants_page():
        return problem(status, title, detail)
    page = render_template("error.html", status=status, title=title, detail=redact_text(detail))
    response = current_app.make_response(page)
    response.status_code = status
    return response


def wants_page() -> bool:
    """Return whether a browser asks for a page, and not a program for JSON."""
    if request.path.startswith("/api/"):
        return False
    return "text/html" in request.headers.get("Accept", "")


def unknown_lane(lane_id: str, site: Site, shown: Sequence[str] | None = None) -> Response:
    """Return 404 that names the lanes there are.

    Args:
        lane_id: the one that is not there.
        site: has the lanes.
        shown: the lanes that may be named; all by default.
    """
    lanes = site.lane_ids if shown is None else shown
    return problem(404, "Unknown lane", f"there is no lane {lane_id!r}; lanes: {', '.join(lanes)}")


def answer_errors(app: Flask) -> None:
    """Answer HTTP errors and our own in that shape."""

    @app.errorhandler(HTTPException)
    def http_problem(error: HTTPException) -> Response:
        response = refusal(error.code or 500, error.name, error.description or error.name)
        for name, value in error.get_headers():
            if name in {"Allow", "Retry-After", "WWW-Authenticate"}:
                response.headers[name] = value
        return response

    @app.errorhandler(TraylaneError)
    def traylane_problem(error: TraylaneError) -> Response:
        status = status_of(error)
        if isinstance(error, AccountRefused):
            status = 404 if error.code.startswith("no-") else 422
        return refusal(status, type(error).__name__, str(error))

    @app.errorhandler(ApiProblem)
    def api_problem(error: ApiProblem) -> Response:
        response = problem(error.status, error.title, error.detail, error.errors)
        response.headers.extend(error.headers)
        return response
