"""What is drawn on a still: the zones of the configuration file, and the newest picture of a lane, nothing on it."""

from __future__ import annotations

import base64
import os
from typing import Literal

from pydantic import Field

from app.api.lanes import LanePath, known_lane
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem
from app.api.services import no_file
from app.api.shapes import LaneId, Shape, UtcTime
from app.screen import encode_jpeg
from app.settings_file import sha256_of_text, value_at
from checkout.config import SiteConfig
from checkout.zones import parse_polygon
from core.clock import utc_text
from core.records import HAND, TrackState
from core.settings import parse_settings

#: Dishes are taught from these pictures: they shall lose nothing.
QUALITY = 95
_SEEN = (TrackState.CONFIRMED, TrackState.TENTATIVE)


class ZoneShape(Shape):
    """A named polygon."""

    name: str = Field(description="Unique in its lane", examples=["tray"])
    role: Literal["tray", "belt", "exit"] = Field(description="tray: items here are on the bill")
    corners: list[tuple[float, float]] = Field(description="x and y relative to the picture, 0 to 1")


class LaneZones(Shape):
    """The zones of a lane, as the file has them."""

    lane_id: LaneId
    written: bool = Field(description="The file names them; else they are what a lane has by default")
    runs: bool = Field(description="The lane runs now, so there is a picture of it")
    zones: list[ZoneShape] = Field(description="In the order of the file")


class ZoneList(Shape):
    """The zones of all lanes of the file."""

    settings_sha256: str = Field(description="Of the text that they were read from")
    lanes: list[LaneZones] = Field(description="In the order of the file")


class SeenBox(Shape):
    """Where something is seen."""

    label: str = Field(description="What the model takes it for")
    box: tuple[float, float, float, float] = Field(description="Left, top, right, bottom, pixels")


class Snapshot(Shape):
    """A lane's picture at one moment."""

    lane_id: LaneId
    captured_at: UtcTime
    width: int = Field(description="Pixels")
    height: int = Field(description="Pixels")
    jpeg_base64: str = Field(description="The picture as it came from the camera, JPEG")
    boxes: list[SeenBox] = Field(description="What is seen in it; hands are left out")


def _zones(call: Call) -> Reply:
    file = call.services.settings
    if file is None:
        raise no_file()
    text = file.text()
    faults = file.faults(text)
    if faults:
        told = f"line {faults[0].line}: {faults[0].key}: {faults[0].message}"
        raise ApiProblem(409, "Broken settings", f"{file.path.name} has to be put right first: {told}")
    site = parse_settings(SiteConfig, text.encode(), file.path.name, os.environ)
    running = set(call.services.site.lane_ids)
    lanes = [
        LaneZones(
            lane_id=lane_id,
            written=value_at(text, f"lanes.{lane_id}.zones") is not None,
            runs=lane_id in running,
            zones=[
                ZoneShape(name=name, role=zone.role, corners=list(parse_polygon(zone.polygon)))
                for name, zone in lane.zones.items()
            ],
        )
        for lane_id, lane in site.lanes.items()
    ]
    return Reply(ZoneList(settings_sha256=sha256_of_text(text), lanes=lanes))


def _snapshot(call: Call) -> Reply:
    lane_id = known_lane(call, call.path_as(LanePath).lane_id)
    screen = call.services.site.screen(lane_id)
    update = None if screen is None else screen.latest()
    if update is None or update.frame is None:
        raise ApiProblem(503, "No picture", f"lane {lane_id} has not seen a frame yet; look whether its camera is on")
    frame = update.frame
    height, width = frame.image.shape[:2]
    boxes = [
        SeenBox(label=track.label, box=(round(x1, 1), round(y1, 1), round(x2, 1), round(y2, 1)))
        for track in update.tracks.tracks
        for x1, y1, x2, y2 in [map(float, track.box)]
        if track.state in _SEEN and track.label != HAND
    ]
    shown = Snapshot(
        lane_id=lane_id,
        captured_at=utc_text(frame.captured_at_s),
        width=width,
        height=height,
        jpeg_base64=base64.b64encode(encode_jpeg(frame.image, QUALITY)).decode(),
        boxes=boxes,
    )
    return Reply(shown, headers=(("Cache-Control", "no-store"),))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("settings_zones", "GET", "/settings/zones", "Zones of all lanes", "settings", _zones, ZoneList,
                  problems=(409,), more="They are changed with PATCH /settings."),
        Operation(
            "lanes_snapshot", "GET", "/lanes/{lane_id}/snapshot", "The newest picture, nothing drawn on it", "lanes",
            _snapshot, Snapshot, path=LanePath, problems=(404, 503),
        ),
    )  # fmt: skip
