"""How lively the scene is: the filter's acceleration noise, learnt from its own errors.

A filter whose noise is set right leaves innovations that are white. Where what moves is livelier than assumed (a camera
on a shoulder, a tray that is shoved), each innovation resembles the one before; where it is calmer, it corrects the one
before (Mehra, "On the identification of variances and adaptive Kalman filtering", 1970). The mean product of successive
innovations of all tracks, in standard deviations, moves one factor for the centres and one for the sizes:

    log factor += rate * n / (n + 5) * (mean(e_t e_{t-1}) - set point)

over the n tracks that were seen well in both frames, within bounds.
"""

from __future__ import annotations

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
    """The two factors by which the assumed accelerations are multiplied.

    Args:
        settings: `adapt_rate`, `adapt_size_rate`, `adapt_set_point`, `calmest` and `liveliest`.
    """

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings
        self._rates = np.array([settings.adapt_rate, settings.adapt_size_rate])
        self._low, self._high = float(np.log(settings.calmest)), float(np.log(settings.liveliest))
        self._log = np.zeros(2)
        #: (4, 1, 1) of the variance of the acceleration of each axis.
        self.variance_factors: Floats = np.ones((4, 1, 1))

    def learn(self, table: TrackTable, innovation: Floats, total: Floats, well_seen: Mask, dt_s: float) -> None:
        """Take in the innovations of a frame.

        Args:
            table: keeps each track's latest innovation in `surprise`.
            innovation: (4, N) pixels.
            total: (4, N) their variances; infinite where nothing was measured.
            well_seen: (N,) tracks whose detection is to be trusted.
            dt_s: seconds since the frame before.
        """
        surprise = np.clip(innovation / np.sqrt(total), -MOST_SURPRISE, MOST_SURPRISE)
        product = surprise * table.surprise
        # NaN before a second sighting; zero where nothing was measured.
        usable = well_seen & (product[0] == product[0]) & (surprise[0] != 0.0)
        count = np.count_nonzero(usable)
        table.surprise[:] = surprise
        if not count:
            return
        alike = np.add.reduce(product[:, usable], axis=1) / count
        steps = min(dt_s / STEP_S, MOST_STEPS)
        pull = np.array([alike[0] + alike[1], alike[2] + alike[3]]) * 0.5
        self._log += (
            self._rates * (steps * count / (count + HALF_WEIGHT_TRACKS)) * (pull - self._settings.adapt_set_point)
        )
        np.clip(self._log, self._low, self._high, out=self._log)
        self.variance_factors = np.exp(2.0 * self._log).repeat(2)[:, None, None]
