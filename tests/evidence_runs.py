"""A lane of painted detections that keeps the evidence of its bills."""

from __future__ import annotations

from checkout.evidence.journal import JournalledPolicy
from checkout.evidence.keeper import EvidenceKeeper
from checkout.evidence.packet import Rules
from checkout.evidence.settings import EvidenceSettings
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import Zone, parse_polygon
from core.clock import ManualClock
from tests.fakes import FixedDetector, frames, menu, seen
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

LABELS = ("soup", "bread", "apple", "@hand")
MENU = menu("soup", "bread", "apple")
ZONES = (Zone("tray", "tray", parse_polygon("0.25,0,0.75,0,0.75,1,0.25,1")),)


def a_tray(t_s: float):
    """Soup and bread from 0.5 s to 4 s."""
    return [seen("soup", 250, 200), seen("bread", 380, 200)] if 0.5 <= t_s < 4.0 else []


def run_lane(tmp_path, look=a_tray, seconds=8.0, settings=None, answer=None):
    """Run frames through a pipeline with a keeper; return the keeper and every event of closed bills."""
    evidence = settings or EvidenceSettings(folder=tmp_path / "evidence")
    checkout = CheckoutSettings()
    rules = Rules("lane1", "key", checkout, ZONES, "fixed@1", "ab" * 32)
    clock = ManualClock(utc_s=1_700_000_000.0)
    keeper = EvidenceKeeper(evidence, rules, lambda: MENU, clock)
    pipeline = Pipeline(
        "lane1",
        "key",
        FixedDetector(LABELS, look),
        lambda size: MultiObjectTracker(TrackerSettings(), LABELS, size),
        lambda: JournalledPolicy(Policy("lane1", "key", checkout, ZONES, MENU), keeper, MENU),
        clock,
    )
    events, bills = [], []
    for one in frames(round(20 * seconds)):
        update = pipeline.step(one)
        keeper.take(update)
        events += update.events
        bills += update.closed
        for event in update.events:
            if answer is not None and event.decision.kind == "ask":
                told = pipeline.answer(event.decision.track_id, answer)
                keeper.take(told)
                events += told.events
    assert keeper.stop(10.0)
    return keeper, events, bills
