"""The bounded place between reader and lane."""

import threading

import numpy as np
import pytest

from core.records import Frame, Gap
from streams.buffer import FrameBuffer

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frame(index):
    return Frame("1", index, float(index), float(index), IMAGE, float(index))


def gap(at_s):
    return Gap("1", at_s, at_s + 1, at_s, "lost")


def drain(buffer):
    out = []
    while (item := buffer.get(0)) is not None:
        out.append(item.index if isinstance(item, Frame) else "gap")
    return out


def test_frames_come_out_in_order():
    buffer = FrameBuffer(4, "drop_oldest")
    for i in range(4):
        assert buffer.put(frame(i))
    assert buffer.depth == 4
    assert drain(buffer) == [0, 1, 2, 3]
    assert buffer.dropped == {}


def test_full_buffer_drops_the_oldest_frame_and_counts_it():
    buffer = FrameBuffer(2, "drop_oldest")
    for i in range(5):
        assert buffer.put(frame(i))
    assert drain(buffer) == [3, 4]
    assert buffer.dropped == {"slow": 3}


def test_gaps_are_never_dropped_and_take_no_place():
    buffer = FrameBuffer(2, "drop_oldest")
    for item in (frame(0), gap(0), frame(1), gap(1), frame(2), frame(3)):
        buffer.put(item)
    assert buffer.depth == 2
    assert drain(buffer) == ["gap", "gap", 2, 3]
    assert buffer.dropped == {"slow": 2}


def test_blocking_buffer_takes_a_gap_when_it_is_full():
    buffer = FrameBuffer(1, "block")
    buffer.put(frame(0))
    assert buffer.put(gap(0), timeout_s=0)
    assert drain(buffer) == [0, "gap"]


def test_blocking_buffer_waits_for_a_bounded_time_and_drops_nothing():
    buffer = FrameBuffer(1, "block")
    assert buffer.put(frame(0))
    assert not buffer.put(frame(1), timeout_s=0)
    assert buffer.dropped == {}
    assert drain(buffer) == [0]


def test_blocking_writer_goes_on_when_there_is_room():
    buffer = FrameBuffer(1, "block")
    writer = threading.Thread(target=lambda: [buffer.put(frame(i)) for i in range(200)] and buffer.close())
    writer.start()
    seen = []
    while not buffer.ended:
        if (item := buffer.get(5)) is not None:
            seen.append(item.index)
    writer.join(5)
    assert seen == list(range(200))
    assert buffer.dropped == {}


def test_nothing_is_lost_between_writers_and_the_count():
    buffer = FrameBuffer(3, "drop_oldest")
    writers = [threading.Thread(target=lambda: [buffer.put(frame(i)) for i in range(300)]) for _ in range(3)]
    for writer in writers:
        writer.start()
    seen = 0
    for writer in writers:
        while writer.is_alive():
            seen += buffer.get(0.01) is not None
    seen += len(drain(buffer))
    assert seen + buffer.dropped.get("slow", 0) == 900


def test_get_gives_none_after_its_time():
    buffer = FrameBuffer(1, "block")
    assert buffer.get(0) is None
    assert not buffer.ended


@pytest.mark.parametrize("waiter", ["reader", "writer"])
def test_close_wakes_everybody(waiter):
    buffer = FrameBuffer(1, "block")
    if waiter == "writer":
        buffer.put(frame(0))
    results = []
    wait = (lambda: buffer.get(60)) if waiter == "reader" else (lambda: buffer.put(frame(1), 60))
    thread = threading.Thread(target=lambda: results.append(wait()))
    thread.start()
    buffer.close()
    thread.join(5)
    assert not thread.is_alive()
    assert results == [None if waiter == "reader" else False]


def test_closed_buffer_gives_what_it_has_and_counts_what_it_refuses():
    buffer = FrameBuffer(2, "block")
    buffer.put(frame(0))
    buffer.close()
    assert not buffer.put(frame(1))
    assert not buffer.ended
    assert drain(buffer) == [0]
    assert buffer.ended
    assert buffer.closed
    assert buffer.dropped == {"stopped": 1}


def test_discarding_close_counts_what_it_throws_away():
    buffer = FrameBuffer(3, "block")
    for item in (frame(0), gap(0), frame(1)):
        buffer.put(item)
    buffer.close(discard=True)
    assert buffer.ended
    assert buffer.dropped == {"stopped": 2}


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="room for one"):
        FrameBuffer(0, "block")
    with pytest.raises(ValueError, match="policy"):
        FrameBuffer(1, "newest")
