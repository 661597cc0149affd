"""The promises of the store, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from core.clock import ManualClock
from core.errors import SchemaMismatch
from store.engine import open_store
from store.migrate import HEAD, VERSION_TABLE, alembic_config
from store.sql_store import SqlStore
from store.store import Checkpoint
from store.tables import metadata
from tests.postgres import fresh_database, server_url
from tests.store_records import make_bill, make_event

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with server_url() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/deep/lane.db"
        return
    with fresh_database(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    opened = open_store(store_url, ManualClock(utc_s=5.0))
    yield opened
    opened.close()


def run_sql(url: str, statement: str) -> list[tuple[object, ...]]:
    parsed = make_url(url)
    driver = "postgresql+psycopg" if parsed.get_backend_name() == "postgresql" else "sqlite"
    engine = create_engine(parsed.set(drivername=driver))
    try:
        with engine.begin() as connection:
            done = connection.execute(text(statement))
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        engine.dispose()


def test_what_was_appended_comes_back_bit_by_bit(store: SqlStore) -> None:
    events, bill = [make_event(n) for n in range(3)], make_bill("b", 1, closed_s=0.1 + 0.2)
    assert store.append(events, [bill], Checkpoint("lane1", "key", 1 / 3, 7)) == 3
    assert [stored.event for stored in store.events()] == events
    assert store.bills() == [bill]
    assert store.checkpoint("lane1", "key") == Checkpoint("lane1", "key", 1 / 3, 7)
    assert store.checkpoint("lane1", "other") is None


def test_an_event_is_stored_once(store: SqlStore) -> None:
    assert store.append([make_event(1), make_event(2)], []) == 2
    assert store.append([make_event(2), make_event(3), make_event(3)], []) == 1
    assert [stored.event.event_id for stored in store.events()] == [f"lane1-event-{n}" for n in (1, 2, 3)]
    assert store.outbox_depth() == 3


def test_readers_follow_by_their_cursor(store: SqlStore) -> None:
    store.append([make_event(n) for n in range(5)] + [make_event(9, "lane2")], [])
    first = store.events(limit=2)
    rest = store.events("lane1", after_seq=first[-1].seq)
    assert [stored.event.decision.track_id for stored in first + rest] == [0, 1, 2, 3, 4]
    assert [stored.event.lane_id for stored in store.events(bill_id="lane2-bill")] == ["lane2"]


@pytest.mark.parametrize("statement", ["UPDATE events SET dish = 'x'", "DELETE FROM events"])
def test_events_cannot_be_changed(store: SqlStore, store_url: str, statement: str) -> None:
    store.append([make_event(1)], [])
    with pytest.raises(DBAPIError, match="append-only"):
        run_sql(store_url, statement)
    assert store.events()[0].event == make_event(1)


def test_a_bill_is_replaced_by_a_higher_revision_only(store: SqlStore) -> None:
    store.append([], [make_bill("b", 2, lines=3)])
    store.append([], [make_bill("b", 1, lines=1)])
    assert store.open_bill("lane1") == make_bill("b", 2, lines=3)
    store.append([], [make_bill("b", 4, closed_s=9.0, lines=1)])
    store.append([], [make_bill("b", 4, lines=2), make_bill("b", 3, closed_s=1.0)])
    assert store.bills() == [make_bill("b", 4, closed_s=9.0, lines=1)]
    assert store.open_bill("lane1") is None


def test_closing_needs_no_new_revision(store: SqlStore) -> None:
    store.append([], [make_bill("b", 2)])
    store.append([], [make_bill("b", 2, closed_s=3.0)])
    assert store.bills(closed=True) == [make_bill("b", 2, closed_s=3.0)]


def test_places_change_without_a_revision_while_a_bill_is_open(store: SqlStore) -> None:
    bill = make_bill("b", 2)
    moved = replace(bill, lines=(replace(bill.lines[0], box=(9.0, 9.0, 10.0, 10.0)), *bill.lines[1:]))
    store.append([], [bill])
    store.append([], [moved])
    assert store.open_bill("lane1") == moved
    store.append([], [make_bill("b", 3, closed_s=4.0)])
    store.append([], [replace(moved, revision=3)])
    assert store.bills() == [make_bill("b", 3, closed_s=4.0)]


def test_a_bill_may_lose_all_lines(store: SqlStore) -> None:
    store.append([], [make_bill("b", 1)])
    store.append([], [make_bill("b", 2, lines=0)])
    assert store.bills() == [make_bill("b", 2, lines=0)]


def test_bills_are_paged_latest_first(store: SqlStore) -> None:
    made = [make_bill(name, 1, closed_s=99.0 if name != "e" else None) for name in "abcdef"]
    store.append([], [*made, make_bill("z", 1, lane_id="lane2")])
    assert [bill.bill_id for bill in store.bills("lane1", limit=4)] == ["f", "e", "d", "c"]
    assert [bill.bill_id for bill in store.bills("lane1", before="c")] == ["b", "a"]
    assert [bill.bill_id for bill in store.bills("lane1", closed=False)] == ["e"]
    assert len(store.bills("lane1", closed=True)) == 5


def test_money_is_exact(store: SqlStore, store_url: str) -> None:
    bill = make_bill("b", 1, lines=3)
    store.append([make_event(1)], [bill])
    assert run_sql(store_url, "SELECT total_cents FROM bills") == [(10 + 40 + 90,)]
    assert run_sql(store_url, "SELECT price_cents FROM events") == [(1999,)]
    assert store.bills()[0].total == bill.total == 1.4


def test_a_failed_append_leaves_nothing(store: SqlStore) -> None:
    two_lines_of_one_number = make_bill("b", 1)
    line = two_lines_of_one_number.lines[0]
    broken = make_bill("b", 1, lines=0)
    object.__setattr__(broken, "lines", (line, line))
    with pytest.raises(DBAPIError):
        store.append([make_event(1)], [make_bill("a", 1), broken], Checkpoint("lane1", "key", 1.0, 1))
    assert (store.events(), store.bills(), store.checkpoint("lane1", "key")) == ([], [], None)


def test_a_checkpoint_never_goes_back(store: SqlStore) -> None:
    store.append([], [], Checkpoint("lane1", "key", 9.0, 90))
    store.append([], [], Checkpoint("lane1", "key", 3.0, 30))
    assert store.checkpoint("lane1", "key") == Checkpoint("lane1", "key", 9.0, 90)


def test_odd_text_is_stored_on_both(store: SqlStore) -> None:
    event = make_event(1)
    object.__setattr__(event.decision, "reason", "a\x00b\ud800c")
    store.append([event], [])
    assert store.events()[0].event.decision.reason == "a\ufffdb?c"


def test_lanes_may_append_at_the_same_time(store: SqlStore, store_url: str) -> None:
    other = open_store(store_url)  # as a second process would

    def work(target: SqlStore, lane_id: str) -> None:
        for n in range(20):
            target.append([make_event(n, lane_id)], [make_bill(lane_id, n, lane_id=lane_id)])

    threads = [threading.Thread(target=work, args=((store, other)[n % 2], f"lane{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(store.events()) == 80
    for n in range(4):
        numbers = [stored.event.decision.track_id for stored in store.events(f"lane{n}")]
        assert numbers == list(range(20))
    assert store.outbox_depth() == 80


def test_opening_again_keeps_everything(store: SqlStore, store_url: str) -> None:
    store.append([make_event(1)], [make_bill("b", 1)])
    again = open_store(store_url)
    assert (len(again.events()), again.open_bill("lane1")) == (1, make_bill("b", 1))
    again.close()


def test_many_may_make_the_schema_at_once(store_url: str) -> None:
    start = threading.Barrier(6)
    failures: list[BaseException] = []

    def work() -> None:
        start.wait()
        try:
            open_store(store_url).close()
        except BaseException as err:  # the test reports whatever it was
            failures.append(err)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert run_sql(store_url, f"SELECT count(*) FROM {VERSION_TABLE}") == [(1,)]  # noqa: S608


def test_migrations_end_at_the_tables(store: SqlStore, store_url: str) -> None:
    parsed = make_url(store_url)
    driver = "postgresql+psycopg" if parsed.get_backend_name() == "postgresql" else "sqlite"
    engine = create_engine(parsed.set(drivername=driver))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_last_step_is_known() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_a_warm_start_does_without_alembic_and_sqlite_without_postgresql(store: SqlStore, store_url: str) -> None:
    other = "sqlalchemy.dialects.postgresql" if store_url.startswith("sqlite") else "mako"
    program = (
        "import sys; from store.engine import open_store; open_store(sys.argv[1]).close(); "
        f"print([n for n in sys.modules if n.partition('.')[0] in ('alembic', 'mako') or n.startswith({other!r})])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, store_url], cwd=_ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_newer_schema_is_refused(store: SqlStore, store_url: str) -> None:
    run_sql(store_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")  # noqa: S608
    with pytest.raises(SchemaMismatch, match=r"schema 9999.*install the newer Traylane"):
        open_store(store_url)


def test_another_programs_tables_are_left_alone(store_url: str, tmp_path: Path) -> None:
    if store_url.startswith("sqlite"):
        (tmp_path / "deep").mkdir()
    run_sql(store_url, "CREATE TABLE events (when_it_was INTEGER)")
    with pytest.raises(SchemaMismatch, match="not a Traylane database: it holds events"):
        open_store(store_url)
    assert run_sql(store_url, "SELECT count(*) FROM events") == [(0,)]


def test_a_table_that_went_away_is_a_schema_mismatch(store: SqlStore, store_url: str) -> None:
    run_sql(store_url, "DROP TABLE checkpoints")
    with pytest.raises(SchemaMismatch, match="not a Traylane database"):
        store.append([make_event(1)], [], Checkpoint("lane1", "key", 1.0, 1))
    assert store.events() == []
