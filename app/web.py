"""The Flask application of one appliance, put together: guard, pages, MJPEG, server-sent events, health, metrics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from flask import Flask, Response, jsonify

from app.accounts.accounts import Accounts, make_accounts
from app.accounts.proxy import TrustedProxy
from app.api.problems import problem
from app.api.routes import api_blueprint
from app.api.services import make_services
from app.forms import protect_forms
from app.guard import Permit, current_person, stand_guard, stream_permit
from app.identify import identify_by
from app.languages import speak
from app.pages.account import account_pages
from app.pages.audit import audit_pages
from app.pages.bills import bill_pages
from app.pages.desk import desk_pages
from app.pages.frame import add_frame
from app.pages.live import live_pages
from app.pages.login import login_pages
from app.pages.tokens import token_pages
from app.pages.users import user_pages
from app.problems import answer_errors, unknown_lane
from app.screen import LaneScreen, Picture, encode_jpeg
from app.site import Site
from app.viewers import Viewers, Watched
from checkout.config import LoadedConfig
from checkout.web_settings import WebSettings

BOUNDARY = "traylane-frame"
PARTS = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
PICTURE_WAIT_S = 1.0
NO_PICTURE = Picture(0, encode_jpeg(np.full((360, 640, 3), 14, np.uint8)), 0.0)


def create_app(site: Site, accounts: Accounts | None = None, config: LoadedConfig | None = None) -> Flask:
    """Return the WSGI application that shows `site`; the caller starts and stops the site.

    Args:
        site: what is shown.
        accounts: who may see it; by default those of the site's store, and nobody must log in.
        config: of the site; without it, what concerns the configuration file answers that there is none.
    """
    services = make_services(site, config)
    accounts = accounts or make_accounts(site.store.accounts(), WebSettings())
    app = Flask("app")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.wsgi_app = TrustedProxy(app.wsgi_app, accounts.web.accounts.proxy)  # type: ignore[method-assign]
    answer_errors(app)
    stand_guard(app, site, accounts, identify_by(accounts), protect_forms(app, accounts.key))
    speak(app, site.timezone)
    add_frame(app, site, accounts)
    app.register_blueprint(live_pages(site))
    app.register_blueprint(bill_pages(site))
    app.register_blueprint(desk_pages(site, config))
    app.register_blueprint(login_pages(accounts))
    app.register_blueprint(account_pages(accounts))
    app.register_blueprint(user_pages(site, accounts))
    app.register_blueprint(token_pages(site, accounts))
    app.register_blueprint(audit_pages(accounts))
    _live(app, site, services.viewers)
    app.register_blueprint(api_blueprint(services))
    _health(app, site)
    return app


def _live(app: Flask, site: Site, viewers: Viewers) -> None:
    @app.get("/lanes/<lane_id>/video.mjpg")
    def video(lane_id: str) -> Response:
        screen = site.screen(lane_id)
        if screen is None:
            return unknown_lane(lane_id, site)
        leave = viewers.admit()
        if leave is None:
            return problem(503, "Too many viewers", f"{viewers.limit} streams are open; close one or try again later")
        parts = Watched(_picture_parts(site, screen, stream_permit()), leave)
        response = Response(parts, mimetype=PARTS)
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


def _picture_parts(site: Site, screen: LaneScreen, permit: Permit) -> Iterator[bytes]:
    """Yield the pictures of a lane as parts of a multipart stream.

    When nothing new comes the last picture (a dark one if there was none) is sent again: a browser's page counts as
    loading until each of its pictures has begun, and only a write finds out that a viewer is gone.
    """
    shown = NO_PICTURE
    yield f"--{BOUNDARY}\r\n".encode()
    while not site.closing.is_set() and permit.holds():
        shown = screen.picture(shown.number, PICTURE_WAIT_S) or shown
        yield _part(shown)


def _part(picture: Picture) -> bytes:
    """Return one part with the boundary that follows it: browsers show a part when they see its end."""
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
        f"X-Captured-At: {picture.captured_at_s:.6f}\r\n\r\n"
    )
    return head.encode() + picture.jpeg + f"\r\n--{BOUNDARY}\r\n".encode()


def _health(app: Flask, site: Site) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    @app.get("/readiness")
    def readiness() -> Response:
        waiting = site.not_ready()
        # Everybody may know whether; which lanes and why is told to those who may see them.
        told = [line for line in waiting if current_person().may_see(line.partition(":")[0])]
        response = jsonify({"ready": not waiting, "waiting_for": told})
        response.status_code = 503 if waiting else 200
        return response

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(site.metrics_text(), mimetype="text/plain; version=0.0.4; charset=utf-8")
