"""One writer at a time, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

# Any fixed number: PostgreSQL's advisory lock of Traylane's writers ("tray" in ASCII).
_WRITER_LOCK = 0x74726179


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that holds the one writer's lock; commit at the end, roll back on error.

    One writer at a time makes `seq` rise in the order of commits, so a reader's cursor never skips an event.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})
        yield connection
