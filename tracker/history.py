"""What is remembered of an object's life, in arrays of fixed size: its path, how much of it was seen, its best views.

The path and the visibilities are sampled at even times. When a track's samples are full, every second one goes and the
time between them doubles, so that a life of any length keeps its whole path, ever more coarsely, in constant memory.
The best views are the few sightings of highest quality, score x visible share x size, at least `APART_S` apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.records import Box
from tracker.kalman import Floats
from tracker.table import Mask, TrackTable

#: Samples of a path, and best views, per object.
SAMPLES, VIEWS = 16, 3
#: Time between two samples at first, and between two best views.
FIRST_STEP_S, APART_S = 0.2, 0.5
#: An object that moves slower than this (sizes/s) is at rest.
AT_REST = 0.2
#: Columns of a view: quality, seconds of life, frame index, box.
_QUALITY, _AGE, _FRAME, _BOX = 0, 1, 2, slice(3, 7)


@dataclass(frozen=True, slots=True)
class View:
    """One sighting that shows an object well.

    Attributes:
        frame_index: of the frame.
        seen_s: UTC epoch seconds.
        box: x1, y1, x2, y2 pixels.
        quality: score x visible share x size in pixels.
    """

    frame_index: int
    seen_s: float
    box: Box
    quality: float


@dataclass(frozen=True, slots=True)
class ObjectHistory:
    """The life of one object so far.

    Attributes:
        path: (seconds UTC, centre x, centre y) at even times, oldest first, at most `SAMPLES`.
        visibility: share of it that was seen at these times, 0..1.
        best_views: best first, at most `VIEWS`.
        dwell_s: seconds in which it was at rest.
    """

    path: tuple[tuple[float, float, float], ...]
    visibility: tuple[float, ...]
    best_views: tuple[View, ...]
    dwell_s: float


class Histories:
    """Histories of all live tracks, column by column beside the `TrackTable`."""

    def __init__(self) -> None:
        self._ids = np.zeros(0, np.int64)
        self._path = np.zeros((SAMPLES, 4, 0), np.float32)  # age in s, x, y, visible share
        self._count = np.zeros(0, np.int16)
        self._step_s = np.zeros(0, np.float32)
        self._views = np.zeros((VIEWS, 7, 0))
        self._dwell_s = np.zeros(0)

    def follow(self, table: TrackTable, frame_index: int, dt_s: float) -> None:
        """Take in the state of `table` after a frame, `dt_s` seconds after the one before."""
        self._align(table.track_id)
        if not len(table):
            return
        mean, rate = table.motion.mean, table.motion.rate
        visible = np.clip(1.0 - table.covered, 0.0, 1.0)
        seen = table.unseen_s == 0.0
        area = mean[2] * mean[3]
        at_rest = rate[0] * rate[0] + rate[1] * rate[1] < AT_REST**2 * area
        self._dwell_s += dt_s * at_rest
        due = self._count == 0
        last = self._path[np.maximum(self._count - 1, 0), 0, np.arange(len(table))]
        due |= table.age_s - last >= self._step_s - 1e-3
        if np.count_nonzero(due):
            self._sample(due, table, np.where(seen, visible, 0.0))
        quality = table.score * visible * np.sqrt(area) * seen
        better = quality > self._views[VIEWS - 1, _QUALITY]
        for column in better.nonzero()[0].tolist():
            self._consider(column, table, float(quality[column]), frame_index)

    def of(self, table: TrackTable, track_id: int) -> ObjectHistory | None:
        """Return the history of a live track, or None if there is no such track."""
        found = (self._ids == track_id).nonzero()[0]
        if not found.shape[0]:
            return None
        column = int(found[0])
        born_s = float(table.first_seen_s[(table.track_id == track_id).nonzero()[0][0]])
        samples = self._path[: int(self._count[column]), :, column].tolist()
        views = self._views[:, :, column].tolist()
        return ObjectHistory(
            path=tuple((born_s + age_s, x, y) for age_s, x, y, _ in samples),
            visibility=tuple(share for _, _, _, share in samples),
            best_views=tuple(
                View(int(view[_FRAME]), born_s + view[_AGE], (view[3], view[4], view[5], view[6]), view[_QUALITY])
                for view in views
                if view[_QUALITY] > 0.0
            ),
            dwell_s=float(self._dwell_s[column]),
        )

    def _align(self, track_id: NDArray[np.int64]) -> None:
        """Give each live track its column: new ones begin empty, those of removed tracks go."""
        if track_id.shape == self._ids.shape and np.array_equal(track_id, self._ids):
            return
        stay = np.isin(self._ids, track_id, assume_unique=True).nonzero()[0]
        to = np.searchsorted(track_id, self._ids[stay])
        count = track_id.shape[0]
        for name in ("_path", "_count", "_step_s", "_views", "_dwell_s"):
            old = getattr(self, name)
            new = np.zeros((*old.shape[:-1], count), old.dtype)
            new[..., to] = old[..., stay]
            setattr(self, name, new)
        self._step_s[self._step_s == 0.0] = FIRST_STEP_S
        self._ids = track_id.copy()

    def _sample(self, due: Mask, table: TrackTable, visible: Floats) -> None:
        """Add a sample to the tracks `due` (N,), thinning those that are full."""
        for column in (due & (self._count == SAMPLES)).nonzero()[0].tolist():
            self._path[: SAMPLES // 2, :, column] = self._path[::2, :, column]
            self._count[column] = SAMPLES // 2
            self._step_s[column] *= 2.0
        columns = due.nonzero()[0]
        mean = table.motion.mean
        sample = np.stack([table.age_s, mean[0], mean[1], visible])
        self._path[self._count[columns], :, columns] = sample[:, columns].T
        self._count[columns] += 1

    def _consider(self, column: int, table: TrackTable, quality: float, frame_index: int) -> None:
        """Keep a sighting among the best of its track, if none better lies close to it in time."""
        views, age_s = self._views[:, :, column], float(table.age_s[column])
        close = [k for k in range(VIEWS) if views[k, _QUALITY] > 0.0 and abs(views[k, _AGE] - age_s) < APART_S]
        if any(views[k, _QUALITY] >= quality for k in close):
            return
        stay = [views[k].copy() for k in range(VIEWS) if k not in close and views[k, _QUALITY] > 0.0]
        box = table.boxes(np.array([column]))[0]
        fresh = np.concatenate([[quality, age_s, frame_index], box])
        ranked = sorted([*stay, fresh], key=lambda view: -float(view[_QUALITY]))[:VIEWS]
        views[:] = 0.0
        views[: len(ranked)] = ranked
