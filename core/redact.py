"""Hide credentials in URLs before anybody can read them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlsplit

_SECRET_KEY = re.compile(r"pass|pwd|token|key|secret|auth|sig|user", re.IGNORECASE)
_URL_WITH_USERINFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE)
#: Our own tokens (`app/accounts/tokens.py`); the first letters stay, by which people recognise one.
_TOKEN = re.compile(r"\b(tlk_[A-Za-z0-9]{6})[A-Za-z0-9_-]{10,}")


def redact_url(url: str) -> str:
    """Return `url` with user info and secret query values replaced by `***`.

    >>> redact_url("rtsp://bob:pa55@10.0.0.7:554/h264?token=abc&channel=1")
    'rtsp://***@10.0.0.7:554/h264?token=***&channel=1'
    >>> redact_url("/dev/video0"), redact_url("sqlite:////var/lane.db")
    ('/dev/video0', 'sqlite:////var/lane.db')
    """
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return _URL_WITH_USERINFO.sub(r"\1***@", url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"***@{host}" if "@" in parts.netloc else host
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = "&".join(f"{k}={'***' if _SECRET_KEY.search(k) else quote(v)}" for k, v in pairs)
    # Not urlunsplit: it drops the slashes of an empty host before an absolute path.
    return f"{parts.scheme}://{netloc}{parts.path}" + (f"?{query}" if query else "")


def redact_text(text: str) -> str:
    """Return `text` with the user info of every URL in it hidden, and all but the start of our tokens.

    >>> redact_text("cannot open rtsp://u:p@cam/1: refused")
    'cannot open rtsp://***@cam/1: refused'
    >>> redact_text("sent tlk_Ab3dE7kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk twice")
    'sent tlk_Ab3dE7*** twice'
    """
    return _TOKEN.sub(r"\1***", _URL_WITH_USERINFO.sub(r"\1***@", text))
