"""The dashboard *Operations*: do all lanes work, how fast, and what waits."""

from __future__ import annotations

from dashboards.looks import (
    MS,
    RAMP_SHARE,
    SHARE_1,
    WHOLE,
    Chart,
    Dashboard,
    Row,
    Section,
    heat,
    raw_table,
    series,
    tile,
    time_filter,
    trend_tile,
)

_BAR, _LINE = "echarts_timeseries_bar", "echarts_timeseries_line"

CHARTS = {
    "ops_items": Chart(
        "Items",
        "big_number",
        "v_items_hourly",
        trend_tile("items_sum", "hour_local", "dishes billed"),
        "Dishes on closed bills.",
    ),
    "ops_bills": Chart(
        "Bills",
        "big_number",
        "v_bills",
        trend_tile("bills", "opened_local", "with an item"),
        "Bills with at least one item.",
    ),
    "ops_agreement": Chart(
        "Agreement",
        "big_number_total",
        "v_agreement",
        tile("agreement", "day_local", "of lines nobody corrected", SHARE_1),
        "Lines that the lane decided by itself and nobody corrected. Not corrected is not the same as right: see the "
        "dashboard Quality. N/A while nobody has reviewed a bill.",
    ),
    "ops_p95": Chart(
        "Latency p95",
        "big_number_total",
        "v_latency",
        tile("p95", "hour_local", "ms from camera to decision", MS),
        "95 % of all frames of the span were decided within this time. Read from counted buckets, so it is right for "
        "any span and any choice of lanes.",
    ),
    "ops_uptime": Chart(
        "Uptime",
        "big_number_total",
        "v_uptime",
        tile("uptime", "hour_local", "of the watched time", SHARE_1),
        "Share of the time in which the program ran and the lane was deciding frames. Time in which the program did "
        "not run is unknown and is not counted.",
    ),
    "ops_asks": Chart(
        "Questions",
        "big_number",
        "v_asks",
        trend_tile("asks", "asked_local", "to a person"),
        "Objects the lane did not know.",
    ),
    "ops_items_hourly": Chart(
        "Items per hour, by lane",
        _BAR,
        "v_items_hourly",
        series("hour_local", ["items_sum"], ["lane"], bars=True),
        "Dishes on bills closed in each hour of the site's own time.",
    ),
    "ops_lanes": Chart(
        "Lanes, latest minute",
        "table",
        "v_lanes",
        raw_table(
            ["lane", "last_minute_local", "fps", "uptime", "spool_depth"],
            "last_minute_local",
            fps=",.1f",
            uptime=",.0%",
            spool_depth=WHOLE,
        ),
        "The last minute that each lane reported in the chosen span. An old time means that the program does not run.",
    ),
    "ops_latency": Chart(
        "Latency, camera to decision (ms)",
        _LINE,
        "v_latency",
        series("hour_local", ["p50", "p95", "p99"], number_format=MS, floor=0),
        "Half, 95 % and 99 % of the frames of all chosen lanes were decided within this time.",
    ),
    "ops_fps": Chart(
        "Frames per second, by lane",
        _LINE,
        "v_uptime",
        series("hour_local", ["fps"], ["lane"], number_format=",.0f", floor=0),
        "Frames decided per second while the lane was up.",
    ),
    "ops_drops": Chart(
        "Frames left out, by reason",
        _BAR,
        "v_drops",
        series("hour_local", ["dropped"], ["reason"], bars=True, number_format=",.2s")
        | {
            "adhoc_filters": [
                *time_filter("hour_local"),
                {
                    "clause": "WHERE",
                    "expressionType": "SIMPLE",
                    "operator": "!=",
                    "subject": "reason",
                    "comparator": "rate",
                },
            ]
        },
        "late: the model was busy and a newer frame was taken. model: the model failed. Frames beyond the rate that is "
        "set for the lane are left out by wish and are not shown.",
    ),
    "ops_uptime_days": Chart(
        "Uptime, by lane and day",
        "heatmap_v2",
        "v_uptime",
        heat("hour_local", "lane", "uptime", "hour_local", SHARE_1, RAMP_SHARE, (0.9, 1), time_grain_sqla="P1D"),
        "Share of the watched time in which the lane was deciding frames. A blank cell is unknown.",
    ),
    "ops_outbox": Chart(
        "Events that wait for a publisher",
        "echarts_area",
        "v_outbox",
        series("hour_local", ["outbox"], number_format=WHOLE, floor=0),
        "Highest number in the hour. It should fall back to nearly nothing; if it does not, the line to the hub or the "
        "broker is down. Whole site.",
    ),
    "ops_agreement_days": Chart(
        "Agreement, by lane",
        _LINE,
        "v_agreement",
        series("day_local", ["agreement"], ["lane"], grain="P1D", number_format=SHARE_1, floor=0.95, top=1),
        "Lines that nobody corrected. A day on which nobody reviewed anything is left out. The axis begins at 95 %.",
    ),
    "ops_asks_hourly": Chart(
        "Questions per day, by lane",
        _BAR,
        "v_asks",
        series("asked_local", ["asks"], ["lane"], grain="P1D", bars=True),
        "How often each lane asked a person.",
    ),
    "ops_down": Chart(
        "Minutes down, by lane",
        _BAR,
        "v_uptime",
        series("hour_local", ["down_min"], ["lane"], grain="P1D", bars=True, number_format=",.0f"),
        "Minutes in which the program ran and the lane decided nothing.",
    ),
    "ops_disk": Chart(
        "Free space (GB)",
        _LINE,
        "v_outbox",
        series("hour_local", ["free_gb"], grain="P1D", number_format=",.0f", floor=0),
        "Lowest of the day, where the store writes. Unknown for a store on a server. Whole site.",
    ),
}

OPERATIONS = Dashboard(
    slug="traylane-operations",
    title="Operations",
    help="Do all lanes work, how fast are they, and what waits?",
    days=7,
    lane_from="v_uptime",
    charts=CHARTS,
    sections=(
        Section(
            "",
            (
                Row(
                    20,
                    [
                        ("ops_items", 2),
                        ("ops_bills", 2),
                        ("ops_asks", 2),
                        ("ops_agreement", 2),
                        ("ops_p95", 2),
                        ("ops_uptime", 2),
                    ],
                ),
                Row(40, [("ops_items_hourly", 8), ("ops_lanes", 4)]),
            ),
        ),
        Section("Speed", (Row(38, [("ops_latency", 4), ("ops_fps", 4), ("ops_drops", 4)]),)),
        Section(
            "Reliability",
            (
                Row(36, [("ops_uptime_days", 6), ("ops_down", 3), ("ops_disk", 3)]),
                Row(36, [("ops_agreement_days", 4), ("ops_asks_hourly", 4), ("ops_outbox", 4)]),
            ),
        ),
    ),
    whole_site=("ops_outbox", "ops_disk"),
)
