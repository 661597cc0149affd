"""The first log-in of a site in a real browser: password from the terminal, own password, people, tokens, log out."""

from __future__ import annotations

import os
import re
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.appliance import appliance, demo
from tests.browser import CHROMIUM, browser_page
from tests.postgres import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]
OWN = "four blue spoons"


def keep_picture(page, name: str) -> None:
    """Keep a picture of the page where TRAYLANE_PICTURES names a folder."""
    if folder := os.environ.get("TRAYLANE_PICTURES"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def check(page, name: str) -> None:
    """Check that a page is accessible and does not scroll sideways, and keep a picture of it."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} scrolls sideways"
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    keep_picture(page, name)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_from_the_printed_password_to_people_and_tokens(tmp_path):
    config = demo(web={"accounts": {"required": "always"}}, site={"name": "Mensa Nord", "timezone": "Europe/Berlin"})
    with appliance(tmp_path, config) as running:
        wait_for(lambda: answers(running.url), 120)
        told = running.log.read_text()
        printed = re.findall(r"password: (\S+)", told)
        assert len(printed) == 1, told
        with browser_page(refusals=(404,)) as page:
            page.goto(f"{running.url}/bills")
            check(page, "login")
            # By keyboard alone: the name is where the typing goes.
            page.keyboard.type("Admin")
            page.keyboard.press("Tab")
            page.keyboard.type(printed[0])
            page.keyboard.press("Enter")
            page.wait_for_url("**/account")
            check(page, "must-change")
            page.goto(f"{running.url}/users")
            assert page.url.endswith("/account"), "nothing else opens before the password is changed"
            page.fill("#old", printed[0])
            page.fill("#new", OWN)
            page.fill("#again", OWN)
            page.click("form[action='/account/password'] button")
            page.wait_for_selector("#link.good", timeout=60_000)
            # Not by wait_for_function: it polls by eval, which the content policy refuses.
            wait_for(lambda: page.evaluate("document.querySelector('.picture').naturalWidth") == 640, 60)
            check(page, "live")
            page.goto(f"{running.url}/users")
            page.fill("#name", "Ann")
            page.check("input[name=role][value=cashier]")
            page.check("input[name=lanes][value=some]")
            page.check("input[name=lane][value=lane1]")
            check(page, "users-form")
            page.click("form[action='/users'] button")
            page.wait_for_selector("#secret")
            check(page, "password-once")
            page.goto(f"{running.url}/users")
            check(page, "users")
            page.click("text=Ann")
            page.wait_for_url("**/users/*")
            check(page, "person")
            page.goto(f"{running.url}/users/tokens")
            page.fill("#label", "till of lane 1")
            page.check("input[name=scope][value=read]")
            page.click("form[action='/users/tokens'] button")
            token = page.wait_for_selector("#secret").text_content()
            page.goto(f"{running.url}/users/tokens")
            check(page, "tokens")
            page.goto(f"{running.url}/audit")
            assert page.locator("tbody tr").count() >= 4
            assert token not in page.content()
            check(page, "audit")
            page.goto(f"{running.url}/nope")
            check(page, "not-found")
        with browser_page(dark=True, width=820, height=1180, refusals=(401,)) as page:
            page.goto(running.url)
            page.click("button[lang=de]")
            page.wait_for_selector("text=Anmelden")
            check(page, "login-dark-de")
            page.fill("#name", "admin")
            page.fill("#password", "wrong guess")
            page.keyboard.press("Enter")
            page.wait_for_selector("[role=alert]:visible")
            page.fill("#password", OWN)
            page.keyboard.press("Enter")
            page.wait_for_selector(".rail")
            for path in ("users", "audit", "account", "bills"):
                page.goto(f"{running.url}/{path}")
                check(page, f"{path}-dark-de")
            page.keyboard.press("t")
            assert page.evaluate("document.documentElement.dataset.theme") == "light"
            page.reload()
            assert page.evaluate("document.documentElement.dataset.theme") == "light", "the choice is remembered"
            page.keyboard.press("?")
            page.wait_for_selector("#keys[open]")
            page.keyboard.press("Escape")
            page.keyboard.press("g")
            page.keyboard.press("1")
            page.wait_for_selector(".lanes")
            page.goto(f"{running.url}/account")
            page.click("form[action='/logout'] button")
            page.wait_for_url("**/login")
        assert printed[0] not in told.replace(f"password: {printed[0]}", ""), "the password is printed once"
        assert OWN not in running.log.read_text()
        assert token not in running.log.read_text()
