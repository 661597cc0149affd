"""All live tracks of one lane as a struct of arrays: column i of every array is the same object, ids ascend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats, Gaussians

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

#: Codes of `TrackTable.state`; the names of `core.records.TrackState` in the same order, see `lifecycle.STATES`.
TENTATIVE, CONFIRMED, OCCLUDED, LOST = range(4)

#: An object whose velocity strays from its average by less than this share of it moves evenly.
STEADY_SHARE = 0.25

#: Rows of `floats` that grow with every frame, and those that a sighting sets back or adds to.
CLOCKS, SIGHTED, COUNTED = slice(0, 3), slice(2, 4), slice(4, 6)
#: Rows that a track takes over from the one that it turns out to continue, and those that add up.
_NEWEST, _SUMS = (2, 3, 6, 7, 9, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 22, 23, 24), (4, 5, 15, 16)
_FLOATS, _INTEGERS = 25, 7


class TrackTable:
    """The memory of the tracker. Its size is bounded: columns go when tracks are removed, and nothing grows with time.

    Four blocks hold everything, so that a birth or a removal copies four arrays; the attributes are views of their
    rows. They are renewed when the number of tracks changes: do not keep them over a birth or a removal.

    Attributes:
        motion: states of the boxes.
        floats, integers: the blocks.
        age_s: (N,) seconds since the first detection (gaps left out).
        frames: (N,) frames since birth, the first included.
        unseen_s: (N,) seconds since the last match (gaps left out); 0 when matched now.
        uncovered_s: (N,) seconds, of these, in which nothing covered the place.
        hits: (N,) how many frames had a detection of it.
        watched_s: (N,) seconds in which it was seen.
        covered: (N,) share of the box that is thought to be covered now, 0..1.
        score: (N,) of the last matched detection.
        first_seen_s, last_seen_s: (N,) UTC epoch seconds.
        drift: (2, N) slow average of the centre's velocity, pixels/s: what is believed when it is seen no more.
        unsteady: (N,) slow average of |velocity - drift|, pixels/s.
        viewed: (2, N) centre at the latest view that counted as new.
        weight: (N,) sum of the weights of the class evidence.
        views: (N,) number of independent views in it.
        anchor: (2, N) centre as it was last measured.
        surprise: (4, N) innovation of the latest update in standard deviations; 0 before the first.
        beneath: (N,) share of the box that other dishes covered when it was last seen, while hands were about.
        handled: (N,) 1 for what a hand touched when it was last seen or since, else 0.
        track_id: (N,) ascending.
        state: (N,) TENTATIVE, CONFIRMED, OCCLUDED or LOST.
        left_over: (N,) edges (bits, see `edges.py`) over which it left the frame; 0 while it has not.
        entered_over: (N,) edges that the first detection touched.
        at_edge: (N,) edges that the latest detection touched.
        companion: (N,) whether an unseen object moves with its neighbours: 1 yes, -1 no, 0 not known (or seen).
        held: (N,) the class index that is shown; C for unknown.
        embedding: (D, N) unit mean appearance, zero where nothing is known; D is 0 until a frame brings embeddings.
        log_likelihood: (C + 1, N) weighted sums of log class likelihoods; the last row is *unknown*. Only differences
            within a column mean something.
    """

    def __init__(self, motion: Gaussians, floats: Floats, integers: NDArray[np.int64], log_likelihood: Floats) -> None:
        self.motion = motion
        self.log_likelihood = log_likelihood
        self.embedding: Floats = np.zeros((0, integers.shape[1]))
        self._bind(floats, integers)

    def _bind(self, floats: Floats, integers: NDArray[np.int64]) -> None:
        self.floats, self.integers = floats, integers
        self.age_s, self.frames, self.unseen_s, self.uncovered_s, self.hits, self.watched_s = floats[:6]
        self.covered, self.score, self.first_seen_s, self.last_seen_s = floats[6:10]
        self.drift: Floats = floats[10:12]
        self.unsteady: Floats = floats[12]
        self.viewed: Floats = floats[13:15]
        self.weight: Floats = floats[15]
        self.views: Floats = floats[16]
        self.anchor: Floats = floats[17:19]
        self.surprise: Floats = floats[19:23]
        self.beneath, self.handled = floats[23:]
        self.track_id, self.state, self.left_over, self.entered_over, self.at_edge = integers[:5]
        self.companion, self.held = integers[5:]

    @classmethod
    def born(
        cls, track_id: NDArray[np.int64], motion: Gaussians, seen_s: float, score: Floats, classes: int
    ) -> TrackTable:
        """Return a table of tentative tracks that were seen for the first time at `seen_s`."""
        count = len(track_id)
        table = cls(
            motion,
            np.zeros((_FLOATS, count)),
            np.zeros((_INTEGERS, count), np.int64),
            np.zeros((classes + 1, count)),
        )
        table.frames[:] = table.hits[:] = 1.0
        table.first_seen_s[:] = table.last_seen_s[:] = seen_s
        table.score[:] = score
        table.viewed[:] = table.anchor[:] = motion.mean[:2]
        table.track_id[:] = track_id
        table.state[:] = TENTATIVE
        table.held[:] = classes
        return table

    @classmethod
    def empty(cls, classes: int) -> TrackTable:
        """Return a table without tracks."""
        return cls.born(np.zeros(0, np.int64), Gaussians(np.zeros((5, 4, 0))), 0.0, np.zeros(0), classes)

    def __len__(self) -> int:
        return int(self.track_id.shape[0])

    def boxes(self, columns: Rows | None = None) -> Floats:
        """Return the boxes (N, 4) xyxy in pixels; of the tracks `columns` (K,) only, if given."""
        mean = self.motion.mean if columns is None else self.motion.mean.take(columns, axis=1)
        return corners(mean[:2], mean[2:])

    def moves_evenly(self) -> Mask:
        """Return which tracks (N,) move at a velocity that hardly strays from its average, as on a belt."""
        return np.asarray(self.unsteady < STEADY_SHARE * np.hypot(self.drift[0], self.drift[1]))

    def keep(self, columns: Mask) -> None:
        """Drop all tracks that are not marked (N,)."""
        stay = columns.nonzero()[0]
        self.motion.bind(self.motion.state.take(stay, axis=2))
        self.log_likelihood = self.log_likelihood.take(stay, axis=1)
        self.embedding = self.embedding.take(stay, axis=1)
        self._bind(self.floats.take(stay, axis=1), self.integers.take(stay, axis=1))

    def append(self, other: TrackTable) -> None:
        """Add the tracks of `other`, whose ids must be higher."""
        self.motion.bind(np.concatenate([self.motion.state, other.motion.state], axis=2))
        self.log_likelihood = np.concatenate([self.log_likelihood, other.log_likelihood], axis=1)
        self.embed(max(self.embedding.shape[0], other.embedding.shape[0]))
        other.embed(self.embedding.shape[0])
        self.embedding = np.concatenate([self.embedding, other.embedding], axis=1)
        self._bind(
            np.concatenate([self.floats, other.floats], axis=1),
            np.concatenate([self.integers, other.integers], axis=1),
        )

    def embed(self, dimensions: int) -> None:
        """Make room for embeddings of so many dimensions; what was known in others is forgotten."""
        if self.embedding.shape[0] != dimensions:
            self.embedding = np.zeros((dimensions, len(self)))

    def take_over(self, column: int, other: int) -> None:
        """Let `column` go on, under its own id and class evidence, where `other` is; `other` is then to be dropped."""
        self.motion.state[:, :, column] = self.motion.state[:, :, other]
        self.floats[_NEWEST, column] = self.floats[_NEWEST, other]
        self.floats[_SUMS, column] += self.floats[_SUMS, other]
        self.log_likelihood[:, column] += self.log_likelihood[:, other]
        self.at_edge[column] = self.at_edge[other]
        self.left_over[column] = 0
        self.state[column] = CONFIRMED


def corners(centre: Floats, sides: Floats) -> Floats:
    """Return boxes (N, 4) xyxy of centres (2, N) and sides (2, N)."""
    boxes = np.empty((centre.shape[1], 4))
    half = sides * 0.5
    np.subtract(centre, half, out=boxes.T[:2])
    np.add(centre, half, out=boxes.T[2:])
    return boxes
