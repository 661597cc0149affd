"""The pictures of a bill that are worth keeping: seconds around its fullest moment, and the best view of each line.

Nothing outside the zones is ever held: a picture is masked before anything else happens to it. The roll holds the last
`clip_s` seconds, scaled down. When the bill has more on it than ever before, and `SETTLE_S` later, the roll is the
best clip so far: what lies there then is what is charged, seen coming in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from checkout.evidence.settings import EvidenceSettings
from checkout.pipeline import LaneUpdate
from checkout.presence import side
from checkout.zones import Zone
from core.records import Bill, Track

Image = NDArray[np.uint8]

#: The clip goes on for this long after the last item was put down.
SETTLE_S = 0.8
#: A view replaces a line's best one when it is this much better: copying each slightly better one costs for nothing.
BETTER = 1.1
#: Room around an object in its crop, of its box.
MARGIN = 0.12
#: Crops wider or higher than this are scaled down.
MOST_CROP_PX = 320
_OUTSIDE = (58, 58, 62)


@dataclass(frozen=True, slots=True)
class View:
    """The best picture of one track so far."""

    crop: Image
    worth: float
    captured_at_s: float


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a bill's packet gets.

    Attributes:
        clip: masked pictures (H, W, 3) uint8 RGB, of one size, oldest first.
        fps: their rate.
        crops: by track id.
    """

    clip: tuple[Image, ...]
    fps: float
    crops: dict[int, View]


@dataclass(slots=True)
class _Open:
    """What is gathered for the bill that is open."""

    bill_id: str
    most_lines: int = 0
    clip_at_s: float | None = None
    clip: tuple[Image, ...] = ()
    crops: dict[int, View] = field(default_factory=dict)


class ZoneMask:
    """Blanks what is outside the zones; remembers the mask of the latest frame size."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        self._outside: NDArray[np.bool_] | None = None

    def __call__(self, image: Image) -> Image:
        """Return a copy of the picture (H, W, 3) with everything outside the zones blank."""
        height, width = image.shape[:2]
        if self._outside is None or self._outside.shape != (height, width):
            inside = np.zeros((height, width), np.uint8)
            cv2.fillPoly(inside, [zone.corners_px(width, height) for zone in self._zones], 1)
            self._outside = inside == 0
        masked = image.copy()
        masked[self._outside] = _OUTSIDE
        return masked


class CameraRoll:
    """Gathers pictures of one lane, update by update.

    Args:
        settings: length, rate and size of clips.
        zones: of the lane.
    """

    def __init__(self, settings: EvidenceSettings, zones: Sequence[Zone]) -> None:
        self._settings, self._mask = settings, ZoneMask(zones)
        self._roll: deque[Image] = deque(maxlen=max(2, round(settings.clip_s * settings.clip_fps)))
        self._due_s = 0.0
        self._open: _Open | None = None
        self._closing: dict[str, _Open] = {}

    def take(self, update: LaneUpdate) -> None:
        """Take one update; pictures come from its frame, if it still has one."""
        gathered = self._gathering(update.bill)
        for bill in update.closed:
            if self._open is not None and self._open.bill_id == bill.bill_id:
                self._closing[bill.bill_id], self._open = self._open, None
        if update.frame is None:
            return
        now_s = update.frame.stream_s
        if now_s >= self._due_s or now_s < self._due_s - 1.0:
            self._due_s = now_s + 0.98 / self._settings.clip_fps
            masked = self._mask(update.frame.image)
            self._keep(masked)
            if gathered is not None and update.bill is not None:
                self._look(gathered, update.bill, update, masked)
        if gathered is not None and gathered.clip_at_s is not None and now_s >= gathered.clip_at_s:
            gathered.clip, gathered.clip_at_s = tuple(self._roll), None

    def pictures(self, bill_id: str) -> Pictures:
        """Return what was gathered for a bill that has closed, and forget it."""
        found = self._closing.pop(bill_id, None) or _Open(bill_id)
        clip = found.clip or tuple(self._roll)
        same = tuple(image for image in clip if image.shape == clip[-1].shape)
        return Pictures(same, self._settings.clip_fps, found.crops)

    def _gathering(self, bill: Bill | None) -> _Open | None:
        if bill is None:
            return self._open
        if self._open is None or self._open.bill_id != bill.bill_id:
            self._open = _Open(bill.bill_id)
        return self._open

    def _keep(self, masked: Image) -> None:
        height, width = masked.shape[:2]
        if width > self._settings.clip_width:
            height = max(2, round(height * self._settings.clip_width / width))
            masked = cv2.resize(masked, (self._settings.clip_width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        self._roll.append(masked)

    def _look(self, gathered: _Open, bill: Bill, update: LaneUpdate, masked: Image) -> None:
        """Note a fuller bill, and better views of its lines."""
        if update.frame is None:
            return
        if len(bill.lines) > gathered.most_lines:
            gathered.most_lines = len(bill.lines)
            gathered.clip_at_s = update.frame.stream_s + SETTLE_S
        on_bill = {line.track_id for line in bill.lines}
        for track in update.tracks.tracks:
            if track.track_id in on_bill and track.matched:
                self._view(gathered, track, update.frame.captured_at_s, masked)

    def _view(self, gathered: _Open, track: Track, captured_at_s: float, masked: Image) -> None:
        x1, y1, x2, y2 = track.box
        # Large, whole, surely seen and at rest: what moves is blurred.
        rest = 1.0 + math.hypot(*track.velocity_px_s) / side(track.box)
        worth = track.visibility * side(track.box) ** 0.5 * (0.5 + track.score) / rest
        best = gathered.crops.get(track.track_id)
        if best is not None and worth < best.worth * BETTER:
            return
        pad_x, pad_y = (x2 - x1) * MARGIN, (y2 - y1) * MARGIN
        height, width = masked.shape[:2]
        left, top = max(int(x1 - pad_x), 0), max(int(y1 - pad_y), 0)
        right, bottom = min(int(x2 + pad_x) + 1, width), min(int(y2 + pad_y) + 1, height)
        if right - left < 4 or bottom - top < 4:
            return
        crop = masked[top:bottom, left:right]
        scale = MOST_CROP_PX / max(crop.shape[:2])
        if scale < 1.0:
            crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        gathered.crops[track.track_id] = View(crop.copy(), worth, captured_at_s)
