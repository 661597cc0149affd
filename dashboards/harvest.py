"""Write `query_context/`: what the browser asks for each chart, so that charts answer by REST though nobody saved them.

    python -m dashboards.harvest http://127.0.0.1:8088 PASSWORD_FILE

For the developer who changed a chart: generate, `dash.py up`, harvest, generate again. Needs Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, sync_playwright

from core.files import write_atomic
from dashboards.generate import CONTEXTS, DASHBOARDS, uid

_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
#: What a dashboard's own filters and a browser's session add to a query.
_OF_THE_MOMENT = ("time_range", "url_params", "custom_params", "custom_form_data", "applied_time_extras")


class _Asked:
    """Collects the queries of one dashboard."""

    def __init__(self) -> None:
        self.by_chart: dict[int, dict[str, Any]] = {}

    def take(self, request: Request) -> None:
        if "/api/v1/chart/data" in request.url and request.method == "POST":
            body: dict[str, Any] = request.post_data_json or {}
            chart = body.get("form_data", {}).get("slice_id")
            if chart is not None:
                self.by_chart[chart] = body


def stored(body: dict[str, Any]) -> dict[str, Any]:
    """Return a browser's query without what belongs to its moment."""
    queries = []
    for query in body["queries"]:
        kept = {key: value for key, value in query.items() if key not in _OF_THE_MOMENT and key != "annotation_layers"}
        kept["filters"] = [
            {**entry, "val": "No filter"} if entry.get("op") == "TEMPORAL_RANGE" else entry
            for entry in query.get("filters", [])
        ]
        queries.append(kept)
    return {
        "datasource": {"id": 0, "type": "table"},
        "queries": queries,
        "result_format": "json",
        "result_type": "full",
        "force": False,
    }


def log_in(page: Page, url: str, password: str) -> None:
    """Log in as the administrator."""
    page.goto(f"{url}/login/")
    page.wait_for_selector("#username, input[name=username]", timeout=60_000)
    page.fill("#username, input[name=username]", "admin")
    page.fill("#password, input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/login" not in address, timeout=60_000)


def look_at(page: Page, url: str, slug: str, charts: int, height: int = 2600) -> None:
    """Open a dashboard in a window so high that every chart is drawn, and wait until all are."""
    page.set_viewport_size({"width": 1680, "height": height})
    page.goto(f"{url}/superset/dashboard/{slug}/")
    page.wait_for_function(
        "n => document.querySelectorAll('.dashboard-component-chart-holder').length >= n", arg=charts, timeout=90_000
    )
    page.wait_for_function(
        "n => document.querySelectorAll('.slice_container').length >= n"
        " && !document.querySelector('.loading, [data-test=\"loading-indicator\"], .ant-skeleton')",
        arg=charts,
        timeout=120_000,
    )
    page.wait_for_timeout(2500)


def main(argv: Sequence[str] | None = None) -> int:
    """Harvest all dashboards; with --pictures keep what was seen, too."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.harvest", description="Write the stored queries.")
    parser.add_argument("url")
    parser.add_argument("password", type=Path, help="file with the administrator's password")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each dashboard")
    args = parser.parse_args(argv)
    missing = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGS)
        page = browser.new_page(timezone_id="UTC")
        log_in(page, args.url, args.password.read_text().strip())
        ids = _ids(page, args.url)
        for spec in DASHBOARDS:
            asked = _Asked()
            page.on("request", asked.take)
            look_at(page, args.url, spec.slug, len(spec.charts))
            page.remove_listener("request", asked.take)
            if args.pictures:
                args.pictures.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=args.pictures / f"{spec.slug}.png")
            for slug in spec.charts:
                body = asked.by_chart.get(ids.get(uid("charts", slug), -1))
                if body is None:
                    missing.append(slug)
                    continue
                CONTEXTS.mkdir(exist_ok=True)
                write_atomic(CONTEXTS / f"{slug}.json", json.dumps(stored(body), indent=1, sort_keys=True) + "\n")
        browser.close()
    if missing:
        print(f"no query seen for: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def _ids(page: Page, url: str) -> dict[str, int]:
    """Return the number that Superset gave each chart, by its UUID."""
    answer = page.request.get(f"{url}/api/v1/chart/?q=(columns:!(id,uuid),page_size:500)")
    return {chart["uuid"]: chart["id"] for chart in answer.json()["result"]}


if __name__ == "__main__":
    sys.exit(main())
