"""The dashboard *Sales*: what was sold, when, and what corrections were worth."""

from __future__ import annotations

from dashboards.looks import (
    MONEY,
    RAMP_COUNT,
    SCHEME,
    WHOLE,
    Chart,
    Dashboard,
    Row,
    Section,
    by_category,
    heat,
    ranking,
    raw_table,
    series,
    sum_table,
    tile,
    time_filter,
    trend_tile,
)

_BAR = "echarts_timeseries_bar"
_TABLE = {"items_sum": WHOLE, "revenue_sum": ",.0f", "unit_price": MONEY}

CHARTS = {
    "sales_revenue": Chart(
        "Revenue",
        "big_number",
        "v_sales_hourly",
        trend_tile("revenue_sum", "hour_local", "on closed bills", ",.0f"),
        "Sum of closed bills, with corrections. Not a fiscal record: the till keeps that.",
    ),
    "sales_items": Chart(
        "Items",
        "big_number",
        "v_sales_hourly",
        trend_tile("items_sum", "hour_local", "dishes sold"),
        "Dishes on closed bills.",
    ),
    "sales_bills": Chart(
        "Bills",
        "big_number",
        "v_bills",
        trend_tile("bills", "opened_local", "with an item"),
        "Bills with at least one item.",
    ),
    "sales_average": Chart(
        "Average bill",
        "big_number_total",
        "v_bills",
        tile("average_bill", "opened_local", "per bill with an item", MONEY),
        "Revenue divided by bills that have an item.",
    ),
    "sales_corrections": Chart(
        "Corrections",
        "big_number_total",
        "v_corrections",
        tile("corrections", "corrected_local", "lines a person changed", WHOLE),
        "Lines that a person changed after the bill was closed.",
    ),
    "sales_error": Chart(
        "Money error",
        "big_number_total",
        "v_corrections",
        tile("error_sum", "corrected_local", "found and corrected", MONEY),
        "Sum of the differences, whichever way, between what was billed first and what was right. Errors that nobody "
        "found are not in it.",
    ),
    "sales_days": Chart(
        "Revenue per day, by category",
        _BAR,
        "v_sales_hourly",
        series("hour_local", ["revenue_sum"], ["category"], grain="P1D", bars=True, number_format=",.0f"),
        "Closed bills by day of the site's own time.",
    ),
    "sales_top": Chart(
        "Top dishes",
        _BAR,
        "v_sales_hourly",
        ranking("title", "items_sum", "hour_local"),
        "The ten that were sold most often.",
    ),
    "sales_hour": Chart(
        "Revenue by hour of the day",
        _BAR,
        "v_sales_hourly",
        by_category("hour_of_day", ["revenue_sum"], "hour_local", number_format=",.0f"),
        "Sum over all chosen days, in the site's own time.",
    ),
    "sales_weekday": Chart(
        "Items by weekday and hour",
        "heatmap_v2",
        "v_sales_hourly",
        heat("hour_of_day", "weekday", "items_sum", "hour_local", WHOLE, RAMP_COUNT, (None, None)),
        "When the rush is: dishes sold, summed over all chosen days.",
    ),
    "sales_category": Chart(
        "Share of revenue, by category",
        "pie",
        "v_sales_hourly",
        {
            "groupby": ["category"],
            "metric": "revenue_sum",
            "adhoc_filters": time_filter("hour_local"),
            "color_scheme": SCHEME,
            "row_limit": 20,
            "sort_by_metric": True,
            "donut": True,
            "innerRadius": 45,
            "outerRadius": 75,
            "label_type": "key_percent",
            "labels_outside": True,
            "label_line": True,
            "show_labels": True,
            "show_labels_threshold": 5,
            "show_legend": False,
            "number_format": ",.0f",
            "date_format": "smart_date",
        },
        "What each category brings in.",
    ),
    "sales_lane": Chart(
        "Revenue by weekday and lane",
        _BAR,
        "v_sales_hourly",
        by_category("weekday", ["revenue_sum"], "hour_local", ["lane"], number_format=",.0f"),
        "Sum over all chosen days.",
    ),
    "sales_dishes": Chart(
        "All dishes",
        "table",
        "v_sales_hourly",
        sum_table(
            ["title", "category"], ["items_sum", "revenue_sum", "unit_price"], "hour_local", "revenue_sum", **_TABLE
        ),
        "Every dish that was sold, the one with the highest revenue first.",
    ),
    "sales_error_days": Chart(
        "Money error per day",
        _BAR,
        "v_corrections",
        series("corrected_local", ["over_sum", "under_sum"], grain="P1D", bars=True, number_format=",.0f"),
        "What was billed too much or too little at first, by the corrections that people made.",
    ),
    "sales_last": Chart(
        "Latest corrections",
        "table",
        "v_corrections",
        raw_table(
            ["corrected_local", "lane", "was_title", "title", "overcharged"], "corrected_local", overcharged="+,.2f"
        ),
        "Who got it wrong and by how much: a plus was billed too much.",
    ),
}

SALES = Dashboard(
    slug="traylane-sales",
    title="Sales",
    help="What was sold, when, and what did corrections change?",
    days=14,
    lane_from="v_sales_hourly",
    charts=CHARTS,
    sections=(
        Section(
            "",
            (
                Row(
                    20,
                    [
                        ("sales_revenue", 2),
                        ("sales_items", 2),
                        ("sales_bills", 2),
                        ("sales_average", 2),
                        ("sales_corrections", 2),
                        ("sales_error", 2),
                    ],
                ),
                Row(42, [("sales_days", 8), ("sales_top", 4)]),
            ),
        ),
        Section(
            "When and what",
            (
                Row(38, [("sales_weekday", 8), ("sales_category", 4)]),
                Row(38, [("sales_hour", 6), ("sales_lane", 6)]),
            ),
        ),
        Section("In detail", (Row(52, [("sales_dishes", 4), ("sales_last", 4), ("sales_error_days", 4)]),)),
    ),
)
