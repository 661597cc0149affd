"""Scenes that are as bad as cameras get, and a watch that knows what the tracker promises in each frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from core.records import HAND, Tracks, TrackState
from tests.unit.tracker.counter_world import LABELS, SIZE, Item, detections
from tracker.settings import COUNTER, PEDESTRIAN, TrackerSettings
from tracker.tracker import MultiObjectTracker

PRESETS = {"counter": COUNTER, "pedestrian": PEDESTRIAN}
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Few different numbers, so that equal scores, equal boxes and exact neighbours are common.
_side = st.one_of(st.floats(1, 200), st.sampled_from([1.0, 2.0, 60.0, 60.0]))
_place = st.tuples(
    st.one_of(st.floats(-40, 640), st.sampled_from([0.0, 100.0, 130.0])),
    st.one_of(st.floats(-40, 360), st.sampled_from([0.0, 100.0, 130.0])),
    _side,
    _side,
    st.one_of(st.floats(0, 1), st.sampled_from([0.5, 0.9, 1.0])),
    st.integers(0, len(LABELS) - 1),
)
_item = _place.map(lambda p: (p[0], p[1], p[0] + p[2], p[1] + p[3], p[4], p[5]))
scenes = st.lists(st.lists(_item, max_size=7), min_size=1, max_size=25)


def world(seed: int, frames: int = 60, dishes: int = 6, hands: int = 1) -> list[list[Item]]:
    """Return a random scene: dishes that drift and are missed, ghosts, and a hand that is everywhere.

    All coordinates are whole 64ths of a pixel, so that float32 keeps them wherever the scene is shifted to.
    """
    rng = np.random.default_rng(seed)
    centre, rate = rng.uniform(40, 320, (dishes, 2)), rng.normal(0, 3, (dishes, 2))
    side, label = rng.uniform(30, 90, (dishes, 2)), rng.integers(0, 3, dishes)
    scene: list[list[Item]] = []
    for _ in range(frames):
        centre = centre + rate
        items: list[list[float]] = []
        for k in range(dishes):
            if rng.random() < 0.85:
                low = centre[k] - side[k] / 2 + rng.normal(0, 1, 2)
                items.append([*low, *(low + side[k]), rng.uniform(0.2, 0.95), label[k]])
        for _ in range(hands):
            low = rng.uniform(0, 300, 2)
            items.append([*low, *(low + 90), 0.8, LABELS.index(HAND)])
        if rng.random() < 0.2:
            low = rng.uniform(0, 300, 2)
            items.append([*low, *(low + rng.uniform(20, 90, 2)), rng.uniform(0.1, 0.7), 0])
        grid = [[round(v * 64) / 64 for v in i[:4]] for i in items]
        scene.append([(*box, float(i[4]), int(i[5])) for box, i in zip(grid, items, strict=True)])  # type: ignore[misc]
    return scene


def tracker(settings: TrackerSettings, size: tuple[int, int] | None = SIZE) -> MultiObjectTracker:
    return MultiObjectTracker(settings, LABELS, size)


def run(settings: TrackerSettings, scene: Sequence[Sequence[Item]], fps: float = 20.0) -> list[Tracks]:
    machine = tracker(settings)
    return [machine.update(detections(items, k / fps, k)) for k, items in enumerate(scene)]


class Watch:
    """Looks at one tracker, frame after frame, and asserts what must hold in each.

    Args:
        machine: the tracker.
        forward: whether time goes forward, so that times of tracks can be compared with the frame's.
    """

    def __init__(self, machine: MultiObjectTracker, forward: bool = True) -> None:
        self.machine = machine
        self._forward = forward
        self._alive: dict[int, TrackState] = {}
        self._gone: set[int] = set()
        self._highest = 0

    def see(self, tracks: Tracks) -> Tracks:
        """Assert the promises for the tracker's answer to one more frame, and return it."""
        self._ids(tracks)
        for track in tracks.tracks:
            x1, y1, x2, y2 = track.box
            assert all(map(math.isfinite, (*track.box, *track.velocity_px_s, track.score)))
            assert x1 < x2, "inverted box"
            assert y1 < y2, "inverted box"
            assert 0.0 <= track.visibility <= 1.0
            labels = [label for label, _ in track.posterior]
            assert len(labels) == len(set(labels))
            assert all(0.0 <= p <= 1.0 for _, p in track.posterior)
            assert sum(p for _, p in track.posterior) <= 1.0 + 1e-9
            assert track.label != HAND, "a hand became a dish"
            if self._forward:
                assert track.first_seen_s <= track.last_seen_s <= tracks.captured_at_s
                assert not track.matched or track.last_seen_s == tracks.captured_at_s
        self._covariance()
        return tracks

    def _ids(self, tracks: Tracks) -> None:
        ids = [t.track_id for t in tracks.tracks]
        removed = set(tracks.removed)
        assert ids == sorted(set(ids)), "ids are not unique and ordered"
        assert all(i >= 1 for i in ids)
        assert len(tracks.removed) == len(removed), "an id was removed twice in a frame"
        assert not self._gone & removed, "an id was removed twice"
        assert not (self._gone | removed) & set(ids), "a removed id is there"
        missing = set(self._alive) - set(ids)
        assert missing <= removed, "a track went without a word"
        fresh = [i for i in (*ids, *removed) if i not in self._alive]
        assert all(i > self._highest for i in fresh), "an id was used again"
        for track in tracks.tracks:
            self._state(track.state, track.matched, self._alive.get(track.track_id))
        self._alive = {t.track_id: t.state for t in tracks.tracks}
        self._gone |= removed
        self._highest = max([self._highest, *fresh])

    @staticmethod
    def _state(now: TrackState, matched: bool, before: TrackState | None) -> None:
        assert now is not TrackState.REMOVED, "a live track is removed"
        if matched:
            assert now in (TrackState.TENTATIVE, TrackState.CONFIRMED), f"matched, yet {now}"
        if before not in (None, TrackState.TENTATIVE):
            assert now is not TrackState.TENTATIVE, "what counted is tentative again"
        if before is TrackState.TENTATIVE and not matched:
            assert now is TrackState.TENTATIVE, f"unseen and never confirmed, yet {now}"

    def _covariance(self) -> None:
        """Each axis of each track has its 2x2 block [[p00, p01], [p01, p11]], in whatever order the arrays are."""
        motion = self.machine._engine.table.motion
        p00, p01, p11 = (np.asarray(a, dtype=np.float64) for a in (motion.p00, motion.p01, motion.p11))
        assert p00.shape == p01.shape == p11.shape
        assert np.isfinite(p00).all()
        assert np.isfinite(p11).all()
        assert (p00 > 0).all()
        assert (p11 > 0).all()
        assert (p00 * p11 > p01 * p01).all(), "the covariance is not positive definite"


def watch(
    settings: TrackerSettings, scene: Sequence[Sequence[Item]], fps: float = 20.0, size: tuple[int, int] | None = SIZE
) -> list[Tracks]:
    """Run a scene under watch and return the tracks of each frame."""
    guard = Watch(tracker(settings, size))
    return [guard.see(guard.machine.update(detections(items, k / fps, k))) for k, items in enumerate(scene)]
