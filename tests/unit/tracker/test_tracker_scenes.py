"""What happens at a counter, scene by scene."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from core.records import HAND, TrackState
from tests.unit.tracker.counter_world import LABELS, by_id, counted, counted_ids, detections, hand, item, play, tracker
from tracker.settings import COUNTER
from tracker.tracker import MultiObjectTracker


@pytest.mark.parametrize(("fps", "latest_s"), [(30.0, 0.20), (20.0, 0.21), (10.0, 0.21), (5.0, 0.21)])
def test_confirms_quickly_at_every_frame_rate(fps: float, latest_s: float) -> None:
    said = play([[], *[[item(200, 150)]] * 20], fps)
    first = next(k for k, tracks in enumerate(said) if counted(tracks)) - 1
    assert first / fps <= latest_s
    assert first >= 1, "one sighting is not enough"


def test_what_lies_there_when_a_stream_begins_counts_at_once_if_it_is_seen_well() -> None:
    assert len(counted(play([[item(200, 150)]])[0])) == 1
    assert not counted(play([[item(200, 150, score=0.55)]])[0])


def test_with_two_looks_what_lies_there_waits_for_one_that_agrees_and_shows_the_likelier_class() -> None:
    two = MultiObjectTracker(COUNTER.model_copy(update={"start_looks": 2}), LABELS, (1280, 720))
    agrees, differs = item(200, 150), item(400, 150)
    wrong = item(400, 150, label=next(label for label in LABELS if label not in ("soup", HAND)))
    said = play([[agrees, wrong], *[[agrees, differs]] * 8], on=two)
    assert [len(counted(tracks)) for tracks in said[:3]] == [0, 1, 1]
    assert len(counted(said[4])) == 2
    shown = [t.posterior[0][0] for tracks in said for t in counted(tracks) if t.track_id == 2]
    assert set(shown) == {"soup"}


def test_two_equal_dishes_side_by_side_are_two() -> None:
    said = play([[item(200, 150), item(262, 150)]] * 20)
    assert counted_ids(said[-1]) == [1, 2]


def test_a_dish_under_a_hand_for_two_seconds_is_occluded_and_keeps_its_id() -> None:
    scene = [[item(200, 150), item(400, 150)]] * 20
    scene += [[hand(200, 150), item(400, 150)]] * 40
    scene += [[item(200, 150), item(400, 150)]] * 10
    said = play(scene)
    assert by_id(said[40], 1).state is TrackState.OCCLUDED
    assert all(counted_ids(tracks) == [1, 2] for tracks in said[10:])
    assert by_id(said[-1], 1).matched


def test_a_covered_dish_at_rest_does_not_wander() -> None:
    rng = np.random.default_rng(1)
    scene = [[item(200 + rng.normal(0, 2), 150 + rng.normal(0, 2))] for _ in range(30)]
    said = play(scene + [[hand(200, 150)]] * 60)
    box = by_id(said[-1], 1).box
    assert abs((box[0] + box[2]) / 2 - 200) < 6
    assert abs((box[1] + box[3]) / 2 - 150) < 6


def test_a_cut_box_teaches_no_size() -> None:
    whole, piece = item(200, 150), (170.0, 120.0, 200.0, 180.0, 0.6, 0)
    said = play([[whole]] * 20 + [[piece, hand(245, 150)]] * 40)
    box = by_id(said[-1], 1).box
    assert box[2] - box[0] > 55
    assert abs((box[0] + box[2]) / 2 - 200) < 4


def test_an_uncovered_dish_that_vanishes_is_lost_soon_and_comes_back_under_its_id() -> None:
    said = play(
        [[item(200, 150), item(400, 150)]] * 20 + [[item(400, 150)]] * 60 + [[item(201, 150), item(400, 150)]] * 5
    )
    lost = next(k for k in range(20, 80) if by_id(said[k], 1).state is TrackState.LOST)
    assert (lost - 19) / 20.0 <= 0.3
    assert by_id(said[79], 1).state is TrackState.LOST
    assert counted_ids(said[-1]) == [1, 2]


def test_what_a_hand_took_away_over_the_edge_is_not_occluded_when_the_hand_is_gone() -> None:
    scene = [[item(200, 150), item(400, 150)]] * 20
    scene += [[hand(200, 150), item(400, 150)]] * 10
    scene += [[hand(200, 150 - 25 * k), item(400, 150)] for k in range(8)]
    scene += [[item(400, 150)]] * 12
    said = play(scene)
    assert counted_ids(said[-1]) == [2]


def test_a_visible_dish_that_is_carried_out_is_lost_at_once() -> None:
    path = [item(300, 150 - 18 * k) for k in range(9)]
    said = play([[item(300, 150)]] * 20 + [[p] for p in path] + [[]] * 10)
    gone = next(k for k in range(29, 39) if not counted(said[k]))
    assert (gone - 28) / 20.0 <= 0.15


def test_its_neighbours_at_rest_do_not_hold_back_a_dish_that_is_carried_out() -> None:
    rest = [item(420, 100), item(420, 200), item(520, 150)]
    path = [item(300, 150 - 18 * k) for k in range(9)]
    said = play([[item(300, 150), *rest]] * 20 + [[p, *rest] for p in path] + [rest] * 10)
    gone = next(k for k in range(29, 39) if counted_ids(said[k]) == [2, 3, 4])
    assert (gone - 28) / 20.0 <= 0.15


def test_a_hand_that_comes_later_does_not_hide_what_was_gone() -> None:
    said = play([[item(200, 150)]] * 20 + [[]] * 20 + [[hand(200, 150)]] * 20)
    assert by_id(said[-1], 1).state is TrackState.LOST


def test_a_dish_under_another_dish_stays_while_the_other_does() -> None:
    approach = [[item(200, 150), item(500 - 15 * k, 150, 80, 80, label="bread")] for k in range(18)]
    covered = [[item(215, 150, 80, 80, label="bread")]] * 60
    said = play([[item(200, 150), item(500, 150, 80, 80, label="bread")]] * 10 + approach + covered)
    assert by_id(said[-1], 1).state is TrackState.OCCLUDED
    assert counted_ids(said[-1]) == [1, 2]


def test_crossing_equal_dishes_keep_their_ids() -> None:
    left = [120 + 8 * k for k in range(50)]
    scene = []
    for x in left:
        other = 632 - x
        hidden = abs(x - other) < 40
        scene.append([item(x, 150)] if hidden else [item(x, 150), item(other, 160)])
    said = play(scene, 30.0)
    first = by_id(said[-1], 1)
    before = by_id(said[10], 1)
    assert (before.box[0] < 300) == (first.box[0] > 300), "track 1 went on to the other side"
    assert counted_ids(said[-1]) == [1, 2]


def test_reentry_over_the_same_edge_keeps_the_id() -> None:
    out = [item(max(60 - 12 * k, -100) + 0.0, 200) for k in range(9)]
    cut_out = [[(max(b[0], 0.0), *b[1:])] for b in out if b[2] > 12]
    said = play([[item(60, 200)]] * 20 + cut_out + [[]] * 15 + cut_out[::-1] + [[item(60, 200)]] * 15)
    assert counted_ids(said[-1]) == [1]


def test_an_equal_dish_over_another_edge_is_another() -> None:
    out = [[item(300, 150 - 18 * k)] for k in range(9)]
    back = [[(b[0], b[1], min(b[2], 640.0), *b[3:])] for b in (item(655 - 18 * k, 150) for k in range(12))]
    said = play([[item(300, 150)]] * 20 + out + [[]] * 10 + back + [[item(457, 150)]] * 10)
    assert counted_ids(said[-1]) == [2]


def test_a_dish_lifted_and_put_elsewhere_is_the_same() -> None:
    said = play([[item(150, 150)]] * 20 + [[]] * 20 + [[item(480, 220)]] * 10)
    assert counted_ids(said[-1]) == [1]


def test_a_new_class_elsewhere_is_a_new_object() -> None:
    said = play([[item(150, 150)]] * 30 + [[]] * 20 + [[item(480, 220, label="apple")]] * 10)
    assert counted_ids(said[-1]) == [2]


@pytest.mark.parametrize("fps", [30.0, 20.0, 10.0, 5.0])
def test_a_tray_that_slides_in_and_out_fast(fps: float) -> None:
    """600 px/s at 640x360, a stop of two seconds, and out over the other side."""

    def place(t_s: float) -> float:
        return -150 + 600 * min(t_s, 0.75) + 600 * max(t_s - 2.75, 0.0)

    scene = []
    for k in range(int(5 * fps)):
        x = place(k / fps)
        boxes = [
            item(x + dx, y, label=name) for dx, y, name in ((0, 120, "soup"), (70, 130, "soup"), (30, 230, "bread"))
        ]
        cut = [(max(b[0], 0.0), b[1], min(b[2], 640.0), *b[3:]) for b in boxes]
        scene.append([c for c, b in zip(cut, boxes, strict=True) if c[2] - c[0] > 0.4 * (b[2] - b[0])])
    said = play(scene, fps)
    stopped = said[int(2.5 * fps)]
    assert len(counted_ids(stopped)) == 3
    assert not counted(said[-1])
    every = {i for tracks in said for i in counted_ids(tracks)}
    assert len(every) == 3


def test_a_pushed_camera_keeps_all_identities() -> None:
    places = [(120, 100), (215, 110), (310, 95), (160, 210), (270, 215)]
    still = [[item(x, y, 60 + 5 * i, 70 - 4 * i) for i, (x, y) in enumerate(places)]] * 15
    moved = [[item(x + 95, y + 40, 60 + 5 * i, 70 - 4 * i) for i, (x, y) in enumerate(places)]] * 10
    said = play(still + moved)
    assert counted_ids(said[-1]) == [1, 2, 3, 4, 5]
    for a, b in zip(said[14].tracks, said[-1].tracks, strict=True):
        assert b.box[0] - a.box[0] == pytest.approx(95, abs=3)


def test_a_hidden_dish_moves_with_its_tray() -> None:
    def tray(x: float, covered: bool) -> list[tuple[float, float, float, float, float, int]]:
        rest = [item(x + 80, 120), item(x + 80, 210), item(x, 210)]
        return [*rest, hand(x, 120)] if covered else [*rest, item(x, 120)]

    scene = [tray(100, False)] * 20 + [tray(100 + 6 * k, True) for k in range(50)] + [tray(394, False)] * 5
    said = play(scene)
    assert counted_ids(said[-1]) == [1, 2, 3, 4]
    hidden = next(t for t in counted(said[20 + 45]) if t.state is TrackState.OCCLUDED)
    assert (hidden.box[0] + hidden.box[2]) / 2 == pytest.approx(100 + 6 * 45, abs=15)


def test_half_of_the_detections_missing_changes_no_id() -> None:
    rng = np.random.default_rng(3)
    places = [(120, 100), (220, 110), (320, 95), (160, 210)]
    said = play([[item(x, y) for x, y in places if rng.random() < 0.5] for _ in range(200)], 30.0)
    every = {i for tracks in said for i in counted_ids(tracks)}
    assert len(every) == 4


def test_duplicate_boxes_are_one_object() -> None:
    rng = np.random.default_rng(4)
    scene = [[item(200, 150), item(200 + rng.normal(0, 4), 150 + rng.normal(0, 4), score=0.7)] for _ in range(60)]
    said = play(scene)
    assert {t.track_id for tracks in said for t in tracks.tracks} == {1}


def test_flicker_of_the_class_does_not_show() -> None:
    rng = np.random.default_rng(5)
    scene = [[item(200, 150, label="soup" if rng.random() < 0.75 else "bread")] for _ in range(200)]
    said = play(scene, 30.0)
    labels = [counted(tracks)[0].label for tracks in said if counted(tracks)]
    assert labels[-1] == "soup"
    assert sum(a != b for a, b in itertools.pairwise(labels)) <= 1
    assert counted(said[-1])[0].confidence > 0.9


def test_a_small_dish_on_a_big_one_has_its_own_track() -> None:
    said = play([[item(200, 150, 120, 120), item(200, 150, 70, 70)]] * 20)
    assert counted_ids(said[-1]) == [1, 2]


def test_one_box_around_two_dishes_for_a_moment_changes_nothing() -> None:
    two, union = [item(200, 150), item(258, 150)], [(170.0, 120.0, 288.0, 180.0, 0.7, 0)]
    said = play([two] * 20 + [union] * 12 + [two] * 10)
    assert counted_ids(said[-1]) == [1, 2]
    assert by_id(said[-1], 1).box[2] - by_id(said[-1], 1).box[0] < 70


def test_a_gap_concludes_nothing() -> None:
    machine = tracker()
    said = play([[item(200, 150)]] * 20, on=machine)
    machine.gap(30.0)
    after = machine.update(detections([], 19 / 20 + 30.05))
    assert [t.state for t in after.tracks] == [said[-1].tracks[0].state]
    again = machine.update(detections([item(201, 150)], 19 / 20 + 30.1))
    assert counted_ids(again) == [1]


def test_a_stall_without_notice_counts_as_a_gap() -> None:
    machine = tracker()
    play([[item(200, 150)]] * 20, on=machine)
    said = machine.update(detections([item(200, 150)], 40.0))
    assert counted_ids(said) == [1]


def test_a_clock_that_goes_back_is_survived() -> None:
    machine = tracker()
    play([[item(200, 150)]] * 20, on=machine)
    for t_s in (0.5, 0.5, 0.55, 0.6):
        said = machine.update(detections([item(200, 150)], t_s))
    assert counted_ids(said) == [1]


def test_other_labels_are_refused() -> None:
    machine = tracker()
    wrong = detections([], 0.0)
    object.__setattr__(wrong, "labels", ("soup",))
    with pytest.raises(ValueError, match="labels"):
        machine.update(wrong)


def test_a_negative_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="zero or more"):
        tracker().gap(-1.0)


def test_hands_are_never_tracks() -> None:
    assert all(not tracks.tracks for tracks in play([[hand(200, 150)]] * 20))


def test_what_a_hand_carries_stops_where_the_hand_stops() -> None:
    rest = [item(520, 100), item(560, 300)]
    scene = [[item(120, 250), *rest]] * 20
    scene += [[item(120 + 14 * k, 250), hand(120 + 14 * k, 285), *rest] for k in range(12)]
    scene += [[hand(120 + 14 * k, 255), *rest] for k in range(12, 16)]  # it turns in the hand, and is not seen
    scene += [[hand(330, 255), *rest]] * 30
    scene += [[item(330, 250), *rest]] * 8
    said = play(scene)
    assert by_id(said[60], 1).state is TrackState.OCCLUDED
    box = by_id(said[60], 1).box
    assert abs((box[0] + box[2]) / 2 - 330) < 30
    assert counted_ids(said[-1]) == [1, 2, 3]


def test_a_hand_that_comes_to_the_place_of_a_lost_dish_is_told_and_hides_nothing() -> None:
    rest = [item(520, 100), item(560, 300)]
    scene = [[item(120, 250), *rest]] * 20 + [rest] * 20
    scene += [[hand(120, 300), *rest]] * 6 + [rest] * 4
    said = [by_id(tracks, 1) for tracks in play(scene)]
    assert {track.state for track in said[30:]} == {TrackState.LOST}
    assert {track.visibility for track in [*said[30:40], *said[-1:]]} == {1.0}
    assert all(0.3 < track.visibility < 1.0 for track in said[41:46])


def test_what_was_covered_when_it_was_lost_is_not_covered_for_ever() -> None:
    scene = [[item(300, 200)]] * 20 + [[hand(300, 200)]] * 10 + [[]] * 20
    said = [by_id(tracks, 1) for tracks in play(scene)]
    assert said[29].visibility < 0.5
    assert (said[-1].state, said[-1].visibility) == (TrackState.LOST, 1.0)
