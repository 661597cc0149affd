"""FFmpeg's errors in our words."""

import errno

import pytest
from av import error as av_error

from core.errors import SourceOpenError, SourceRefused, SourceTimeout, SourceUnusable
from streams.av_errors import opening_error

CASES = [
    (PermissionError(errno.EACCES, "denied"), "file", SourceRefused, "change its rights"),
    (PermissionError(errno.EACCES, "denied"), "device", SourceRefused, "group video"),
    (OSError(errno.EBUSY, "busy"), "device", SourceOpenError, "another program"),
    (av_error.ExitError(1, "exit", "rtsp://u:pa55@cam/1"), "rtsp", SourceTimeout, "within 5 s"),
    (av_error.HTTPUnauthorizedError(1, "401", "rtsp://u:pa55@cam/1"), "rtsp", SourceRefused, "user and password"),
    (av_error.HTTPForbiddenError(1, "403"), "http", SourceRefused, "user and password"),
    (av_error.HTTPNotFoundError(1, "404"), "rtsp", SourceOpenError, "404"),
    (av_error.InvalidDataError(1, "invalid", "x"), "file", SourceUnusable, "not a video"),
    (av_error.InvalidDataError(1, "invalid", "x"), "device", SourceOpenError, "not a camera"),
    (av_error.DecoderNotFoundError(1, "no decoder"), "rtsp", SourceUnusable, "H.264"),
    (av_error.OSError(errno.ENETUNREACH, "Network is unreachable", "u:pa55"), "rtsp", SourceOpenError, "unreachable"),
    (av_error.UnknownError(1, "unknown", "rtsp://u:pa55@cam/1"), "rtsp", SourceOpenError, "cannot be opened"),
]


@pytest.mark.parametrize(("err", "kind", "expected", "words"), CASES)
def test_error_becomes_ours(err, kind, expected, words):
    ours = opening_error(err, "rtsp://***@cam/1", kind, "rtsp://u:pa55@cam/1", 5.0)
    assert type(ours) is expected
    assert str(ours).startswith("rtsp://***@cam/1: ")
    assert words in str(ours)
    assert "pa55" not in str(ours)
