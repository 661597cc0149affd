"""Hide credentials in URLs before anybody can read them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlsplit

_SECRET_KEY = re.compile(r"pass|pwd|token|key|secret|auth|sig|user", re.IGNORECASE)
#: User info of an address. Passwords hold what they like, written as it is, so it reaches to the last `@` before the
#: path; where there is none and what follows the first colon is no port, to the last `@` at all.
_USERINFO = re.compile(
    r"""\b([a-z][a-z0-9+.-]*://)(?:[^\s/?#"'<>]*|[^\s/?#"'<>@:\[]*:(?!\d{1,5}(?:[/?#]|$))[^\s"'<>]*)@""", re.IGNORECASE
)
#: Our own tokens (`app/accounts/tokens.py`); the first letters stay, by which people recognise one.
_TOKEN = re.compile(r"\b(tlk_[A-Za-z0-9_-]{6})[A-Za-z0-9_-]{10,}")
_QUERY_SECRET = re.compile(
    r"""([?&][\w.-]*(?:pass|pwd|token|key|secret|auth|sig)[\w.-]*=)[^&\s"'<>#]+""", re.IGNORECASE
)
#: `password=…` of database addresses, `"secret": "…"` of JSON and YAML, `Bearer …` of headers.
_NAMED_SECRET = re.compile(
    r"""((?:password|passwd|secret|api_?key)\\?["']?\s*[:=]\s*(\\?["']))(?:(?!\2).)+(\2)""", re.IGNORECASE
)
_BARE_SECRET = re.compile(r"""\b((?:password|passwd|pwd|secret)=)[^\s&"',;}\]]+""", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer\s+)(?!tlk_)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)


def redact_url(url: str) -> str:
    """Return `url` with user info and secret query values replaced by `***`.

    >>> redact_url("rtsp://bob:pa55@10.0.0.7:554/h264?token=abc&channel=1")
    'rtsp://***@10.0.0.7:554/h264?token=***&channel=1'
    >>> redact_url("/dev/video0"), redact_url("sqlite:////var/lane.db")
    ('/dev/video0', 'sqlite:////var/lane.db')
    >>> redact_url("rtsp://bob:pa/s#1@10.0.0.7/h264"), redact_url("rtsp://10.0.0.7:554/b@d")
    ('rtsp://***@10.0.0.7/h264', 'rtsp://10.0.0.7:554/b@d')
    """
    if "://" not in url:
        return url
    hidden = _hide_user(url)
    try:
        parts = urlsplit(hidden)
    except ValueError:
        return redact_text(hidden)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = "&".join(f"{k}={'***' if _SECRET_KEY.search(k) else quote(v)}" for k, v in pairs)
    # Not urlunsplit: it drops the slashes of an empty host before an absolute path.
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{query}" if query else "")


def redact_text(text: str) -> str:
    """Return `text` without what opens doors: user info and secret values of addresses, named secrets, tokens.

    >>> redact_text("cannot open rtsp://u:p@cam/1?token=abc and failed")
    'cannot open rtsp://***@cam/1?token=*** and failed'
    >>> redact_text("sent tlk_Ab3dE7kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk twice")
    'sent tlk_Ab3dE7*** twice'
    >>> redact_text('host=db password=hunter2 {"secret": "till till"}')
    'host=db password=*** {"secret": "***"}'
    """
    shown = _QUERY_SECRET.sub(r"\1***", _hide_user(text))
    shown = _NAMED_SECRET.sub(r"\1***\3", shown)
    shown = _BARE_SECRET.sub(r"\1***", shown)
    return _BEARER.sub(r"\1***", _TOKEN.sub(r"\1***", shown))


def _hide_user(text: str) -> str:
    return _USERINFO.sub(r"\1***@", text)
