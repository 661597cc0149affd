"""The store over SQLAlchemy Core: the same statements on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    StaticPool,
    Table,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
)

from core.clock import Clock
from core.records import Bill, Event
from store.faults import told_as_store_error
from store.rows import (
    bill_from_rows,
    bill_row,
    checkpoint_from_row,
    checkpoint_row,
    event_from_row,
    event_row,
    line_rows,
)
from store.store import Checkpoint, StoredEvent
from store.tables import bill_lines, bills, checkpoints, events, outbox

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


def _insert_of(engine: Engine) -> Callable[[Table], Any]:
    """Return the engine's `insert` that knows ON CONFLICT; the other engine stays unimported: it takes a while."""
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert


class SqlStore:
    """A `Store` in a database; made by `store.engine.open_store`.

    Args:
        engine: with the schema of this program.
        shown_url: redacted, for messages.
        clock: gives the time at which an event was stored.
    """

    def __init__(self, engine: Engine, shown_url: str, clock: Clock) -> None:
        self.shown_url = shown_url
        self._engine = engine
        self._clock = clock
        self._insert_into = _insert_of(engine)
        # Lanes of one process queue here, in order, instead of polling SQLite's file lock.
        self._write_lock = threading.RLock()
        self._one_connection = isinstance(engine.pool, StaticPool)

    def append(self, events: Sequence[Event], bills: Sequence[Bill], checkpoint: Checkpoint | None = None) -> int:
        """Store everything in one transaction, or nothing; see `Store.append`."""
        rows = [{**event_row(item), "stored_at_s": self._clock.utc_s()} for item in events]
        projected = [(bill_row(bill), line_rows(bill)) for bill in bills]
        if not rows and not projected and checkpoint is None:
            return 0
        doing = f"append {len(rows)} events and {len(projected)} bills"
        with self._write_lock, told_as_store_error(self.shown_url, doing), writing(self._engine) as connection:
            new = self._insert_events(connection, rows) if rows else 0
            for row, lines in projected:
                self._upsert_bill(connection, row, lines)
            if checkpoint is not None:
                self._upsert_checkpoint(connection, checkpoint)
        return new

    def open_bill(self, lane_id: str) -> Bill | None:
        """Return the lane's latest bill that is not closed."""
        found = self.bills(lane_id, closed=False, limit=1)
        return found[0] if found else None

    def bills(
        self, lane_id: str | None = None, closed: bool | None = None, limit: int = 100, before: str | None = None
    ) -> list[Bill]:
        """Return bills, latest opened first; see `Store.bills`."""
        query = select(bills).order_by(bills.c.opened_at_s.desc(), bills.c.bill_id.desc()).limit(limit)
        if lane_id is not None:
            query = query.where(bills.c.lane_id == lane_id)
        if closed is not None:
            query = query.where(bills.c.closed_s.is_not(None) if closed else bills.c.closed_s.is_(None))
        if before is not None:
            mark = select(bills.c.opened_at_s, bills.c.bill_id).where(bills.c.bill_id == before)
            query = query.where(tuple_(bills.c.opened_at_s, bills.c.bill_id) < mark.scalar_subquery())
        with self._reading("read bills") as connection:
            heads = connection.execute(query).mappings().all()
            lines = self._lines_of(connection, [str(head["bill_id"]) for head in heads])
        return [bill_from_rows(head, lines[head["bill_id"]]) for head in heads]

    def events(
        self, lane_id: str | None = None, after_seq: int = 0, limit: int = 1000, bill_id: str | None = None
    ) -> list[StoredEvent]:
        """Return events with `seq > after_seq`, oldest first."""
        query = select(events).where(events.c.seq > after_seq).order_by(events.c.seq).limit(limit)
        if lane_id is not None:
            query = query.where(events.c.lane_id == lane_id)
        if bill_id is not None:
            query = query.where(events.c.bill_id == bill_id)
        return [StoredEvent(row["seq"], event_from_row(row)) for row in self._read(query, "read events")]

    def checkpoint(self, lane_id: str, stream_key: str) -> Checkpoint | None:
        """Return the checkpoint of a lane on a stream."""
        mine = and_(checkpoints.c.lane_id == lane_id, checkpoints.c.stream_key == stream_key)
        found = self._read(select(checkpoints).where(mine), "read a checkpoint")
        return checkpoint_from_row(found[0]) if found else None

    def outbox_depth(self) -> int:
        """Return how many events wait for a publisher."""
        waiting = select(func.count().label("depth")).select_from(outbox).where(outbox.c.published_at_s.is_(None))
        return int(self._read(waiting, "count the outbox")[0]["depth"])

    @contextmanager
    def transaction(self, doing: str) -> Iterator[Connection]:
        """Give the one writer's transaction, for tables that live beside the events.

        Args:
            doing: for messages, e.g. "store figures".

        Raises:
            StoreUnavailable: a later try may succeed.
            SchemaMismatch: it may not.
        """
        with self._write_lock, told_as_store_error(self.shown_url, doing), writing(self._engine) as connection:
            yield connection

    def insert_into(self, table: Table) -> Any:
        """Return the engine's `insert`, which knows ON CONFLICT."""
        return self._insert_into(table)

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Connection]:
        if self._one_connection:
            with self._write_lock, told_as_store_error(self.shown_url, doing), self._engine.begin() as connection:
                yield connection
        else:
            with told_as_store_error(self.shown_url, doing), self._engine.begin() as connection:
                yield connection

    def _read(self, query: Select[Any], doing: str) -> Sequence[RowMapping]:
        with self._reading(doing) as connection:
            return connection.execute(query).mappings().all()

    def _lines_of(self, connection: Connection, bill_ids: list[str]) -> dict[str, list[RowMapping]]:
        found: dict[str, list[RowMapping]] = defaultdict(list)
        if bill_ids:
            query = select(bill_lines).where(bill_lines.c.bill_id.in_(bill_ids)).order_by(bill_lines.c.line_no)
            for row in connection.execute(query).mappings():
                found[row["bill_id"]].append(row)
        return found

    def _insert_events(self, connection: Connection, rows: list[dict[str, Any]]) -> int:
        """Insert those that are new, and their outbox rows; return how many.

        Nobody else writes meanwhile (`writing`), so the new ones are those above the highest number of before.
        """
        highest = connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one()
        connection.execute(self._insert_into(events).on_conflict_do_nothing(index_elements=["event_id"]), rows)
        fresh = select(events.c.seq, literal(None)).where(events.c.seq > highest)
        connection.execute(insert(outbox).from_select(["event_seq", "published_at_s"], fresh))
        return int(connection.execute(select(func.count()).where(events.c.seq > highest)).scalar_one())

    def _upsert_bill(self, connection: Connection, row: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        statement = self._insert_into(bills).values(row)
        new = statement.excluded
        newer = new.revision > bills.c.revision
        again = and_(new.revision == bills.c.revision, bills.c.closed_s.is_(None))
        written = connection.execute(
            statement.on_conflict_do_update(
                index_elements=["bill_id"],
                set_={name: new[name] for name in row if name != "bill_id"},
                where=or_(newer, again),
            ).returning(bills.c.bill_id)
        ).all()
        if written:
            connection.execute(delete(bill_lines).where(bill_lines.c.bill_id == row["bill_id"]))
            if lines:
                connection.execute(insert(bill_lines), lines)

    def _upsert_checkpoint(self, connection: Connection, checkpoint: Checkpoint) -> None:
        row = checkpoint_row(checkpoint)
        statement = self._insert_into(checkpoints).values(row)
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["lane_id", "stream_key"],
                set_={
                    "stream_s": new.stream_s,
                    "frame_index": new.frame_index,
                    "last_track_id": new.last_track_id,
                },
                where=new.stream_s >= checkpoints.c.stream_s,
            )
        )
