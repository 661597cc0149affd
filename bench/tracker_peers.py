"""Peers of the speed scenes: trackers of roboflow/trackers, and the textbook SORT with one filterpy filter an object.

Turning rows into a peer's own type happens outside the clock.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from filterpy.kalman import KalmanFilter
from scipy.optimize import linear_sum_assignment

from bench.tracker_tools import Rows
from core.boxes import iou

Prepare = Callable[[Rows], Any]
Update = Callable[[Any], object]
#: What a tracker is for the clock: how rows become its input, and what it does with that.
Runner = tuple[Prepare, Update]

#: Detections from this score on start and continue tracks of the textbook SORT, at this overlap, for so many frames.
SORT_SCORE, SORT_IOU, SORT_AGE = 0.5, 0.3, 30


def roboflow(name: str) -> Callable[[], Runner]:
    """Return a maker of a tracker class of roboflow/trackers with its defaults at 30 fps."""

    def make() -> Runner:
        import supervision
        import trackers

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            machine = getattr(trackers, name)(frame_rate=30.0)

        def prepare(rows: Rows) -> object:
            return supervision.Detections(
                xyxy=rows[:, :4].astype(np.float32),
                confidence=rows[:, 4].astype(np.float32),
                class_id=np.zeros(len(rows), int),
            )

        return prepare, machine.update

    return make


class TextbookSort:
    """SORT (Bewley et al. 2016) as it is usually written in Python: one filterpy filter an object, IoU, Hungarian."""

    def __init__(self) -> None:
        self._filters: list[KalmanFilter] = []
        self._unseen: list[int] = []

    def update(self, rows: Rows) -> Rows:
        """Take in one frame and return the boxes (N, 4) xyxy of all tracks."""
        found = rows[rows[:, 4] >= SORT_SCORE, :4]
        for machine in self._filters:
            machine.predict()
        boxes = self._boxes()
        overlap = iou(boxes, found)
        tracks, columns = linear_sum_assignment(-overlap)
        matched = [(t, c) for t, c in zip(tracks, columns, strict=True) if overlap[t, c] >= SORT_IOU]
        self._unseen = [age + 1 for age in self._unseen]
        for track, column in matched:
            self._filters[track].update(_measured(found[column]))
            self._unseen[track] = 0
        for column in set(range(len(found))) - {c for _, c in matched}:
            self._filters.append(_new_filter(found[column]))
            self._unseen.append(0)
        alive = [k for k, age in enumerate(self._unseen) if age <= SORT_AGE]
        self._filters, self._unseen = [self._filters[k] for k in alive], [self._unseen[k] for k in alive]
        return self._boxes()

    def _boxes(self) -> Rows:
        if not self._filters:
            return np.zeros((0, 4))
        state = np.stack([machine.x[:4, 0] for machine in self._filters])
        half = np.maximum(state[:, 2:], 1.0) / 2
        return np.concatenate([state[:, :2] - half, state[:, :2] + half], axis=1)


def textbook_sort() -> Runner:
    """Return the textbook SORT."""
    return (lambda rows: rows), TextbookSort().update


def _measured(box: Rows) -> Rows:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]])[:, None]


def _new_filter(box: Rows) -> KalmanFilter:
    """Return a constant-velocity filter over (centre, size) at rest on `box`."""
    machine = KalmanFilter(dim_x=8, dim_z=4)
    machine.F = np.eye(8) + np.eye(8, k=4)
    machine.H = np.eye(4, 8)
    machine.R *= 4.0
    machine.Q *= 0.5
    machine.P[4:, 4:] *= 100.0
    machine.x[:4] = _measured(box)
    return machine


PEERS: dict[str, Callable[[], Runner]] = {
    "bytetrack": roboflow("ByteTrackTracker"),
    "sort": roboflow("SORTTracker"),
    "oc_sort": roboflow("OCSORTTracker"),
    "filterpy_sort": textbook_sort,
}
