"""One property for each promise of the tracker, for both presets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import Detections, Track, TrackState
from tests.unit.tracker.counter_world import LABELS, Item, detections, item
from tests.unit.tracker.promise_world import PRESETS, Watch, quick, run, scenes, tracker, watch, world
from tracker.mot import make, make_counter
from tracker.settings import COUNTER, TrackerSettings

SEQ = {"name": "made-up", "fps": 20.0, "w": 640, "h": 360, "n": 0, "gmc": None}

both_presets = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
both_faces = pytest.mark.parametrize("factory", [make, make_counter], ids=["pedestrian", "counter"])


def _untimed(track: Track) -> Track:
    return dataclasses.replace(track, first_seen_s=0.0, last_seen_s=0.0)


@both_presets
@quick
@given(scene=scenes)
def test_any_scene_keeps_the_promises(preset: TrackerSettings, scene: list[list[Item]]) -> None:
    """Ids unique, ordered, never reused, removed once; one state each; boxes finite; covariances definite."""
    watch(preset, scene)


@both_presets
@quick
@given(scene=scenes)
def test_any_scene_keeps_the_promises_without_a_frame(preset: TrackerSettings, scene: list[list[Item]]) -> None:
    watch(preset, scene, size=None)


@both_presets
@pytest.mark.parametrize("seed", range(4))
def test_long_scenes_keep_the_promises(preset: TrackerSettings, seed: int) -> None:
    seen = watch(preset, world(seed, frames=150, dishes=8))
    counted = [t for tracks in seen for t in tracks.tracks if t.state is TrackState.CONFIRMED]
    assert len(counted) > 150, "the scene was too bad to say anything"


@both_presets
@pytest.mark.parametrize("seed", range(3))
def test_frames_of_noise_keep_the_promises(preset: TrackerSettings, seed: int) -> None:
    """What flow makes of pictures without sense must not break anything."""
    rng = np.random.default_rng(seed)
    guard = Watch(tracker(preset))
    for k, items in enumerate(world(seed, frames=25)):
        picture = rng.integers(0, 256, (360, 640, 3), dtype=np.uint8)
        guard.see(guard.machine.update(detections(items, k / 20, k), picture))


@both_presets
@pytest.mark.parametrize("seed", range(4))
def test_same_input_same_output(preset: TrackerSettings, seed: int) -> None:
    assert run(preset, world(seed)) == run(preset, world(seed))


@both_presets
def test_one_tracker_does_not_disturb_another(preset: TrackerSettings) -> None:
    alone = run(preset, world(0))
    a, b = tracker(preset), tracker(preset)
    beside = []
    for k, (items, others) in enumerate(zip(world(0), world(1), strict=True)):
        beside.append(a.update(detections(items, k / 20, k)))
        b.update(detections(others, k / 20, k))
    assert beside == alone


@both_presets
@quick
@given(scene=scenes, seed=st.integers(0, 9))
def test_the_order_of_detections_changes_nothing(preset: TrackerSettings, scene: list[list[Item]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffled = [[items[i] for i in rng.permutation(len(items))] for items in scene]
    assert run(preset, shuffled) == run(preset, scene)


@both_presets
@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_detections_changes_nothing_in_a_long_scene(preset: TrackerSettings, seed: int) -> None:
    scene = world(seed, frames=100)
    rng = np.random.default_rng(seed)
    shuffled = [[items[i] for i in rng.permutation(len(items))] for items in scene]
    assert run(preset, shuffled) == run(preset, scene)


@both_presets
@pytest.mark.parametrize("seed", range(4))
def test_a_shift_of_time_changes_only_the_times(preset: TrackerSettings, seed: int) -> None:
    early, late = tracker(preset), tracker(preset)
    for k, items in enumerate(world(seed)):
        a = early.update(detections(items, k / 16, k))
        b = late.update(detections(items, k / 16 + 4096.0, k))
        assert [_untimed(t) for t in a.tracks] == [_untimed(t) for t in b.tracks]
        assert [t.last_seen_s + 4096.0 for t in a.tracks] == [t.last_seen_s for t in b.tracks]
        assert a.removed == b.removed


@both_presets
@pytest.mark.parametrize("seed", range(4))
def test_a_shift_in_the_plane_shifts_the_boxes(preset: TrackerSettings, seed: int) -> None:
    """Without a frame border; whole powers of two keep the rounding away."""
    here, there = tracker(preset, None), tracker(preset, None)
    for k, items in enumerate(world(seed)):
        moved = [(a + 1024.0, b + 512.0, c + 1024.0, d + 512.0, score, label) for a, b, c, d, score, label in items]
        near = here.update(detections(items, k / 20, k)).tracks
        far = there.update(detections(moved, k / 20, k)).tracks
        assert [(t.track_id, t.state, t.label, t.matched) for t in near] == [
            (t.track_id, t.state, t.label, t.matched) for t in far
        ]
        boxes, shifted = (np.array([t.box for t in tracks]).reshape(-1, 4) for tracks in (near, far))
        np.testing.assert_allclose(boxes + np.array([1024.0, 512.0, 1024.0, 512.0]), shifted, atol=1e-6)


@both_faces
@pytest.mark.parametrize("seed", range(3))
def test_no_id_stands_twice_in_a_frame_of_the_benchmark(factory: object, seed: int) -> None:
    step = factory(SEQ)  # type: ignore[operator]
    shown = 0
    for items in world(seed, frames=120, dishes=10):
        rows = np.array(items, dtype=np.float64).reshape(-1, 6)
        rows[:, 5] = np.where(rows[:, 5] == 3, 9, rows[:, 5])
        tracks = step(rows)
        assert tracks.shape == (len(tracks), 6)
        assert np.isfinite(tracks).all()
        assert len(set(tracks[:, 4])) == len(tracks)
        shown += len(tracks)
    assert shown > 120


@both_presets
def test_memory_is_bounded_by_what_lives(preset: TrackerSettings) -> None:
    """Churn: an object is born, vanishes, and the next one comes; the table does not grow."""
    guard = Watch(tracker(preset))
    most = 0
    for k in range(4000):
        place = item(30.0 + 60.0 * ((k // 15) % 9), 75.0, 50.0, 50.0, 0.9, LABELS[(k // 15) % 2])
        tracks = guard.see(guard.machine.update(detections([place], k / 20, k)))
        most = max(most, len(tracks.tracks))
    assert most <= 20
    assert len(guard.machine._engine.table) == len(tracks.tracks)


def test_class_probabilities_are_used_where_given() -> None:
    machine = tracker(COUNTER)
    probs = np.array([[0.1, 0.8, 0.05, 0.0]], dtype=np.float32)
    for k in range(20):
        plain = detections([(100, 100, 160, 160, 0.9, 0)], k / 20, k)
        said = machine.update(
            Detections(k, plain.captured_at_s, plain.boxes, plain.scores, plain.class_ids, LABELS, probs)
        )
    assert said.tracks[0].label == "bread"
    assert said.tracks[0].confidence > 0.8
