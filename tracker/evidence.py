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

Only differences between the sums of one object matter (the softmax cancels what they share), so a detection that
names one class adds to the rows of that class and of *unknown* alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracker.kalman import Floats
from tracker.observations import Observations
from tracker.occlusion import most_covered
from tracker.settings import TrackerSettings
from tracker.table import TENTATIVE, Rows, TrackTable

#: More independent views than this do not make a posterior sharper: detectors err alike again and again.
MOST_VIEWS = 10.0
#: Views of a moving object are independent after this time at the earliest: blur and light stay the same for a while.
MOVING_VIEW_S = 0.15
#: Odds by which another label must win before the shown one changes.
INERTIA = 10.0
#: No class is ever impossible.
FLOOR = 1e-4
#: Share of a detection's doubt that goes to *unknown*; the rest is spread over the other classes.
UNKNOWN_SHARE = 0.4
#: A view weighs at least this much of a new one, and an object that is hidden at least this much of a seen one.
LEAST_NEW, LEAST_SEEN = 1e-3, 0.05
#: A hand's box is larger than the hand: what is detected under it is seen at least in part.
MOST_UNDER_HAND = 0.5
#: An object that moved less than this share of its size shows no new side.
LEAST_MOVED = 0.1


@dataclass(frozen=True, slots=True)
class ViewWeights:
    """What `kernels.weigh` is told; see there."""

    views: Floats
    trust: Floats


class ClassEvidence:
    """Reads class likelihoods off detections and keeps the sums in the track table.

    Args:
        classes: number C of classes.
        settings: see there.
    """

    def __init__(self, classes: int, settings: TrackerSettings) -> None:
        self._classes = classes
        self._settings = settings
        self._others = max(classes - 1, 1)
        view_rate, moving_rate = 1.0 / settings.view_s, 1.0 / MOVING_VIEW_S
        least = (LEAST_MOVED**2, LEAST_NEW, LEAST_SEEN)
        views = (view_rate, moving_rate, settings.view_shift, *least, MOST_VIEWS)
        trust = (settings.reliability, (1.0 - UNKNOWN_SHARE) / self._others, UNKNOWN_SHARE, FLOOR)
        self.weights = ViewWeights(np.array(views), np.array(trust))

    def add(self, table: TrackTable, column: Rows, everyone: bool, seen: Observations, elapsed_s: Floats) -> None:
        """Add the detections of this frame to their tracks, and let these show the most probable label.

        Args:
            table: the tracks; already updated to this frame.
            column: (N,) the detection of each track, -1 for none.
            everyone: whether no track is without.
            seen: the frame; at least one detection.
            elapsed_s: (N,) seconds since each track was matched before.
        """
        settings, mean = self._settings, table.motion.mean
        new = elapsed_s * (1.0 / settings.view_s)
        away = mean[:2] - table.viewed
        away *= away
        moved = away[0] + away[1]
        area = mean[2] * mean[3]
        far = moved > LEAST_MOVED**2 * area
        if not everyone:
            far &= column >= 0
        if np.count_nonzero(far):
            views = np.sqrt(moved[far] / area[far]) / settings.view_shift
            new[far] += np.minimum(views, elapsed_s[far] * (1.0 / MOVING_VIEW_S))
            np.copyto(table.viewed, mean[:2], where=far)
        np.minimum(new, 1.0, out=new)
        weight = np.maximum(new, LEAST_NEW)
        covered = table.covered
        if len(seen.hands):
            under = np.minimum(most_covered(seen.boxes(), seen.hands), MOST_UNDER_HAND)
            covered = np.maximum(covered, under.take(column))
        if np.count_nonzero(covered):
            weight *= np.maximum(1.0 - covered, LEAST_SEEN) ** 2
        if not everyone:
            matched = column >= 0
            new *= matched
            weight *= matched
        table.weight += weight
        table.views += new
        np.minimum(table.views, MOST_VIEWS, out=table.views)
        if seen.class_probs is None:
            self._add_classes(table, column, seen, weight)
        else:
            self._add_probabilities(table, column, seen.class_probs, weight)

    def _add_classes(self, table: TrackTable, column: Rows, seen: Observations, weight: Floats) -> None:
        """Add detections that name one class each; see `add`."""
        classes = seen.class_ids.take(column)
        sure = seen.scores.take(column) * self._settings.reliability
        doubt = 1.0 - sure
        other = np.maximum(doubt * ((1.0 - UNKNOWN_SHARE) / self._others), FLOOR)
        ratio = np.stack([np.maximum(sure, FLOOR), np.maximum(doubt * UNKNOWN_SHARE, FLOOR)])
        ratio /= other
        # What is seen again as what it is shown as stays what it is: only doubts need a look.
        changed = (classes != table.held) & (weight > 0.0)
        self.add_ratios(table, classes, weight, ratio, bool(np.count_nonzero(changed)))

    def add_ratios(
        self, table: TrackTable, classes: NDArray[np.int64], weight: Floats, ratio: Floats, differs: bool
    ) -> None:
        """Add what detections say that name one class each.

        Args:
            table: the tracks.
            classes: (N,) that are named.
            weight: (N,) of the views; 0 for tracks without a detection.
            ratio: (2, N) likelihoods of the named class and of *unknown* against any other class.
            differs: whether a class is named that its track does not show.
        """
        ratio = np.log(ratio)
        ratio *= weight
        table.log_likelihood[classes, np.arange(len(table))] += ratio[0]
        table.log_likelihood[self._classes] += ratio[1]
        if differs:
            self._hold(table, ((classes != table.held) & (weight > 0.0)).nonzero()[0])

    def _add_probabilities(self, table: TrackTable, column: Rows, class_probs: Floats, weight: Floats) -> None:
        """Add detections (M, C) that say how probable each class is; see `add`."""
        known = class_probs.T.take(column, axis=1)
        likelihood = np.concatenate([known, 1.0 - np.add.reduce(known, axis=0)[None]])
        np.maximum(likelihood, FLOOR, out=likelihood)
        table.log_likelihood += weight * np.log(likelihood)
        self._hold(table, (weight > 0.0).nonzero()[0])

    def _hold(self, table: TrackTable, rows: Rows) -> None:
        """Choose the labels that the tracks `rows` (K,) show; ties go to the first in the labels' order.

        Nobody has seen the label of a tentative track yet: it may change with every look.
        """
        odds = self._odds(table, rows)[: self._classes]
        held, lines = table.held.take(rows), np.arange(rows.shape[0])
        shown = (held < self._classes) & (table.state.take(rows) != TENTATIVE)
        odds[held[shown], lines[shown]] *= INERTIA
        table.held[rows] = odds.argmax(axis=0)

    def _odds(self, table: TrackTable, rows: Rows) -> Floats:
        """Return (C + 1, K) odds of each class against the likeliest."""
        sharp = np.maximum(self._clear_views(table, rows), 1.0) / np.maximum(table.weight.take(rows), 1e-9)
        logits = table.log_likelihood.take(rows, axis=1)
        logits *= sharp
        logits -= np.maximum.reduce(logits, axis=0)
        return np.exp(logits, out=logits)

    def _clear_views(self, table: TrackTable, rows: Rows) -> Floats:
        """Return how many clear views (K,) the evidence of the tracks `rows` is worth, about 1 and more for most."""
        views, weight = table.views.take(rows), table.weight.take(rows)
        # What was only ever seen under a hand stays a guess, however often it was seen.
        return (1.0 + views) * np.minimum(weight / np.maximum(views, LEAST_NEW), 1.0)

    def posterior(self, table: TrackTable, rows: Rows) -> Floats:
        """Return the class posterior (C + 1, K) of the tracks `rows` (K,); the last row is *unknown*."""
        odds = self._odds(table, rows)
        odds /= np.add.reduce(odds, axis=0)
        # Less than one clear view leaves the rest unknown.
        odds *= np.minimum(self._clear_views(table, rows), 1.0)
        odds[-1] += 1.0 - np.add.reduce(odds, axis=0)
        return odds
