"""The batched filter against filterpy's, one object at a time."""

from __future__ import annotations

import numpy as np
import pytest
from filterpy.common import Q_discrete_white_noise
from filterpy.kalman import KalmanFilter
from hypothesis import given
from hypothesis import strategies as st

from tracker import kalman
from tracker.kalman import Gaussians


def _oracle(measured: np.ndarray, noise: np.ndarray, rate_std: np.ndarray) -> KalmanFilter:
    """Return filterpy's filter over (mean, rate) of the four axes: eight states."""
    oracle = KalmanFilter(dim_x=8, dim_z=4)
    oracle.x = np.zeros((8, 1))
    oracle.x[0::2, 0] = measured
    oracle.P = np.diag(np.stack([noise**2, rate_std**2], axis=1).ravel())
    oracle.H = np.zeros((4, 8))
    oracle.H[range(4), range(0, 8, 2)] = 1.0
    return oracle


def _predict(oracle: KalmanFilter, dt_s: float, acceleration: np.ndarray, decay: float) -> None:
    oracle.F = np.kron(np.eye(4), np.array([[1.0, dt_s], [0.0, decay]]))
    oracle.Q = np.zeros((8, 8))
    for axis in range(4):
        block = slice(2 * axis, 2 * axis + 2)
        oracle.Q[block, block] = Q_discrete_white_noise(2, dt_s, acceleration[axis] ** 2)
    oracle.predict()


@pytest.mark.parametrize("seed", range(5))
def test_equals_filterpy_over_a_life_with_variable_steps_misses_and_decay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 3
    measured = rng.uniform(20, 400, (count, 4))
    noise, rate_std = rng.uniform(0.5, 8, (count, 4)), rng.uniform(10, 300, (count, 4))
    batch = Gaussians.start(measured, noise, rate_std)
    oracles = [_oracle(measured[i], noise[i], rate_std[i]) for i in range(count)]
    for _ in range(60):
        dt_s = float(rng.choice([0.02, 0.033, 0.2, 0.7]))
        acceleration = rng.uniform(1, 900, (count, 4))
        decay = rng.uniform(0.3, 1.0, (count, 1))
        batch.predict(dt_s, acceleration, decay)
        rows = np.flatnonzero(rng.random(count) < 0.7)
        found, spread = rng.uniform(0, 500, (len(rows), 4)), rng.uniform(0.5, 20, (len(rows), 4))
        batch.update(rows, found, spread)
        for i, oracle in enumerate(oracles):
            _predict(oracle, dt_s, acceleration[i], float(decay[i, 0]))
            if i in rows:
                k = int(np.flatnonzero(rows == i)[0])
                oracle.update(found[k][:, None], R=np.diag(spread[k] ** 2))
            np.testing.assert_allclose(batch.mean[i], oracle.x[0::2, 0], rtol=1e-7, atol=1e-6)
            np.testing.assert_allclose(batch.rate[i], oracle.x[1::2, 0], rtol=1e-7, atol=1e-6)
            np.testing.assert_allclose(batch.p00[i], np.diag(oracle.P)[0::2], rtol=1e-6)
            np.testing.assert_allclose(batch.p11[i], np.diag(oracle.P)[1::2], rtol=1e-6)
            np.testing.assert_allclose(batch.p01[i], np.diag(oracle.P, k=1)[0::2], rtol=1e-5, atol=1e-6)


def test_no_decay_is_a_decay_of_one() -> None:
    start = np.array([[100.0, 50.0, 40.0, 30.0]])
    plain, ones = (Gaussians.start(start, start * 0.01, start) for _ in range(2))
    plain.rate[:] = ones.rate[:] = 7.0
    plain.predict(0.1, start)
    ones.predict(0.1, start, np.ones((1, 1)))
    for name in ("mean", "rate", "p00", "p01", "p11"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(ones, name))


def test_infinite_noise_leaves_an_axis_as_it_was() -> None:
    start = np.array([[100.0, 50.0, 40.0, 30.0]])
    states = Gaussians.start(start, start * 0.02, start)
    states.update(np.array([0]), start + 5.0, np.array([[1.0, 1.0, np.inf, np.inf]]))
    assert (states.mean[0, :2] > start[0, :2]).all()
    np.testing.assert_array_equal(states.mean[0, 2:], start[0, 2:])
    np.testing.assert_allclose(states.p00[0, 2:], (start[0, 2:] * 0.02) ** 2)


@given(
    steps=st.lists(
        st.tuples(st.floats(1e-3, 1.0), st.booleans(), st.floats(0.01, 100.0), st.floats(0.1, 1.0)),
        min_size=1,
        max_size=60,
    )
)
def test_covariance_stays_positive_definite(steps: list[tuple[float, bool, float, float]]) -> None:
    start = np.array([[300.0, 200.0, 60.0, 80.0]])
    states = Gaussians.start(start, start * 0.02 + 0.1, start)
    for dt_s, seen, noise, decay in steps:
        states.predict(dt_s, np.full((1, 4), 500.0), np.array([[decay]]))
        if seen:
            states.update(np.array([0]), start + noise, np.full((1, 4), noise))
        determinant = states.p00 * states.p11 - states.p01**2
        assert (states.p00 > 0).all()
        assert (states.p11 > 0).all()
        assert (determinant > 0).all()


def test_process_noise_is_that_of_filterpy() -> None:
    unit = Q_discrete_white_noise(dim=2, dt=1.0, var=1.0)
    np.testing.assert_array_equal(unit, [[kalman._Q00, kalman._Q01], [kalman._Q01, kalman._Q11]])
