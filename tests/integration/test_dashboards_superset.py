"""A real Superset over the sample's days, on SQLite and then on PostgreSQL: import, REST, guests, pictures, our page.

It needs Superset's own environment (`python3 dashboards/dash.py install`, 800 MB); without it the file is skipped.
Both halves have the same home, as when a site moves its store: the second half's start is a second import.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.embed import guest_token
from app.server import make_server
from app.web import create_app
from checkout.config import LoadedConfig, SiteConfig
from dashboards import dash
from dashboards.generate import ASSETS, uid
from tests.accounts import still_site
from tests.appliance import demo
from tests.browser import CHROMIUM, browser_page
from tests.dashboards_store import fill_store
from tests.postgres import free_port, fresh_database, server_url

ROOT = Path(__file__).parents[2]
VENV = Path(os.environ.get("DASH_VENV", ROOT / ".dash-venv"))
if not dash.is_installed(VENV) and not os.environ.get("TRAYLANE_CI"):
    pytest.skip("Superset is not installed: python3 dashboards/dash.py install", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
BRAND, BLUE, GREEN = 0x0F766E, 0x3B82F6, 0x84CC16


@dataclass(frozen=True)
class Running:
    """A Superset that a test may ask.

    Attributes:
        url: where it answers.
        page_port: of the page that may embed its dashboards.
        home: its state.
        arguments: of `dash.py` for all jobs.
    """

    url: str
    page_port: int
    home: Path
    arguments: list[str]

    def dash(self, job: str, *more: str) -> str:
        """Run a job as a user does, and return what it said. (The server outlives the process that starts it.)"""
        command = [sys.executable, str(ROOT / "dashboards" / "dash.py"), job, *more, *self.arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str, body: object = None, **headers: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Accept": "application/json"} | headers)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def admin(self) -> dict[str, str]:
        password = (self.home / "admin_password").read_text().strip()
        login = {"username": "admin", "password": password, "provider": "db", "refresh": False}
        return {"Authorization": f"Bearer {self.get('/api/v1/security/login', login)['access_token']}"}

    def counts(self) -> dict[str, int]:
        admin = self.admin()
        kinds = ("database", "dataset", "chart", "dashboard")
        return {kind: self.get(f"/api/v1/{kind}/", **admin)["count"] for kind in kinds}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("superset") / "home"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def superset(request: pytest.FixtureRequest, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack:
        store = f"sqlite:///{tmp_path_factory.mktemp('store')}/lane.db"
        if request.param == "postgresql":
            store = stack.enter_context(fresh_database(stack.enter_context(server_url())))
        fill_store(store, days=3, pace=0.15, now_s=time.time())
        url, page_port = f"http://127.0.0.1:{free_port()}", free_port()
        arguments = ["--store", store, "--home", str(home), "--venv", str(VENV), "--url", url]
        arguments += ["--shot-port", str(free_port()), "--operator", f"http://127.0.0.1:{page_port}"]
        running = Running(url, page_port, home, arguments)
        running.dash("up")
        try:
            yield running
        finally:
            assert "stopped" in running.dash("down")
            with pytest.raises(OSError, match=r"urlopen|timed out"):
                urllib.request.urlopen(f"{url}/health", timeout=2)


def test_every_chart_gives_rows_and_the_numbers_are_the_tables(superset: Running) -> None:
    said = superset.dash("check")
    assert f"{len(list((ASSETS / 'charts').glob('*.yaml')))} charts answer, 0 of them empty, 0 wrong" in said
    for page in dash.PAGES:
        part = said.split(f"--- {page}")[1].split("---")[0]
        assert part.count("the tables say") >= 3, part


def test_there_is_what_the_assets_say_after_one_import_and_after_two(superset: Running) -> None:
    folders = ("datasets/traylane", "charts", "dashboards")
    found = superset.counts()
    assert found["database"] == 1
    assert [found[kind] for kind in ("dataset", "chart", "dashboard")] == [
        len(list((ASSETS / folder).glob("*.yaml"))) for folder in folders
    ]


@pytest.mark.parametrize("superset", ["sqlite"], indirect=True)
def test_secrets_are_for_their_owner_only(superset: Running) -> None:
    for name in ("admin_password", "dash_secret_key", "dash_guest_secret"):
        assert (superset.home / name).stat().st_mode & 0o777 == 0o600


def guest_asks(superset: Running, secret: str, dashboard: str, clauses: list[str]) -> Any:
    """Ask, as a guest of one dashboard, for the sold items by lane."""
    admin = superset.admin()
    pages = superset.get("/api/v1/dashboard/?q=(page_size:10)", **admin)["result"]
    datasets = superset.get("/api/v1/dataset/?q=(page_size:100)", **admin)["result"]
    number = next(page["id"] for page in pages if page["slug"] == "traylane-sales")
    dataset = next(one["id"] for one in datasets if one["table_name"] == "v_sales_hourly")
    query = {"columns": ["lane"], "metrics": ["items_sum"], "filters": [], "row_limit": 100}
    body = {
        "datasource": {"id": dataset, "type": "table"},
        "queries": [query],
        "form_data": {"dashboardId": number},
        "result_format": "json",
        "result_type": "full",
    }
    token = guest_token(secret, uid("dashboards", dashboard), "guest", time.time(), clauses)
    return superset.get("/api/v1/chart/data", body, **{"X-GuestToken": token})["result"][0]["data"]


def test_a_guest_sees_the_rows_of_his_pass_and_nothing_else(superset: Running) -> None:
    secret = (superset.home / "dash_guest_secret").read_text().strip()
    everything = guest_asks(superset, secret, "traylane-sales", [])
    assert {row["lane"] for row in everything} == {"lane1", "lane2", "express"}
    mine = guest_asks(superset, secret, "traylane-sales", ["lane IN ('lane1')"])
    assert mine == [row for row in everything if row["lane"] == "lane1"]
    for wrong_secret, dashboard in ((secret, "traylane-operations"), ("x" * 40, "traylane-sales")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            guest_asks(superset, wrong_secret, dashboard, [])
        with refused.value:  # it holds the connection
            assert refused.value.code in (401, 403)


def test_nobody_but_a_page_that_is_named_may_frame_it(superset: Running) -> None:
    embed = f"{superset.url}/embedded/{uid('dashboards', 'traylane-sales')}"
    request = urllib.request.Request(embed, headers={"Referer": "http://evil.invalid/"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    with refused.value:
        assert refused.value.code == 403
    request = urllib.request.Request(embed, headers={"Referer": f"http://127.0.0.1:{superset.page_port}/"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert f"http://127.0.0.1:{superset.page_port}" in policy.split("frame-ancestors")[1]
    assert "scarf" not in policy


def drawn(picture: np.ndarray[Any, Any], colour: int) -> int:
    """Return how many pixels of a picture have exactly a colour."""
    bgr = np.array([colour & 255, colour >> 8 & 255, colour >> 16], np.uint8)
    return int((picture == bgr).all(axis=2).sum())


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here")
@pytest.mark.parametrize("superset", ["sqlite"], indirect=True)
def test_a_picture_shows_the_bars(superset: Running, tmp_path: Path) -> None:
    superset.dash("shot", str(tmp_path), "--page", "traylane-sales")
    picture = cv2.imread(str(tmp_path / "traylane-sales.png"))
    assert picture is not None
    assert picture.shape[1] == 1680
    for colour, least in ((BRAND, 20_000), (BLUE, 2_000), (GREEN, 500)):
        assert drawn(picture, colour) > least, f"too little of {colour:06x} is drawn"


@contextmanager
def our_page(superset: Running, folder: Path) -> Iterator[str]:
    """Serve the product's pages, where `superset` may be embedded."""
    panel = {"url": superset.url, "secret_file": str(superset.home / "dash_guest_secret")}
    config = LoadedConfig(SiteConfig.model_validate(demo(dashboards=panel)), "0" * 64, folder, "site.yaml")
    with still_site(folder, loopback_only=True) as site, socket.socket() as listener:
        listener.bind(("127.0.0.1", superset.page_port))
        server = make_server(create_app(site, config=config), listener)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{superset.page_port}"
        finally:
            server.close()
            thread.join(10)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here")
@pytest.mark.parametrize("superset", ["postgresql"], indirect=True)
def test_our_page_shows_a_dashboard_and_says_when_there_is_none(superset: Running, tmp_path: Path) -> None:
    with our_page(superset, tmp_path) as url, browser_page(width=1400, height=1400) as page:
        away = json.dumps({"set_up": True, "up": False})
        page.route("**/dashboards/state", lambda route: route.fulfill(body=away, content_type="application/json"))
        page.goto(f"{url}/dashboards/sales")
        page.get_by_text("The dashboards do not answer").wait_for()
        assert page.locator("iframe").count() == 0
        page.unroute("**/dashboards/state")
        # It tries again by itself.
        page.frame_locator("#frame iframe").locator(".slice_container canvas").nth(4).wait_for(timeout=240_000)
        page.wait_for_timeout(3000)
        assert page.get_by_role("status").locator("visible=true").count() == 0
        page.screenshot(path=tmp_path / "page.png")
        if folder := os.environ.get("TRAYLANE_PICTURES"):
            page.screenshot(path=Path(folder) / "dashboards.png")
    picture = cv2.imread(str(tmp_path / "page.png"))
    assert picture is not None
    assert drawn(picture, BRAND) > 10_000
