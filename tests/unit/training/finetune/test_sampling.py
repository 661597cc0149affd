"""Rare classes come up as often as the formula says, spread evenly and always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.records import DetectionSet, Sample
from training.finetune.sampling import repeat_factors, repeated


def as_set(classes: list[list[int]], ignored: bool = False) -> DetectionSet:
    samples = tuple(
        Sample(
            Path(f"{i}.jpg"),
            9,
            9,
            np.zeros((len(mine), 4), np.float32),
            np.array(mine, np.int64),
            np.full(len(mine), ignored),
        )
        for i, mine in enumerate(classes)
    )
    return DetectionSet("s", ("a", "b", "c"), samples, "")


def test_factors_are_those_of_the_paper() -> None:
    whole = as_set([[0]] * 90 + [[0, 1]] * 9 + [[2]])
    factors = repeat_factors(whole, 0.36)
    assert factors[:90].tolist() == [1.0] * 90  # f = .99
    assert factors[90:99] == pytest.approx(2.0)  # sqrt(.36 / .09)
    assert factors[99] == 4.0  # sqrt(.36 / .01) = 6, at most 4
    assert repeat_factors(whole, 0.36, most=9.0)[99] == pytest.approx(6.0)
    assert set(repeat_factors(whole, 0.0).tolist()) == {1.0}


def test_backgrounds_and_ignored_objects_are_not_repeated() -> None:
    assert repeat_factors(as_set([[], [0]]), 1.0).tolist() == [1.0, pytest.approx(2**0.5)]
    assert repeat_factors(as_set([[0], [0]], ignored=True), 1.0).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(1, 4), min_size=1, max_size=200))
def test_a_round_sums_up_to_the_factors(factors: list[float]) -> None:
    row = repeated(np.array(factors))
    times = np.bincount(row, minlength=len(factors))
    assert abs(len(row) - sum(factors)) <= 1
    assert (times >= np.floor(factors)).all()
    assert (times <= np.ceil(factors)).all()
    assert np.array_equal(row, repeated(np.array(factors)))


def test_fractions_are_spread_over_the_set() -> None:
    times = np.bincount(repeated(np.full(100, 1.5)), minlength=100)
    assert times.sum() == 150
    for start in range(0, 100, 10):
        assert 3 <= (times[start : start + 10] == 2).sum() <= 7
