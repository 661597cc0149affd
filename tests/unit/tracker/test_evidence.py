"""The class of an object from all that was seen of it."""

from __future__ import annotations

import numpy as np
import pytest

from tracker.evidence import ClassEvidence
from tracker.kalman import Gaussians
from tracker.observations import observe
from tracker.settings import COUNTER
from tracker.table import TrackTable

CLASSES = 4


def _table() -> TrackTable:
    box = np.array([[100.0], [100.0], [60.0], [60.0]])
    return TrackTable.born(np.array([1]), Gaussians.start(box, box * 0.02, box), 0.0, np.array([0.9]), CLASSES)


def _see(table: TrackTable, label: int, score: float, elapsed_s: float, covered: float = 0.0) -> None:
    seen = observe(np.array([[70.0, 70.0, 130.0, 130.0]]), np.array([score]), np.array([label]), None, -1, COUNTER)
    table.covered[:] = covered
    ClassEvidence(CLASSES, COUNTER).add(table, np.array([0]), True, seen, np.array([elapsed_s]))


def _posterior(table: TrackTable) -> np.ndarray:
    return ClassEvidence(CLASSES, COUNTER).posterior(table, np.array([0]))[:, 0]


def test_equal_frames_in_quick_succession_are_one_view() -> None:
    quick, slow = _table(), _table()
    for _ in range(10):
        _see(quick, 0, 0.6, 0.02)
        _see(slow, 0, 0.6, 1.0)
    assert _posterior(quick)[0] < _posterior(slow)[0]
    assert quick.views[0] == pytest.approx(0.4)
    assert slow.views[0] == pytest.approx(10.0)


def test_the_frame_rate_does_not_change_the_posterior() -> None:
    fast, slow = _table(), _table()
    for _ in range(60):
        _see(fast, 1, 0.7, 1 / 30)
    for _ in range(10):
        _see(slow, 1, 0.7, 1 / 5)
    np.testing.assert_allclose(_posterior(fast), _posterior(slow), atol=1e-9)


def test_what_is_covered_says_little() -> None:
    table = _table()
    for _ in range(10):
        _see(table, 0, 0.8, 0.2)
    for _ in range(30):
        _see(table, 2, 0.8, 0.2, covered=0.8)
    assert _posterior(table).argmax() == 0


def test_nothing_is_forgotten_so_the_longer_look_wins() -> None:
    table = _table()
    for _ in range(100):
        _see(table, 0, 0.8, 0.1)
    for _ in range(40):
        _see(table, 1, 0.8, 0.1)
    assert _posterior(table).argmax() == 0
    assert table.held[0] == 0


def test_low_scores_leave_room_for_the_unknown() -> None:
    sure, unsure = _table(), _table()
    _see(sure, 0, 0.95, 0.1)
    _see(unsure, 0, 0.3, 0.1)
    assert _posterior(sure)[-1] < 0.1 < _posterior(unsure)[-1]
    assert _posterior(unsure).sum() == pytest.approx(1.0)


def test_the_shown_label_does_not_flicker_between_equals() -> None:
    table = _table()
    shown = []
    for k in range(60):
        _see(table, k % 2, 0.8, 0.1)
        _posterior(table)
        shown.append(int(table.held[0]))
    assert set(shown) == {0}


def _carry(table: TrackTable, frames: int, hand: bool, score: float = 0.99) -> None:
    """Let an object move by a third of its size a frame at 20 frames/s, half under a hand or in plain sight."""
    boxes = np.array([[70.0, 70.0, 130.0, 130.0], [100.0, 70.0, 160.0, 200.0]])[: 1 + hand]
    evidence = ClassEvidence(CLASSES, COUNTER)
    for _ in range(frames):
        seen = observe(boxes, np.array([score, 0.9])[: 1 + hand], np.array([0, 3])[: 1 + hand], None, 3, COUNTER)
        table.motion.mean[0] += 20.0
        evidence.add(table, np.array([0]), True, seen, np.array([0.05]))


def test_an_object_seen_only_in_a_hand_stays_a_guess_until_it_is_seen_well() -> None:
    held, free = _table(), _table()
    _carry(held, 4, hand=True)
    _carry(free, 4, hand=False)
    assert _posterior(held)[0] < 0.7 < 0.9 < _posterior(free)[0]
    assert _posterior(held)[-1] > 0.3
    assert _posterior(held).sum() == pytest.approx(1.0)
    for _ in range(6):
        _see(held, 0, 0.99, 0.05)
    assert _posterior(held)[0] > 0.9


def test_frames_of_a_moving_object_are_not_all_views_of_their_own() -> None:
    table = _table()
    _carry(table, 6, hand=False)
    assert table.views[0] < 3.0
