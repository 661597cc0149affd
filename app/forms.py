"""The token of forms (CSRF): what a browser sends with everything that changes something, and another site cannot."""

from __future__ import annotations

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]
from werkzeug.exceptions import Forbidden

from app.guard import CheckForm

FORM_COOKIE = "traylane_forms"


class _FormSession(SecureCookieSessionInterface):
    """Marks the cookie `Secure` where the page came over https."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether the browser may send it over https only."""
        return request.is_secure


def protect_forms(app: Flask, key: str) -> CheckForm:
    """Give templates `csrf_token()`, and return the check that the guard makes.

    Args:
        app: gets the signed cookie that a token belongs to.
        key: signs it.
    """
    app.session_interface = _FormSession()
    app.config.update(
        SECRET_KEY=key,
        SESSION_COOKIE_NAME=FORM_COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # The guard asks, since it knows whether a cookie is what proves the person.
        WTF_CSRF_CHECK_DEFAULT=False,
        # A lane's page stays open for days; the token ends with the browser's session or the next log-in.
        WTF_CSRF_TIME_LIMIT=None,
        # The guard compares the origin of every request that changes something.
        WTF_CSRF_SSL_STRICT=False,
    )
    protection = CSRFProtect(app)

    def check() -> None:
        try:
            protection.protect()
        except CSRFError as err:
            raise Forbidden(
                "the form's token is missing or old; load the page again (programs: send X-CSRFToken, or use a bearer "
                "token)"
            ) from err

    return check
