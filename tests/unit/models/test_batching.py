"""One model for many lanes: calls unite, answers go to whom they belong, nobody hangs."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.errors import InferenceError
from core.records import Detections, Frame
from models.batching import SharedDetector


def frame(index):
    return Frame(f"lane{index}", index, float(index), 0.0, np.zeros((4, 4, 3), np.uint8))


class Gated:
    """A detector that waits for the test before it answers its first call."""

    name, labels = "fake@1", ("cup",)

    def __init__(self, error=None):
        self.entered, self.go = threading.Event(), threading.Event()
        self.sizes, self.error = [], error
        self.closed = False

    def detect(self, frames):
        self.sizes.append(len(frames))
        self.entered.set()
        assert self.go.wait(10)
        if self.error is not None:
            raise self.error
        return [
            Detections(
                one.index,
                one.captured_at_s,
                np.zeros((0, 4), np.float32),
                np.zeros(0, np.float32),
                np.zeros(0, int),
                ("cup",),
            )
            for one in frames
        ]

    def close(self):
        self.closed = True


def run_crowd(inner, lanes=5):
    """Let one lane start, the others arrive while it is busy, and then all go on; return the futures."""
    shared = SharedDetector(inner)
    with ThreadPoolExecutor(lanes) as pool:
        futures = [pool.submit(shared.detect, [frame(0)])]
        assert inner.entered.wait(10)
        futures += [pool.submit(shared.detect, [frame(i), frame(i + 100)]) for i in range(1, lanes)]
        while len(shared._waiting) < lanes - 1:  # the others are on their way
            inner.go.wait(0.001)
        inner.go.set()
    return shared, futures


def test_calls_that_come_meanwhile_share_the_next_run():
    inner = Gated()
    shared, futures = run_crowd(inner)
    assert inner.sizes == [1, 8]
    assert [found.frame_index for found in futures[0].result()] == [0]
    for i, future in enumerate(futures[1:], start=1):
        assert [found.frame_index for found in future.result()] == [i, i + 100]
    assert (shared.name, shared.labels) == ("fake@1", ("cup",))


def test_an_inference_error_reaches_every_lane_of_the_run_and_the_next_call_works():
    inner = Gated(InferenceError("out of memory"))
    shared, futures = run_crowd(inner)
    for future in futures:
        with pytest.raises(InferenceError, match="out of memory"):
            future.result()
    inner.error = None
    assert len(shared.detect([frame(1)])) == 1


def test_after_a_bug_the_others_are_served_by_the_next_leader():
    inner = Gated()
    first = inner.detect

    def buggy(frames):
        answer = first(frames)
        if len(inner.sizes) == 2:
            raise TypeError("bug")
        return answer

    inner.detect = buggy
    _, futures = run_crowd(inner)
    assert futures[0].result()
    failures = [future.exception() for future in futures[1:]]
    assert sorted(type(failure).__name__ for failure in failures) == ["NoneType"] * 3 + ["TypeError"]


def test_close_closes_the_model():
    inner = Gated()
    SharedDetector(inner).close()
    assert inner.closed
