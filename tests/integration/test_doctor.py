"""The doctor finds what is wrong, says what to do, and ends with the code that `traylane run` would end with."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

import app.checks
from app.checks import Finding, Level
from app.cli import main
from app.commands.doctor import examine
from app.neighbour_checks import check_broker, check_dashboards, check_webhook
from checkout.config import DashboardsSettings
from checkout.mqtt_settings import MqttSettings
from checkout.webhook_settings import WebhookSettings
from store.engine import open_store
from tests.mosquitto import Broker, needs_broker
from tests.sites import needs_data, write_site


def find(topic: str, findings: list[Finding]) -> Finding:
    return next(finding for finding in findings if finding.topic == topic)


@needs_data
def test_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.checks, "_is_clock_synchronised", lambda: True)
    assert main(["doctor", "--config", str(write_site(tmp_path))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    topics = [line.split()[1] for line in lines]
    assert topics[-8:] == ["disk", "disk", "evidence", "store", "port", "device", "model", "source"]
    assert sorted(os.listdir(tmp_path)) == ["site.yaml"]  # looking made nothing


def test_each_fault_is_found_and_the_worst_code_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "notes.db"
    other.write_text("no database " * 100)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        site = write_site(
            tmp_path,
            store=f"sqlite:///{other}",
            port=taken.getsockname()[1],
            card="no-such-card@1",
            device="cuda:7",
            source=f"{tmp_path}/no-such-clip.mp4",
        )
        findings = list(examine(site))
        assert main(["doctor", "--config", str(site)]) == 5
    told = {finding.topic: (finding.level, finding.exit_code) for finding in findings}
    assert told["store"] == (Level.FAIL, 4)
    assert told["port"] == (Level.FAIL, 2)
    assert told["device"] == (Level.FAIL, 3)
    assert told["model"] == (Level.FAIL, 3)
    assert told["source lane1"] == (Level.FAIL, 5)
    for finding in findings:
        assert "\n" not in finding.text
    assert "no such GPU" in find("device", findings).text
    assert "no-such-clip.mp4" in capsys.readouterr().out


def test_a_wrong_configuration_ends_the_visit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("lanes:\n  lane1:\n    sauce: {}\n")
    assert main(["doctor", "--config", str(path)]) == 2
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("fail  config")
    assert "site.yaml:3: lanes.lane1.sauce: unknown key" in last


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finding = app.checks.check_space(tmp_path / "file" / "var")
    assert (finding.level, finding.exit_code) == (Level.FAIL, 4)
    assert "choose another folder" in finding.text


@pytest.mark.parametrize(("free_bytes", "level", "code"), [(10**8, "fail", 4), (10**9, "warn", 0), (10**10, "ok", 0)])
def test_space(free_bytes: int, level: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": free_bytes})
    monkeypatch.setattr(app.checks.shutil, "disk_usage", lambda _: usage)
    finding = app.checks.check_space(tmp_path)
    assert (str(finding.level), finding.exit_code) == (level, code)


def test_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.checks, "_is_clock_synchronised", lambda: False)
    assert app.checks.check_clock().level is Level.WARN
    monkeypatch.setattr(app.checks, "_is_clock_synchronised", lambda: None)
    assert app.checks.check_clock().level is Level.OK
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert app.checks.check_clock().level is Level.FAIL


def test_a_library_that_is_missing() -> None:
    finding = app.checks.check_library("no_such_module", "no-such-package")
    assert (finding.level, finding.exit_code) == (Level.FAIL, 1)
    assert "pip install no-such-package" in finding.text


def test_a_store_in_use_is_current(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/lane.db"
    store = open_store(url)
    assert app.checks.check_store(url).text.endswith("reachable, schema is current")
    store.close()
    assert app.checks.check_store("postgresql://a:secret@127.0.0.1:1/b").exit_code == 4
    assert "secret" not in app.checks.check_store("postgresql://a:secret@127.0.0.1:1/b").text


@needs_broker
def test_the_neighbours_are_looked_at_and_nothing_is_sent_to_them(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    making = ["mosquitto_passwd", "-b", "-c", str(passwords), "bob", "r1ght-password"]
    subprocess.run(making, check=True, capture_output=True)
    broker = Broker(tmp_path, passwords)
    broker.start()
    try:
        good = MqttSettings(host="127.0.0.1", port=broker.port, user="bob", password="r1ght-password")  # noqa: S106
        assert check_broker(good).level is Level.OK
        wrong = check_broker(good.model_copy(update={"password": SecretStr("wr0ng-password")}))
        assert wrong.level is Level.WARN
        assert "refuses" in wrong.text
        assert "wr0ng" not in wrong.text
    finally:
        broker.stop()
    away = check_broker(good)
    assert (away.level, away.exit_code) == (Level.WARN, 0), "lanes run without it"
    assert "cannot reach" in away.text
    with socket.create_server(("127.0.0.1", 0)) as till:
        url = f"http://127.0.0.1:{till.getsockname()[1]}/hook?token=s3cr3t"
        hook = WebhookSettings(name="till", url=url, secret="0123456789abcdef", allow_private=True)  # noqa: S106
        assert check_webhook(hook).level is Level.OK
        assert "s3cr3t" not in check_webhook(hook).text
        refused = check_webhook(hook.model_copy(update={"allow_private": False}))
        assert "allow_private" in refused.text
    assert check_webhook(hook).level is Level.WARN
    dashboards = DashboardsSettings(url="http://127.0.0.1:9", secret_file=tmp_path / "none")
    assert "dash.py up" in check_dashboards(dashboards).text
    (tmp_path / "none").write_text("x" * 40)
    assert check_dashboards(dashboards).level is Level.WARN
