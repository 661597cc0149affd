"""Truth files: each part may be missing; what is wrong is named with its key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import ConfigError
from replay.truth import TruthBill, TruthItem, load_truth, parse_truth


def test_the_contract_example_is_read() -> None:
    truth = parse_truth(
        {
            "fps": 29.83,
            "items": [{"dish": "bottle", "t_in_s": 0.0, "t_out_s": 7.0}],
            "count_by_frame": [[0, 3], [210, 2]],
            "bills": [{"lines": {"bottle": 3}}],
        },
        "t.json",
    )
    assert truth.items == (TruthItem("bottle", 0.0, 7.0),)
    assert truth.count_by_frame == ((0, 3), (210, 2))
    assert truth.bills == (TruthBill({"bottle": 3}),)
    assert not truth.has_tray_times


def test_every_part_may_be_missing_and_more_may_be_there() -> None:
    truth = parse_truth({"boxes": {"0": []}, "seed": 7}, "t.json")
    assert (truth.fps, truth.items, truth.count_by_frame, truth.bills) == (None, None, None, None)


def test_tray_times_and_zero_lines() -> None:
    truth = parse_truth({"bills": [{"lines": {"tea": 0}, "t_in_s": 1, "t_out_s": 2}]}, "t.json")
    assert truth.bills == (TruthBill({}, 1.0, 2.0),)
    assert truth.has_tray_times


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "is an object"),
        ({"fps": 0}, "fps: must be above 0"),
        ({"fps": True}, "fps: expected a number"),
        ({"items": {}}, "items: expected a list"),
        ({"items": [{"dish": 3}]}, r"items\[0\]: expected"),
        ({"items": [{"dish": "tea", "t_in_s": 3, "t_out_s": 2}]}, r"items\[0\]: t_out_s 2.0 lies before"),
        ({"items": [{"dish": "tea", "t_in_s": 3}]}, r"items\[0\].t_out_s: expected a number"),
        ({"count_by_frame": [[0, 1]]}, "fps: needed"),
        ({"fps": 10, "count_by_frame": [[0, 1.5]]}, r"count_by_frame\[0\]: expected a whole number"),
        ({"fps": 10, "count_by_frame": [[5, 1], [5, 2]]}, "must ascend"),
        ({"bills": [{"lines": {"tea": -1}}]}, r"bills\[0\].lines.tea: expected a whole number"),
        ({"bills": [{}]}, r"bills\[0\]: expected"),
        ({"bills": [{"lines": {}, "t_in_s": 2, "t_out_s": 1}]}, r"bills\[0\]: t_out_s"),
    ],
)
def test_a_wrong_part_is_named(content: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_truth(content, "t.json")


def test_missing_broken_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such truth file"):
        load_truth(tmp_path / "absent.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"fps": 10,\n "items": [}')
    with pytest.raises(ConfigError, match=r"broken.json:2: not valid JSON"):
        load_truth(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_truth(broken)
    with pytest.raises(ConfigError, match="cannot read"):
        load_truth(tmp_path)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"fps": 20}))
    assert load_truth(path).fps == 20.0
