"""The pages that cashiers and operators look at all day, in a real browser over a site whose trays the test moves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import CHROMIUM, browser_page
from tests.lane_site import SURE_TRAY, TRAY, LaneSite, lane_site

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaneSite]:
    with lane_site(tmp_path_factory.mktemp("lanes")) as running:
        yield running


@pytest.fixture
def tray(lanes: LaneSite) -> Iterator[LaneSite]:
    """A tray on lane 1 with a sure soup and a thing that is asked about; both lanes are empty again afterwards."""
    lanes.counters["lane1"].things = TRAY
    lanes.wait_for("lane1", lambda s: s["asks"], "a question")
    yield lanes
    clear(lanes, "lane1")
    clear(lanes, "lane2")


def clear(lanes: LaneSite, lane_id: str) -> dict | None:
    """Take the tray away; return the lane's last bill."""
    lanes.counters[lane_id].things = ()
    lanes.wait_for(lane_id, lambda s: s["bill"] is None and not s["items_in_zone"], "the end of a bill")
    return lanes.site.state(lane_id)["last_bill"]


def closed_bill(lanes: LaneSite) -> str:
    """Let a tray with a soup and a salad pass lane 2; return the id of its bill."""
    lanes.counters["lane2"].things = SURE_TRAY
    lanes.wait_for("lane2", lambda s: s["bill"] and len(s["bill"]["lines"]) == 2, "two lines")
    return str(clear(lanes, "lane2")["bill_id"])


def until(page: Page, told: str) -> None:
    """Wait until a JavaScript expression is true; Playwright's own waiting needs `eval`, which our pages refuse."""
    deadline_s = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(told):
        assert time.monotonic() < deadline_s, f"never true: {told}"
        page.wait_for_timeout(50)


def serious(page: Page) -> list[str]:
    """Return the serious findings of axe-core."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def test_live_shows_pictures_bills_questions_and_the_lost_camera(tray):
    with browser_page() as page:
        page.goto(tray.url, wait_until="domcontentloaded")
        until(page, "document.querySelector('#lane-lane1 .picture').naturalWidth === 640")
        bill = page.locator("#lane-lane1 .bill")
        expect(bill.locator(".lines li")).to_contain_text(["Tomato soup"], timeout=WAIT_MS)
        expect(bill.locator(".total")).to_have_text("€3.40")
        tile = page.locator("#lane-lane3 .offline")
        expect(tile).to_contain_text("Stream offline", timeout=WAIT_MS)
        expect(tile).to_contain_text("no route to host")
        expect(tile).to_contain_text("next try in")
        expect(page.locator("#lane-lane1 .offline")).to_be_hidden()
        page.keyboard.press("2")  # the second guess of the only question
        expect(bill.locator(".lines li")).to_have_count(2, timeout=WAIT_MS)
        expect(page.locator(".ask")).to_have_count(0)
        page.locator("#lane-lane1 h2 a").click()
        page.wait_for_url("**/lanes/lane1")


def test_one_lane_with_everything_drawn(tray):
    with browser_page() as page:
        page.goto(f"{tray.url}/lanes/lane1", wait_until="domcontentloaded")
        until(page, "document.querySelector('.picture').naturalWidth === 640")
        page.keyboard.press("d")
        until(page, "document.querySelector('.picture').naturalWidth === 1280")
        expect(page.get_by_role("button", name="Debug overlay")).to_have_attribute("aria-pressed", "true")
        assert page.url.endswith("?debug=1")


def test_display_answers_by_touch_corrects_confirms_and_thanks(tray):
    with browser_page(width=1024, height=768) as page:
        page.goto(f"{tray.url}/display/lane1", wait_until="domcontentloaded")
        page.locator(".ask .answer", has_text="Chocolate cake").click()
        expect(page.locator("#lines li")).to_have_count(2, timeout=WAIT_MS)
        expect(page.locator("#asks .ask")).to_have_count(0)
        page.locator(".line-button", has_text="Tomato soup").click()
        page.locator("#picker-search").fill("sala")
        page.keyboard.press("Enter")
        expect(page.locator("#lines")).to_contain_text("Green salad", timeout=WAIT_MS)
        page.locator("#confirm").click()
        expect(page.locator("#confirmed")).to_be_visible(timeout=WAIT_MS)
        bill_id = tray.site.state("lane1")["bill"]["bill_id"]
        tray.counters["lane1"].things = ()
        expect(page.locator("#thanks")).to_be_visible(timeout=WAIT_MS)
    stored = {event.event.decision.kind for event in tray.site.store.events("lane1", bill_id=bill_id)}
    assert {"answer", "correction", "confirm", "bill_close"} <= {str(kind) for kind in stored}
    [bill] = [one for one in tray.site.store.bills("lane1", limit=5) if one.bill_id == bill_id]
    assert "salad" in [line.dish for line in bill.lines]
    assert "soup" not in [line.dish for line in bill.lines]


def test_a_closed_bill_is_corrected_on_the_display_and_a_dish_added(lanes):
    with browser_page(width=1024, height=768) as page:
        page.goto(f"{lanes.url}/display/lane2", wait_until="domcontentloaded")
        bill_id = closed_bill(lanes)
        page.wait_for_timeout(300)
        page.keyboard.press("a")
        page.locator(".dish", has_text="Chocolate cake").click()
        expect(page.locator("#lines")).to_contain_text("Chocolate cake", timeout=WAIT_MS)
        page.locator(".line-button", has_text="Tomato soup").click()
        page.locator("#picker-extra").click()
        expect(page.locator("#lines li")).to_have_count(2, timeout=WAIT_MS)
        expect(page.locator("#total")).to_have_text("€5.60")
    [bill] = [one for one in lanes.site.store.bills("lane2", limit=5) if one.bill_id == bill_id]
    assert sorted(line.dish for line in bill.lines) == ["cake", "salad"]


def test_a_display_that_is_cut_off_says_so_and_comes_back(lanes):
    with browser_page() as page:
        page.goto(f"{lanes.url}/display/lane1", wait_until="domcontentloaded")
        expect(page.locator("#link")).to_contain_text("live", timeout=WAIT_MS)
        page.evaluate("dispatchEvent(new Event('offline'))")
        expect(page.locator("#network")).to_be_visible()
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(page.locator("#network")).to_be_hidden()


def test_bills_are_found_opened_and_decided_again(lanes):
    bill_id = closed_bill(lanes)
    with browser_page() as page:
        page.goto(f"{lanes.url}/bills")
        page.keyboard.press("/")
        page.select_option("#lane", "lane2")
        page.select_option("#dish", "salad")
        page.fill("#min_total", "6,60")
        page.get_by_role("button", name="Show").click()
        row = page.locator("#bills tbody tr", has_text=bill_id[:8])
        expect(row).to_contain_text("€6.60")
        row.click()
        page.wait_for_url(f"**/bills/{bill_id}")
        expect(page.locator("video.clip")).to_be_visible(timeout=WAIT_MS)
        until(page, "document.querySelectorAll('.crop img').length === 2")
        expect(page.locator(".course-picture")).to_have_count(2)
        page.keyboard.press("r")
        expect(page.locator("#rerun-result")).to_contain_text("the same bill", timeout=WAIT_MS)
        expect(page.locator(".timeline li").last).to_contain_text("closed at €6.60")
        page.goto(f"{lanes.url}/bills?min_total=x")
        expect(page.locator(".filter .note", has_text="Give an amount")).to_be_visible()
        page.goto(f"{lanes.url}/bills?min_total=9999")
        expect(page.get_by_text("No bill fits")).to_be_visible()


def test_evidence_is_erased_with_a_reason_and_the_page_says_so(lanes):
    bill_id = closed_bill(lanes)
    with browser_page(refusals=(410,)) as page:
        page.goto(f"{lanes.url}/bills/{bill_id}")
        page.locator("#erase").click(timeout=WAIT_MS)
        page.fill("#reason", "asked by the guest")
        page.get_by_role("button", name="Erase for good").click()
        expect(page.locator("#evidence")).to_contain_text("was erased", timeout=WAIT_MS)


def test_questions_are_answered_by_one_key_and_go_by_themselves(tray):
    with browser_page() as page:
        page.goto(f"{tray.url}/questions", wait_until="domcontentloaded")
        expect(page.locator(".ask.current")).to_contain_text("lane1", timeout=WAIT_MS)
        until(page, "document.querySelector('.ask-picture').naturalWidth > 20")
        page.keyboard.press("1")
        expect(page.locator(".ask")).to_have_count(0, timeout=WAIT_MS)
        expect(page.get_by_text("No open question")).to_be_visible()
        tray.wait_for("lane1", lambda s: s["bill"] and len(s["bill"]["lines"]) == 2, "the answered line")


def test_what_is_decided_is_on_the_page_at_once(lanes):
    """From the decision to the page: the state is pushed, not polled."""
    with browser_page() as page:
        page.goto(f"{lanes.url}/display/lane2", wait_until="domcontentloaded")
        page.wait_for_selector(".chip.good")
        page.evaluate(
            "new MutationObserver(() => { window.shownAt ??= Date.now() / 1000; })"
            ".observe(document.getElementById('lines'), {childList: true})"
        )
        decided: list[float] = []
        lanes.site.watch(lambda lane_id, update: decided.append(time.time()) if update.events else None)
        lanes.counters["lane2"].things = SURE_TRAY
        until(page, "window.shownAt")
        late_s = page.evaluate("window.shownAt") - decided[0]
    clear(lanes, "lane2")
    # 200 ms on a quiet machine; ten times that tells pushing from a slow poll anywhere.
    assert late_s < 2.0, f"{late_s:.3f} s"


@pytest.mark.parametrize("dark", [False, True])
def test_no_serious_finding_of_axe(tray, dark):
    bill_id = closed_bill(tray)
    paths = ("/", "/lanes/lane1", "/display/lane1", "/questions", "/bills", "/bills?lane=lane2", f"/bills/{bill_id}")
    with browser_page(dark=dark) as page:
        found = {}
        for path in paths:
            page.goto(tray.url + path, wait_until="domcontentloaded")
            page.wait_for_timeout(700)
            if "display" in path:
                page.locator("#add").click()
                page.wait_for_selector(".dish", timeout=WAIT_MS)
            found[path] = serious(page)
    assert not any(found.values()), found


def test_pages_fit_a_tablet(tray):
    bill_id = closed_bill(tray)
    with browser_page(width=820, height=1180) as page:
        for path in ("/", "/lanes/lane1", "/display/lane1", "/questions", "/bills", f"/bills/{bill_id}"):
            page.goto(tray.url + path, wait_until="domcontentloaded")
            page.wait_for_timeout(400)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{path} scrolls sideways by {wide} px"
