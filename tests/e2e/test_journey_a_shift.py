"""Journey 4: trays come and go on three lanes; bills follow them; what a lane does not know, it asks."""

from __future__ import annotations

from collections import Counter

import pytest

from streams.synthetic.lane import SyntheticLane
from tests.appliance import Running, appliance
from tests.browser import CHROMIUM, browser_page
from tests.journeys import keep_picture, lane, lines_on, site
from tests.postgres import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
FPS = 10
#: Seeds of easy lanes whose second tray holds a dish twice, and that have things that are no dishes.
SEEDS = {"lane1": 61, "lane2": 67}


def truth(seed: int) -> list[Counter[str]]:
    """Return what lies on the two trays of a seed."""
    filmed = SyntheticLane(seed, "easy", 160, 96, float(FPS), trays=2)
    for _ in filmed:
        pass
    return [Counter(tray.bill) for tray in filmed.finished_trays]


def answers_on(running: Running, lane_id: str) -> list[dict]:
    """Return the answers of people that a lane took."""
    events = running.get(f"/api/v1/events?lane={lane_id}&limit=500")["events"]
    return [one for one in events if one["kind"] == "answer"]


def test_three_lanes_bill_their_trays_and_one_asks(tmp_path):
    lanes = {name: lane(f"synthetic://easy?seed={seed}&fps={FPS}&trays=2&pace=fast") for name, seed in SEEDS.items()}
    # Nobody is ever as sure as this: the lane asks about each dish.
    unsure = {"commit_confidence": 1.0, "ask_confidence": 1.0, "ask_after_s": 0.2}
    lanes["lane3"] = lane(f"synthetic://easy?seed=900900&fps={FPS}", checkout=unsure)
    with appliance(tmp_path, site(lanes)) as running, browser_page() as page:
        running.wait_for(lambda s: s["state"] != "connecting", "lane3", 120, "the first frame")
        page.goto(running.url)
        page.wait_for_selector("#lane-lane1 .lines li .price", timeout=120_000)
        running.wait_for(lambda s: s["asks"], "lane3", 120, "a question")
        button = page.locator("#lane-lane3 .asks button").first
        button.wait_for(timeout=60_000)
        keep_picture(page, "journey-4-question")
        button.click(timeout=30_000)
        wait_for(lambda: answers_on(running, "lane3"), 60)
        assert answers_on(running, "lane3")[0]["bill_id"], "the answer is on a bill's record"
        for name, seed in SEEDS.items():
            running.wait_for(lambda s: s["state"] == "stopped", name, 240, "the end of the recording")
            bills = running.get(f"/api/v1/bills?lane={name}&state=closed")["bills"]
            sold = [Counter(line["dish"] for line in bill["lines"]) for bill in reversed(bills)]
            # Phones and keys lie there, too, and are on no bill; a dish that is there twice has two lines.
            assert sold == truth(seed), f"{name}: {sold}"
            twice = [bill for bill in bills if len(bill["lines"]) > len({line["dish"] for line in bill["lines"]})]
            assert twice
            assert all(line["quantity"] == 1 for bill in twice for line in bill["lines"])
            titles = [line["title"] for line in bills[0]["lines"]]
            assert lines_on(page, name) == titles, "the page shows the last bill as the API tells it"
        keep_picture(page, "journey-4-end")
