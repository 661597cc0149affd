"""The marked-up picture of one lane: drawn and encoded once per frame, however many people watch.

The lane's thread only leaves the newest update here (it never waits). Who wants a picture draws it, in the
viewer's own thread; a second viewer of the same frame gets the same bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from checkout.pipeline import LaneUpdate
from core.clock import Clock
from core.records import Box

Draw = Callable[[LaneUpdate], NDArray[np.uint8]]
JPEG_QUALITY = 82
#: Room around an object that is cut out, of its box; and the most pixels that it gets.
MARGIN = 0.2
MOST_PX = 480


@dataclass(frozen=True, slots=True)
class Picture:
    """A marked-up picture: its running number, its JPEG bytes, and when the camera captured it (UTC seconds)."""

    number: int
    jpeg: bytes
    captured_at_s: float


class LaneScreen:
    """Hold the newest update of one lane and turn it into JPEG on demand.

    Args:
        draw: returns the marked-up picture (H, W, 3) uint8 RGB of an update that has a frame.
        clock: tells how old a picture is when it is ready.
        on_picture: called with capture → marked-up pixel in seconds, once per encoded frame.
    """

    def __init__(self, draw: Draw, clock: Clock, on_picture: Callable[[float], None]) -> None:
        self._draw, self._clock, self._on_picture = draw, clock, on_picture
        self._changed = threading.Condition()
        self._rendering = threading.Lock()
        self._update: LaneUpdate | None = None
        self._sequence = 0
        self._rendered = Picture(0, b"", 0.0)
        self._closed = False

    def show(self, update: LaneUpdate) -> None:
        """Take a new update from the lane's thread; returns at once."""
        if update.frame is None:
            return
        with self._changed:
            self._update = update
            self._sequence += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let every waiting viewer go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def latest(self) -> LaneUpdate | None:
        """Return the newest update that has a frame, None before the first one."""
        with self._changed:
            return self._update

    def picture(self, after: int, timeout_s: float) -> Picture | None:
        """Return the newest picture whose number is above `after`, waiting up to `timeout_s`.

        Returns:
            The picture, or None when nothing newer came or the screen is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._sequence > after, timeout_s)
            if self._closed or self._sequence <= after:
                return None
        with self._rendering:
            with self._changed:
                sequence, update = self._sequence, self._update
            if self._rendered.number != sequence and update is not None and update.frame is not None:
                captured_at_s = update.frame.captured_at_s
                self._rendered = Picture(sequence, encode_jpeg(self._draw(update)), captured_at_s)
                self._on_picture(max(0.0, self._clock.utc_s() - captured_at_s))
            return self._rendered


def encode_jpeg(image: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """Return an RGB image (H, W, 3) uint8 as JPEG bytes."""
    done, buffer = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"cannot encode an image of shape {image.shape} as JPEG")
    return bytes(buffer)


def cut_out(image: NDArray[np.uint8], box: Box) -> bytes:
    """Return the surroundings of a box as JPEG bytes; `image` is RGB (H, W, 3) uint8, the box in its pixels."""
    height, width = image.shape[:2]
    room_x, room_y = MARGIN * (box[2] - box[0]), MARGIN * (box[3] - box[1])
    x1, y1 = min(max(int(box[0] - room_x), 0), width - 2), min(max(int(box[1] - room_y), 0), height - 2)
    x2 = min(max(int(np.ceil(box[2] + room_x)), x1 + 2), width)
    y2 = min(max(int(np.ceil(box[3] + room_y)), y1 + 2), height)
    part = image[y1:y2, x1:x2]
    shrink = MOST_PX / max(part.shape[:2])
    if shrink < 1:
        part = np.asarray(cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_jpeg(part)
