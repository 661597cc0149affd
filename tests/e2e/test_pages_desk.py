"""The pages of those who run the place, in a real browser on a real appliance: settings, models, menu, replays."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from streams.synthetic.lane import SyntheticLane
from streams.video_writer import VideoWriter
from tests.appliance import Running, appliance, demo
from tests.browser import CHROMIUM, browser_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")

COMMENT = "# Ask Ms Brandt before you change this.\n"
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("desk")
    recordings = folder / "recordings"
    recordings.mkdir()
    with VideoWriter(recordings / "noon.mp4", 320, 180, 5.0) as video:
        for image, _ in islice(iter(SyntheticLane(7, "easy", 320, 180, 5)), 60):
            video.write(image)
    config = demo(
        models={"detector": {"card": "traynet@2", "device": "cpu"}, "registry": str(folder / "models")},
        replays={"recordings": str(recordings), "results": str(folder / "replays")},
    )
    config["menu"]["store"] = str(folder / "menu")
    config["lanes"]["lane1"]["source"] = {"url": "synthetic://easy?seed=7&fps=3&size=640x360"}
    with appliance(folder, config) as there:
        there.wait_for(lambda state: state["items_in_zone"] is not None, "lane1", 180, "first frame")
        path = folder / "site.yaml"
        path.write_text(COMMENT + path.read_text())
        yield there


@pytest.fixture
def page(running) -> Iterator[Page]:
    # 412 and 422 are what the pages are told when somebody is wrong.
    with browser_page(refusals=(409, 412, 422, 503)) as there:
        there.set_default_timeout(PATIENCE_MS)
        there.on("dialog", lambda dialog: dialog.accept())
        yield there


def settings_file(running: Running) -> Path:
    return running.log.parent / "site.yaml"


def test_a_fault_shows_its_line_a_sound_text_is_saved_and_taken_back(running, page):
    before = settings_file(running).read_text()
    page.goto(f"{running.url}/settings")
    expect(page.locator("#verdict")).to_contain_text("no fault", timeout=PATIENCE_MS)
    text = page.locator("#text")
    line = before[: before.index("role: tray")].count("\n") + 1
    text.fill(before.replace("role: tray", "rolle: tray"))
    expect(page.locator("#faults li").first).to_contain_text(f"line {line}", timeout=PATIENCE_MS)
    expect(page.locator("#gutter .wrong")).to_contain_text(str(line))
    expect(page.locator("#save")).to_be_disabled()

    text.fill(before.replace("demo canteen", "north canteen"))
    expect(page.locator("#save")).to_be_enabled(timeout=PATIENCE_MS)
    page.click("#save")
    expect(page.locator(".diff .added")).to_contain_text("north canteen")
    page.locator("dialog[open] .button.primary").click()
    expect(page.locator("#restart")).to_be_visible(timeout=PATIENCE_MS)
    assert settings_file(running).read_text() == before.replace("demo canteen", "north canteen")

    page.locator("#versions button").first.click()
    expect(page.locator(".diff .added")).to_contain_text("demo canteen")
    page.locator("dialog[open] .button.primary").click()
    expect(page.locator("#text")).to_have_value(before, timeout=PATIENCE_MS)
    assert settings_file(running).read_text() == before


def test_a_zone_is_drawn_by_keyboard_and_mouse_and_saving_keeps_comments(running, page):
    page.goto(f"{running.url}/settings/zones")
    corner = page.locator("#drawing [data-corner='0']")
    corner.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#save")).to_be_enabled()
    page.click("#add")
    dot = page.locator("#drawing [data-corner='2'] .dot")
    box = dot.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] - 20, box["y"] - 30, steps=3)
    page.mouse.up()
    page.click("#save")
    expect(page.locator(".toast.good")).to_contain_text("zones are saved", timeout=PATIENCE_MS)
    text = settings_file(running).read_text()
    assert text.startswith(COMMENT)
    assert "0.29,0.2,0.72,0.2" in text
    assert "role: belt" in text


def test_a_model_is_promoted_with_the_gates_word_and_rolled_back(running, page):
    page.goto(f"{running.url}/models")
    for model, place in (("traynet@2", "first"), ("traynet@1", "second")):
        page.locator(f"article[aria-label='{model}'] button", has_text="Promote").click()
        expect(page.locator("dialog .banner").first).to_contain_text("gate", timeout=PATIENCE_MS)
        if place == "second":
            # On the hold-out it is far worse: the gate refuses, and a person may overrule it with a reason.
            expect(page.locator("dialog .reasons li").first).to_contain_text("falls from")
            page.fill("#force", "the old plates are back")
        page.locator("dialog[open] .row.end .button").last.click()
        expect(page.locator("#history tbody tr").first).to_contain_text(model, timeout=PATIENCE_MS)
    expect(page.locator("#history tbody tr").first).to_contain_text("the old plates are back")
    page.locator("#history button").first.click()
    page.locator("dialog[open] .button.primary").click()
    expect(page.locator("#history tbody tr").first).to_contain_text("rolled back", timeout=PATIENCE_MS)
    assert running.get("/api/v1/models")["channels"] == {"default": "traynet@2"}


def test_a_dish_is_taught_from_a_lanes_picture_and_taken_back(running, page):
    running.wait_for(lambda state: state["items_in_zone"], "lane1", 90, "something in the zone")
    page.goto(f"{running.url}/menu")
    page.click("#teach")
    seen = page.locator("dialog .teach-grid .row button")
    for _ in range(20):
        page.wait_for_timeout(500)
        if seen.count():
            break
        page.locator("dialog .sources button").first.click()
    seen.first.click()
    expect(page.locator("#cutout")).to_be_visible(timeout=PATIENCE_MS)
    page.fill("#teach-name", "Dish of the day")
    page.fill("#teach-price", "6,40")
    page.locator("dialog[open] .row.end .button.primary").click()
    card = page.locator("article[data-dish='Dish of the day']")
    expect(card.locator("img")).to_be_visible(timeout=PATIENCE_MS)
    loaded = "image => image.decode().then(() => image.naturalWidth)"
    assert card.locator("img").evaluate(loaded) > 100
    taught = next(dish for dish in running.get("/api/v1/menu")["dishes"] if dish["name"] == "Dish of the day")
    assert taught["price"] == 6.4
    assert len(taught["photos"]) == 1
    page.locator(".toast .undo").click()
    expect(card).to_have_count(0, timeout=PATIENCE_MS)
    assert all(dish["name"] != "Dish of the day" for dish in running.get("/api/v1/menu")["dishes"])


def test_two_replays_of_a_recording_are_compared_bill_by_bill(running, page):
    page.goto(f"{running.url}/replay")
    page.wait_for_selector("#model option[value='traynet@1']", state="attached")
    page.click("#start")
    expect(page.locator("#runs tbody tr")).to_have_count(1, timeout=PATIENCE_MS)
    page.select_option("#model", "traynet@1")
    page.click("#start")
    expect(page.locator("#runs .chip.good")).to_have_count(2, timeout=3 * PATIENCE_MS)
    page.locator("#runs tr", has_text="traynet@1").locator("button").first.click()
    expect(page.locator("#result video")).to_be_visible(timeout=PATIENCE_MS)
    loaded = "video => video.duration || new Promise(done => video.onloadedmetadata = () => done(video.duration))"
    assert page.locator("#result video").evaluate(loaded) > 5
    for i in range(2):
        page.locator("#runs input").nth(i).check()
    expect(page.locator("#result .summary")).to_be_visible(timeout=PATIENCE_MS)
    one, other = [run["replay_id"] for run in reversed(running.get("/api/v1/replays")["replays"])]
    told = running.get(f"/api/v1/replays/{one}/comparison/{other}")
    assert told["same"] + told["different"] == len(told["pairs"])
    expect(page.locator("#result .summary")).to_contain_text(f"{told['different']} differ")


@pytest.mark.parametrize("dark", [False, True])
def test_no_page_has_a_serious_fault_of_access(running, dark):
    with browser_page(dark) as page:
        page.set_default_timeout(PATIENCE_MS)
        found = []
        for path in ("/settings", "/settings/zones", "/models", "/menu", "/replay"):
            page.goto(running.url + path)
            expect(page.locator(".loading")).to_have_count(0, timeout=PATIENCE_MS)
            violations = Axe().run(page).response["violations"]
            found += [
                (path, one["id"], one["nodes"][0]["html"][:200])
                for one in violations
                if one["impact"] in ("serious", "critical")
            ]
        assert found == []
