"""Cameras and recordings through one path: a thread reads and decodes with PyAV, `read()` waits for its frames.

FFmpeg can block for longer than it was told to: in a name look-up, in a driver, in a server that dribbles. So the
lane's thread never calls it. It waits on a condition with a limit of its own, and `close()` from another thread ends
that wait at once; a thread that is stuck inside FFmpeg is left behind and closes its connection when it comes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from core.clock import Clock
from core.errors import SourceEnded, SourceUnusable
from core.records import Frame
from core.redact import redact_url
from streams.av_reader import is_camera
from streams.av_seek import start_at
from streams.av_session import Session
from streams.source import SourceSettings
from streams.timeline import LiveTimeline

#: How much later than FFmpeg's own limit ours is, so that its better message wins.
_GRACE_S = 1.0
#: A disk may be slow, and a search may read a whole file before its first frame.
_RECORDING_LIMIT_S = 60.0
#: Pictures that a camera sent while it was being opened are left out when they are older than this.
_STALE_S = 0.1


class AvSource:
    """A file, rtsp://, http(s):// or /dev/video* source.

    Frames of a recording carry stream seconds from their time stamps alone; frames of a camera carry capture times
    from its stamps on this machine's clock (see `timeline.py`), and keep counting over reconnects.

    Args:
        settings: where, and how patient.
        lane_id: the lane it films.
        clock: stamps the frames and paces a `realtime` recording.
    """

    def __init__(self, settings: SourceSettings, lane_id: str, clock: Clock) -> None:
        self.lane_id = lane_id
        self.shown_url = redact_url(settings.url)
        self._settings, self._clock = settings, clock
        self._camera = is_camera(settings)
        self.live = self._camera or settings.realtime
        self._limit_s = settings.timeout_s + _GRACE_S if self._camera else _RECORDING_LIMIT_S
        self._dropped: Counter[str] = Counter()
        self._timeline = LiveTimeline(clock)
        self._size: tuple[int, int] | None = None
        self._index = -1
        self._start_s = 0.0
        self._session: Session | None = None

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames left out: "stride" (asked for), "corrupt" (not decodable), "connecting" (old when it was open)."""
        return {reason: count for reason, count in self._dropped.copy().items() if count}

    def seek(self, stream_s: float) -> None:
        """Start the recording at its first frame at or after `stream_s`, with the index and times of a full read.

        Call it before `open()`, or between `open()` and the first `read()`; it counts for one opening.
        """
        if self.live:
            raise ValueError(f"{self.shown_url}: a camera cannot start at {stream_s} s of its past")
        session = self._session
        if session is not None and session.started:
            raise ValueError(f"{self.shown_url}: seek before the first read")
        self._start_s = stream_s

    def open(self) -> None:
        """Connect; see `Source.open`."""
        self.close()
        session = Session(self._settings, self.shown_url, self._dropped, self._size)
        self._session = session
        session.start(self._camera_frames if self._camera else self._recorded_frames, f"read {self.lane_id}")
        session.wait_open(self._limit_s)

    def read(self) -> Frame:
        """Return the next frame; see `Source.read`."""
        session = self._session
        if session is None:
            raise SourceEnded(f"{self.shown_url}: the source is closed")
        return session.next(self._limit_s)

    def close(self) -> None:
        """Let go; see `Source.close`."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _camera_frames(self, session: Session) -> Iterator[Frame]:
        """Yield the frames of one connection, in the session's thread."""
        reader = session.reader
        newest_s = reader.catch_up()
        self._timeline.restart(newest_s)
        for picture in reader.pictures():
            self._index += 1
            pts_s = None if picture.pts is None else float(picture.pts * reader.time_base)
            stream_s, captured_at_s, received_s = self._timeline.stamp(pts_s)
            if newest_s is not None and pts_s is not None and pts_s < newest_s - _STALE_S:
                # Old news from before the lane looked: a burst of them would push newer frames out of its buffer.
                self._dropped["connecting"] += 1
                continue
            newest_s = None
            if self._keeps(self._index):
                image = reader.image(picture)
                self._size = reader.size
                yield Frame(self.lane_id, self._index, captured_at_s, received_s, image, stream_s)

    def _recorded_frames(self, session: Session) -> Iterator[Frame]:
        """Yield the frames of a recording from where `seek` said, in the session's thread."""
        settings, clock = self._settings, self._clock
        start_s, self._start_s = self._start_s, 0.0
        begin_utc = settings.start_utc
        if begin_utc is None:
            begin_utc = clock.utc_s() if settings.realtime else 0.0
        start = start_at(session, settings, self.shown_url, start_s)
        begin_s, timeline, pictures, index = clock.monotonic_s(), start.timeline, start.pictures, start.index - 1
        while True:
            for picture in pictures:
                index += 1
                stream_s = timeline.stamp(picture.pts)
                session.touch()
                if stream_s < start_s or not self._keeps(index):
                    continue
                if settings.realtime:
                    session.pause(clock, begin_s + stream_s - start_s)
                image = session.reader.image(picture)
                yield Frame(self.lane_id, index, begin_utc + stream_s, clock.monotonic_s(), image, stream_s)
            if index < 0:
                raise SourceUnusable(f"{self.shown_url}: no picture in it can be decoded; convert it to H.264")
            if not settings.loop:
                return
            session.reopen()
            timeline.restart()
            pictures = session.reader.pictures()

    def _keeps(self, index: int) -> bool:
        """Whether the stride keeps this frame; counts it as dropped otherwise."""
        kept = index % self._settings.stride == 0
        self._dropped["stride"] += not kept
        return kept
