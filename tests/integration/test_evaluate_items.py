"""`traylane evaluate` of the shipped net on pictures of things that it never saw: items, sizes, precisions, parts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from core.errors import ConfigError, ModelMismatch
from dataset.reading import read_set
from dataset.splits import leave_out
from models.gate import ScoreRecord
from tests.painted_sets import paint
from training.evaluation.command import add
from training.synthetic_set import LABELS


def evaluate(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    args = parser.parse_args(["evaluate", *map(str, words), "--device", "cpu"])
    return int(args.run(args))


def record(folder: Path) -> ScoreRecord:
    return ScoreRecord.model_validate_json((folder / "scores.json").read_bytes())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint(tmp_path_factory.mktemp("counter") / "blocks", 12, seed=8)


def test_items_are_found_by_the_item_head(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate("traynet@2", "--data", data, "--agnostic", "--size", "128x128", "--out", out)
    (scores,) = record(out).sets
    assert scores.pictures == 12
    assert (scores.figures["recall20_agnostic"].value or 0) > 0.8  # blocks are on no menu, yet they are things
    results = json.loads((out / "predictions.json").read_text())
    assert {row["category"] for row in results} == {"item"} or len({row["category_id"] for row in results}) == 1
    page = (out / "report.html").read_text()
    assert "--agnostic" in page
    assert "--size 128x128" in page


def test_with_a_class_map_the_classes_are_asked_not_the_item_head(data: Path, tmp_path: Path) -> None:
    """Scores of items are shares of presence, those of classes are products with a class: never larger."""
    evaluate("traynet@2", "--data", data, "--agnostic", "--size", "128x128", "--out", tmp_path / "items")
    words = ["--class-map", f"{LABELS[0]}=", "--size", "128x128", "--out", tmp_path / "classes"]
    evaluate("traynet@2", "--data", data, "--agnostic", *words)
    best = {
        name: max((row["score"] for row in json.loads((tmp_path / name / "predictions.json").read_text())), default=0)
        for name in ("items", "classes")
    }
    assert best["items"] > best["classes"]


def test_the_fixed_fifth_and_the_rest_make_the_whole(data: Path, tmp_path: Path) -> None:
    rest, aside = leave_out(read_set(data))
    for part, wanted in (("aside", aside), ("rest", rest)):
        evaluate(
            "traynet@2", "--data", data, "--split", part, "--agnostic", "--size", "64x64", "--out", tmp_path / part
        )
        (scores,) = record(tmp_path / part).sets
        assert scores.pictures == len(wanted)
    assert len(rest) + len(aside) == 12
    with pytest.raises(ConfigError, match=r"--split nowhere: .*no such part"):
        evaluate("traynet@2", "--data", data, "--split", "nowhere", "--agnostic", "--out", tmp_path / "no")


def test_int8_is_another_model_with_its_own_record(data: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "int8"):
        words = ["--agnostic", "--size", "128x128", "--precision", precision, "--out", tmp_path / precision]
        evaluate("traynet@2", "--data", data, *words)
    fp32, int8 = record(tmp_path / "fp32"), record(tmp_path / "int8")
    assert (fp32.model, int8.model) == ("traynet@2", "traynet@2/int8")
    assert fp32.weights_sha256 != int8.weights_sha256
    one, other = (r.sets[0].figures["recall20_agnostic"].value or 0 for r in (fp32, int8))
    assert abs(one - other) < 0.15
    assert "--precision int8" in (tmp_path / "int8" / "report.html").read_text()
    assert "--precision" not in (tmp_path / "fp32" / "report.html").read_text()


def test_sizes_that_do_not_fit_are_told(data: Path, tmp_path: Path) -> None:
    for size in ("320", "axb", "320x", "-32x32"):
        with pytest.raises(ConfigError, match="give width and height in pixels"):
            evaluate("traynet@2", "--data", data, "--agnostic", f"--size={size}", "--out", tmp_path)
    with pytest.raises(ModelMismatch, match=r"100x100 does not fit; .*multiples of 32"):
        evaluate("traynet@2", "--data", data, "--agnostic", "--size", "100x100", "--out", tmp_path)
    with pytest.raises(ModelMismatch, match="no int8 weights in its card"):
        evaluate("traynet@1", "--data", data, "--agnostic", "--precision", "int8", "--out", tmp_path)
