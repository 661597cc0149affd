"""The Flask application of one appliance: live page, MJPEG, server-sent events, health, metrics.

Loopback only: there are no accounts yet, so a request that does not come for a loopback name is refused (this also
stops DNS rebinding), and a changing request that another site's page sends is refused by its `Origin`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from app.screen import LaneScreen, Picture, encode_jpeg
from app.site import Site
from core.errors import ConfigError, StoreUnavailable, TraylaneError

BOUNDARY = "traylane-frame"
PICTURE_WAIT_S = 1.0
STATE_PERIOD_S = 0.2
KEEP_ALIVE_S = 10.0
NO_PICTURE = Picture(0, encode_jpeg(np.full((360, 640, 3), 14, np.uint8)), 0.0)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
CONTENT_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


def create_app(site: Site) -> Flask:
    """Return the WSGI application that shows `site`; the caller starts and stops the site."""
    app = Flask("app")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    _guard(app, site)
    _pages(app, site)
    _live(app, site)
    _api(app, site)
    _answers(app, site)
    _health(app, site)
    return app


def _guard(app: Flask, site: Site) -> None:
    """Refuse foreign hosts and origins, add security headers, and answer errors in one JSON shape."""

    @app.before_request
    def check_origin() -> Response | None:
        host = urlsplit(f"//{request.host}").hostname or ""
        if site.loopback_only and host not in LOOPBACK:
            return problem(403, "Foreign host", f"this appliance answers on loopback only, not as {host!r}")
        origin = request.headers.get("Origin")
        if request.method not in {"GET", "HEAD", "OPTIONS"} and origin and urlsplit(origin).netloc != request.host:
            return problem(403, "Foreign origin", "a page of another site may not change anything here")
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        return response

    @app.errorhandler(HTTPException)
    def http_problem(error: HTTPException) -> Response:
        return problem(error.code or 500, error.name, error.description or error.name)

    @app.errorhandler(TraylaneError)
    def traylane_problem(error: TraylaneError) -> Response:
        status = 503 if isinstance(error, StoreUnavailable) else 400 if isinstance(error, ConfigError) else 500
        return problem(status, type(error).__name__, str(error))


def problem(status: int, title: str, detail: str) -> Response:
    """Return RFC 9457 problem details."""
    response = jsonify({"type": "about:blank", "title": title, "status": status, "detail": detail})
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


def _pages(app: Flask, site: Site) -> None:
    @app.get("/")
    def live() -> str:
        return render_template(
            "live.html", site_name=site.name, currency=site.currency, menu=site.menu_titles, lane_ids=site.lane_ids
        )

    @app.get("/bills")
    def bills_page() -> str:
        lane_id = request.args.get("lane") or None
        bills = site.bills(lane_id, limit=100)
        return render_template("bills.html", site_name=site.name, bills=bills, currency=site.currency, lane=lane_id)


def _live(app: Flask, site: Site) -> None:
    @app.get("/lanes/<lane_id>/video.mjpg")
    def video(lane_id: str) -> Response:
        screen = site.screen(lane_id)
        if screen is None:
            return unknown_lane(lane_id, site)

        response = Response(_picture_parts(site, screen), mimetype=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/lanes/<lane_id>/still.jpg")
    def still(lane_id: str) -> Response:
        screen = site.screen(lane_id)
        if screen is None:
            return unknown_lane(lane_id, site)
        picture = screen.picture(0, PICTURE_WAIT_S)
        if picture is None:
            return problem(503, "No picture", f"lane {lane_id} has not seen a frame yet")
        return Response(picture.jpeg, mimetype="image/jpeg", headers={"Cache-Control": "no-store"})

    @app.get("/api/v1/lanes/stream")
    def stream() -> Response:
        response = Response(_state_events(site), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        return response


def _picture_parts(site: Site, screen: LaneScreen) -> Iterator[bytes]:
    """Yield the pictures of a lane as parts of a multipart stream.

    When nothing new comes the last picture (a dark one if there was none) is sent again: a browser's page counts as
    loading until each of its pictures has begun, and only a write finds out that a viewer is gone.
    """
    shown = NO_PICTURE
    yield f"--{BOUNDARY}\r\n".encode()
    while not site.closing.is_set():
        shown = screen.picture(shown.number, PICTURE_WAIT_S) or shown
        yield _part(shown)


def _part(picture: Picture) -> bytes:
    """Return one part with the boundary that follows it: browsers show a part when they see its end."""
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
        f"X-Captured-At: {picture.captured_at_s:.6f}\r\n\r\n"
    )
    return head.encode() + picture.jpeg + f"\r\n--{BOUNDARY}\r\n".encode()


def _state_events(site: Site) -> Iterator[str]:
    """Yield each lane's state when it changed, at most every `STATE_PERIOD_S`, and a comment to keep the line open."""
    shown: dict[str, str] = {}
    spoken_s = time.monotonic()
    while not site.closing.is_set():
        for lane_id in site.lane_ids:
            state = json.dumps(site.state(lane_id))
            if shown.get(lane_id) != state:
                shown[lane_id] = state
                spoken_s = time.monotonic()
                yield f"event: lane\ndata: {state}\n\n"
        if time.monotonic() - spoken_s > KEEP_ALIVE_S:
            spoken_s = time.monotonic()
            yield ": still here\n\n"
        site.closing.wait(STATE_PERIOD_S)


def _api(app: Flask, site: Site) -> None:
    @app.get("/api/v1/lanes")
    def lanes() -> Response:
        return jsonify({"lanes": [site.state(lane_id) for lane_id in site.lane_ids]})

    @app.get("/api/v1/lanes/<lane_id>")
    def lane(lane_id: str) -> Response:
        if lane_id not in site.lane_ids:
            return unknown_lane(lane_id, site)
        return jsonify(site.state(lane_id))

    @app.get("/api/v1/bills")
    def bills() -> Response:
        try:
            limit = int(request.args.get("limit", "50"))
        except ValueError:
            limit = 0
        if not 1 <= limit <= 500:
            return problem(400, "Bad limit", "limit must be a whole number from 1 to 500")
        lane_id = request.args.get("lane")
        if lane_id is not None and lane_id not in site.lane_ids:
            return unknown_lane(lane_id, site)
        return jsonify({"bills": site.bills(lane_id, limit)})


def _answers(app: Flask, site: Site) -> None:
    @app.post("/api/v1/lanes/<lane_id>/answers")
    def answer(lane_id: str) -> Response:
        if lane_id not in site.lane_ids:
            return unknown_lane(lane_id, site)
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or type(body.get("track_id")) is not int or not isinstance(body.get("dish"), str):
            return problem(400, "Bad answer", 'send {"track_id": 7, "dish": "soup"}; an empty dish means: not a dish')
        if body["dish"] and body["dish"] not in site.menu_titles:
            return problem(422, "Unknown dish", f"{body['dish']!r} is not on the menu")
        if not site.answer(lane_id, body["track_id"], body["dish"]):
            return problem(409, "Nothing to answer", f"lane {lane_id} has no open question about {body['track_id']}")
        return jsonify({"accepted": True})


def unknown_lane(lane_id: str, site: Site) -> Response:
    """Return 404 that names the lanes there are."""
    return problem(404, "Unknown lane", f"there is no lane {lane_id!r}; lanes: {', '.join(site.lane_ids)}")


def _health(app: Flask, site: Site) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    @app.get("/readiness")
    def readiness() -> Response:
        waiting = site.not_ready()
        response = jsonify({"ready": not waiting, "waiting_for": waiting})
        response.status_code = 503 if waiting else 200
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(site.metrics_text(), mimetype="text/plain; version=0.0.4; charset=utf-8")
