"""Intervals over photos and seeds, paired differences, and how often equal nets are told apart."""

import numpy as np
import pytest

from training.classify.learning import course_of
from training.classify.settings import RecipeSettings
from training.classify.statistics import accuracy_runs, difference, holm, score, sign_flip_p

SCENES = np.arange(60)


def drawn(rng: np.random.Generator, easy: np.ndarray, seeds: int = 3):
    return accuracy_runs((rng.random((seeds, len(easy))) < easy).tolist(), SCENES, 400)


def test_a_mean_lies_in_its_interval_and_more_photos_narrow_it() -> None:
    rng = np.random.default_rng(1)
    few = accuracy_runs((rng.random((3, 20)) < 0.7).tolist(), np.arange(20), 500)
    many = accuracy_runs((rng.random((3, 500)) < 0.7).tolist(), np.arange(500), 500)
    for runs in (few, many):
        figure = score(runs)
        assert figure.low is not None and figure.high is not None and figure.value is not None  # noqa: PT018
        assert figure.low < figure.value < figure.high
    assert (score(few).high or 0) - (score(few).low or 0) > 2 * ((score(many).high or 0) - (score(many).low or 0))


def test_photos_of_one_scene_count_as_one() -> None:
    right = [[i % 3 > 0 for i in range(60)]]
    apart = score(accuracy_runs(right, SCENES, 500))
    joined = score(accuracy_runs([sorted(right[0])], SCENES // 10, 500))
    assert (joined.high or 0) - (joined.low or 0) > 1.5 * ((apart.high or 0) - (apart.low or 0))


def test_pairing_takes_out_what_hard_photos_do_to_both() -> None:
    rng = np.random.default_rng(2)
    hard = np.where(np.arange(60) < 30, 0.02, 0.98)
    a, b = drawn(rng, hard), drawn(rng, hard)
    paired = difference(a, b, SCENES).gain
    alone = score(a)
    assert (paired.high or 0) - (paired.low or 0) < 0.5 * ((alone.high or 0) - (alone.low or 0))


def test_better_is_told_and_equal_is_not() -> None:
    rng = np.random.default_rng(3)
    good, bad = drawn(rng, np.full(60, 0.9)), drawn(rng, np.full(60, 0.4))
    found = difference(good, bad, SCENES)
    assert found.gain.low is not None and found.gain.low > 0.2  # noqa: PT018
    assert found.p is not None and found.p < 0.001  # noqa: PT018
    assert sign_flip_p(good, good, SCENES) == 1.0
    # Of equal nets, one pair in twenty may be told apart.
    told = sum(
        sign_flip_p(drawn(rng, np.full(60, 0.6)), drawn(rng, np.full(60, 0.6)), SCENES) < 0.05 for _ in range(60)
    )
    assert told <= 8


def test_holm_keeps_order_and_never_passes_one() -> None:
    assert holm([0.04, 0.001, 0.9]) == pytest.approx([0.08, 0.003, 0.9])
    assert holm([]) == []


@pytest.mark.parametrize("planned", [2, 7, 40, 104])
def test_both_courses_have_the_same_mean_rate(planned: int) -> None:
    recipe = RecipeSettings()
    constant, cyclical = (course_of(name, planned, recipe) for name in ("constant", "cyclical"))
    factors = [cyclical(step) for step in range(planned)]
    assert {constant(step) for step in range(planned)} == {1.0}
    assert max(factors) <= recipe.peak + 1e-9
    assert min(factors) >= recipe.peak * recipe.low - 1e-9
    if planned >= 40:
        assert np.mean(factors) == pytest.approx(1.0, abs=0.04)
        assert max(factors) / min(factors) == pytest.approx(3.0, rel=0.1)
