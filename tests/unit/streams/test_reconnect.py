"""The one retry loop against a source that follows a script of faults."""

import itertools
import threading

import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import SourceEnded, SourceError, SourceOpenError, SourceRefused, SourceTimeout, SourceUnusable
from core.records import Frame, Gap
from streams.reconnect import BackoffSettings, frames

IMAGE = np.zeros((2, 2, 3), np.uint8)
STEADY = BackoffSettings(first_s=0.5, factor=2, max_s=2, jitter=0)


class Camera:
    """Each connection is a list: an error (open fails), or frames (seconds to wait before each) and a last error."""

    lane_id, shown_url = "1", "rtsp://cam/1"

    def __init__(self, clock, *connections, live=True):
        self.dropped = {}
        self.live = live
        self._clock, self._connections = clock, list(connections)
        self._steps = iter(())
        self._index = itertools.count()
        self.opened_at_s, self.closes = [], 0

    def open(self):
        self.opened_at_s.append(round(self._clock.monotonic_s(), 3))
        if not self._connections:
            raise SourceUnusable("the script is over")
        script = self._connections.pop(0)
        if isinstance(script, Exception):
            raise script
        self._steps = iter(script)

    def read(self):
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        self._clock.advance(step)
        now_s = self._clock.monotonic_s()
        return Frame("1", next(self._index), self._clock.utc_s(), now_s, IMAGE, now_s)

    def close(self):
        self.closes += 1


def run(camera, clock, backoff=STEADY, stop=None, on_state=None):
    """Collect what comes until the script is over."""
    out = []
    try:
        for item in frames(camera, stop or threading.Event(), clock, backoff, on_state):
            out.append(item)
    except SourceUnusable as err:
        assert "script is over" in str(err)  # noqa: PT017
    return out


@pytest.fixture
def clock():
    return ManualClock(utc_s=1000.0)


def test_break_becomes_a_gap_from_the_last_to_the_first_new_frame(clock):
    camera = Camera(clock, [0.1, 0.1, SourceError("reset")], [0.3, 0.1, SourceError("reset")])
    first, second, gap, third, fourth = run(camera, clock)
    assert isinstance(gap, Gap)
    assert (gap.from_s, gap.to_s) == pytest.approx((1000.2, 1001.0))
    assert gap.from_s == second.captured_at_s
    assert gap.to_s == third.captured_at_s
    assert gap.stream_s == second.stream_s
    assert gap.reason == "reset"
    assert [f.index for f in (first, second, third, fourth)] == [0, 1, 2, 3]


def test_one_break_is_one_gap_however_many_tries_it_takes(clock):
    refused = SourceOpenError("connection refused")
    camera = Camera(clock, [0.1, SourceTimeout("no answer")], refused, refused, refused, [0.1, SourceEnded("end")])
    out = run(camera, clock)
    assert [type(item) for item in out] == [Frame, Gap, Frame]
    assert out[1].reason == "connection refused"


def test_waits_grow_and_are_bounded(clock):
    failures = [SourceOpenError("refused") for _ in range(6)]
    camera = Camera(clock, *failures)
    run(camera, clock)
    waits = np.diff(camera.opened_at_s)
    assert waits.tolist() == pytest.approx([0.5, 1, 2, 2, 2, 2])


def test_waits_begin_anew_after_a_frame(clock):
    down = SourceOpenError("refused")
    camera = Camera(clock, down, down, down, [0.0, SourceError("reset")], down, down)
    run(camera, clock)
    assert np.diff(camera.opened_at_s).tolist() == pytest.approx([0.5, 1, 2, 0.5, 1, 2])


def test_default_waits_let_a_lane_decide_again_within_three_seconds():
    # 3 s less a connection (1 s) and a key picture (1 s).
    settings = BackoffSettings()
    assert settings.max_s * (1 + settings.jitter / 2) <= 1.1


def test_no_gap_before_the_first_frame_ever(clock):
    camera = Camera(clock, SourceOpenError("refused"), [0.1, SourceError("reset")])
    assert [type(item) for item in run(camera, clock)] == [Frame]


def test_connection_without_a_frame_does_not_hide_the_break(clock):
    camera = Camera(clock, [0.1, SourceError("reset")], [SourceTimeout("silent")], [0.1, SourceEnded("end")])
    out = run(camera, clock)
    assert [type(item) for item in out] == [Frame, Gap, Frame]


def test_stall_of_a_connected_camera_is_a_gap(clock):
    camera = Camera(clock, [0.1, 0.1, 4.0, 0.1, SourceEnded("end")])
    out = run(camera, clock)
    assert [type(item) for item in out] == [Frame, Frame, Gap, Frame, Frame]
    assert out[2].to_s - out[2].from_s == pytest.approx(4.0)
    assert "no frames for 4.0 s" in out[2].reason


def test_slow_camera_has_no_stalls_once_its_step_is_known(clock):
    camera = Camera(clock, [5.0] * 6 + [SourceEnded("end")])
    assert sum(isinstance(item, Gap) for item in run(camera, clock)) <= 1


def test_recording_ends_at_its_end_and_is_closed(clock):
    camera = Camera(clock, [0.1, 0.1, SourceEnded("end")], live=False)
    assert len(run(camera, clock)) == 2
    assert camera.opened_at_s == [0.0]
    assert camera.closes == 1


@pytest.mark.parametrize("error", [SourceOpenError("no such file"), SourceUnusable("only sound in it")])
def test_recording_that_fails_is_not_tried_again(clock, error):
    camera = Camera(clock, error, live=False)
    with pytest.raises(type(error)):
        list(frames(camera, threading.Event(), clock, STEADY))
    assert camera.opened_at_s == [0.0]
    assert camera.closes == 1


@pytest.mark.parametrize("error", [SourceRefused("check user and password"), SourceUnusable("unknown codec")])
def test_refusal_is_passed_on_and_shown(clock, error):
    states = []
    camera = Camera(clock, [0.1, SourceError("reset")], error)
    with pytest.raises(type(error)):
        list(frames(camera, threading.Event(), clock, STEADY, states.append))
    assert states[-1].state == "offline"
    assert states[-1].why == str(error)
    assert states[-1].next_try_s is None
    assert camera.closes == 2


def test_states_tell_since_when_why_and_when_next(clock):
    states = []
    down = SourceOpenError("refused")
    camera = Camera(clock, [0.1, SourceError("reset")], down, [0.1, SourceError("again")])
    run(camera, clock, on_state=states.append)
    assert [state.state for state in states[:7]] == [
        "connecting", "online", "offline", "connecting", "offline", "connecting", "online",
    ]  # fmt: skip
    online, lost, trying, lost_still, back = states[1], states[2], states[3], states[4], states[6]
    assert (online.why, online.next_try_s, online.attempts) == ("", None, 0)
    assert (lost.why, trying.why, lost_still.why) == ("reset", "reset", "refused")
    assert lost.since_s == trying.since_s == lost_still.since_s == pytest.approx(1000.1)
    assert lost.next_try_s == pytest.approx(1000.6)
    assert lost_still.next_try_s == pytest.approx(1001.6)
    assert lost_still.attempts == 2
    assert back.since_s == pytest.approx(1001.7)


def test_stop_ends_the_wait(clock):
    stop = threading.Event()

    class Stopped(ManualClock):
        def wait(self, event, seconds):
            stop.set()
            return super().wait(event, 0)

    clock = Stopped()
    camera = Camera(clock, SourceOpenError("refused"), SourceOpenError("refused"))
    assert list(frames(camera, stop, clock, STEADY)) == []
    assert len(camera.opened_at_s) == 1
    assert camera.closes == 1


def test_stop_between_frames_closes_the_source(clock):
    stop = threading.Event()
    camera = Camera(clock, [0.1] * 100)
    stream = frames(camera, stop, clock, STEADY)
    next(stream)
    stop.set()
    assert list(stream) == []
    assert camera.closes == 1


def test_abandoned_iteration_closes_the_source(clock):
    camera = Camera(clock, [0.1] * 100)
    stream = frames(camera, threading.Event(), clock, STEADY)
    next(stream)
    stream.close()
    assert camera.closes == 1


def test_a_week_without_camera_does_not_overflow(clock):
    import random

    assert BackoffSettings(jitter=0).wait_s(10**6, random.Random(0)) == 1.0
