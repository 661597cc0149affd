"""How consumers of events (webhooks, MQTT, a hub) get each event of each lane in order, at least once, and apart.

The append-only journal is the outbox: an event is in it from the very transaction that stored it. A *consumer* keeps
one cursor per lane, so a lane whose receiver refuses an event holds up nobody else, and two consumers never know of
each other. What a consumer would not take goes to the dead letters, and its cursor goes on.

A consumer is one process at a time. `advance` names the cursor it starts from; if somebody else has moved it, nothing
happens and it says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, exists, func, select, update

from core.clock import Clock
from store.api_tables import dead_letters, outbox_cursors
from store.rows import event_from_row
from store.sql_store import SqlStore
from store.store import StoredEvent
from store.tables import events, outbox

_BASE = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a consumer is in one lane.

    Attributes:
        done_seq: events up to here are delivered, given up, or not wanted.
        delivered: how many were delivered.
        attempts: failed tries of the next event.
        first_try_s: UTC of the first of them.
        next_try_s: not to be tried before, UTC.
        last_done_s: UTC of the latest delivery.
        last_error: of the latest failed try, "" after a good one.
    """

    consumer: str
    lane_id: str
    done_seq: int
    delivered: int = 0
    attempts: int = 0
    first_try_s: float | None = None
    next_try_s: float | None = None
    last_done_s: float | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a consumer would not take.

    Attributes:
        resend_at_s: somebody asked at this time to send it again.
        resent_at_s: it was taken after all.
    """

    letter_id: int
    consumer: str
    attempts: int
    error: str
    died_at_s: float
    resend_at_s: float | None
    resent_at_s: float | None
    stored: StoredEvent


class Outbox:
    """The consumers' side of a store. Every method raises StoreUnavailable when the store is away."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        # consumer -> (how far the journal was looked through, lanes found): it is long, and looked at each second.
        self._seen: dict[str, tuple[int, frozenset[str]]] = {}

    def register(self, consumer: str, from_start: bool = False) -> None:
        """Make a consumer known; a new one begins with the next event, or with the first one ever stored."""
        with self._store.writing(f"register {consumer}") as connection:
            if self._row(connection, consumer, _BASE) is None:
                latest = select(func.coalesce(func.max(events.c.seq), 0))
                begins = 0 if from_start else connection.execute(latest).scalar_one()
                self._put(connection, Cursor(consumer, _BASE, int(begins)))

    def cursors(self, consumer: str) -> list[Cursor]:
        """Return a cursor for every lane that has events or had any for this consumer, by lane id."""
        with self._store.reading(f"read the cursors of {consumer}") as connection:
            rows = connection.execute(
                select(outbox_cursors).where(outbox_cursors.c.consumer == consumer).order_by(outbox_cursors.c.lane_id)
            ).mappings()
            known = {row["lane_id"]: Cursor(**row) for row in rows}
            base = known.pop(_BASE, None)
            if base is None:
                return list(known.values())
            for lane_id in self._lanes_since(connection, base):
                known.setdefault(lane_id, Cursor(consumer, lane_id, base.done_seq))
        return [known[lane_id] for lane_id in sorted(known)]

    def cursor(self, consumer: str, lane_id: str) -> Cursor:
        """Return how far a registered consumer is in one lane, which needs not have events yet.

        Raises:
            ValueError: the consumer was never registered.
        """
        with self._store.reading(f"read a cursor of {consumer}") as connection:
            row = self._row(connection, consumer, lane_id)
            base = row if row is not None else self._row(connection, consumer, _BASE)
        if base is None:
            raise ValueError(f"{consumer} is not registered")
        return Cursor(**row) if row is not None else Cursor(consumer, lane_id, base["done_seq"])

    def waiting(self, cursor: Cursor, kinds: Collection[str] | None, limit: int) -> tuple[list[StoredEvent], int]:
        """Return the next events of a cursor's lane, oldest first, and how far the look reached.

        Args:
            cursor: of the lane.
            kinds: only events of these kinds; all if None.
            limit: at most so many.

        Returns:
            The events, and the number up to which nothing else is wanted: of the last event returned, or, if fewer
            than `limit` were found, of the lane's newest event.
        """
        lane = (events.c.lane_id == cursor.lane_id) & (events.c.seq > cursor.done_seq)
        query = select(events).where(lane).order_by(events.c.seq).limit(limit)
        if kinds is not None:
            query = query.where(events.c.kind.in_(list(kinds)))
        with self._store.reading(f"read what waits for {cursor.consumer}") as connection:
            newest = connection.execute(select(func.max(events.c.seq)).where(lane)).scalar_one()
            # After `newest`: what is stored in between comes next time, and may be returned already.
            rows = connection.execute(query).mappings().all()
        found = [StoredEvent(row["seq"], event_from_row(row)) for row in rows]
        if len(found) == limit or newest is None:
            return found, found[-1].seq if found else cursor.done_seq
        return found, max([int(newest), *(one.seq for one in found)])

    def latest_of_bills(self, lane_id: str, up_to_seq: int) -> int:
        """Return the number of a lane's last event up to `up_to_seq` that belongs to a bill; 0 if there is none."""
        mine = (events.c.lane_id == lane_id) & (events.c.seq <= up_to_seq) & (events.c.bill_id != "")
        with self._store.reading("look back") as connection:
            return int(connection.execute(select(func.coalesce(func.max(events.c.seq), 0)).where(mine)).scalar_one())

    def depth(self, consumer: str) -> int:
        """Return how many events lie beyond a consumer's cursors, wanted or not."""
        count = 0
        with self._store.reading(f"count what waits for {consumer}") as connection:
            for cursor in self.cursors(consumer):
                beyond = (events.c.lane_id == cursor.lane_id) & (events.c.seq > cursor.done_seq)
                count += connection.execute(select(func.count()).select_from(events).where(beyond)).scalar_one()
        return int(count)

    def advance(self, before: Cursor, done_seq: int, delivered: int) -> Cursor | None:
        """Note that everything up to `done_seq` is settled; None if another process moved the cursor meanwhile."""
        now_s = self._clock.utc_s()
        after = Cursor(
            before.consumer,
            before.lane_id,
            done_seq,
            before.delivered + delivered,
            last_done_s=now_s if delivered else before.last_done_s,
        )
        with self._store.writing(f"advance {before.consumer}") as connection:
            return after if self._swap(connection, before, after) else None

    def put_off(self, before: Cursor, error: str, next_try_s: float) -> Cursor | None:
        """Note a failed try of the next event; None if another process moved the cursor meanwhile."""
        now_s = self._clock.utc_s()
        after = Cursor(
            before.consumer,
            before.lane_id,
            before.done_seq,
            before.delivered,
            before.attempts + 1,
            before.first_try_s if before.first_try_s is not None else now_s,
            next_try_s,
            before.last_done_s,
            error,
        )
        with self._store.writing(f"put {before.consumer} off") as connection:
            return after if self._swap(connection, before, after) else None

    def give_up(self, before: Cursor, stored: StoredEvent, error: str) -> Cursor | None:
        """Lay the next event aside and go on after it; None if another process moved the cursor meanwhile."""
        after = Cursor(
            before.consumer, before.lane_id, stored.seq, before.delivered, last_done_s=before.last_done_s,
            last_error=error,
        )  # fmt: skip
        letter = {
            "consumer": before.consumer,
            "lane_id": before.lane_id,
            "event_seq": stored.seq,
            "attempts": before.attempts + 1,
            "error": error,
            "died_at_s": self._clock.utc_s(),
        }
        with self._store.writing(f"lay a letter to {before.consumer} aside") as connection:
            if not self._swap(connection, before, after):
                return None
            insert = self._store.insert_into(dead_letters).values(letter)
            connection.execute(insert.on_conflict_do_nothing(index_elements=["consumer", "event_seq"]))
        return after

    def letters(
        self, consumer: str | None = None, before_id: int | None = None, limit: int = 50, due: bool = False
    ) -> list[DeadLetter]:
        """Return dead letters, newest first; with `due` only those that somebody wants sent again, oldest first."""
        order = dead_letters.c.letter_id
        query = select(dead_letters, events).join(events, events.c.seq == dead_letters.c.event_seq).limit(limit)
        query = query.order_by(order if due else order.desc())
        if consumer is not None:
            query = query.where(dead_letters.c.consumer == consumer)
        if before_id is not None:
            query = query.where(dead_letters.c.letter_id < before_id)
        if due:
            query = query.where(dead_letters.c.resend_at_s.is_not(None), dead_letters.c.resent_at_s.is_(None))
        with self._store.reading("read dead letters") as connection:
            return [_letter(row) for row in connection.execute(query).mappings()]

    def letter(self, letter_id: int) -> DeadLetter | None:
        """Return one dead letter."""
        found = self.letters(before_id=letter_id + 1, limit=1)
        return found[0] if found and found[0].letter_id == letter_id else None

    def ask_again(self, letter_id: int) -> bool:
        """Note that a dead letter is to be sent again; return whether it exists and was not taken since."""
        statement = (
            update(dead_letters)
            .where(dead_letters.c.letter_id == letter_id, dead_letters.c.resent_at_s.is_(None))
            .values(resend_at_s=self._clock.utc_s())
        )
        with self._store.writing("send a letter again") as connection:
            return bool(connection.execute(statement).rowcount)

    def settle_letter(self, letter: DeadLetter, error: str | None) -> None:
        """Note how the new try of a dead letter went: None for taken."""
        values: dict[str, object] = {"attempts": letter.attempts + 1, "resend_at_s": None}
        values |= {"resent_at_s": self._clock.utc_s()} if error is None else {"error": error}
        with self._store.writing("settle a letter") as connection:
            connection.execute(update(dead_letters).where(dead_letters.c.letter_id == letter.letter_id).values(values))

    def settle(self, consumers: Sequence[str]) -> None:
        """Mark in the outbox what every one of `consumers` is done with."""
        by_lane: dict[str, list[int]] = {}
        for consumer in consumers:
            for cursor in self.cursors(consumer):
                by_lane.setdefault(cursor.lane_id, []).append(cursor.done_seq)
        with self._store.writing("settle the outbox") as connection:
            for lane_id, done in by_lane.items():
                settled = exists().where(
                    events.c.seq == outbox.c.event_seq, events.c.lane_id == lane_id, events.c.seq <= min(done)
                )
                connection.execute(
                    update(outbox)
                    .where(outbox.c.published_at_s.is_(None), settled)
                    .values(published_at_s=self._clock.utc_s())
                )

    def _lanes_since(self, connection: Connection, base: Cursor) -> frozenset[str]:
        """Return the lanes with events after a consumer's beginning."""
        looked, lanes = self._seen.get(base.consumer, (base.done_seq, frozenset()))
        newest = connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one()
        if newest > looked:
            fresh = select(events.c.lane_id).where(events.c.seq > looked, events.c.seq <= newest).distinct()
            lanes = lanes | frozenset(connection.execute(fresh).scalars())
            self._seen[base.consumer] = int(newest), lanes
        return lanes

    def _row(self, connection: Connection, consumer: str, lane_id: str) -> RowMapping | None:
        mine = (outbox_cursors.c.consumer == consumer) & (outbox_cursors.c.lane_id == lane_id)
        return connection.execute(select(outbox_cursors).where(mine)).mappings().first()

    def _swap(self, connection: Connection, before: Cursor, after: Cursor) -> bool:
        row = self._row(connection, before.consumer, before.lane_id)
        if row is not None and (row["done_seq"], row["attempts"]) != (before.done_seq, before.attempts):
            return False
        self._put(connection, after)
        return True

    def _put(self, connection: Connection, cursor: Cursor) -> None:
        row = {name: getattr(cursor, name) for name in Cursor.__slots__}
        insert = self._store.insert_into(outbox_cursors).values(row)
        changes = {name: insert.excluded[name] for name in row if name not in ("consumer", "lane_id")}
        connection.execute(insert.on_conflict_do_update(index_elements=["consumer", "lane_id"], set_=changes))


def _letter(row: RowMapping) -> DeadLetter:
    return DeadLetter(
        letter_id=row["letter_id"],
        consumer=row["consumer"],
        attempts=row["attempts"],
        error=row["error"],
        died_at_s=row["died_at_s"],
        resend_at_s=row["resend_at_s"],
        resent_at_s=row["resent_at_s"],
        stored=StoredEvent(row["seq"], event_from_row(row)),
    )
