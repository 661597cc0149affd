"""The synthetic lane as a camera: `synthetic://medium?seed=1&fps=20&size=640x360&trays=0&pace=real`.

`pace=real` is a live camera that delivers its frames in real time. `pace=fast` is a recording that is read as fast as
it is rendered, with the times of a recording.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

from core.clock import Clock
from core.errors import ConfigError, SourceEnded
from core.records import Frame
from core.redact import redact_url
from streams.source import SourceSettings
from streams.synthetic.lane import SyntheticLane
from streams.synthetic.presets import PRESETS
from streams.synthetic.truth import FrameTruth

_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")
#: A renderer that has fallen this far behind takes up its pace again from now, as a camera would lose frames.
_LATE_S = 0.5


@dataclass(frozen=True)
class SyntheticUrl:
    """What a synthetic:// URL says; `trays` 0 is an endless lane."""

    preset: str = "medium"
    seed: int = 1
    fps: float = 20.0
    width: int = 640
    height: int = 360
    trays: int = 0
    pace: str = "real"


def parse_url(url: str) -> SyntheticUrl:
    """Read a synthetic:// URL.

    Raises:
        ConfigError: an unknown key or preset, or a value out of range.
    """
    parts = urlsplit(url)
    preset = parts.netloc or "medium"
    if parts.scheme != "synthetic" or preset not in PRESETS or parts.path.strip("/"):
        raise ConfigError(f"{url}: no such synthetic lane; write synthetic:// and one of {', '.join(PRESETS)}")
    values: dict[str, str] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in ("seed", "fps", "size", "trays", "pace"):
            raise ConfigError(f"{url}: unknown key {key!r}; known are seed, fps, size, trays, pace")
        values[key] = value
    size = _SIZE.fullmatch(values.get("size", "640x360"))
    if size is None or min(int(size[1]), int(size[2])) < 64:
        raise ConfigError(f"{url}: size {values.get('size')!r} is not like 640x360, each side 64 or more")
    pace = values.get("pace", "real")
    if pace not in ("real", "fast"):
        raise ConfigError(f"{url}: pace {pace!r} must be real or fast")
    try:
        fps, seed, trays = float(values.get("fps", 20)), int(values.get("seed", 1)), int(values.get("trays", 0))
    except ValueError as err:
        raise ConfigError(f"{url}: {err}; fps is a number, seed and trays are whole numbers") from err
    if not 1 <= fps <= 120 or seed < 0 or trays < 0:
        raise ConfigError(f"{url}: fps must be 1 to 120, seed and trays 0 or more")
    return SyntheticUrl(preset, seed, fps, int(size[1]), int(size[2]), trays, pace)


class SyntheticSource:
    """A `streams.source.Source` that renders instead of filming.

    Args:
        settings: with a synthetic:// URL; of the rest `stride`, `loop` and `start_utc` count.
        lane_id: the lane it plays.
        clock: gives the times and the pace.

    Attributes:
        lane: the lane that is played, with the truth about its trays.

    Raises:
        ConfigError: the URL is wrong.
    """

    def __init__(self, settings: SourceSettings, lane_id: str, clock: Clock) -> None:
        url = parse_url(settings.url)
        self.lane_id, self.shown_url, self.live = lane_id, redact_url(settings.url), url.pace == "real"
        self.lane = SyntheticLane(url.seed, url.preset, url.width, url.height, url.fps, trays=url.trays or None)
        self._settings, self._clock = settings, clock
        self._closed = threading.Event()
        self._frames: Iterator[tuple[NDArray[np.uint8], FrameTruth]] = iter(())
        self._index, self._left_out = -1, 0
        self._begin_s: float | None = None
        self._offset_s = 0.0
        self._stream_s = 0.0

    @property
    def dropped(self) -> Mapping[str, int]:
        """Return the counts of left-out frames by reason."""
        return {"stride": self._left_out} if self._left_out else {}

    def open(self) -> None:
        """Begin with the first tray, or again with it; a live lane's own time goes on meanwhile."""
        self._closed.clear()
        self._frames = iter(self.lane)
        if self.live and self._begin_s is not None:
            self._offset_s = self._clock.monotonic_s() - self._begin_s
        elif not self.live:
            self._index, self._offset_s = -1, 0.0

    def read(self) -> Frame:
        """Return the next frame; a live lane waits until it is due.

        Raises:
            SourceEnded: the last tray has left, or `close()` was called.
        """
        while True:
            image, truth = self._next_picture()
            self._index += 1
            if self._index % self._settings.stride:
                self._left_out += 1
                continue
            self._stream_s = self._offset_s + truth.t_s
            if self.live:
                self._wait_until_due()
                captured_at_s = self._clock.utc_s()
            else:
                captured_at_s = (self._settings.start_utc or 0.0) + self._stream_s
            if self._closed.is_set():
                raise SourceEnded(f"{self.shown_url}: closed")
            received_s = self._clock.monotonic_s()
            return Frame(self.lane_id, self._index, captured_at_s, received_s, image, self._stream_s)

    def close(self) -> None:
        """End; a `read()` that waits returns soon with SourceEnded."""
        self._closed.set()

    def _next_picture(self) -> tuple[NDArray[np.uint8], FrameTruth]:
        if self._closed.is_set():
            raise SourceEnded(f"{self.shown_url}: closed")
        picture = next(self._frames, None)
        if picture is None and self._settings.loop and self._index >= 0:
            self._frames, self._offset_s = iter(self.lane), self._stream_s + 1.0 / self.lane.fps
            picture = next(self._frames, None)
        if picture is None:
            raise SourceEnded(f"{self.shown_url}: the last tray has left")
        return picture

    def _wait_until_due(self) -> None:
        now = self._clock.monotonic_s()
        if self._begin_s is None:
            self._begin_s = now - self._stream_s
        due = self._begin_s + self._stream_s
        if due < now - _LATE_S:
            self._begin_s = now - self._stream_s
        elif due > now:
            self._clock.wait(self._closed, due - now)
