"""From the synthetic lane to a model that ships: render, train, export, detect, score."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import DataError, FormatError
from models.card import load_card
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings
from training import command
from training.evaluate import ap50, class_accuracy_of, score_lane
from training.synthetic_set import LABELS, Roll, load_set, render_set

ROLLS = [Roll(100_000, "medium", frames=8), Roll(100_001, "easy", frames=8)]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    assert render_set(ROLLS, folder) == 2
    return folder


def run_verb(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    args = parser.parse_args(["train", *words])
    return int(args.run(args))


def test_pictures_are_rendered_once_and_alike(rendered: Path, tmp_path: Path) -> None:
    pictures = load_set(ROLLS, rendered)
    assert len(pictures) == 16
    assert pictures.labels == LABELS
    assert pictures.image(3).shape == (180, 320, 3)
    assert sum(len(boxes) for boxes in pictures.boxes) > 5
    for boxes in pictures.boxes:
        assert (boxes >= 0).all()
        assert (boxes <= [320, 180, 320, 180]).all()
    assert render_set(ROLLS, rendered) == 0
    assert render_set(ROLLS[:1], tmp_path) == 1
    assert (tmp_path / "medium-100000.npy").read_bytes() == (rendered / "medium-100000.npy").read_bytes()


def test_a_set_of_other_settings_or_with_a_hole_is_refused(rendered: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rendered with other settings"):
        render_set([Roll(100_000, "medium", frames=9)], rendered)
    with pytest.raises(FormatError, match="missing or broken; render the set again"):
        load_set([*ROLLS, Roll(100_002, "hard")], rendered)


def test_the_verb_trains_exports_and_the_product_can_use_it(tmp_path: Path) -> None:
    out, cache, card_path = tmp_path / "run", tmp_path / "cache", tmp_path / "traynet@3.yaml"
    shape = ["--cache", str(cache), "--rolls", "2", "--validation-rolls", "1", "--frames", "6"]
    steps = ["--steps", "12", "--round-steps", "4", "--batch", "4", "--threads", "1"]
    assert run_verb("--out", str(out), *shape, *steps) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert all(np.isfinite(line["loss"]) for line in lines)

    assert run_verb("--out", str(out), "--export", str(card_path)) == 0
    card = load_card(str(card_path))
    detector = OrtDetector(card, DetectorSettings(card=str(card_path), min_score=0.001, device="cpu"))
    assert detector.labels == LABELS
    scores = score_lane(detector, 200_000, "easy", frames=4)
    assert len(scores.outcomes) == 4
    assert ap50([scores]).value is not None
    assert class_accuracy_of([scores]).value is None or 0 <= class_accuracy_of([scores]).value <= 1  # type: ignore[operator]
    detector.close()
