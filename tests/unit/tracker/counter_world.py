"""A small world of boxes for the tracker's tests: dishes and hands that move as told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from core.records import HAND, Detections, Track, Tracks, TrackState
from tracker.settings import COUNTER, TrackerSettings
from tracker.tracker import MultiObjectTracker

LABELS = ("soup", "bread", "apple", HAND)
SIZE = (640, 360)
START_S = 1_700_000_000.0

Item = tuple[float, float, float, float, float, int]


def item(cx: float, cy: float, w: float = 60.0, h: float = 60.0, score: float = 0.9, label: str = "soup") -> Item:
    """Return one detection given by centre and sides."""
    return (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, LABELS.index(label))


def hand(cx: float, cy: float, w: float = 90.0, h: float = 90.0) -> Item:
    return item(cx, cy, w, h, 0.8, HAND)


def detections(items: Sequence[Item], t_s: float, index: int = 0) -> Detections:
    rows = np.array(items, dtype=np.float64).reshape(-1, 6)
    return Detections(
        frame_index=index,
        captured_at_s=START_S + t_s,
        boxes=rows[:, :4].astype(np.float32),
        scores=rows[:, 4].astype(np.float32),
        class_ids=rows[:, 5].astype(np.int64),
        labels=LABELS,
    )


def tracker(settings: TrackerSettings = COUNTER) -> MultiObjectTracker:
    return MultiObjectTracker(settings, LABELS, SIZE)


def play(frames: Iterable[Sequence[Item]], fps: float = 20.0, on: MultiObjectTracker | None = None) -> list[Tracks]:
    """Feed frames at an even rate to a new tracker (or `on`) and return what it said."""
    machine = tracker() if on is None else on
    return [machine.update(detections(items, k / fps, k)) for k, items in enumerate(frames)]


def counted(tracks: Tracks) -> list[Track]:
    """Return the tracks that a bill would count now."""
    return [t for t in tracks.tracks if t.state in (TrackState.CONFIRMED, TrackState.OCCLUDED)]


def counted_ids(tracks: Tracks) -> list[int]:
    return [t.track_id for t in counted(tracks)]


def by_id(tracks: Tracks, track_id: int) -> Track:
    return next(t for t in tracks.tracks if t.track_id == track_id)
