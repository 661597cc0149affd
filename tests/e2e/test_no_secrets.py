"""Seed secrets everywhere, use everything, and look for them in everything that the appliance says or keeps."""

from __future__ import annotations

import http.cookiejar
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.api_site import wait_until
from tests.appliance import ROOT, appliance, demo
from tests.mosquitto import Broker, needs_broker

#: From the environment, as the documentation wants it, and one in clear.
SECRETS = {
    "RTSP_PASSWORD": "rtsp#seed/71c2",
    "MQTT_PASSWORD": "mqtt-seed-82d3",
    "HOOK_SECRET": "hook-seed-93e4-0123456789",
    "PROXY_SECRET": "proxy-seed-a4f5-0123456789",
    "HOOK_TOKEN": "query-seed-b506",
    "PG_PASSWORD": "pg-seed-c617",
}
IN_CLEAR = "clear-seed-d728-0123456789"
OWN, WRONG = "own-seed-e839 four spoons", "wrong-seed-f94a typed"


class Client:
    """A browser without pictures: keeps cookies, sends the form's token, remembers all that it was told."""

    def __init__(self, url: str) -> None:
        self.url, self.told, self.token = url, [], ""
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def ask(self, method: str, path: str, body: object = None, form: dict[str, str] | None = None, **headers: str):
        """Send a request; return status, text, headers. Errors are answers, too."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        raw = None
        if form is not None:
            raw = urllib.parse.urlencode({"csrf_token": self.token, **form}).encode()
        elif body is not None:
            raw, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        if method != "GET" and "Authorization" not in sent:
            sent["X-CSRFToken"] = self.token
        request = urllib.request.Request(self.url + path, raw, sent, method=method)
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as err:
            answer = err
        with answer:
            text = answer.read().decode("utf-8", "replace")
        kept = {name: value for name, value in answer.headers.items() if name != "Set-Cookie"}
        self.told.append(f"{method} {path}\n{kept}\n{text}")
        if found := re.search(r'name="csrf-token" content="([^"]+)"', text):
            self.token = found[1]
        return answer.status, text, answer.headers


@contextmanager
def till() -> Iterator[tuple[int, list[str]]]:
    """A receiver of webhooks that keeps what it was sent, signatures included."""
    took: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            took.append(f"{self.headers}\n{self.rfile.read(length).decode()}")
            self.send_response(204 if len(took) > 1 else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], took
    finally:
        server.shutdown()
        server.server_close()


def listen(port: int) -> tuple[paho.Client, list[str]]:
    """Take all that is said at the broker."""
    took: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set("bob", SECRETS["MQTT_PASSWORD"])
    client.on_message = lambda _, __, message: took.append(f"{message.topic} {message.payload.decode()}")
    client.on_connect = lambda *_: client.subscribe("#")
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client, took


def site(broker: Broker, port: int) -> dict:
    config = demo(
        web={"accounts": {"required": "always", "proxy": {"trusted": ["127.0.0.1"], "secret": "${PROXY_SECRET}"}}},
        mqtt={"host": "127.0.0.1", "port": broker.port, "user": "bob", "password": "${MQTT_PASSWORD}", "stats_s": 1},
        webhooks=[
            {"name": "till", "url": f"http://127.0.0.1:{port}/hook?token=${{HOOK_TOKEN}}", "secret": "${HOOK_SECRET}",
             "allow_private": True, "first_s": 0.1},
            {"name": "away", "url": "http://127.0.0.1:9/hook", "secret": IN_CLEAR, "allow_private": True},
        ],
    )  # fmt: skip
    lane = config["lanes"]["lane1"]
    lane["source"]["url"] = "synthetic://easy?seed=900900&fps=10&size=640x360"
    away = {"url": "rtsp://cam:${RTSP_PASSWORD}@127.0.0.1:9/h264?token=${HOOK_TOKEN}", "timeout_s": 1}
    config["lanes"]["lane2"] = {**lane, "source": away}
    return config


def log_in(client: Client, printed: str) -> str:
    """Come in for the first time, choose an own password, make a token; return the token."""
    client.ask("GET", "/login")
    assert client.ask("POST", "/login", form={"name": "admin", "password": WRONG})[0] == 401
    assert client.ask("POST", "/login", form={"name": WRONG, "password": "x"})[0] == 401
    client.told.pop()  # what was typed as a name stands in the form again, for who typed it
    client.ask("POST", "/login", form={"name": "admin", "password": printed})
    client.ask("POST", "/account/password", form={"old": printed, "new": OWN, "again": OWN})
    status, page, _ = client.ask("GET", "/users/tokens")
    assert status == 200, page[:500]
    owner = re.search(r'<option value="([0-9a-f]{32})"', page)[1]
    form = {"owner": owner, "label": "grep", "days": "3", "scope": "metrics", "lanes": "all"}
    page = client.ask("POST", "/users/tokens", form=form)[1]
    client.told.pop()  # shown once, on purpose
    return re.search(r"tlk_[A-Za-z0-9_-]{40,}", page)[0]


def use_everything(client: Client, token: str, bill_id: str) -> None:
    """Open pages, ask the API for everything, and do wrong what can be done wrong."""
    for path in ("/", "/bills", "/users", "/users/tokens", "/account", "/audit", "/audit.csv", "/nothing", "/healthz"):
        client.ask("GET", path, Accept="text/html")
    for path in (
        "/lanes", "/questions", "/bills", "/bills.csv", "/events?limit=500", "/menu", "/stats", "/models", "/health",
        "/models/promotions", "/recordings", "/replays", "/settings/versions", "/webhooks", "/webhooks/dead-letters",
        "/openapi.json", "/docs", f"/bills/{bill_id}", f"/bills/{bill_id}/revisions", f"/bills/{bill_id}/evidence",
        "/lanes/none", "/bills?limit=0", f"/bills/{SECRETS['PG_PASSWORD']}".replace("pg-seed", "no-seed"),
    ):  # fmt: skip
        client.ask("GET", f"/api/v1{path}")
    status, text, headers = client.ask("GET", "/api/v1/settings")
    shown = json.loads(text)["text"]
    assert status == 200
    assert "${MQTT_PASSWORD}" in shown
    assert "<hidden>" in shown
    changed = shown.replace("demo canteen", "mensa")
    assert client.ask("PUT", "/api/v1/settings", {"text": changed}, If_Match=headers["ETag"])[0] == 200
    for wrong in ('web: {port: "${HOOK_SECRET}"}', 'site: {timezone: "${RTSP_PASSWORD}"}'):
        client.ask("POST", "/api/v1/settings/check", {"text": f"{wrong}\nlanes: {{lane1: {{}}}}"})
    assert client.ask("POST", f"/api/v1/bills/{bill_id}/lines", {"dish": "no such dish"})[0] == 422
    assert client.ask("POST", f"/api/v1/bills/{bill_id}/evidence/rerun")[0] == 200
    assert client.ask("GET", "/metrics", Authorization=f"Bearer {token}")[0] == 200
    assert client.ask("GET", "/api/v1/bills", Authorization=f"Bearer {token}")[0] == 403
    assert client.ask("GET", "/api/v1/bills", Authorization=f"Bearer {token}x")[0] == 401
    proxy = {"X_Remote_User": "admin", "X_Traylane_Proxy_Secret": SECRETS["PROXY_SECRET"]}
    assert client.ask("GET", "/api/v1/bills", **proxy)[0] == 200
    client.ask("GET", "/api/v1/bills", X_Remote_User="admin", X_Traylane_Proxy_Secret=WRONG)


def look_in_files(folder: Path, secrets: list[str]) -> list[str]:
    """Return where a secret is in a file, the configuration's own texts apart."""
    found = []
    for path in folder.rglob("*"):
        own = path.name == "site.yaml" or ".site.yaml.versions" in path.parts or path.suffix == ".txt"
        if path.is_file() and not own:
            content = path.read_bytes()
            found += [f"{path}: {secret}" for secret in secrets if secret.encode() in content]
    return found


@pytest.mark.slow
@needs_broker
def test_seeded_secrets_show_nowhere(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    passwords, kept, run = tmp_path / "passwords", tmp_path / "broker", tmp_path / "run"
    kept.mkdir()
    run.mkdir()
    making = ["mosquitto_passwd", "-b", "-c", str(passwords), "bob", SECRETS["MQTT_PASSWORD"]]
    subprocess.run(making, check=True, capture_output=True)
    broker = Broker(kept, passwords)
    broker.start()
    listener, said = listen(broker.port)
    try:
        with till() as (port, posted):
            logs = ("--log-level", "debug", "--log-json")
            with appliance(run, site(broker, port), first=logs) as running:
                client = Client(running.url)
                wait_until(lambda: "password: " in running.log.read_text(), "the first admin", 120)
                printed = re.search(r"password: (\S+)", running.log.read_text())[1]
                wait_until(lambda: answers(client), "the pages", 60)
                token = log_in(client, printed)
                wait_until(lambda: "closed" in client.ask("GET", "/api/v1/bills?state=closed")[1] and
                           json.loads(client.told[-1].split("\n", 2)[2])["bills"], "a closed bill", 120)  # fmt: skip
                bill_id = json.loads(client.told[-1].split("\n", 2)[2])["bills"][0]["bill_id"]
                evidence = f"/api/v1/bills/{bill_id}/evidence"
                wait_until(lambda: client.ask("GET", evidence)[0] == 200, "its evidence", 60)
                use_everything(client, token, bill_id)
                wait_until(lambda: len(posted) > 2 and any("/events " in one for one in said), "events elsewhere", 60)
                cookie = next(one.value for one in client.cookies if one.name == "traylane_session")
                figures = client.ask("GET", "/metrics")[1]
    finally:
        listener.loop_stop()
        broker.stop()
    secrets = [*SECRETS.values(), IN_CLEAR, OWN, WRONG, printed, token, cookie]
    # As they are written in addresses and JSON, too.
    secrets += [urllib.parse.quote(one, safe="") for one in secrets] + [json.dumps(one)[1:-1] for one in secrets]
    log = running.log.read_text()
    assert log.count(printed) == 1
    assert f"password: {printed}" in log
    everything = {
        "log": log.replace(f"password: {printed}", ""),
        "broker": "\n".join(said),
        # The receiver's own address holds its token; what is signed and sent does not.
        "webhook": "\n".join(posted),
        **{f"answer {n}": text for n, text in enumerate(client.told)},
    }
    found = [f"{where}: {one}" for where, text in everything.items() for one in secrets if one in text]
    assert not found, [(one, next(t for w, t in everything.items() if one.startswith(f"{w}: "))[:300]) for one in found]
    assert not look_in_files(run, secrets)
    check_log(log, bill_id)
    check_figures(figures)


def answers(client: Client) -> bool:
    try:
        return client.ask("GET", "/healthz")[0] == 200
    except OSError:
        return False


def check_log(log: str, bill_id: str) -> None:
    """Each line of the log is JSON; those about a lane or a bill name it."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(one.get("bill") == bill_id and one.get("lane") == "lane1" for one in lines), "the bill that closed"
    assert any(one.get("lane") == "lane2" and one["level"] == "warning" for one in lines), "the camera that is away"


def check_figures(text: str) -> None:
    """The promised figures are there; those of the lane that is away are not 0 but absent."""
    for name in (
        "traylane_lane_fps", "traylane_stage_seconds_bucket", "traylane_capture_to_decision_seconds_bucket",
        "traylane_bills_total", "traylane_asks_total", "traylane_reconnects_total", "traylane_outbox_depth",
        "traylane_storage_free_bytes", "traylane_dead_letters", "traylane_viewers", "traylane_evidence_total",
    ):  # fmt: skip
        assert re.search(rf"^{name}[{{ ]", text, re.MULTILINE), name
    assert "# TYPE traylane_frames_dropped_total counter" in text
    assert "traylane_mqtt_connected 1.0" in text
    assert 'traylane_evidence_total{lane="lane1",result="kept"}' in text
    assert 'traylane_lane_fps{lane="lane1"}' in text
    assert 'traylane_lane_fps{lane="lane2"}' not in text, "unknown is absent"


def test_a_store_that_is_away_is_named_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("PG_PASSWORD", SECRETS["PG_PASSWORD"])
    path = tmp_path / "site.yaml"
    path.write_text(
        'store: {url: "postgresql://bob:${PG_PASSWORD}@127.0.0.1:9/none"}\n'
        f"menu: {{file: {ROOT}/configs/menu.yaml}}\nlanes: {{lane1: {{source: {{url: 'synthetic://easy?seed=1'}}}}}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "app", "--log-level", "debug", "run", "--config", str(path), "--port", "0"],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr[-500:]
    assert "127.0.0.1" in done.stderr
    assert SECRETS["PG_PASSWORD"] not in done.stdout + done.stderr
