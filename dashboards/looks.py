"""Words of a chart specification: what every chart, tile and table of the dashboards has in common.

A chart names a dataset (a view of the store) and metrics; nothing here is SQL. Parameter names are Superset's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Params = dict[str, Any]

TEAL, AMBER, BLUE, ROSE, VIOLET, LIME, SLATE, PINK = PALETTE = (
    "#0f766e",
    "#f59e0b",
    "#3b82f6",
    "#e11d48",
    "#8b5cf6",
    "#84cc16",
    "#64748b",
    "#ec4899",
)
SCHEME = "traylane"
RAMP_SHARE, RAMP_COUNT = "traylaneShare", "traylaneCount"
_TEAL_RGB = {"r": 15, "g": 118, "b": 110, "a": 1}

#: d3 formats that are used again and again.
WHOLE, SHARE, SHARE_1, MONEY, MS = ",d", ",.0%", ",.1%", ",.2f", ",.0f"


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a dataset: `expression` is an aggregate over its columns, `money` shows the site's currency."""

    expression: str
    label: str
    format: str
    help: str = ""
    money: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """A view as Superset knows it.

    Attributes:
        time: its main time column, in the site's own time.
        columns: name -> (type, label).
        help: one line for people.
    """

    time: str
    columns: Mapping[str, tuple[str, str]]
    metrics: Mapping[str, Metric]
    help: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: `help` is what the little i beside the title says."""

    title: str
    viz: str
    dataset: str
    params: Params
    help: str


@dataclass(frozen=True, slots=True)
class Row:
    """Charts side by side: (chart, width of 12); height in units of 8 px."""

    height: int
    charts: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Section:
    """A headline over some rows."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A whole page.

    Attributes:
        days: how many days its time filter shows at first, today included.
        lane_from: the dataset whose lanes the lane filter offers.
        whole_site: charts that the lane filter must leave alone.
    """

    slug: str
    title: str
    help: str
    days: int
    lane_from: str
    charts: Mapping[str, Chart]
    sections: Sequence[Section]
    whole_site: Sequence[str] = field(default_factory=tuple)


def time_filter(column: str) -> list[Params]:
    """Return the filter that ties a chart to the dashboard's time range; without it the range does not reach it."""
    return [
        {
            "clause": "WHERE",
            "expressionType": "SIMPLE",
            "operator": "TEMPORAL_RANGE",
            "subject": column,
            "comparator": "No filter",
        }
    ]


def tile(metric: str, time: str, unit: str, number_format: str = WHOLE) -> Params:
    """Return a single number with its unit below."""
    return {
        "metric": metric,
        "adhoc_filters": time_filter(time),
        "y_axis_format": number_format,
        "header_font_size": 0.4,
        "subtitle": unit,
        "subtitle_font_size": 0.15,
    }


def trend_tile(metric: str, time: str, unit: str, number_format: str = WHOLE) -> Params:
    """Return the sum of a metric over the range, with its days as a little line below."""
    return {
        "metric": metric,
        "x_axis": time,
        "time_grain_sqla": "P1D",
        "adhoc_filters": time_filter(time),
        "y_axis_format": number_format,
        "header_font_size": 0.4,
        "subheader_font_size": 0.15,
        "subtitle": unit,
        "subtitle_font_size": 0.15,
        "show_trend_line": True,
        "start_y_axis_at_zero": True,
        "aggregation": "sum",
        "color_picker": _TEAL_RGB,
        "time_format": "%a %d %b",
    }


def series(
    time: str,
    metrics: Sequence[str],
    by: Sequence[str] = (),
    *,
    grain: str = "PT1H",
    number_format: str = WHOLE,
    bars: bool = False,
    floor: float | None = None,
    top: float | None = None,
    axis: str = "",
    **more: object,
) -> Params:
    """Return metrics over time, as lines or stacked bars. `floor` and `top` fix the ends of the value axis."""
    params: Params = {
        "x_axis": time,
        "time_grain_sqla": grain,
        "metrics": list(metrics),
        "groupby": list(by),
        "adhoc_filters": time_filter(time),
        "row_limit": 10000,
        "order_desc": True,
        "truncate_metric": True,
        "show_empty_columns": True,
        "color_scheme": SCHEME,
        "show_legend": bool(by) or len(metrics) > 1,
        "legendType": "scroll",
        "legendOrientation": "top",
        "rich_tooltip": True,
        "tooltipTimeFormat": "%a %d %b %H:%M" if grain == "PT1H" else "%a %d %b",
        "x_axis_time_format": "%a %d",
        "y_axis_format": number_format,
        "y_axis_bounds": [floor, top],
        "truncateYAxis": floor is not None or top is not None,
        "y_axis_title": axis,
        "y_axis_title_margin": 40 if axis else 0,
        "y_axis_title_position": "Left",
    }
    if not bars:
        # An hour or a day without a row is unknown: the line has a gap there, and no bridge.
        params |= {"resample_rule": "1H" if grain == "PT1H" else "1D", "resample_method": "asfreq"}
    if bars:
        params |= {"stack": "Stack", "orientation": "vertical"}
    else:
        params |= {"seriesType": "line", "markerEnabled": grain == "P1D", "markerSize": 6}
    return params | more


def ranking(column: str, metric: str, time: str, rows: int = 10, number_format: str = WHOLE) -> Params:
    """Return the largest of a kind as horizontal bars, largest on top."""
    return {
        "x_axis": column,
        "metrics": [metric],
        "groupby": [],
        "adhoc_filters": time_filter(time),
        "row_limit": rows,
        "orientation": "horizontal",
        "order_desc": True,
        "timeseries_limit_metric": metric,
        "x_axis_sort": metric,
        "x_axis_sort_asc": True,
        "color_scheme": SCHEME,
        "show_legend": False,
        "show_value": True,
        "truncate_metric": True,
        "rich_tooltip": True,
        "y_axis_format": number_format,
    }


def by_category(
    column: str, metrics: Sequence[str], time: str, by: Sequence[str] = (), number_format: str = WHOLE, **more: object
) -> Params:
    """Return bars over a column that sorts by its own text: hours of the day, weekdays."""
    params: Params = {
        "x_axis": column,
        "xAxisForceCategorical": True,
        "metrics": list(metrics),
        "groupby": list(by),
        "adhoc_filters": time_filter(time),
        "row_limit": 10000,
        "orientation": "vertical",
        "stack": "Stack",
        "order_desc": True,
        "x_axis_sort": column,
        "x_axis_sort_asc": True,
        "color_scheme": SCHEME,
        "show_legend": bool(by) or len(metrics) > 1,
        "legendType": "scroll",
        "legendOrientation": "top",
        "truncate_metric": True,
        "rich_tooltip": True,
        "y_axis_format": number_format,
    }
    return params | more


def heat(
    x: str,
    y: str,
    metric: str,
    time: str,
    number_format: str,
    ramp: str,
    bounds: Sequence[float | None],
    **more: object,
) -> Params:
    """Return a heat map with its values written into the cells."""
    params: Params = {
        "x_axis": x,
        "groupby": y,
        "metric": metric,
        "adhoc_filters": time_filter(time),
        "row_limit": 10000,
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",
        "normalize_across": "heatmap",
        "linear_color_scheme": ramp,
        "legend_type": "continuous",
        "show_legend": False,
        "show_values": True,
        "show_percentage": False,
        "value_bounds": list(bounds),
        "y_axis_format": number_format,
        "x_axis_time_format": "%a %d",
        "xscale_interval": -1,
        "yscale_interval": -1,
        "left_margin": "auto",
        "bottom_margin": 50,
    }
    return params | more


def raw_table(columns: Sequence[str], time: str, newest_first: bool = True, **formats: str) -> Params:
    """Return rows as they are."""
    return {
        "query_mode": "raw",
        "all_columns": list(columns),
        "order_by_cols": [f'["{time}", {str(not newest_first).lower()}]'],
        "adhoc_filters": time_filter(time),
        "row_limit": 1000,
        "table_timestamp_format": "%a %d %H:%M",
        "server_page_length": 10,
        "page_length": 0,
        "show_cell_bars": False,
        "color_pn": False,
        "include_search": False,
        "temporal_columns_lookup": {time: True},
        "column_config": {name: {"d3NumberFormat": style} for name, style in formats.items()},
    }


def sum_table(by: Sequence[str], metrics: Sequence[str], time: str, order: str, **formats: str) -> Params:
    """Return metrics per group, largest `order` first; a bar behind every count, none behind a share."""
    columns = {name: {"d3NumberFormat": style, "showCellBars": "%" not in style} for name, style in formats.items()}
    return {
        "query_mode": "aggregate",
        "groupby": list(by),
        "metrics": list(metrics),
        "timeseries_limit_metric": order,
        "order_desc": True,
        "adhoc_filters": time_filter(time),
        "row_limit": 200,
        "server_page_length": 10,
        "page_length": 0,
        "show_cell_bars": True,
        "color_pn": False,
        "include_search": False,
        "column_config": columns,
    }
