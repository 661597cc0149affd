"""All live tracks of one lane as a struct of arrays: row i of every array is the same object, rows ascend by id."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats, Gaussians

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
#: Rows of the table; a slice where it is all of them, which numpy serves without copying.
Selection = Rows | slice

#: Codes of `TrackTable.state`; the names of `core.records.TrackState` in the same order, see `lifecycle.STATES`.
TENTATIVE, CONFIRMED, OCCLUDED, LOST = range(4)


@dataclass(slots=True)
class TrackTable:
    """The memory of the tracker. Its size is bounded: rows go when tracks are removed, and nothing grows with time.

    Attributes:
        motion: states of the boxes.
        track_id: (N,) ascending.
        state: (N,) TENTATIVE, CONFIRMED, OCCLUDED or LOST.
        drift: (N, 2) slow average of the centre's velocity, pixels/s: what is believed when it is seen no more.
        unsteady: (N,) slow average of |velocity - drift|, pixels/s.
        first_seen_s, last_seen_s: (N,) UTC epoch seconds.
        age_s: (N,) seconds since the first detection (gaps left out).
        watched_s: (N,) seconds in which it was seen.
        frames, hits: (N,) frames since birth, and how many of them had a detection of it.
        unseen_s: (N,) seconds since the last match (gaps left out); 0 when matched now.
        uncovered_s: (N,) seconds, of these, in which nothing covered the place.
        covered: (N,) share of the box that is thought to be covered now, 0..1.
        score: (N,) of the last matched detection.
        left_over: (N,) edges (bits, see `edges.py`) over which it left the frame; 0 while it has not.
        entered_over: (N,) edges that the first detection touched.
        at_edge: (N,) edges that the latest detection touched.
        companion: (N,) whether an unseen object moves with its neighbours: 1 yes, -1 no, 0 not known (or seen).
        log_likelihood: (N, C + 1) weighted sums of log class likelihoods; the last column is *unknown*.
        weight: (N,) the sum of the weights.
        views: (N,) number of independent views in them.
        held: (N,) the class index that is shown; C for unknown.
        viewed: (N, 2) centre at the latest view.
    """

    motion: Gaussians
    track_id: NDArray[np.int64]
    state: NDArray[np.int8]
    drift: Floats
    unsteady: Floats
    first_seen_s: Floats
    last_seen_s: Floats
    age_s: Floats
    watched_s: Floats
    frames: NDArray[np.int64]
    hits: NDArray[np.int64]
    unseen_s: Floats
    uncovered_s: Floats
    covered: Floats
    score: Floats
    left_over: NDArray[np.int8]
    entered_over: NDArray[np.int8]
    at_edge: NDArray[np.int8]
    companion: NDArray[np.int8]
    log_likelihood: Floats
    weight: Floats
    views: Floats
    held: NDArray[np.int64]
    viewed: Floats

    @classmethod
    def born(
        cls, track_id: NDArray[np.int64], motion: Gaussians, seen_s: float, score: Floats, classes: int
    ) -> TrackTable:
        """Return a table of tentative tracks that were seen for the first time at `seen_s`."""
        count = len(track_id)
        zeros = np.zeros(count)
        return cls(
            motion=motion,
            track_id=track_id,
            state=np.full(count, TENTATIVE, np.int8),
            drift=np.zeros((count, 2)),
            unsteady=zeros.copy(),
            first_seen_s=np.full(count, seen_s),
            last_seen_s=np.full(count, seen_s),
            age_s=zeros.copy(),
            watched_s=zeros.copy(),
            frames=np.ones(count, np.int64),
            hits=np.ones(count, np.int64),
            unseen_s=zeros.copy(),
            uncovered_s=zeros.copy(),
            covered=zeros.copy(),
            score=score.astype(np.float64),
            left_over=np.zeros(count, np.int8),
            entered_over=np.zeros(count, np.int8),
            at_edge=np.zeros(count, np.int8),
            companion=np.zeros(count, np.int8),
            log_likelihood=np.zeros((count, classes + 1)),
            weight=zeros.copy(),
            views=zeros.copy(),
            held=np.full(count, classes, np.int64),
            viewed=motion.mean[:, :2].copy(),
        )

    @classmethod
    def empty(cls, classes: int) -> TrackTable:
        """Return a table without rows."""
        none = np.zeros((0, 4))
        return cls.born(np.zeros(0, np.int64), Gaussians.start(none, none, none), 0.0, np.zeros(0), classes)

    def __len__(self) -> int:
        return len(self.track_id)

    def boxes(self) -> Floats:
        """Return the boxes (N, 4) xyxy in pixels."""
        mean = self.motion.mean
        half = mean[:, 2:] * 0.5
        return np.concatenate([mean[:, :2] - half, mean[:, :2] + half], axis=1)

    def keep(self, rows: Mask) -> None:
        """Drop all rows that are not marked."""
        for field in dataclasses.fields(Gaussians):
            setattr(self.motion, field.name, getattr(self.motion, field.name)[rows])
        for field in dataclasses.fields(self)[1:]:
            setattr(self, field.name, getattr(self, field.name)[rows])

    def append(self, other: TrackTable) -> None:
        """Add the rows of `other`, whose ids must be higher."""
        for field in dataclasses.fields(Gaussians):
            mine, new = getattr(self.motion, field.name), getattr(other.motion, field.name)
            setattr(self.motion, field.name, np.concatenate([mine, new]))
        for field in dataclasses.fields(self)[1:]:
            setattr(self, field.name, np.concatenate([getattr(self, field.name), getattr(other, field.name)]))

    def take_over(self, row: int, other: int) -> None:
        """Let `row` go on, under its own id and class evidence, where `other` is; `other` is then to be dropped."""
        for field in dataclasses.fields(Gaussians):
            column = getattr(self.motion, field.name)
            column[row] = column[other]
        for name in (
            "drift",
            "unsteady",
            "unseen_s",
            "uncovered_s",
            "covered",
            "score",
            "last_seen_s",
            "viewed",
            "at_edge",
        ):
            column = getattr(self, name)
            column[row] = column[other]
        for name in ("log_likelihood", "weight", "views", "hits", "watched_s"):
            column = getattr(self, name)
            column[row] += column[other]
        self.left_over[row] = 0
        self.state[row] = CONFIRMED
