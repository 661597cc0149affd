"""Superset's settings: one process, no redis, no celery, nothing fetched from outside. Read by Superset itself.

`dash.py` gives what differs between machines by environment variables: DASH_HOME, DASH_STORE_URI, DASH_METADATA_URI,
DASH_FRAME_ANCESTORS, and may be given DASH_SECRET_KEY and DASH_GUEST_SECRET.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

_HOME = Path(os.environ["DASH_HOME"])


def _secret(name: str) -> str:
    """Return a secret from the environment, else from a file that is made once and readable by its owner only."""
    given = os.environ.get(name)
    if given:
        return given
    path = _HOME / name.lower()
    if not path.exists():
        draft = _HOME / f".{name.lower()}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # fails if another process was first: there is one secret, never two
        draft.unlink()
    return path.read_text().strip()


# It also encrypts the store's password in Superset's own database: who loses it imports again.
SECRET_KEY = _secret("DASH_SECRET_KEY")
GUEST_TOKEN_JWT_SECRET = _secret("DASH_GUEST_SECRET")
GUEST_TOKEN_JWT_EXP_SECONDS = 600
GUEST_TOKEN_JWT_AUDIENCE = "traylane-dashboards"  # noqa: S105 - whom a pass is for, no secret
GUEST_ROLE_NAME = "TraylaneGuest"
GLOBAL_ASYNC_QUERIES_JWT_SECRET = SECRET_KEY

SQLALCHEMY_DATABASE_URI = os.environ.get("DASH_METADATA_URI") or f"sqlite:///{_HOME}/superset.db"
if SQLALCHEMY_DATABASE_URI.startswith("sqlite"):
    SQLALCHEMY_ENGINE_OPTIONS = {"connect_args": {"timeout": 30}}

# Superset refuses SQLite stores, since a URI could name any file of the machine. Ours is fixed and read-only; only the
# administrator can name another.
PREVENT_UNSAFE_DB_CONNECTIONS = not os.environ.get("DASH_STORE_URI", "").startswith("sqlite")

FEATURE_FLAGS = {
    "EMBEDDED_SUPERSET": True,
    "ALERT_REPORTS": False,
    "THUMBNAILS": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
}

_IN_MEMORY = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 30, "CACHE_THRESHOLD": 200}
_IN_DATABASE = {"CACHE_TYPE": "SupersetMetastoreCache", "CACHE_DEFAULT_TIMEOUT": 86400}
CACHE_CONFIG = DATA_CACHE_CONFIG = _IN_MEMORY
FILTER_STATE_CACHE_CONFIG = EXPLORE_FORM_DATA_CACHE_CONFIG = _IN_DATABASE
RATELIMIT_STORAGE_URI = "memory://"

# Frames only inside the operator's page; nothing from any other host. This also stops the tracking pixel that the
# front end was built with.
_FRAMES = os.environ.get("DASH_FRAME_ANCESTORS", "'self'").split()
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "default-src": ["'self'"],
        "base-uri": ["'self'"],
        "object-src": "'none'",
        "connect-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "font-src": ["'self'", "data:"],
        "worker-src": ["'self'", "blob:"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "frame-ancestors": _FRAMES,
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
    # `frame-ancestors` says it better; X-Frame-Options cannot name another origin.
    "frame_options": None,
}
# Cookies know no ports: under its usual name it would fight the operator page's cookie on the same host.
SESSION_COOKIE_NAME = "traylane_dashboards"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
ENABLE_CORS = False

APP_NAME = "Traylane dashboards"
_LOGO = (
    "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' width='150' height='28'>"
    "<rect width='28' height='28' rx='7' fill='%230f766e'/>"
    "<rect x='6' y='8' width='16' height='12' rx='3' fill='none' stroke='white' stroke-width='2'/>"
    "<circle cx='14' cy='14' r='2.5' fill='white'/>"
    "<text x='36' y='20' font-family='Inter,Helvetica,Arial' font-size='17' font-weight='600' "
    "fill='%230f172a'>Traylane</text></svg>"
)
THEME_DEFAULT = {
    "algorithm": "default",
    "token": {
        "brandAppName": APP_NAME,
        "brandLogoUrl": _LOGO,
        "brandLogoAlt": APP_NAME,
        "brandLogoHref": "/",
        "brandLogoHeight": "28px",
        "brandLogoMargin": "14px 0",
        "colorPrimary": "#0f766e",
        "colorLink": "#0f766e",
        "borderRadius": 8,
        "fontFamily": "Inter, Helvetica, Arial, sans-serif",
    },
}
THEME_DARK = None
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "traylane",
        "label": "Traylane",
        "description": "",
        "isDefault": True,
        "colors": ["#0f766e", "#f59e0b", "#3b82f6", "#e11d48", "#8b5cf6", "#84cc16", "#64748b", "#ec4899"],
    }
]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "traylaneShare",
        "label": "Traylane, shares",
        "description": "",
        "isDiverging": False,
        "isDefault": False,
        "colors": ["#fecaca", "#fde68a", "#d9f99d", "#86efac", "#34d399"],
    },
    {
        "id": "traylaneCount",
        "label": "Traylane, counts",
        "description": "",
        "isDiverging": False,
        "isDefault": False,
        "colors": ["#f0fdfa", "#ccfbf1", "#99f6e4", "#5eead4", "#2dd4bf", "#14b8a6"],
    },
]
