"""Write the Grafana dashboard over `/metrics`, for sites that run Prometheus already; `--check` says if it is stale.

python -m dashboards.generate_grafana [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.files import write_atomic

OUT = Path(__file__).resolve().parent / "grafana" / "traylane.json"
_LANE = 'lane=~"$lane"'
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: `queries` are (PromQL, legend); units are Grafana's."""

    title: str
    kind: str
    unit: str
    queries: Sequence[tuple[str, str]]
    help: str
    width: int = 8
    height: int = 8


def _quantile(share: float) -> str:
    rate = f"rate(traylane_capture_to_decision_seconds_bucket{{{_LANE}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le) ({rate}))"


def _rate(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_LANE}{more}}}[$__rate_interval]))"


PANELS = (
    Panel(
        "Lanes running",
        "stat",
        "none",
        [(f'sum(traylane_lane_state{{{_LANE},state="running"}})', "running")],
        "Lanes that decide frames at this moment.",
        6,
        4,
    ),
    Panel(
        "Bills in the last hour",
        "stat",
        "none",
        [(f'sum(increase(traylane_bills_total{{{_LANE},result="with_lines"}}[1h]))', "bills")],
        "Closed bills with at least one item.",
        6,
        4,
    ),
    Panel(
        "Questions in the last hour",
        "stat",
        "none",
        [(f"sum(increase(traylane_asks_total{{{_LANE}}}[1h]))", "questions")],
        "Objects that the lanes did not know.",
        6,
        4,
    ),
    Panel(
        "Free space",
        "stat",
        "decbytes",
        [("min(traylane_storage_free_bytes)", "free")],
        "Where the store writes. No value: the store is a server.",
        6,
        4,
    ),
    Panel(
        "Frames per second",
        "timeseries",
        "none",
        [(f"traylane_lane_fps{{{_LANE}}}", "{{lane}}")],
        "Frames decided per second.",
    ),
    Panel(
        "Camera to decision",
        "timeseries",
        "s",
        [(_quantile(0.5), "p50"), (_quantile(0.95), "p95"), (_quantile(0.99), "p99")],
        "From the summed buckets of all chosen lanes.",
    ),
    Panel(
        "Camera to picture, p95",
        "timeseries",
        "s",
        [
            (
                "histogram_quantile(0.95, sum by (le, lane) "
                f"(rate(traylane_capture_to_pixel_seconds_bucket{{{_LANE}}}[$__rate_interval])))",
                "{{lane}}",
            )
        ],
        "Until the marked-up picture is encoded.",
    ),
    Panel(
        "Frames left out per second",
        "timeseries",
        "none",
        [(_rate("traylane_frames_dropped_total", "lane, reason"), "{{lane}} {{reason}}")],
        "By reason; `rate` is by wish.",
    ),
    Panel(
        "Time per stage, mean",
        "timeseries",
        "s",
        [
            (
                f"{_rate('traylane_stage_seconds_sum', 'stage')} / {_rate('traylane_stage_seconds_count', 'stage')}",
                "{{stage}}",
            )
        ],
        "Where a frame's time goes.",
    ),
    Panel(
        "Bills per minute",
        "timeseries",
        "none",
        [(f"60 * {_rate('traylane_bills_total', 'lane, result')}", "{{lane}} {{result}}")],
        "Closed bills.",
    ),
    Panel(
        "Questions per minute",
        "timeseries",
        "none",
        [(f"60 * {_rate('traylane_asks_total', 'lane')}", "{{lane}}")],
        "Asked of a person.",
    ),
    Panel(
        "State of the lanes",
        "state-timeline",
        "none",
        [(f"max by (lane, state) (traylane_lane_state{{{_LANE}}})", "{{lane}} {{state}}")],
        "1 while the lane is in that state.",
    ),
    Panel(
        "Events that wait, and reconnects",
        "timeseries",
        "none",
        [
            (f"traylane_spool_depth{{{_LANE}}}", "{{lane}} waiting"),
            (f"increase(traylane_reconnects_total{{{_LANE}}}[$__rate_interval])", "{{lane}} reconnects"),
        ],
        "Events that the store does not have yet; times the camera came back.",
    ),
)


def build() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels, x, y, row_height = [], 0, 0, 0
    for number, panel in enumerate(PANELS, start=1):
        if x + panel.width > 24:
            x, y = 0, y + row_height
        row_height = panel.height
        panels.append(
            {
                "id": number,
                "title": panel.title,
                "description": panel.help,
                "type": panel.kind,
                "datasource": _SOURCE,
                "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
                "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                "targets": [
                    {"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend, "datasource": _SOURCE}
                    for i, (query, legend) in enumerate(panel.queries)
                ],
            }
        )
        x += panel.width
    return {
        "uid": "traylane",
        "title": "Traylane",
        "tags": ["traylane"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "lane",
                    "label": "Lane",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": {"query": "label_values(traylane_lane_state, lane)", "refId": "lanes"},
                    "includeAll": True,
                    "multi": True,
                    "refresh": 2,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": panels,
    }


def text() -> str:
    """Return the file."""
    return json.dumps(build(), indent=1) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.generate_grafana", description="Write Grafana's file.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is out of date")
    args = parser.parse_args(argv)
    if args.check:
        return int(not OUT.exists() or OUT.read_text() != text())
    OUT.parent.mkdir(exist_ok=True)
    write_atomic(OUT, text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
