"""A lane as it runs: start, drain, stop, gaps, a broken model, a store that is away, subscribers that lag."""

import threading
from collections.abc import Callable

import pytest

from checkout.health import LaneState, percentiles
from checkout.lane import Lane
from checkout.pipeline import LaneUpdate, Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import Zone, parse_polygon
from core.clock import Clock, ManualClock, SystemClock
from core.errors import DataError, SourceError, SourceRefused, StoreUnavailable
from core.records import Bill, Event
from store.engine import open_store
from store.spool import Spool
from store.store import Checkpoint
from streams.reconnect import BackoffSettings
from tests.fakes import FixedDetector, ScriptedSource, frame, frames, menu, seen
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LABELS = ("soup", "bread", "apple", "@hand")
MENU = menu("soup", "bread", "apple")
ZONES = (Zone("tray", "tray", parse_polygon("0.25,0,0.75,0,0.75,1,0.25,1")),)
PATIENCE_S = 10.0


def two_dishes(until_s: float = 1e9):
    """A soup from 0.5 s on and a bread from 1.5 s on, both until `until_s`."""

    def look(t_s: float):
        things = [seen("soup", 250, 200)] if 0.5 <= t_s < until_s else []
        return [*things, seen("bread", 380, 200)] if 1.5 <= t_s < until_s else things

    return look


def make_pipeline(
    look=None, broken=frozenset(), key="key", clock: Clock | None = None, settings: CheckoutSettings | None = None
) -> Pipeline:
    detector = FixedDetector(LABELS, look or two_dishes(), broken=broken)

    def make_policy() -> Policy:
        return Policy("lane1", key, settings or CheckoutSettings(), ZONES, MENU)

    def make_tracker(size: tuple[int, int]) -> MultiObjectTracker:
        return MultiObjectTracker(TrackerSettings(), LABELS, size)

    return Pipeline("lane1", key, detector, make_tracker, make_policy, clock or ManualClock())


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/lane.db")
    yield opened
    opened.close()


@pytest.fixture
def spool(store, tmp_path):
    opened = Spool(store, tmp_path / "spool.jsonl", SystemClock())
    yield opened
    opened.close()


@pytest.fixture
def make_lane(spool):
    lanes: list[Lane] = []

    def make(source: ScriptedSource, pipeline: Pipeline | None = None, outlet=None, **more) -> Lane:
        backoff = BackoffSettings(first_s=0.01, max_s=0.01)
        lane = Lane(source, pipeline or make_pipeline(), outlet or spool, MENU, SystemClock(), backoff, **more)
        lanes.append(lane)
        return lane

    yield make
    for lane in lanes:
        assert lane.stop(PATIENCE_S)


class Watcher:
    """A subscriber that notes what came and can be waited for."""

    def __init__(self, lane: Lane) -> None:
        self.updates: list[LaneUpdate] = []
        self._changed = threading.Condition()
        lane.subscribe(self.take)

    def take(self, update: LaneUpdate) -> None:
        with self._changed:
            self.updates.append(update)
            self._changed.notify_all()

    def wait_for(self, there: Callable[[list[LaneUpdate]], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: there(self.updates), PATIENCE_S)

    def kinds(self) -> list[str]:
        return [str(event.decision.kind) for update in self.updates for event in update.events]


def test_a_recording_is_decided_to_its_end_and_stored(make_lane, store):
    lane = make_lane(ScriptedSource(frames(120)), make_pipeline(two_dishes(until_s=2.5)))
    watcher = Watcher(lane)
    lane.start()
    assert lane.drain(PATIENCE_S)
    assert lane.stop(PATIENCE_S)
    bills = store.bills("lane1", closed=True)
    assert [sorted(line.dish for line in bill.lines) for bill in bills] == [["bread", "soup"]]
    assert watcher.kinds() == ["bill_open", "line_add", "line_add", "bill_close"]
    assert [stored.event.decision.kind for stored in store.events("lane1")] == watcher.kinds()
    health = lane.health()
    assert health.state is LaneState.STOPPED
    assert health.decided_frames == 120
    assert (health.bills, health.spooled, health.dropped) == (1, 0, {})
    assert sum(health.latency_histogram) == 120
    assert set(health.stages) == {"detect", "track", "decide"}


def test_nothing_is_known_before_the_start(make_lane):
    health = make_lane(ScriptedSource([])).health()
    assert health.state is LaneState.STOPPED
    assert (health.fps, health.latency, health.last_decided_age_s, health.since_s) == (None, None, None, None)


def test_a_break_of_a_camera_is_a_gap_and_keeps_the_bill(make_lane, store):
    script = [*frames(60), SourceError("unplugged"), *(frame(60 + n, 8 + n / 20) for n in range(80))]
    paused = threading.Event()
    hold = threading.Event()

    def before_read(position: int) -> None:
        if position == len(script) - 1:
            paused.set()
            hold.wait(PATIENCE_S)

    source = ScriptedSource(script, live=True, before_read=before_read)
    lane = make_lane(source, buffer_frames=256)
    watcher = Watcher(lane)
    lane.start()
    assert paused.wait(PATIENCE_S)
    watcher.wait_for(lambda updates: updates[-1].frame is not None and updates[-1].frame.index >= 138)
    health = lane.health()
    assert (health.gaps, health.reconnects, health.state) == (1, 1, LaneState.RUNNING)
    hold.set()
    assert lane.stop(PATIENCE_S)
    assert watcher.kinds()[:4] == ["bill_open", "line_add", "line_add", "gap"]
    assert "line_remove" not in watcher.kinds()
    left_open = store.open_bill("lane1")
    assert sorted(line.dish for line in left_open.lines) == ["bread", "soup"]


def test_a_refusing_camera_fails_the_lane_and_says_why(make_lane):
    lane = make_lane(ScriptedSource([], live=True, open_errors=[SourceRefused("camera: 401, check user and password")]))
    lane.start()
    assert lane.drain(PATIENCE_S)
    health = lane.health()
    assert health.state is LaneState.FAILED
    assert "401" in health.why


def test_a_model_that_fails_costs_frames_and_not_the_lane(make_lane, store):
    broken = frozenset(range(30, 40))
    lane = make_lane(ScriptedSource(frames(120)), make_pipeline(two_dishes(until_s=2.5), broken))
    lane.start()
    assert lane.drain(PATIENCE_S)
    assert lane.health().dropped == {"model": 10}
    assert [len(bill.lines) for bill in store.bills("lane1", closed=True)] == [2]


def test_a_model_that_keeps_failing_degrades_the_lane(make_lane):
    reached, hold = threading.Event(), threading.Event()

    def before_read(position: int) -> None:
        if position == 99:
            reached.set()
            hold.wait(PATIENCE_S)

    source = ScriptedSource(frames(100), before_read=before_read)
    lane = make_lane(source, make_pipeline(broken=frozenset(range(20, 100))), buffer_frames=1)
    lane.start()
    assert reached.wait(PATIENCE_S)
    health = lane.health()
    assert health.state is LaneState.DEGRADED
    assert "broken at frame" in health.why
    hold.set()


class AwayStore:
    """A store that can be sent away."""

    def __init__(self, store) -> None:
        self._store, self.away = store, False

    def append(self, events, bills, checkpoint=None):
        if self.away:
            raise StoreUnavailable("disk full; free some space")
        return self._store.append(events, bills, checkpoint)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_while_the_store_is_away_events_wait_and_the_lane_says_so(make_lane, store, tmp_path):
    away = AwayStore(store)
    away.away = True
    spool = Spool(away, tmp_path / "away.jsonl", SystemClock(), retry_s=0.0)
    reached, hold = threading.Event(), threading.Event()

    def before_read(position: int) -> None:
        if position == 119:
            reached.set()
            hold.wait(PATIENCE_S)

    source = ScriptedSource(frames(120), before_read=before_read)
    lane = make_lane(source, make_pipeline(two_dishes(until_s=2.5)), spool, buffer_frames=1)
    lane.start()
    assert reached.wait(PATIENCE_S)
    health = lane.health()
    assert health.state is LaneState.DEGRADED
    assert health.spooled >= 3
    assert "disk full" in health.why
    assert store.events("lane1") == []
    away.away = False
    hold.set()
    assert lane.drain(PATIENCE_S)
    assert [str(stored.event.decision.kind) for stored in store.events("lane1")][-1] == "bill_close"
    assert lane.health().spooled == 0
    spool.close()


def test_a_slow_subscriber_loses_pictures_and_no_event(make_lane):
    lane = make_lane(ScriptedSource(frames(120)), make_pipeline(two_dishes(until_s=2.5)))
    first, go_on = threading.Event(), threading.Event()
    kinds: list[str] = []

    def slow(update: LaneUpdate) -> None:
        first.set()
        go_on.wait(PATIENCE_S)
        kinds.extend(str(event.decision.kind) for event in update.events)

    lane.subscribe(slow)
    lane.start()
    assert lane.drain(PATIENCE_S)
    assert first.is_set()
    assert lane.health().decided_frames == 120
    assert lane.health().skipped_updates >= 100
    go_on.set()
    assert lane.stop(PATIENCE_S)
    assert kinds == ["bill_open", "line_add", "line_add", "bill_close"]


def test_a_faulty_subscriber_does_not_end_the_lane(make_lane, caplog):
    lane = make_lane(ScriptedSource(frames(60)))

    def faulty(update: LaneUpdate) -> None:
        raise ZeroDivisionError("a fault of the page")

    lane.subscribe(faulty)
    lane.start()
    assert lane.drain(PATIENCE_S)
    assert lane.health().decided_frames == 60
    assert lane.health().state is LaneState.STOPPED
    assert lane.stop(PATIENCE_S)
    assert "a fault in the program" in caplog.text


def test_an_ended_subscription_is_told_nothing(make_lane):
    lane = make_lane(ScriptedSource(frames(30)))
    told: list[LaneUpdate] = []
    end = lane.subscribe(told.append)
    end()
    end()
    lane.start()
    assert lane.drain(PATIENCE_S)
    assert told == []


def test_fps_limits_what_is_decided_and_counts_the_rest(make_lane):
    lane = make_lane(ScriptedSource(frames(120, fps=30)), fps=10.0)
    lane.start()
    assert lane.drain(PATIENCE_S)
    assert lane.health().decided_frames == 41
    assert lane.health().dropped == {"rate": 79}


def test_stop_ends_a_blocked_read_in_bounded_time(make_lane):
    blocked = threading.Event()
    source = ScriptedSource(frames(50), live=True)

    def before_read(position: int) -> None:
        if position == 40:
            blocked.set()
            assert source.closed.wait(PATIENCE_S)

    source.before_read = before_read
    lane = make_lane(source)
    lane.start()
    assert blocked.wait(PATIENCE_S)
    assert lane.stop(PATIENCE_S)
    assert lane.health().state is LaneState.STOPPED


def test_an_answer_becomes_a_line(make_lane, store):
    def look(t_s: float):
        return [seen("soup", 250, 200, score=0.55)]

    asked, answered = threading.Event(), threading.Event()

    def before_read(position: int) -> None:
        if position == 80:
            asked.wait(PATIENCE_S)
            answered.wait(PATIENCE_S)

    settings = CheckoutSettings(ask_confidence=1.0, commit_confidence=1.0)
    source = ScriptedSource(frames(100), before_read=before_read)
    lane = make_lane(source, make_pipeline(look, settings=settings), buffer_frames=1)
    watcher = Watcher(lane)
    lane.start()
    watcher.wait_for(lambda updates: "ask" in watcher.kinds())
    asked.set()
    with pytest.raises(DataError, match="pizza"):
        lane.answer(1, "pizza")
    lane.answer(1, "apple")
    answered.set()
    assert lane.drain(PATIENCE_S)
    assert [line.dish for line in store.open_bill("lane1").lines] == ["apple"]
    assert lane.health().asks == 1


def test_a_lane_starts_once(make_lane):
    lane = make_lane(ScriptedSource(frames(5)))
    lane.start()
    with pytest.raises(ValueError, match="started before"):
        lane.start()


def test_a_live_lane_goes_on_with_the_bill_that_was_left_open(make_lane, store):
    first = ScriptedSource(frames(60), live=True)
    lane = make_lane(first, make_pipeline(key="live-1"), buffer_frames=64)
    watcher = Watcher(lane)
    lane.start()
    watcher.wait_for(lambda updates: watcher.kinds().count("line_add") == 2)
    assert lane.stop(PATIENCE_S)
    left_open = store.open_bill("lane1")
    assert len(left_open.lines) == 2

    def soup_only(t_s: float):
        return [seen("soup", 252, 201)]

    later = [frame(n, n / 20, start_utc=1_700_000_020.0) for n in range(90)]
    again = make_lane(ScriptedSource(later, live=True), make_pipeline(soup_only, key="live-2"), buffer_frames=128)
    watcher = Watcher(again)
    again.start()
    watcher.wait_for(lambda updates: "line_remove" in watcher.kinds())
    assert again.stop(PATIENCE_S)
    bill = store.open_bill("lane1")
    assert bill.bill_id == left_open.bill_id
    assert [line.dish for line in bill.lines] == ["soup"]
    assert len(store.bills("lane1")) == 1
    stored = [item.event for item in store.events("lane1")]
    assert len({event.event_id for event in stored}) == len(stored)


class Outlet:
    """An outlet that remembers; it can tell of an earlier process."""

    full = False

    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self._checkpoint = checkpoint
        self.bills: dict[str, Bill] = {}
        self.events: dict[str, Event] = {}

    def append(self, events, bills, checkpoint=None):
        self.bills.update((bill.bill_id, bill) for bill in bills)
        self.events.update((event.event_id, event) for event in events)
        self._checkpoint = checkpoint or self._checkpoint
        return len(events)

    def open_bill(self, lane_id):
        raise AssertionError("a recording is not restored from its open bill")

    def checkpoint(self, lane_id, stream_key):
        return self._checkpoint

    def flush(self):
        return True

    def health(self):
        from store.spool import SpoolHealth, SpoolState

        return SpoolHealth(SpoolState.PASSING, 0, 100, 0, 0, "")


def test_a_recording_goes_on_after_its_checkpoint(make_lane):
    outlet = Outlet(Checkpoint("lane1", "key", 3.0, 60, 17))
    lane = make_lane(ScriptedSource(frames(120)), outlet=outlet)
    lane.start()
    assert lane.drain(PATIENCE_S)
    assert lane.health().decided_frames == 59
    (bill,) = outlet.bills.values()
    assert [line.track_id for line in bill.lines] == [18, 19]


def test_percentiles_of_nothing_are_unknown():
    assert percentiles([]) is None
