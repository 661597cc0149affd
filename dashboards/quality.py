"""The dashboard *Quality*: how right the bills are, what is mistaken for what, and what a change of model did."""

from __future__ import annotations

from dashboards.looks import (
    RAMP_COUNT,
    SHARE_1,
    WHOLE,
    Chart,
    Dashboard,
    Row,
    Section,
    heat,
    raw_table,
    series,
    sum_table,
    tile,
    time_filter,
    trend_tile,
)

_BAR, _LINE = "echarts_timeseries_bar", "echarts_timeseries_line"

_SHARES = dict.fromkeys(("agreement", "agreement_low", "agreement_high", "reviewed_agreement", "ask_rate"), SHARE_1)
_RISK = {
    "x_axis": "threshold",
    "metrics": ["coverage"],
    "groupby": [],
    "adhoc_filters": time_filter("day_local"),
    "row_limit": 1000,
    "seriesType": "line",
    "markerEnabled": True,
    "markerSize": 5,
    "metrics_b": ["risk"],
    "groupby_b": [],
    "adhoc_filters_b": time_filter("day_local"),
    "row_limit_b": 1000,
    "seriesTypeB": "line",
    "markerEnabledB": True,
    "markerSizeB": 5,
    "yAxisIndexB": 1,
    "y_axis_format": ",.0%",
    "y_axis_format_secondary": ",.1%",
    "y_axis_bounds": [0, 1],
    "truncateYAxis": True,
    "color_scheme": "traylane",
    "show_legend": True,
    "legendType": "scroll",
    "legendOrientation": "top",
    "rich_tooltip": True,
    "truncate_metric": True,
    "x_axis_title": "confidence asked for",
    "x_axis_title_margin": 30,
    "xAxisForceCategorical": True,
    "x_axis_sort_asc": True,
}

CHARTS = {
    "quality_agreement": Chart(
        "Agreement, at most",
        "big_number_total",
        "v_agreement",
        tile("agreement", "day_local", "of lines nobody corrected", SHARE_1),
        "Lines that the lane decided by itself and nobody corrected. An upper bound: an error that nobody noticed "
        "counts as agreement. N/A while nobody has reviewed a bill.",
    ),
    "quality_reviewed": Chart(
        "Agreement, at least",
        "big_number_total",
        "v_agreement",
        tile("reviewed_agreement", "day_local", "on bills a person touched", SHARE_1),
        "The same on bills on which a person answered or corrected something. A lower bound: people touch the bills "
        "that have something wrong. The truth lies between the two.",
    ),
    "quality_decided": Chart(
        "Lines decided",
        "big_number",
        "v_agreement",
        trend_tile("decided_lines", "day_local", "by the lanes themselves"),
        "Lines of closed bills that no person had to decide.",
    ),
    "quality_ask_rate": Chart(
        "Decided by a person",
        "big_number_total",
        "v_agreement",
        tile("ask_rate", "day_local", "of all lines", SHARE_1),
        "Lines for which the lane asked and somebody answered.",
    ),
    "quality_guess": Chart(
        "First guess right",
        "big_number_total",
        "v_asks",
        tile("right_share", "asked_local", "of answered questions", SHARE_1),
        "How often the lane's best guess was what the person said. If this is high, the lane asks too often.",
    ),
    "quality_labels": Chart(
        "Labels gained",
        "big_number",
        "v_labels",
        trend_tile("labels_sum", "labelled_local", "answers and corrections"),
        "Each answer and each correction is a label that can teach the next model.",
    ),
    "quality_dishes": Chart(
        "Agreement by dish, with 95 % interval",
        "table",
        "v_agreement",
        sum_table(
            ["title"],
            ["decided_lines", "corrected_lines", "agreement", "agreement_low", "agreement_high"],
            "day_local",
            "corrected_lines",
            **_SHARES,
        ),
        "Wilson's interval. Few lines make a wide interval: do not act on a dish that has ten. N/A: nobody reviewed "
        "a bill with this dish.",
    ),
    "quality_confusion": Chart(
        "What is mistaken for what",
        "heatmap_v2",
        "v_confusion",
        heat(
            "said_title",
            "person_title",
            "mixed_up",
            "day_local",
            WHOLE,
            RAMP_COUNT,
            (None, None),
            sort_y_axis="alpha_asc",
            bottom_margin=20,
            x_axis_label_rotation=45,
            xscale_interval=1,
            yscale_interval=1,
        )
        | {
            "adhoc_filters": [
                *time_filter("day_local"),
                {
                    "clause": "WHERE",
                    "expressionType": "SIMPLE",
                    "operator": "==",
                    "subject": "agreed",
                    "comparator": 0,
                },
            ]
        },
        "Across: what the lane said or guessed. Up: what the person said. Only where they differ.",
    ),
    "quality_risk": Chart(
        "Errors against questions, by threshold",
        "mixed_timeseries",
        "v_risk_coverage",
        _RISK,
        "If the lane decided only above this confidence: how much it would decide by itself (left axis), and how much "
        "of that is known to be wrong (right axis). Errors that nobody found are not in it.",
    ),
    "quality_versions_days": Chart(
        "Agreement by model version",
        _LINE,
        "v_agreement",
        series("day_local", ["agreement"], ["model"], grain="P1D", number_format=SHARE_1, floor=0.96, top=1),
        "Before and after a change of model. The axis begins at 96 %.",
    ),
    "quality_versions": Chart(
        "Model versions, before and after",
        "table",
        "v_agreement",
        sum_table(
            ["model"],
            ["decided_lines", "agreement", "agreement_low", "agreement_high", "reviewed_agreement", "ask_rate"],
            "day_local",
            "decided_lines",
            **_SHARES,
        ),
        "Two versions differ for sure only when their intervals do not overlap.",
    ),
    "quality_ask_days": Chart(
        "Decided by a person, by lane",
        _LINE,
        "v_agreement",
        series("day_local", ["ask_rate"], ["lane"], grain="P1D", number_format=SHARE_1, floor=0),
        "Lines for which the lane asked and somebody answered, of all lines.",
    ),
    "quality_labels_days": Chart(
        "Labels per day",
        _BAR,
        "v_labels",
        series("labelled_local", ["labels_sum"], ["labelled_by"], grain="P1D", bars=True),
        "Labels that people gave at the lanes, by where they came from.",
    ),
    "quality_asks": Chart(
        "Latest questions",
        "table",
        "v_asks",
        raw_table(
            ["asked_local", "lane", "guess_title", "confidence", "answer_title", "wait_s"],
            "asked_local",
            confidence=",.0%",
            wait_s=",.1f",
        ),
        "What the lane was unsure of, and what people answered. No answer: N/A.",
    ),
    "quality_reviewed_days": Chart(
        "Share of lines on reviewed bills",
        _LINE,
        "v_agreement",
        series("day_local", ["reviewed_share"], ["lane"], grain="P1D", number_format=SHARE_1, floor=0),
        "How much people look. Where this is near zero, agreement says little.",
    ),
}

QUALITY = Dashboard(
    slug="traylane-quality",
    title="Quality",
    help="How right are the bills, what is mistaken for what, and what did a new model change?",
    days=14,
    lane_from="v_agreement",
    charts=CHARTS,
    sections=(
        Section(
            "",
            (
                Row(
                    20,
                    [
                        ("quality_agreement", 2),
                        ("quality_reviewed", 2),
                        ("quality_decided", 2),
                        ("quality_ask_rate", 2),
                        ("quality_guess", 2),
                        ("quality_labels", 2),
                    ],
                ),
                Row(54, [("quality_dishes", 6), ("quality_confusion", 6)]),
            ),
        ),
        Section(
            "Models",
            (
                Row(38, [("quality_versions_days", 6), ("quality_risk", 6)]),
                Row(24, [("quality_versions", 12)]),
            ),
        ),
        Section(
            "People",
            (
                Row(36, [("quality_ask_days", 4), ("quality_labels_days", 4), ("quality_reviewed_days", 4)]),
                Row(46, [("quality_asks", 12)]),
            ),
        ),
    ),
)
