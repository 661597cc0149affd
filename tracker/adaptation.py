"""How lively the scene is: the filter's acceleration noise, learnt from its own errors.

A filter whose noise is set right leaves innovations that are white. Where what moves is livelier than assumed (a camera
on a shoulder, a tray that is shoved), each innovation resembles the one before; where it is calmer, it corrects the one
before (Mehra, "On the identification of variances and adaptive Kalman filtering", 1970). The mean product of successive
innovations of all tracks, in standard deviations, moves one factor for the centres and one for the sizes:

    log factor += rate * n / (n + 5) * (mean(e_t e_{t-1}) - set point)

over the n tracks that were seen well in both frames, within bounds.
"""

from __future__ import annotations

import math

import numpy as np

from tracker.kalman import Floats
from tracker.settings import TrackerSettings
from tracker.table import Mask, TrackTable

#: So many tracks in a frame are worth half of infinitely many.
HALF_WEIGHT_TRACKS = 5.0
#: Innovations beyond so many standard deviations count as this many.
MOST_SURPRISE = 3.0
#: A frame of this length moves the factors once; a longer one more, up to so many times.
STEP_S, MOST_STEPS = 1.0 / 30.0, 6.0


class Liveliness:
    """The two factors by which the assumed accelerations are multiplied, for the centres and for the sizes.

    Args:
        settings: `adapt_rate`, `adapt_size_rate`, `adapt_set_point`, `calmest` and `liveliest`.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        self._rates = settings.adapt_rate, settings.adapt_size_rate
        self._set_point = settings.adapt_set_point
        self._low, self._high = math.log(settings.calmest), math.log(settings.liveliest)
        self._logs = [0.0, 0.0]
        #: (4, 1) of the variance of the acceleration of each axis.
        self.variance_factors: Floats = np.ones((4, 1))

    def learn(self, table: TrackTable, innovation: Floats, total: Floats, well_seen: Mask, dt_s: float) -> None:
        """Take in the innovations of a frame.

        Args:
            table: keeps each track's latest innovation in `surprise`; 0 before the first and where it was not seen.
            innovation: (4, N) pixels.
            total: (4, N) their variances; infinite where nothing was measured.
            well_seen: (N,) tracks whose detection is to be trusted.
            dt_s: seconds since the frame before.
        """
        surprise = innovation / np.sqrt(total)
        np.minimum(np.maximum(surprise, -MOST_SURPRISE, out=surprise), MOST_SURPRISE, out=surprise)
        product = surprise * table.surprise
        product *= well_seen
        table.surprise[:] = surprise
        self.adapt(product, dt_s)

    def adapt(self, product: Floats, dt_s: float) -> None:
        """Move the factors by the products (4, N) of successive surprises, 0 where one is missing."""
        count = np.count_nonzero(product[0])
        if not count:
            return
        x, y, width, height = np.add.reduce(product, axis=1).tolist()
        step = min(dt_s / STEP_S, MOST_STEPS) * count / (count + HALF_WEIGHT_TRACKS)
        for k, alike in enumerate(((x + y) / (2 * count), (width + height) / (2 * count))):
            moved = self._logs[k] + self._rates[k] * step * (alike - self._set_point)
            self._logs[k] = min(max(moved, self._low), self._high)
            self.variance_factors[2 * k : 2 * k + 2] = math.exp(2.0 * self._logs[k])
