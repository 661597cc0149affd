"""A Kalman filter for all tracks at once: constant velocity, four decoupled axes.

Each axis of a box (centre x, centre y, width, height) is a state of its own, x = (m, r): the value m in pixels and its
rate r in pixels per second. With time step dt the textbook equations are

    predict   x = F x,  P = F P F' + Q       F = [[1, dt], [0, d]],  Q = white acceleration over dt
    update    y = z - m,  S = p00 + R,  K = (p00, p01) / S,  x = x + K y,  P = (I - K H) P       H = [1, 0]

d is 1 for an object that is seen and exp(-dt / tau) for one that is not: what is not observed slows down. As the axes
never mix, the 8x8 covariance is four 2x2 blocks, of which three numbers each are kept (p00, p01, p11); all inverses
are divisions, and P stays positive definite because p00 and p00 p11 - p01^2 are only ever divided by S / R >= 1 in an
update and grow by Q in a prediction.

The five numbers (m, r, p00, p01, p11) of an axis are one column. F P F' is taken one factor after the other: p00 grows
by dt p01, p01 by dt p11, and p00 by dt times the new p01, which makes p00 + 2 dt p01 + dt^2 p11. No matrix product is
asked for: these sums are the same to the last bit on every machine, those of a library are not. Q is filterpy's
`Q_discrete_white_noise` (R. Labbe), taken once for dt = 1 s and variance 1: its entries grow with dt^4, dt^3 and dt^2,
and with the square of the acceleration, which is given relative to the size of each box (`squared_sizes`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Q_discrete_white_noise(dim=2, dt=1.0, var=1.0), written out: importing filterpy costs a second of each start (it
# brings scipy.stats along), and a test holds these equal to what it returns.
_Q00, _Q01, _Q11 = 0.25, 0.5, 1.0


def process_noise(dt_s: float, acceleration: Floats) -> Floats:
    """Return Q (3, 4, 1) as variances p00, p01, p11 of each axis for a box of size 1.

    Args:
        dt_s: seconds, > 0.
        acceleration: (4,) standard deviation of the white acceleration, sizes (or own lengths)/s^2.
    """
    steps = np.array([_Q00 * dt_s**4, _Q01 * dt_s**3, _Q11 * dt_s**2])
    noise: Floats = np.multiply.outer(steps, acceleration**2)[:, :, None]
    return noise


def squared_sizes(sides: Floats) -> Floats:
    """Return (4, N): the squared size (area) for both centre axes, then the squared width and height.

    Args:
        sides: (2, N) width and height in pixels.
    """
    squares = np.empty((4, sides.shape[1]))
    np.multiply(sides[0], sides[1], out=squares[0])
    squares[1] = squares[0]
    np.multiply(sides, sides, out=squares[2:])
    return squares


class Gaussians:
    """The states of N boxes.

    Attributes:
        state: (5, 4, N): mean, rate, p00, p01, p11 by axis.
        mean: (4, N) centre x, centre y, width, height in pixels; like the rest a view of `state`.
        rate: (4, N) their rates in pixels per second.
        p00, p01, p11: (4, N) variance of the mean, covariance, variance of the rate.
    """

    __slots__ = ("mean", "p00", "p01", "p11", "rate", "state")

    def __init__(self, state: Floats) -> None:
        self.bind(state)

    def bind(self, state: Floats) -> None:
        """Take `state` (5, 4, N) as one's own."""
        self.state = state
        self.mean, self.rate, self.p00, self.p01, self.p11 = state

    @classmethod
    def start(cls, measured: Floats, noise: Floats, rate_std: Floats) -> Gaussians:
        """Return states at rest on measurements (4, N) with the given standard deviations (4, N)."""
        zeros = np.zeros_like(measured)
        return cls(np.stack([measured, zeros, noise * noise, zeros, rate_std * rate_std]))

    def predict(self, dt_s: float, noise: Floats, squares: Floats, keeps_size: bool = False) -> None:
        """Move all states on, in place, with d = 1.

        Args:
            dt_s: seconds, > 0.
            noise: (3, 4, 1) of `process_noise`.
            squares: (4, N) of `squared_sizes`.
            keeps_size: d = 0 for width and height: a size has no rate that lasts.
        """
        state, variances = self.state, self.state[2:]
        self.mean += self.rate * dt_s
        variances[:2] += variances[1:] * dt_s
        self.p00 += self.p01 * dt_s
        if keeps_size:
            state[1, 2:] = 0.0
            state[3:, 2:] = 0.0
        variances += noise * squares

    def slow_down(self, decay: Floats) -> None:
        """Multiply the rates of the centres by `decay` (N,), 0..1, after a prediction whose d was 1."""
        self.rate[:2] *= decay
        self.p01[:2] *= decay
        self.p11[:2] *= decay * decay

    def update(self, measured: Floats, variance: Floats) -> tuple[Floats, Floats]:
        """Correct all states by measurements (4, N) with `variance` (4, N); infinite variance leaves a state alone.

        Returns:
            The innovations (4, N) y = z - m, and their variances (4, N) S.
        """
        state, p01 = self.state, self.p01
        total = self.p00 + variance
        gain = state[2:4] / total
        innovation = measured - self.mean
        state[:2] += gain * innovation
        # The variance of the rate first: it needs p01 as it was.
        self.p11 -= gain[1] * p01
        state[2:4] -= gain[0] * state[2:4]
        return innovation, total

    def warp(self, affine: Floats) -> None:
        """Move all states with the camera: `affine` (2, 3) takes points of the frame before to this one.

        Centres and rates are rotated and scaled, sizes scaled, variances with the squared scale.
        """
        turn = affine[:, :2]
        scale = float(np.sqrt(abs(np.linalg.det(turn))))
        self.mean[:2] = turn @ self.mean[:2] + affine[:, 2:]
        self.rate[:2] = turn @ self.rate[:2]
        self.mean[2:] *= scale
        self.rate[2:] *= scale
        self.state[2:] *= scale * scale

    def renew(self, which: NDArray[np.bool_], measured: Floats, variance: Floats) -> None:
        """Forget the marked axes (4, N): put them at rest on `measured` (4, N) with `variance` (4, N)."""
        self.mean[which] = measured[which]
        self.rate[which] = 0.0
        self.p00[which] = variance[which]
        self.p01[which] = 0.0
