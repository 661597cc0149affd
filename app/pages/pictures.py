"""Pictures of lanes: the marked-up stream, for people who debug with everything drawn, single pictures, objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from flask import Blueprint, Response, request

from app.api.problems import problem
from app.guard import Permit, stream_permit
from app.problems import unknown_lane
from app.screen import LaneScreen, Picture, encode_jpeg
from app.site import Site
from app.viewers import Viewers, Watched

BOUNDARY = "traylane-frame"
PARTS = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
PICTURE_WAIT_S = 1.0
NO_PICTURE = Picture(0, encode_jpeg(np.full((360, 640, 3), 14, np.uint8)), 0.0)
#: A track's number in an address; longer ones there are not.
_MOST_DIGITS = 15


def picture_pages(site: Site, viewers: Viewers) -> Blueprint:
    """Return the pictures of `site`; `viewers` counts who watches a stream."""
    pages = Blueprint("picture_pages", __name__)

    @pages.get("/lanes/<lane_id>/video.mjpg")
    def video(lane_id: str) -> Response:
        screen = site.screen(lane_id, debug=_wants_debug())
        if screen is None:
            return unknown_lane(lane_id, site)
        leave = viewers.admit()
        if leave is None:
            return problem(503, "Too many viewers", f"{viewers.limit} streams are open; close one or try again later")
        parts = Watched(_picture_parts(site, screen, stream_permit()), leave)
        return Response(parts, mimetype=PARTS, headers={"Cache-Control": "no-store"})

    @pages.get("/lanes/<lane_id>/still.jpg")
    def still(lane_id: str) -> Response:
        screen = site.screen(lane_id, debug=_wants_debug())
        if screen is None:
            return unknown_lane(lane_id, site)
        picture = screen.picture(0, PICTURE_WAIT_S)
        if picture is None:
            return problem(503, "No picture", f"lane {lane_id} has not seen a frame yet")
        return _jpeg(picture.jpeg)

    @pages.get("/lanes/<lane_id>/tracks/<track_id>.jpg")
    def track(lane_id: str, track_id: str) -> Response:
        if site.screen(lane_id) is None:
            return unknown_lane(lane_id, site)
        known = track_id.isascii() and track_id.isdigit() and len(track_id) <= _MOST_DIGITS
        crop = site.crop(lane_id, int(track_id)) if known else None
        if crop is None:
            return problem(404, "Unknown track", f"lane {lane_id} has no track {track_id!r} in its newest picture")
        return _jpeg(crop)

    return pages


def _wants_debug() -> bool:
    return request.args.get("debug") == "1"


def _jpeg(jpeg: bytes) -> Response:
    return Response(jpeg, mimetype="image/jpeg", headers={"Cache-Control": "no-store"})


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
