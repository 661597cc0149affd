"""The views that the dashboards read: the same on SQLite and PostgreSQL, and equal to what can be counted by hand."""

# ruff: noqa: S608 - names of views only
from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from core.clock import ManualClock
from core.records import Bill, Decision, DecisionKind, Event, LineItem
from dashboards.datasets import DATASETS
from store.engine import open_store
from store.figures import OPEN_MS, DishEntry, Figures, LaneEntry, LaneMinute, SiteEntry, SiteMinute
from store.migrations.views_v0004 import view_statements
from store.sql_store import SqlStore
from tests.dashboards_store import fill_store
from tests.postgres import fresh_database, server_url

VIEWS = [statement.split()[2] for statement in view_statements("sqlite")]
NOON_S = 1_795_604_400  # 2026-11-25 11:00:00 UTC, noon in Berlin


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[str]:
    with server_url() as url:
        yield url


def engine_of(url: str) -> Engine:
    parsed = make_url(url)
    return create_engine(
        parsed.set(drivername="postgresql+psycopg" if parsed.get_backend_name() == "postgresql" else "sqlite")
    )


def plain(value: object) -> object:
    """Return a value as both engines should give it: times as text, sums as numbers."""
    if isinstance(value, datetime.datetime):
        assert (value.tzinfo, value.microsecond) == (None, 0)
        return value.strftime("%Y-%m-%d %H:%M:%S")
    assert not isinstance(value, Decimal | bool), f"{value!r} is not a plain number"
    return value


def rows_of(engine: Engine, view: str) -> tuple[list[str], list[tuple[object, ...]]]:
    with engine.connect() as connection:
        result = connection.execute(text(f"SELECT * FROM {view}"))
        return list(result.keys()), [tuple(map(plain, row)) for row in result]


def one(engine: Engine, query: str) -> tuple[object, ...]:
    with engine.connect() as connection:
        return tuple(map(plain, connection.execute(text(query)).one()))


@pytest.fixture(scope="module")
def both(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    lite = f"sqlite:///{tmp_path_factory.mktemp('views')}/lane.db"
    with fresh_database(postgres_server) as post:
        assert fill_store(lite, days=3, pace=0.12) == fill_store(post, days=3, pace=0.12) > 50
        engines = engine_of(lite), engine_of(post)
        yield engines
        for engine in engines:
            engine.dispose()


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_gives_the_same_rows_on_both_engines(both: tuple[Engine, Engine], view: str) -> None:
    (columns, lite), (others, post) = (rows_of(engine, view) for engine in both)
    assert columns == others
    assert {"site", "lane"} <= set(columns)
    assert lite, "an empty view proves nothing"

    def order(row: tuple[object, ...]) -> tuple[str, ...]:
        return tuple(f"{value:.6f}" if isinstance(value, float) else str(value) for value in row)

    for mine, theirs in zip(sorted(lite, key=order), sorted(post, key=order), strict=True):
        for name, a, b in zip(columns, mine, theirs, strict=True):
            if isinstance(a, float) or isinstance(b, float):
                assert isinstance(a, int | float)
                assert isinstance(b, int | float)
                assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9), (view, name, mine, theirs)
            else:
                assert a == b, (view, name, mine, theirs)


@pytest.mark.parametrize("name", DATASETS)
def test_every_figure_of_the_dashboards_is_the_same_on_both_engines_and_by_lane(
    both: tuple[Engine, Engine], name: str
) -> None:
    figures = ", ".join(f"{metric.expression} AS {slug}" for slug, metric in DATASETS[name].metrics.items())
    for query in (f"SELECT {figures} FROM {name}", f"SELECT lane, {figures} FROM {name} GROUP BY lane ORDER BY lane"):
        found = []
        for engine in both:
            with engine.connect() as connection:
                found.append([tuple(row) for row in connection.execute(text(query))])
        assert len(found[0]) == len(found[1]) > 0
        for mine, theirs in zip(*found, strict=True):
            for a, b in zip(mine, theirs, strict=True):
                # PostgreSQL gives some of these as decimals: Superset turns them into numbers.
                assert a == b if isinstance(a, str | None) else math.isclose(a, float(b), rel_tol=1e-9), (name, mine)


def test_every_view_is_there_and_only_these(both: tuple[Engine, Engine]) -> None:
    for engine in both:
        assert sorted(inspect(engine).get_view_names()) == sorted(VIEWS)


# --- against what can be counted by hand -----------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    if request.param == "sqlite":
        opened = open_store(f"sqlite:///{tmp_path}/lane.db", ManualClock(NOON_S))
        opened.url = f"sqlite:///{tmp_path}/lane.db"  # type: ignore[attr-defined]
        yield opened
        opened.close()
        return
    with fresh_database(request.getfixturevalue("postgres_server")) as url:
        opened = open_store(url, ManualClock(NOON_S))
        opened.url = url  # type: ignore[attr-defined]
        yield opened
        opened.close()


@pytest.fixture
def engine(store: SqlStore) -> Iterator[Engine]:
    engine = engine_of(store.url)  # type: ignore[attr-defined]
    yield engine
    engine.dispose()


@pytest.fixture
def figures(store: SqlStore) -> Figures:
    figures = Figures(store, ManualClock(NOON_S))
    dishes = [DishEntry("soup", "Soup", "side", 3.0, "1"), DishEntry("tea", "Tea", "drink", 2.0, "2")]
    lanes = [LaneEntry("lane1", "rtsp://camera/1", True)]
    figures.describe(SiteEntry("canteen", "EUR", "Europe/Berlin"), lanes, dishes)
    return figures


def event(n: int, kind: DecisionKind, dish: str = "", **more: object) -> Event:
    detail = more.pop("detail", {})
    decision = Decision(
        kind=kind,
        track_id=more.pop("track_id", None),  # type: ignore[arg-type]
        decided_at_s=NOON_S + n,
        stream_s=float(n),
        zone="tray",
        confidence=float(more.pop("confidence", 1.0)),  # type: ignore[arg-type]
        reason="",
        bill_id=str(more.pop("bill_id", "b1")),
        dish=dish,
        price={"soup": 3.0, "tea": 2.0}.get(dish),
        revision=n,
        detail=detail,  # type: ignore[arg-type]
    )
    return Event(f"{decision.bill_id}-{n}", "lane1", decision, "net@1", "0" * 64)


def bill(bill_id: str, dishes: list[str], closed: bool = True) -> Bill:
    lines = tuple(
        LineItem(i, 10 * i, dish, 1, {"soup": 3.0, "tea": 2.0}[dish], 1.0, 0.9, (0, 0, 1, 1))
        for i, dish in enumerate(dishes, start=1)
    )
    closed_s = 60.0 if closed else None
    return Bill(bill_id, "lane1", 0.0, closed_s, NOON_S, NOON_S + 60.0 if closed else None, 9, lines, "")


def line(n: int, line_no: int, dish: str, **more: object) -> Event:
    detail = {"line_no": line_no}
    return event(n, DecisionKind.LINE_ADD, dish, track_id=10 * line_no, detail=detail, confidence=0.9, **more)


def test_what_nobody_reviewed_is_unknown_and_not_right(store: SqlStore, figures: Figures, engine: Engine) -> None:
    store.append([line(1, 1, "soup"), event(2, DecisionKind.BILL_CLOSE)], [bill("b1", ["soup"])])
    found = one(engine, "SELECT lane_lines, reviewed_lines, agreement, agreement_low FROM v_agreement_by_dish")
    assert found == (1, 0, None, None)


def test_a_correction_is_a_disagreement_of_the_dish_that_was_billed(
    store: SqlStore, figures: Figures, engine: Engine
) -> None:
    fixed = event(9, DecisionKind.CORRECTION, "tea", detail={"dish_before": "soup", "line_no": 1, "by": "Ada"})
    store.append(
        [line(1, 1, "soup"), line(2, 2, "soup"), event(3, DecisionKind.BILL_CLOSE), fixed],
        [bill("b1", ["tea", "soup"])],
    )
    found = one(engine, "SELECT dish, lane_lines, uncorrected_lines, agreement, agreement_low FROM v_agreement_by_dish")
    assert found[:4] == ("soup", 2, 1, 0.5)
    assert found[4] == pytest.approx(0.0945, abs=1e-3)  # Wilson, 1 of 2
    assert one(engine, "SELECT was, dish, corrected_by, overcharged, money_error FROM v_corrections") == (
        *("soup", "tea", "Ada"),
        *(1.0, 1.0),
    )
    assert one(engine, "SELECT said_title, person_title, agreed, bill_lines FROM v_confusion") == ("Soup", "Tea", 0, 1)


def test_two_corrections_of_a_line_are_one_disagreement_and_one_back_to_the_start_is_none(
    store: SqlStore, figures: Figures, engine: Engine
) -> None:
    there = event(8, DecisionKind.CORRECTION, "tea", detail={"dish_before": "soup", "line_no": 1, "by": "Ada"})
    back = event(9, DecisionKind.CORRECTION, "soup", detail={"dish_before": "tea", "line_no": 1, "by": "Ada"})
    store.append([line(1, 1, "soup"), event(2, DecisionKind.BILL_CLOSE), there], [bill("b1", ["tea"])])
    assert one(engine, "SELECT corrected, reviewed FROM v_decisions") == (1, 1)
    store.append([back], [])
    assert one(engine, "SELECT corrected, reviewed FROM v_decisions") == (0, 1)


def test_a_line_that_a_person_added_counts_as_missed(store: SqlStore, figures: Figures, engine: Engine) -> None:
    added = event(9, DecisionKind.CORRECTION, "tea", detail={"dish_before": "", "line_no": 2, "by": "Ada"})
    store.append([line(1, 1, "soup"), event(2, DecisionKind.BILL_CLOSE), added], [bill("b1", ["soup", "tea"])])
    rows = rows_of(engine, "(SELECT line_no, dish, corrected FROM v_decisions ORDER BY line_no) q")[1]
    assert rows == [(1, "soup", 0), (2, "", 1)]
    assert one(engine, "SELECT money_error, overcharged FROM v_corrections") == (2.0, -2.0)


def test_an_answered_line_is_a_person_s_and_not_the_lane_s(store: SqlStore, figures: Figures, engine: Engine) -> None:
    ask = event(1, DecisionKind.ASK, "soup", track_id=10, confidence=0.4)
    answer = event(2, DecisionKind.ANSWER, "tea", track_id=10)
    added = event(3, DecisionKind.LINE_ADD, "tea", track_id=10, detail={"line_no": 1})
    store.append(
        [ask, answer, added, line(4, 2, "soup"), event(5, DecisionKind.BILL_CLOSE)], [bill("b1", ["tea", "soup"])]
    )
    rows = rows_of(engine, "(SELECT line_no, by_lane, reviewed FROM v_decisions ORDER BY line_no) q")[1]
    assert rows == [(1, 0, 1), (2, 1, 1)]
    assert one(engine, "SELECT guess, answer, answered, guessed_right, wait_s FROM v_asks") == (
        "soup",
        "tea",
        1,
        0,
        1.0,
    )
    assert one(engine, "SELECT found_by, agreed FROM v_confusion") == ("answer", 0)


def test_an_unanswered_question_has_no_answer_rather_than_a_wrong_one(
    store: SqlStore, figures: Figures, engine: Engine
) -> None:
    store.append([event(1, DecisionKind.ASK, "soup", track_id=10, confidence=0.4)], [])
    assert one(engine, "SELECT answered, answer, guessed_right, wait_s FROM v_asks") == (0, None, None, None)


def test_an_open_bill_sells_nothing_yet(store: SqlStore, figures: Figures, engine: Engine) -> None:
    store.append([line(1, 1, "soup")], [bill("b1", ["soup"], closed=False)])
    assert rows_of(engine, "v_lines")[1] == rows_of(engine, "v_decisions")[1] == []
    assert one(engine, "SELECT result, total, closed_utc, open_for_s FROM v_bills") == ("open", 3.0, None, None)


def test_local_time_follows_summer_time(store: SqlStore, figures: Figures, engine: Engine) -> None:
    summer = datetime.datetime(2026, 7, 1, 23, 30, tzinfo=datetime.UTC).timestamp()
    for bill_id, closed_at_s in (("winter", float(NOON_S)), ("summer", summer)):
        item = bill(bill_id, ["soup"])
        store.append([], [Bill(bill_id, "lane1", 0.0, 1.0, closed_at_s, closed_at_s, 1, item.lines, "")])
    columns = "bill_id, sold_utc, sold_local, hour_of_day, weekday"
    rows = rows_of(engine, f"(SELECT {columns} FROM v_lines ORDER BY bill_id) q")[1]
    assert rows == [
        ("summer", "2026-07-01 23:30:00", "2026-07-02 01:30:00", "01:00", "4 Thu"),
        ("winter", "2026-11-25 11:00:00", "2026-11-25 12:00:00", "12:00", "3 Wed"),
    ]


def minute(n: int, latency: dict[int, int], **more: float) -> LaneMinute:
    counts = {"watched_s": 60.0, "up_s": 60.0, "reconnects": 0, "asks": 0, "bills": 0, "spool_depth": 0} | more
    frames = sum(latency.values())
    return LaneMinute(
        "lane1", NOON_S + 60 * n, 1, frames=frames, latency_sum_s=0.0, drops={}, latency=latency, **counts
    )  # type: ignore[arg-type]


def test_percentiles_of_an_hour_come_from_the_summed_buckets(figures: Figures, engine: Engine) -> None:
    # 900 fast frames in one minute and 100 slow ones in another: the p95 of the hour is slow, their mean is not.
    figures.add([minute(0, {50: 900}), minute(1, {200: 100})])
    p50, p95, p99 = one(engine, "SELECT p50_ms, p95_ms, p99_ms FROM v_latency")
    assert p50 == pytest.approx(40 + 10 * 500 / 900)
    assert p95 == pytest.approx(180 + 20 * 50 / 100)
    assert p99 == pytest.approx(180 + 20 * 90 / 100)


def test_latencies_above_all_buckets_are_told_as_the_highest_bound(figures: Figures, engine: Engine) -> None:
    figures.add([minute(0, {50: 1, OPEN_MS: 99})])
    assert one(engine, "SELECT p95_ms FROM v_latency") == (5000.0,)


def test_uptime_counts_only_what_was_watched(figures: Figures, engine: Engine) -> None:
    figures.add([minute(0, {50: 10}, up_s=30.0), minute(1, {}, up_s=0.0)])
    assert one(engine, "SELECT watched_s, uptime, fps FROM v_uptime") == (120.0, 0.25, pytest.approx(10 / 30))
    figures.add([minute(60, {}, up_s=0.0, watched_s=0.0)])
    later = "SELECT uptime, fps FROM v_uptime WHERE hour_utc > '2026-11-25 11:30:00'"
    assert one(engine, later) == (None, None)


def test_a_minute_that_is_written_twice_counts_once_and_a_second_run_adds(figures: Figures, engine: Engine) -> None:
    figures.add([minute(0, {50: 10})], [SiteMinute("canteen", NOON_S, 1, None, None)])
    figures.add([minute(0, {50: 12})], [SiteMinute("canteen", NOON_S, 1, 5, None)])
    assert one(engine, "SELECT frames FROM v_uptime") == (12,)
    assert one(engine, "SELECT outbox_depth, storage_free_gb FROM v_outbox") == (5, None)
    again = minute(0, {50: 3})
    figures.add([LaneMinute(**{name: getattr(again, name) for name in again.__slots__} | {"run_ms": 2})])
    assert one(engine, "SELECT frames FROM v_uptime") == (15,)


def test_a_dish_that_left_the_menu_keeps_its_title(store: SqlStore, figures: Figures, engine: Engine) -> None:
    store.append([], [bill("b1", ["soup"])])
    figures.describe(SiteEntry("canteen", "EUR", "UTC"), [], [DishEntry("tea", "Tea", "drink", 2.0, "2")])
    assert one(engine, "SELECT title, category FROM v_lines") == ("Soup", "side")
    assert one(engine, "SELECT on_menu FROM dishes WHERE dish = 'soup'") == (0,)


def test_old_minutes_are_pruned(figures: Figures, engine: Engine) -> None:
    figures.add([minute(0, {50: 1}), minute(5, {50: 1})])
    assert figures.prune(NOON_S + 120) == 1
    assert (
        one(engine, "SELECT COUNT(*) FROM lane_minutes")
        == one(engine, "SELECT COUNT(*) FROM lane_minute_latency")
        == (1,)
    )


def test_a_lane_that_no_program_described_is_shown_all_the_same(store: SqlStore, engine: Engine) -> None:
    store.append([], [bill("b1", ["soup"])])
    assert one(engine, "SELECT site, lane, title, sold_local FROM v_lines") == (
        *("unknown", "lane1"),
        *("soup", "2026-11-25 11:01:00"),
    )
