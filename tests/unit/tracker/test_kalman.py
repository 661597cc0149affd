"""The batched filter against filterpy's, one object at a time."""

from __future__ import annotations

import numpy as np
import pytest
from filterpy.common import Q_discrete_white_noise
from filterpy.kalman import KalmanFilter
from hypothesis import given
from hypothesis import strategies as st

from tracker import kalman
from tracker.kalman import Gaussians, process_noise, squared_sizes


def _oracle(measured: np.ndarray, noise: np.ndarray, rate_std: np.ndarray) -> KalmanFilter:
    """Return filterpy's filter over (mean, rate) of the four axes: eight states."""
    oracle = KalmanFilter(dim_x=8, dim_z=4)
    oracle.x = np.zeros((8, 1))
    oracle.x[0::2, 0] = measured
    oracle.P = np.diag(np.stack([noise**2, rate_std**2], axis=1).ravel())
    oracle.H = np.zeros((4, 8))
    oracle.H[range(4), range(0, 8, 2)] = 1.0
    return oracle


def _predict(oracle: KalmanFilter, dt_s: float, acceleration: np.ndarray, decay: np.ndarray) -> None:
    oracle.F, oracle.Q = np.zeros((8, 8)), np.zeros((8, 8))
    for axis in range(4):
        block = slice(2 * axis, 2 * axis + 2)
        oracle.F[block, block] = [[1.0, dt_s], [0.0, decay[axis]]]
        oracle.Q[block, block] = Q_discrete_white_noise(2, dt_s, acceleration[axis] ** 2)
    oracle.predict()


@pytest.mark.parametrize("keeps_size", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equals_filterpy_over_a_life_with_variable_steps_misses_and_decay(seed: int, keeps_size: bool) -> None:
    rng = np.random.default_rng(seed)
    count = 3
    measured = rng.uniform(20, 400, (4, count))
    noise, rate_std = rng.uniform(0.5, 8, (4, count)), rng.uniform(10, 300, (4, count))
    batch = Gaussians.start(measured, noise, rate_std)
    oracles = [_oracle(measured[:, i], noise[:, i], rate_std[:, i]) for i in range(count)]
    for _ in range(60):
        dt_s = float(rng.choice([0.02, 0.033, 0.2, 0.7]))
        acceleration, centre_decay = rng.uniform(1, 9, 4), rng.uniform(0.3, 1.0)
        decay = np.array([centre_decay, centre_decay, *([0.0] * 2 if keeps_size else [1.0] * 2)])
        squares = squared_sizes(np.abs(batch.mean[2:]) + 1.0)
        quiet = np.zeros((3, 4, 1))
        batch.predict(dt_s, quiet, squares, keeps_size)
        batch.slow_down(np.full(count, centre_decay))
        batch.state[2:] += process_noise(dt_s, acceleration) * squares
        seen = rng.random(count) < 0.7
        found, spread = rng.uniform(0, 500, (4, count)), rng.uniform(0.5, 20, (4, count))
        batch.update(found, np.where(seen, spread**2, np.inf))
        for i, oracle in enumerate(oracles):
            _predict(oracle, dt_s, acceleration * np.sqrt(squares[:, i]), decay)
            if seen[i]:
                oracle.update(found[:, i][:, None], R=np.diag(spread[:, i] ** 2))
            np.testing.assert_allclose(batch.mean[:, i], oracle.x[0::2, 0], rtol=1e-7, atol=1e-6)
            np.testing.assert_allclose(batch.rate[:, i], oracle.x[1::2, 0], rtol=1e-7, atol=1e-6)
            np.testing.assert_allclose(batch.p00[:, i], np.diag(oracle.P)[0::2], rtol=1e-6)
            np.testing.assert_allclose(batch.p11[:, i], np.diag(oracle.P)[1::2], rtol=1e-6)
            np.testing.assert_allclose(batch.p01[:, i], np.diag(oracle.P, k=1)[0::2], rtol=1e-5, atol=1e-6)


START = np.array([[100.0], [50.0], [40.0], [30.0]])


def test_noise_is_added_by_the_prediction() -> None:
    plain, noisy = (Gaussians.start(START, START * 0.01, START) for _ in range(2))
    squares, noise = squared_sizes(START[2:]), process_noise(0.1, np.array([8.0, 8.0, 2.0, 2.0]))
    plain.predict(0.1, np.zeros((3, 4, 1)), squares)
    noisy.predict(0.1, noise, squares)
    np.testing.assert_allclose(noisy.state[2:] - plain.state[2:], noise * squares)
    np.testing.assert_array_equal(noisy.state[:2], plain.state[:2])


def test_infinite_variance_leaves_an_axis_as_it_was() -> None:
    states = Gaussians.start(START, START * 0.02, START)
    states.update(START + 5.0, np.array([[1.0], [1.0], [np.inf], [np.inf]]))
    assert (states.mean[:2] > START[:2]).all()
    np.testing.assert_array_equal(states.mean[2:], START[2:])
    np.testing.assert_allclose(states.p00[2:], (START[2:] * 0.02) ** 2)


def test_a_camera_that_turns_and_zooms_takes_the_states_along() -> None:
    states = Gaussians.start(START, START * 0.02, START)
    states.rate[:2, 0] = 10.0, 0.0
    states.warp(np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 7.0]]))
    np.testing.assert_allclose(states.mean[:, 0], [2 * -50 + 5, 2 * 100 + 7, 80, 60])
    np.testing.assert_allclose(states.rate[:2, 0], [0.0, 20.0], atol=1e-12)
    np.testing.assert_allclose(states.p00[:, 0], 4 * (START[:, 0] * 0.02) ** 2)


@given(
    steps=st.lists(
        st.tuples(st.floats(1e-3, 1.0), st.booleans(), st.floats(0.01, 100.0), st.floats(0.1, 1.0)),
        min_size=1,
        max_size=60,
    )
)
def test_covariance_stays_positive_definite(steps: list[tuple[float, bool, float, float]]) -> None:
    start = np.array([[300.0], [200.0], [60.0], [80.0]])
    states = Gaussians.start(start, start * 0.02 + 0.1, start)
    for dt_s, seen, noise, decay in steps:
        states.predict(dt_s, process_noise(dt_s, np.full(4, 8.0)), squared_sizes(start[2:]))
        states.slow_down(np.array([decay]))
        states.update(start + noise, np.full((4, 1), noise**2 if seen else np.inf))
        determinant = states.p00 * states.p11 - states.p01**2
        assert (states.p00 > 0).all()
        assert (states.p11 > 0).all()
        assert (determinant > 0).all()


def test_process_noise_is_that_of_filterpy() -> None:
    unit = Q_discrete_white_noise(dim=2, dt=1.0, var=1.0)
    np.testing.assert_array_equal(unit, [[kalman._Q00, kalman._Q01], [kalman._Q01, kalman._Q11]])
