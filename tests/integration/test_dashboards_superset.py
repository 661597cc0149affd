"""A real Superset over the sample's days, on SQLite and on PostgreSQL: import, REST, guests, a picture.

It needs Superset's own environment (`python3 dashboards/dash.py install`, 800 MB); without it the file is skipped.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.embed import guest_token
from dashboards import dash
from dashboards.generate import ASSETS, uid
from tests.browser import CHROMIUM
from tests.dashboards_store import fill_store
from tests.postgres import free_port, fresh_database, server_url

VENV = Path(os.environ.get("DASH_VENV", Path(__file__).parents[2] / ".dash-venv"))
if not dash.is_installed(VENV) and not os.environ.get("TRAYLANE_CI"):
    pytest.skip("Superset is not installed: python3 dashboards/dash.py install", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Running:
    """A Superset that a test may ask."""

    url: str
    home: Path
    arguments: list[str]

    def dash(self, job: str, *more: str) -> int:
        return dash.main([job, *more, *self.arguments])

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


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def superset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        store = f"sqlite:///{folder}/lane.db"
        if request.param == "postgresql":
            store = stack.enter_context(fresh_database(stack.enter_context(server_url())))
        fill_store(store, days=3, pace=0.15, now_s=time.time())
        url = f"http://127.0.0.1:{free_port()}"
        arguments = ["--store", store, "--home", str(folder / "home"), "--venv", str(VENV), "--url", url]
        running = Running(url, folder / "home", [*arguments, "--shot-port", str(free_port())])
        assert running.dash("up") == 0
        try:
            yield running
        finally:
            assert running.dash("down") == 0
            with pytest.raises(OSError, match=r"urlopen|timed out"):
                urllib.request.urlopen(f"{url}/health", timeout=2)


def test_every_chart_gives_rows_and_the_numbers_are_the_tables(
    superset: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    assert superset.dash("check") == 0
    said = capfd.readouterr().out
    assert f"{len(list((ASSETS / 'charts').glob('*.yaml')))} charts, 0 wrong" in said
    for page in dash.PAGES:
        part = said.split(f"--- {page}")[1].split("---")[0]
        assert part.count("the tables say") >= 3, part


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
    mine = guest_asks(superset, secret, "traylane-sales", ["lane = 'lane1'"])
    assert mine == [row for row in everything if row["lane"] == "lane1"]
    for wrong_secret, dashboard in ((secret, "traylane-operations"), ("x" * 40, "traylane-sales")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            guest_asks(superset, wrong_secret, dashboard, [])
        assert refused.value.code in (401, 403)


def test_nobody_but_a_page_that_is_named_may_frame_it(superset: Running) -> None:
    embed = f"{superset.url}/embedded/{uid('dashboards', 'traylane-sales')}"
    request = urllib.request.Request(embed, headers={"Referer": "http://evil.invalid/"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 403
    request = urllib.request.Request(embed, headers={"Referer": "http://127.0.0.1:8080/"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "http://127.0.0.1:8080" in policy.split("frame-ancestors")[1]
    assert "scarf" not in policy


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here")
def test_a_picture_shows_the_bars(superset: Running, tmp_path: Path) -> None:
    assert superset.dash("shot", str(tmp_path), "--page", "traylane-sales") == 0
    picture = cv2.imread(str(tmp_path / "traylane-sales.png"))
    assert picture is not None
    assert picture.shape[1] == 1680
    for colour, least in ((0x0F766E, 20_000), (0x3B82F6, 2_000), (0x84CC16, 500)):
        bgr = np.array([colour & 255, colour >> 8 & 255, colour >> 16], np.uint8)
        assert int((picture == bgr).all(axis=2).sum()) > least, f"too little of {colour:06x} is drawn"


def test_a_second_import_changes_nothing(superset: Running) -> None:
    before = superset.counts()
    folders = ("datasets/traylane", "charts", "dashboards")
    assert [before[kind] for kind in ("dataset", "chart", "dashboard")] == [
        len(list((ASSETS / folder).glob("*.yaml"))) for folder in folders
    ]
    assert superset.dash("up") == 0
    assert superset.counts() == before
