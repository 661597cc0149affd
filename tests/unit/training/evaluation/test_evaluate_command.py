"""`traylane evaluate`: what it writes, what it merges, and what it says to bad input."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from core.errors import ConfigError, DataError, ModelNotFound, TraylaneError
from dataset.reading import read_set
from models.gate import ScoreRecord
from tests.unit.training.evaluation.disk import TRUTH, results, write_coco, write_results
from training.evaluation.command import add


def evaluate(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    args = parser.parse_args(["evaluate", *map(str, arguments)])
    code: int = args.run(args)
    return code


def record(folder: Path) -> ScoreRecord:
    return ScoreRecord.model_validate_json((folder / "scores.json").read_bytes())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "counter")


def test_predictions_give_record_report_and_results(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions, out = write_results(tmp_path / "net.json", results()), tmp_path / "out"
    assert evaluate("--predictions", predictions, "--data", data, "--out", out) == 0
    (scores,) = record(out).sets
    assert record(out).model == "net"
    assert (scores.name, scores.role, scores.pictures) == ("counter", "development", 4)
    assert scores.data_sha256 == read_set(data).sha256
    assert scores.figures["f1_frozen"].value == pytest.approx(1.0)
    assert scores.figures["ap50"].value == pytest.approx(1.0)
    assert scores.figures["cacc"].value == 1.0
    assert scores.frozen_threshold == pytest.approx(0.79)
    page = (out / "report.html").read_text()
    assert scores.data_sha256 in page
    assert record(out).weights_sha256 in page
    assert "net on counter" in capsys.readouterr().out


def test_written_results_are_coco_results_of_the_sets_own_file(data: Path, tmp_path: Path) -> None:
    """Another program, given only the set's file and predictions.json, gets the same AP."""
    rows = [*results(), {"image_id": 41, "category_id": 8, "bbox": [1, 1, 50, 60], "score": 0.97}]
    predictions, out = write_results(tmp_path / "net.json", rows), tmp_path / "out"
    evaluate("--predictions", predictions, "--data", data, "--out", out)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(data / "annotations.json"))
        theirs = COCOeval_faster(truth, truth.loadRes(str(out / "predictions.json")), iouType="bbox")
        theirs.run()
    figures = record(out).sets[0].figures
    assert figures["ap"].value == pytest.approx(theirs.stats_as_dict["AP_all"])
    assert figures["ap50"].value == pytest.approx(theirs.stats_as_dict["AP_50"])
    # and reading them back changes nothing
    evaluate("--predictions", out / "predictions.json", "--data", data, "--out", tmp_path / "again")
    again = record(tmp_path / "again").sets[0]
    assert again.figures == figures
    assert again.outcomes == record(out).sets[0].outcomes


def test_the_threshold_is_frozen_on_development_and_used_elsewhere(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = write_coco(tmp_path / "unseen", truth={"x.png": TRUTH["a.png"], "y.png": TRUTH["b.png"]})
    predictions = write_results(tmp_path / "net.json", results())
    evaluate("--predictions", predictions, "--data", data, "--out", out)
    rows = [{"file_name": "x.png", "category": "oolong", "bbox": [4, 4, 30, 30], "score": 0.5}]
    # One file of results for both sets: the record belongs to one set of weights.
    both = write_results(tmp_path / "net.json", rows)
    with pytest.raises(ConfigError, match="holds scores of net with weights"):
        evaluate("--predictions", both, "--data", other, "--out", out, "--role", "holdout")
    fresh = tmp_path / "fresh"
    evaluate("--predictions", both, "--data", other, "--out", fresh, "--role", "holdout")
    assert record(fresh).sets[0].figures["f1_frozen"].value is None
    assert record(fresh).sets[0].outcomes is None
    evaluate("--predictions", both, "--data", other, "--out", fresh, "--role", "holdout", "--threshold", "0.6")
    (again,) = record(fresh).sets
    assert again.figures["recall_frozen"].value == 0.0


def test_sets_of_one_model_merge_and_a_second_run_replaces(data: Path, tmp_path: Path) -> None:
    predictions, out = write_results(tmp_path / "net.json", results()), tmp_path / "out"
    for role in ("development", "holdout", "holdout"):
        evaluate("--predictions", predictions, "--data", data, "--out", out, "--role", role)
    assert [scores.role for scores in record(out).sets] == ["development", "holdout"]
    assert record(out).sets[1].frozen_threshold == record(out).sets[0].frozen_threshold
    assert {path.name for path in out.iterdir()} == {
        "scores.json",
        *(
            f"{kind}{of}.{end}"
            for kind, end in (("report", "html"), ("predictions", "json"))
            for of in ("", "-development-counter", "-holdout-counter")
        ),
    }


def test_a_shipped_model_against_itself(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    evaluate("traynet@1", "--data", data, "--out", out, "--agnostic", "--against", "traynet@1", "--threshold", "0.3")
    said = capsys.readouterr().out
    assert "the gate refuses it" in said  # nothing but development pictures
    evaluate(
        *("traynet@1", "--data", data, "--out", tmp_path / "two", "--agnostic", "--against", "traynet@1"),
        *("--threshold", "0.3", "--role", "holdout"),
    )
    said = capsys.readouterr().out
    assert "the gate lets it pass" in said
    assert "traynet@1 has the very weights of traynet@1" in said
    (scores,) = record(tmp_path / "two").sets
    assert scores.data_sha256 != read_set(data).sha256  # another question: one class
    assert record(tmp_path / "two" / "against" / "traynet@1").sets == (scores,)
    page = (out / "report.html").read_text()
    assert "Must not take the place of traynet@1" in page
    assert "Left out: the model&#39;s @hand." in page


def test_a_worse_model_is_refused_by_name(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from models.gate import judge

    good, bad = tmp_path / "good", tmp_path / "bad"
    for out, missed in ((good, ()), (bad, ("b.png",))):
        predictions = write_results(tmp_path / f"{out.name}.json", results(miss=missed))
        evaluate("--predictions", predictions, "--data", data, "--out", out, "--role", "holdout", "--threshold", "0.5")
    verdict = judge(record(bad), record(good))
    assert not verdict.passed
    assert any(reason.startswith("hold-out counter: f1_frozen falls from 1.000") for reason in verdict.reasons)


def test_names_choose_parts_and_the_train_verbs_holdout(tmp_path: Path) -> None:
    from training.evaluation.command import job_of
    from training.evaluation.run import read_part

    names = [f"{i:02}.png" for i in range(24)]
    data = write_coco(tmp_path / "many", truth={name: [((4 + i, 4, 40, 30), i % 2)] for i, name in enumerate(names)})
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())

    def part(*arguments: str) -> set[str]:
        args = parser.parse_args(["evaluate", "net", "--data", str(data), *arguments])
        return {sample.image.name for sample in read_part(job_of(args)).samples}

    aside = part("--split", "validation", "--holdout", "0.4")
    assert aside | part("--split", "train", "--holdout", "0.4") == set(names)
    assert 0 < len(aside) < 24
    assert part("--split", "validation", "--holdout", "0.4", "--salt", "x") != aside
    with pytest.raises(ConfigError, match=r"--split valid: .* has no such part \(its parts: none\)"):
        part("--split", "valid")


def _broken(name: str, content: str) -> Callable[[Path], list[object]]:
    def make(folder: Path) -> list[object]:
        (folder / name).write_text(content)
        return ["--predictions", folder / name]

    return make


def _rows(*rows: object) -> Callable[[Path], list[object]]:
    return _broken("rows.json", json.dumps(rows))


GOOD = {"image_id": 40, "category_id": 7, "bbox": [0, 0, 9, 9], "score": 0.5}

BAD_INPUT: list[tuple[Callable[[Path], list[object]], type[TraylaneError], str]] = [
    (lambda f: ["--predictions", f / "no.json"], ConfigError, r"no\.json: no such file"),
    (_broken("cut.json", '[{"image_id": 1,'), DataError, r"cut\.json:1: not valid JSON"),
    (_broken("map.json", "{}"), DataError, "not COCO results: expected a list"),
    (
        _rows(GOOD | {"category_id": 99}),
        DataError,
        r"entry 0: category_id 99 is none of the set's \(7 oolong, 8 bagel\)",
    ),
    (_rows(GOOD, GOOD | {"image_id": 3}), DataError, "entry 1: picture 3 is not one of counter"),
    (_rows(GOOD | {"file_name": "z.png"}), DataError, r"entry 0: picture 'z\.png' is not one of counter"),
    (_rows(GOOD | {"bbox": [0, 0, 9]}), DataError, "entry 0: needs bbox"),
    (_rows({k: v for k, v in GOOD.items() if k != "score"}), DataError, "entry 0: needs bbox"),
    (_rows(GOOD | {"score": 1.2}), DataError, r"score 1\.2 must be numbers"),
    (_rows(GOOD | {"score": float("nan")}), DataError, "score nan must be numbers"),
    (_rows(GOOD | {"bbox": [0, 0, -1, 4]}), DataError, "sides >= 0"),
    (_rows(GOOD | {"category": "soup"}), ConfigError, "no class of the model is one of the set: the model knows soup"),
    (lambda _: [], ConfigError, "give a model card"),
    (lambda _: ["nonet@1"], ModelNotFound, "nonet@1: no such model"),
    (lambda _: ["nonet.onnx"], ModelNotFound, "no such model file"),
    (lambda _: ["traynet@1"], ConfigError, "no class of the model is one of the set"),
    (lambda _: ["traynet@1", "--threshold", "1.5"], ConfigError, r"--threshold 1\.5: a score is from 0 to 1"),
    (lambda _: ["traynet@1", "--threshold", "nan"], ConfigError, "--threshold nan"),
    (lambda _: ["traynet@1", "--holdout", "1"], ConfigError, "--holdout 1: a share"),
    (lambda _: ["traynet@1", "--threads", "0"], ConfigError, "--threads 0"),
    (lambda _: ["traynet@1", "--class-map", "pizza"], ConfigError, "write MODEL=SET"),
    (lambda _: ["traynet@1", "--class-map", "pizza=cake"], ConfigError, "the set has no class 'cake'"),
    (lambda _: ["traynet@1", "--split", "test"], ConfigError, "no such part"),
]


@pytest.mark.parametrize(("make", "error", "says"), BAD_INPUT)
def test_bad_input_is_one_clear_error_and_writes_nothing(
    make: Callable[[Path], list[object]], error: type[TraylaneError], says: str, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(error, match=says):
        evaluate(*make(tmp_path), "--data", data, "--out", out)
    assert not out.exists()


def test_sets_that_cannot_be_scored(tmp_path: Path) -> None:
    predictions = write_results(tmp_path / "none.json", [])
    with pytest.raises(DataError, match="no such file or folder"):
        evaluate("--predictions", predictions, "--data", tmp_path / "nowhere")
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="no known format"):
        evaluate("--predictions", predictions, "--data", tmp_path / "void")
    blank = write_coco(tmp_path / "blank", truth={"a.png": []})
    with pytest.raises(DataError, match="has a box"):
        evaluate("--predictions", predictions, "--data", blank)


def test_a_damaged_picture_stops_the_run(data: Path, tmp_path: Path) -> None:
    (data / "b.png").write_bytes((data / "b.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"b\.png"):
        evaluate("traynet@1", "--data", data, "--out", tmp_path / "out", "--agnostic")


def test_a_place_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    predictions = write_results(tmp_path / "net.json", results())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="file"):
        evaluate("--predictions", predictions, "--data", data, "--out", tmp_path / "file")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "scores.json").write_text("{}")
    with pytest.raises(DataError, match=r"scores\.json: not a score record"):
        evaluate("--predictions", predictions, "--data", data, "--out", tmp_path / "bad")


def test_nothing_found_is_scored_as_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions, out = write_results(tmp_path / "none.json", []), tmp_path / "out"
    assert evaluate("--predictions", predictions, "--data", data, "--out", out) == 0
    figures = record(out).sets[0].figures
    assert figures["ap50"].value == 0.0
    assert figures["f1_frozen"].value is None
    assert "finds none of the 5 objects" in (out / "report.html").read_text()


def test_numbers_of_yolo_sets_start_at_one(tmp_path: Path) -> None:
    from tests.unit.training.evaluation.scenes import random_set
    from training.evaluation.predictions import numbering_of

    wanted = random_set(1, pictures=3)
    (tmp_path / "yolo").mkdir()
    assert numbering_of(tmp_path / "yolo", wanted).pictures == (1, 2, 3)
    assert np.array_equal(numbering_of(tmp_path / "yolo", wanted).classes, (1, 2, 3))
