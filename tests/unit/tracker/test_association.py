"""Pairing up: against brute force, and the cases that a greedy matcher gets wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from core.boxes import iou, to_xyxy
from tracker.association import Pairs, assign, compare, similar_size, touching
from tracker.group_motion import common_shift
from tracker.settings import COUNTER

LIMIT = 1.0


def _pairs(cost: np.ndarray) -> Pairs:
    rows, columns = np.nonzero(np.isfinite(cost))
    return Pairs(rows, columns, cost[rows, columns], np.ones(len(rows)), (cost.shape[0], cost.shape[1]))


def _least(cost: np.ndarray) -> float:
    """Return the lowest total of (cost - LIMIT) over all partial pairings, by trying them all."""
    gain = np.minimum(cost - LIMIT, 0.0)
    padded = np.zeros((cost.shape[0], cost.shape[1] + cost.shape[0]))
    padded[:, : cost.shape[1]] = gain
    every = itertools.permutations(range(padded.shape[1]), cost.shape[0])
    return min(sum(padded[i, j] for i, j in enumerate(choice)) for choice in every)


@pytest.mark.parametrize("seed", range(20))
def test_assign_is_the_cheapest_pairing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Up to six by four: some blocks are small enough to be tried out, some go to the solver.
    cost = rng.uniform(0, 1.4, (rng.integers(1, 7), rng.integers(1, 5)))
    cost[rng.random(cost.shape) < 0.3] = np.inf
    rows, columns = assign(_pairs(cost), None, LIMIT)
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(columns.tolist())) == len(columns)
    assert (cost[rows, columns] < LIMIT).all()
    assert (cost[rows, columns] - LIMIT).sum() == pytest.approx(_least(cost))


def test_a_far_pair_is_not_forced_upon_two_others() -> None:
    cost = np.array([[0.1, 0.5], [0.95, np.inf]])
    rows, columns = assign(_pairs(cost), np.ones(3, dtype=bool), LIMIT)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0)]


def test_only_allowed_pairs_are_used() -> None:
    pairs = _pairs(np.array([[0.1, 0.2]]))
    rows, columns = assign(pairs, np.array([False, True]), LIMIT)
    assert (rows.tolist(), columns.tolist()) == ([0], [1])


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return centre x, centre y, width, height (4, count)."""
    return np.concatenate([rng.uniform(0, 300, (2, count)), rng.uniform(20, 90, (2, count))])


def test_touching_finds_all_pairs_that_overlap_and_compare_is_iou_without_buffer() -> None:
    rng = np.random.default_rng(0)
    tracks, found = _boxes(rng, 12), _boxes(rng, 9)
    rows, columns = touching(tracks, found, 0.0)
    expected = iou(to_xyxy(tracks.T), to_xyxy(found.T))
    assert {*zip(rows.tolist(), columns.tolist(), strict=True)} == {*zip(*np.nonzero(expected), strict=True)}
    plain = COUNTER.model_copy(update={"buffer": 0.0, "keeps_size": False, "height_weight": 0.0})
    overlap, _ = compare(tracks[:, rows], found[:, columns], plain)
    np.testing.assert_allclose(overlap, expected[rows, columns])


def test_the_height_tells_people_of_one_size_from_those_behind_them() -> None:
    near, behind = np.array([[100.0], [100.0], [40.0], [120.0]]), np.array([[100.0], [85.0], [40.0], [90.0]])
    plain = COUNTER.model_copy(update={"height_weight": 0.0})
    aware = COUNTER.model_copy(update={"height_weight": 1.0})
    assert compare(near, near, aware)[0] == pytest.approx(1.0)
    assert compare(near, behind, aware)[0][0] < compare(near, behind, plain)[0][0] - 0.1


def test_a_piece_inside_an_object_of_known_size_is_at_no_distance() -> None:
    whole, piece = np.array([[100.0], [100], [60], [60]]), np.array([[85.0], [100], [30], [60]])
    assert compare(whole, piece, COUNTER)[1] == pytest.approx(0.0)
    assert compare(whole, piece, COUNTER.model_copy(update={"keeps_size": False}))[1] == pytest.approx(15 / 45)


def test_similar_size_looks_at_both_sides() -> None:
    sizes = np.array([[60.0], [60.0]])
    assert similar_size(sizes, np.array([[70.0, 60.0], [55.0, 100.0]]), 0.3).tolist() == [[True, False]]


def test_a_common_shift_is_found_among_ghosts_and_misses() -> None:
    rng = np.random.default_rng(1)
    tracks = np.concatenate([rng.uniform(50, 500, (2, 7)), rng.uniform(50, 90, (2, 7))])
    found = tracks[:, 1:] + np.array([[70.0], [-35.0], [0.0], [0.0]])
    ghost = np.array([[20.0], [20.0], [60.0], [60.0]])
    shift = common_shift(tracks, np.concatenate([found, ghost], axis=1))
    assert shift is not None
    assert shift == pytest.approx([70.0, -35.0], abs=1e-9)


def test_no_shift_where_everything_stands_or_most_is_missing() -> None:
    rng = np.random.default_rng(2)
    tracks = np.concatenate([rng.uniform(50, 500, (2, 7)), np.full((2, 7), 70.0)])
    assert common_shift(tracks, tracks + 1.0) is None
    assert common_shift(tracks, tracks[:, :2]) is None
    assert common_shift(tracks[:, :1], tracks) is None
