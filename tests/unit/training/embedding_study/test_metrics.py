"""Distances, ranks and separation: against values worked out by hand, and a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.embedding_study.metrics import answers, class_matrix, cosine_distances, scores, sibling_chance


def test_cosine_distances_by_hand() -> None:
    queries = np.array([[1.0, 0.0], [0.0, 0.0]])
    gallery = np.array([[2.0, 0.0], [0.0, 5.0], [-3.0, 0.0], [1.0, 1.0]])
    got = cosine_distances(queries, gallery)
    np.testing.assert_allclose(got[0], [0.0, 1.0, 2.0, 1 - 2**-0.5], atol=1e-7)
    np.testing.assert_array_equal(got[1], 1.0)  # zeros are one from all


@given(st.integers(0, 2**31), st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_length_and_turning_change_nothing(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = rng.normal(size=(5, 8)), rng.normal(size=(7, 8))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    before = cosine_distances(queries, gallery)
    np.testing.assert_allclose(cosine_distances(queries * scale, gallery), before, atol=1e-6)
    np.testing.assert_allclose(cosine_distances(queries @ turn, gallery @ turn), before, atol=1e-6)


def test_answers_by_hand() -> None:
    distances = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5]])
    gallery = np.array([0, 1, 2, 0])
    got = answers(distances, np.array([0, 2, 0]), gallery, np.array([0, 1, 1]))
    assert got.rank.tolist() == [1, 3, 3]  # of equal distances strangers come first
    assert got.nearest.tolist() == [0, 0, 1]
    assert got.sibling.tolist() == [False, False, False]
    # query 0: own at .1 and .4, others at .2 and .3: two of four pairs; query 1: one of three; ties count half
    np.testing.assert_allclose(got.auroc, [0.5, 1 / 3, 0.5])


def test_a_wrong_nearest_of_the_same_coarse_class_is_plausible() -> None:
    distances = np.array([[0.2, 0.1, 0.3], [0.2, 0.3, 0.1]])
    got = answers(distances, np.array([0, 0]), np.array([0, 1, 2]), np.array([0, 0, 1]))
    assert got.sibling.tolist() == [True, False]
    figures = scores(got, np.array([[1, 1], [2, 0], [0, 2]]), True)
    assert figures.plausible.value == pytest.approx(0.5)
    assert (figures.top1.value, figures.top5.value) == (0.0, 1.0)
    assert figures.mrr.value == pytest.approx(0.5)


def test_d_prime_by_hand() -> None:
    # own: 0, 1 (mean .5, variance .25); others: 1, 2 (mean 1.5, variance .25): one over the root of .25
    got = answers(np.array([[0.0, 1.0, 1.0, 2.0]]), np.array([0]), np.array([0, 0, 1, 1]), None)
    assert got.d_prime == pytest.approx(2.0)


def test_a_query_does_not_see_what_is_hidden() -> None:
    distances = np.array([[0.0, 0.3, 0.2]])
    got = answers(distances, np.array([0]), np.array([0, 0, 1]), None, np.array([[True, False, False]]))
    assert got.rank.tolist() == [2]
    assert got.nearest.tolist() == [2]
    assert got.auroc.tolist() == [0.0]


def test_a_query_that_cannot_be_answered_is_refused() -> None:
    with pytest.raises(ValueError, match="no photo of its class"):
        answers(np.ones((1, 2)), np.array([5]), np.array([0, 1]), None)


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_equal_to_a_slow_loop_whatever_the_order_of_the_gallery(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fine, gallery = rng.integers(0, 3, 6), np.concatenate([np.arange(3), rng.integers(0, 3, 6)])
    distances = rng.integers(0, 5, (6, 9)) / 4  # many ties
    got = answers(distances, fine, gallery, None)
    for q in range(6):
        own, other = distances[q, gallery == fine[q]], distances[q, gallery != fine[q]]
        assert got.rank[q] == 1 + sum(d <= own.min() for d in other)
        pairs = [1.0 if a < b else 0.5 if a == b else 0.0 for a in own for b in other]
        assert got.auroc[q] == pytest.approx(np.mean(pairs))
        assert got.distance[q].tolist() == sorted(distances[q])[:5]
    turned = rng.permutation(9)
    again = answers(distances[:, turned], fine, gallery[turned], None)
    np.testing.assert_array_equal(again.rank, got.rank)
    np.testing.assert_allclose(again.auroc, got.auroc)


def test_class_matrix_and_chance_by_hand() -> None:
    distances = np.array([[0.0, 0.2, 1.0], [0.4, 0.6, 0.8]])
    got = class_matrix(distances, np.array([0, 0]), np.array([0, 0, 1]), 3)
    np.testing.assert_allclose(got[0, :2], [0.3, 0.9])
    assert np.isnan(got[1]).all()
    assert np.isnan(got[0, 2])
    assert sibling_chance(np.array([0]), np.array([0, 1, 2, 2]), np.array([0, 0, 1])) == pytest.approx(1 / 3)
