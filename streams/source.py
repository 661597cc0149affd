"""What a camera or recording looks like to a lane: the `Source` protocol and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from core.files import sha256_of
from core.records import Frame
from core.settings import Settings


class Source(Protocol):
    """One camera or recording. It connects once and raises; `streams/reconnect.py` does the retrying.

    Attributes:
        lane_id: the lane it films.
        shown_url: where it comes from, for people: without credentials.
        live: live sources drop the oldest frame when the lane is slow; recordings wait.
        dropped: frames that were left out on purpose since the start, by reason ("stride", "corrupt", ...).
    """

    lane_id: str
    shown_url: str
    live: bool

    @property
    def dropped(self) -> Mapping[str, int]:
        """Return the counts of left-out frames by reason."""
        ...

    def open(self) -> None:
        """Connect, within the time-out. An open source is closed first.

        Raises:
            SourceOpenError: not there now (retry helps).
            SourceTimeout: no answer in time (retry helps).
            SourceRefused: credentials or rights are missing.
            SourceUnusable: it is there and can never give frames.
        """
        ...

    def read(self) -> Frame:
        """Return the next frame, within the time-out.

        Raises:
            SourceTimeout: no frame came in time.
            SourceEnded: the last frame was read, or `close()` was called.
            SourceError: the connection broke.
        """
        ...

    def close(self) -> None:
        """Let go. Idempotent; may be called from another thread and then ends a blocked `read()` soon."""
        ...


@runtime_checkable
class SeekableSource(Source, Protocol):
    """A source that can start in the middle, if it is a recording (`not live`)."""

    def seek(self, stream_s: float) -> None:
        """Start at the first frame at or after `stream_s`; call it before the first `read()`."""
        ...


class SourceSettings(Settings):
    """Where the frames come from, and how patient the lane is with it."""

    url: str = Field(
        min_length=1,
        repr=False,
        description="File path, rtsp://, http(s)://, /dev/video0, or synthetic://medium?seed=1&fps=20",
    )
    transport: Literal["tcp", "udp", "auto"] = Field(
        default="tcp", description="RTSP transport; auto tries TCP first and then UDP"
    )
    timeout_s: float = Field(default=5.0, gt=0, le=60, description="Longest wait for an open or a read, seconds")
    loop: bool = Field(default=False, description="Play a recording again and again")
    realtime: bool = Field(default=False, description="Play a recording at its own speed, as if it were a camera")
    live: bool | None = Field(
        default=None, description="Whether it is a camera; by default told from the URL (matters for http:// only)"
    )
    start_utc: float | None = Field(
        default=None, description="UTC epoch seconds of a recording's first frame; 0 when not given"
    )
    stride: int = Field(default=1, ge=1, le=1000, description="Keep each n-th decoded frame only")
    threads: int = Field(default=1, ge=1, le=2, description="Decoder threads")


def content_key(path: Path) -> str:
    """Return the stream key of a recording: 16 hex digits that depend on its bytes alone.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return sha256_of(path)[:16]
