"""Checks of the asset files alone, without Superset: they catch what an import lets pass in silence."""

# ruff: noqa: S608 - names of views only
from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, create_engine, inspect, text

from app.metrics import Instruments
from checkout.health import LATENCY_BUCKETS_S, LaneHealth, LaneState
from checkout.pipeline import LaneUpdate
from core.records import Bill, Decision, DecisionKind, Event, Tracks
from dashboards import dash, generate, generate_grafana
from dashboards.datasets import DATASETS
from store.engine import open_store
from store.migrations.views_v0004 import BOUNDS_MS

ROOT = Path(__file__).parents[2] / "dashboards"
DOCS: dict[str, dict[str, Any]] = {
    str(path.relative_to(generate.ASSETS)): yaml.safe_load(path.read_text())
    for path in sorted(generate.ASSETS.rglob("*.yaml"))
}
#: Kinds of chart that are known to draw with the parameters that `looks.py` gives.
VIZ = {
    *("big_number", "big_number_total", "table", "pie", "heatmap_v2", "mixed_timeseries"),
    *("echarts_timeseries_bar", "echarts_timeseries_line", "echarts_area"),
}


def kind(name: str) -> dict[str, dict[str, Any]]:
    return {key: doc for key, doc in DOCS.items() if key.startswith(f"{name}/")}


def test_the_files_are_what_the_specifications_say() -> None:
    assert generate.out_of_date(generate.ASSETS) == []
    assert generate_grafana.main(["--check"]) == 0


def test_writing_again_changes_nothing_and_strays_go(tmp_path: Path) -> None:
    generate.write(tmp_path)
    stray = tmp_path / "charts" / "gone.yaml"
    stray.write_text("slice_name: gone\n")
    assert generate.out_of_date(tmp_path) == ["charts/gone.yaml"]
    generate.write(tmp_path)
    assert not stray.exists()
    assert generate.out_of_date(tmp_path) == []


def test_uuids_are_used_once_and_refer_to_what_is_there() -> None:
    ids = [doc["uuid"] for name, doc in DOCS.items() if name != "metadata.yaml"]
    assert len(ids) == len(set(ids))
    assert {doc["dataset_uuid"] for doc in kind("charts").values()} <= {
        doc["uuid"] for doc in kind("datasets").values()
    }
    assert {doc["database_uuid"] for doc in kind("datasets").values()} == {
        doc["uuid"] for doc in kind("databases").values()
    }


@pytest.mark.parametrize("name", kind("dashboards"))
def test_each_chart_of_a_dashboard_has_a_place_and_rows_are_full(name: str) -> None:
    page = DOCS[name]
    places = {key: value for key, value in page["position"].items() if isinstance(value, dict)}
    charts = {key: value for key, value in places.items() if value["type"] == "CHART"}
    prefix = {"traylane-operations": "ops_", "traylane-sales": "sales_", "traylane-quality": "quality_"}[page["slug"]]
    mine = {doc["uuid"] for key, doc in kind("charts").items() if key.startswith(f"charts/{prefix}")}
    assert {value["meta"]["uuid"] for value in charts.values()} == mine
    assert len({value["meta"]["chartId"] for value in charts.values()}) == len(charts)
    reached, waiting = set(), ["ROOT_ID"]
    while waiting:
        key = waiting.pop()
        reached.add(key)
        waiting += places[key].get("children", [])
    assert set(charts) <= reached
    for value in places.values():
        if value["type"] == "ROW":
            assert sum(places[child]["meta"]["width"] for child in value["children"]) == 12


@pytest.mark.parametrize("name", kind("dashboards"))
def test_the_range_that_is_shown_first_includes_today(name: str) -> None:
    filters = DOCS[name]["metadata"]["native_filter_configuration"]
    [span] = [one["defaultDataMask"]["filterState"]["value"] for one in filters if one["filterType"] == "filter_time"]
    assert span.endswith(': DATEADD(DATETIME("today"), 1, day)')
    datasets = {doc["uuid"]: doc for doc in kind("datasets").values()}
    for one in filters:
        for target in one["targets"]:
            if target:
                columns = {column["column_name"] for column in datasets[target["datasetUuid"]]["columns"]}
                assert target["column"]["name"] in columns


@pytest.mark.parametrize("name", kind("charts"))
def test_a_chart_names_what_its_dataset_has_and_says_what_it_is(name: str) -> None:
    doc = DOCS[name]
    params, dataset = doc["params"], next(d for d in kind("datasets").values() if d["uuid"] == doc["dataset_uuid"])
    columns = {column["column_name"] for column in dataset["columns"]}
    metrics = {metric["metric_name"] for metric in dataset["metrics"]}
    groups = params.get("groupby") or []
    used = {params["x_axis"]} if params.get("x_axis") else set()
    used |= set(params.get("all_columns", [])) | ({groups} if isinstance(groups, str) else set(groups))
    used |= {entry["subject"] for entry in params["adhoc_filters"]}
    assert used <= columns
    figures = {*params.get("metrics", []), *params.get("metrics_b", [])} | ({params.get("metric")} - {None})
    assert figures <= metrics
    assert figures or params.get("query_mode") == "raw"
    assert params["viz_type"] == doc["viz_type"]
    assert doc["viz_type"] in VIZ
    ranges = [entry["subject"] for entry in params["adhoc_filters"] if entry["operator"] == "TEMPORAL_RANGE"]
    assert ranges == [dataset["main_dttm_col"]], "the time filter would not reach the chart"
    assert len(doc["description"]) > 20, "a help text"
    assert len(doc["slice_name"]) <= 42, "a title that fits"


@pytest.mark.parametrize("name", kind("charts"))
def test_the_stored_query_asks_for_what_the_chart_shows(name: str) -> None:
    doc = DOCS[name]
    queries = json.loads(doc["query_context"])["queries"]
    asked = {metric for query in queries for metric in query.get("metrics") or []}
    params = doc["params"]
    figures = {*params.get("metrics", []), *params.get("metrics_b", [])} | ({params.get("metric")} - {None})
    assert asked == figures, "harvest again: dashboards/README.md"
    for query in queries:
        assert "time_range" not in query, "a stored query must not keep a range of the day it was made"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = tmp_path_factory.mktemp("assets") / "lane.db"
    open_store(f"sqlite:///{path}").close()
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_is_a_view_and_its_figures_can_be_computed_of_nothing(engine: Engine, name: str) -> None:
    real = {column["name"] for column in inspect(engine).get_columns(name)}
    assert set(DATASETS[name].columns) <= real
    assert DATASETS[name].columns[DATASETS[name].time][0] == "TIMESTAMP"
    shares = [slug for slug, metric in DATASETS[name].metrics.items() if "/" in metric.expression]
    with engine.connect() as connection:
        for slug, metric in DATASETS[name].metrics.items():
            found = connection.execute(text(f"SELECT {metric.expression} FROM {name}")).scalar()
            assert found is None or (found == 0 and slug not in shares), "of nothing a share is unknown, not 0"


def test_the_views_know_the_buckets_that_lanes_count() -> None:
    assert tuple(round(1000 * bound_s) for bound_s in LATENCY_BUCKETS_S) == BOUNDS_MS


def test_the_lock_has_hashes_and_names_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert lock.count("--hash=sha256:") > 500
    assert re.search(r"^apache-superset==6\.1\.0 ", lock, re.MULTILINE)


def test_bootstrap_and_settings_are_valid_python_for_the_other_environment() -> None:
    for name in ("bootstrap.py", "superset_config.py", "check.py", "dash.py"):
        compile((ROOT / name).read_text(), name, "exec")


def test_the_script_needs_the_standard_library_only() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "dash.py"), "status", "--help"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "Superset" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--store", "sqlite:////nowhere/lane.db"], "no store at /nowhere/lane.db"),
        (["up", "--store", "mysql://host/db"], "not a store"),
        (["up", "--url", "http://0.0.0.0:8088"], "not loopback"),
        (["check", "--url", "http://127.0.0.1:9"], "nothing answers"),
        (["status", "--url", "http://127.0.0.1:9"], "not running"),
    ],
)
def test_bad_input_gets_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dash.main([*arguments, "--home", str(tmp_path / "home"), "--venv", str(tmp_path / "none")]) == 1
    assert said in capsys.readouterr().err


def test_a_store_is_opened_read_only(tmp_path: Path) -> None:
    path = tmp_path / "a store.db"
    path.touch()
    assert dash.read_only(f"sqlite:///{path}") == f"sqlite:///file:{tmp_path}/a%20store.db?mode=ro&uri=true"
    assert "default_transaction_read_only%3Don" in dash.read_only("postgresql://reader@host/db?sslmode=require")


def test_a_process_number_that_is_another_program_s_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "pid").write_text(str(other.pid))
        assert dash.main(["down", "--home", str(tmp_path)]) == 0
        assert other.poll() is None
        other.kill()


# --- Grafana ---------------------------------------------------------------------------------------------------------


def metrics_of_a_busy_lane() -> str:
    health = LaneHealth(
        *("lane1", "rtsp://camera/1", True, LaneState.RUNNING, "", 1.0, None, 20.0, 5, 0.1, {"late": 1}),
        *(1, 0, 0, 0, {}, None, (0,) * (len(LATENCY_BUCKETS_S) + 1), 0.0, 0, 0, 0, 0),
    )
    instruments = Instruments(lambda: {"lane1": health}, lambda: 10**9)
    decision = Decision(DecisionKind.ASK, 1, 0.0, 0.0, "tray", 0.4, "")
    bill = Bill("b", "lane1", 0.0, 1.0, 0.0, 1.0, 1, (), "")
    update = LaneUpdate(
        frame=None,
        detections=None,
        tracks=Tracks(0, 0.0, ()),
        events=(Event("e", "lane1", decision, "net@1", ""),),
        bill=None,
        closed=(bill,),
        stage_s={"detect": 0.01},
        items_in_zone=0,
        decided_s=0.0,
    )
    instruments.observe("lane1", update, 0.05)
    instruments.observe_picture("lane1", 0.06)
    return instruments.text().decode()


def test_grafana_asks_only_for_metrics_that_there_are() -> None:
    panels = json.loads(generate_grafana.OUT.read_text())["panels"]
    asked = {name for panel in panels for one in panel["targets"] for name in re.findall(r"traylane_\w+", one["expr"])}
    exposed = set(re.findall(r"^(?:# TYPE )?(traylane_\w+)", metrics_of_a_busy_lane(), re.MULTILINE))
    # Of a histogram that has seen nothing only its TYPE is there.
    known = exposed | {f"{name}_bucket" for name in exposed}
    assert len(asked) >= 10
    assert asked <= known
