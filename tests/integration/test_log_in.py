"""Log-in, sessions, forms, rate limit and single sign-on, through the whole application with a clock driven by hand."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from flask import Flask
from pydantic import SecretStr

from app.accounts.accounts import Accounts
from app.permissions import Action, Role
from app.web import create_app
from checkout.web_settings import AccountSettings, ProxySettings, WebSettings
from core.clock import ManualClock
from tests.accounts import PASSWORD, TERMINAL, Browser, accounts_of, add_person, still_site

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens
HOUR_S, DAY_S = 3600.0, 86400.0
SECRET = "kJ2l3k4j5h6g7f8d9s0a"  # noqa: S105
PROXY = ProxySettings(trusted=("10.0.0.5",), secret=SecretStr(SECRET))


@dataclass
class House:
    app: Flask
    accounts: Accounts
    clock: ManualClock
    ann: str


def house_of(tmp_path, monkeypatch, web: WebSettings) -> Iterator[House]:
    clock = ManualClock(utc_s=1_800_000_000.0)
    # The rate limiter's windows run on the same clock.
    told = SimpleNamespace(time=clock.utc_s)
    monkeypatch.setattr("limits.storage.memory.time", told)
    monkeypatch.setattr("limits.storage.base.time", told, raising=False)
    monkeypatch.setattr("app.accounts.throttle.time", told)
    with still_site(tmp_path, clock) as site:
        accounts = accounts_of(site, web)
        add_person(accounts, "boss", Role.ADMIN)
        yield House(create_app(site, accounts), accounts, clock, add_person(accounts, "Ann", Role.CASHIER))


@pytest.fixture
def house(tmp_path, monkeypatch) -> Iterator[House]:
    yield from house_of(tmp_path, monkeypatch, WebSettings(host=EVERYWHERE, allowed_hosts=("till.example",)))


@pytest.fixture
def proxied(tmp_path, monkeypatch) -> Iterator[House]:
    yield from house_of(tmp_path, monkeypatch, WebSettings(host=EVERYWHERE, accounts=AccountSettings(proxy=PROXY)))


def is_in(browser: Browser) -> bool:
    return browser.get("/bills").status_code == 200


def test_a_page_leads_to_the_log_in_and_back(house):
    browser = Browser(house.app)
    away = browser.get("/bills?lane=lane1")
    assert away.status_code == 302
    assert away.location == "/login?next=/bills%3Flane%3Dlane1"
    form = {"name": " ann ", "password": PASSWORD, "next": "/bills?lane=lane1"}
    back = browser.post("/login", form)
    assert (back.status_code, back.location) == (302, "/bills?lane=lane1")
    assert is_in(browser)
    assert browser.post("/login", form | {"next": "https://evil.example/"}).location == "/"


def test_a_program_is_told_how_to_log_in(house):
    answer = house.app.test_client().get("/api/v1/bills")
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_cookies_are_kept_from_scripts_and_other_sites(house):
    answer = Browser(house.app).log_in("ann")
    cookies = answer.headers.getlist("Set-Cookie")
    session = next(cookie for cookie in cookies if cookie.startswith("traylane_session="))
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    secure = Browser(house.app, https=True).log_in("ann")
    session = next(c for c in secure.headers.getlist("Set-Cookie") if c.startswith("__Host-traylane="))
    assert "Secure" in session
    assert "Path=/" in session
    assert "Strict-Transport-Security" in secure.headers


def test_a_session_that_was_there_before_is_not_the_one_after(house):
    browser = Browser(house.app)
    browser.client.set_cookie("traylane_session", "planted-by-somebody-else")
    before = browser.token()
    browser.log_in("ann")
    first = browser.client.get_cookie("traylane_session").value
    assert first != "planted-by-somebody-else"
    browser.log_in("ann")
    assert house.accounts.sessions.find(first) is None, "the session of before ends"
    # The form's token of before the log-in is worth nothing afterwards.
    assert browser.post("/account/logout-everywhere", token=before).status_code == 403


def test_a_session_ends_when_unused_and_in_any_case(house):
    browser = Browser(house.app)
    browser.log_in("ann")
    for _ in range(13):
        house.clock.advance(11 * HOUR_S)
        assert is_in(browser)
    house.clock.advance(13 * HOUR_S)
    assert not is_in(browser), "unused for longer than idle_h"
    browser.log_in("ann")
    for _ in range(15):
        house.clock.advance(11 * HOUR_S)
        assert is_in(browser)
    house.clock.advance(4 * HOUR_S)
    assert not is_in(browser), "longer than longest_h, though used"


def test_a_guest_display_stays_logged_in(house):
    add_person(house.accounts, "screen", Role.GUEST_DISPLAY, lanes=["lane1"])
    browser = Browser(house.app)
    browser.log_in("screen")
    house.clock.advance(80 * DAY_S)
    assert browser.get("/").status_code == 200
    house.clock.advance(20 * DAY_S)
    assert browser.get("/").status_code == 302


def test_log_out_ends_the_session_on_the_server(house):
    browser = Browser(house.app)
    browser.log_in("ann")
    cookie = browser.client.get_cookie("traylane_session").value
    assert browser.post("/logout", token=browser.token("/account")).location == "/login"
    browser.client.set_cookie("traylane_session", cookie)
    assert not is_in(browser)


def test_disabling_somebody_ends_sessions_and_tokens_at_once(house):
    browser = Browser(house.app)
    browser.log_in("ann")
    owner = house.accounts.people.get(house.ann)
    token = house.accounts.tokens.make(TERMINAL, owner, "till", [Action.READ], 5).token
    headers = {"Authorization": f"Bearer {token}"}
    assert house.app.test_client().get("/api/v1/bills", headers=headers).status_code == 200
    house.accounts.people.set_disabled(TERMINAL, house.ann, True)
    assert not is_in(browser)
    assert house.app.test_client().get("/api/v1/bills", headers=headers).status_code == 401
    assert Browser(house.app).log_in("ann").status_code == 401


def test_a_stream_ends_with_the_session(house, monkeypatch):
    monkeypatch.setattr("app.guard.LOOK_AGAIN_S", 0.0)
    browser = Browser(house.app)
    browser.log_in("ann")
    answer = browser.client.get("/api/v1/lanes/stream", buffered=False)
    parts = answer.iter_encoded()
    assert next(parts)
    house.accounts.people.set_disabled(TERMINAL, house.ann, True)
    assert len(list(parts)) <= 2
    answer.close()


def test_a_token_ends(house):
    owner = house.accounts.people.get(house.ann)
    made = house.accounts.tokens.make(TERMINAL, owner, "till", [Action.READ], 2)
    headers = {"Authorization": f"Bearer {made.token}"}
    client = house.app.test_client()
    assert client.get("/api/v1/bills", headers=headers).status_code == 200
    assert house.accounts.tokens.all()[0].last_used_at_s == house.clock.utc_s()
    assert client.get("/api/v1/lanes", headers=headers).get_json()["detail"].count("'view'") == 1
    house.clock.advance(2 * DAY_S)
    answer = client.get("/api/v1/bills", headers=headers)
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    again = house.accounts.tokens.make(TERMINAL, owner, "till", [Action.READ], 2)
    house.accounts.tokens.revoke(TERMINAL, again.row.token_id)
    assert client.get("/api/v1/bills", headers={"Authorization": f"Bearer {again.token}"}).status_code == 401


def test_what_changes_something_needs_the_forms_token(house):
    browser = Browser(house.app)
    browser.log_in("boss")
    form = {"name": "eve", "role": "admin", "lanes": "all"}
    assert browser.client.post("/users", data=form).status_code == 403
    assert browser.client.post("/users", data=form | {"csrf_token": "made-up"}).status_code == 403
    stolen = Browser(house.app).token()
    assert browser.post("/users", form, token=stolen).status_code == 403, "a token of another browser"
    answer = browser.post("/users", form, token=browser.token("/users"), headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert house.accounts.people.named("eve") is None
    assert browser.post("/users", form, token=browser.token("/users")).status_code == 302
    assert house.accounts.people.named("eve") is not None
    json = {"track_id": 1, "dish": ""}
    assert browser.client.post("/api/v1/lanes/lane1/answers", json=json).status_code == 403
    headers = {"X-CSRFToken": browser.token("/users")}
    assert browser.client.post("/api/v1/lanes/lane1/answers", json=json, headers=headers).status_code == 409


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(house):
    wrong, unknown = Browser(house.app).log_in("ann", "no"), Browser(house.app).log_in("nobody-here", "no")
    assert wrong.status_code == unknown.status_code == 401
    pages = [
        re.sub(r'(content|value)="[^"]{40,}"', "", answer.get_data(as_text=True).replace("nobody-here", "ann"))
        for answer in (wrong, unknown)
    ]
    assert pages[0] == pages[1]
    assert "do not fit" in pages[0]
    house.accounts.people.set_disabled(TERMINAL, house.ann, True)
    assert Browser(house.app).log_in("ann").status_code == 401


def test_the_waits_grow(house):
    browser = Browser(house.app)
    waits = []
    for _ in range(3):
        while (answer := browser.log_in("ann", "wrong guess")).status_code == 401:
            pass
        assert answer.status_code == 429
        waits.append(int(answer.headers["Retry-After"]))
        house.clock.advance(waits[-1] + 1)
    assert waits[0] <= 60
    assert 60 < waits[2] <= 3600
    assert browser.log_in("ann").status_code == 302, "after the wait the right password opens"


def test_the_right_password_is_refused_too_while_one_has_to_wait(house):
    browser = Browser(house.app)
    for _ in range(5):
        browser.log_in("ann", "wrong guess")
    assert browser.log_in("ann").status_code == 429
    house.clock.advance(61)
    assert browser.log_in("ann").status_code == 302


def test_nobody_can_lock_somebody_else_out(house):
    known = Browser(house.app, "192.0.2.1")
    known.log_in("ann")
    known.post("/logout", token=known.token("/account"))
    for machine in range(12):
        attacker = Browser(house.app, f"198.51.100.{machine}")
        for _ in range(7):
            attacker.log_in("ann", "wrong guess")
    neighbour = Browser(house.app, "192.0.2.1")  # behind the same address as Ann
    for guess in range(40):
        neighbour.log_in("ann" if guess % 2 else f"name{guess}", "wrong guess")
    assert neighbour.log_in("ann").status_code == 429
    assert Browser(house.app, "203.0.113.9").log_in("ann").status_code == 302, "from an address of her own"
    assert known.log_in("ann").status_code == 302, "in a browser that is known, even behind the attacker's address"


def test_the_cookie_of_a_known_browser_helps_one_name_only_and_cannot_be_made_up(house):
    attacker = Browser(house.app)
    attacker.log_in("boss")
    tries = [attacker.log_in("ann", "wrong guess").status_code for _ in range(8)]
    assert tries == [401] * 5 + [429] * 3
    device = attacker.client.get_cookie("traylane_device", path="/login").value
    throttle = house.accounts.log_in._throttle
    assert throttle.knows("boss", device)
    assert not throttle.knows("ann", device)
    assert not throttle.knows("ann", device.split(".")[0] + "." + "0" * 32)


def test_one_machine_that_goes_through_names_is_stopped(house):
    attacker = Browser(house.app)
    tries = [attacker.log_in(f"name{n}", "password123").status_code for n in range(40)]
    assert tries.count(401) == 30
    assert tries[-1] == 429


def test_the_old_password_is_asked_for_and_guessing_it_is_slowed(house):
    browser = Browser(house.app)
    browser.log_in("ann")
    form = {"old": "guess", "new": "four blue spoons", "again": "four blue spoons"}
    token = browser.token("/account")
    statuses = [browser.post("/account/password", form, token=token).status_code for _ in range(7)]
    assert statuses == [422] * 5 + [429] * 2
    house.clock.advance(61)
    other = Browser(house.app, "203.0.113.9")
    other.log_in("ann")
    changed = browser.post("/account/password", form | {"old": PASSWORD}, token=token)
    assert changed.status_code == 302
    assert is_in(browser)
    assert not is_in(other), "all other log-ins end"
    assert Browser(house.app).log_in("ann", "four blue spoons").status_code == 302


def test_a_password_made_by_somebody_else_has_to_be_changed_first(house):
    admin = Browser(house.app)
    admin.log_in("boss")
    shown = admin.post(f"/users/{house.ann}/password", token=admin.token("/users")).get_data(as_text=True)
    made = shown.split('id="secret">')[1].split("<")[0]
    browser = Browser(house.app)
    assert browser.log_in("ann", made).location == "/account"
    assert browser.get("/bills").location == "/account"
    api = browser.client.get("/api/v1/bills")
    assert (api.status_code, "change the password" in api.get_json()["detail"]) == (403, True)
    form = {"old": made, "new": "four blue spoons", "again": "four blue spoons"}
    assert browser.post("/account/password", form, token=browser.token("/account")).location == "/"
    assert is_in(browser)


def test_foreign_host_names_are_refused_and_own_ones_are_not(house):
    client = house.app.test_client()
    for host, expected in {
        "evil.example": 403, "till.example": 200, "TILL.example:8080": 200, "192.168.1.7:8080": 200, "[::1]": 200,
        "localhost": 200, "evil.example@till.example": 403, "till.example.evil.example": 403,
    }.items():  # fmt: skip
        answer = client.get("/healthz", headers={"Host": host})
        assert answer.status_code == expected, host


def test_single_sign_on_believes_the_proxy_and_nobody_else(proxied, caplog):
    def visit(address: str, headers: dict[str, str]) -> int:
        environ = {"REMOTE_ADDR": address}
        return proxied.app.test_client().get("/api/v1/bills", headers=headers, environ_base=environ).status_code

    proof = {"X-Remote-User": "ann", "X-Traylane-Proxy-Secret": SECRET}
    assert visit("10.0.0.5", proof) == 200
    assert visit("10.0.0.6", proof) == 401, "from another address"
    assert visit("10.0.0.5", {"X-Remote-User": "ann"}) == 401, "without the secret"
    assert visit("10.0.0.5", proof | {"X-Traylane-Proxy-Secret": SECRET[:-1]}) == 401, "with another secret"
    assert visit("10.0.0.6", proof | {"X-Forwarded-For": "10.0.0.5"}) == 401, "an address that is only claimed"
    assert visit("10.0.0.5", proof | {"X-Remote-User": "stranger"}) == 401, "a name that nobody has"
    proxied.accounts.people.set_disabled(TERMINAL, proxied.ann, True)
    assert visit("10.0.0.5", proof) == 401, "a disabled person"
    assert SECRET not in caplog.text


def test_single_sign_on_may_make_people_with_the_role_that_is_set(tmp_path, monkeypatch):
    proxy = PROXY.model_copy(update={"unknown_people": "make", "role": "auditor"})
    web = WebSettings(host=EVERYWHERE, accounts=AccountSettings(proxy=proxy))
    for house in house_of(tmp_path, monkeypatch, web):
        client = house.app.test_client()
        headers = {"X-Remote-User": "Zoë", "X-Traylane-Proxy-Secret": SECRET}
        encoded = {**headers, "X-Remote-User": "Zoë".encode().decode("latin-1")}
        environ = {"REMOTE_ADDR": "10.0.0.5"}
        assert client.get("/audit", headers=encoded, environ_base=environ).status_code == 200
        assert client.get("/users", headers=encoded, environ_base=environ).status_code == 403
        made = house.accounts.people.named("zoë")
        assert (made.origin, made.roles) == ("proxy", {"auditor"})
        bad = {**headers, "X-Remote-User": "ann, boss"}
        assert client.get("/audit", headers=bad, environ_base=environ).status_code == 401


def test_a_proxys_cookie_less_log_in_needs_the_forms_token_too(proxied):
    headers = {"X-Remote-User": "boss", "X-Traylane-Proxy-Secret": SECRET}
    environ = {"REMOTE_ADDR": "10.0.0.5"}
    form = {"name": "eve", "role": "admin", "lanes": "all"}
    answer = proxied.app.test_client().post("/users", data=form, headers=headers, environ_base=environ)
    assert answer.status_code == 403
    assert proxied.accounts.people.named("eve") is None


def test_behind_a_proxy_tries_are_counted_by_where_they_really_come_from(proxied):
    def guess(forwarded: str) -> int:
        browser = Browser(proxied.app, "10.0.0.5")
        form = {"name": "ann", "password": "wrong"}
        return browser.post("/login", form, headers={"X-Forwarded-For": forwarded}).status_code

    assert [guess("203.0.113.1") for _ in range(7)] == [401] * 5 + [429] * 2
    assert guess("203.0.113.2") == 401
    assert guess("203.0.113.2, 203.0.113.1") == 429, "only the hop that the proxy itself saw counts"


def test_answers_carry_the_headers_that_keep_pages_safe(house):
    browser = Browser(house.app)
    page = browser.get("/login")
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    for name in ("X-Content-Type-Options", "Permissions-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy"):
        assert name in page.headers
    assert "Strict-Transport-Security" not in page.headers
    browser.log_in("ann")
    assert browser.get("/bills").headers["Cache-Control"] == "no-store"
    assert browser.client.get("/api/v1/bills").headers["Cache-Control"] == "no-store"


@pytest.fixture
def everything_logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


def test_no_secret_shows_anywhere(proxied, everything_logged, capfd):
    """Seed secrets in configuration, log-in, tokens, audit; look for them in pages, errors, audit, database, logs."""
    typed, mistyped = "violet otter teapot", "violet otter teapto"
    bea = add_person(proxied.accounts, "bea", Role.ADMIN, password=typed)
    browser = Browser(proxied.app)
    browser.log_in("bea", mistyped)
    browser.log_in(typed, "as a name by mistake")
    browser.log_in("bea", typed)
    cookie = browser.client.get_cookie("traylane_session").value
    form = {"owner": bea, "label": "till", "days": "3", "scope": "read", "lanes": "all"}
    shown = browser.post("/users/tokens", form, token=browser.token("/users")).get_data(as_text=True)
    token = shown.split('id="secret">')[1].split("<")[0]
    assert token.startswith("tlk_")
    person = proxied.accounts.by_session(cookie, "")[0]
    camera = {"url": "rtsp://cam:s3cretcam@10.0.0.7/1", "password": "s3cretcam", "mqtt_token": "s3cretcam"}
    proxied.accounts.book.write(person, "settings.change", "lane1", camera, camera)
    client = proxied.app.test_client()
    client.get("/api/v1/bills", headers={"Authorization": f"Bearer {token}"})
    headers = {"X-Remote-User": "ann", "X-Traylane-Proxy-Secret": SECRET + "x"}
    client.get("/api/v1/bills", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.5"})

    pages = [
        browser.get(path).get_data(as_text=True)
        for path in ("/", "/account", "/users", f"/users/{bea}", "/users/tokens", "/audit", "/audit.csv", "/nope")
    ]
    pages.append(client.get("/api/v1/bills", headers={"Authorization": f"Bearer {token}x"}).get_data(as_text=True))
    secrets = [typed, mistyped, token, cookie, SECRET, "s3cretcam", proxied.accounts.key]
    with proxied.accounts.rows._engine.connect() as connection:
        tables = ("people", "credentials", "sessions", "tokens", "audit", "events")
        rows = [str(connection.exec_driver_sql(f"SELECT * FROM {table}").all()) for table in tables]  # noqa: S608
    out = capfd.readouterr()
    for place in [*pages, *rows, everything_logged.text, out.out, out.err, repr(proxied.accounts)]:
        for secret in secrets:
            assert secret not in place, f"{secret!r} shows in {place[:200]}"
    assert "$argon2id$" not in "".join(pages)
    hashes = [session.session_hash for session in proxied.accounts.sessions.of(proxied.accounts.people.get(bea))]
    assert hashes
    assert not any(one in page for one in hashes for page in pages)
