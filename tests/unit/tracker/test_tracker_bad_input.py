"""What the tracker refuses, and what it survives: broken boxes, scores, clocks and crowds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import Tracks, TrackState
from tests.unit.tracker.counter_world import LABELS, Item, counted_ids, detections, item
from tests.unit.tracker.promise_world import PRESETS, Watch, quick, tracker, watch, world
from tracker.mot import make, make_counter
from tracker.settings import COUNTER, TrackerSettings

SEQ = {"name": "made-up", "fps": 20.0, "w": 640, "h": 360, "n": 0, "gmc": None}
GOOD = [100.0, 100, 160, 160, 0.9, 0]
BAD = {
    "nan": [np.nan, 100, 160, 160, 0.9, 0],
    "all nan": [np.nan] * 4 + [0.9, 0],
    "inf": [100, 100, np.inf, 160, 0.9, 0],
    "minus inf": [-np.inf, 100, 160, 160, 0.9, 0],
    "inverted": [160, 160, 100, 100, 0.9, 0],
    "inverted in x": [360, 300, 300, 350, 0.9, 0],
    "no width": [100, 100, 100, 160, 0.9, 0],
    "no height": [300, 100, 360, 100, 0.9, 0],
    "one pixel": [300, 300, 301, 301, 0.9, 0],
    "score nan": [300, 300, 360, 350, np.nan, 0],
    "score negative": [300, 300, 360, 350, -0.5, 0],
    "score minus inf": [300, 300, 360, 350, -np.inf, 0],
}

EVERYWHERE = [-np.inf, -np.inf, np.inf, np.inf, 0.9, 0]

both_presets = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
both_faces = pytest.mark.parametrize("factory", [make, make_counter], ids=["pedestrian", "counter"])

DISHES = [item(100 + 120 * k, 150, label=LABELS[k % 3]) for k in range(4)]


@both_faces
@pytest.mark.parametrize("bad", [*BAD.values(), EVERYWHERE], ids=[*BAD, "both inf"])
def test_a_box_that_is_none_is_left_out(factory: object, bad: list[float]) -> None:
    with_bad, without = factory(SEQ), factory(SEQ)  # type: ignore[operator]
    for _ in range(12):
        a, b = with_bad(np.array([bad, GOOD, bad])), without(np.array([GOOD]))
        np.testing.assert_array_equal(a, b)
    assert len(a) == 1


@both_faces
@quick
@given(rows=st.lists(st.lists(st.floats(width=32), min_size=5, max_size=5), max_size=5))
def test_rows_of_any_numbers_are_survived(factory: object, rows: list[list[float]]) -> None:
    step = factory(SEQ)  # type: ignore[operator]
    given_rows = np.array([[*row, 0.0] for row in rows] + [GOOD])
    for _ in range(4):
        tracks = step(given_rows)
        assert np.isfinite(tracks).all()
        assert (tracks[:, 2:4] > tracks[:, :2]).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_refused_in_the_records(value: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        detections([(value, 0, 1, 1, 0.9, 0)], 0.0)


def test_detections_with_other_labels_are_refused() -> None:
    found = detections(DISHES, 0.0)
    with pytest.raises(ValueError, match="labels"):
        type(tracker(COUNTER))(COUNTER, ("soup",)).update(found)


@both_presets
@pytest.mark.parametrize(
    "score",
    [1.0, 1.2, 1.5, 2.0, 100.0, float("inf")],
)
def test_scores_above_one_are_survived(preset: TrackerSettings, score: float) -> None:
    guard = Watch(tracker(preset))
    sure = [(*dish[:4], score, dish[5]) for dish in DISHES]
    for k in range(30):
        found = detections(sure if k % 3 else DISHES, k / 20, k)
        tracks = guard.machine.update(found)
        guard.see(tracks)
    assert len(counted_ids(tracks)) == len(DISHES)


@both_presets
def test_low_scores_start_nothing(preset: TrackerSettings) -> None:
    faint = [(*dish[:4], 0.2, dish[5]) for dish in DISHES]
    assert not any(tracks.tracks for tracks in watch(preset, [faint] * 20))


def test_duplicate_boxes_are_one_object() -> None:
    twice = [box for dish in DISHES for box in (dish, dish, (*[v + 1 for v in dish[:4]], 0.8, dish[5]))]
    last = watch(COUNTER, [twice] * 40)[-1]  # type: ignore[list-item]
    assert len(last.tracks) == len(DISHES)


@both_presets
def test_a_hundred_equal_boxes_are_survived(preset: TrackerSettings) -> None:
    watch(preset, [[DISHES[0]] * 100] * 10)


@both_faces
def test_empty_frames_at_any_time(factory: object) -> None:
    step = factory(SEQ)  # type: ignore[operator]
    for _ in range(5):
        assert step(np.zeros((0, 6))).shape == (0, 6)
    for _ in range(10):
        shown = step(np.array([GOOD]))
    assert len(shown) == 1
    for _ in range(20 * 12):
        last = step(np.zeros((0, 6)))
    assert last.shape == (0, 6)


@both_presets
def test_all_is_forgotten_in_the_end(preset: TrackerSettings) -> None:
    guard = Watch(tracker(preset))
    born: set[int] = set()
    removed: list[int] = []
    scene = [DISHES] * 30 + [[]] * 1400
    for k, items in enumerate(scene):
        tracks = guard.see(guard.machine.update(detections(items, k / 20, k)))
        born |= {t.track_id for t in tracks.tracks}
        removed += tracks.removed
    assert not tracks.tracks
    assert sorted(removed) == sorted(born)


def _still(preset: TrackerSettings, times: list[float], forward: bool = True) -> list[Tracks]:
    """Show four dishes that lie still at the given times, under watch."""
    guard = Watch(tracker(preset), forward)
    return [guard.see(guard.machine.update(detections(DISHES, t, k))) for k, t in enumerate(times)]


@both_presets
@quick
@given(steps=st.lists(st.sampled_from([1 / 120, 1 / 30, 0.1, 0.2, 0.7]), min_size=12, max_size=60))
def test_still_dishes_keep_their_ids_when_the_frame_rate_changes(preset: TrackerSettings, steps: list[float]) -> None:
    seen = _still(preset, np.cumsum(steps).tolist())
    assert counted_ids(seen[-1]) == [1, 2, 3, 4]


@both_presets
@quick
@given(times=st.lists(st.floats(-100, 100), min_size=3, max_size=30))
def test_a_clock_that_jumps_about_is_survived(preset: TrackerSettings, times: list[float]) -> None:
    _still(preset, times, forward=False)


@both_presets
@pytest.mark.parametrize("back_s", [0.0, 0.01, 5.0, 3600.0])
def test_a_clock_that_goes_back_once_costs_no_identity(preset: TrackerSettings, back_s: float) -> None:
    times = [k / 20 for k in range(20)]
    seen = _still(preset, times + [t - back_s for t in times], forward=False)
    assert counted_ids(seen[-1]) == [1, 2, 3, 4]


@both_presets
@pytest.mark.parametrize("seconds", [0.0, 0.5, 30.0, 86_400.0])
def test_a_gap_costs_no_identity_of_what_lies_still(preset: TrackerSettings, seconds: float) -> None:
    guard = Watch(tracker(preset))
    for k in range(20):
        guard.see(guard.machine.update(detections(DISHES, k / 20, k)))
    guard.machine.gap(seconds)
    for k in range(20, 40):
        tracks = guard.see(guard.machine.update(detections(DISHES, k / 20 + seconds, k)))
    assert counted_ids(tracks) == [1, 2, 3, 4]


@both_presets
def test_nothing_is_concluded_from_a_gap(preset: TrackerSettings) -> None:
    """Unseen seconds of a gap do not count: a track that is lost just before is still there just after."""
    guard = Watch(tracker(preset))
    for k in range(20):
        guard.see(guard.machine.update(detections(DISHES, k / 20, k)))
    for k in range(20, 26):
        guard.see(guard.machine.update(detections([], k / 20, k)))
    guard.machine.gap(1000.0)
    tracks = guard.see(guard.machine.update(detections([], 26 / 20 + 1000.0, 26)))
    assert [t.track_id for t in tracks.tracks] == [1, 2, 3, 4]
    assert all(t.state in (TrackState.LOST, TrackState.OCCLUDED) for t in tracks.tracks)


@pytest.mark.parametrize("seconds", [-1.0, float("-inf"), float("nan")])
def test_a_gap_of_less_than_nothing_is_refused(seconds: float) -> None:
    machine = tracker(COUNTER)
    machine.update(detections(DISHES, 0.0))
    with pytest.raises(ValueError, match="gap"):
        machine.gap(seconds)


@both_presets
@quick
@given(
    scene=st.lists(
        st.lists(
            st.tuples(
                st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), st.floats(1e-3, 1e9), st.floats(0, 1)
            ),
            max_size=4,
        ),
        max_size=10,
    )
)
def test_boxes_of_any_size_at_any_place_are_survived(
    preset: TrackerSettings, scene: list[list[tuple[float, float, float, float, float]]]
) -> None:
    items: list[list[Item]] = [[(x, y, x + w, y + h, score, 0) for x, y, w, h, score in frame] for frame in scene]
    watch(preset, items)
    watch(preset, items, size=None)


@pytest.mark.slow
@both_presets
def test_thousands_of_detections_in_a_frame(preset: TrackerSettings) -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 600, (2000, 2))
    crowd = [(*p, *(p + rng.uniform(3, 20, 2)), float(rng.uniform(0.3, 1)), 0) for p in low]
    guard = Watch(tracker(preset))
    for k, items in enumerate([DISHES] * 10 + [crowd] * 3 + [DISHES] * 5):
        tracks = guard.see(guard.machine.update(detections(items, k / 20, k)))  # type: ignore[arg-type]
    assert tracks.tracks


@both_presets
def test_a_burst_of_bad_frames_leaves_the_good_ones_alone(preset: TrackerSettings) -> None:
    """Frames of garbage between frames of still dishes: the identities stay."""
    garbage = [items for items in world(3, frames=4, dishes=3, hands=0)]
    tiny: list[Item] = [(5.0, 5.0, 6.0, 6.0, 1.0, 0)] * 20
    seen = watch(preset, [DISHES] * 20 + [[], tiny, [], *[DISHES + g[:1] for g in garbage], tiny] + [DISHES] * 5)
    assert [i for i in counted_ids(seen[-1]) if i <= 4] == [1, 2, 3, 4]
