"""Pictures of the pages, to be looked at: light and dark, desktop and tablet, German and English.

PYTHONPATH=. python -m tests.shots [FOLDER]     # var/shots by default
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.appliance import Running, appliance, demo
from tests.browser import CHROMIUM, FLAGS

FOLDER = Path(__file__).resolve().parents[1] / "var" / "shots"
SIZES = {"desktop": (1440, 900), "tablet": (1024, 768)}
LOOKS = (("light", "en"), ("dark", "de"))


def lanes_config() -> dict[str, Any]:
    """Return the demo with a lane that is sure of itself, one that asks, and one whose camera is away."""
    config = demo()
    sure = config["lanes"]["lane1"]
    sure["source"]["url"] = "synthetic://easy?seed=900900&fps=8&size=640x360"
    asks = {
        **sure,
        "source": {"url": "synthetic://easy?seed=17&fps=8&size=640x360"},
        "checkout": {"commit_confidence": 0.9999, "ask_confidence": 0.999, "ask_after_s": 0.5},
    }
    away = {**sure, "source": {"url": "rtsp://user:secret@127.0.0.1:9/none", "timeout_s": 1}}
    config["lanes"] = {"lane1": sure, "lane2": asks, "lane3": away}
    return config


def wait_until_lively(running: Running) -> str:
    """Wait until there is a closed bill, an open question and a lost camera; return the closed bill's id."""
    running.wait_for(lambda s: s["state"] == "offline", "lane3", 60, "offline state")
    closed = running.wait_for(lambda s: s["last_bill"], "lane1", 180, "closed bill")
    running.wait_for(lambda s: s["asks"], "lane2", 120, "question")
    return str(closed["bill_id"])


def pages_of(running: Running, bill_id: str) -> dict[str, tuple[str, Callable[[Page], object]]]:
    """Return by name what is shot: the address, and what makes it ready to be looked at."""

    def settle(page: Page) -> None:
        page.wait_for_timeout(1500)

    return {
        "live": ("/", settle),
        "lane": ("/lanes/lane1", settle),
        "lane-debug": ("/lanes/lane1?debug=1", settle),
        "display": ("/display/lane1", settle),
        "display-asks": ("/display/lane2", settle),
        "questions": ("/questions", settle),
        "bills": ("/bills", settle),
        "bills-filter": ("/bills?lane=lane1&min_total=1", settle),
        "bill": (f"/bills/{bill_id}", settle),
    }


def take_shots(running: Running, bill_id: str, folder: Path) -> list[Path]:
    """Shoot every page in every size and look; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for size, (width, height) in SIZES.items():
            for theme, language in LOOKS:
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=theme, locale=language
                )
                for name, (path, settle) in pages_of(running, bill_id).items():
                    page = context.new_page()
                    page.goto(running.url + path, wait_until="domcontentloaded")
                    settle(page)
                    made.append(folder / f"{name}-{size}-{theme}-{language}.png")
                    page.screenshot(path=str(made[-1]), full_page=name in {"bill", "bills"})
                    page.close()
                context.close()
        browser.close()
    return made


def main() -> None:
    """Run the appliance and shoot it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    with tempfile.TemporaryDirectory() as place, appliance(Path(place), lanes_config()) as running:
        for path in take_shots(running, wait_until_lively(running), folder):
            print(path)


if __name__ == "__main__":
    main()
