"""The synthetic lane: equal seeds, truth that agrees with the pixels and with itself, presets and sizes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from core.records import HAND
from streams.synthetic import presets
from streams.synthetic.catalogue import BY_NAME, DISH_NAMES, DISHES, THINGS
from streams.synthetic.lane import TRAY_ZONE, SyntheticLane
from streams.synthetic.script import Act, Placed, TrayScript

#: No noise, no JPEG loss worth naming, no shake: pixels differ only where the scene differs.
CLEAN = replace(presets.PRESETS["easy"], noise=0.0, jpeg=(100, 100), drift=0.0)
SMALL = {"width": 320, "height": 180, "fps": 10.0}


def frame_at(lane, t_s):
    return next((image, truth) for image, truth in lane if truth.t_s >= t_s)


def test_equal_seeds_give_equal_bytes_and_truth():
    first, second = (list(itertools.islice(SyntheticLane(5, "hard", **SMALL), 45)) for _ in range(2))
    for (image, truth), (again, other) in zip(first, second, strict=True):
        assert image.tobytes() == again.tobytes()
        assert truth.boxes.tobytes() == other.boxes.tobytes()
        assert truth.labels == other.labels


def test_one_lane_object_can_be_shown_twice():
    lane = SyntheticLane(5, "easy", **SMALL, trays=1)
    first, bill = [image.tobytes() for image, _ in lane], [tray.bill for tray in lane.finished_trays]
    assert [image.tobytes() for image, _ in lane] == first
    assert [tray.bill for tray in lane.finished_trays] == bill


def test_other_seeds_give_other_lanes():
    a, b = (frame_at(SyntheticLane(seed, "easy", **SMALL), 0.0)[0] for seed in (1, 2))
    assert np.abs(a.astype(int) - b).mean() > 3


def test_truths_are_those_of_the_pictures():
    lane = SyntheticLane(8, "hard", **SMALL)
    with_pictures = [truth for _, truth in itertools.islice(lane, 50)]
    for drawn, plain in zip(with_pictures, itertools.islice(lane.truths(), 50), strict=True):
        assert drawn.boxes.tobytes() == plain.boxes.tobytes()
        assert drawn.visible.tobytes() == plain.visible.tobytes()


@pytest.mark.parametrize("dish", ["pizza", "apple", "chocolate_bar", "water_glass"])
def test_a_box_holds_the_pixels_of_its_dish(dish, monkeypatch):
    """Hide the dish: nearly all that changes lies in its box, and the box is not larger than what changes."""
    monkeypatch.setitem(presets.PRESETS, "easy", CLEAN)
    placed = Placed(dish, 6.0, -4.0, 0.7)
    scripts = [TrayScript(items) for items in ((Placed("coffee", -12, 6, 0), placed), (Placed("coffee", -12, 6, 0),))]
    (image, truth), (empty, _) = (
        frame_at(SyntheticLane(3, "easy", fps=2.0, script=[script]), 4.0) for script in scripts
    )
    changed = np.abs(image.astype(int) - empty).max(axis=2) > 40
    box = np.rint(truth.boxes[truth.labels.index(dish)]).astype(int)
    rows, cols = np.nonzero(changed)
    inside = (cols >= box[0] - 1) & (cols <= box[2] + 1) & (rows >= box[1] - 1) & (rows <= box[3] + 1)
    assert inside.mean() > 0.9
    assert changed[box[1] : box[3], box[0] : box[2]].mean() > 0.25
    seen = np.array([cols[inside].min(), rows[inside].min(), cols[inside].max() + 1, rows[inside].max() + 1])
    assert np.abs(seen - box).max() <= 3 + 0.06 * (box[2] - box[0])


def test_presets_say_the_truth_about_counts_and_intervals():
    lane = SyntheticLane(21, "medium", 192, 108, 10.0, trays=3)
    seen, labels, count_in_zone = {}, {}, {}
    for truth in lane.truths():
        assert (truth.boxes >= 0).all()
        assert (truth.boxes[:, [0, 2]] <= 192).all()
        assert (truth.boxes[:, [1, 3]] <= 108).all()
        assert ((truth.visible >= 0) & (truth.visible <= 1)).all()
        assert len(set(truth.object_ids.tolist())) == len(truth.object_ids)
        for object_id, label, inside in zip(
            truth.object_ids.tolist(), truth.labels, truth.in_zone.tolist(), strict=True
        ):
            assert labels.setdefault(object_id, label) == label
            assert not (inside and label == HAND)
            if inside:
                seen.setdefault(object_id, []).append(truth.t_s)
        count_in_zone[truth.index] = int(truth.in_zone.sum())
    items = {item.object_id: item for tray in lane.finished_trays for item in tray.items}
    assert items.keys() == seen.keys()
    for object_id, times in seen.items():
        assert items[object_id].dish == labels[object_id]
        assert items[object_id].t_in_s == pytest.approx(times[0])
        assert items[object_id].t_out_s == pytest.approx(times[-1] + 0.1)
    for tray in lane.finished_trays:
        billed = [item.dish for item in tray.items if item.billed]
        assert {dish: billed.count(dish) for dish in billed} == tray.bill
    assert len(lane.finished_trays) == 3
    assert max(count_in_zone.values()) >= 2


@pytest.mark.parametrize("preset", ["easy", "medium", "hard"])
def test_the_zone_is_clear_between_trays(preset):
    lane = SyntheticLane(33, preset, 128, 72, 10.0, trays=3)
    list(lane.truths())
    trays = lane.finished_trays
    assert [tray.tray_id for tray in trays] == [1, 2, 3]
    for before, after in itertools.pairwise(trays):
        assert after.t_in_s - before.t_out_s >= 1.4


def test_harder_presets_are_fuller_and_hide_more():
    found = {}
    for preset in ("easy", "hard"):
        lane = SyntheticLane(12, preset, 128, 72, 2.0, trays=6)
        hidden = [(truth.visible[truth.in_zone] < 0.9).mean() for truth in lane.truths() if truth.in_zone.any()]
        found[preset] = (np.mean(hidden), np.mean([len(tray.items) for tray in lane.finished_trays]))
    assert found["hard"][0] > found["easy"][0]
    assert found["hard"][1] > found["easy"][1] + 0.5


@pytest.mark.parametrize("size", [(640, 480), (1000, 300), (361, 640), (64, 64)])
def test_any_resolution(size):
    lane = SyntheticLane(4, "medium", *size, fps=12.5, script=[TrayScript((Placed("pizza"), Placed("tea")))])
    most = 0
    for image, truth in itertools.islice(lane, 40):
        assert image.shape == (size[1], size[0], 3)
        assert image.dtype == np.uint8
        most = max(most, int(truth.in_zone.sum()))
    assert most == 2


def test_what_happens_does_not_depend_on_the_resolution():
    bills = []
    for size in ((128, 72), (320, 180)):
        lane = SyntheticLane(6, "medium", *size, fps=5.0, trays=2)
        list(lane.truths())
        bills.append([(tray.bill, round(tray.t_in_s, 6)) for tray in lane.finished_trays])
    assert bills[0] == bills[1]


def test_the_catalogue_is_large_and_each_dish_has_a_price_and_a_look_of_its_own():
    assert len(DISHES) >= 24
    assert len({kind.title for kind in DISHES}) == len(DISHES)
    assert all(0 < kind.price < 20 and kind.category for kind in DISHES)
    assert {"phone", "keys", "wallet", "napkin", "fork"} <= {kind.name for kind in THINGS}
    assert {"plate", "bowl", "cup", "glass", "bottle", "bread", "fruit", "packet"} <= {k.container for k in DISHES}
    assert len(BY_NAME) == len(DISHES) + len(THINGS)


def test_two_things_of_a_kind_do_not_look_the_same():
    script = [TrayScript((Placed("schnitzel_fries", -11, 0, 0), Placed("schnitzel_fries", 11, 0, 0)))]
    image, truth = frame_at(SyntheticLane(2, "easy", script=script), 4.0)
    patches = []
    for box in truth.boxes[[label == "schnitzel_fries" for label in truth.labels]]:
        middle = ((box[:2] + box[2:]) / 2).astype(int)
        patches.append(image[middle[1] - 35 : middle[1] + 35, middle[0] - 35 : middle[0] + 35].astype(int))
    assert np.abs(patches[0] - patches[1]).mean() > 8


def test_labels_are_the_dishes_and_the_hand():
    assert SyntheticLane(1).labels == (*DISH_NAMES, HAND)


def test_the_zone_polygon_is_that_of_the_truth():
    numbers = [float(v) for v in TRAY_ZONE.split(",")]
    zone = SyntheticLane(1, width=1000, height=500).stage.zone
    px_cm = SyntheticLane(1, width=1000, height=500).px_cm
    assert [v * px_cm for v in zone] == pytest.approx(
        [numbers[0] * 1000, numbers[1] * 500, numbers[4] * 1000, numbers[5] * 500]
    )


@pytest.mark.parametrize(
    "arguments",
    [{"width": 32}, {"fps": 0.0}, {"seed": -1}, {"trays": 0}, {"preset": "brutal"}],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"\d|brutal"):
        SyntheticLane(**{"seed": 1, **arguments})


def test_a_script_with_an_unknown_dish_or_act_is_refused():
    with pytest.raises(ValueError, match="unicorn"):
        TrayScript((Placed("unicorn"),))
    with pytest.raises(ValueError, match="item 3"):
        TrayScript((Placed("tea"),), (Act("take", 3, 1.0),))
