"""A Kalman filter for all tracks at once: constant velocity, four decoupled axes.

Each axis of a box (centre x, centre y, width, height) is a state of its own, x = (m, r): the value m in pixels and its
rate r in pixels per second. With time step dt the textbook equations are

    predict   x = F x,  P = F P F' + Q       F = [[1, dt], [0, d]],  Q = white acceleration over dt
    update    y = z - m,  S = p00 + R,  K = (p00, p01) / S,  x = x + K y,  P = (I - K H) P       H = [1, 0]

d is 1 for an object that is seen and exp(-dt / tau) for one that is not: what is not observed slows down. As the axes
never mix, the 8x8 covariance is four 2x2 blocks, of which three numbers each are kept (p00, p01, p11); all inverses
are divisions, and P stays positive definite because p00 and p00 p11 - p01^2 are only ever divided by S / R >= 1 in an
update and grow by Q in a prediction.

For each axis the five numbers (m, r, p00, p01, p11) of a track are one column; F x and F P F' are linear in them, so
one small matrix a step and axis predicts every track (`transition`). Q is filterpy's `Q_discrete_white_noise` (R.
Labbe), taken once for dt = 1 s and variance 1: its entries grow with dt^4, dt^3 and dt^2, and with the square of the
acceleration, which is given relative to the size of each box (`squared_sizes`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Q_discrete_white_noise(dim=2, dt=1.0, var=1.0), written out: importing filterpy costs a second of each start (it
# brings scipy.stats along), and a test holds these equal to what it returns.
_Q00, _Q01, _Q11 = 0.25, 0.5, 1.0


def transition(dt_s: float, decay: Floats) -> Floats:
    """Return the matrices (4, 5, 5) that move (m, r, p00, p01, p11) of each axis `dt_s` seconds on, without Q.

    Args:
        dt_s: seconds, > 0.
        decay: (4,) factor d of each axis' rate over this step, 0..1.
    """
    matrix = np.zeros((4, 5, 5))
    matrix[:, 0, 0] = matrix[:, 2, 2] = 1.0
    matrix[:, 0, 1], matrix[:, 1, 1] = dt_s, decay
    matrix[:, 2, 3], matrix[:, 2, 4] = 2.0 * dt_s, dt_s * dt_s
    matrix[:, 3, 3], matrix[:, 3, 4] = decay, decay * dt_s
    matrix[:, 4, 4] = decay * decay
    return matrix


def process_noise(dt_s: float, acceleration: Floats) -> Floats:
    """Return Q of each axis (4, 3, 1) as variances p00, p01, p11 for a box of size 1.

    Args:
        dt_s: seconds, > 0.
        acceleration: (4,) standard deviation of the white acceleration, sizes (or own lengths)/s^2.
    """
    steps = np.array([_Q00 * dt_s**4, _Q01 * dt_s**3, _Q11 * dt_s**2])
    noise: Floats = (acceleration[:, None] ** 2 * steps)[:, :, None]
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
        state: (4, 5, N) by axis: mean, rate, p00, p01, p11 of each track.
        mean: (4, N) centre x, centre y, width, height in pixels; like the rest a view of `state`.
        rate: (4, N) their rates in pixels per second.
        p00, p01, p11: (4, N) variance of the mean, covariance, variance of the rate.
    """

    __slots__ = ("mean", "p00", "p01", "p11", "rate", "state")

    def __init__(self, state: Floats) -> None:
        self.bind(state)

    def bind(self, state: Floats) -> None:
        """Take `state` (4, 5, N) as one's own."""
        self.state = state
        self.mean: Floats = state[:, 0]
        self.rate: Floats = state[:, 1]
        self.p00: Floats = state[:, 2]
        self.p01: Floats = state[:, 3]
        self.p11: Floats = state[:, 4]

    @classmethod
    def start(cls, measured: Floats, noise: Floats, rate_std: Floats) -> Gaussians:
        """Return states at rest on measurements (4, N) with the given standard deviations (4, N)."""
        state = np.zeros((4, 5, measured.shape[1]))
        state[:, 0], state[:, 2], state[:, 4] = measured, noise * noise, rate_std * rate_std
        return cls(state)

    def predict(self, matrix: Floats, noise: Floats, squares: Floats) -> None:
        """Move all states on.

        Args:
            matrix: (4, 5, 5) of `transition`.
            noise: (4, 3, 1) of `process_noise`.
            squares: (4, N) of `squared_sizes`.
        """
        state = np.matmul(matrix, self.state)
        state[:, 2:] += noise * squares[:, None]
        self.bind(state)

    def slow_down(self, decay: Floats) -> None:
        """Multiply the rates of the centres by `decay` (N,), 0..1, after a prediction whose d was 1."""
        self.state[:2, 1] *= decay
        self.state[:2, 3] *= decay
        self.state[:2, 4] *= decay * decay

    def update(self, measured: Floats, variance: Floats) -> tuple[Floats, Floats]:
        """Correct all states by measurements (4, N) with `variance` (4, N); infinite variance leaves a state alone.

        Returns:
            The innovations (4, N) y = z - m, and their variances (4, N) S.
        """
        state = self.state
        total = state[:, 2] + variance
        gain = state[:, 2:4] / total[:, None]
        innovation = measured - state[:, 0]
        state[:, :2] += gain * innovation[:, None]
        # The variance of the rate first: it needs p01 as it was.
        state[:, 4] -= gain[:, 1] * state[:, 3]
        state[:, 2:4] -= gain[:, :1] * state[:, 2:4]
        return innovation, total

    def shift(self, columns: NDArray[np.bool_], step: Floats) -> None:
        """Move the centres of the marked tracks (N,) by `step` (2,) pixels."""
        self.mean[:2] += step[:, None] * columns

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
        self.state[:, 2:] *= scale * scale

    def renew(self, which: NDArray[np.bool_], measured: Floats, variance: Floats) -> None:
        """Forget the marked axes (4, N): put them at rest on `measured` (4, N) with `variance` (4, N)."""
        self.mean[which] = measured[which]
        self.rate[which] = 0.0
        self.p00[which] = variance[which]
        self.p01[which] = 0.0
