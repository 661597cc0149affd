"""Ask a running Superset for every chart by REST, and compare some answers with SQL on the store's own tables.

    DASH_ADMIN_PASSWORD=… DASH_STORE_URI=… python check.py URL DASHBOARD…     inside Superset's environment

The SQL here reads tables, never the views that the charts read: a wrong view would be found.
"""

# ruff: noqa: S310 - the address is the one that its user gave
from __future__ import annotations

import json
import math
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import create_engine

ANSWER_S = 60.0
Rows = list[dict[str, Any]]


class Api:
    """Superset's REST API, logged in.

    Args:
        url: where it answers.
        user: an administrator.
        password: of the user.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url, self._token = url, ""
        credentials = {"username": user, "password": password, "provider": "db", "refresh": False}
        self._token = self.call("/api/v1/security/login", credentials)["access_token"]

    def call(self, path: str, body: object = None) -> Any:
        """Return the JSON answer; a refusal ends the program with what Superset says."""
        request = urllib.request.Request(self._url + path, headers={"Accept": "application/json"})
        if body is not None:
            # A GET that says it is JSON and has no body would be refused.
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as err:
            sys.exit(f"{path}: {err.code} {err.read()[:600].decode(errors='replace')}")

    def charts(self, dashboard: str) -> list[dict[str, Any]]:
        """Return the charts of a dashboard."""
        found: list[dict[str, Any]] = self.call(f"/api/v1/dashboard/{dashboard}/charts")["result"]
        return found

    def rows(self, chart: dict[str, Any]) -> Rows:
        """Return what a chart shows, all its queries together."""
        answer = self.call(f"/api/v1/chart/{chart['id']}/data/?force=true")["result"]
        if any(part.get("error") for part in answer):
            sys.exit(f"{chart['slice_name']}: {[part.get('error') for part in answer]}")
        return [row for part in answer for row in part["data"]]


@dataclass(frozen=True)
class Truth:
    """What a chart must say: `shown` reduces its rows to a number, `sql` says the same of the tables."""

    dashboard: str
    chart: str
    shown: Callable[[Rows], float]
    sql: str


def _sum(name: str) -> Callable[[Rows], float]:
    return lambda rows: sum(float(row[name] or 0) for row in rows)


def _only(name: str) -> Callable[[Rows], float]:
    return lambda rows: float(rows[0][name])


def _all_numbers(rows: Rows) -> float:
    """Return the sum of everything that is a number: a pivoted answer has a column per series."""
    return sum(float(value) for row in rows for name, value in row.items() if _is_number(name, value))


def _is_number(name: str, value: object) -> bool:
    return isinstance(value, int | float) and not name.endswith(("_local", "_utc"))


_CLOSED = "FROM bills b JOIN bill_lines i ON i.bill_id = b.bill_id WHERE b.closed_at_s IS NOT NULL"
_OPERATIONS, _SALES, _QUALITY = "traylane-operations", "traylane-sales", "traylane-quality"
TRUTHS = (
    Truth(_OPERATIONS, "Items", _sum("items_sum"), f"SELECT SUM(i.quantity) {_CLOSED}"),
    Truth(_OPERATIONS, "Uptime", _only("uptime"), "SELECT SUM(up_s) / SUM(watched_s) FROM lane_minutes"),
    Truth(_OPERATIONS, "Questions", _sum("asks"), "SELECT COUNT(*) FROM events WHERE kind = 'ask'"),
    Truth(
        _OPERATIONS,
        "Frames left out, by reason",
        _all_numbers,
        "SELECT SUM(frames) FROM lane_minute_drops WHERE reason <> 'rate'",
    ),
    Truth(
        _SALES,
        "Revenue",
        _sum("revenue_sum"),
        "SELECT SUM(total_cents) / 100.0 FROM bills WHERE closed_at_s IS NOT NULL",
    ),
    Truth(_SALES, "Items by weekday and hour", _sum("items_sum"), f"SELECT SUM(i.quantity) {_CLOSED}"),
    Truth(_SALES, "Corrections", _only("corrections"), "SELECT COUNT(*) FROM events WHERE kind = 'correction'"),
    Truth(
        _SALES,
        "Average bill",
        _only("average_bill"),
        "SELECT SUM(total_cents) / 100.0 / COUNT(*) FROM bills b WHERE closed_at_s IS NOT NULL "
        "AND EXISTS (SELECT 1 FROM bill_lines i WHERE i.bill_id = b.bill_id)",
    ),
    Truth(
        _QUALITY,
        "Labels gained",
        _sum("labels_sum"),
        "SELECT COUNT(*) FROM events WHERE kind IN ('answer', 'correction')",
    ),
    Truth(
        _QUALITY,
        "Agreement by dish, with 95 % interval",
        _sum("corrected_lines"),
        "SELECT COUNT(*) FROM events WHERE kind = 'correction'",
    ),
    Truth(
        _QUALITY,
        "Latest questions",
        lambda rows: float(sum(row["answer_title"] is not None for row in rows)),
        "SELECT COUNT(*) FROM (SELECT seq FROM events WHERE kind = 'ask' ORDER BY decided_at_s DESC LIMIT 1000) l "
        "JOIN events q ON q.seq = l.seq WHERE EXISTS (SELECT 1 FROM events a WHERE a.kind = 'answer' "
        "AND a.bill_id = q.bill_id AND a.track_id = q.track_id)",
    ),
    Truth(
        _QUALITY,
        "First guess right",
        _only("right_share"),
        "SELECT AVG(CASE WHEN a.dish = q.dish THEN 1.0 ELSE 0 END) FROM events q JOIN events a "
        "ON a.bill_id = q.bill_id AND a.track_id = q.track_id AND a.kind = 'answer' WHERE q.kind = 'ask'",
    ),
)


def check_rows(api: Api, dashboard: str) -> tuple[int, dict[str, Rows]]:
    """Print a line per chart; return how many are wrong, and the rows of all."""
    wrong, found = 0, {}
    for chart in sorted(api.charts(dashboard), key=lambda one: one["id"]):
        began_s = time.monotonic()
        rows = found[chart["slice_name"]] = api.rows(chart)
        filled = any(value is not None for row in rows for value in row.values())
        wrong += not filled
        last = json.dumps(rows[-1])[:90] if rows else ""
        took_ms = 1000 * (time.monotonic() - began_s)
        print(
            f"{'ok  ' if filled else 'BAD '} {chart['slice_name'][:42]:42} {len(rows):4} rows {took_ms:5.0f} ms {last}"
        )
    return wrong, found


def check_truths(dashboard: str, found: dict[str, Rows], store_uri: str) -> int:
    """Print a line per comparison; return how many are wrong."""
    wrong = 0
    engine = create_engine(store_uri)
    with engine.connect() as connection:
        for truth in TRUTHS:
            if truth.dashboard != dashboard:
                continue
            shown, real = truth.shown(found[truth.chart]), float(connection.execute(truth.sql).scalar() or 0)
            same = math.isclose(shown, real, rel_tol=1e-9, abs_tol=1e-6)
            wrong += not same
            print(f"{'ok  ' if same else 'BAD '} {truth.chart[:42]:42} shows {shown:.6g}, the tables say {real:.6g}")
    engine.dispose()
    return wrong


def main(url: str, dashboards: list[str]) -> int:
    """Check all dashboards; return how many charts or comparisons are wrong."""
    api = Api(url, os.environ.get("DASH_ADMIN", "admin"), os.environ["DASH_ADMIN_PASSWORD"])
    wrong = charts = 0
    for dashboard in dashboards:
        print(f"--- {dashboard}")
        bad, found = check_rows(api, dashboard)
        wrong += bad + check_truths(dashboard, found, os.environ["DASH_STORE_URI"])
        charts += len(found)
    print(f"{charts} charts, {wrong} wrong")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1], sys.argv[2:]) else 0)
