"""A person corrects an open bill: what is said stays said, whatever the lane sees afterwards."""

import pytest

from checkout.correction import Action, Correction, CorrectionRefused, correct_closed
from checkout.lane import Lane
from core.clock import SystemClock
from core.errors import DataError
from core.records import DecisionKind, Event
from store.engine import open_store
from store.spool import Spool
from tests.fakes import START_UTC, ScriptedSource, frames
from tests.unit.checkout.scenes import MENU, Scene, Thing, stays
from tests.unit.checkout.test_lane import MENU as LANE_MENU
from tests.unit.checkout.test_lane import make_pipeline, two_dishes

CORRECTION = DecisionKind.CORRECTION


def wanted(scene: Scene, action: Action, line_no: int | None = None, dish: str = "", **more) -> Correction:
    return Correction(scene.policy.bill.bill_id, action, line_no, dish, "anna", "looked", **more)


def take(scene: Scene, correction: Correction, t_s: float):
    made = scene.policy.correct(correction, t_s, START_UTC + t_s)
    scene.decisions += made
    return made


def test_a_replaced_line_stays_what_a_person_said():
    things = [Thing("soup", [(0, 250, 200), (9, 250, 200)], becomes=[(4, "apple", 0.99)])]
    scene = Scene().play(things, 3)
    made = take(scene, wanted(scene, Action.REPLACE, 1, "bread"), 3.0)
    assert [one.kind for one in made] == [CORRECTION, DecisionKind.LINE_REVISE]
    assert made[0].detail == {
        "action": "replace", "by": "anna", "why": "looked", "dish_before": "soup", "price_before": 1.0, "line_no": 1,
    }  # fmt: skip
    assert [one.revision for one in scene.decisions] == [1, 2, 3, 4]
    scene.play(things, 8, from_s=3)
    assert scene.dishes() == ["bread"]
    assert scene.policy.bill.total == 2.0


@pytest.mark.parametrize("reborn", [(), (5.0,)])
def test_a_struck_line_does_not_come_back_even_under_a_new_track(reborn):
    things = [stays("soup", 250, 200, 0, 19, reborn=reborn), stays("bread", 400, 200, 0, 19)]
    scene = Scene().play(things, 3)
    take(scene, wanted(scene, Action.REMOVE, 1), 3.0)
    scene.play(things, 9, from_s=3)
    assert scene.dishes() == ["bread"]


@pytest.mark.parametrize("reborn", [(), (5.0,)])
def test_a_struck_line_is_put_back_by_another_correction(reborn):
    things = [stays("soup", 250, 200, 0, 19, reborn=reborn), stays("bread", 400, 200, 0, 19)]
    scene = Scene().play(things, 3)
    take(scene, wanted(scene, Action.REMOVE, 1), 3.0)
    scene.play(things, 7, from_s=3)
    take(scene, wanted(scene, Action.REPLACE, 1, "soup"), 7.0)
    scene.play(things, 12, from_s=7)
    assert scene.dishes() == ["bread", "soup"]


def test_a_line_added_by_hand_stays_while_others_come_and_go_and_leaves_with_the_tray():
    things = [stays("soup", 250, 200, 0, 6), stays("bread", 400, 200, 0, 10)]
    scene = Scene().play(things, 3)
    take(scene, wanted(scene, Action.ADD, None, "apple"), 3.0)
    scene.play(things, 9, from_s=3)
    assert scene.dishes() == ["apple", "bread"]
    scene.play(things, 18, from_s=9)
    assert scene.closed
    assert scene.dishes() == ["apple", "bread"]


def test_a_gap_does_not_take_off_what_was_added_by_hand():
    from core.records import Gap

    things = [stays("bread", 400, 200, 0, 30)]
    scene = Scene().play(things, 3)
    take(scene, wanted(scene, Action.ADD, None, "apple"), 3.0)
    scene.decisions += scene.policy.gap(Gap("lane1", START_UTC + 3, START_UTC + 5, 3.0, "cable"))
    scene.play(things, 12, from_s=5)
    assert scene.dishes() == ["apple", "bread"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bill_id": "other"}, "not open"),
        ({"line_no": 7}, "no line 7; its lines: 1"),
        ({"revision": 1}, "changed"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(change, says):
    scene = Scene().play([stays("soup", 250, 200, 0, 9)], 3)
    before = scene.policy.bill
    good = {"bill_id": before.bill_id, "action": Action.REPLACE, "line_no": 1, "dish": "bread", "by": "anna"}
    with pytest.raises(CorrectionRefused, match=says):
        scene.policy.correct(Correction(**(good | change)), 3.0, START_UTC + 3)
    with pytest.raises(DataError, match="pizza"):
        scene.policy.correct(Correction(**(good | {"dish": "pizza"})), 3.0, START_UTC + 3)
    assert scene.policy.bill == before


def test_a_correction_at_the_same_moment_gives_the_same_events_again():
    def once():
        things = [stays("soup", 250, 200, 0, 9), stays("bread", 400, 200, 1, 9)]
        scene = Scene().play(things, 3)
        take(scene, wanted(scene, Action.REMOVE, 1), 3.0)
        take(scene, wanted(scene, Action.ADD, None, "apple"), 3.0)
        return scene.play(things, 15, from_s=3).decisions

    assert once() == once()


def test_a_closed_bill_is_corrected_by_new_events():
    scene = Scene().play([stays("soup", 250, 200, 0, 3)], 9)
    bill = scene.closed[0]
    origin = Event("e", "lane1", scene.decisions[0], "traynet@1", "ab")
    job = Correction(bill.bill_id, Action.ADD, None, "apple", "anna")
    events, after = correct_closed(bill, 4, job, MENU, 9000.0, origin)
    assert [event.decision.kind for event in events] == [CORRECTION, DecisionKind.LINE_ADD]
    assert [event.decision.revision for event in events] == [bill.revision + 1, bill.revision + 2]
    assert after.closed_s == bill.closed_s
    assert [line.line_no for line in after.lines] == [1, 5]
    assert len({event.event_id for event in events}) == 2
    assert events[0].model == "traynet@1"


def test_the_lane_thread_takes_a_correction_stores_it_and_tells(tmp_path):
    store, clock = open_store(f"sqlite:///{tmp_path}/t.db"), SystemClock()
    spool = Spool(store, tmp_path / "spool.jsonl", clock)
    import threading

    shown, go_on = threading.Event(), threading.Event()

    def hold(position: int) -> None:
        if position == 80:
            shown.set()
            go_on.wait(20)

    source = ScriptedSource(frames(100), before_read=hold)
    lane = Lane(source, make_pipeline(two_dishes(until_s=4.2), clock=clock), spool, LANE_MENU, clock)
    with pytest.raises(CorrectionRefused, match="does not run"):
        lane.correct(Correction("b", Action.ADD, None, "soup", "anna"))
    lane.start()
    assert shown.wait(20)
    while store.open_bill("lane1") is None or len(store.open_bill("lane1").lines) < 2:
        assert clock.wait(threading.Event(), 0.02) is False
    bill = store.open_bill("lane1")
    after, events = lane.correct(Correction(bill.bill_id, Action.REPLACE, 1, "apple", "anna")).wait(10)
    assert [line.dish for line in after.lines] == ["apple", "bread"]
    assert store.open_bill("lane1").lines[0].dish == "apple"
    assert {event.event_id for event in events} <= {one.event.event_id for one in store.events()}
    with pytest.raises(CorrectionRefused, match="no line 9"):
        lane.correct(Correction(bill.bill_id, Action.REMOVE, 9, "", "anna")).wait(10)
    go_on.set()
    lane.drain(20)
    lane.stop()
    spool.close()
    store.close()


def test_a_person_finds_a_bill_right_and_only_its_revision_changes():
    scene = Scene().play([stays("soup", 250, 200, 0, 9)], 3)
    before = scene.policy.bill
    [made] = take(scene, wanted(scene, Action.CONFIRM), 3.0)
    assert made.kind is DecisionKind.CONFIRM
    assert made.detail == {"by": "anna", "why": "looked", "lines": 1, "total": 1.0}
    after = scene.policy.bill
    assert after.lines == before.lines
    assert after.revision == before.revision + 1
    stale = wanted(scene, Action.CONFIRM, revision=before.revision)
    with pytest.raises(CorrectionRefused, match="has changed"):
        scene.policy.correct(stale, 3.1, START_UTC + 3.1)
