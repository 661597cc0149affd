"""The panel with the dashboards: what it shows without Superset, and whom its pass lets in where."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.dashboards_page import PANELS, dashboards_page
from app.embed import guest_token
from checkout.config import DashboardsSettings, SiteSettings
from dashboards.generate import uid

SECRET = "s" * 40


def client_of(url: str | None, secret_file: Path, **more: object) -> FlaskClient:
    settings = DashboardsSettings(url=url, secret_file=secret_file)
    app = Flask("app")
    app.register_blueprint(dashboards_page(settings, site_name="Canteen", **more))  # type: ignore[arg-type]
    # The other pages that the rail links to.
    app.add_url_rule("/", "live", lambda: "")
    app.add_url_rule("/bills", "bills_page", lambda: "")
    return app.test_client()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


@pytest.fixture
def superset() -> Iterator[str]:
    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def claims_of(token: str) -> dict[str, object]:
    """Check the signature as RFC 7515 says, and return the claims."""
    head, body, signature = token.split(".")
    expected = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "==") == expected
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_a_pass_opens_one_dashboard_for_some_minutes_and_some_rows() -> None:
    claims = claims_of(guest_token(SECRET, "some-uuid", "ada", 1000.9, ["site = 'canteen-1'"]))
    assert claims["resources"] == [{"type": "dashboard", "id": "some-uuid"}]
    assert claims["rls_rules"] == [{"clause": "site = 'canteen-1'"}]
    assert (claims["iat"], claims["exp"], claims["aud"], claims["type"]) == (1000, 1300, "traylane-dashboards", "guest")


def test_a_secret_that_can_be_guessed_signs_nothing() -> None:
    with pytest.raises(ValueError, match="fewer than 32"):
        guest_token("short", "some-uuid", "ada", 0.0)


def test_the_panels_are_the_dashboards_of_the_assets() -> None:
    assert {panel.embed_id for panel in PANELS} == {
        uid("dashboards", f"traylane-{slug}") for slug in ("operations", "sales", "quality")
    }


def test_without_superset_the_page_says_how_to_set_it_up(secret_file: Path) -> None:
    client = client_of(None, secret_file)
    answer = client.get("/dashboards")
    assert answer.status_code == 200
    assert "make dashboards" in answer.text
    assert "superset-embedded-sdk.js" not in answer.text
    assert client.get("/dashboards/state").json == {"set_up": False, "up": False}
    assert client.post("/dashboards/sales/pass").status_code == 404


def test_state_tells_whether_superset_answers(superset: str, secret_file: Path) -> None:
    assert client_of(superset, secret_file).get("/dashboards/state").json == {"set_up": True, "up": True}
    nobody = "http://127.0.0.1:9"
    assert client_of(nobody, secret_file).get("/dashboards/state").json == {"set_up": True, "up": False}


def test_only_superset_may_be_framed_and_it_learns_who_frames_it(superset: str, secret_file: Path) -> None:
    answer = client_of(superset, secret_file).get("/dashboards/quality")
    assert f"frame-src {superset};" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert uid("dashboards", "traylane-quality") in answer.text


def test_the_pass_is_for_the_dashboard_that_is_shown(superset: str, secret_file: Path) -> None:
    client = client_of(superset, secret_file, viewer=lambda: "ada", clauses=lambda: ("lane = 'lane1'",))
    answer = client.post("/dashboards/sales/pass")
    claims = claims_of(answer.json["token"])  # type: ignore[index]
    assert claims["resources"] == [{"type": "dashboard", "id": uid("dashboards", "traylane-sales")}]
    assert claims["rls_rules"] == [{"clause": "lane = 'lane1'"}]
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.post("/dashboards/nothing/pass").status_code == client.get("/dashboards/nothing").status_code == 404


def test_a_missing_secret_is_told(superset: str, tmp_path: Path) -> None:
    answer = client_of(superset, tmp_path / "none").post("/dashboards/sales/pass")
    assert answer.status_code == 503
    assert "dash.py up" in answer.json["detail"]  # type: ignore[index]


@pytest.mark.parametrize("url", ["127.0.0.1:8088", "http://host/path", "javascript:alert(1)", "http://a b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        DashboardsSettings(url=url)


def test_a_time_zone_that_nobody_knows_is_refused() -> None:
    assert SiteSettings(timezone="Europe/Berlin").timezone == "Europe/Berlin"
    for wrong in ("Europe/Atlantis", "", "../etc/passwd"):
        with pytest.raises(ValueError, match="time zone"):
            SiteSettings(timezone=wrong)
