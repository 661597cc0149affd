"""Power laws and savings against numbers made by hand."""

import numpy as np
import pytest

from training.learning_curve.power_law import PowerLaw, fit, foretold, look_ahead
from training.learning_curve.savings import fewer, saving

COUNTS = np.array([20.0, 40.0, 80.0, 160.0])


def test_a_law_is_found_again_and_foretells() -> None:
    law = PowerLaw(2.0, 0.5)
    scores = np.array([law.score(n) for n in COUNTS])
    found = fit(COUNTS, scores)
    assert (found.b, found.c) == pytest.approx((2.0, 0.5))
    assert foretold(COUNTS, scores) == pytest.approx(law.score(160))
    assert foretold(COUNTS[1:], scores[1:]) is None
    assert found.photos_for(law.score(1000)) == pytest.approx(1000)


def test_what_is_far_out_is_not_told() -> None:
    scores = np.array([PowerLaw(2.0, 0.5).score(n) for n in COUNTS])
    near = look_ahead(COUNTS, scores, np.repeat(scores[:, None], 50, axis=1), 0.02)
    assert near.more == pytest.approx((2 / (1 - scores[-1] - 0.02)) ** 2 - 160, abs=0.01)
    assert near.low == pytest.approx(near.more)
    far = look_ahead(COUNTS, scores, np.repeat(scores[:, None], 50, axis=1), 0.12)
    assert far.more is None
    assert far.high is None


@pytest.mark.parametrize("scores", [[0.5, 0.5, 0.5, 0.5], [0.6, 0.5, 0.5, 0.4], [1.0, 1.0, 1.0, 1.0]])
def test_curves_that_do_not_rise_promise_nothing(scores: list[float]) -> None:
    values = np.array(scores)
    assert look_ahead(COUNTS, values, np.repeat(values[:, None], 20, axis=1), 0.05).more is None


def test_a_saving_is_read_off_the_line_between_two_sizes() -> None:
    pretrained = np.array([0.2, 0.4, 0.6, 0.8])
    assert fewer(COUNTS, pretrained, 0.4) == pytest.approx(4.0)
    assert fewer(COUNTS, pretrained, 0.5) == pytest.approx(160 / (40 * 2**0.5))
    assert fewer(COUNTS, pretrained, 0.1) == 8.0
    assert fewer(COUNTS, pretrained, 0.9) is None


def test_a_saving_tells_when_the_smallest_set_does_already_and_when_none_does() -> None:
    high, low = np.full(4, 0.8), np.array([0.1, 0.2, 0.3, 0.4])
    draws = np.repeat(high[:, None], 40, axis=1), np.repeat(low[:, None], 40, axis=1)
    found = saving(COUNTS, high, low, *draws)
    assert (found.factor, found.at_least, found.low, found.high) == (8.0, True, 8.0, 8.0)
    lost = saving(COUNTS, low, high, draws[1], draws[0])
    assert (lost.factor, lost.at_least, lost.low, lost.high) == (None, False, None, None)
