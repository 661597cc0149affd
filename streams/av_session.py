"""One opening of a video: the thread that may block inside FFmpeg, and the short queue of frames in front of it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator

from core.clock import Clock
from core.errors import SourceEnded, SourceError, SourceTimeout, TraylaneError
from core.records import Frame
from streams.av_reader import VideoReader
from streams.source import SourceSettings

_LOG = logging.getLogger(__name__)

#: Decoded frames that wait for `read()`: enough to decode the next while one is looked at, too few to grow old.
_AHEAD = 2
#: How long `close()` waits for the thread, which normally ends at once.
_JOIN_S = 0.3


class Session:
    """Opens a video in a thread of its own and keeps the next few of its frames.

    Args:
        settings: of the source.
        shown_url: its redacted address.
        counts: of the source: frames left out, by reason.
        size: width and height of the images, pixels; None for the video's own.
    """

    def __init__(
        self, settings: SourceSettings, shown_url: str, counts: Counter[str], size: tuple[int, int] | None
    ) -> None:
        self._settings, self._shown_url, self._counts, self._size = settings, shown_url, counts, size
        self.reader: VideoReader
        self.closed = threading.Event()
        self._changed = threading.Condition()
        self._queue: deque[Frame] = deque()
        self._is_open = self._started = False
        self._end: TraylaneError | None = None
        self._alive_s = time.monotonic()
        self._thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether the first frame was asked for."""
        return self._started

    def start(self, frames: Callable[[Session], Iterator[Frame]], name: str) -> None:
        """Begin to open; `frames` makes frames of the reader's pictures, in the session's thread."""
        self._thread = threading.Thread(target=self._run, args=(frames,), name=name, daemon=True)
        self._thread.start()

    def wait_open(self, limit_s: float) -> None:
        """Wait until the video is open.

        Raises:
            SourceTimeout: it did not open within `limit_s`; the session is closed.
            TraylaneError: what went wrong with opening it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._end is not None or self.closed.is_set(), limit_s)
            if self._is_open and not self.closed.is_set():
                return
            error = self._end
        if error is None and self.closed.is_set():
            error = SourceEnded(f"{self._shown_url}: closed while it was opened")
        self.close()
        raise error or self._no_answer(limit_s)

    def next(self, limit_s: float) -> Frame:
        """Return the next frame.

        Raises:
            SourceTimeout: the thread did nothing for `limit_s`.
            SourceEnded: no frames are left, or the session was closed.
            TraylaneError: what went wrong with reading.
        """
        with self._changed:
            if not self._started:
                self._started = True
                self._changed.notify_all()
            self._alive_s = time.monotonic()
            while not (self._queue or self._end is not None or self.closed.is_set()):
                rest_s = self._alive_s + limit_s - time.monotonic()
                if rest_s <= 0:
                    raise self._no_answer(limit_s)
                self._changed.wait(rest_s)
            if self.closed.is_set():
                raise SourceEnded(f"{self._shown_url}: closed")
            if self._queue:
                frame = self._queue.popleft()
                if not self._queue:
                    self._changed.notify_all()
                return frame
            assert self._end is not None  # noqa: S101 - the loop's condition
            raise self._end

    def close(self) -> None:
        """End the session: a blocked `next()` ends at once, the thread as soon as FFmpeg lets it go."""
        self.closed.set()
        with self._changed:
            self._queue.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def touch(self) -> None:
        """Tell that the thread works, though no frame has come of it yet."""
        self._alive_s = time.monotonic()

    def pause(self, clock: Clock, until_s: float) -> None:
        """Wait until `until_s` on the monotonic clock, or until the session is closed."""
        wait_s = until_s - clock.monotonic_s()
        if wait_s > 0:
            clock.wait(self.closed, wait_s)

    def reopen(self) -> None:
        """Open the video again from its start, in the session's thread."""
        self._size = self.reader.size
        self.reader.close()
        self.reader = VideoReader(self._settings, self._shown_url, self._counts, self._size)

    def _run(self, frames: Callable[[Session], Iterator[Frame]]) -> None:
        end: TraylaneError = SourceError(f"{self._shown_url}: the reading thread failed; see the log above")
        try:
            self.reader = VideoReader(self._settings, self._shown_url, self._counts, self._size)
            try:
                if self._wait_start():
                    self._fill(frames)
                end = self._ended()
            finally:
                self.reader.close()
        except TraylaneError as err:
            end = err
        finally:
            with self._changed:
                self._end = end
                self._changed.notify_all()

    def _wait_start(self) -> bool:
        """Tell that the video is open, and wait for the first `next()`; False if it is closed instead."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._started or self.closed.is_set())
        return not self.closed.is_set()

    def _fill(self, frames: Callable[[Session], Iterator[Frame]]) -> None:
        for frame in frames(self):
            with self._changed:
                self._alive_s = time.monotonic()
                if len(self._queue) >= _AHEAD:
                    # Until all are taken, not only one: the two threads then change places half as often.
                    self._changed.wait_for(lambda: not self._queue or self.closed.is_set())
                if self.closed.is_set():
                    return
                self._queue.append(frame)
                self._changed.notify_all()

    def _ended(self) -> SourceEnded:
        if not self.reader.cut_off:
            return SourceEnded(f"{self._shown_url}: the stream ended")
        text = f"{self._shown_url}: the recording is cut off after {self.reader.ends_at_s:.1f} s; copy it again"
        _LOG.warning("%s", text)
        return SourceEnded(text)

    def _no_answer(self, limit_s: float) -> SourceTimeout:
        return SourceTimeout(
            f"{self._shown_url}: nothing came for {limit_s:g} s; check that the camera is on and reachable"
        )
