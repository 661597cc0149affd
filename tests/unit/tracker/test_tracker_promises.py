"""One property for each promise of the tracker."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.records import Detections, Tracks
from tests.unit.tracker.counter_world import LABELS, Item, detections, tracker
from tracker.engine import TrackingEngine
from tracker.mot import make, make_counter
from tracker.settings import COUNTER, PEDESTRIAN, TrackerSettings

SEQ = {"name": "made-up", "fps": 20.0, "w": 640, "h": 360, "n": 0, "gmc": None}

_place = st.tuples(
    st.floats(-40, 640),
    st.floats(-40, 360),
    st.floats(1, 200),
    st.floats(1, 200),
    st.floats(0, 1),
    st.integers(0, len(LABELS) - 1),
)
scenes = st.lists(st.lists(_place, max_size=7), min_size=1, max_size=25)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def world(seed: int, frames: int = 60, dishes: int = 6, hands: int = 1) -> list[list[Item]]:
    """Return a random scene: dishes that drift, jump and vanish, noise, ghosts and hands."""
    rng = np.random.default_rng(seed)
    centre, rate = rng.uniform(40, 320, (dishes, 2)), rng.normal(0, 3, (dishes, 2))
    side, label = rng.uniform(30, 90, (dishes, 2)), rng.integers(0, 3, dishes)
    scene: list[list[Item]] = []
    for _ in range(frames):
        centre = centre + rate
        items: list[Item] = []
        for k in range(dishes):
            if rng.random() < 0.85:
                low = centre[k] - side[k] / 2 + rng.normal(0, 1, 2)
                items.append((*low, *(low + side[k]), float(rng.uniform(0.2, 0.95)), int(label[k])))
        for _ in range(hands):
            low = rng.uniform(0, 300, 2)
            items.append((*low, *(low + 90), 0.8, LABELS.index("@hand")))
        if rng.random() < 0.2:
            low = rng.uniform(0, 300, 2)
            items.append((*low, *(low + rng.uniform(20, 90, 2)), float(rng.uniform(0.1, 0.7)), 0))
        scene.append([(*tuple(float(v) for v in i[:5]), i[5]) for i in items])  # type: ignore[misc]
    return scene


def run(scene: list[list[Item]], fps: float = 20.0) -> list[Tracks]:
    machine = tracker()
    return [machine.update(detections(items, k / fps, k)) for k, items in enumerate(scene)]


def _rows(scene: list[list[Item]]) -> list[np.ndarray]:
    return [np.array(items, dtype=np.float64).reshape(-1, 6) for items in scene]


@quick
@given(scenes)
def test_any_boxes_are_survived_and_ids_are_unique_ordered_and_never_reused(scene: list[list[Item]]) -> None:
    boxes = [[(x, y, x + w, y + h, score, label) for x, y, w, h, score, label in items] for items in scene]
    gone: set[int] = set()
    highest = 0
    for tracks in run(boxes):
        ids = [t.track_id for t in tracks.tracks]
        assert ids == sorted(set(ids))
        assert not gone & set(ids), "an id came back after its removal"
        new = [i for i in ids if i > highest]
        assert not ids or min(ids) >= 1
        gone |= set(tracks.removed)
        highest = max([highest, *new])
        for track in tracks.tracks:
            assert track.box[0] < track.box[2]
            assert track.box[1] < track.box[3]
            assert 0.0 <= sum(p for _, p in track.posterior) <= 1.0 + 1e-9
            assert "@hand" not in [name for name, p in track.posterior if p > 0.5]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("preset", [COUNTER, PEDESTRIAN], ids=["counter", "pedestrian"])
def test_covariances_stay_symmetric_and_positive_definite(seed: int, preset: TrackerSettings) -> None:
    engine = TrackingEngine(preset, 16, 3, (640, 360))
    for k, rows in enumerate(_rows(world(seed, frames=150))):
        engine.step(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), None, k / 20)
        motion = engine.table.motion
        assert (motion.p00 > 0).all()
        assert (motion.p11 > 0).all()
        assert (motion.p00 * motion.p11 > motion.p01**2).all()


@pytest.mark.parametrize("seed", range(4))
def test_same_input_same_output(seed: int) -> None:
    assert run(world(seed)) == run(world(seed))


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_detections_changes_nothing(seed: int) -> None:
    scene = world(seed)
    rng = np.random.default_rng(seed)
    shuffled = [[items[i] for i in rng.permutation(len(items))] for items in scene]
    assert run(shuffled) == run(scene)


@pytest.mark.parametrize("seed", range(4))
def test_a_shift_of_time_changes_only_the_times(seed: int) -> None:
    scene = world(seed)
    early, late = tracker(), tracker()
    for k, items in enumerate(scene):
        a = early.update(detections(items, k / 16, k))
        b = late.update(detections(items, k / 16 + 4096.0, k))
        assert [dataclasses.replace(t, first_seen_s=0, last_seen_s=0) for t in a.tracks] == [
            dataclasses.replace(t, first_seen_s=0, last_seen_s=0) for t in b.tracks
        ]
        assert [t.last_seen_s + 4096.0 for t in a.tracks] == [t.last_seen_s for t in b.tracks]


@pytest.mark.parametrize("seed", range(4))
def test_a_shift_in_the_plane_shifts_the_boxes(seed: int) -> None:
    """Without a frame border; whole powers of two keep the rounding away."""
    here, there = (TrackingEngine(COUNTER, 16, 3, None) for _ in range(2))
    for k, rows in enumerate(_rows(world(seed))):
        rows = np.round(rows * 64) / 64
        moved = rows.copy()
        moved[:, :4] += 1024.0
        for engine, boxes in ((here, rows), (there, moved)):
            engine.step(boxes[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), None, k / 20)
        np.testing.assert_array_equal(here.table.track_id, there.table.track_id)
        np.testing.assert_array_equal(here.table.state, there.table.state)
        np.testing.assert_allclose(here.table.boxes() + 1024.0, there.table.boxes(), atol=1e-6)


@pytest.mark.parametrize("factory", [make, make_counter])
def test_boxes_that_are_none_are_left_out(factory: object) -> None:
    good = [[100.0, 100, 160, 160, 0.9, 0]]
    bad = [
        [np.nan, 100, 160, 160, 0.9, 0],
        [100, 100, np.inf, 160, 0.9, 0],
        [160, 160, 100, 100, 0.9, 0],
        [100, 100, 100, 160, 0.9, 0],
        [300, 300, 360, 350, np.nan, 0],
        [300, 300, 360, 350, -0.5, 0],
    ]
    with_bad, without = factory(SEQ), factory(SEQ)  # type: ignore[operator]
    for _ in range(12):
        a, b = with_bad(np.array(good + bad)), without(np.array(good))
        np.testing.assert_array_equal(a, b)
    assert len(a) == 1


def test_nan_in_the_records_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        detections([(float("nan"), 0, 1, 1, 0.9, 0)], 0.0)


@pytest.mark.parametrize("factory", [make, make_counter])
def test_empty_frames_at_any_time(factory: object) -> None:
    step = factory(SEQ)  # type: ignore[operator]
    for _ in range(5):
        assert step(np.zeros((0, 6))).shape == (0, 6)
    for _ in range(10):
        step(np.array([[100.0, 100, 160, 160, 0.9, 0]]))
    for _ in range(20 * 12):
        last = step(np.zeros((0, 6)))
    assert last.shape == (0, 6)


@pytest.mark.parametrize("seed", range(3))
def test_no_id_stands_twice_in_a_frame_of_the_benchmark(seed: int) -> None:
    step = make_counter(SEQ)
    for rows in _rows(world(seed, frames=120, dishes=10)):
        rows[:, 5] = np.where(rows[:, 5] == 3, 9, rows[:, 5])
        ids = step(rows)[:, 4]
        assert len(set(ids)) == len(ids)


def test_memory_is_bounded_by_what_lives() -> None:
    """Churn: an object is born, vanishes, and the next one comes; the table does not grow."""
    engine = TrackingEngine(COUNTER, 16, 3, (640, 360))
    most = 0
    for k in range(4000):
        x = 60.0 * ((k // 15) % 9)
        rows = np.array([[x, 50.0, x + 50, 100, 0.9, (k // 15) % 2]])
        engine.step(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), None, k / 20)
        most = max(most, len(engine.table))
    assert most <= 20
    assert engine.table.log_likelihood.shape == (17, len(engine.table))


def test_class_probabilities_are_used_where_given() -> None:
    machine = tracker()
    probs = np.array([[0.1, 0.8, 0.05, 0.0]], dtype=np.float32)
    for k in range(20):
        plain = detections([(100, 100, 160, 160, 0.9, 0)], k / 20, k)
        said = machine.update(
            Detections(k, plain.captured_at_s, plain.boxes, plain.scores, plain.class_ids, LABELS, probs)
        )
    assert said.tracks[0].label == "bread"
    assert said.tracks[0].confidence > 0.8
