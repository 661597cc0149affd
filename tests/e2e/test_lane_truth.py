"""The bills of a synthetic lane equal its own truth, when the detector is told the truth and spoils it."""

from collections import Counter
from collections.abc import Sequence

import pytest

from checkout.pipeline import LaneUpdate, Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import Zone, parse_polygon
from core.clock import ManualClock
from core.records import Bill, Frame
from streams.synthetic.catalogue import DISH_NAMES
from streams.synthetic.lane import TRAY_ZONE, SyntheticLane
from streams.synthetic.script import Act, Placed, TrayScript
from streams.synthetic.truth import FrameTruth, TrayTruth
from tests.fakes import EASY, MEDIUM, NONE, Noise, TruthDetector, menu, truth_frames
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

MENU = menu(*DISH_NAMES)
ZONES = (Zone("tray", "tray", parse_polygon(TRAY_ZONE)),)


def make_pipeline(truths: Sequence[FrameTruth], labels: tuple[str, ...], noise: Noise) -> Pipeline:
    detector = TruthDetector({truth.index: truth for truth in truths}, labels, noise)

    def make_tracker(size: tuple[int, int]) -> MultiObjectTracker:
        return MultiObjectTracker(TrackerSettings(), labels, size)

    def make_policy() -> Policy:
        return Policy("lane1", "key", CheckoutSettings(), ZONES, MENU)

    return Pipeline("lane1", "key", detector, make_tracker, make_policy, ManualClock())


def run(lane: SyntheticLane, noise: Noise) -> tuple[list[Frame], list[LaneUpdate], Pipeline]:
    truths = list(lane.truths())
    pipeline = make_pipeline(truths, lane.labels, noise)
    frames = list(truth_frames(truths))
    return frames, [pipeline.step(frame) for frame in frames], make_pipeline(truths, lane.labels, noise)


def closed(updates: Sequence[LaneUpdate]) -> list[Bill]:
    return [bill for update in updates for bill in update.closed]


def counted(bill: Bill) -> Counter[str]:
    return Counter(line.dish for line in bill.lines)


def right(tray: TrayTruth, bills: Sequence[Bill]) -> bool:
    """Return whether the tray has exactly one bill with lines, and it is the right one."""
    own = [bill for bill in bills if bill.lines and tray.t_in_s <= bill.opened_s < tray.t_out_s]
    return len(own) == (1 if tray.bill else 0) and all(counted(bill) == Counter(tray.bill) for bill in own)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "noise", "wrong"), [("easy", NONE, 0), ("easy", EASY, 1), ("medium", MEDIUM, 2)])
def test_bills_equal_the_truth(preset, noise, wrong):
    lane = SyntheticLane(41, preset, trays=15)
    _, updates, _ = run(lane, noise)
    bills = closed(updates)
    faults = [tray.tray_id for tray in lane.finished_trays if not right(tray, bills)]
    assert len(faults) <= wrong, faults


@pytest.mark.slow
def test_going_on_from_any_checkpoint_gives_the_same_updates():
    lane = SyntheticLane(43, "medium", trays=5)
    frames, updates, fresh = run(lane, MEDIUM)
    marks = [update.checkpoint for update in updates if update.checkpoint is not None]
    assert len(marks) >= 3
    mark = marks[1]
    fresh.resume(mark)
    again = [fresh.step(frame) for frame in frames if frame.index > mark.frame_index]
    rest = updates[-len(again) :]
    assert [update.events for update in again] == [update.events for update in rest]
    assert closed(again) == closed(rest)
    assert [update.tracks for update in again] == [update.tracks for update in rest]


SCENES = {
    "side by side": (TrayScript((Placed("tea", -8, 0), Placed("tea", 8, 0))), {"tea": 2}),
    "one second apart": (
        TrayScript((Placed("tea", -8, 0), Placed("tea", 8, 0)), (Act("put", 0, 1.0), Act("put", 1, 2.0))),
        {"tea": 2},
    ),
    "leaves and returns": (
        TrayScript((Placed("tea", -8, 0), Placed("banana", 10, 0)), (Act("take", 0, 1.0), Act("put", 0, 3.0))),
        {"tea": 1, "banana": 1},
    ),
    "taken away": (TrayScript((Placed("tea", -8, 0), Placed("banana", 10, 0)), (Act("take", 0, 1.0),)), {"banana": 1}),
    "no goods": (TrayScript((Placed("phone"), Placed("keys")), (Act("cover", 0, 1.0),)), {}),
}


@pytest.mark.parametrize("name", SCENES)
def test_staged_scenes(name):
    script, bill = SCENES[name]
    lane = SyntheticLane(5, "easy", script=[script])
    truths = list(lane.truths())
    # The lane ends when its tray has gone: the zone must stay empty for the bill to close.
    last = truths[-1]
    empty = [
        FrameTruth(last.index + n, last.t_s + n / 20, last.boxes[:0], last.object_ids[:0], (), last.visible[:0],
                   last.tray_ids[:0], last.in_zone[:0])
        for n in range(1, 81)
    ]  # fmt: skip
    truths += empty
    pipeline = make_pipeline(truths, lane.labels, EASY)
    bills = closed([pipeline.step(frame) for frame in truth_frames(truths)])
    assert lane.finished_trays[0].bill == bill
    assert [counted(one) for one in bills if one.lines] == ([Counter(bill)] if bill else [])
