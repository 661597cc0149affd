"""What of the tracker's bench needs no yardsticks: rows and sections, speed, flow, memory, the ablation's table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.results_file import row, write_results
from bench.tracker import SECTIONS, kept_rows, main, ordered, parse, section_of
from bench.tracker_ablation import PARTS, changed
from bench.tracker_flow import flow_rows, flow_scene
from bench.tracker_memory import churn, live_kib, memory_rows
from bench.tracker_peers import TextbookSort
from bench.tracker_speed import scene, speed_rows
from bench.tracker_tools import slug
from tracker.mot import make, make_counter
from tracker.settings import COUNTER, PEDESTRIAN


def test_rows_of_sections_that_did_not_run_are_kept_in_order(tmp_path: Path) -> None:
    old = [row("memory_x", 1, "KiB"), row("stress_x", 1, "%"), row("long_forgotten", 1, "%"), row("flow_x", 1, "ms")]
    write_results("tracker", old, tmp_path)
    kept = kept_rows(tmp_path / "tracker.json", ["stress"])
    assert kept == [old[0], old[3]]
    assert [r["name"] for r in ordered([*kept, row("stress_y", 2, "%")])] == ["stress_y", "flow_x", "memory_x"]
    assert kept_rows(tmp_path / "none.json", []) == []


def test_no_name_belongs_to_two_sections() -> None:
    starts = [(start, section) for section, listed in SECTIONS.items() for start in listed]
    for start, section in starts:
        others = [other for other, where in starts if where != section and other.startswith(start)]
        assert not others, f"{start} of {section} catches {others}"
        assert section_of(f"{start}x") == section


def test_the_command_line_becomes_options() -> None:
    only, options, out = parse(["--only", "speed", "stress", "--seeds", "2", "--cases", "plain", "--out", "x"])
    assert (only, options.seeds, options.cases, out) == (["speed", "stress"], 2, ("plain",), Path("x"))
    assert list(options.stress_seeds) == [0, 1]
    assert parse([])[1].frames == 1_000_000


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_the_ablation_changes_settings_that_exist(part: str) -> None:
    counter, pedestrian = changed(COUNTER, PARTS[part].counter), changed(PEDESTRIAN, PARTS[part].pedestrian)
    assert counter != COUNTER or pedestrian != PEDESTRIAN
    assert (counter == COUNTER) == (not PARTS[part].counter), "an override that changes nothing"
    assert (pedestrian == PEDESTRIAN) == (not PARTS[part].pedestrian), "an override that changes nothing"


def test_speed_rows_of_a_tiny_scene() -> None:
    rows = {r["name"]: r["value"] for r in speed_rows(1, counts=(3,), frames=8)}
    assert rows["frames_per_s_3"] > 0
    assert rows["filterpy_sort_frames_per_s_3"] > 0
    assert rows["frame_p50_ms_3"] <= rows["frame_p99_ms_3"]
    assert all(section_of(name) == "speed" for name in rows)


def test_the_textbook_peer_follows_all_objects() -> None:
    machine = TextbookSort()
    for rows in scene(10, 40):
        boxes = machine.update(rows)
    assert 10 <= len(boxes) <= 12


def test_the_scene_of_flow_moves_or_lies_still() -> None:
    for moving in (True, False):
        pictures, detections = flow_scene(moving, 3)
        assert pictures[0].shape == (360, 640, 3)
        assert pictures[0].dtype == np.uint8
        changed_share = float((np.abs(pictures[2].astype(int) - pictures[0]).max(axis=2) > 12).mean())
        assert (changed_share > 0.03) == moving
        assert all((d[:, 2:4] > d[:, :2]).all() for d in detections)


def test_flow_rows() -> None:
    rows = flow_rows(1, frames=4)
    assert [r["name"] for r in rows if r["reference"]] == ["flow_cost_ms_moving", "flow_cost_ms_still"]


def test_churn_comes_and_goes() -> None:
    counts = [len(rows) for rows in churn(400)]
    assert min(counts) == 0
    assert max(counts) >= 3


@pytest.mark.parametrize("maker", [make, make_counter])
def test_live_memory_grows_with_the_objects(maker: object) -> None:
    few, many = live_kib(maker, 5, 10), live_kib(maker, 100, 10)  # type: ignore[arg-type]
    assert 0 < few < many


@pytest.mark.slow
def test_memory_rows_of_a_short_run() -> None:
    rows = {r["name"]: r["value"] for r in memory_rows(10_000, objects=5, live_frames=10)}
    assert rows["memory_churn_frames"] == 10_000
    assert rows["memory_churn_ids"] > 100
    assert all(section_of(name) == "memory" for name in rows)


def test_the_whole_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--only", "flow", "--repeats", "1", "--out", str(tmp_path)])
    assert "flow_cost_ms_still" in capsys.readouterr().out
    assert (tmp_path / "tracker.json").exists()


def test_slugs() -> None:
    assert slug("trackers BoT-SORT b300 (10 s)") == "bot_sort_b300_10_s"
    assert slug("MOT17-val") == "mot17_val"
