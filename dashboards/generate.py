"""Write the assets (plain Superset v1 export files) from the specifications; `--check` says what is out of date.

    python -m dashboards.generate [--check]

A UUID is made from the kind and the slug alone, so it is the same for ever: an import replaces and never duplicates.
Layout, filters and colours, which nobody should write by hand, are made here.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from core.files import write_atomic
from dashboards.datasets import DATASETS
from dashboards.looks import AMBER, BLUE, LIME, PINK, ROSE, SCHEME, SLATE, TEAL, VIOLET, Chart, Dashboard, Dataset
from dashboards.operations import OPERATIONS
from dashboards.quality import QUALITY
from dashboards.sales import SALES

DASHBOARDS = (OPERATIONS, SALES, QUALITY)
ASSETS = Path(__file__).resolve().parent / "assets"
CONTEXTS = Path(__file__).resolve().parent / "query_context"

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://traylane.invalid/dashboards")
_VERSION = "1.0.0"
Asset = dict[str, Any]

#: The same thing has the same colour on every chart and every day. Lanes and models beyond these get theirs when the
#: assets are imported, from what the store holds.
LABEL_COLOURS = {
    "p50": TEAL,
    "p95": AMBER,
    "p99": ROSE,
    "late": AMBER,
    "rate": SLATE,
    "model": ROSE,
    "main": TEAL,
    "side": LIME,
    "dessert": PINK,
    "drink": BLUE,
    "bread": AMBER,
    "fruit": VIOLET,
    "snack": ROSE,
    "other": SLATE,
    "answer": BLUE,
    "correction": AMBER,
    "over_sum": ROSE,
    "under_sum": BLUE,
    "items_sum": TEAL,
    "revenue_sum": TEAL,
    "coverage": TEAL,
    "risk": ROSE,
    "outbox": AMBER,
    "free_gb": SLATE,
    "Too much": ROSE,
    "Too little": BLUE,
    "Items": TEAL,
    "Revenue": TEAL,
    "Events that wait": AMBER,
    "Free space (GB)": SLATE,
    "Decided without asking": TEAL,
    "Known errors among them": ROSE,
}

#: Cards, calm headlines, one size for all tiles; no badge that says on each chart that the time filter applies.
CSS = """
.dashboard-component-chart-holder {
  border-radius: 10px; box-shadow: 0 1px 2px rgba(15,23,42,.06), 0 1px 6px rgba(15,23,42,.05);
}
.dashboard-component-chart-holder .filter-counts { display: none !important; }
.dashboard-component-header h1, .dashboard-component-header .header-style-option { color: #0f766e; }
.superset-legacy-chart-big-number .header-line {
  font-size: 30px !important; font-weight: 600; height: auto !important;
}
.superset-legacy-chart-big-number .subtitle-line {
  font-size: 12px !important; height: auto !important; line-height: 1.3; color: #64748b;
}
.superset-legacy-chart-big-number .text-container { height: auto !important; }
"""


def uid(kind: str, slug: str) -> str:
    """Return the UUID that an asset has for ever.

    >>> uid("charts", "ops_items") == uid("charts", "ops_items") != uid("charts", "ops_bills")
    True
    """
    return str(uuid.uuid5(_SPACE, f"{kind}/{slug}"))


def database() -> Asset:
    """Return the one database; the loader fills in its address."""
    return {
        "database_name": "Traylane",
        "sqlalchemy_uri": "sqlite:////replaced/by/bootstrap.db",
        "cache_timeout": 30,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True},
        "uuid": uid("databases", "traylane"),
        "version": _VERSION,
    }


def dataset(name: str, spec: Dataset) -> Asset:
    """Return a view as a dataset."""
    columns = [
        {
            "column_name": column,
            "verbose_name": label,
            "type": kind,
            "is_dttm": kind == "TIMESTAMP",
            "groupby": kind in ("TIMESTAMP", "TEXT", "INTEGER"),
            "filterable": True,
        }
        for column, (kind, label) in spec.columns.items()
    ]
    metrics = []
    for slug, metric in spec.metrics.items():
        entry: Asset = {
            "metric_name": slug,
            "verbose_name": metric.label,
            "expression": metric.expression,
            "description": metric.help or None,
            "d3format": None if metric.money else metric.format,
        }
        if metric.money:
            # The loader puts the site's own currency here.
            entry["currency"] = {"symbol": "EUR", "symbolPosition": "suffix"}
        metrics.append(entry)
    return {
        "table_name": name,
        "main_dttm_col": spec.time,
        "schema": None,
        "catalog": None,
        "sql": None,
        "description": spec.help,
        "columns": columns,
        "metrics": metrics,
        "uuid": uid("datasets", name),
        "database_uuid": uid("databases", "traylane"),
        "version": _VERSION,
    }


def chart(slug: str, spec: Chart) -> Asset:
    """Return a chart with its stored query, if one was harvested."""
    context = CONTEXTS / f"{slug}.json"
    stored = json.dumps(json.loads(context.read_text()), sort_keys=True) if context.exists() else None
    return {
        "slice_name": spec.title,
        "description": spec.help,
        "viz_type": spec.viz,
        "params": {**spec.params, "viz_type": spec.viz},
        "query_context": stored,
        "cache_timeout": None,
        "uuid": uid("charts", slug),
        "dataset_uuid": uid("datasets", spec.dataset),
        "version": _VERSION,
    }


def layout(spec: Dashboard) -> Asset:
    """Return the places of all charts: headlines, rows of twelve columns, charts."""
    grid: list[str] = []
    position: Asset = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": spec.title}},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "parents": ["ROOT_ID"], "children": grid},
    }
    number = 0
    for section_no, section in enumerate(spec.sections):
        if section.title:
            key = f"HEADER-{section_no}"
            grid.append(key)
            position[key] = {
                "type": "HEADER",
                "id": key,
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID"],
                "meta": {
                    "text": section.title,
                    "headerSize": "MEDIUM_HEADER",
                    "background": "BACKGROUND_TRANSPARENT",
                },
            }
        for row_no, row in enumerate(section.rows):
            key = f"ROW-{section_no}-{row_no}"
            grid.append(key)
            position[key] = {
                "type": "ROW",
                "id": key,
                "parents": ["ROOT_ID", "GRID_ID"],
                "children": [f"CHART-{slug}" for slug, _ in row.charts],
                "meta": {"background": "BACKGROUND_TRANSPARENT"},
            }
            for slug, width in row.charts:
                number += 1  # any number that is used once: the import replaces it by way of the uuid
                position[f"CHART-{slug}"] = {
                    "type": "CHART",
                    "id": f"CHART-{slug}",
                    "children": [],
                    "parents": ["ROOT_ID", "GRID_ID", key],
                    "meta": {
                        "chartId": number,
                        "uuid": uid("charts", slug),
                        "sliceName": spec.charts[slug].title,
                        "width": width,
                        "height": row.height,
                    },
                }
    return position


def filters(spec: Dashboard) -> list[Asset]:
    """Return the filters on top: time, lane, site."""
    # Not "Last week", which ends last midnight and so hides today.
    span = f'DATEADD(DATETIME("today"), -{spec.days - 1}, day) : DATEADD(DATETIME("today"), 1, day)'
    places = layout(spec)
    whole_site = [places[f"CHART-{slug}"]["meta"]["chartId"] for slug in spec.whole_site]
    return [
        _filter(
            f"{spec.slug}-time",
            "Time",
            "filter_time",
            help_text="Days and hours of the site's own time. The span includes today.",
            default={"extraFormData": {"time_range": span}, "filterState": {"value": span}},
        ),
        _filter(
            f"{spec.slug}-lane",
            "Lane",
            "filter_select",
            help_text="Nothing chosen: all lanes.",
            target={"datasetUuid": uid("datasets", spec.lane_from), "column": {"name": "lane"}},
            excluded=whole_site,
        ),
        _filter(
            f"{spec.slug}-site",
            "Site",
            "filter_select",
            help_text="Nothing chosen: all sites.",
            target={"datasetUuid": uid("datasets", spec.lane_from), "column": {"name": "site"}},
        ),
    ]


def _filter(
    slug: str,
    name: str,
    kind: str,
    *,
    help_text: str,
    target: Asset | None = None,
    default: Asset | None = None,
    excluded: Sequence[int] = (),
) -> Asset:
    control: Asset = {}
    if kind == "filter_select":
        control = {
            "multiSelect": True,
            "enableEmptyFilter": False,
            "defaultToFirstItem": False,
            "inverseSelection": False,
            "searchAllOptions": False,
        }
    return {
        "id": f"NATIVE_FILTER-{slug}",
        "type": "NATIVE_FILTER",
        "name": name,
        "filterType": kind,
        "targets": [target or {}],
        "defaultDataMask": default or {"extraFormData": {}, "filterState": {}},
        "controlValues": control,
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": list(excluded)},
        "description": help_text,
    }


def dashboard(spec: Dashboard) -> Asset:
    """Return a whole page."""
    return {
        "dashboard_title": spec.title,
        "slug": spec.slug,
        "description": spec.help,
        "published": True,
        "css": CSS,
        "position": layout(spec),
        "metadata": {
            "color_scheme": SCHEME,
            "filter_bar_orientation": "HORIZONTAL",
            "refresh_frequency": 60,
            "cross_filters_enabled": True,
            "native_filter_configuration": filters(spec),
            "chart_configuration": {},
            "label_colors": LABEL_COLOURS,
            "timed_refresh_immune_slices": [],
            "expanded_slices": {},
        },
        "uuid": uid("dashboards", spec.slug),
        "version": _VERSION,
    }


def build() -> dict[str, Asset]:
    """Return every asset by its file's name below `assets/`."""
    files: dict[str, Asset] = {
        "metadata.yaml": {"version": _VERSION, "type": "assets", "timestamp": "2026-01-01T00:00:00+00:00"},
        "databases/traylane.yaml": database(),
    }
    for name, spec in DATASETS.items():
        files[f"datasets/traylane/{name}.yaml"] = dataset(name, spec)
    for page in DASHBOARDS:
        for slug, chart_spec in page.charts.items():
            files[f"charts/{slug}.yaml"] = chart(slug, chart_spec)
        files[f"dashboards/{page.slug}.yaml"] = dashboard(page)
    return files


class _Dumper(yaml.SafeDumper):
    """Writes equal values out each time: Superset's reader would take anchors, people would not."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text_of(asset: Asset) -> str:
    """Return the file of an asset."""
    return yaml.dump(asset, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def out_of_date(folder: Path) -> list[str]:
    """Return the files below `folder` that are missing, differ, or have no specification any more."""
    wanted = {name: text_of(asset) for name, asset in build().items()}
    present = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.yaml")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def write(folder: Path) -> None:
    """Write what is out of date, and remove what has no specification any more."""
    wanted = build()
    for name in out_of_date(folder):
        path = folder / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text_of(wanted[name]))
        else:
            path.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the assets, or check them."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.generate", description="Write the dashboards' assets.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    args = parser.parse_args(argv)
    if not args.check:
        write(ASSETS)
        return 0
    stale = out_of_date(ASSETS)
    if stale:
        print(f"out of date, run `python -m dashboards.generate`: {', '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
