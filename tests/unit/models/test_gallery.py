"""The gallery: similarities, the open-set posterior, calibration by leave-one-class-out, look-alikes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gallery import (
    SHIPPED,
    Calibration,
    Gallery,
    calibrate,
    log_posterior,
    lookalikes,
    make_gallery,
    resemblances,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def cloud(dishes: int, spread: float, seed: int = 0, views: int = 6, width: int = 16) -> list[tuple[str, np.ndarray]]:
    """Return dishes at random places with views around them."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.standard_normal((dishes, width)))
    return [
        (f"dish{k:02d}", unit(centres[k] + spread * rng.standard_normal((views, width)) / width**0.5))
        for k in range(dishes)
    ]


def test_match_takes_the_nearest_view_of_each_dish() -> None:
    dishes = cloud(5, 0.4)
    gallery = make_gallery("e@1", dishes)
    queries = unit(np.random.default_rng(1).standard_normal((7, 16)))
    slow = np.array([[max(float(q @ view) for view in views) for _, views in dishes] for q in queries])
    np.testing.assert_allclose(gallery.match(queries), slow, atol=1e-6)


def test_an_empty_gallery_knows_nothing() -> None:
    gallery = make_gallery("e@1", [])
    queries = unit(np.ones((2, 16)))
    assert gallery.match(queries).shape == (2, 0)
    np.testing.assert_allclose(gallery.posterior(gallery.match(queries)), [[1.0], [1.0]])


@given(st.permutations(range(6)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_teaching_does_not_matter(order: list[int]) -> None:
    dishes = cloud(6, 0.4)
    straight, shuffled = make_gallery("e@1", dishes), make_gallery("e@1", [dishes[i] for i in order])
    assert straight.names == shuffled.names
    np.testing.assert_array_equal(straight.views, shuffled.views)
    assert calibrate(straight) == calibrate(shuffled)


@given(
    st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(-0.9, 0.95),
    st.floats(0.01, 0.5),
)
@settings(max_examples=60, deadline=None)
def test_posteriors_are_distributions(rows: list[list[float]], threshold: float, temperature: float) -> None:
    posterior = np.exp(log_posterior(np.array(rows), Calibration(threshold, temperature, 0.99)))
    assert posterior.shape == (len(rows), 4)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    nearest = np.array(rows).max(axis=1)
    # Nothing nearer than the threshold: unknown is the likeliest; and the other way round.
    for line, near in zip(posterior, nearest, strict=True):
        assert (line[-1] >= line[:-1].max() - 1e-9) == (near <= threshold + 1e-9) or abs(near - threshold) < 1e-6


def test_calibration_separates_what_is_taught_from_what_is_not() -> None:
    every = cloud(30, 0.5, seed=3, width=24)
    taught = make_gallery("e@1", every[:20])
    found = calibrate(taught, gap=0.05)
    gallery = make_gallery("e@1", every[:20], found)
    assert found.dishes == 20
    rng = np.random.default_rng(5)
    centres = unit(np.stack([views.mean(axis=0) for _, views in every]))
    again = unit(centres + 0.5 * rng.standard_normal(centres.shape) / 24**0.5)
    posterior = gallery.posterior(gallery.match(again))
    assert (posterior[:20].argmax(axis=1) == np.arange(20)).mean() >= 0.95
    assert (posterior[20:].argmax(axis=1) == 20).mean() >= 0.8


def test_few_dishes_are_not_calibrated_on() -> None:
    assert calibrate(make_gallery("e@1", cloud(4, 0.3))) is SHIPPED
    assert calibrate(make_gallery("e@1", cloud(5, 0.3))).dishes == 5


def test_dishes_with_one_view_each_can_be_calibrated_on() -> None:
    found = calibrate(make_gallery("e@1", cloud(6, 0.3, views=1)))
    assert 0.0 < found.threshold < 1.0


def test_lookalikes_are_named_once_and_strangers_are_not() -> None:
    dishes = cloud(8, 0.15, width=32)
    twin = ("twin of dish03", unit(dishes[3][1] + 0.01))
    gallery = make_gallery("e@1", [*dishes, twin])
    pairs = lookalikes(gallery)
    assert [{pair.dish, pair.other} for pair in pairs] == [{"dish03", "twin of dish03"}]
    nearest = resemblances(gallery, "new", twin[1])
    assert {nearest[0].other, nearest[1].other} == {"dish03", "twin of dish03"}
    assert "dish03" not in {one.other for one in resemblances(gallery, "dish03", twin[1])}


@pytest.mark.parametrize(
    ("views", "owner", "names"),
    [
        (np.ones((2, 3)), [0, 0], ("a",)),
        (unit(np.ones((2, 3))), [1, 0], ("a", "b")),
        (unit(np.ones((2, 3))), [0, 0], ("a", "b")),
        (unit(np.ones((2, 3))), [0], ("a",)),
    ],
    ids=["not unit", "not in order", "dish without views", "lengths differ"],
)
def test_a_gallery_checks_itself(views: np.ndarray, owner: list[int], names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Gallery("e@1", names, views.astype(np.float32), np.array(owner, np.int64))


def test_ten_thousand_dishes_fit() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((10_000, 2, 16)))
    gallery = make_gallery("e@1", [(f"d{k:05d}", vectors[k]) for k in range(10_000)])
    assert gallery.match(vectors[:3, 0]).argmax(axis=1).tolist() == [0, 1, 2]
    assert calibrate(gallery).dishes == 10_000


def test_a_large_gallery_finds_the_same_dishes_in_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    dishes = cloud(400, 0.6, seed=4, width=48)
    exact = make_gallery("e@1", dishes)
    monkeypatch.setattr("models.gallery.MOST_EXACT", 100)
    monkeypatch.setattr("models.gallery.SHORTLIST", 40)
    coarse = make_gallery("e@1", dishes)
    queries = exact.views[::7]
    one, other = exact.match(queries), coarse.match(queries)
    np.testing.assert_array_equal(one.argmax(axis=1), other.argmax(axis=1))
    np.testing.assert_allclose(one.max(axis=1), other.max(axis=1), atol=1e-6)
    assert (other <= one + 1e-6).all()
