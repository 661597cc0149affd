"""Staged trays: what the issue names as hard for a checkout happens exactly as it is written."""

from __future__ import annotations

import numpy as np
import pytest

from core.records import HAND
from streams.synthetic.lane import SyntheticLane
from streams.synthetic.script import Act, Placed, TrayScript

SIZE = (320, 180)


def play(*trays, fps=20.0):
    """Return the frames' truths and the trays' truths of a script."""
    lane = SyntheticLane(7, "easy", *SIZE, fps=fps, script=trays)
    return list(lane.truths()), lane.finished_trays


def zone_times(truths, object_id):
    return [t.t_s for t in truths if object_id in t.object_ids[t.in_zone].tolist()]


def visible_of(truths, label):
    return np.array([t.visible[t.labels.index(label)] for t in truths if label in t.labels and t.in_zone.any()])


def test_two_equal_dishes_side_by_side():
    truths, (tray,) = play(TrayScript((Placed("pizza", -11, 0, 0), Placed("pizza", 12, 0, 1))))
    assert tray.bill == {"pizza": 2}
    assert max(int(t.in_zone.sum()) for t in truths) == 2
    a, b = tray.items
    assert min(a.t_out_s, b.t_out_s) - max(a.t_in_s, b.t_in_s) > 4


def test_two_equal_dishes_put_down_one_second_apart():
    items = (Placed("donut", -9, 0, 0), Placed("donut", 9, 0, 0))
    _, (tray,) = play(TrayScript(items, (Act("put", 0, 1.0), Act("put", 1, 2.0))))
    assert tray.bill == {"donut": 2}
    first, second = sorted(tray.items, key=lambda item: item.t_in_s)
    assert second.t_in_s - first.t_in_s == pytest.approx(1.0, abs=0.1)


def test_a_dish_that_leaves_and_returns_within_two_seconds_is_one_object():
    truths, (tray,) = play(TrayScript((Placed("tea", -9, 0, 0),), (Act("take", 0, 1.0), Act("put", 0, 2.8)), 5.0))
    assert tray.bill == {"tea": 1}
    times = zone_times(truths, tray.items[0].object_id)
    away = np.diff(times).max()
    assert 0.3 < away < 2.0
    assert tray.items[0].t_out_s - tray.items[0].t_in_s > 4


def test_a_tray_with_phone_keys_and_a_hand_has_no_bill():
    items = (Placed("phone"), Placed("keys"), Placed("wallet"))
    truths, (tray,) = play(TrayScript(items, (Act("cover", 0, 1.0, 0.8),)))
    assert tray.bill == {}
    assert tray.items == ()
    assert tray.t_out_s > tray.t_in_s
    assert {label for t in truths for label in t.labels} == {HAND}


def test_a_flat_hand_covers_a_small_dish_fully():
    truths, _ = play(TrayScript((Placed("apple", 0, 0, 0),), (Act("cover", 0, 1.0, 1.0, lean=0.0),)))
    visible = visible_of(truths, "apple")
    assert visible.min() < 0.06
    assert (visible < 0.1).sum() >= 15
    assert visible[-20] > 0.97


def test_a_replaced_dish():
    items = (Placed("coffee", -8, 0, 0), Placed("burger", -8, 0, 0))
    truths, (tray,) = play(TrayScript(items, (Act("take", 0, 1.0), Act("put", 1, 2.8)), 5.0))
    assert tray.bill == {"burger": 1}
    billed = {item.dish: item.billed for item in tray.items}
    assert billed == {"coffee": False, "burger": True}
    coffee, burger = (next(item for item in tray.items if item.dish == dish) for dish in ("coffee", "burger"))
    assert coffee.t_out_s < burger.t_in_s
    assert not any(coffee.object_id in t.object_ids and t.t_s > burger.t_out_s for t in truths)


def test_a_moved_dish_stays_one_object_and_ends_where_it_was_put():
    move = Act("move", 0, 1.0, to=(12.0, -8.0))
    truths, (tray,) = play(TrayScript((Placed("orange", -10, 6, 0),), (move,), 5.0))
    assert tray.bill == {"orange": 1}
    path = [t.boxes[t.labels.index("orange")] for t in truths if t.in_zone.any() and "orange" in t.labels]
    still = [tuple(np.round(box)) for box in path]
    first, last = still[60 // 2], still[-30]
    px_cm = SIZE[0] / 130
    assert last[0] - first[0] == pytest.approx(22 * px_cm, abs=3)
    assert last[1] - first[1] == pytest.approx(-14 * px_cm, abs=3)


def test_a_hand_from_the_top_reaches_in_from_the_top_edge():
    truths, _ = play(TrayScript((Placed("apple", 0, 0, 0),), (Act("cover", 0, 1.0, 0.5, side="top"),)))
    boxes = [t.boxes[t.labels.index(HAND)] for t in truths if HAND in t.labels]
    assert boxes
    assert all(box[1] == 0 for box in boxes)


def test_a_tray_that_is_too_full_says_so():
    with pytest.raises(ValueError, match="no room left"):
        play(TrayScript(tuple(Placed("pizza") for _ in range(4))))
