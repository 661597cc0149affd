"""The run learns, repeats, resumes to the same weights, and stops on a broken loss. Pictures are coloured blocks."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from core.errors import ConfigError, ModelError, ModelMismatch, ModelNotFound, TraylaneError
from training import command, export, train_traynet
from training.augment import plain_sample, varied_sample
from training.checkpoint import load_weights, net_of
from training.synthetic_set import PRESET_SHARES, Pictures, plan
from training.train_traynet import Source, TrainSettings, balanced, batch_at, rate_at, train
from training.traynet import ExportNet, TrayNet, TrayNetShape

COLOURS = np.array([[230, 30, 30], [30, 230, 30], [30, 30, 230]], dtype=np.uint8)
SIZE = (96, 64)
TINY = TrainSettings(seed=5, steps=8, batch=4, size=SIZE, part=(64, 64), round_steps=4, threads=1, rate=3e-3)


class Stopped(Exception):
    """Stands for the power cut."""


def blocks(count: int, seed: int) -> Pictures:
    """Pictures of 96 x 54 with one to three coloured blocks on grey; a class is a colour."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 110, (count, 54, 96, 3), dtype=np.uint8)
    boxes, classes = [], []
    for image in images:
        mine = []
        for column in range(rng.integers(1, 4)):
            x, y = column * 32 + rng.integers(0, 6), rng.integers(0, 20)
            w, h = rng.integers(16, 26, 2)
            label = int(rng.integers(0, 3))
            image[y : y + h, x : x + w] = COLOURS[label]
            mine.append((x, y, x + w, y + h, label))
        table = np.array(mine, dtype=np.float32)
        boxes.append(table[:, :4])
        classes.append(table[:, 4].astype(np.int64))
    return Pictures(
        images=[images],
        where=np.stack([np.zeros(count, np.int64), np.arange(count)], axis=1),
        boxes=boxes,
        classes=classes,
        visible=[np.ones(len(b), np.float32) for b in boxes],
        presets=["easy"] * count,
        seeds=np.zeros(count, np.int64),
        labels=("red", "green", "blue"),
        sha256="0" * 64,
    )


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return net_of(path)[0].state_dict()


def test_the_loss_falls_and_the_run_leaves_its_files(tmp_path: Path) -> None:
    settings = TrainSettings(seed=1, steps=40, batch=8, size=SIZE, part=(64, 64), round_steps=10, threads=1, rate=3e-3)
    lines: list[Mapping[str, Any]] = []
    best = train([Source(blocks(64, 1))], blocks(8, 2), settings, tmp_path, on_round=lines.append)
    assert len(lines) == 4
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
    logged = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert logged == lines
    card = json.loads((tmp_path / "run.json").read_text())
    assert card["seed"] == 1
    assert card["threads"] == 1
    assert card["parameters"]["steps"] == 40
    assert card["data"]["train"][0]["pictures"] == 64
    assert best == tmp_path / "best.pt"
    assert net_of(best)[1] == ("red", "green", "blue")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.pt", "last.pt", "metrics.jsonl", "run.json"]


def test_a_resumed_run_equals_the_undisturbed_one(tmp_path: Path) -> None:
    pictures, validation = blocks(12, 1), blocks(4, 2)
    train([Source(pictures)], validation, TINY, tmp_path / "whole")

    def cut(line: Mapping[str, Any]) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train([Source(pictures)], validation, TINY, tmp_path / "cut", on_round=cut)
    train([Source(pictures)], validation, TINY, tmp_path / "cut", resume=True)
    whole, again = weights_of(tmp_path / "whole" / "last.pt"), weights_of(tmp_path / "cut" / "last.pt")
    assert all(torch.equal(whole[name], again[name]) for name in whole)

    def timeless(folder: Path) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k != "spent_s"} for line in lines]

    assert timeless(tmp_path / "whole") == timeless(tmp_path / "cut")


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_loss = train_traynet.detection_loss

    def broken(raw: torch.Tensor, *others: Any) -> Any:
        return true_loss(raw * float("nan"), *others)

    monkeypatch.setattr(train_traynet, "detection_loss", broken)
    with pytest.raises(ModelError, match=r"step 0: the loss is not finite .*\(source, roll, frame\) \[\(0, 0, "):
        train([Source(blocks(12, 1))], blocks(4, 2), TINY, tmp_path)
    assert not (tmp_path / "best.pt").exists()


def test_minutes_plan_the_steps_by_the_speed_seen() -> None:
    progress = train_traynet.Progress(step=100, planned_steps=100, spent_s=60.0)
    settings = TrainSettings(minutes=10.0)
    assert train_traynet.steps_that_fit(progress, settings) == 1000
    progress.spent_s = 700.0
    assert train_traynet.steps_that_fit(progress, settings) == 100


def test_the_rate_climbs_then_falls() -> None:
    settings = TrainSettings(rate=1.0, warm_up=0.1)
    assert rate_at(0.0, settings) == pytest.approx(0.05)
    assert rate_at(0.1, settings) == pytest.approx(1.0)
    assert rate_at(1.0, settings) == pytest.approx(0.01)


def test_every_lap_shows_each_picture_once_in_another_order() -> None:
    settings = TrainSettings(batch=4)
    row = np.arange(12)
    laps = [
        [index for step in range(3) for index, _ in batch_at(3 * lap + step, row, settings.batch, (settings.seed, 0))]
        for lap in range(2)
    ]
    assert sorted(laps[0]) == sorted(laps[1]) == list(range(12))
    assert laps[0] != laps[1]


def test_pictures_with_rare_dishes_come_more_often() -> None:
    pictures = blocks(200, 4)
    rare = [7, 50, 120]
    for i in range(200):
        pictures.classes[i][:] = 2 if i in rare else i % 2
    times = np.bincount(balanced(pictures), minlength=200)
    assert (times[rare] >= 2).all()
    assert (np.delete(times, rare) == 1).all()


@pytest.mark.parametrize("size", [SIZE, (64, 64)])
def test_variation_moves_boxes_with_their_pixels(size: tuple[int, int]) -> None:
    pictures = blocks(20, 3)
    for index in range(20):
        sample = varied_sample(pictures, index, size, np.random.default_rng(index))
        assert sample.image.shape == (size[1], size[0], 3)
        for box, label, wanted in zip(sample.boxes, sample.classes, sample.wanted, strict=True):
            x, y = ((box[:2] + box[2:]) / 2).astype(int)
            if wanted:
                assert sample.image[y, x].argmax() == label


def test_the_plain_sample_pads_below() -> None:
    sample = plain_sample(blocks(1, 1), 0, SIZE)
    assert (sample.image[54:] == 114).all()
    assert sample.wanted.all()


def test_presets_are_dealt_in_their_shares_and_always_alike() -> None:
    rolls = plan(range(100_000, 100_400), frames=1)
    for preset, share in PRESET_SHARES.items():
        assert sum(roll.preset == preset for roll in rolls) / 400 == pytest.approx(share, abs=0.02)
    assert plan(range(100_100, 100_200), frames=1) == rolls[100:200]


def test_the_export_matches_the_net_and_its_card(tmp_path: Path) -> None:
    from models.card import load_card

    train([Source(blocks(12, 1))], blocks(4, 2), TINY, tmp_path)
    card_path = tmp_path / "shipped" / "traynet@7.yaml"
    export.export(
        tmp_path / "best.pt", card_path, SIZE, export.Origin("traynet", "7", "Apache-2.0", "a test", {"ap50": 0.5})
    )
    card = load_card(str(card_path))
    assert card.full_name == "traynet@7"
    assert card.labels == ("red", "green", "blue")
    assert sorted(p.name for p in card_path.parent.iterdir()) == ["traynet@7.onnx", "traynet@7.yaml"]
    assert str(Path.cwd()).encode() not in Path(card.file).read_bytes()
    net = net_of(tmp_path / "best.pt")[0]
    session = ort.InferenceSession(card.file, providers=["CPUExecutionProvider"])
    for batch, width, height in ((5, 64, 96), (2, 160, 128), (1, 320, 192)):  # one export is good for all
        pixels = np.random.default_rng(batch).integers(0, 256, (batch, 3, height, width)).astype(np.float32)
        with torch.no_grad():
            wanted = ExportNet(net).eval()(torch.from_numpy(pixels) / 255).numpy()
        np.testing.assert_allclose(session.run(None, {"images": pixels})[0], wanted, atol=1e-3)
    torch.manual_seed(9)
    stranger = TrayNet(TrayNetShape(classes=3)).eval()
    with pytest.raises(ModelMismatch, match="differs from the net"):
        export.check_parity(stranger, SIZE, Path(card.file))


def test_weights_of_other_classes_are_refused(tmp_path: Path) -> None:
    train([Source(blocks(12, 1))], blocks(4, 2), TINY, tmp_path)
    with pytest.raises(ConfigError, match="classes differ from the pictures' \\(blue, violet\\)"):
        load_weights(TrayNet(TrayNetShape(classes=3)), ("red", "green", "violet"), tmp_path / "best.pt")
    with pytest.raises(ModelNotFound, match="no such checkpoint"):
        net_of(tmp_path / "nothing.pt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "somewhere"], "somewhere: no such file or folder"),
        (["--rolls", "0"], "--rolls must be"),
        (["--batch", "1"], "batch must be 2 or more"),
        (["--export", "traynet.yaml"], "name the card NAME@VERSION.yaml"),
        (["--export", "traynet@9.yaml"], "cannot read the run's log"),
    ],
)
def test_the_verb_refuses_what_it_cannot_do(tmp_path: Path, words: list[str], message: str) -> None:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    args = parser.parse_args(["train", "--out", str(tmp_path), *words])
    with pytest.raises(TraylaneError, match=message):
        args.run(args)


def test_a_line_written_before_a_kill_is_not_there_twice(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 4}\n{"step": 8}\n{"step": 12, "lo', encoding="utf-8")
    train_traynet.cut_log(log, 4)
    assert log.read_text(encoding="utf-8") == '{"step": 4}\n'
