"""Two time lines out of stamps that lie."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from streams.timeline import MAX_LAG_S, RECORDING_JUMP_S, LiveTimeline, RecordingTimeline

MS = Fraction(1, 1000)


def stamped(*pts, nominal_s=0.05):
    timeline = RecordingTimeline(MS, nominal_s)
    return [round(timeline.stamp(value), 7) for value in pts]


def test_recording_starts_at_zero_whatever_its_first_stamp_is():
    assert stamped(90_000, 90_050, 90_100) == [0, 0.05, 0.1]


def test_recording_with_variable_rate_keeps_its_own_times():
    assert stamped(0, 40, 140, 5_140) == [0, 0.04, 0.14, 5.14]


def test_missing_stamps_are_one_normal_step():
    assert stamped(None, None, 100, None, 200) == [0, 0.05, 0.1, 0.15, 0.2]


def test_first_stamp_after_missing_ones_anchors_where_the_line_is():
    assert stamped(None, 7_000, 7_050) == [0, 0.05, 0.1]


def test_repeated_stamp_moves_on_by_a_tick_and_does_not_shift_what_follows():
    first, second, third, fourth = stamped(0, 50, 50, 100)
    assert second < third < second + 0.001
    assert (first, fourth) == (0, 0.1)


@pytest.mark.parametrize("jump_ms", [-60_000, -1_050, int(RECORDING_JUMP_S * 1000) + 100, 3_600_000])
def test_jump_of_the_stamps_is_one_normal_step(jump_ms):
    timeline = RecordingTimeline(MS, 0.05)
    times = [timeline.stamp(100_000 + pts) for pts in (0, 50, 50 + jump_ms, 100 + jump_ms)]
    assert times == pytest.approx([0, 0.05, 0.1, 0.15])
    assert timeline.jumps == 1


def test_pause_shorter_than_a_jump_is_a_pause():
    assert stamped(0, 50, 30_050)[-1] == 30.05


def test_restart_goes_on_where_the_line_is():
    timeline = RecordingTimeline(MS, 0.05)
    once = [timeline.stamp(pts) for pts in (0, 50)]
    timeline.restart()
    assert [*once, timeline.stamp(0), timeline.stamp(50)] == pytest.approx([0, 0.05, 0.1, 0.15])


@given(st.lists(st.none() | st.integers(-(10**8), 10**8), min_size=2, max_size=60))
def test_stream_time_of_a_recording_only_grows(pts):
    timeline = RecordingTimeline(MS, 0.05)
    times = [timeline.stamp(value) for value in pts]
    assert times[0] == 0
    assert all(a < b for a, b in itertools.pairwise(times))


def live(arrivals, clock=None):
    """Stamp frames given as (arrival on the monotonic clock, pts in s); return stream and capture times."""
    clock = clock or ManualClock(utc_s=1_000.0)
    timeline = LiveTimeline(clock)
    out = []
    for arrival_s, pts_s in arrivals:
        clock.advance(max(0.0, arrival_s - clock.monotonic_s()))
        out.append(timeline.stamp(pts_s))
    return out


def test_even_camera_is_stamped_with_its_arrivals():
    out = live([(i * 0.05, 77 + i * 0.05) for i in range(20)])
    assert [s for s, _, _ in out] == pytest.approx([i * 0.05 for i in range(20)])
    assert [c for _, c, _ in out] == pytest.approx([1000 + i * 0.05 for i in range(20)])


def test_network_jitter_does_not_shake_the_capture_times():
    late = [0, 0.03, 0, 0.12, 0.07, 0.02, 0, 0.2, 0.15, 0.1]
    out = live([(i * 0.05 + delay, i * 0.05) for i, delay in enumerate(late)])
    assert [s for s, _, _ in out] == pytest.approx([i * 0.05 for i in range(10)], abs=1e-4)
    assert all(received_s >= captured - 1000 - 1e-5 for _, captured, received_s in out)


def test_burst_after_a_stall_keeps_its_capture_times():
    arrivals = [(0, 0), (0.05, 0.05)] + [(3.0 + 0.001 * i, 0.1 + 0.05 * i) for i in range(59)]
    out = live(arrivals)
    assert out[-1][0] == pytest.approx(0.1 + 0.05 * 58, abs=1e-3)


def test_burst_of_old_frames_at_the_start_is_not_dated_into_the_future():
    out = live([(0.001 * i, 0.05 * i) for i in range(20)] + [(0.1, 1.0), (0.15, 1.05)])
    assert all(stream_s <= received_s + 1e-4 for stream_s, _, received_s in out)
    assert out[-1][0] - out[-2][0] == pytest.approx(0.05)


@pytest.mark.parametrize("jump_s", [-3600, -5, 3600])
def test_jump_of_a_camera_clock_does_not_move_the_stream(jump_s):
    arrivals = [(i * 0.05, i * 0.05 + (jump_s if i >= 10 else 0)) for i in range(20)]
    out = live(arrivals)
    assert [s for s, _, _ in out] == pytest.approx([i * 0.05 for i in range(20)], abs=1e-3)


def test_stamps_that_stand_still_fall_back_to_arrivals():
    out = live([(i * 0.5, 5.0) for i in range(60)])
    lags = [received_s - stream_s for stream_s, _, received_s in out]
    assert max(lags) <= MAX_LAG_S
    assert all(b[0] > a[0] for a, b in itertools.pairwise(out))


def test_cameras_without_stamps_are_stamped_with_their_arrivals():
    out = live([(0, None), (0.1, None), (0.3, None)])
    assert [s for s, _, _ in out] == pytest.approx([0, 0.1, 0.3])


def test_slow_crystal_does_not_let_the_capture_time_fall_behind():
    slow = 1 - 200e-6
    out = live([(i * 0.5, i * 0.5 * slow) for i in range(7200 * 3)])
    assert out[-1][2] - out[-1][0] < 0.1


def test_wall_clock_that_is_set_moves_capture_times_and_not_the_stream():
    class Set(ManualClock):
        shift_s = 0.0

        def utc_s(self):
            return super().utc_s() + self.shift_s

    clock = Set(utc_s=0.0)
    timeline = LiveTimeline(clock)
    first = timeline.stamp(0.0)
    clock.advance(0.05)
    clock.shift_s = 1.7e9
    second = timeline.stamp(0.05)
    assert second[0] == pytest.approx(0.05)
    assert second[1] - first[1] == pytest.approx(1.7e9 + 0.05)


def test_frames_sent_before_the_newest_are_dated_by_their_stamps():
    clock = ManualClock(utc_s=1000.0)
    timeline = LiveTimeline(clock)
    timeline.restart(newest_pts_s=70.4)
    out = [timeline.stamp(70 + i * 0.05) for i in range(9)]
    assert [s for s, _, _ in out] == pytest.approx([i * 0.05 for i in range(9)])
    assert out[-1][1] == pytest.approx(1000.0)


def test_connecting_again_goes_on_with_the_stream_time():
    clock = ManualClock()
    timeline = LiveTimeline(clock)
    timeline.stamp(500.0)
    clock.advance(8.0)
    timeline.restart()
    assert timeline.stamp(3.0)[0] == pytest.approx(8.0)


@given(st.lists(st.tuples(st.floats(0, 20), st.none() | st.floats(-1e6, 1e6)), min_size=2, max_size=50))
def test_stream_time_of_a_camera_only_grows(steps):
    clock = ManualClock()
    timeline = LiveTimeline(clock)
    times = []
    for wait_s, pts_s in steps:
        clock.advance(wait_s)
        times.append(timeline.stamp(pts_s)[0])
    assert all(a < b for a, b in itertools.pairwise(times))
