"""A real Chromium for the tests of the pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def browser_page(
    dark: bool = False, width: int = 1400, height: int = 860, refusals: tuple[int, ...] = ()
) -> Iterator[Page]:
    """Open a page in a fresh headless browser; what it logs as an error fails the caller at the end.

    Args:
        dark: the colours that the system asks for.
        width: of the window.
        height: of the window.
        refusals: HTTP statuses that the caller provokes on purpose.
    """
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            scheme = "dark" if dark else "light"
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            yield page
        finally:
            browser.close()
    expected = tuple(f"Failed to load resource: the server responded with a status of {status}" for status in refusals)
    unexpected = [error for error in errors if not error.startswith(expected)]
    assert not unexpected, unexpected
