"""The Flask application of one appliance, put together: guard, pages, MJPEG, server-sent events, health, metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np
from flask import Flask, Response, jsonify, request

from app.accounts.accounts import Accounts, make_accounts
from app.accounts.proxy import TrustedProxy
from app.forms import protect_forms
from app.guard import Permit, current_person, stand_guard, stream_permit
from app.identify import identify_by
from app.languages import speak
from app.pages.account import account_pages
from app.pages.audit import audit_pages
from app.pages.bills import bill_pages, seen_bills
from app.pages.frame import add_frame
from app.pages.live import live_pages
from app.pages.login import login_pages
from app.pages.tokens import token_pages
from app.pages.users import user_pages
from app.problems import answer_errors, problem, unknown_lane
from app.screen import LaneScreen, Picture, encode_jpeg
from app.site import Site
from checkout.web_settings import WebSettings

BOUNDARY = "traylane-frame"
PARTS = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
PICTURE_WAIT_S = 1.0
STATE_PERIOD_S = 0.2
KEEP_ALIVE_S = 10.0
NO_PICTURE = Picture(0, encode_jpeg(np.full((360, 640, 3), 14, np.uint8)), 0.0)


def create_app(site: Site, accounts: Accounts | None = None) -> Flask:
    """Return the WSGI application that shows `site`; the caller starts and stops the site.

    Args:
        site: what is shown.
        accounts: who may see it; by default those of the site's store, and nobody must log in.
    """
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
    app.register_blueprint(login_pages(accounts))
    app.register_blueprint(account_pages(accounts))
    app.register_blueprint(user_pages(site, accounts))
    app.register_blueprint(token_pages(site, accounts))
    app.register_blueprint(audit_pages(accounts))
    _live(app, site)
    _api(app, site)
    _answers(app, site)
    _health(app, site)
    return app


def _live(app: Flask, site: Site) -> None:
    @app.get("/lanes/<lane_id>/video.mjpg")
    def video(lane_id: str) -> Response:
        screen = site.screen(lane_id)
        if screen is None:
            return unknown_lane(lane_id, site)

        response = Response(_picture_parts(site, screen, stream_permit()), mimetype=PARTS)
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
        response = Response(_state_events(site, own_lanes(site), stream_permit()), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        return response


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


def own_lanes(site: Site) -> list[str]:
    """Return the lanes that the person may see, in the order of the configuration."""
    return [lane_id for lane_id in site.lane_ids if current_person().may_see(lane_id)]


def _state_events(site: Site, lane_ids: list[str], permit: Permit) -> Iterator[str]:
    """Yield each lane's state when it changed, at most every `STATE_PERIOD_S`, and a comment to keep the line open."""
    shown: dict[str, str] = {}
    spoken_s = time.monotonic()
    while not site.closing.is_set() and permit.holds():
        for lane_id in lane_ids:
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
        return jsonify({"lanes": [site.state(lane_id) for lane_id in own_lanes(site)]})

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
        if lane_id is not None and lane_id not in own_lanes(site):
            return unknown_lane(lane_id, site, own_lanes(site))
        return jsonify({"bills": seen_bills(site, current_person(), lane_id, limit)})


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
