"""The store over SQLAlchemy Core: the same statements on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
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
    tuple_,
)

from core.clock import Clock
from core.records import Bill, Event
from store.accounts import AccountStore
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
from store.writing import writing


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

    def revise(self, bill_id: str, change: Callable[[Bill, int], tuple[Sequence[Event], Bill]]) -> Bill | None:
        """Change a closed bill in one transaction that nobody else writes in.

        Args:
            bill_id: which bill.
            change: gets the bill as it is and the highest line number it ever had; returns the events that say what
                changes and the bill after them. What it raises undoes everything.

        Returns:
            The bill after the change; None if there is none of this id, or it is still open: that one is the lane's.
        """
        with self.writing(f"change bill {bill_id}") as connection:
            head = connection.execute(select(bills).where(bills.c.bill_id == bill_id)).mappings().first()
            if head is None or head["closed_s"] is None:
                return None
            bill = bill_from_rows(head, self._lines_of(connection, [bill_id])[bill_id])
            journal = select(events.c.detail).where(events.c.bill_id == bill_id, events.c.detail.contains('"line_no"'))
            numbers = [json.loads(row[0]).get("line_no", 0) for row in connection.execute(journal)]
            told, after = change(bill, max([0, *(n for n in numbers if isinstance(n, int))]))
            self._insert_events(connection, [{**event_row(e), "stored_at_s": self._clock.utc_s()} for e in told])
            self._upsert_bill(connection, bill_row(after), line_rows(after))
            return after

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
        self,
        lane_id: str | None = None,
        after_seq: int = 0,
        limit: int = 1000,
        bill_id: str | None = None,
        lane_ids: Collection[str] | None = None,
    ) -> list[StoredEvent]:
        """Return events with `seq > after_seq`, oldest first; see `Store.events`."""
        query = select(events).where(events.c.seq > after_seq).order_by(events.c.seq).limit(limit)
        if lane_id is not None:
            query = query.where(events.c.lane_id == lane_id)
        if bill_id is not None:
            query = query.where(events.c.bill_id == bill_id)
        if lane_ids is not None:
            query = query.where(events.c.lane_id.in_(sorted(lane_ids)))
        return [StoredEvent(row["seq"], event_from_row(row)) for row in self._read(query, "read events")]

    def last_seq(self) -> int:
        """Return the number of the newest event, 0 before there is one."""
        return int(self._read(select(func.coalesce(func.max(events.c.seq), 0).label("seq")), "read the end")[0]["seq"])

    def checkpoint(self, lane_id: str, stream_key: str) -> Checkpoint | None:
        """Return the checkpoint of a lane on a stream."""
        mine = and_(checkpoints.c.lane_id == lane_id, checkpoints.c.stream_key == stream_key)
        found = self._read(select(checkpoints).where(mine), "read a checkpoint")
        return checkpoint_from_row(found[0]) if found else None

    def outbox_depth(self) -> int:
        """Return how many events wait for a publisher."""
        waiting = select(func.count().label("depth")).select_from(outbox).where(outbox.c.published_at_s.is_(None))
        return int(self._read(waiting, "count the outbox")[0]["depth"])

    def accounts(self) -> AccountStore:
        """Return the accounts in the same database; they close with it."""
        return AccountStore(self._engine, self.shown_url, self._clock, self._write_lock)

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @property
    def insert_into(self) -> Callable[[Table], Any]:
        """The engine's own `insert`, which knows ON CONFLICT; for the neighbours in this package."""
        return self._insert_into

    @contextmanager
    def writing(self, doing: str) -> Iterator[Connection]:
        """Give a connection in a transaction that nobody else writes in; for the neighbours in this package.

        Raises:
            StoreUnavailable: see `Store`.
        """
        with self._write_lock, told_as_store_error(self.shown_url, doing), writing(self._engine) as connection:
            yield connection

    @contextmanager
    def reading(self, doing: str) -> Iterator[Connection]:
        """Give a connection to read with; for the neighbours in this package. Raises StoreUnavailable."""
        with self._reading(doing) as connection:
            yield connection

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
