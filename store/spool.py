"""Keep what a lane decided while the store is away, in order, on disk, and hand it over when the store is back.

One spool serves one lane (or a few) and one process. As long as the store answers, the spool is a thin passage. When
an append fails with StoreUnavailable, it and all later ones become lines of a JSON file (fsync per line) and are given
to the store, oldest first, once it is back. A line that was handed over twice (killed in between) does no harm: the
store knows events by id and bills by revision.

The bound is on events. What is beyond it is refused, counted and logged as an error; from then on the lane's
checkpoints stay behind too, so that a recording that is started again re-does what was refused.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from core.clock import Clock
from core.errors import StoreUnavailable
from core.files import sync_folder, write_atomic
from core.records import Bill, Event
from store.rows import (
    bill_from_rows,
    bill_row,
    checkpoint_from_row,
    checkpoint_row,
    event_from_row,
    event_row,
    line_rows,
)
from store.store import Checkpoint, Store

_log = logging.getLogger(__name__)

#: Events handed over in one transaction while catching up.
_BATCH_EVENTS = 500


class SpoolState(enum.StrEnum):
    """`PASSING` the store answers; `HOLDING` it is away and events wait; `FULL` events were or are being refused."""

    PASSING = "passing"
    HOLDING = "holding"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class SpoolHealth:
    """What the pages and the metrics show.

    Attributes:
        waiting_events: events that the store does not have yet.
        capacity: how many may wait.
        refused_events: events that came when it was full, since the start.
        unsaved_events: waiting events that are in memory only, because the spool's own file cannot be written.
        reason: why the store is away, or "".
    """

    state: SpoolState
    waiting_events: int
    capacity: int
    refused_events: int
    unsaved_events: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One append that waits."""

    events: tuple[Event, ...]
    bills: tuple[Bill, ...]
    checkpoint: Checkpoint | None

    def to_line(self) -> bytes:
        """Return one JSON line; raises ValueError for what no store could keep."""
        content = {
            "events": [event_row(event) for event in self.events],
            "bills": [{**bill_row(bill), "lines": line_rows(bill)} for bill in self.bills],
            "checkpoint": None if self.checkpoint is None else checkpoint_row(self.checkpoint),
        }
        return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"

    @staticmethod
    def from_line(line: bytes) -> _Entry:
        """Return the entry of a line; raises ValueError, KeyError or TypeError for a damaged one."""
        content: dict[str, Any] = json.loads(line)
        mark = content["checkpoint"]
        return _Entry(
            events=tuple(event_from_row(row) for row in content["events"]),
            bills=tuple(bill_from_rows(row, row["lines"]) for row in content["bills"]),
            checkpoint=None if mark is None else checkpoint_from_row(mark),
        )


class Spool:
    """A `Store.append` that never fails because the store is away.

    Args:
        store: where everything goes in the end.
        path: the spool's file; its folder is made. A file that a killed process left is taken up first.
        clock: for the time between two tries.
        capacity: how many events may wait.
        retry_s: shortest time between two tries while the store is away.

    Raises:
        StoreUnavailable: another process has this spool, or its file cannot be opened.
    """

    def __init__(self, store: Store, path: Path, clock: Clock, capacity: int = 100_000, retry_s: float = 1.0) -> None:
        self._store, self._path, self._clock = store, path, clock
        self._capacity, self._retry_s = capacity, retry_s
        self._lock = threading.RLock()
        self._waiting: deque[_Entry] = deque()
        self._waiting_events = 0
        self._saved_entries = 0  # how many of the first entries in `_waiting` are lines of the file
        self._refused_events = 0
        self._lossy_lanes: set[str] = set()
        self._late_bills: dict[str, Bill] = {}
        self._reason = ""
        self._next_try_s = 0.0
        self._lock_file = self._claim()
        self._take_up()

    def append(self, events: Sequence[Event], bills: Sequence[Bill], checkpoint: Checkpoint | None = None) -> int:
        """Hand over to the store, or keep. Returns how many events the store did not know yet; 0 while it is away.

        An append of nothing is a good moment to try the store again, if it is due.

        Raises:
            SchemaMismatch: the database is not one that this program may write.
        """
        if not events and not bills and checkpoint is None:
            with self._lock:
                self._catch_up(due_only=True)
            return 0
        entry = _Entry(tuple(events), tuple(bills), checkpoint)
        line = entry.to_line()  # before anything else: what cannot be stored must not get stuck in the file
        with self._lock:
            if checkpoint is not None and checkpoint.lane_id in self._lossy_lanes:
                entry = replace(entry, checkpoint=None)
                line = entry.to_line()
            if not self._waiting:
                new = self._hand_over([entry])
                if new is not None:
                    return new
                self._keep(entry, line)
            else:
                self._keep(entry, line)
                self._catch_up(due_only=True)
            return 0

    def flush(self) -> bool:
        """Try the store now. Returns whether nothing waits any more."""
        with self._lock:
            self._catch_up(due_only=False)
            return not self._waiting

    def open_bill(self, lane_id: str) -> Bill | None:
        """Return the lane's open bill, what waits included. Raises StoreUnavailable when neither side knows."""
        with self._lock:
            waiting = [bill for entry in self._waiting for bill in entry.bills] + list(self._late_bills.values())
            latest = {bill.bill_id: bill for bill in waiting if bill.lane_id == lane_id}
            if latest:
                newest = max(latest.values(), key=lambda bill: (bill.opened_at_s, bill.bill_id))
                return newest if newest.closed_s is None else None
            return self._store.open_bill(lane_id)

    def checkpoint(self, lane_id: str, stream_key: str) -> Checkpoint | None:
        """Return the latest checkpoint, what waits included. Raises StoreUnavailable when neither side knows."""
        with self._lock:
            for entry in reversed(self._waiting):
                mark = entry.checkpoint
                if mark is not None and (mark.lane_id, mark.stream_key) == (lane_id, stream_key):
                    return mark
            return self._store.checkpoint(lane_id, stream_key)

    @property
    def full(self) -> bool:
        """Whether the next event would be refused: a lane on a recording waits, a live one cannot."""
        with self._lock:
            return self._waiting_events >= self._capacity

    def health(self) -> SpoolHealth:
        """Return the state and the counts of this moment."""
        with self._lock:
            state = SpoolState.HOLDING if self._waiting else SpoolState.PASSING
            if self._waiting and (self._lossy_lanes or self._waiting_events >= self._capacity):
                state = SpoolState.FULL
            unsaved = sum(len(entry.events) for entry in list(self._waiting)[self._saved_entries :])
            return SpoolHealth(state, self._waiting_events, self._capacity, self._refused_events, unsaved, self._reason)

    def close(self) -> None:
        """Try the store once more and let go of the file; what still waits stays in it for the next start."""
        with self._lock:
            if self._lock_file.closed:
                return
            self._catch_up(due_only=False)
            if self._waiting:
                _log.warning("%d events stay in %s for the next start", self._waiting_events, self._path)
            self._lock_file.close()

    def _claim(self) -> BinaryIO:
        """Take the lock that the kernel gives back when this process dies, however it dies."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock_file = self._path.with_name(self._path.name + ".lock").open("ab")
        except OSError as err:
            raise StoreUnavailable(
                f"{self._path}: cannot open the spool: {err.strerror}; make its folder writable"
            ) from err
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            lock_file.close()
            raise StoreUnavailable(
                f"{self._path}: another process uses this spool; stop it, or give this one its own store and folder"
            ) from err
        return lock_file

    def _take_up(self) -> None:
        """Read what a former process left; a torn last line was never acknowledged and is left out."""
        if not self._path.exists():
            return
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except OSError as err:
            self._lock_file.close()
            raise StoreUnavailable(
                f"{self._path}: cannot read the spool: {err.strerror}; check the rights of the file"
            ) from err
        damaged = 0
        for number, line in enumerate(lines, start=1):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("the line is not complete")
                entry = _Entry.from_line(line)
            except (ValueError, KeyError, TypeError) as err:
                if number == len(lines):
                    _log.info("%s:%d: torn last line left out: %s", self._path, number, err)
                else:
                    damaged += 1
                    _log.error("%s:%d: damaged line left out: %s", self._path, number, err)
                continue
            self._waiting.append(entry)
            self._waiting_events += len(entry.events)
        if damaged:
            self._path.replace(self._path.with_name(self._path.name + ".damaged"))
        self._save_all()
        self._catch_up(due_only=False)

    def _keep(self, entry: _Entry, line: bytes) -> None:
        """Put an entry at the end of the queue and of the file, or refuse it if there is no room."""
        if entry.events and self._waiting_events + len(entry.events) > self._capacity:
            self._refuse(entry)
            return
        self._waiting.append(entry)
        self._waiting_events += len(entry.events)
        if self._saved_entries < len(self._waiting) - 1:
            self._save_all()  # the file missed some before: a line alone would be out of order
            return
        try:
            new = not self._path.exists()
            _append_line(self._path, line)
            if new:
                sync_folder(self._path.parent)
            self._saved_entries = len(self._waiting)
        except OSError as err:
            _log.error("%s: cannot write the spool: %s; events are held in memory only", self._path, err.strerror)

    def _refuse(self, entry: _Entry) -> None:
        self._refused_events += len(entry.events)
        self._lossy_lanes.update(event.lane_id for event in entry.events)
        # A bill is a projection: its newest revision says all that the refused ones said, so one of each is kept.
        self._late_bills.update((bill.bill_id, bill) for bill in entry.bills)
        _log.error(
            "%s: the spool is full (%d events wait): %d events refused, %d in all; bring the store back: %s",
            self._path, self._waiting_events, len(entry.events), self._refused_events, self._reason,
        )  # fmt: skip

    def _note_away(self, err: StoreUnavailable, took_s: float) -> None:
        self._reason = str(err)
        # A server that lets us wait for its time-out must not eat the lane's time: wait longer than the try took.
        self._next_try_s = self._clock.monotonic_s() + max(self._retry_s, 2 * took_s)
        if not self._waiting:
            _log.warning("the store is away, events are kept in %s: %s", self._path, err)

    def _hand_over(self, batch: Sequence[_Entry]) -> int | None:
        """Append a batch to the store; None when the store is away."""
        began_s = self._clock.monotonic_s()
        try:
            return self._store.append(
                [event for entry in batch for event in entry.events],
                [bill for entry in batch for bill in entry.bills],
                batch[-1].checkpoint,
            )
        except StoreUnavailable as err:
            self._note_away(err, self._clock.monotonic_s() - began_s)
            return None

    def _catch_up(self, due_only: bool) -> None:
        """Hand waiting entries over, oldest first, until none is left or the store is away again."""
        if not self._waiting or (due_only and self._clock.monotonic_s() < self._next_try_s):
            return
        handed = 0
        while self._waiting:
            batch = self._next_batch()
            if self._hand_over(batch) is None:
                break
            for entry in batch:
                self._waiting.popleft()
                self._waiting_events -= len(entry.events)
                handed += len(entry.events)
            if not self._waiting and self._late_bills:
                self._waiting.append(_Entry((), tuple(self._late_bills.values()), None))
                self._late_bills.clear()
        if not self._waiting:
            self._reason = ""
            _log.info("the store is back: %d events handed over", handed)
        if handed or not self._waiting:
            self._save_all()

    def _next_batch(self) -> list[_Entry]:
        """Return the first entries; a checkpoint ends a batch, since one transaction takes one."""
        batch: list[_Entry] = []
        count = 0
        for entry in self._waiting:
            batch.append(entry)
            count += len(entry.events)
            if count >= _BATCH_EVENTS or entry.checkpoint is not None:
                break
        return batch

    def _save_all(self) -> None:
        """Make the file equal to the queue: the old file or the new one, never half."""
        self._saved_entries = 0
        try:
            if self._waiting:
                write_atomic(self._path, b"".join(entry.to_line() for entry in self._waiting))
            else:
                self._path.unlink(missing_ok=True)
            self._saved_entries = len(self._waiting)
        except OSError as err:
            _log.error("%s: cannot rewrite the spool: %s; events are held in memory only", self._path, err.strerror)


def _append_line(path: Path, line: bytes) -> None:
    """Write one line for good, or leave the file as it was."""
    with path.open("ab", buffering=0) as handle:
        start = os.fstat(handle.fileno()).st_size
        try:
            written = handle.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle.fileno())
        except OSError:
            os.ftruncate(handle.fileno(), start)
            raise
