"""Single sign-on: a reverse proxy at a trusted address proves itself with a shared secret and tells who somebody is.

The middleware stands before Flask. What comes from elsewhere, or without the secret, loses the headers, and so does
what passes: nothing behind the middleware can mistake a header for a proof.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from checkout.web_settings import ProxySettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOG = logging.getLogger(__name__)

#: Where the middleware leaves the proven name; no header of a request can be called so.
PROVEN_NAME = "traylane.proxy_name"
_FORWARDED = ("FOR", "PROTO", "HOST")


class TrustedProxy:
    """WSGI middleware that believes one proxy.

    Args:
        inner: the application.
        settings: which proxy, and how it proves itself.
    """

    def __init__(self, inner: WSGIApplication, settings: ProxySettings) -> None:
        self._inner = inner
        self._networks = [ipaddress.ip_network(network) for network in settings.trusted]
        self._secret = settings.secret.get_secret_value().encode()
        self._name_key, self._secret_key = _environ_key(settings.header), _environ_key(settings.secret_header)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        name, secret = environ.pop(self._name_key, ""), environ.pop(self._secret_key, "")
        forwarded = {part: environ.pop(f"HTTP_X_FORWARDED_{part}", "") for part in _FORWARDED}
        environ.pop(PROVEN_NAME, None)
        if self._trusts(environ.get("REMOTE_ADDR", "")):
            self._take(environ, forwarded)
            if name:
                if self._secret and hmac.compare_digest(secret.encode("latin-1", "replace"), self._secret):
                    environ[PROVEN_NAME] = _decoded(name)
                else:
                    _LOG.warning("the proxy names a person but its secret does not fit: check web.accounts.proxy")
        return self._inner(environ, start_response)

    def _take(self, environ: WSGIEnvironment, forwarded: dict[str, str]) -> None:
        """Take from the proxy where the request really came from, and under which name."""
        # The last hop that is not a proxy of ours; what stands before it may be made up.
        for hop in reversed([part.strip() for part in forwarded["FOR"].split(",") if part.strip()]):
            if not is_address(hop):
                break
            environ["REMOTE_ADDR"] = hop
            if not self._trusts(hop):
                break
        if forwarded["PROTO"] in {"http", "https"}:
            environ["wsgi.url_scheme"] = forwarded["PROTO"]
        if forwarded["HOST"] and "," not in forwarded["HOST"]:
            environ["HTTP_HOST"] = forwarded["HOST"]

    def _trusts(self, address: str) -> bool:
        if not is_address(address):
            return False
        parsed: Any = ipaddress.ip_address(address)
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(parsed in network for network in self._networks)


def is_address(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _environ_key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _decoded(name: str) -> str:
    """Return a header's text: WSGI hands bytes over as Latin-1, proxies send UTF-8."""
    return name.encode("latin-1", "replace").decode("utf-8", "replace").strip()
