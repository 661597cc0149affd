"""`traylane study curve` on photos and on boxes, from a set to its report; what it refuses."""

import argparse
import csv
import json
from pathlib import Path

import pytest

from core.errors import ConfigError, DataError
from tests.painted_photos import made_up_weights, paint_photos
from tests.painted_sets import paint
from training import study_command

ARCH = "cifar_resnet20"


def verb(*words: object) -> int:
    parser = argparse.ArgumentParser()
    study_command.add(parser.add_subparsers())
    args = parser.parse_args(["study", "curve", *map(str, words)])
    return args.run(args)


def table(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "points.csv").read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_photos(tmp_path_factory.mktemp("set") / "blocks", 10)


@pytest.fixture(scope="module")
def words(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    weights = made_up_weights(tmp_path_factory.mktemp("weights") / "net.pth", ARCH)
    given = ["--data", str(photos), "--level", "fine", "--model", ARCH, "--weights", f"{ARCH}={weights}"]
    return [*given, "--size", "32", "--steps", "4", "--batch", "8", "--draws", "50", "--seeds", "2", "--test", "0.2"]


def test_a_curve_of_photos(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert verb("--out", out, "--depth", "shallow", *words) == 0
    rows = table(out)
    assert len(rows) == 4 * 2 * 2
    assert sorted({int(row["pictures"]) for row in rows}) == [4, 8, 16, 32]
    scores = json.loads((out / "scores.json").read_text())
    assert [(one["start"], one["pictures"]) for one in scores["curves"]] == [
        ("pretrained", [4, 8, 16, 32]),
        ("scratch", [4, 8, 16, 32]),
    ]
    assert len(scores["pretrained_above_scratch"]) == 4
    assert set(scores["fewer_pictures_for_what_scratch_reaches"]) == {"accuracy"}
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 1
    for told in ("What follows", "fewer pictures for the accuracy", "How many more pictures?", "Foretold"):
        assert told in page
    capsys.readouterr()
    assert verb("--out", out, "--depth", "shallow", *words) == 0
    assert capsys.readouterr().out.count("kept from before") == 16
    assert table(out) == rows


@pytest.mark.slow
def test_a_curve_of_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = paint(tmp_path / "set", 30, seed=3), tmp_path / "out"
    words = ["--data", data, "--out", out, "--task", "detection", "--detector-size", "64x64", "--steps", "3"]
    words += ["--seeds", "1", "--shares", "0.5,1", "--draws", "20", "--init", "traynet@2", "--detector-batch", "4"]
    assert verb(*words) == 0
    rows = table(out)
    assert [row["start"] for row in rows] == ["pretrained", "scratch"] * 2
    assert set(rows[0]) >= {"ap50", "f1_best"}
    assert all(0 <= float(row["ap50"]) <= 1 for row in rows)
    scores = json.loads((out / "scores.json").read_text())
    assert {(one["start"], one["score"]) for one in scores["curves"]} == {
        (start, score) for start in ("pretrained", "scratch") for score in ("ap50", "f1_best")
    }
    assert (out / "report.html").read_text().count("<svg") == 2
    # Only what was found is kept of a run.
    assert {path.suffix for path in (out / "cells").iterdir()} == {".json"}
    capsys.readouterr()
    assert verb(*words) == 0
    assert capsys.readouterr().out.count("kept from before") == 4


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        (["--shares", "0.5,0.25,1"], ConfigError, "--shares: shares must rise"),
        (["--shares", "0.25,0.5"], ConfigError, "--shares: .*end with 1"),
        (["--shares", "0.02,0.04,1"], DataError, "give sets of .* take larger shares"),
        (["--model", "resnet18"], ConfigError, "no such net among those that take part|resnet18: no real weights"),
        (["--init", "traynet@2"], ConfigError, "--init: has no effect with --task classification"),
        (["--task", "detection"], ConfigError, "has no effect with --task detection"),
    ],
)
def test_what_cannot_be_run_is_told(
    tmp_path: Path, words: list[str], more: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        verb("--out", tmp_path / "out", *words, *more)


def test_boxes_that_cannot_make_a_curve_are_told(tmp_path: Path) -> None:
    data = paint(tmp_path / "set", 12, seed=3)
    words = ["--data", data, "--out", tmp_path / "out", "--task", "detection"]
    with pytest.raises(ConfigError, match="--init: no weights for the pretrained start"):
        verb(*words)
    with pytest.raises(DataError, match=r"the first at least a batch of 8: take larger --shares"):
        verb(*words, "--starts", "scratch")
