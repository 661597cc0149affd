"""A viewer's pass for one dashboard: a JSON Web Token (RFC 7519, HS256) that Superset takes for a guest.

The page that embeds a dashboard signs the pass itself with the secret it shares with Superset: no call to Superset,
no administrator's password in the product. Standard library only; `dashboards/dash.py` uses it too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence

AUDIENCE = "traylane-dashboards"
PASS_S = 300


def _part(content: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).rstrip(b"=")


def guest_token(secret: str, dashboard: str, viewer: str, now_s: float, clauses: Sequence[str] = ()) -> str:
    """Return a pass that opens one dashboard for `PASS_S` seconds.

    Args:
        secret: shared with Superset.
        dashboard: UUID under which it is embedded.
        viewer: shown in Superset's log.
        now_s: UTC epoch seconds.
        clauses: SQL conditions that every query of the viewer gets, e.g. `site = 'canteen-1'`. Give only text that
            no user wrote.

    Raises:
        ValueError: the secret is empty or short enough to be guessed.
    """
    if len(secret) < 32:
        raise ValueError("the secret of the dashboards has fewer than 32 characters; make a longer one")
    claims = {
        "user": {"username": viewer, "first_name": viewer, "last_name": ""},
        "resources": [{"type": "dashboard", "id": dashboard}],
        "rls_rules": [{"clause": clause} for clause in clauses],
        "iat": int(now_s),
        "exp": int(now_s) + PASS_S,
        "aud": AUDIENCE,
        "type": "guest",
    }
    signed = _part({"alg": "HS256", "typ": "JWT"}) + b"." + _part(claims)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
