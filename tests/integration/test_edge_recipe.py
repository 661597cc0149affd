"""`traylane train --edge`, tiny: both stages, a stop between them, the card that ships, and what is refused."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import ConfigError, DataError
from core.files import sha256_of
from models.card import load_card
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings
from tests.painted_sets import paint
from training import command, edge_command, edge_recipe
from training.detection_scores import Wanted
from training.edge_recipe import EdgeRecipe, make_edge_detector, ship
from training.int8_accuracy import ap50_on
from training.quantise import add_int8
from training.synthetic_set import LABELS

TINY = EdgeRecipe(
    lanes=2,
    lane_frames=2,
    scenes=1,
    scene_frames=3,
    validation_lanes=1,
    validation_scenes=1,
    steps=6,
    photo_steps=6,
    round_steps=3,
    batch=4,
    threads=1,
)


class Stopped(Exception):
    """Stands for the power cut."""


@dataclasses.dataclass(frozen=True)
class Made:
    """A recipe that was stopped after the first round of its second stage and then went on."""

    out: Path
    cache: Path
    photos: Path
    stages: list[Path]
    first_sha256: str
    rendered: list[list[tuple[int, int]]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("edge")
    photos = paint(folder / "photos", 10, seed=3)
    out, cache = folder / "run", folder / "cache"
    lines: list[Mapping[str, Any]] = []

    def cut(line: Mapping[str, Any]) -> None:
        lines.append(line)
        if len(lines) == 3:
            raise Stopped

    rendered: list[list[tuple[int, int]]] = [[], []]
    with pytest.raises(Stopped):
        make_edge_detector(TINY, out, cache, [photos], lambda *roll: rendered[0].append(roll), cut)
    first = sha256_of(out / "synthetic" / "best.pt")
    stages = make_edge_detector(TINY, out, cache, [photos], lambda *roll: rendered[1].append(roll))
    return Made(out, cache, photos, stages, first, rendered)


def log_of(stage: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_both_stages_are_made_and_a_stop_redoes_neither(made: Made) -> None:
    assert made.stages == [made.out / "synthetic" / "best.pt", made.out / "photos" / "best.pt"]
    assert [line["step"] for line in log_of(made.out / "synthetic")] == [3, 6]
    assert [line["step"] for line in log_of(made.out / "photos")] == [3, 6]
    assert sha256_of(made.stages[0]) == made.first_sha256
    assert len(made.rendered[0]) == 5
    assert made.rendered[1] == []
    for stage in ("synthetic", "photos"):
        assert all(np.isfinite(line["loss"]) and "item_recall20" in line for line in log_of(made.out / stage))
    first, second = (json.loads((made.out / stage / "run.json").read_text()) for stage in ("synthetic", "photos"))
    assert (first["init"], second["init"]) == ("traynet@1", "best.pt")
    assert second["init_sha256"] == made.first_sha256
    assert [part["presets"] for part in first["data"]["train"]][1] == {"randomised": 3}
    photos = second["data"]["train"][2]
    assert 0 < photos["pictures"] < 10  # the fixed fifth is kept aside
    one, other = (torch.load(stage, weights_only=True)["weights"]["stem.0.weight"] for stage in made.stages)
    assert not torch.equal(one, other)


@pytest.mark.slow
def test_the_card_that_ships_has_both_precisions_and_its_lineage(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(card: Path) -> Any:
        pictures = [np.random.default_rng(i).integers(0, 256, (180, 320, 3), dtype=np.uint8) for i in range(3)]
        wanted = Wanted(np.array([[0, 0, 40, 40]], np.float32), np.zeros(1, np.int64), np.ones(1, bool))
        return add_int8(card, pictures, ap50_on([(pictures[0], wanted)]), max_loss=1.0)

    monkeypatch.setattr(edge_recipe, "add_int8_on_lanes", few)
    card_path = made.out / "edge@5.yaml"
    accuracy = ship(made.out / "photos", card_path, "edge", "5", ["photos"])
    assert accuracy.loss <= 1.0
    fp32, int8 = (load_card(str(card_path), precision=precision) for precision in ("fp32", "int8"))
    assert (fp32.full_name, int8.full_name) == ("edge@5", "edge@5/int8")
    assert fp32.labels == int8.labels == LABELS
    assert fp32.lineage is not None
    assert fp32.lineage.run == sha256_of(made.out / "photos" / "run.json")
    assert fp32.lineage.parent_sha256 == made.first_sha256
    assert set(fp32.lineage.data_sha256) == {"train 1", "train 2", "train 3", "validation"}
    assert "validation_item_recall20" in fp32.scores
    assert "as boxes without classes: photos." in fp32.notes
    best = max(log_of(made.out / "photos"), key=lambda at: at["ap50"] * at["class_accuracy"] * at["item_recall20"])
    assert fp32.scores["validation_ap50"] == best["ap50"]
    assert torch.load(made.stages[1], weights_only=True)["progress"]["step"] == best["step"]
    for card in (fp32, int8):
        with contextlib.closing(OrtDetector(card, DetectorSettings(device="cpu", size=(64, 64)))) as detector:
            assert detector.labels == LABELS


def test_a_folder_without_a_run_ships_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no finished run .*run the recipe first"):
        ship(tmp_path, tmp_path / "edge@1.yaml", "edge", "1", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_photos_that_cannot_be_read_are_told_before_anything_is_rendered(tmp_path: Path, kind: str) -> None:
    photos = tmp_path / "photos"
    if kind == "empty":
        photos.mkdir()
    rendered: list[int] = []
    with pytest.raises(DataError, match="photos"):
        make_edge_detector(TINY, tmp_path / "out", tmp_path / "cache", [photos], lambda done, _: rendered.append(done))
    assert rendered == []
    assert not (tmp_path / "cache").exists()


def run_verb(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    args = parser.parse_args(["train", *words])
    return int(args.run(args))


@pytest.mark.parametrize(
    "flags",
    [
        ["--steps", "10"],
        ["--steps", "0"],
        ["--minutes", "5"],
        ["--batch", "8"],
        ["--rate", "0.1"],
        ["--arch", "traynet"],
        ["--init", "traynet@1"],
        ["--data", "somewhere"],
        ["--rolls", "4"],
        ["--validation-rolls", "4"],
        ["--frames", "4"],
        ["--round-steps", "4"],
        ["--render-only"],
        ["--size", "320x320"],
        ["--epochs", "3"],
        ["--no-gate"],
        ["--validation", "somewhere"],
    ],
)
def test_flags_that_the_recipe_fixes_are_refused(tmp_path: Path, flags: list[str]) -> None:
    name = flags[0].replace("--no-", "--")
    with pytest.raises(ConfigError, match=f"{name}: the recipe has its own; leave it out with --edge"):
        run_verb("--out", str(tmp_path / "out"), "--edge", *flags)
    assert list(tmp_path.iterdir()) == []


def test_photos_are_for_the_recipe_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--photos: for --edge and --embedder only; .*--data PATH"):
        run_verb("--out", str(tmp_path / "out"), "--photos", str(tmp_path))


def test_a_card_without_a_version_is_refused_before_the_work(tmp_path: Path) -> None:
    for name in ("traynet.yaml", "@2.yaml", "traynet@"):
        with pytest.raises(ConfigError, match="name the card NAME@VERSION"):
            run_verb("--out", str(tmp_path / "out"), "--edge", "--export", str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_the_verb_passes_on_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def make(recipe: EdgeRecipe, out: Path, cache: Path, photos: list[Path], *others: object) -> list[Path]:
        asked.append((recipe, out, cache, photos))
        return [out / "synthetic" / "best.pt", out / "photos" / "best.pt"]

    monkeypatch.setattr(edge_recipe, "make_edge_detector", make)
    words = ["--edge", "--photos", "a", "--photos", "b", "--seed", "0", "--threads", "1", "--cache", "there"]
    assert run_verb("--out", str(tmp_path / "out"), *words) == 0
    ((recipe, out, cache, photos),) = asked
    assert recipe == dataclasses.replace(EdgeRecipe(), seed=0, threads=1)
    assert (out, cache, photos) == (tmp_path / "out", Path("there"), [Path("a"), Path("b")])
    assert "best weights: " in capsys.readouterr().out
    assert edge_command.name_of(Path("cards/traynet@2.1.yaml")) == ("traynet", "2.1")


def test_threads_below_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--threads 0: must be 1 or more"):
        run_verb("--out", str(tmp_path / "out"), "--edge", "--threads", "0")
