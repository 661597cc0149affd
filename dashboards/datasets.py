"""The views of the store as datasets: columns with names for people, and every figure that a chart may use.

A figure is an aggregate, so that it stays right under any filter: percentiles are read from summed buckets, shares
divide sums, Wilson's interval is computed from the sums. What is not known is null, which a tile shows as "N/A".
"""

from __future__ import annotations

from dashboards.looks import MONEY, MS, SHARE_1, WHOLE, Dataset, Metric
from store.migrations.views_v0004 import BOUNDS_MS, quantile, wilson

TIME, TEXT, INTEGER, FLOAT = "TIMESTAMP", "TEXT", "INTEGER", "FLOAT"
_PLACE = {"site": (TEXT, "Site"), "lane": (TEXT, "Lane")}
_HOUR = _PLACE | {
    "hour_utc": (TIME, "Hour (UTC)"),
    "hour_local": (TIME, "Hour"),
    "local_hour": (INTEGER, "Hour number"),
    "hour_of_day": (TEXT, "Hour of the day"),
    "weekday": (TEXT, "Weekday"),
}


def _share(part: str, whole: str) -> str:
    return f"1.0 * SUM({part}) / NULLIF(SUM({whole}), 0)"


def _if_reviewed(expression: str) -> str:
    """Return null unless a person looked at some of it: what nobody checked is not right, it is unknown."""
    return f"CASE WHEN SUM(reviewed_lines) > 0 THEN {expression} END"


def _percentile(share: float) -> Metric:
    name = f"p{round(100 * share)}"
    text = f"{round(100 * share)} % of the frames were decided within this time after the camera took them"
    return Metric(quantile(share, "SUM(frames)", "SUM(le_{ms})"), name, MS, text)


def _moment(name: str, label: str) -> dict[str, tuple[str, str]]:
    return {
        f"{name}_utc": (TIME, f"{label} (UTC)"),
        f"{name}_local": (TIME, label),
        "local_hour": (INTEGER, "Hour number"),
        "hour_of_day": (TEXT, "Hour of the day"),
        "weekday": (TEXT, "Weekday"),
    }


_GOOD, _ALL = "SUM(uncorrected_lines)", "SUM(lane_lines)"

DATASETS: dict[str, Dataset] = {
    "v_items_hourly": Dataset(
        "hour_local",
        _HOUR | {"items": (INTEGER, "Items"), "bills": (INTEGER, "Bills"), "revenue": (FLOAT, "Revenue")},
        {"items_sum": Metric("SUM(items)", "Items", WHOLE, "Dishes on closed bills")},
        "Closed bills by lane and hour",
    ),
    "v_bills": Dataset(
        "opened_local",
        _PLACE
        | {"bill_id": (TEXT, "Bill")}
        | _moment("opened", "Opened")
        | {
            "result": (TEXT, "Result"),
            "items": (INTEGER, "Items"),
            "total": (FLOAT, "Total"),
            "open_for_s": (FLOAT, "Open for (s)"),
            "asks": (INTEGER, "Questions"),
            "corrections": (INTEGER, "Corrections"),
        },
        {
            "bills": Metric("SUM(CASE WHEN result = 'billed' THEN 1 ELSE 0 END)", "Bills", WHOLE, "With an item on it"),
            "all_bills": Metric("COUNT(*)", "Bills", WHOLE, "Open and empty ones too"),
            "average_bill": Metric(
                "SUM(total) / NULLIF(SUM(CASE WHEN result = 'billed' THEN 1 ELSE 0 END), 0)",
                "Average bill",
                MONEY,
                "Revenue per bill that has an item",
                money=True,
            ),
            "seconds": Metric("AVG(CASE WHEN result = 'billed' THEN open_for_s END)", "Seconds per bill", ",.1f"),
        },
        "Every bill, its times, total and how it ended",
    ),
    "v_sales_hourly": Dataset(
        "hour_local",
        _HOUR
        | {
            "dish": (TEXT, "Label"),
            "title": (TEXT, "Dish"),
            "category": (TEXT, "Category"),
            "items": (INTEGER, "Items"),
            "revenue": (FLOAT, "Revenue"),
        },
        {
            "items_sum": Metric("SUM(items)", "Items", WHOLE),
            "revenue_sum": Metric("SUM(revenue)", "Revenue", MONEY, "Closed bills, corrections included", money=True),
            "unit_price": Metric("SUM(revenue) / NULLIF(SUM(items), 0)", "Average price", MONEY, money=True),
        },
        "What was sold, by dish, lane and hour",
    ),
    "v_latency": Dataset(
        "hour_local",
        _HOUR | {"frames": (INTEGER, "Frames")} | {f"le_{ms}": (INTEGER, f"Within {ms} ms") for ms in BOUNDS_MS},
        {"p50": _percentile(0.5), "p95": _percentile(0.95), "p99": _percentile(0.99)},
        "Frames by how fast they were decided; counts add up, so percentiles of any span are right",
    ),
    "v_drops": Dataset(
        "hour_local",
        _HOUR | {"reason": (TEXT, "Reason"), "frames": (INTEGER, "Frames")},
        {"dropped": Metric("SUM(frames)", "Frames left out", WHOLE)},
        "Frames left out on purpose, by reason",
    ),
    "v_uptime": Dataset(
        "hour_local",
        _HOUR
        | {
            "watched_s": (FLOAT, "Watched (s)"),
            "up_s": (FLOAT, "Up (s)"),
            "frames": (INTEGER, "Frames"),
            "reconnects": (INTEGER, "Reconnects"),
            "spool_depth": (INTEGER, "Events that wait for the store"),
        },
        {
            "uptime": Metric(_share("up_s", "watched_s"), "Uptime", SHARE_1, "Of the time in which the program ran"),
            "fps": Metric(_share("frames", "up_s"), "Frames per second", ",.1f", "While the lane was up"),
            "reconnects_sum": Metric("SUM(reconnects)", "Reconnects", WHOLE),
            "down_min": Metric("(SUM(watched_s) - SUM(up_s)) / 60.0", "Minutes down", ",.1f"),
        },
        "How long each lane was watched and up; hours without a row are unknown, not down",
    ),
    "v_lanes": Dataset(
        "last_minute_local",
        _PLACE
        | _moment("last_minute", "Last minute")
        | {
            "source": (TEXT, "Camera"),
            "fps": (FLOAT, "Frames/s"),
            "uptime": (FLOAT, "Up"),
            "spool_depth": (INTEGER, "Waiting events"),
        },
        {"lanes": Metric("COUNT(*)", "Lanes", WHOLE)},
        "The latest minute of each lane",
    ),
    "v_outbox": Dataset(
        "hour_local",
        _HOUR | {"outbox_depth": (INTEGER, "Events that wait"), "storage_free_gb": (FLOAT, "Free space (GB)")},
        {
            "outbox": Metric("MAX(outbox_depth)", "Events that wait", WHOLE, "Highest depth in the hour"),
            "free_gb": Metric("MIN(storage_free_gb)", "Free space (GB)", ",.0f", "Lowest in the span"),
        },
        "Events that wait for a publisher, and free space",
    ),
    "v_asks": Dataset(
        "asked_local",
        _PLACE
        | _moment("asked", "Asked")
        | {
            "guess_title": (TEXT, "Best guess"),
            "answer_title": (TEXT, "Answer"),
            "confidence": (FLOAT, "Confidence"),
            "answered": (INTEGER, "Answered"),
            "guessed_right": (INTEGER, "Guess was right"),
            "wait_s": (FLOAT, "Waited (s)"),
            "model": (TEXT, "Model"),
        },
        {
            "asks": Metric("COUNT(*)", "Questions", WHOLE),
            "answered_share": Metric("1.0 * SUM(answered) / NULLIF(COUNT(*), 0)", "Answered", SHARE_1),
            "right_share": Metric("AVG(1.0 * guessed_right)", "Guess was right", SHARE_1, "Of the answered ones"),
            "wait": Metric("AVG(wait_s)", "Mean wait (s)", ",.1f"),
        },
        "Questions to a person, and their answers",
    ),
    "v_corrections": Dataset(
        "corrected_local",
        _PLACE
        | _moment("corrected", "Corrected")
        | {
            "corrected_by": (TEXT, "By"),
            "was_title": (TEXT, "Billed as"),
            "title": (TEXT, "Corrected to"),
            "was_price": (FLOAT, "Price before"),
            "price": (FLOAT, "Price after"),
            "overcharged": (FLOAT, "Overcharged"),
            "money_error": (FLOAT, "Money error"),
        },
        {
            "corrections": Metric("COUNT(*)", "Corrections", WHOLE),
            "error_sum": Metric(
                "SUM(money_error)", "Money error", MONEY, "Sum of |price before - price after|", money=True
            ),
            "over_sum": Metric(
                "SUM(CASE WHEN overcharged > 0 THEN overcharged ELSE 0 END)", "Too much", MONEY, money=True
            ),
            "under_sum": Metric(
                "SUM(CASE WHEN overcharged < 0 THEN -overcharged ELSE 0 END)", "Too little", MONEY, money=True
            ),
        },
        "Lines that a person corrected, and what they were worth",
    ),
    "v_agreement": Dataset(
        "day_local",
        _PLACE
        | {
            "day_local": (TIME, "Day"),
            "dish": (TEXT, "Label"),
            "title": (TEXT, "Dish"),
            "model": (TEXT, "Model"),
            "bill_lines": (INTEGER, "Lines"),
            "lane_lines": (INTEGER, "Lines the lane decided"),
            "uncorrected_lines": (INTEGER, "Nobody corrected"),
            "reviewed_lines": (INTEGER, "On reviewed bills"),
            "reviewed_right_lines": (INTEGER, "On reviewed bills, not corrected"),
        },
        {
            "decided_lines": Metric(_ALL, "Lines", WHOLE, "That the lane decided by itself"),
            "corrected_lines": Metric(f"{_ALL} - {_GOOD}", "Corrected", WHOLE),
            "agreement": Metric(
                _if_reviewed(_share("uncorrected_lines", "lane_lines")),
                "Agreement",
                SHARE_1,
                "Lines that nobody corrected; unknown while nobody has reviewed any",
            ),
            "agreement_low": Metric(_if_reviewed(wilson("-", _GOOD, _ALL)), "95 % from", SHARE_1),
            "agreement_high": Metric(_if_reviewed(wilson("+", _GOOD, _ALL)), "95 % to", SHARE_1),
            "reviewed_agreement": Metric(
                _share("reviewed_right_lines", "reviewed_lines"), "On reviewed bills", SHARE_1
            ),
            "reviewed_share": Metric(_share("reviewed_lines", "lane_lines"), "Reviewed", SHARE_1),
            "ask_rate": Metric(
                "1.0 * (SUM(bill_lines) - SUM(lane_lines)) / NULLIF(SUM(bill_lines), 0)", "Decided by a person", SHARE_1
            ),
        },
        "Lines of closed bills as the lane decided them, and what people said of them",
    ),
    "v_confusion": Dataset(
        "day_local",
        _PLACE
        | {
            "day_local": (TIME, "Day"),
            "said_title": (TEXT, "Lane said"),
            "person_title": (TEXT, "Person said"),
            "found_by": (TEXT, "Found by"),
            "agreed": (INTEGER, "Agreed"),
            "bill_lines": (INTEGER, "Lines"),
        },
        {
            "mixed_up": Metric("SUM(CASE WHEN agreed = 0 THEN bill_lines END)", "Mixed up", WHOLE),
            "lines_sum": Metric("SUM(bill_lines)", "Lines", WHOLE),
        },
        "What the lane took for what, by answers and corrections",
    ),
    "v_risk_coverage": Dataset(
        "day_local",
        _PLACE
        | {
            "day_local": (TIME, "Day"),
            "model": (TEXT, "Model"),
            "threshold": (FLOAT, "Confidence asked for"),
            "covered": (INTEGER, "Covered"),
            "wrong": (INTEGER, "Known to be wrong"),
            "considered": (INTEGER, "Considered"),
        },
        {
            "coverage": Metric(_share("covered", "considered"), "Decided without asking", SHARE_1),
            "risk": Metric(_share("wrong", "covered"), "Known errors among them", ",.2%"),
        },
        "What a higher threshold would cost in questions and save in errors",
    ),
    "v_labels": Dataset(
        "labelled_local",
        _PLACE
        | _moment("labelled", "Labelled")
        | {
            "labelled_by": (TEXT, "Source"),
            "title": (TEXT, "Dish"),
            "model": (TEXT, "Model"),
            "labels": (INTEGER, "Labels"),
        },
        {"labels_sum": Metric("SUM(labels)", "Labels", WHOLE, "Answers and corrections: each one can teach")},
        "Labels that people gave at the lanes",
    ),
}
