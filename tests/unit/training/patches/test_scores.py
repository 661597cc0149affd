"""From patches to pictures: S(i, c), mAP and its intervals."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.records import DetectionSet, Sample
from training.patches import scores
from training.patches.scores import ap_draws, gain, image_scores, mean_ap, presence, rank


@pytest.fixture(autouse=True)
def _each_picture_a_scene(monkeypatch):
    monkeypatch.setattr(scores, "same_scene", lambda samples: np.arange(len(samples)))


def set_of(*shown: tuple[int, ...], ignored: tuple[int, ...] = ()) -> DetectionSet:
    """Pictures that show these classes; those at `ignored` show them as ignored only."""
    samples = []
    for i, classes in enumerate(shown):
        boxes = np.tile(np.array([[1, 1, 9, 9]], np.float32), (len(classes), 1))
        aside = np.full(len(classes), i in ignored)
        samples.append(Sample(Path(f"{i}.png"), 10, 10, boxes, np.array(classes, np.int64), aside, sha256=f"{i:064d}"))
    return DetectionSet("made", ("a", "b"), tuple(samples), "0")


def test_the_score_is_the_sum_of_powers():
    patches = [np.array([[0.5, 0.1], [0.25, 1.0]]), np.array([[1.0, 0.0]])]
    assert np.allclose(image_scores(patches, 2), [[0.3125, 1.01], [1.0, 0.0]])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.floats(1, 12), st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_score_does_not_depend_on_order_and_falls_with_the_exponent(values, exponent, random):
    column = np.array(values)[:, None]
    shuffled = values.copy()
    random.shuffle(shuffled)
    one = image_scores([column], exponent)[0, 0]
    assert one == pytest.approx(image_scores([np.array(shuffled)[:, None]], exponent)[0, 0])
    assert one <= image_scores([column], 1)[0, 0] + 1e-9
    assert one >= max(values) ** exponent - 1e-9


def test_map_of_a_perfect_and_of_a_reversed_order():
    pictures = set_of((0,), (0,), (1,), (1,))
    shown = presence(pictures)
    good = np.array([[4, 1], [3, 2], [2, 3], [1, 4]], float)
    assert mean_ap(good, shown) == 1.0
    assert mean_ap(-good, shown) == 0.5  # 1/3 at the first, 1/2 at the second: the envelope has 1/2 at both


def test_ties_are_no_gift():
    assert mean_ap(np.zeros((4, 2)), presence(set_of((0,), (1,), (1,), (1,)))) == pytest.approx(
        (1 / 4 + (1 / 2 + 2 / 3 + 3 / 4) / 3) / 2, abs=0.2
    )
    assert mean_ap(np.zeros((2, 2)), presence(set_of((0,), ()))) == 0.5


def test_a_picture_with_ignored_objects_alone_counts_neither_way():
    pictures = set_of((0,), (0,), (), ignored=(1,))
    ranked = rank(np.array([[1.0, 0], [2.0, 0], [0.0, 0]]), pictures, 20, 0)
    assert ranked.classes[0].pictures == 1
    assert ranked.classes[0].area == 1.0
    assert ranked.classes[0].chance == 0.5
    assert ranked.classes[1].area is None


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_draws_with_each_picture_once_give_the_figure_itself(seed):
    rng = np.random.default_rng(seed)
    pictures = set_of(*[tuple(np.flatnonzero(rng.random(2) < 0.5).tolist()) for _ in range(12)], (0, 1))
    values = rng.random((13, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "draw_pictures", lambda group, draws, seed: np.ones((draws, len(group)), np.int64))
        drawn = ap_draws(values, pictures, 3, seed)
    assert np.allclose(drawn[0], mean_ap(values, presence(pictures)))


def test_the_gain_is_paired_and_zero_against_itself():
    pictures = set_of((0,), (1,), (0, 1), (), (0,), (1,))
    values = np.random.default_rng(3).random((6, 2))
    nothing = gain(values, values, pictures, 50, 1)
    assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.0)
    perfect = presence(pictures).astype(float)
    assert gain(perfect, -perfect, pictures, 50, 1).low > 0
