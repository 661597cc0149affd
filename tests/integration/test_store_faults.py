"""Disks and servers that say no: one clear line, nothing half-written, and everything goes on when they are back."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from core.clock import SystemClock
from core.errors import ConfigError, SchemaMismatch, StoreUnavailable
from store.engine import SchemaState, look_at_store, open_store
from store.spool import Spool, SpoolState
from store.store import Checkpoint
from tests.postgres import OwnServer, own_server
from tests.store_records import make_bill, make_event


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://u:secret@h/db", "mysql is not supported"),
        ("no url at all", "not a database url"),
        ("", "not a database url"),
    ],
)
def test_a_wrong_url_is_a_wrong_setting(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
    assert "sqlite:///" in str(caught.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("shopping list\n" * 200)
    with pytest.raises(SchemaMismatch, match="not a Traylane database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text().startswith("shopping list")


def test_another_programs_file_keeps_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    before = path.read_bytes()
    for look in (open_store, look_at_store):
        with pytest.raises(SchemaMismatch, match="it holds recipes of another program"):
            look(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["other.db"]


def test_looking_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/lane.db"
    assert look_at_store(url) is SchemaState.ABSENT
    assert os.listdir(tmp_path) == []
    open_store(url).close()
    assert look_at_store(url) is SchemaState.CURRENT


def test_the_journal_is_written_ahead(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/lane.db").close()
    with sqlite3.connect(tmp_path / "lane.db") as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_a_folder_or_a_file_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path}")
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot make the folder"):
        open_store(f"sqlite:///{tmp_path}/file/lane.db")


def test_a_read_only_database_says_so_at_the_start(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/lane.db").close()
    with pytest.raises(StoreUnavailable, match="it is read-only; give this user the right to write"):
        open_store(f"sqlite:///file:{tmp_path}/lane.db?mode=ro&uri=true")


def test_a_full_disk_rolls_back_and_goes_on(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/lane.db")
    store.append([make_event(0)], [])
    limit = "PRAGMA max_page_count = 1"  # SQLite answers as on a full disk; it never goes below the pages in use

    def narrow(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(limit)

    event.listen(store._engine, "checkout", narrow)
    with pytest.raises(StoreUnavailable, match=r"append 500 events.*the disk is full; free space"):
        store.append([make_event(n) for n in range(500)], [make_bill("b", 1)], Checkpoint("lane1", "key", 1.0, 1))
    assert (len(store.events()), store.bills(), store.checkpoint("lane1", "key")) == (1, [], None)
    limit = "PRAGMA max_page_count = 1000000"
    assert store.append([make_event(n) for n in range(500)], [make_bill("b", 1)]) == 499
    store.close()


_FILL = """
import signal, sys
from core.errors import StoreUnavailable
from store.engine import SchemaState, look_at_store, open_store
from tests.store_records import make_bill, make_event
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1])
stored = 0
try:
    for n in range(100000):
        stored += store.append([make_event(n)], [make_bill(str(n), 1)])
except StoreUnavailable as err:
    print(stored, err)
"""


def test_a_real_write_error_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/lane.db"
    open_store(url).close()
    size = 400_000
    done = subprocess.run(
        [sys.executable, "-c", _FILL, url],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert done.returncode == 0, done.stderr
    stored, _, said = done.stdout.partition(" ")
    assert "cannot append 1 events and 1 bills" in said
    store = open_store(url)
    assert len(store.events(limit=100_000)) == len(store.bills(limit=100_000)) == int(stored) > 0
    store.close()


def test_a_locked_database_is_retryable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.engine.BUSY_TIMEOUT_S", 0.1)
    store = open_store(f"sqlite:///{tmp_path}/lane.db")
    holder = sqlite3.connect(tmp_path / "lane.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process holds it") as caught:
        store.append([make_event(1)], [])
    assert caught.value.retryable
    assert store.events() == []  # readers do not wait for the writer
    holder.execute("ROLLBACK")
    holder.close()
    assert store.append([make_event(1)], []) == 1
    store.close()


def test_nobody_listens_and_no_password_is_told() -> None:
    with pytest.raises(StoreUnavailable, match="the server is away") as caught:
        open_store("postgresql://till:pa55word@127.0.0.1:1/traylane")
    assert "pa55word" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server() as running:
        yield running


def test_an_absent_database_says_what_to_do(server: OwnServer) -> None:
    with pytest.raises(StoreUnavailable, match="no such database or role; create it"):
        open_store(server.url.replace("/postgres", "/absent"))


def test_a_server_that_restarts_loses_nothing(server: OwnServer, tmp_path: Path) -> None:
    store = open_store(server.url)
    spool = Spool(store, tmp_path / "lane1.spool", SystemClock(), retry_s=0.0)
    assert spool.append([make_event(0)], [make_bill("b", 0)]) == 1
    server.stop()
    for n in range(1, 4):
        assert spool.append([make_event(n)], [make_bill("b", n)]) == 0
    assert spool.health().state is SpoolState.HOLDING
    assert "the server is away" in spool.health().reason
    server.start()
    assert spool.flush()
    assert [stored.event.decision.track_id for stored in store.events()] == [0, 1, 2, 3]
    assert store.open_bill("lane1") == make_bill("b", 3)
    spool.close()
    store.close()
    assert os.listdir(tmp_path) == ["lane1.spool.lock"]
