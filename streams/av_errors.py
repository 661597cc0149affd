"""What FFmpeg's errors mean for a lane: which of our errors it is, where, and what a person should do."""

from __future__ import annotations

from typing import Literal

from av import error as av_error

from core.errors import SourceOpenError, SourceRefused, SourceTimeout, SourceUnusable, TraylaneError

Kind = Literal["file", "http", "rtsp", "device", "network"]

_NOT_A_VIDEO = {
    "file": "not a video, or cut off before its index was written; play it in another player, or record it again",
    "device": "not a camera; give another /dev/video*",
    "http": "the answer is not a video; open the address in a browser and look",
    "rtsp": "the answer is not RTSP; check the port and the path",
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


def opening_error(err: Exception, shown_url: str, kind: Kind, timeout_s: float) -> TraylaneError:
    """Return our error for one that FFmpeg (or the system) raised while opening or reading.

    Args:
        err: what was raised. Its own text is used only where it holds no address.
        shown_url: the redacted address.
        kind: of the source.
        timeout_s: the limit that was in force.
    """
    if isinstance(err, av_error.ExitError | TimeoutError):
        advice = "check that the camera is on and reachable"
        return SourceTimeout(f"{shown_url}: no answer within {timeout_s:g} s; {advice}")
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
    return _rarer_error(err, shown_url)


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
