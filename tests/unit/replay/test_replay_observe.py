"""A replay detects ahead of what it decides: the updates are the same, and it can be left at any time."""

import dataclasses
import threading

import pytest

from bench.truth_lane import Scene, TruthSource, film, make_truth_pipeline
from checkout.pipeline import LaneUpdate
from core.clock import ManualClock
from core.errors import InferenceError
from core.records import Frame
from replay.observe import updates
from replay.recording import Recording


@pytest.fixture(scope="module")
def scene() -> Scene:
    return film(seed=5, seconds=14.0, fps=10.0)


def decided(update: LaneUpdate) -> tuple[object, ...]:
    """Return what an update says, without the pictures and the times of this machine."""
    return update.tracks, update.events, update.bill, update.closed, update.items_in_zone, update.checkpoint


def test_the_updates_are_those_of_the_pipeline_alone(scene):
    clock, recording = ManualClock(), Recording("lane1")
    told = list(
        updates(TruthSource(scene, "lane1", clock), make_truth_pipeline(scene, "lane1", clock), recording, clock)
    )
    alone, source = make_truth_pipeline(scene, "lane1", clock), TruthSource(scene, "lane1", clock)
    source.open()
    for update in told:
        assert decided(update) == decided(alone.step(source.read()))
    assert len(told) == len(scene.frames) == len(recording.rows)
    assert any(update.events for update in told)
    assert {len(seconds) for seconds in recording.stage_s.values()} == {len(told)}


def test_leaving_early_closes_the_source_and_ends_the_thread(scene):
    clock, before = ManualClock(), threading.active_count()
    source = TruthSource(scene, "lane1", clock)
    told = updates(source, make_truth_pipeline(scene, "lane1", clock), Recording("lane1"), clock)
    next(told)
    told.close()
    assert threading.active_count() == before
    assert source._closed


def test_a_detector_that_fails_is_heard_of_after_the_frames_before_it(scene):
    clock, recording = ManualClock(), Recording("lane1")

    def watch(index: int) -> None:
        if index == 7:
            raise InferenceError("out of memory")

    pipeline = make_truth_pipeline(scene, "lane1", clock, watch)
    with pytest.raises(InferenceError, match="out of memory"):
        list(updates(TruthSource(scene, "lane1", clock), pipeline, recording, clock))
    assert [row.index for row in recording.rows] == list(range(7))


def test_a_step_takes_what_was_found_before(scene):
    clock = ManualClock()
    source = TruthSource(scene, "lane1", clock)
    source.open()
    seen: list[int] = []
    pipeline = make_truth_pipeline(scene, "lane1", clock, seen.append)
    frame: Frame = source.read()
    found = dataclasses.replace(pipeline.detect(frame), seconds=0.25)
    update = pipeline.step(frame, found)
    assert seen == [frame.index]
    assert update.detections is found.detections
    assert update.stage_s["detect"] == 0.25
