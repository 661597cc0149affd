"""Signatures of webhooks, by the Standard Webhooks specification 1.0 (standardwebhooks.com, MIT).

The signed text is `ID.TIMESTAMP.BODY`; the header carries `v1,` and the base64 of its HMAC-SHA256. The id is the
event's, so that a receiver recognises what comes twice; the time stamp keeps an old request from being played again.

    webhook-id: 0b7a4b0e-2c3f-5b0a-9a43-0d0a3b1c2d4e
    webhook-timestamp: 1764096000
    webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

#: A receiver should refuse time stamps that are further off than this.
TOLERANCE_S = 300


def sign(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the value of `webhook-signature`.

    >>> import base64
    >>> key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def is_genuine(key: bytes, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Return whether a request was signed with `key` and is fresh: what a receiver does. Header names in lower case."""
    try:
        timestamp_s = int(headers["webhook-timestamp"])
        message_id, given = headers["webhook-id"], headers["webhook-signature"].split()
    except (KeyError, ValueError):
        return False
    if abs(now_s - timestamp_s) > TOLERANCE_S:
        return False
    wanted = sign(key, message_id, timestamp_s, body)
    return any(hmac.compare_digest(wanted, one) for one in given)
