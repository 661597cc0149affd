"""How many times fewer pictures: the one figure of `bench.few_images` that is not simply a mean."""

from __future__ import annotations

import math

import pytest

from bench.few_images import SIZES, fewer


def means(pretrained: tuple[float, ...], scratch_with_all: float) -> dict[tuple[str, int], float]:
    table = {("pretrained", size): f1 for size, f1 in zip(SIZES, pretrained, strict=True)}
    return table | {("scratch", size): scratch_with_all for size in SIZES}


@pytest.mark.parametrize(
    ("pretrained", "scratch", "times"),
    [
        ((0.5, 0.6, 0.7, 0.8), 0.8, 1.0),  # only with all pictures
        ((0.5, 0.6, 0.7, 0.8), 0.6, 126 / 40),
        ((0.5, 0.6, 0.7, 0.8), 0.65, 126 / math.sqrt(40 * 80)),  # half way between, in the logarithm
        ((0.5, 0.6, 0.7, 0.8), 0.5, 126 / 20),
        ((0.5, 0.6, 0.7, 0.8), 0.1, 126 / 20),  # the smallest set does already: at least so many
        ((0.5, 0.6, 0.7, 0.8), 0.81, None),  # not even all do
        ((0.5, 0.7, 0.6, 0.8), 0.7, 126 / 40),  # a dip later takes nothing back
        ((0.5, 0.7, 0.7, 0.7), 0.7, 126 / 40),  # of a plateau its beginning
        ((0.5, 0.7, 0.6, 0.8), 0.75, 126 / math.sqrt(80 * 126)),
        ((0.5, 0.8, 0.6, 0.7), 0.8, 126 / 40),
    ],
)
def test_fewer(pretrained: tuple[float, ...], scratch: float, times: float | None) -> None:
    assert fewer(means(pretrained, scratch)) == pytest.approx(times)
