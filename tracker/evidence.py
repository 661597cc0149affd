"""What an object is, from everything that was seen of it.

Each matched detection gives a likelihood for each class and for *unknown* (none of them). Their logarithms are averaged
over the whole life of the object, each weighted by how new the view is and by how much of the object was visible; the
average is then sharpened by the number of *independent* views:

    posterior = softmax((1 + views) * clear * sum(w log p) / sum(w))

Thirty equal frames of a dish at rest are one view, not thirty: a view counts as new after `view_s` seconds or a
movement by `view_shift` sizes, though not sooner than `MOVING_VIEW_S`. `clear` is the mean weight of a view: a dish
that is carried in a hand and half hidden by it shows the same wrong face again and again, so that many views of it are
little evidence, and with less than one clear view in all the rest of the probability is *unknown*. Nothing is
forgotten, so a long wrong glance cannot outvote a longer right one. The label that is shown changes only when another
one is clearly likelier, so that it does not flicker between equals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats
from tracker.observations import Observations
from tracker.occlusion import most_covered
from tracker.settings import TrackerSettings
from tracker.table import Rows, Selection, TrackTable

#: More independent views than this do not make a posterior sharper: detectors err alike again and again.
MOST_VIEWS = 10.0
#: Views of a moving object are independent after this time at the earliest: blur and light stay the same for a while.
MOVING_VIEW_S = 0.15
#: No detection is less new than this.
LEAST_NEW = 1e-3
#: Log odds by which another label must win before the shown one changes.
INERTIA = float(np.log(3.0))
#: No class is ever impossible.
FLOOR = 1e-4
#: Share of a detection's doubt that goes to *unknown*; the rest is spread over the other classes.
UNKNOWN_SHARE = 0.4


class ClassEvidence:
    """Reads class likelihoods off detections and keeps the sums in the track table.

    Args:
        classes: number C of classes.
        settings: see there.
    """

    def __init__(self, classes: int, settings: TrackerSettings) -> None:
        self._classes = classes
        self._settings = settings

    def likelihoods(self, seen: Observations, columns: Rows) -> Floats:
        """Return the class likelihoods (K, C + 1) of the detections `columns`; the last column is *unknown*."""
        classes = self._classes
        if seen.class_probs is not None:
            known = seen.class_probs[columns].astype(np.float64)
            unknown = np.maximum(1.0 - known.sum(axis=1, keepdims=True), FLOOR)
            table = np.concatenate([known, unknown], axis=1)
            return np.asarray(np.maximum(table, FLOOR))
        sure = seen.scores[columns] * self._settings.reliability
        doubt = 1.0 - sure
        table = np.empty((len(columns), classes + 1))
        table[:] = (doubt * (1.0 - UNKNOWN_SHARE) / max(classes - 1, 1))[:, None]
        table[:, classes] = doubt * UNKNOWN_SHARE
        table[np.arange(len(columns)), seen.class_ids[columns]] = sure
        return np.asarray(np.maximum(table, FLOOR))

    def add(self, table: TrackTable, rows: Selection, seen: Observations, columns: Rows, elapsed_s: Floats) -> None:
        """Add the detections `columns` to the tracks `rows`.

        Args:
            table: the tracks; already updated to this frame.
            rows: (K,) tracks.
            seen: the frame.
            columns: (K,) detections.
            elapsed_s: (K,) seconds since each track was matched before.
        """
        mean = table.motion.mean[rows]
        moved = np.hypot(mean[:, 0] - table.viewed[rows, 0], mean[:, 1] - table.viewed[rows, 1])
        size = np.sqrt(mean[:, 2] * mean[:, 3])
        moved_views = np.where(moved > 0.1 * size, moved / (self._settings.view_shift * size), 0.0)
        moved_views = np.minimum(moved_views, elapsed_s / MOVING_VIEW_S)
        new = np.minimum(elapsed_s / self._settings.view_s + moved_views, 1.0)
        covered = np.maximum(table.covered[rows], most_covered(seen.boxes[columns], seen.hands))
        weight = np.maximum(new, LEAST_NEW) * np.maximum(1.0 - covered, 0.05) ** 2
        table.log_likelihood[rows] += weight[:, None] * np.log(self.likelihoods(seen, columns))
        table.weight[rows] += weight
        table.views[rows] = np.minimum(table.views[rows] + new, MOST_VIEWS)
        table.viewed[rows] = np.where(moved_views[:, None] > 0.0, mean[:, :2], table.viewed[rows])

    def posterior(self, table: TrackTable) -> Floats:
        """Return the class posterior (N, C + 1) of all tracks and let them hold the most probable label."""
        count = len(table)
        if not count:
            return np.zeros((0, self._classes + 1))
        # Mean weight of a view: what was only ever seen under a hand stays a guess, however often it was seen.
        clear = np.minimum(table.weight / np.maximum(table.views, LEAST_NEW), 1.0)
        seen = (1.0 + table.views) * clear
        logits = table.log_likelihood * (np.maximum(seen, 1.0) / np.maximum(table.weight, 1e-9))[:, None]
        lines = np.arange(count)
        shown = table.held < self._classes
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        # The inertia decides which label is shown; it is no evidence, so it does not make the posterior surer.
        favoured = odds[:, : self._classes].copy()
        favoured[lines[shown], table.held[shown]] *= np.exp(INERTIA)
        held: NDArray[np.int64] = favoured.argmax(axis=1)
        table.held[:] = np.where(table.weight > 0.0, held, table.held)
        posterior: Floats = odds / odds.sum(axis=1, keepdims=True)
        # Less than one clear view leaves the rest unknown.
        posterior *= np.minimum(seen, 1.0)[:, None]
        posterior[:, -1] += 1.0 - posterior.sum(axis=1)
        return posterior
