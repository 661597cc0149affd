"""The spool keeps order, bound and word while the store comes and goes."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import store.spool
from core.clock import ManualClock
from core.errors import StoreUnavailable
from core.records import Bill, Event
from store.spool import Spool, SpoolState
from store.store import Checkpoint, StoredEvent
from tests.store_records import make_bill, make_event

SpoolMaker = Callable[..., Spool]


class ScriptedStore:
    """A store in memory that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.tries = 0
        self.ids: list[str] = []
        self.kept_bills: dict[str, Bill] = {}
        self.mark: Checkpoint | None = None

    def append(self, events: Sequence[Event], bills: Sequence[Bill], checkpoint: Checkpoint | None = None) -> int:
        self.tries += 1
        if self.away:
            raise StoreUnavailable("postgresql://***@hub/db: the server is away")
        new = [event.event_id for event in events if event.event_id not in self.ids]
        self.ids += new
        for bill in bills:
            known = self.kept_bills.get(bill.bill_id)
            if known is None or bill.revision > known.revision:
                self.kept_bills[bill.bill_id] = bill
        self.mark = checkpoint or self.mark
        return len(new)

    def open_bill(self, lane_id: str) -> Bill | None:
        return next((bill for bill in self.kept_bills.values() if bill.closed_s is None), None)

    def bills(
        self, lane_id: str | None = None, closed: bool | None = None, limit: int = 100, before: str | None = None
    ) -> list[Bill]:
        return list(self.kept_bills.values())

    def events(
        self, lane_id: str | None = None, after_seq: int = 0, limit: int = 1000, bill_id: str | None = None
    ) -> list[StoredEvent]:
        return []

    def checkpoint(self, lane_id: str, stream_key: str) -> Checkpoint | None:
        return self.mark

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def target() -> ScriptedStore:
    return ScriptedStore()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_spool(target: ScriptedStore, clock: ManualClock, tmp_path: Path) -> Iterator[SpoolMaker]:
    made: list[Spool] = []

    def make(name: str = "lane1.spool", **options: float) -> Spool:
        made.append(Spool(target, tmp_path / name, clock, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for spool in made:
        spool.close()


def ids(*numbers: int) -> list[str]:
    return [f"lane1-event-{n}" for n in numbers]


def test_it_is_a_passage_while_the_store_answers(make_spool: SpoolMaker, target: ScriptedStore, tmp_path: Path) -> None:
    spool = make_spool()
    assert spool.append([make_event(1), make_event(2)], [make_bill("b", 1)]) == 2
    assert (spool.health().state, target.ids) == (SpoolState.PASSING, ids(1, 2))
    assert not (tmp_path / "lane1.spool").exists()


def test_order_is_kept_over_an_absence(
    make_spool: SpoolMaker, target: ScriptedStore, clock: ManualClock, tmp_path: Path
) -> None:
    spool = make_spool()
    target.away = True
    for n in range(1, 5):
        assert spool.append([make_event(n)], [make_bill("b", n)]) == 0
    health = spool.health()
    assert (health.state, health.waiting_events, health.unsaved_events) == (SpoolState.HOLDING, 4, 0)
    assert "the server is away" in health.reason
    target.away = False
    clock.advance(1.0)
    spool.append([make_event(5)], [])
    assert target.ids == ids(1, 2, 3, 4, 5)
    assert target.kept_bills["b"].revision == 4
    assert (spool.health().state, spool.health().reason) == (SpoolState.PASSING, "")
    assert not (tmp_path / "lane1.spool").exists()


def test_an_absent_store_is_not_asked_at_each_append(
    make_spool: SpoolMaker, target: ScriptedStore, clock: ManualClock
) -> None:
    spool = make_spool(retry_s=1.0)
    target.away = True
    for n in range(10):
        spool.append([make_event(n)], [])
    assert target.tries == 1
    clock.advance(1.0)
    spool.append([make_event(10)], [])
    assert target.tries == 2


def test_appending_nothing_tries_the_store_when_it_is_due(
    make_spool: SpoolMaker, target: ScriptedStore, clock: ManualClock
) -> None:
    spool = make_spool()
    target.away = True
    spool.append([make_event(1)], [])
    target.away = False
    spool.append([], [])
    assert target.ids == []
    clock.advance(1.0)
    spool.append([], [])
    assert target.ids == ids(1)
    assert spool.health().waiting_events == 0


def test_a_killed_process_leaves_its_lines(make_spool: SpoolMaker, target: ScriptedStore, tmp_path: Path) -> None:
    path = tmp_path / "lane1.spool"
    target.away = True
    killed = make_spool()
    killed.append([make_event(1)], [make_bill("b", 1)], Checkpoint("lane1", "key", 2.0, 40))
    killed.append([make_event(2)], [])
    killed._lock_file.close()  # as the kernel does when the process dies
    with path.open("ab") as handle:
        handle.write(b'{"events":[{"event_id":"torn')
    target.away = False
    make_spool()
    assert target.ids == ids(1, 2)
    assert target.kept_bills == {"b": make_bill("b", 1)}
    assert target.mark == Checkpoint("lane1", "key", 2.0, 40)
    assert not path.exists()


def test_a_damaged_line_is_told_and_put_aside(
    make_spool: SpoolMaker, target: ScriptedStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lane1.spool"
    target.away = True
    killed = make_spool()
    for n in (1, 2, 3):
        killed.append([make_event(n)], [])
    killed._lock_file.close()
    first, _, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"\x00\xff garbage\n" + third)
    target.away = False
    make_spool()
    assert target.ids == ids(1, 3)
    assert [record.levelno for record in caplog.records if "damaged line" in record.message] == [logging.ERROR]
    assert b"garbage" in (tmp_path / "lane1.spool.damaged").read_bytes()


def test_reads_see_what_waits(make_spool: SpoolMaker, target: ScriptedStore) -> None:
    spool = make_spool()
    spool.append([], [make_bill("b", 1)], Checkpoint("lane1", "key", 1.0, 20))
    target.away = True
    spool.append([], [make_bill("b", 2)], Checkpoint("lane1", "key", 2.0, 40))
    assert spool.open_bill("lane1") == make_bill("b", 2)
    assert spool.checkpoint("lane1", "key") == Checkpoint("lane1", "key", 2.0, 40)
    spool.append([], [make_bill("b", 3, closed_s=5.0)])
    assert spool.open_bill("lane1") is None


def test_the_bound_is_told_and_nothing_is_lost_in_silence(
    make_spool: SpoolMaker, target: ScriptedStore, caplog: pytest.LogCaptureFixture
) -> None:
    spool = make_spool(capacity=3)
    target.away = True
    for n in range(1, 6):
        spool.append([make_event(n)], [make_bill("b", n)], Checkpoint("lane1", "key", float(n), n))
        assert spool.full == (n >= 3)
    health = spool.health()
    assert (health.state, health.waiting_events, health.refused_events) == (SpoolState.FULL, 3, 2)
    assert sum("spool is full" in record.message for record in caplog.records) == 2
    target.away = False
    assert spool.flush()
    spool.append([make_event(6)], [], Checkpoint("lane1", "key", 6.0, 6))
    assert target.ids == ids(1, 2, 3, 6)
    assert target.kept_bills["b"].revision == 5
    # A recording that is started again goes on from before the refused events, and makes them again.
    assert target.mark == Checkpoint("lane1", "key", 3.0, 3)
    assert (spool.health().state, spool.health().refused_events) == (SpoolState.PASSING, 2)


def test_a_full_disk_holds_events_in_memory(
    make_spool: SpoolMaker, target: ScriptedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lane1.spool"
    spool = make_spool()
    target.away = True
    spool.append([make_event(1)], [])

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.spool, "_append_line", no_space)
        patch.setattr(store.spool, "write_atomic", no_space)
        spool.append([make_event(2)], [])
        spool.append([make_event(3)], [])
        assert spool.health().unsaved_events == 3
    spool.append([make_event(4)], [])
    assert spool.health().unsaved_events == 0
    assert [json.loads(line)["events"][0]["track_id"] for line in path.read_bytes().splitlines()] == [1, 2, 3, 4]
    target.away = False
    assert spool.flush()
    assert target.ids == ids(1, 2, 3, 4)


def test_what_cannot_be_stored_is_refused_at_once(make_spool: SpoolMaker, target: ScriptedStore) -> None:
    spool = make_spool()
    target.away = True
    event = make_event(1)
    object.__setattr__(event.decision, "price", 0.333)
    with pytest.raises(ValueError, match="not a whole number of cents"):
        spool.append([event], [])
    assert spool.health().waiting_events == 0


def test_one_process_per_spool(make_spool: SpoolMaker) -> None:
    spool = make_spool()
    with pytest.raises(StoreUnavailable, match="another process uses this spool"):
        make_spool()
    spool.close()
    spool.close()
    make_spool().close()


def test_closing_leaves_the_rest_for_the_next_start(make_spool: SpoolMaker, target: ScriptedStore) -> None:
    target.away = True
    spool = make_spool("deep/lane1.spool")
    spool.append([make_event(1)], [])
    spool.close()
    target.away = False
    make_spool("deep/lane1.spool")
    assert target.ids == ids(1)
