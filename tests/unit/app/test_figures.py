"""The recorder of minute figures: what a minute holds, and what a store that is away costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.figures import KEEP_DAYS, WAITING_MINUTES, FigureRecorder, Place
from checkout.health import LATENCY_BUCKETS_S, LaneHealth, LaneState
from core.clock import ManualClock
from core.errors import SchemaMismatch, StoreUnavailable
from store.figures import OPEN_MS, DishEntry, LaneEntry, LaneMinute, SiteEntry, SiteMinute

START_S = 1_795_604_400.0  # a whole minute
BUCKETS = len(LATENCY_BUCKETS_S) + 1


class Books:
    """Keeps what the recorder stores; `trouble` is raised instead while it is set."""

    def __init__(self) -> None:
        self.lanes: list[LaneMinute] = []
        self.sites: list[SiteMinute] = []
        self.described = 0
        self.pruned: list[float] = []
        self.trouble: Exception | None = None

    def add(self, lanes: list[LaneMinute], site: list[SiteMinute]) -> None:
        if self.trouble:
            raise self.trouble
        self.lanes += lanes
        self.sites += site

    def describe(self, site: SiteEntry, lanes: list[LaneEntry], dishes: list[DishEntry]) -> None:
        if self.trouble:
            raise self.trouble
        self.described += 1

    def prune(self, before_s: float) -> int:
        self.pruned.append(before_s)
        return 0


def health(**changes: object) -> LaneHealth:
    calm = LaneHealth(
        lane_id="lane1",
        shown_url="rtsp://camera/1",
        live=True,
        state=LaneState.RUNNING,
        why="",
        since_s=1.0,
        next_try_s=None,
        fps=20.0,
        decided_frames=0,
        last_decided_age_s=0.1,
        dropped={},
        reconnects=0,
        gaps=0,
        asks=0,
        bills=0,
        stages={},
        latency=None,
        latency_histogram=(0,) * BUCKETS,
        latency_sum_s=0.0,
        queued=0,
        spooled=0,
        refused=0,
        skipped_updates=0,
    )
    return replace(calm, **changes)  # type: ignore[arg-type]


class Bench:
    """A recorder on a clock that stands still, over one lane whose counters the test sets."""

    def __init__(self) -> None:
        self.clock, self.books = ManualClock(START_S), Books()
        self.now: dict[str, LaneHealth] = {"lane1": health()}
        self.depth: int | Exception = 3
        place = Place(SiteEntry("canteen", "EUR", "UTC"), [], [])
        self.recorder = FigureRecorder(self.books, place, self._health, self._depth, lambda: None, self.clock)

    def _health(self) -> Mapping[str, LaneHealth]:
        return self.now

    def _depth(self) -> int:
        if isinstance(self.depth, Exception):
            raise self.depth
        return self.depth

    def pass_s(self, seconds: float, **changes: object) -> None:
        """Let time pass in looks of five seconds, then set counters and look."""
        self.now["lane1"] = replace(self.now["lane1"], **changes)  # type: ignore[arg-type]
        for _ in range(round(seconds / 5)):
            self.clock.advance(5)
            self.recorder.look()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def counts(**of: int) -> tuple[int, ...]:
    found = [0] * BUCKETS
    for index, count in of.items():
        found[int(index.removeprefix("b"))] = count
    return tuple(found)


def test_a_minute_holds_the_growth_of_the_counters(bench: Bench) -> None:
    bench.pass_s(30, decided_frames=600, latency_histogram=counts(b4=600), dropped={"late": 7}, asks=1)
    bench.pass_s(30, decided_frames=1200, latency_histogram=counts(b4=900, b25=300), dropped={"late": 9}, bills=4)
    [minute] = bench.books.lanes
    assert (minute.minute_s, minute.watched_s, minute.up_s, minute.frames) == (START_S, 60.0, 60.0, 1200)
    assert minute.latency == {50: 900, OPEN_MS: 300}
    assert (minute.drops, minute.asks, minute.bills) == ({"late": 9}, 1, 4)
    bench.pass_s(60, decided_frames=1300)
    assert [one.frames for one in bench.books.lanes] == [1200, 100]
    assert bench.books.lanes[1].minute_s == START_S + 60


def test_a_lane_that_decides_nothing_is_watched_and_down(bench: Bench) -> None:
    bench.pass_s(20)
    bench.pass_s(40, state=LaneState.OFFLINE, last_decided_age_s=17.0)
    [minute] = bench.books.lanes
    assert (minute.watched_s, minute.up_s, minute.frames) == (60.0, 20.0, 0)


def test_a_lane_before_its_first_frame_is_not_up(bench: Bench) -> None:
    bench.pass_s(60, last_decided_age_s=None, state=LaneState.CONNECTING)
    assert bench.books.lanes[0].up_s == 0.0


def test_a_recording_that_is_over_is_neither_up_nor_down(bench: Bench) -> None:
    bench.pass_s(60, live=False, state=LaneState.STOPPED, decided_frames=50, last_decided_age_s=2.0)
    bench.pass_s(60)
    [minute] = bench.books.lanes
    assert (minute.watched_s, minute.frames) == (0.0, 50)


def test_an_outbox_that_cannot_be_counted_is_unknown(bench: Bench) -> None:
    bench.depth = StoreUnavailable("away")
    bench.pass_s(60)
    bench.depth = 5
    bench.pass_s(60)
    assert [one.outbox_depth for one in bench.books.sites] == [None, 5]
    assert [one.storage_free_bytes for one in bench.books.sites] == [None, None]


def test_minutes_wait_while_the_store_is_away_and_all_come_when_it_is_back(bench: Bench) -> None:
    bench.books.trouble = StoreUnavailable("away")
    bench.pass_s(180, decided_frames=10)
    assert (bench.books.lanes, bench.recorder.waiting, bench.books.described) == ([], 3, 0)
    bench.books.trouble = None
    bench.pass_s(60)
    assert len(bench.books.lanes) == len(bench.books.sites) == 4
    assert (bench.recorder.waiting, bench.recorder.lost, bench.books.described) == (0, 0, 1)


def test_a_day_of_minutes_may_wait_and_then_the_oldest_are_given_up_and_counted(bench: Bench) -> None:
    bench.books.trouble = StoreUnavailable("away")
    for _ in range(WAITING_MINUTES + 2):
        bench.clock.advance(60)
        bench.recorder.look()
    assert (bench.recorder.waiting, bench.recorder.lost) == (WAITING_MINUTES, 2)
    bench.books.trouble = None
    assert bench.recorder.flush()
    assert bench.books.lanes[0].minute_s == START_S + 120


def test_the_end_stores_the_minute_that_is_not_over(bench: Bench) -> None:
    bench.pass_s(10, decided_frames=200)
    bench.recorder.finish()
    assert [(one.frames, one.watched_s) for one in bench.books.lanes] == [(200, 10.0)]


def test_old_minutes_go_once_a_day(bench: Bench) -> None:
    bench.pass_s(180)
    assert bench.books.pruned == [(START_S // 86400 - KEEP_DAYS) * 86400]


def test_the_thread_ends_at_once_and_stores_what_it_saw() -> None:
    from core.clock import SystemClock

    books = Books()
    lanes = {"lane1": health(decided_frames=7)}
    place = Place(SiteEntry("canteen", "EUR", "UTC"), [], [])
    recorder = FigureRecorder(books, place, lambda: lanes, lambda: 0, lambda: 1, SystemClock())
    recorder.start()
    recorder.stop()
    assert books.described == 1
    assert [one.frames for one in books.lanes] == [7]


def test_a_schema_that_does_not_fit_ends_the_recording_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    from core.clock import SystemClock

    books = Books()
    books.trouble = SchemaMismatch("no such table: lane_minutes")
    place = Place(SiteEntry("canteen", "EUR", "UTC"), [], [])
    recorder = FigureRecorder(books, place, lambda: {}, lambda: 0, lambda: None, SystemClock())
    recorder.start()
    recorder.stop()
    assert "no more minutes are recorded: no such table" in caplog.text
