"""What the policy decides in scenes: every sentence of its docstring, and the ones of the issue."""

import pytest

from checkout.settings import CheckoutSettings
from core.records import DecisionKind, Gap
from tests.fakes import START_UTC
from tests.unit.checkout.scenes import EXIT, TRAY, Scene, Thing, rides, stays

ADD, REMOVE, REVISE = DecisionKind.LINE_ADD, DecisionKind.LINE_REMOVE, DecisionKind.LINE_REVISE
CLOSE, ASK, OPEN = DecisionKind.BILL_CLOSE, DecisionKind.ASK, DecisionKind.BILL_OPEN


def test_a_tray_slides_in_stands_and_slides_out():
    tray = [rides("soup", -60, 150, 0, 2, 5), rides("bread", 0, 200, 0, 2, 5), rides("apple", 60, 120, 0, 2, 5)]
    scene = Scene().play(tray, 12)
    assert scene.kinds() == ["bill_open", "line_add", "line_add", "line_add", "bill_close"]
    assert scene.dishes() == ["apple", "bread", "soup"]
    bill = scene.closed[0]
    # The last dish (dx -60) crosses x = 480 at 5 + 220/240 s.
    assert bill.closed_s == pytest.approx(5 + 220 / 240 + 1.0, abs=0.1)
    assert bill.revision == 5


def test_a_bill_opens_with_the_first_item_and_lines_carry_price_and_time():
    scene = Scene().play([stays("bread", 300, 200, 1, 9)], 4)
    assert scene.kinds() == ["bill_open", "line_add"]
    line = scene.policy.bill.lines[0]
    assert (line.line_no, line.dish, line.quantity, line.unit_price) == (1, "bread", 1, 2.0)
    assert 1.0 <= line.t_s <= 1.3
    assert [decision.revision for decision in scene.decisions] == [1, 2]


def test_two_equal_dishes_side_by_side_are_two_lines():
    scene = Scene().play([stays("soup", 250, 200, 0, 9), stays("soup", 320, 200, 0, 9)], 3)
    assert scene.dishes() == ["soup", "soup"]


def test_two_equal_dishes_one_second_apart_are_two_lines():
    scene = Scene().play([stays("soup", 250, 200, 0, 9), stays("soup", 320, 200, 1, 9)], 4)
    assert scene.dishes() == ["soup", "soup"]


@pytest.mark.parametrize("away_s", [0.3, 0.6, 1.0, 1.5, 1.9, 2.0])
@pytest.mark.parametrize("same_track", [True, False])
@pytest.mark.parametrize("company", [True, False])
def test_a_dish_that_leaves_and_returns_within_two_seconds_is_one_line(away_s, same_track, company):
    thing = stays("soup", 250, 200, 0, 9, missed=[(3, 3 + away_s)], reborn=() if same_track else [3 + away_s])
    others = [stays("bread", 350, 100, 0, 9)] if company else []
    scene = Scene().play([thing, *others], 8)
    assert scene.dishes() == sorted(["soup"] + ["bread"] * company)
    assert len(scene.of_kind(OPEN)) == 1
    assert not scene.closed
    assert {d.detail["line_no"] for d in scene.of_kind(ADD) if d.dish == "soup"} == {1}


def test_phone_and_keys_are_no_lines_and_open_no_bill():
    scene = Scene().play([stays("phone", 250, 200, 0, 9), stays("keys", 350, 200, 0, 9)], 9)
    assert scene.decisions == []
    assert scene.counts[-1][1] == 0


def test_one_dish_taken_from_a_standing_tray_is_removed_within_half_a_second():
    away = Thing("soup", [(0, 250, 200), (4, 250, 200), (4.3, 250, -40)])
    scene = Scene().play([away, stays("bread", 350, 200, 0, 20)], 8)
    removal = scene.of_kind(REMOVE)[0]
    assert removal.dish == "soup"
    assert removal.stream_s <= 4.3 + 0.5
    assert scene.dishes() == ["bread"]


def test_two_of_three_lifted_at_once_are_two_removals():
    lifted = [Thing("soup", [(0, x, 200), (4, x, 200), (4.4, x, -40)]) for x in (200, 300)]
    scene = Scene().play([*lifted, stays("soup", 420, 200, 0, 20)], 7)
    assert [d.stream_s <= 4.9 for d in scene.of_kind(REMOVE)] == [True, True]
    assert scene.dishes() == ["soup"]


def test_a_line_that_comes_back_gets_its_number_back():
    away = Thing(
        "soup", [(0, 250, 200), (4, 250, 200), (4.3, 250, -40), (8, 250, -40), (8.3, 250, 200), (20, 250, 200)]
    )
    scene = Scene().play([away, stays("bread", 350, 200, 0, 20)], 12)
    assert [d.detail["line_no"] for d in scene.of_kind(ADD)] == [1, 2, 1]
    assert scene.dishes() == ["bread", "soup"]


def test_a_dish_put_down_late_is_added_and_the_bill_keeps_open():
    scene = Scene().play([stays("soup", 250, 200, 0, 30), stays("apple", 330, 250, 6, 30)], 9)
    assert scene.dishes() == ["apple", "soup"]
    assert len(scene.of_kind(OPEN)) == 1


@pytest.mark.parametrize("missing", [(4.6, 6.0), (5.0, 9.0), (5.2, 5.9)])
def test_a_dish_lost_while_the_tray_leaves_stays_on_the_bill(missing):
    tray = [
        rides("soup", -60, 150, 0, 2, 5, missed=[missing]),
        rides("bread", 0, 200, 0, 2, 5),
        rides("apple", 40, 120, 0, 2, 5),
    ]
    scene = Scene().play(tray, 12)
    assert scene.closed[0].close_reason == "zone clear"
    assert [line.dish for line in scene.closed[0].lines if line.dish == "soup"] == ["soup"]


def test_a_dish_taken_away_just_before_the_tray_leaves_is_not_billed():
    away = Thing("soup", [(0, 250, 200), (4, 250, 200), (4.3, 250, -40)])
    scene = Scene().play([away, rides("bread", 0, 200, 0, 2, 5.0), rides("apple", 60, 120, 0, 2, 5.0)], 12)
    assert sorted(line.dish for line in scene.closed[0].lines) == ["apple", "bread"]


def test_a_tray_that_moves_half_out_and_stops_keeps_its_lines_for_stay_s_and_then_loses_what_is_outside():
    half_out = [
        Thing("soup", [(0, 300, 200), (3, 300, 200), (3.5, 420, 200), (30, 420, 200)]),
        Thing("bread", [(0, 400, 200), (3, 400, 200), (3.5, 520, 200), (30, 520, 200)]),
    ]
    early = Scene().play(half_out, 6)
    assert early.dishes() == ["bread", "soup"]
    late = Scene().play(half_out, 9)
    assert late.dishes() == ["soup"]


def test_what_was_last_seen_in_an_exit_zone_has_departed():
    gone = Thing("soup", [(0, 300, 200), (3, 300, 200), (3.8, 600, 200)])
    scene = Scene(zones=(TRAY, EXIT)).play([gone, stays("bread", 250, 100, 0, 30)], 9)
    assert scene.dishes() == ["bread", "soup"]


def test_a_covered_dish_stays_and_counts():
    scene = Scene().play([stays("soup", 250, 200, 0, 20, covered=[(2, 8)]), stays("bread", 350, 200, 0, 20)], 10)
    assert scene.of_kind(REMOVE) == []
    assert {count for t_s, count in scene.counts if t_s > 1} == {2}


def test_flicker_shorter_than_leave_s_changes_nothing():
    gaps = [(2 + k, 2.3 + k) for k in range(6)]
    scene = Scene().play([stays("soup", 250, 200, 0, 20, missed=gaps), stays("bread", 350, 200, 0, 20)], 10)
    assert scene.kinds() == ["bill_open", "line_add", "line_add"]


def test_a_new_track_on_the_same_object_takes_the_line_over():
    scene = Scene().play([stays("soup", 250, 200, 0, 20, reborn=[3.0]), stays("bread", 350, 200, 0, 20)], 8)
    assert scene.dishes() == ["bread", "soup"]
    assert scene.policy.bill.lines[0].track_id == 3
    assert scene.of_kind(REVISE)[0].detail["track_before"] == 1


def test_a_second_box_on_one_object_is_no_line():
    inner = Thing("soup", [(1, 250, 203), (9, 250, 203)], side=50)
    scene = Scene().play([stays("soup", 250, 200, 0, 9), inner], 5)
    assert scene.dishes() == ["soup"]
    assert scene.counts[-1][1] == 1


def test_an_apple_on_a_plate_of_soup_is_a_line_of_its_own():
    scene = Scene().play([stays("soup", 250, 200, 0, 9, side=120), stays("apple", 250, 200, 0, 9, side=40)], 5)
    assert scene.dishes() == ["apple", "soup"]


def test_a_posterior_that_turns_revises_the_line():
    scene = Scene().play([stays("soup", 250, 200, 0, 9, becomes=[(3, "bread", 0.95)])], 5)
    assert [(d.dish, d.detail["dish_before"]) for d in scene.of_kind(REVISE)] == [("bread", "soup")]
    assert scene.dishes() == ["bread"]
    assert scene.policy.bill.total == 2.0


def test_a_weak_change_of_mind_revises_nothing():
    scene = Scene().play([stays("soup", 250, 200, 0, 9, becomes=[(3, "bread", 0.7)])], 5)
    assert scene.of_kind(REVISE) == []


def test_what_turns_out_to_be_a_phone_leaves_the_bill():
    things = [stays("soup", 250, 200, 0, 9, becomes=[(3, "phone", 0.95)]), stays("bread", 350, 200, 0, 9)]
    scene = Scene().play(things, 6)
    assert scene.dishes() == ["bread"]
    assert "phone" in scene.of_kind(REMOVE)[0].reason


def test_between_ask_and_commit_the_line_waits():
    scene = Scene().play([stays("soup", 250, 200, 0, 9, sure=0.75)], 5)
    assert scene.of_kind(ADD)[0].stream_s == pytest.approx(1.0, abs=0.1)
    assert scene.of_kind(ASK) == []


@pytest.mark.parametrize(("label", "sure"), [("soup", 0.4), ("@item", 0.9)])
def test_the_unknown_is_asked_once_and_not_guessed(label, sure):
    scene = Scene().play([stays(label, 250, 200, 0, 9, sure=sure)], 6)
    assert scene.kinds() == ["bill_open", "ask"]
    assert scene.of_kind(ASK)[0].stream_s == pytest.approx(1.5, abs=0.1)
    assert scene.dishes() == []


def test_an_answer_commits_for_good():
    thing = stays("soup", 250, 200, 0, 20, sure=0.4, becomes=[(4, "bread", 0.99)])
    scene = Scene().play([thing], 3)
    decisions = scene.policy.answer(1, "apple", 3.0, START_UTC + 3)
    assert [d.kind for d in decisions] == [DecisionKind.ANSWER, ADD]
    scene.play([thing], 8, from_s=3.05)
    assert scene.dishes() == ["apple"]
    assert scene.policy.bill.lines[0].confidence == 1.0


def test_an_answer_can_say_that_it_is_nothing():
    thing = stays("soup", 250, 200, 0, 20, sure=0.4, becomes=[(4, "bread", 0.99)])
    scene = Scene().play([thing], 3)
    scene.policy.answer(1, "", 3.0, START_UTC + 3)
    scene.play([thing], 8, from_s=3.05)
    assert scene.dishes() == []


def test_an_answer_after_the_bill_has_closed_changes_nothing():
    scene = Scene().play([stays("soup", 250, 200, 0, 2)], 8)
    assert scene.policy.answer(1, "apple", 8.0, START_UTC + 8) == []


def test_trays_one_after_the_other_are_bills_of_their_own():
    trays = []
    for n in range(5):
        trays += [rides("soup", -40, 150, 0, 2 + 8 * n, 5 + 8 * n), rides("bread", 40, 200, 0, 2 + 8 * n, 5 + 8 * n)]
    scene = Scene().play(trays, 44)
    assert [len(bill.lines) for bill in scene.closed] == [2] * 5
    assert len({bill.bill_id for bill in scene.closed}) == 5


def test_the_next_tray_with_the_same_dish_soon_after_is_another_bill():
    # The first soup leaves the zone at 5.67 s, the second one enters it at 6.8 s: clear for 1.1 s.
    scene = Scene().play([rides("soup", 0, 150, 0, 2, 5), rides("soup", 0, 150, 0, 7.45, 12)], 18)
    assert [[line.dish for line in bill.lines] for bill in scene.closed] == [["soup"], ["soup"]]
    assert scene.of_kind(REMOVE) == []


def test_a_bill_closes_at_max_open_and_its_objects_are_not_billed_again():
    settings = CheckoutSettings(max_open_s=5)
    things = [stays("soup", 250, 200, 0, 30, reborn=[8.0]), stays("bread", 350, 200, 10, 30)]
    scene = Scene(settings).play(things, 13)
    assert len(scene.closed) == 1
    assert scene.closed[0].close_reason == "open for 5 s"
    assert scene.dishes() == ["bread"]
    assert scene.counts[-1][1] == 1


def test_a_gap_takes_nothing_off_the_bill():
    things = [stays("soup", 250, 200, 0, 30), stays("bread", 350, 200, 0, 30)]
    scene = Scene().play(things, 4)
    scene.decisions += scene.policy.gap(Gap("lane1", START_UTC + 4, START_UTC + 9, 4.0, "camera lost"))
    scene.play(things, 14, from_s=9)
    assert scene.kinds() == ["bill_open", "line_add", "line_add", "gap"]
    assert scene.dishes() == ["bread", "soup"]


def test_after_a_gap_lines_find_their_objects_under_new_tracks_and_lose_what_went():
    things = [stays("soup", 250, 200, 0, 30), stays("bread", 350, 200, 0, 30)]
    scene = Scene().play(things, 4)
    scene.policy.gap(Gap("lane1", START_UTC + 4, START_UTC + 9, 4.0, "camera lost"))
    scene.play([stays("soup", 255, 203, 9, 30), stays("apple", 330, 280, 9, 30)], 14, from_s=9)
    assert scene.dishes() == ["apple", "soup"]
    assert scene.of_kind(REMOVE)[0].reason == "gone after an interruption"


def test_a_tray_that_left_in_a_gap_closes_as_it_was():
    scene = Scene().play([stays("soup", 250, 200, 0, 30), stays("bread", 350, 200, 0, 30)], 4)
    scene.policy.gap(Gap("lane1", START_UTC + 4, START_UTC + 60, 4.0, "camera lost"))
    scene.play([stays("apple", 400, 100, 60, 90)], 66, from_s=60)
    assert [line.dish for line in scene.closed[0].lines] == ["soup", "bread"]
    assert scene.dishes() == ["apple"]


def test_a_restored_bill_adopts_what_still_lies_there():
    before = Scene().play([stays("soup", 250, 200, 0, 30), stays("bread", 350, 200, 0, 30)], 4)
    bill = before.policy.bill
    after = Scene()
    after.policy.restore(bill)
    after.play([stays("soup", 252, 201, 0, 30)], 8)
    assert after.kinds()[0] == "line_revise" or after.kinds()[0] == "line_remove"
    assert after.dishes() == ["soup"]
    assert after.policy.bill.bill_id == bill.bill_id
    assert after.policy.bill.revision > bill.revision


def test_events_within_a_bill_have_consecutive_revisions():
    away = Thing("soup", [(0, 250, 200), (4, 250, 200), (4.3, 250, -40)])
    scene = Scene().play([away, stays("bread", 350, 200, 0, 6), stays("apple", 350, 100, 0, 6, sure=0.3)], 12)
    assert [d.revision for d in scene.decisions] == list(range(1, len(scene.decisions) + 1))
    assert scene.closed[0].revision == len(scene.decisions)


@pytest.mark.parametrize("fps", [5.0, 10.0, 30.0])
def test_a_slow_camera_changes_no_rule(fps):
    tray = [rides("soup", -60, 150, 0, 2, 6), rides("bread", 0, 200, 0, 2, 6)]
    away = Thing("apple", [(1, 300, 120), (4, 300, 120), (4.3, 300, -40)])
    scene = Scene().play([*tray, away], 13, fps=fps)
    assert [line.dish for line in scene.closed[0].lines] == ["soup", "bread"] or scene.dishes() == ["bread", "soup"]
    assert len(scene.of_kind(REMOVE)) == 1


@pytest.mark.parametrize("same_track", [True, False])
def test_a_lone_dish_carried_off_and_back_by_hand_is_one_line_on_one_bill(same_track):
    # Out of the zone from 4.2 s to 5.6 s; a new track is first seen far from where the dish lay.
    out = [(0, 250, 200), (4, 250, 200), (4.3, 150, 330), (4.5, 60, 360)]
    back = [(5.4, 60, 360), (5.6, 165, 330), (6.2, 250, 200), (20, 250, 200)]
    thing = Thing("soup", [*out, *back], missed=[(4.4, 5.5)], reborn=() if same_track else [5.5])
    scene = Scene().play([thing], 12)
    assert scene.kinds().count("bill_open") == 1
    assert scene.closed == []
    assert scene.dishes() == ["soup"]


@pytest.mark.parametrize("same_track", [True, False])
def test_a_bill_waits_for_the_hand_that_lies_over_the_place_of_its_dish(same_track):
    # Taken at 3 s; the hand is back at 4.9 s, hides what it brings, and draws back after the bill would have closed.
    thing = stays("soup", 250, 200, 0, 20, missed=[(3, 5.6)], reached=[(4.9, 5.6)], reborn=() if same_track else [5.6])
    scene = Scene().play([thing], 12)
    assert scene.kinds().count("bill_open") == 1
    assert scene.closed == []
    assert [d.detail["line_no"] for d in scene.of_kind(ADD)] == [1]


def test_a_hand_that_comes_and_puts_nothing_down_closes_the_bill_a_little_later_as_of_the_same_moment():
    alone = Scene().play([stays("soup", 250, 200, 0, 3)], 12)
    reached = Scene().play([stays("soup", 250, 200, 0, 3, reached=[(4.5, 5.6)])], 12)
    assert reached.closed[0].closed_s == alone.closed[0].closed_s
    told = [scene.of_kind(CLOSE)[0].stream_s for scene in (alone, reached)]
    assert told[0] < 5.6 < told[1] <= 5.6 + 0.5


def test_a_hand_that_rests_where_the_dish_lay_keeps_no_bill_open():
    scene = Scene().play([stays("soup", 250, 200, 0, 3, reached=[(4.5, 30)])], 12)
    assert scene.of_kind(CLOSE)[0].stream_s <= 3 + 2.2 + 2.0 + 0.2


def _carried_off() -> Thing:
    return Thing("soup", [(0, 250, 200), (4, 250, 200), (4.3, 250, 350)], missed=[(4.3, 99)])


def _brought(label: str, from_y: float, to_x: float, **more: object) -> Thing:
    return Thing(label, [(5.6, 250, from_y), (5.9, to_x, 200), (20, to_x, 200)], **more)  # type: ignore[arg-type]


def test_a_lone_dish_that_is_put_back_in_its_very_place_is_one_line_whatever_it_was_taken_for_in_the_hand():
    back = _brought("bread", 340, 250, becomes=[(7.0, "soup", 0.99)])
    scene = Scene().play([_carried_off(), back], 12)
    assert scene.closed == []
    assert [d.detail["line_no"] for d in scene.of_kind(ADD)] == [1]
    assert scene.dishes() == ["soup"]


def test_a_lone_dish_that_is_swapped_for_another_one_in_its_place_becomes_that():
    scene = Scene().play([_carried_off(), _brought("bread", 340, 250)], 12)
    assert scene.closed == []
    assert scene.dishes() == ["bread"]


@pytest.mark.parametrize(("from_y", "to_x"), [(340, 330), (60, 250)])
def test_another_dish_elsewhere_or_from_another_side_is_on_a_bill_of_its_own(from_y, to_x):
    scene = Scene().play([_carried_off(), _brought("bread", from_y, to_x)], 12)
    assert [[line.dish for line in bill.lines] for bill in scene.closed] == [["soup"]]
    assert scene.dishes() == ["bread"]


def test_what_a_hand_carried_across_the_tray_is_the_same_line():
    # The tracker thinks that the soup is still under the hand; in truth it was put down elsewhere on the tray.
    carried = stays("soup", 250, 200, 0, 20, covered=[(3, 20)])
    scene = Scene().play([carried, stays("soup", 400, 250, 3.8, 20), stays("bread", 330, 100, 0, 20)], 8)
    assert scene.dishes() == ["bread", "soup"]
    assert [d.detail["track_before"] for d in scene.of_kind(REVISE)] == [1]


def test_an_object_that_is_seen_again_beside_its_supposed_self_becomes_a_line_of_its_own():
    hidden = stays("soup", 250, 200, 0, 20, covered=[(3, 5)])
    scene = Scene().play([hidden, stays("soup", 400, 250, 3.8, 20), stays("bread", 330, 100, 0, 20)], 8)
    assert scene.dishes() == ["bread", "soup", "soup"]


def test_an_equal_dish_that_is_seen_to_come_in_is_another_one_even_while_the_first_is_covered():
    hidden = stays("soup", 250, 200, 0, 20, covered=[(3, 20)])
    brought = Thing("soup", [(3.2, 560, 200), (3.8, 400, 250), (20, 400, 250)])
    scene = Scene().play([hidden, brought, stays("bread", 330, 100, 0, 20)], 8)
    assert scene.dishes() == ["bread", "soup", "soup"]


@pytest.mark.parametrize("jump", [0.0, 40.0])
def test_two_boxes_of_one_dish_deep_in_one_another_are_one_line(jump):
    # Overlap (IoU) one half; the second box slips off for a moment, which proves nothing.
    twin = Thing("soup", [(1, 270, 200), (3, 270, 200), (3.2, 270 + jump, 200), (3.4, 270, 200), (20, 270, 200)])
    scene = Scene().play([stays("soup", 250, 200, 0, 20), twin], 8)
    assert scene.dishes() == ["soup"]


def test_a_second_box_that_then_lies_apart_is_a_line_after_all():
    other = Thing("soup", [(1, 270, 200), (3, 270, 200), (3.2, 350, 200), (20, 350, 200)])
    scene = Scene().play([stays("soup", 250, 200, 0, 20), other], 8)
    assert scene.dishes() == ["soup", "soup"]
    assert scene.of_kind(ADD)[1].stream_s == pytest.approx(4.2, abs=0.3)


@pytest.mark.parametrize("clear_s", [1.1, 1.5, 2.0])
def test_a_dish_of_the_next_tray_does_not_take_over_the_line_of_its_like(clear_s):
    # The last dish of the first tray leaves the zone at 5.8 s; the first of the second crosses x = 160 at the stop
    # time less 0.92 s, and the soup of the second passes where that of the first lay.
    stop_s = 5.8 + clear_s + 0.92
    first = [rides("soup", -40, 150, 0, 2, 5), rides("bread", -60, 200, 0, 2, 5)]
    second = [rides("soup", 60, 150, 0, stop_s, stop_s + 5), rides("apple", -40, 200, 0, stop_s, stop_s + 5)]
    scene = Scene().play([*first, *second], stop_s + 12)
    assert [sorted(line.dish for line in bill.lines) for bill in scene.closed] == [["bread", "soup"], ["apple", "soup"]]


@pytest.mark.parametrize("sure", [0.65, 0.95])
def test_a_lone_dish_that_is_misread_in_the_hand_that_brings_it_back_opens_no_second_bill(sure):
    out = [(0, 250, 200), (4, 250, 200), (4.3, 150, 330), (4.5, 60, 360)]
    back = [(5.4, 60, 360), (5.6, 165, 330), (6.2, 250, 200), (20, 250, 200)]
    misread = [(5.4, "bread", sure), (6.1, "soup", 0.99)]
    thing = Thing("soup", [*out, *back], missed=[(4.4, 5.5)], reborn=[5.5], becomes=misread)
    scene = Scene().play([thing], 12)
    assert scene.kinds().count("bill_open") == 1
    assert scene.closed == []
    assert scene.dishes() == ["soup"]


@pytest.mark.parametrize("covered", [True, False])
def test_a_dish_that_comes_back_hidden_in_a_hand_is_waited_for(covered):
    # Out of the zone from 4.25 s; seen again outside of it at 5.8 s, then not before it lies in its place at 6.8 s.
    out = [(0, 250, 200), (4, 250, 200), (4.3, 150, 330), (4.5, 60, 360)]
    back = [(5.8, 100, 360), (5.9, 100, 360), (6.8, 250, 200), (20, 250, 200)]
    hidden = [(5.9, 6.8)]
    gone = [(4.4, 5.8), *([] if covered else hidden)]
    path = [*out, *back] if not covered else [*out, (5.8, 100, 360), (6.79, 100, 360), (6.8, 250, 200), (20, 250, 200)]
    thing = Thing("soup", path, missed=gone, covered=hidden if covered else [], reborn=[6.8])
    scene = Scene().play([thing], 12)
    assert scene.kinds().count("bill_open") == (1 if covered else 2)
