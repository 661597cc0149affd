"""The Flask application of one appliance: live page, MJPEG, the API (`app/api/`), health, metrics.

Loopback only: there are no accounts yet, so a request that does not come for a loopback name is refused (this also
stops DNS rebinding), and a changing request that another site's page sends is refused by its `Origin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
from flask import Flask, Response, jsonify, render_template, request

from app.api.problems import answer_errors, problem
from app.api.routes import api_blueprint
from app.api.services import make_services
from app.screen import LaneScreen, Picture, encode_jpeg
from app.site import Site
from app.viewers import Viewers, Watched
from checkout.config import LoadedConfig

BOUNDARY = "traylane-frame"
PICTURE_WAIT_S = 1.0
NO_PICTURE = Picture(0, encode_jpeg(np.full((360, 640, 3), 14, np.uint8)), 0.0)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
CONTENT_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


def create_app(site: Site, config: LoadedConfig | None = None) -> Flask:
    """Return the WSGI application that shows `site`; the caller starts and stops the site.

    Args:
        site: its lanes, bills and pictures.
        config: of the site; without it, what concerns the configuration file answers that there is none.
    """
    app = Flask("app")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    services = make_services(site, config)
    _guard(app, site)
    answer_errors(app)
    _pages(app, site)
    _live(app, site, services.viewers)
    app.register_blueprint(api_blueprint(services))
    _health(app, site)
    return app


def _guard(app: Flask, site: Site) -> None:
    """Refuse foreign hosts and origins, and add security headers."""

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


def _live(app: Flask, site: Site, viewers: Viewers) -> None:
    @app.get("/lanes/<lane_id>/video.mjpg")
    def video(lane_id: str) -> Response:
        screen = site.screen(lane_id)
        if screen is None:
            return unknown_lane(lane_id, site)
        leave = viewers.admit()
        if leave is None:
            return problem(503, "Too many viewers", f"{viewers.limit} streams are open; close one or try again later")
        parts = Watched(_picture_parts(site, screen), leave)
        response = Response(parts, mimetype=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
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
