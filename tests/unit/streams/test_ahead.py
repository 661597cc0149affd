"""Things that are made ahead come in order, once each, and nothing of the thread is left."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ahead import ahead


@given(count=st.integers(0, 12), depth=st.integers(1, 5))
def test_everything_comes_once_and_in_order(count, depth):
    assert list(ahead(iter(range(count)), depth)) == list(range(count))


def test_an_error_comes_after_all_that_was_before_it():
    def two() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the third is broken")

    taken = []
    with pytest.raises(OSError, match="the third is broken"):
        taken.extend(ahead(two(), 5))
    assert taken == [1, 2]


def test_it_is_ahead_by_its_depth_and_no_more():
    made: list[int] = []
    ready = threading.Event()

    def count() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                ready.set()
            yield number

    pieces = ahead(count(), 3)
    assert next(pieces) == 0
    assert ready.wait(5), "the thread did not go on while the first was in work"
    assert made == [0, 1, 2, 3]
    pieces.close()


def test_who_leaves_early_leaves_no_thread():
    before = threading.active_count()
    pieces = ahead(iter(range(1000)))
    next(pieces)
    pieces.close()
    assert threading.active_count() == before


def test_a_depth_of_nothing_is_refused():
    with pytest.raises(ValueError, match="depth must be 1 or more"):
        next(ahead(iter("a"), 0))
