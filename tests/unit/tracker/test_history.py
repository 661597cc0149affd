"""What is remembered of an object's life, and that it does not grow."""

from __future__ import annotations

import pytest

from core.records import HAND
from tests.unit.tracker.counter_world import LABELS, hand, item, play, tracker
from tracker.history import SAMPLES, VIEWS


def test_a_life_of_any_length_keeps_its_whole_path_in_constant_memory() -> None:
    machine = tracker()
    play([[item(100 + 0.2 * k, 150)] for k in range(2000)], on=machine)
    history = machine.history(1)
    assert history is not None
    assert SAMPLES // 2 < len(history.path) <= SAMPLES
    assert history.path[0][1] == pytest.approx(100, abs=1)
    assert history.path[-1][1] > 450
    steps = {round(b[0] - a[0], 1) for a, b in zip(history.path[:-1], history.path[1:], strict=True)}
    assert len(steps) == 1, "samples are at even times"


def test_the_visibility_tells_when_a_hand_was_over_it() -> None:
    machine = tracker()
    play([[item(200, 150)]] * 20 + [[hand(200, 150)]] * 20 + [[item(200, 150)]] * 20, on=machine)
    history = machine.history(1)
    assert history is not None
    assert history.visibility[0] == 1.0
    assert min(history.visibility) == 0.0
    assert history.visibility[-1] == 1.0


def test_the_best_views_are_the_surest_and_lie_apart_in_time() -> None:
    machine = tracker()
    scores = [0.6 + 0.3 * (k in (30, 31, 60)) for k in range(90)]
    play([[item(200, 150, score=score)] for score in scores], on=machine)
    history = machine.history(1)
    assert history is not None
    frames = [view.frame_index for view in history.best_views]
    assert frames[:2] in ([30, 60], [60, 30])
    assert len(frames) == VIEWS
    qualities = [view.quality for view in history.best_views]
    assert qualities == sorted(qualities, reverse=True)


def test_dwell_counts_the_seconds_at_rest() -> None:
    machine = tracker()
    play([[item(100, 150)]] * 41 + [[item(100 + 8.0 * k, 150)] for k in range(1, 41)], on=machine)
    history = machine.history(1)
    assert history is not None
    assert history.dwell_s == pytest.approx(2.0, abs=0.4)


def test_there_is_no_history_of_what_is_not_alive() -> None:
    machine = tracker()
    play([[item(200, 150)]] * 3 + [[]] * 40, on=machine)
    assert machine.history(7) is None
    assert HAND in LABELS


def test_columns_follow_their_tracks_through_births_and_removals() -> None:
    machine = tracker()
    ghost, dish, late = item(80, 60), item(300, 150), item(500, 250)
    play([[ghost, dish]] * 2 + [[dish]] * 30 + [[dish, late]] * 30, on=machine)
    second, third = machine.history(2), machine.history(3)
    assert second is not None
    assert third is not None
    assert {round(x) for _, x, _ in second.path} == {300}
    assert {round(x) for _, x, _ in third.path} == {500}
