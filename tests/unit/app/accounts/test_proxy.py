"""The trusted proxy's middleware: what passes to the application, and from whom."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from app.accounts.proxy import PROVEN_NAME, TrustedProxy
from checkout.web_settings import ProxySettings

SECRET = "kJ2l3k4j5h6g7f8d9s0a"  # noqa: S105


def passed(address: str, **headers: str) -> dict[str, object]:
    """Return what the application behind the middleware gets to see."""
    seen: dict[str, object] = {}

    def application(environ, start_response):
        seen.update(environ)
        return []

    settings = ProxySettings(trusted=("10.0.0.0/24", "fd00::5"), secret=SecretStr(SECRET))
    environ = {"REMOTE_ADDR": address, "wsgi.url_scheme": "http", "HTTP_HOST": "inside:8080"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    TrustedProxy(application, settings)(environ, lambda *_: None)
    return seen


def test_the_proxys_word_is_taken():
    seen = passed(
        "10.0.0.7", x_remote_user="ann", x_traylane_proxy_secret=SECRET, x_forwarded_for="6.6.6.6, 203.0.113.4",
        x_forwarded_proto="https", x_forwarded_host="till.example",
    )  # fmt: skip
    assert seen[PROVEN_NAME] == "ann"
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("203.0.113.4", "https")
    assert seen["HTTP_HOST"] == "till.example"


def test_hops_of_our_own_are_passed_over():
    assert passed("10.0.0.7", x_forwarded_for="203.0.113.4, 10.0.0.9")["REMOTE_ADDR"] == "203.0.113.4"
    assert passed("::ffff:10.0.0.7", x_forwarded_for="203.0.113.4")["REMOTE_ADDR"] == "203.0.113.4"
    assert passed("10.0.0.7", x_forwarded_for="made up")["REMOTE_ADDR"] == "10.0.0.7"


@pytest.mark.parametrize("address", ["10.0.1.7", "127.0.0.1", "", "somewhere", "::1"])
def test_nobody_elses_word_is(address):
    seen = passed(
        address, x_remote_user="ann", x_traylane_proxy_secret=SECRET, x_forwarded_for="10.0.0.7",
        x_forwarded_proto="https", x_forwarded_host="till.example",
    )  # fmt: skip
    assert PROVEN_NAME not in seen
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == (address, "http", "inside:8080")


@pytest.mark.parametrize("address", ["10.0.0.7", "192.0.2.1"])
def test_the_headers_never_reach_the_application(address):
    seen = passed(address, x_remote_user="ann", x_traylane_proxy_secret=SECRET, x_forwarded_for="1.2.3.4")
    assert SECRET not in str(seen)
    assert not {"HTTP_X_REMOTE_USER", "HTTP_X_TRAYLANE_PROXY_SECRET", "HTTP_X_FORWARDED_FOR"} & set(seen)


@pytest.mark.parametrize("secret", ["", SECRET[:-1], SECRET + "x", "ä" * 20])
def test_without_the_secret_a_name_is_nothing(secret):
    assert PROVEN_NAME not in passed("10.0.0.7", x_remote_user="ann", x_traylane_proxy_secret=secret)


def test_settings_that_would_trust_too_much_are_refused_without_repeating_the_secret():
    with pytest.raises(ValidationError) as refused:
        ProxySettings(secret=SecretStr("tooshort"))
    assert "tooshort" not in str(refused.value)
    with pytest.raises(ValidationError):
        ProxySettings(trusted=("everywhere",))
    with pytest.raises(ValidationError):
        ProxySettings(role="admin")
