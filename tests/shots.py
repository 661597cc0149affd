"""Pictures of the pages, to be looked at: light and dark, desktop and tablet, German and English.

PYTHONPATH=. python -m tests.shots [FOLDER]     # var/shots by default
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.appliance import Running, appliance, demo
from tests.browser import CHROMIUM, FLAGS
from tests.lane_site import TRAY, LaneSite, lane_site

FOLDER = Path(__file__).resolve().parents[1] / "var" / "shots"
SIZES = {"desktop": (1440, 900), "tablet": (1024, 768)}
LOOKS = (("light", "en"), ("dark", "de"))
SETTLE_MS = 1500


def lanes_config() -> dict[str, Any]:
    """Return the demo with a lane that works and one whose camera is away."""
    config = demo()
    works = config["lanes"]["lane1"]
    works["source"]["url"] = "synthetic://easy?seed=900900&fps=8&size=640x360"
    away = {**works, "source": {"url": "rtsp://user:secret@127.0.0.1:9/none", "timeout_s": 1}}
    config["lanes"] = {"lane1": works, "lane2": away}
    return config


def real_pages(running: Running) -> dict[str, str]:
    """Wait until there is something to see; return the pages with real pictures, by name."""
    running.wait_for(lambda s: s["state"] == "offline", "lane2", 60, "offline state")
    closed = running.wait_for(lambda s: s["last_bill"], "lane1", 180, "closed bill")
    bill = f"/bills/{closed['bill_id']}"
    return {
        "live": "/", "lane": "/lanes/lane1", "lane-debug": "/lanes/lane1?debug=1", "display": "/display/lane1",
        "bills": "/bills", "bills-filter": "/bills?lane=lane1&min_total=1", "bill": bill,
    }  # fmt: skip


def scripted_pages(lanes: LaneSite) -> dict[str, str]:
    """Put trays down; return the pages that show questions, by name."""
    for lane_id in ("lane1", "lane2"):
        lanes.counters[lane_id].things = TRAY
        lanes.wait_for(lane_id, lambda s: s["asks"], "a question")
    return {"live-asks": "/", "display-asks": "/display/lane1", "questions": "/questions"}


def take_shots(url: str, pages: dict[str, str], folder: Path) -> list[Path]:
    """Shoot pages of the site at `url` in every size and look; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for (size, (width, height)), (theme, language) in itertools.product(SIZES.items(), LOOKS):
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme, locale=language
            )
            for name, path in pages.items():
                page = context.new_page()
                page.goto(url + path, wait_until="domcontentloaded")
                page.wait_for_timeout(SETTLE_MS)
                made.append(folder / f"{name}-{size}-{theme}-{language}.png")
                page.screenshot(path=str(made[-1]), full_page=name in {"bill", "bills"})
                page.close()
            context.close()
        browser.close()
    return made


def main() -> None:
    """Run the sites and shoot them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    with tempfile.TemporaryDirectory() as place, lane_site(Path(place)) as lanes:
        made = take_shots(lanes.url, scripted_pages(lanes), folder)
    with tempfile.TemporaryDirectory() as place, appliance(Path(place), lanes_config()) as running:
        made += take_shots(running.url, real_pages(running), folder)
    print("\n".join(map(str, made)))


if __name__ == "__main__":
    main()
