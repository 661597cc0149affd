"""What FFmpeg's errors mean for a lane: which of our errors it is, where, and what a person should do."""

from __future__ import annotations

import errno
import socket
from typing import Literal
from urllib.parse import urlsplit

from av import error as av_error

from core.errors import SourceOpenError, SourceRefused, SourceTimeout, SourceUnusable, TraylaneError

Kind = Literal["file", "http", "rtsp", "device", "network"]

_NOT_A_VIDEO = {
    "file": "not a video, or cut off before its index was written; play it in another player, or record it again",
    "device": "not a camera; give another /dev/video*",
    "http": "the answer is not a video; open the address in a browser and look",
    "rtsp": "no usable RTSP answer; check host, port and path",
    "network": "the answer is not a video; check the address",
}
_REFUSED = {
    "file": "this user may not read it; change its rights",
    "device": "this user may not use it; add the user to the group video",
}
_ABSENT = {
    "file": "no such file; check the path",
    "device": "no such camera; plug it in, or choose another (v4l2-ctl --list-devices)",
}


def timed_out(shown_url: str, timeout_s: float) -> SourceTimeout:
    """Return the error for a source that did not answer."""
    return SourceTimeout(f"{shown_url}: no answer within {timeout_s:g} s; check that the camera is on and reachable")


def opening_error(err: Exception, shown_url: str, kind: Kind, url: str, timeout_s: float) -> TraylaneError:
    """Return our error for one that FFmpeg (or the system) raised while opening.

    Args:
        err: what was raised. Its own text is used only where it holds no address.
        shown_url: the redacted address.
        kind: of the source.
        url: the address as it is, to look its host up; never shown.
        timeout_s: the limit that was in force.
    """
    if isinstance(err, av_error.ExitError | TimeoutError):
        return timed_out(shown_url, timeout_s)
    if isinstance(err, av_error.HTTPUnauthorizedError | av_error.HTTPForbiddenError):
        return SourceRefused(f"{shown_url}: access refused; check user and password in the URL")
    if isinstance(err, av_error.HTTPNotFoundError):
        return SourceOpenError(f"{shown_url}: the server has no such stream (404); check the path of the URL")
    if isinstance(err, PermissionError):
        return SourceRefused(f"{shown_url}: {_REFUSED.get(kind, 'access refused; check the rights')}")
    if isinstance(err, FileNotFoundError):
        return SourceOpenError(f"{shown_url}: {_ABSENT.get(kind, 'not found; check the address')}")
    if isinstance(err, IsADirectoryError):
        return SourceUnusable(f"{shown_url}: this is a folder; give a video file")
    if isinstance(err, ConnectionRefusedError):
        return SourceOpenError(f"{shown_url}: connection refused; is the camera on, and is the port right?")
    if isinstance(err, av_error.InvalidDataError | EOFError):
        text = f"{shown_url}: {_NOT_A_VIDEO[kind]}"
        # A camera that starts up may answer nonsense for a moment; a file stays what it is.
        return SourceUnusable(text) if kind == "file" else SourceOpenError(text)
    if isinstance(err, OSError) and err.errno == errno.EBUSY:
        return SourceOpenError(f"{shown_url}: another program uses this camera; close it")
    if err.args[0] == errno.EIO and kind in ("rtsp", "http", "network") and _host_is_unknown(url):
        return SourceOpenError(f"{shown_url}: the host name is not known; check it, or give the IP address")
    return _rarer_error(err, shown_url)


def _host_is_unknown(url: str) -> bool:
    """Look the host up: FFmpeg says "input/output error" both for an unknown name and for a broken line."""
    host = urlsplit(url).hostname
    if not host:
        return False
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return True
    return False


def _rarer_error(err: Exception, shown_url: str) -> TraylaneError:
    if isinstance(err, av_error.ProtocolNotFoundError | av_error.DemuxerNotFoundError):
        advice = "use a file, rtsp://, http:// or /dev/video0"
        return SourceUnusable(f"{shown_url}: this kind of address is not supported; {advice}")
    if isinstance(err, av_error.DecoderNotFoundError):
        return SourceUnusable(f"{shown_url}: no decoder for this video; set the camera to H.264")
    if isinstance(err, av_error.HTTPError):
        return SourceOpenError(f"{shown_url}: the server answered {err.strerror}; try the address in another player")
    reason = getattr(err, "strerror", None) or type(err).__name__
    return SourceOpenError(f"{shown_url}: cannot be opened: {reason}; check address, cable and power")
