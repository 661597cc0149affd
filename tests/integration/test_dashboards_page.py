"""The page with the dashboards: what it shows without Superset, and whom its pass lets in where."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.accounts.accounts import Accounts
from app.embed import guest_token
from app.guard import CONTENT_POLICY
from app.pages.dashboards import ASK_AGAIN_S, PANELS, Lookout
from app.permissions import Role
from app.web import create_app
from checkout.config import DashboardsSettings, LoadedConfig, SiteConfig, SiteSettings
from dashboards.generate import uid
from tests.accounts import Browser, accounts_of, add_person, still_site
from tests.appliance import demo

SECRET = "s" * 40
JSON = {"Accept": "application/json"}


@dataclass
class House:
    """A site with its people, and a log-in each."""

    app: Any
    accounts: Accounts

    def visitor(self, role: Role, lanes: list[str] | None = None) -> Browser:
        name = f"{role} of {'all' if lanes is None else len(lanes)}"
        add_person(self.accounts, name, role, lanes=lanes)
        browser = Browser(self.app)
        assert browser.log_in(name).status_code == 302
        return browser

    def claims(self, role: Role, lanes: list[str] | None = None) -> dict[str, Any]:
        browser = self.visitor(role, lanes)
        answer = browser.post("/dashboards/sales/pass", token=browser.token("/dashboards"), headers=JSON)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        return claims_of(answer.json["token"])


@contextmanager
def house_of(folder: Path, url: str | None, secret_file: Path | None = None) -> Iterator[House]:
    panel = {"url": url, "secret_file": str(secret_file or folder / "secret")}
    config = LoadedConfig(SiteConfig.model_validate(demo(dashboards=panel)), "0" * 64, folder, "site.yaml")
    (folder / "secret").write_text(SECRET + "\n")
    with still_site(folder) as site:
        accounts = accounts_of(site)
        yield House(create_app(site, accounts, config), accounts)


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


def test_without_superset_the_page_says_how_to_set_it_up_and_no_link_leads_there(tmp_path: Path) -> None:
    with house_of(tmp_path, None) as house:
        ann = house.visitor(Role.CASHIER)
        page = ann.get("/dashboards")
        assert page.status_code == 200
        assert "make dashboards" in page.text
        assert "superset-embedded-sdk.js" not in page.text
        assert 'href="/dashboards"' not in ann.get("/bills").text
        assert page.headers["Content-Security-Policy"] == CONTENT_POLICY
        assert ann.get("/dashboards/state").json == {"set_up": False, "up": False}
        assert ann.post("/dashboards/sales/pass", token=ann.token("/bills"), headers=JSON).status_code == 404


def test_the_page_frames_superset_and_nothing_else_does(superset: str, tmp_path: Path) -> None:
    with house_of(tmp_path, superset) as house:
        ann = house.visitor(Role.CASHIER)
        assert 'href="/dashboards"' in ann.get("/bills").text
        page = ann.get("/dashboards/quality")
        # No inline script or style either: the policy of all pages, and the frame.
        assert page.headers["Content-Security-Policy"] == f"{CONTENT_POLICY}; frame-src {superset}"
        assert page.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
        assert "frame-src" not in ann.get("/bills").headers["Content-Security-Policy"]
        assert uid("dashboards", "traylane-quality") in page.text
        assert page.text.count('aria-current="page"') == 2, "the entry of the rail, and the one of the three dashboards"
        ann.client.set_cookie("traylane_language", "de")
        german = ann.get("/dashboards").text
        assert all(word in german for word in ("Betrieb", "Verkauf", "Qualität", "Die Dashboards werden gesucht"))
        assert ann.get("/dashboards/nothing").status_code == 404
        assert "operations, sales, quality" in ann.get("/dashboards/nothing").text
        assert ann.post("/dashboards/nothing/pass", token=ann.token("/bills"), headers=JSON).status_code == 404


def test_a_pass_is_for_who_may_read_bills_and_shows_their_lanes_only(superset: str, tmp_path: Path) -> None:
    with house_of(tmp_path, superset) as house:
        everything = house.claims(Role.AUDITOR)
        assert everything["resources"] == [{"type": "dashboard", "id": uid("dashboards", "traylane-sales")}]
        assert everything["rls_rules"] == []
        assert everything["user"]["username"] == "auditor of all"
        assert house.claims(Role.CASHIER, ["lane2"])["rls_rules"] == [{"clause": "lane IN ('lane2')"}]
        assert house.claims(Role.OPERATOR, ["lane1", "lane2"])["rls_rules"] == [
            {"clause": "lane IN ('lane1', 'lane2')"}
        ]
        assert house.claims(Role.REVIEWER, [])["rls_rules"] == [{"clause": "1 = 0"}]
        for role in (Role.GUEST_DISPLAY, Role.ANNOTATOR):
            visitor = house.visitor(role)
            assert visitor.get("/dashboards", headers=JSON).status_code == 403
            assert visitor.get("/dashboards/state", headers=JSON).status_code == 403
            refused = visitor.post("/dashboards/sales/pass", token=visitor.token("/account"), headers=JSON)
            assert refused.status_code == 403
        forged = house.visitor(Role.ADMIN).post("/dashboards/sales/pass", token="made up", headers=JSON)  # noqa: S106
        assert forged.status_code == 403
        assert "token" not in forged.json, "no pass: only what is wrong with the form"


def test_a_missing_secret_is_told(superset: str, tmp_path: Path) -> None:
    with house_of(tmp_path, superset, tmp_path / "none") as house:
        ann = house.visitor(Role.CASHIER)
        answer = ann.post("/dashboards/sales/pass", token=ann.token("/bills"), headers=JSON)
        assert answer.status_code == 503
        assert "dash.py up" in answer.json["detail"]


def test_state_tells_whether_superset_answers_and_asks_it_seldom(superset: str, tmp_path: Path) -> None:
    with house_of(tmp_path, superset) as house:
        assert house.visitor(Role.CASHIER).get("/dashboards/state").json == {"set_up": True, "up": True}
    now_s = [100.0]
    lookout = Lookout("http://127.0.0.1:9", lambda: now_s[0])
    assert not lookout.up()
    lookout._url = superset
    assert not lookout.up(), "asked a moment ago"
    now_s[0] += ASK_AGAIN_S
    assert lookout.up()


@pytest.mark.parametrize(
    "url",
    [
        *("127.0.0.1:8088", "http://host/path", "javascript:alert(1)", "http://a b", "http://a; script-src *"),
        *("http://user:word@host", "http://host:port", "http://host,b"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        DashboardsSettings(url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8088", "https://dash.example", "http://[::1]:8088"])
def test_an_address_is_taken(url: str) -> None:
    assert DashboardsSettings(url=url).url == url


def test_a_time_zone_that_nobody_knows_is_refused() -> None:
    assert SiteSettings(timezone="Europe/Berlin").timezone == "Europe/Berlin"
    for wrong in ("Europe/Atlantis", "", "../etc/passwd"):
        with pytest.raises(ValueError, match="time zone"):
            SiteSettings(timezone=wrong)
