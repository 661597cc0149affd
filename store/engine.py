"""Open a store by its URL: SQLite that a power cut does not hurt, PostgreSQL that never waits for ever."""

from __future__ import annotations

import enum
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from core.clock import Clock, SystemClock
from core.errors import ConfigError, StoreUnavailable
from core.redact import redact_url
from store.faults import told_as_store_error
from store.migrate import VERSION_TABLE, is_current, migrate
from store.sql_store import SqlStore
from store.writing import writing

BUSY_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 5


def open_store(url: str, clock: Clock | None = None) -> SqlStore:
    """Open the store at `url`, making or migrating it first.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` (memory), or
            `postgresql://user:password@host/database`.
        clock: gives `stored_at_s`; the system clock by default.

    Raises:
        ConfigError: `url` is not one of these.
        StoreUnavailable: the file or server cannot be reached or written.
        SchemaMismatch: the database is newer than this program, or another program's.
    """
    shown = redact_url(url)
    engine = _engine(url, shown)
    try:
        with told_as_store_error(shown, "open the store"):
            with engine.connect() as connection:
                current = is_current(connection, shown)
                if engine.dialect.name == "sqlite":
                    # Only now that the file is known to be ours: the switch is written into it.
                    _use_wal(connection)
            with writing(engine) as connection:
                if not current:
                    migrate(connection, shown)
                # A store that cannot be written must say so now, not at the first bill.
                connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = version_num"))  # noqa: S608
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, shown, clock or SystemClock())


class SchemaState(enum.StrEnum):
    """What `open_store` would find: no database yet, one to migrate, one to use as it is."""

    ABSENT = "absent"
    OLDER = "older"
    CURRENT = "current"


def look_at_store(url: str) -> SchemaState:
    """Return the state of the store at `url` without changing anything. Raises what `open_store` raises."""
    shown = redact_url(url)
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return SchemaState.ABSENT
    engine = _engine(url, shown)
    try:
        with told_as_store_error(shown, "look at the store"), engine.connect() as connection:
            if is_current(connection, shown):
                return SchemaState.CURRENT
            present = inspect(connection).has_table(VERSION_TABLE)
            return SchemaState.OLDER if present else SchemaState.ABSENT
    finally:
        engine.dispose()


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite url, or None for memory and for servers. Raises ConfigError."""
    parsed = _parse(url, redact_url(url))
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database.removeprefix("file:"))


def _engine(url: str, shown: str) -> Engine:
    parsed = _parse(url, shown)
    return _sqlite(parsed, shown) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)


def _parse(url: str, shown: str) -> URL:
    wanted = "give sqlite:///path/to/traylane.db or postgresql://user:password@host/database"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as err:
        raise ConfigError(f"store.url: {shown!r} is not a database url; {wanted}") from err
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"store.url: {shown!r}: {backend} is not supported; {wanted}")


def _sqlite(url: URL, shown: str) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    if in_memory:
        # One connection for all threads; SqlStore lets one in at a time.
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        if url.database and not url.database.startswith("file:"):
            _make_folder(Path(url.database).parent, shown)
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_folder(folder: Path, shown: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise StoreUnavailable(
            f"{shown}: cannot make the folder {folder}: {err.strerror}; make it, or give another store url"
        ) from err


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Set what SQLite forgets between connections."""
    # SQLAlchemy begins transactions by `_begin_sqlite`; the driver's own implicit ones would leave DDL outside.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    connection.execute("PRAGMA foreign_keys = ON")
    # INSERT OR REPLACE deletes without asking the delete trigger unless triggers are recursive.
    connection.execute("PRAGMA recursive_triggers = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _use_wal(connection: Connection) -> None:
    """Switch to write-ahead logging; SQLite does not apply the busy time-out to this switch, so wait for it here."""
    connection.rollback()
    cursor = connection.connection.cursor()
    give_up_s = time.monotonic() + BUSY_TIMEOUT_S
    try:
        while True:
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as err:
                if "locked" not in str(err) or time.monotonic() > give_up_s:
                    raise DBAPIError.instance("PRAGMA journal_mode", None, err, sqlite3.Error) from err
                time.sleep(0.02)
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin: a writer takes the lock at once, since a reader that turns into a writer cannot wait for it."""
    immediate = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _postgresql(url: URL) -> Engine:
    given = url.query.get("options", "")
    limits = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s"
    connect_args: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "traylane",
        "options": f"{given if isinstance(given, str) else ' '.join(given)} {limits}".strip(),
        # A server that vanished without a word: the kernel gives up on it instead of waiting for a quarter of an hour.
        "tcp_user_timeout": STATEMENT_TIMEOUT_S * 1000,
    }
    return create_engine(url, connect_args=connect_args, pool_pre_ping=True, pool_timeout=CONNECT_TIMEOUT_S)
