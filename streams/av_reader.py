"""Open a video with PyAV and decode it, blocking: pictures in display order, faults counted.

This is the only file that talks to FFmpeg for reading. It keeps no clock and no thread; `av_source.py` has these.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import av
import numpy as np
from av import error as av_error
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from core.errors import SourceError, SourceUnusable
from streams.av_errors import Kind, opening_error, timed_out
from streams.source import SourceSettings

_LOG = logging.getLogger(__name__)

_RECORDING_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
#: What a camera's address may set on a v4l2 device: /dev/video0?video_size=1280x720&framerate=20&input_format=mjpeg
_DEVICE_OPTIONS = ("video_size", "framerate", "input_format")
#: A recording whose demuxer fails this often in a row is over.
_MAX_DEMUX_FAULTS = 16
#: A recording that ends this much before its own length was cut off.
_CUT_OFF_S = 0.5
#: Packets that come faster than this were sent before; and how many of them are taken for that at most.
_BURST_STEP_S = 0.004
_MAX_BURST = 300
_DEFAULT_STEP_S = 1 / 25


def kind_of(url: str) -> Kind:
    """Return what kind of source `url` names.

    >>> [kind_of(url) for url in ("clip.mp4", "rtsp://cam/1", "https://cam/mjpeg", "/dev/video0", "srt://hub:9")]
    ['file', 'rtsp', 'http', 'device', 'network']
    """
    if url.startswith("/dev/video"):
        return "device"
    scheme, separator, _ = url.partition("://")
    if not separator or scheme == "file":
        return "file"
    return {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}.get(scheme.lower(), "network")  # type: ignore[return-value]


def is_camera(settings: SourceSettings) -> bool:
    """Return whether the source films now: what it shows is lost if nobody reads it.

    >>> is_camera(SourceSettings(url="rtsp://cam/1")), is_camera(SourceSettings(url="http://nas/clip.mp4"))
    (True, False)
    """
    if settings.live is not None:
        return settings.live
    kind = kind_of(settings.url)
    recorded = urlsplit(settings.url).path.lower().endswith(_RECORDING_SUFFIXES) if kind == "http" else False
    return kind != "file" and not recorded


def path_of(url: str) -> Path:
    """Return the path of a file source.

    >>> str(path_of("file:///tmp/a%20b.mp4")), str(path_of("clip.mp4"))
    ('/tmp/a b.mp4', 'clip.mp4')
    """
    return Path(unquote(urlsplit(url).path)) if url.startswith("file://") else Path(url)


class VideoReader:
    """One opened video.

    Args:
        settings: of the source.
        shown_url: its redacted address, for errors.
        dropped: counts what is left out ("corrupt").
        size: width and height that its images get, pixels; None for those of its first picture.

    Raises:
        SourceOpenError, SourceTimeout, SourceRefused, SourceUnusable: as `Source.open` says.
    """

    def __init__(
        self, settings: SourceSettings, shown_url: str, dropped: Counter[str], size: tuple[int, int] | None = None
    ) -> None:
        self.shown_url, self._dropped = shown_url, dropped
        self.kind = kind_of(settings.url)
        self._timeout_s = settings.timeout_s
        self._container = self._open(settings)
        try:
            self._stream = self._video_stream()
        except BaseException:
            self._container.close()
            raise
        self._stream.codec_context.thread_count = settings.threads
        self._reformatter = VideoReformatter()
        self.size = size
        self._other_size: tuple[int, int] | None = None
        self._waiting: deque[av.Packet[VideoStream]] = deque()
        self._end: Exception | None = None
        self.ends_at_s = 0.0
        self.cut_off = False

    def _open(self, settings: SourceSettings) -> InputContainer:
        url, options, form = settings.url, dict[str, str](), None
        timeout: tuple[float, float] | None = (settings.timeout_s, settings.timeout_s)
        if self.kind == "file":
            path = path_of(url)
            if path.is_file() and path.stat().st_size == 0:
                raise SourceUnusable(f"{self.shown_url}: the file is empty; copy or record it again")
            # "file:" keeps FFmpeg from reading a protocol or a pattern into the name; disks need no time-out.
            url, timeout = f"file:{path}", None
        elif self.kind == "device":
            url, _, query = url.partition("?")
            options, form = {k: v for k, v in parse_qsl(query) if k in _DEVICE_OPTIONS}, "v4l2"
        elif self.kind == "rtsp":
            options = _rtsp_options(settings)
        began_s = time.monotonic()
        try:
            return av.open(url, format=form, options=options, timeout=timeout)
        except (av_error.FFmpegError, OSError) as err:
            if timeout is not None and self._late(began_s):
                # An interrupted hand-shake shows up as nonsense from the camera; it is a time-out all the same.
                raise timed_out(self.shown_url, self._timeout_s) from _without_address(err)
            raise opening_error(err, self.shown_url, self.kind, url, self._timeout_s) from _without_address(err)

    def _late(self, began_s: float) -> bool:
        """Whether the time-out was used up since `began_s`, but for a rounding error."""
        return time.monotonic() - began_s > 0.99 * self._timeout_s

    def _video_stream(self) -> VideoStream:
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            sound = "only sound in it" if self._container.streams.audio else "no pictures in it"
            raise SourceUnusable(f"{self.shown_url}: {sound}; give a video with pictures")
        stream = streams[0]
        if stream.codec_context is None:
            raise SourceUnusable(f"{self.shown_url}: unknown video codec; convert it, or set the camera, to H.264")
        return stream

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick of the stamps."""
        return self._stream.time_base or Fraction(1, 90000)

    @property
    def nominal_s(self) -> float:
        """Seconds from one frame to the next, as the stream says."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(1 / rate) if rate else _DEFAULT_STEP_S

    def pictures(self) -> Iterator[av.VideoFrame]:
        """Yield decoded pictures in display order until the end; broken ones are counted and left out.

        Raises:
            SourceTimeout: nothing came within the time-out.
            SourceError: the connection broke.
        """
        faults, ended = 0, False
        while not ended:
            try:
                for packet in self._packets():
                    faults = 0
                    yield from self._decode(packet)
                ended = True
            except (av_error.FFmpegError, OSError) as err:
                faults += 1
                if self.kind != "file" or not isinstance(err, av_error.InvalidDataError):
                    raise self._broken(err) from _without_address(err)
                self._dropped["corrupt"] += 1
                self.cut_off = ended = faults >= _MAX_DEMUX_FAULTS
        length_s = self._length_s()
        self.cut_off |= length_s is not None and self.ends_at_s < length_s - _CUT_OFF_S

    def catch_up(self) -> float | None:
        """Take in what a camera has sent already, and return the stamp (seconds) of the newest, which arrives now.

        Opening listens for a while, and many cameras send the pictures since their last key picture at once. Without
        this the first pictures would all be dated to the moment of connecting.
        """
        try:
            for packet, waited_s in self._arrivals():
                self._waiting.append(packet)
                if waited_s > _BURST_STEP_S or len(self._waiting) >= _MAX_BURST:
                    break
            else:
                self._end = EOFError()
        except (av_error.FFmpegError, OSError) as err:
            self._end = err  # `pictures` raises it when what came before is used up
        self._fill_in_stamps()
        stamps = [packet.pts for packet in self._waiting if packet.pts is not None]
        return float(max(stamps) * self.time_base) if stamps else None

    def _fill_in_stamps(self) -> None:
        """Give waiting packets without a stamp one a step before the next: FFmpeg leaves the first of RTSP without."""
        step = round(self.nominal_s / self.time_base)
        following: int | None = None
        for packet in reversed(self._waiting):
            if packet.pts is None and packet.size and following is not None:
                packet.pts = packet.dts = following - step
            following = packet.pts

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        while self._waiting:
            yield self._waiting.popleft()
        if isinstance(self._end, EOFError):
            return
        if self._end is not None:
            raise self._end
        for packet, _ in self._arrivals():
            yield packet

    def _arrivals(self) -> Iterator[tuple[av.Packet[VideoStream], float]]:
        """Yield packets, and the seconds that each was waited for."""
        asked_s = time.monotonic()
        for packet in self._container.demux(self._stream):
            if self.kind != "file" and self._late(asked_s):
                # FFmpeg gives what it still had when it times out, and would wait once more.
                raise timed_out(self.shown_url, self._timeout_s)
            yield packet, time.monotonic() - asked_s
            asked_s = time.monotonic()

    def _decode(self, packet: av.Packet[VideoStream]) -> Iterator[av.VideoFrame]:
        try:
            pictures = packet.decode()
        except av_error.InvalidDataError:
            self._dropped["corrupt"] += 1
            return
        for picture in pictures:
            if picture.is_corrupt:
                self._dropped["corrupt"] += 1
                continue
            if picture.pts is not None:
                self.ends_at_s = float((picture.pts - (self._stream.start_time or 0)) * self.time_base)
            yield picture

    def _length_s(self) -> float | None:
        """Return the seconds that the container says it has, or None."""
        if self._stream.duration:
            return float(self._stream.duration * self.time_base)
        return self._container.duration / 1e6 if self._container.duration else None

    def _broken(self, err: Exception) -> SourceError:
        if isinstance(err, av_error.ExitError | TimeoutError):
            return timed_out(self.shown_url, self._timeout_s)
        reason = getattr(err, "strerror", None) or type(err).__name__
        return SourceError(f"{self.shown_url}: the stream broke: {reason}")

    def image(self, picture: av.VideoFrame) -> NDArray[np.uint8]:
        """Return the picture upright as (H, W, 3) uint8 RGB in the size of the stream's first picture.

        A camera may change its resolution while it runs. The picture is then brought to the first size: zones, tracks
        and boxes that are alive stay where they are.
        """
        size = (picture.width, picture.height)
        self.size = self.size or size
        if size not in (self.size, self._other_size):
            self._other_size, first = size, "{}x{}".format(*self.size)
            _LOG.warning("%s: the picture is now %dx%d; scaled to %s as before", self.shown_url, *size, first)
        rgb = self._reformatter.reformat(picture, *self.size, "rgb24", threads=1)
        turns = round(picture.rotation / 90) % 4
        image: NDArray[np.uint8] = rgb.to_ndarray().astype(np.uint8, copy=False)
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def stamps(self) -> list[int] | None:
        """Return the stamps (ticks) of all pictures in display order without decoding; uses the reader up.

        None if it is not sure that each of them is a picture with its own stamp.
        """
        stamps = list[int]()
        last_dts: int | None = None
        for packet in self._container.demux(self._stream):
            if packet.size == 0:
                continue  # the flush at the end
            if packet.pts is None or packet.dts is None or packet.is_corrupt or packet.is_discard:
                return None
            if last_dts is not None and packet.dts <= last_dts:
                return None
            last_dts = packet.dts
            stamps.append(packet.pts)
        return sorted(stamps) if len(set(stamps)) == len(stamps) else None

    def seek(self, pts: int) -> None:
        """Go to a key picture at or before the stamp `pts`, as far as the file allows.

        Raises:
            SourceError: the file cannot be searched.
        """
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except (av_error.FFmpegError, OSError) as err:
            raise self._broken(err) from _without_address(err)

    def close(self) -> None:
        """Let the connection go."""
        self._container.close()


def _rtsp_options(settings: SourceSettings) -> dict[str, str]:
    # A lane must be back seconds after its camera: do not listen for long (µs) only to guess the frame rate.
    # "nobuffer" must stay away: it throws the probed packets away, and with them the first key picture.
    options = {"analyzeduration": "200000", "fpsprobesize": "0"}
    if settings.transport == "auto":
        return options | {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"}
    return options | {"rtsp_transport": settings.transport}


def _without_address(err: Exception) -> Exception:
    """Return `err` without the address that FFmpeg puts into it: it may hold a password, and tracebacks print it."""
    err.args = err.args[:2]
    return err
