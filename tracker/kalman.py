"""A Kalman filter for all tracks at once: constant velocity, four decoupled axes.

Each axis of a box (centre x, centre y, width, height) is a state of its own, x = (m, r): the value m in pixels and its
rate r in pixels per second. With time step dt the textbook equations are

    predict   x = F x,  P = F P F' + Q       F = [[1, dt], [0, d]],  Q = white acceleration over dt
    update    y = z - m,  S = p00 + R,  K = (p00, p01) / S,  x = x + K y,  P = (I - K H) P       H = [1, 0]

d is 1 for an object that is seen and exp(-dt / tau) for one that is not: what is not observed slows down. As the axes
never mix, the 8x8 covariance is four 2x2 blocks, of which three numbers each are kept (p00, p01, p11); all inverses
are divisions, and P stays positive definite because p00 and p00 p11 - p01^2 are only ever divided by S / R >= 1 in an
update and grow by Q in a prediction.

Q is filterpy's `Q_discrete_white_noise` (R. Labbe), taken once for dt = 1 s and variance 1: its entries grow with dt^4,
dt^3 and dt^2, and with the square of the acceleration, which is given relative to the size of each box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Q_discrete_white_noise(dim=2, dt=1.0, var=1.0), written out: importing filterpy costs a second of each start (it
# brings scipy.stats along), and a test holds these equal to what it returns.
_Q00, _Q01, _Q11 = 0.25, 0.5, 1.0


@dataclass(slots=True)
class Gaussians:
    """The states of N boxes, changed in place.

    Attributes:
        mean: (N, 4) centre x, centre y, width, height in pixels.
        rate: (N, 4) their rates in pixels per second.
        p00, p01, p11: (N, 4) variance of the mean, covariance, variance of the rate.
    """

    mean: Floats
    rate: Floats
    p00: Floats
    p01: Floats
    p11: Floats

    @classmethod
    def start(cls, measured: Floats, noise: Floats, rate_std: Floats) -> Gaussians:
        """Return states at rest on measurements (N, 4) with the given standard deviations (N, 4)."""
        return cls(measured.copy(), np.zeros_like(measured), noise**2, np.zeros_like(measured), rate_std**2)

    def predict(self, dt_s: float, acceleration: Floats, decay: Floats | None = None) -> None:
        """Move all states `dt_s` seconds on.

        Args:
            dt_s: seconds, > 0.
            acceleration: (N, 4) standard deviation of the white acceleration, pixels/s^2.
            decay: (1 or N, 1 or 4) factor d of the rates over this step, 0..1; None stands for 1.
        """
        variance = acceleration * acceleration
        p11 = self.p11
        self.mean += self.rate * dt_s
        self.p00 += dt_s * (2.0 * self.p01 + dt_s * p11) + (_Q00 * dt_s**4) * variance
        self.p01 += dt_s * p11
        if decay is not None:
            self.rate *= decay
            self.p01 *= decay
            self.p11 *= decay * decay
        self.p01 += (_Q01 * dt_s**3) * variance
        self.p11 += (_Q11 * dt_s**2) * variance

    def update(self, rows: NDArray[np.intp] | slice, measured: Floats, noise: Floats) -> None:
        """Correct the states `rows` (K,) by measurements (K, 4) with standard deviations `noise` (K, 4)."""
        p00, p01 = self.p00[rows], self.p01[rows]
        total = p00 + noise * noise
        gain0, gain1 = p00 / total, p01 / total
        innovation = measured - self.mean[rows]
        self.mean[rows] += gain0 * innovation
        self.rate[rows] += gain1 * innovation
        # The variance of the rate first: with a slice, p00 and p01 are views of what changes next.
        self.p11[rows] -= gain1 * p01
        self.p00[rows] -= gain0 * p00
        self.p01[rows] -= gain0 * p01

    def renew(self, which: NDArray[np.bool_], measured: Floats, noise: Floats) -> None:
        """Forget the marked axes (N, 4): put them at rest on `measured` (N, 4) with standard deviations `noise`."""
        self.mean[which] = measured[which]
        self.rate[which] = 0.0
        self.p00[which] = noise[which] ** 2
        self.p01[which] = 0.0
