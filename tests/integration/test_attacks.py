"""What an attacker would try: foreign lanes, forged forms, keys of others, secrets in settings, long requests.

One site with two lanes where everybody logs in; `Ann` may see lane1 only, `Zoe` is the admin.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import guard, server
from app.accounts.accounts import Accounts
from app.api.routes import all_operations
from app.permissions import Action, Role
from app.site import Site
from app.web import create_app
from checkout.config import load_config
from core.clock import SystemClock
from models.registry import Registry
from store.outbox import Outbox
from tests.accounts import TERMINAL, Browser, accounts_of, add_person, still_site
from tests.api_site import MENU, made_bill, made_events
from tests.registry_models import made_card

CONFIG = """# was rtsp://root:old-pa55@10.0.0.1/ once
site: {{name: canteen, timezone: UTC}}
store: {{url: "sqlite:///{folder}/t.db", spool: "{folder}/spool"}}
models: {{registry: "{folder}/models"}}
menu: {{file: "{folder}/menu.yaml"}}
record: {{evidence: {{folder: "{folder}/evidence"}}}}
replays: {{recordings: "{folder}/recordings", results: "{folder}/replays"}}
mqtt: {{host: broker, user: bob, password: mqtt-pa55word}}
webhooks:
  - {{name: till, url: "https://till.example/hook?token=query-pa55", secret: "till-pa55word-1234"}}
lanes:
  lane1: {{source: {{url: "rtsp://cam:cam-pa55@10.0.0.7/h264"}}}}  # the left one
  lane2: {{source: {{url: "${{SEED_URL}}"}}}}
"""
WRITTEN = ("old-pa55", "mqtt-pa55word", "query-pa55", "till-pa55word-1234", "cam-pa55")
FROM_ENV = "env-pa55-9f3a"


@dataclass
class House:
    app: Flask
    site: Site
    accounts: Accounts
    folder: Path
    file: Path

    def browser(self, name: str) -> Person:
        """Return somebody with a session of their own."""
        person = self.accounts.people.named(name)
        visitor = Person(self.app)
        visitor.client.set_cookie("traylane_session", self.accounts.sessions.start(person, "", ""))
        visitor.form = visitor.token("/account")
        return visitor

    def rows(self, action: str) -> list:
        return self.accounts.book.read(50, None, action)


class Person(Browser):
    """A browser that calls the API as the pages do."""

    form = ""

    def call(self, method: str, address: str, body: object = None, **headers: str):
        headers = {"X-CSRFToken": self.form, **{name.replace("_", "-"): text for name, text in headers.items()}}
        return self.client.open(f"/api/v1{address}", method=method, json=body, headers=headers)


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    file = folder / "site.yaml"
    file.write_text(CONFIG.format(folder=folder))
    (folder / "menu.yaml").write_text(MENU)
    (folder / "recordings").mkdir()
    patch = pytest.MonkeyPatch()
    patch.setenv("SEED_URL", f"rtsp://cam:{FROM_ENV}@10.0.0.8/h264")
    with still_site(folder) as site:
        for number, lane in ((1, "lane1"), (2, "lane2")):
            bill = made_bill(number, lane, dishes=("soup", "cup"))
            site.store.append(made_events(bill), [bill])
        accounts = accounts_of(site)
        add_person(accounts, "Zoe", Role.ADMIN)
        add_person(accounts, "Ann", Role.CASHIER, Role.OPERATOR, lanes=["lane1"])
        add_person(accounts, "Ben", Role.CASHIER, Role.OPERATOR)
        yield House(create_app(site, accounts, load_config(file)), site, accounts, folder, file)
    patch.undo()


# --- foreign lanes --------------------------------------------------------------------------------------------------

MINE, THEIRS = "bill-00001", "bill-00002"


def test_nothing_of_a_foreign_lane_is_had_by_its_id(house):
    ann = house.browser("Ann")
    body = {"action": "remove"}
    for method, tail, sent in [
        ("GET", "", None), ("GET", "/revisions", None), ("GET", "/evidence", None), ("GET", "/evidence/clip", None),
        ("GET", "/evidence/crops/1", None), ("POST", "/evidence/rerun", None), ("POST", "/lines", {"dish": "soup"}),
        ("POST", "/lines/1/correction", body),
    ]:  # fmt: skip
        answer = ann.call(method, f"/bills/{THEIRS}{tail}", sent)
        missing = ann.call(method, f"/bills/nothing{tail}", sent)
        assert (answer.status_code, missing.status_code) == (404, 404), (method, tail)
        told = answer.get_data(as_text=True).replace(THEIRS, "nothing")
        assert told == missing.get_data(as_text=True), "whether there is such a bill is not told"
    assert ann.call("GET", f"/events?bill={THEIRS}").get_json()["events"] == []
    assert ann.call("GET", f"/bills/{MINE}").status_code == 200
    assert ann.call("GET", "/events?lane=lane2").status_code == 404
    assert house.site.store.bills("lane2")[0].lines[0].dish == "soup"


def test_recordings_and_replays_are_for_those_who_see_all_lanes(house):
    ann, ben = house.browser("Ann"), house.browser("Ben")
    for method, address in [("GET", "/recordings"), ("GET", "/replays"), ("POST", "/replays")]:
        assert ann.call(method, address, {"recording": "a.mp4"} if method == "POST" else None).status_code == 403
        assert ben.call(method, address, {"recording": "a.mp4"} if method == "POST" else None).status_code != 403


def test_a_stream_ends_when_its_viewer_may_see_other_lanes_than_before(house, monkeypatch):
    person_id = add_person(house.accounts, "mover", Role.CASHIER, lanes=["lane1", "lane2"])
    mover = house.browser("mover")
    monkeypatch.setattr(guard, "LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr("app.feeds.KEEP_ALIVE_S", 0.2)
    with mover.client.get("/api/v1/lanes/stream", buffered=False) as answer:
        pieces = answer.iter_encoded()
        assert "lane" in next(pieces).decode()
        house.accounts.people.set_access(TERMINAL, person_id, [Role.CASHIER], ["lane1"])
        left = [piece for _, piece in zip(range(50), pieces, strict=False)]
    assert len(left) < 5, "it ends instead of telling of lane2 for ever"


def test_promotions_of_foreign_lanes_are_not_listed(house):
    registry = Registry(house.folder / "models")
    registry.add(made_card(house.folder, "own", classes=["soup", "cup", "cake"]))
    zoe, ann = house.browser("Zoe"), house.browser("Ann")
    before = ann.call("GET", "/models").get_json()["channels"]
    for channel in ("lane1", "lane2"):
        answer = zoe.call("POST", "/models/own@1/promotion", {"channel": channel, "force": "a test"})
        assert answer.status_code == 200, answer.get_data(as_text=True)
    assert {"lane1", "lane2"} <= set(zoe.call("GET", "/models").get_json()["channels"])
    assert set(ann.call("GET", "/models").get_json()["channels"]) == {*before, "lane1"}
    assert "lane2" not in ann.call("GET", "/models/promotions").get_data(as_text=True)
    assert {"lane1", "lane2"} <= {row.target for row in house.rows("model.promote")}
    assert '"forced": "a test (Zoe)"' in house.rows("model.promote")[0].after


# --- forged requests ------------------------------------------------------------------------------------------------


def test_a_cookie_alone_changes_nothing_over_the_api(house):
    ben, address = house.browser("Ben"), f"/api/v1/bills/{MINE}/lines"
    forged = ben.client.post(address, json={"dish": "soup"})
    assert forged.status_code == 403
    assert "token" in forged.get_json()["detail"]
    foreign = {"X-CSRFToken": ben.form, "Origin": "https://evil.example"}
    assert ben.client.post(address, json={"dish": "soup"}, headers=foreign).status_code == 403
    # A form of another page can send these types without asking first.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = ben.client.post(address, data='{"dish": "soup"}', content_type=kind, headers={"X-CSRFToken": ben.form})
        assert answer.status_code == 415, kind
    other = house.browser("Zoe")
    taken = ben.client.post(address, json={"dish": "soup"}, headers={"X-CSRFToken": other.form})
    assert taken.status_code == 403, "a token is of one session"
    assert len(house.site.store.bills("lane1")[0].lines) == 2


def test_a_key_of_somebody_else_is_not_theirs(house):
    ben, zoe = house.browser("Ben"), house.browser("Zoe")
    key = {"Idempotency_Key": "one-key"}
    first = ben.call("POST", f"/bills/{MINE}/lines", {"dish": "soup", "reason": "ben"}, **key)
    assert first.status_code == 200, first.get_data(as_text=True)
    other = zoe.call("POST", f"/bills/{MINE}/lines", {"dish": "cup", "reason": "zoe"}, **key)
    assert other.status_code == 200, other.get_data(as_text=True)
    assert "Idempotent-Replayed" not in other.headers
    again = ben.call("POST", f"/bills/{MINE}/lines", {"dish": "soup", "reason": "ben"}, **key)
    assert again.headers["Idempotent-Replayed"] == "true"
    # Who sees less than when the answer was given is not given it again.
    ben_id = house.accounts.people.named("Ben").person_id
    house.accounts.people.set_access(TERMINAL, ben_id, [Role.CASHIER, Role.OPERATOR], ["lane2"])
    hidden = ben.call("POST", f"/bills/{MINE}/lines", {"dish": "soup", "reason": "ben"}, **key)
    house.accounts.people.set_access(TERMINAL, ben_id, [Role.CASHIER, Role.OPERATOR], None)
    assert hidden.status_code == 404


def test_a_head_of_a_stream_takes_no_viewers_place(house):
    ben = house.browser("Ben")
    for _ in range(25):  # 75 in all; 72 may watch
        for address in ("/lanes/lane1/video.mjpg", "/api/v1/lanes/stream", "/api/v1/events/stream"):
            assert ben.client.head(address).status_code == 200, address
    with ben.client.get("/api/v1/lanes/stream", buffered=False) as answer:
        assert answer.status_code == 200


def test_options_tell_methods_and_nothing_else(house):
    answer = house.app.test_client().options("/api/v1/settings")
    assert answer.status_code == 200
    assert answer.data == b""
    assert {"GET", "PUT", "PATCH"} <= set(answer.headers["Allow"].split(", "))
    assert house.app.test_client().open("/api/v1/settings", method="TRACE").status_code == 405


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "/\tx", "javascript:alert(1)", "evil"]
)
def test_after_the_log_in_nobody_is_sent_elsewhere(house, wanted):
    browser = Browser(house.app)
    answer = browser.post("/login", {"name": "Ben", "password": "seven green hats", "next": wanted})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_cookies_are_for_the_server_and_over_https_for_https_only(house):
    for https in (False, True):
        browser = Browser(house.app, https=https)
        page = browser.get("/login")
        answer = browser.log_in("Ben")
        cookies = [*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]
        names = {cookie.partition("=")[0] for cookie in cookies}
        assert {"traylane_forms", "__Host-traylane" if https else "traylane_session"} <= names
        for cookie in cookies:
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie
            assert ("Secure" in cookie) == https, cookie


def test_a_session_that_was_planted_is_not_the_one_after_the_log_in(house):
    browser = Browser(house.app)
    browser.client.set_cookie("traylane_session", "planted-by-somebody-else")
    browser.log_in("Ben")
    cookie = browser.client.get_cookie("traylane_session").value
    assert cookie != "planted-by-somebody-else"
    browser.log_in("Ben")
    assert browser.client.get_cookie("traylane_session").value != cookie
    assert house.accounts.sessions.find(cookie) is None, "the former session of this browser has ended"


def test_every_page_refuses_to_be_framed(house):
    zoe = house.browser("Zoe")
    for path in ("/", "/login", "/users", "/nothing", "/api/v1/bills", "/api/v1/docs", "/healthz"):
        headers = zoe.get(path).headers
        assert headers["X-Frame-Options"] == "DENY", path
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path


# --- secrets of the settings ----------------------------------------------------------------------------------------


def test_settings_show_no_secret_and_keep_them_when_they_are_saved(house):
    zoe = house.browser("Zoe")
    seen = zoe.call("GET", "/settings")
    text, tag = seen.get_json()["text"], seen.headers["ETag"]
    for secret in (*WRITTEN, FROM_ENV):
        assert secret not in text
    assert "${SEED_URL}" in text
    assert text.count("<hidden>") == 5
    moved = text.replace("@10.0.0.7/h264", "@10.0.0.9/h264").replace("name: canteen", "name: mensa")
    saved = zoe.call("PUT", "/settings", {"text": moved}, If_Match=tag)
    assert saved.status_code == 200, saved.get_data(as_text=True)
    now = house.file.read_text()
    assert now == CONFIG.format(folder=house.folder).replace("10.0.0.7", "10.0.0.9").replace("canteen", "mensa")
    tag = saved.headers["ETag"]
    change = {"changes": [{"key": "lanes.lane1.detect.fps", "value": 5}, {"key": "mqtt.password", "value": "<hidden>"}]}
    changed = zoe.call("PATCH", "/settings", change, If_Match=tag)
    assert changed.status_code == 200, changed.get_data(as_text=True)
    for secret in WRITTEN:
        assert secret in house.file.read_text()
        assert secret not in changed.get_data(as_text=True)
    sha256 = zoe.call("GET", "/settings/versions").get_json()["versions"][-1]["sha256"]
    back = zoe.call("POST", "/settings/rollback", {"sha256": sha256}, If_Match=changed.headers["ETag"])
    assert back.status_code == 200
    assert house.file.read_text() == CONFIG.format(folder=house.folder)
    with house.site.store.reading("look") as connection:
        kept = connection.exec_driver_sql("SELECT body FROM idempotency_keys").all()
    assert not [row for row in kept if any(secret in str(row) for secret in WRITTEN)]
    assert {row.action for row in house.rows("settings")} == {"settings.save", "settings.change", "settings.rollback"}


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("name: canteen", "name: <hidden>"),
        ("host: broker", 'host: "http://<hidden>@evil.example/"'),
        ("lane1:", "lane7:"),
        ("name: till", "name: evil"),
    ],
)
def test_a_hidden_secret_cannot_be_moved_to_where_it_shows(house, was, becomes):
    zoe = house.browser("Zoe")
    seen = zoe.call("GET", "/settings")
    text = seen.get_json()["text"].replace(was, becomes)
    assert not zoe.call("POST", "/settings/check", {"text": text}).get_json()["valid"]
    refused = zoe.call("PUT", "/settings", {"text": text}, If_Match=seen.headers["ETag"])
    assert refused.status_code == 422
    assert "stands for no password" in refused.get_json()["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        'web: {port: "${SEED_URL}"}',
        'site: {timezone: "${SEED_URL}"}',
        'web: {accounts: {proxy: {trusted: ["${SEED_URL}"]}}}',
        'lanes: {"lane1": {source: {url: "x", transport: "${SEED_URL}"}}}',
        'lanes: {lane1: {detect: "${SEED_URL}"}}',
        "mqtt: {host: b, user: u, password: 31337735}",
    ],
)
def test_a_check_of_settings_does_not_tell_what_the_environment_holds(house, wrong):
    lanes = "" if wrong.startswith("lanes") else "\nlanes: {lane1: {}}"
    answer = house.browser("Zoe").call("POST", "/settings/check", {"text": wrong + lanes})
    told = answer.get_json()
    assert answer.status_code == 200
    assert not told["valid"]
    assert FROM_ENV not in json.dumps(told)
    assert "31337735" not in json.dumps(told)


def test_settings_that_unfold_to_billions_are_refused_at_once(house):
    zoe, began_s = house.browser("Zoe"), time.monotonic()
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    # Deep enough to end the process, if it were read.
    deep = "a: " + "[" * 250_000 + "]" * 250_000
    deep_blocks = "a:\n" + "- " * 250_000 + "x\n"
    for text in (bomb, deep, deep_blocks):
        told = zoe.call("POST", "/settings/check", {"text": text})
        assert told.status_code == 200
        assert not told.get_json()["valid"]
    assert time.monotonic() - began_s < 20


# --- the audit ------------------------------------------------------------------------------------------------------


def test_every_change_over_the_api_is_in_the_audit(house):
    """Those that need more than this house has are looked at where they are tested; what changes nothing is named."""
    zoe = house.browser("Zoe")
    (house.folder / "recordings" / "monday.mp4").write_bytes(b"no video")
    asked = zoe.call("POST", "/replays", {"recording": "monday.mp4"})
    zoe.call("DELETE", asked.headers["Location"].removeprefix("/api/v1"))
    body = {"action": "replace", "dish": "cup", "reason": "=1+1"}
    said = zoe.call("POST", f"/bills/{MINE}/lines/1/correction", body)
    assert said.status_code == 200, said.get_data(as_text=True)
    assert zoe.call("POST", f"/bills/{MINE}/lines", {"dish": "cup", "reason": "forgotten"}).status_code == 200
    for version in ("1", "2"):
        Registry(house.folder / "models").add(made_card(house.folder, "two", version, classes=["soup", "cup", "cake"]))
        zoe.call("POST", f"/models/two@{version}/promotion", {"force": "a test"})
    assert zoe.call("POST", "/models/rollback", {}).get_json()["model"] == "two@1"
    assert zoe.call("POST", f"/bills/{MINE}/confirmation", {}).status_code == 200
    letter_id = dead_letter(house)
    assert zoe.call("POST", f"/webhooks/dead-letters/{letter_id}/resend").status_code == 202
    audited = {
        "replays_ask": "replay.ask", "replays_cancel": "replay.cancel", "bills_correct_line": "bill.replace",
        "bills_add_line": "bill.add", "bills_confirm": "bill.confirm",
            "models_roll_back": "model.rollback", "dead_letters_resend": "webhook.resend",
    }  # fmt: skip
    for action in audited.values():
        rows = house.rows(action)
        assert rows, action
        assert (rows[0].person_name, rows[0].via) == ("Zoe", "session"), action
    row = house.rows("bill.replace")[0]
    assert (json.loads(row.after)["dish"], json.loads(row.after)["line_no"], row.target) == ("cup", 1, MINE)
    elsewhere = {
        "settings_save", "settings_change", "settings_roll_back", "models_promote",  # above
        "lanes_answer", "evidence_erase",  # test_web.py, test_evidence_api.py
        "menu_teach", "menu_import", "menu_undo", "dishes_change", "dishes_remove",  # test_pages_desk.py
    }  # fmt: skip
    nothing = {"settings_check", "evidence_rerun", "menu_look"}
    changing = {operation.name for operation in all_operations() if operation.method != "GET"}
    assert changing == set(audited) | elsewhere | nothing, "a new change wants an audit row and a line here"


def dead_letter(house: House) -> int:
    """Let the till refuse an event for good; return the letter's number."""
    outbox = Outbox(house.site.store, SystemClock())
    outbox.register("webhook:till", from_start=True)
    cursor = outbox.cursor("webhook:till", "lane1")
    stored = outbox.waiting(cursor, None, 1)[0][0]
    assert outbox.give_up(cursor, stored, "answered 400") is not None
    return outbox.letters()[0].letter_id


# --- long and slow requests -----------------------------------------------------------------------------------------


@contextmanager
def served(app: Flask) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    web = server.make_server(app, listener)
    thread = threading.Thread(target=web.asyncore.loop, kwargs={"timeout": 0.05, "map": web._map}, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        web.close()


def test_who_never_ends_a_request_or_sends_too_much_is_cut_off(house, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_S", 0.5)
    slow_head, slow_body = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    slow_body += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 90000\r\n\r\n"
    with served(house.app) as port:
        for head in (slow_head, slow_body):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
                line.sendall(head)
                assert drip(line) < 60, "a byte now and then holds no connection"
        for length in (b"Content-Length: 900000000\r\n\r\n", b"Content-Length: 16777216\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
                line.sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + length)
                assert b" 413 " in line.recv(200)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b" 200 " in line.recv(200), "others are served"


def drip(line: socket.socket) -> int:
    """Send a byte every tenth of a second; return how many were taken until the other side gave up."""
    line.settimeout(0.1)
    for count in range(60):
        try:
            line.send(b"a")
            if line.recv(10) == b"":
                return count
        except TimeoutError:
            continue
        except OSError:
            return count
    return 60


def test_a_long_form_is_refused_before_anybody_is_known(house):
    client: FlaskClient = house.app.test_client()
    page = client.get("/login").get_data(as_text=True)
    token = page.split('name="csrf-token" content="')[1].split('"')[0]
    answer = client.post("/login", data={"name": "x" * 900_000, "password": "y", "csrf_token": token})
    assert answer.status_code == 413


def test_tokens_end_with_their_scope_and_lanes(house):
    owner = house.accounts.people.named("Zoe")
    made = house.accounts.tokens.make(TERMINAL, owner, "till", [Action.READ], 1, ["lane1"])
    headers = {"Authorization": f"Bearer {made.token}"}
    client = house.app.test_client()
    assert client.get(f"/api/v1/bills/{MINE}", headers=headers).status_code == 200
    assert client.get(f"/api/v1/bills/{THEIRS}", headers=headers).status_code == 404
    assert client.get("/api/v1/models", headers=headers).status_code == 200
    assert client.get("/api/v1/settings", headers=headers).status_code == 403
    # The API takes no second proof: a wrong token is not helped by a good cookie.
    zoe = house.browser("Zoe")
    assert zoe.client.get("/api/v1/bills", headers={"Authorization": "Bearer tlk_wrong"}).status_code == 401
