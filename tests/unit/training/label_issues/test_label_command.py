"""`traylane study labels`: from a set and given predictions to a list and a page; bad input; interrupted folds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import ConfigError, DataError, FormatError, TraylaneError
from dataset.reading import read_set
from dataset.records import DetectionSet
from tests.browser import CHROMIUM, browser_page
from tests.painted_sets import TINY_NET, painted
from training import study_command
from training.label_issues import crossfit
from training.label_issues.folds import fold_numbers

SIDE, LABELS = 96, ("red", "green", "<b>blue</b>")
COLOURS = ((230, 30, 30), (30, 230, 30), (30, 30, 230))


def study(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    study_command.add(parser.add_subparsers())
    args = parser.parse_args(["study", "labels", *map(str, arguments)])
    code: int = args.run(args)
    return code


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO set of 40 pictures with two blocks each; three labels are wrong, and results.json saw it all."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "blocks"
    (folder / "images").mkdir(parents=True)
    images, annotations, results = [], [], []
    for number in range(40):
        image = rng.integers(90, 110, (SIDE, SIDE, 3), dtype=np.uint8)
        images.append({"id": number, "file_name": f"{number:03d}.png", "width": SIDE, "height": SIDE})
        for column in range(2):
            kind = int(rng.integers(0, 3))
            x, y, w, h = column * 48 + int(rng.integers(0, 15)), int(rng.integers(0, 50)), 30, 34
            image[y : y + h, x : x + w] = COLOURS[kind]
            noise = rng.normal(0, 0.6, 4)
            seen = {"image_id": number, "category_id": kind + 1, "score": 0.95}
            results.append({**seen, "bbox": [x + noise[0], y + noise[1], w + noise[2], h + noise[3]]})
            if (number, column) == (3, 0):
                continue  # overlooked
            given = (kind + 1) % 3 if (number, column) == (9, 1) else kind
            shift = 12 if (number, column) == (15, 0) else 0
            box = [x, y + (shift if y + h + shift <= SIDE else -shift), w, h]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": given + 1, "bbox": box}
                | {"area": w * h, "iscrowd": 0}
            )
        # Something faint where nothing is: what a calibration must learn from, too.
        results.append({"image_id": number, "category_id": 1, "score": 0.06, "bbox": [40, 86, 12, 9]})
        cv2.imwrite(str(folder / "images" / f"{number:03d}.png"), image[:, :, ::-1])
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(LABELS)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    (tmp_path / "results.json").write_text(json.dumps(results))
    return folder


def test_given_predictions_lead_to_the_three_wrong_labels(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert study("--data", data, "--predictions", tmp_path / "results.json", "--out", out) == 0
    told = json.loads((out / "label_issues.json").read_text())
    first = {(row["kind"], row["file_name"]) for row in told["issues"][:3]}
    assert first == {("overlooked", "003.png"), ("swapped", "009.png"), ("badly placed", "015.png")}
    assert told["set_sha256"] == read_set(data).sha256
    assert "--predictions results.json" in told["command"]
    assert str(tmp_path) not in (out / "label_issues.html").read_text()
    for row in told["issues"][:3]:
        assert row["reason"].endswith(".")
        assert (row["suggested_bbox"] is None) == (row["kind"] == "swapped")
    assert "label_issues.html" in capsys.readouterr().out


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_shows_every_issue_in_a_browser(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study("--data", data, "--predictions", tmp_path / "results.json", "--out", out)
    rows = json.loads((out / "label_issues.json").read_text())["issues"]
    for width in (1280, 400):
        with browser_page(width=width) as page:
            page.goto((out / "label_issues.html").as_uri())
            assert page.locator("figure svg.shot image").count() == len(rows)
            assert page.locator("tbody tr").count() == len(rows)
            assert page.locator("td b").count() == 0  # a class name is text, not markup
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_perfect_set_gives_a_page_that_says_so(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study("--data", data, "--predictions", tmp_path / "results.json", "--out", out, "--least", 1)
    assert json.loads((out / "label_issues.json").read_text())["issues"] == []
    assert "No label looks wrong" in (out / "label_issues.html").read_text()


def results_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bad.json"
    path.write_text(text)
    return path


Bad = Callable[[Path], list[object]]
BAD: dict[str, tuple[Bad, type[TraylaneError], str]] = {
    "one fold": (lambda t: ["--folds", 1], ConfigError, "--folds 1: at least 2"),
    "least above 1": (lambda t: ["--least", 1.5], ConfigError, "--least 1.5"),
    "no steps": (lambda t: ["--steps", 0], ConfigError, "--steps 0"),
    "no rate": (lambda t: ["--rate", 0], ConfigError, "--rate 0"),
    "negative seed": (lambda t: ["--seed", -1], ConfigError, "--seed -1"),
    "odd size": (lambda t: ["--size", "wide"], ConfigError, "--size wide: give width and height"),
    "no such file": (lambda t: ["--predictions", t / "absent.json"], ConfigError, "absent.json: no such file"),
    "no JSON": (lambda t: ["--predictions", results_of(t, "{")], FormatError, "bad.json"),
    "nothing seen": (lambda t: ["--predictions", results_of(t, "[]")], DataError, "only 0 labels"),
    "too many folds": (lambda t: ["--folds", 200], DataError, "do not fill 200 folds"),
    "seen twice": (
        lambda t: ["--predictions", t / "results.json", t / "results.json"],
        DataError,
        "detections in results.json and in results.json",
    ),
    "out is a file": (
        lambda t: ["--predictions", t / "results.json", "--out", t / "results.json"],
        ConfigError,
        "cannot be written",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_told(case: str, data: Path, tmp_path: Path) -> None:
    arguments, error, text = BAD[case]
    with pytest.raises(error, match=text):
        study("--data", data, "--out", tmp_path / "out", *arguments(tmp_path))


def test_two_sources_are_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        study("--data", data, "--model", "traynet@2", "--predictions", tmp_path / "results.json")
    assert "not allowed with" in capsys.readouterr().err


def tiny(steps: int = 2) -> crossfit.FinetuneSettings:
    return crossfit.fold_settings("", (64, 64), steps, batch=4).model_copy(update={"net": TINY_NET})


def cross_fitted(pictures: DetectionSet, out: Path, steps: int = 2) -> list[bytes]:
    found = crossfit.detect_out_of_fold(pictures, fold_numbers(pictures, 2), tiny(steps), out)
    assert len(found) == len(pictures)
    return [one.boxes.tobytes() for one in found]


def test_folds_learn_from_the_others_are_kept_and_taken_up_and_not_mistaken(tmp_path: Path) -> None:
    pictures = painted(tmp_path / "set", 20, seed=1)
    out = tmp_path / "out"
    first = cross_fitted(pictures, out)
    folds = fold_numbers(pictures, 2)
    records = [out / f"fold-{fold}" / "run.json" for fold in range(2)]
    for fold, record in enumerate(records):
        told = json.loads(record.read_text())["data"]
        assert told["train"]["pictures"] == int((folds != fold).sum())
        assert told["validation"]["pictures"] == int((folds == fold).sum())
    # As after a kill: the second fold's record says that it still runs.
    finished = (out / "fold-0" / "best.pt").stat().st_mtime_ns
    records[1].write_text(json.dumps({**json.loads(records[1].read_text()), "status": "running"}))
    assert cross_fitted(pictures, out) == first
    assert (out / "fold-0" / "best.pt").stat().st_mtime_ns == finished
    assert json.loads(records[1].read_text())["status"] == "finished"
    with pytest.raises(ConfigError, match="other labels or settings"):
        cross_fitted(pictures, out, steps=3)
