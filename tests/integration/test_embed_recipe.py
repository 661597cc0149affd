"""`traylane train --embedder`, tiny: it repeats byte by byte, goes on after a stop, and ships a checked card."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import ConfigError, DataError, ModelMismatch, ModelNotFound
from core.files import sha256_of
from models.card import load_card
from models.ort_embedder import OrtEmbedder
from models.settings import EmbedderSettings
from training import command
from training.embedding import ship as shipping
from training.embedding.checkpoint import net_of
from training.embedding.corpus import Plan, development_lane, render, training_sets
from training.embedding.lane_crops import LEARNT, teaching_render
from training.embedding.net import ExportNet
from training.embedding.recipe import Photos, make_embedder, make_sources
from training.embedding.ship import check_parity, ship
from training.embedding.train import EmbedSettings, embed_with, input_spec

TINY_PLAN = Plan(
    dishes=4,
    packets=2,
    views=3,
    every_dish=False,
    lanes=1,
    frames=6,
    catalogue=2,
    development_lanes=1,
    development_frames=6,
)
TINY = EmbedSettings(steps=4, round_steps=2, views=2, size=48, ship_size=64, dimensions=16, threads=1)
NO_PHOTOS = Photos(None, None)


class Stopped(Exception):
    """Stands for the power cut."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    render(TINY_PLAN, folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    out = tmp_path_factory.mktemp("run")
    make_embedder(TINY, TINY_PLAN, out, cache, NO_PHOTOS, None)
    return out


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, run: Path, cache: Path) -> Path:
    crops = development_lane(TINY_PLAN, cache).crops[:5]
    return ship(run, tmp_path_factory.mktemp("cards") / "tiny@3.yaml", "tiny", "3", ["a shop"], crops)


def test_rendering_repeats_and_goes_on_where_it_was(cache: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    render(TINY_PLAN, cache, on_shard=lambda done, of: told.append((done, of)))
    assert told == []
    part = Plan(**{**TINY_PLAN.__dict__, "packets": 0, "catalogue": 0})
    render(part, tmp_path)
    for name, crops in training_sets(part, tmp_path).items():
        assert crops.sha256 == training_sets(part, cache)[name].sha256
    assert set(training_sets(TINY_PLAN, cache)["lane"].names) <= set(LEARNT)


def test_a_run_repeats_byte_by_byte(run: Path, cache: Path, tmp_path: Path) -> None:
    make_embedder(TINY, TINY_PLAN, tmp_path, cache, NO_PHOTOS, None)
    assert (tmp_path / "best.pt").read_bytes() == (run / "best.pt").read_bytes()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    again = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    for line in (*lines, *again):
        del line["spent_s"]
    assert lines == again


def test_a_stopped_run_ends_with_the_same_weights(run: Path, cache: Path, tmp_path: Path) -> None:
    def cut(line: Mapping[str, Any]) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        make_embedder(TINY, TINY_PLAN, tmp_path, cache, NO_PHOTOS, None, on_round=cut)
    make_embedder(TINY, TINY_PLAN, tmp_path, cache, NO_PHOTOS, None, resume=True)
    assert (tmp_path / "best.pt").read_bytes() == (run / "best.pt").read_bytes()
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [2, 4]


def test_another_seed_is_another_net(run: Path, cache: Path, tmp_path: Path) -> None:
    settings = EmbedSettings(**{**TINY.__dict__, "seed": 2, "steps": 2})
    make_embedder(settings, TINY_PLAN, tmp_path, cache, NO_PHOTOS, None)
    assert (tmp_path / "best.pt").read_bytes() != (run / "best.pt").read_bytes()


def test_resuming_with_other_pictures_is_refused(run: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes((run / "last.pt").read_bytes())
    (tmp_path / "best.pt").write_bytes((run / "best.pt").read_bytes())
    fewer = Plan(**{**TINY_PLAN.__dict__, "packets": 0})
    with pytest.raises(ConfigError, match="learnt from other pictures"):
        make_embedder(TINY, fewer, tmp_path, cache, NO_PHOTOS, None, resume=True)
    (tmp_path / "last.pt").write_bytes((run / "best.pt").read_bytes())
    with pytest.raises(ConfigError, match=r"not the last\.pt of a run"):
        make_embedder(TINY, TINY_PLAN, tmp_path, cache, NO_PHOTOS, None, resume=True)


def test_the_record_of_a_run_says_what_it_was_made_of(run: Path, cache: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    sources = make_sources(TINY_PLAN, cache, NO_PHOTOS)
    assert [part["sha256"] for part in record["data"]["train"]] == [source.crops.sha256 for source in sources]
    assert record["parameters"]["ship_size"] == 64
    assert record["torch"] == torch.__version__


def test_the_card_that_ships_computes_what_the_net_does(run: Path, cache: Path, weights: Path) -> None:
    crops = development_lane(TINY_PLAN, cache).crops[:5]
    card = load_card(str(weights.with_suffix(".yaml")))
    assert (card.task, card.dimensions, card.sha256) == ("embed", 16, sha256_of(weights))
    assert card.lineage is not None
    assert card.lineage.run == sha256_of(run / "run.json")
    assert "a shop" in card.notes
    product = OrtEmbedder(card, EmbedderSettings(device="cpu"))
    lab = embed_with(net_of(run / "best.pt"), input_spec(64))
    assert np.abs(product.embed(crops) - lab(crops)).max() <= 1e-3
    render_of = [teaching_render("tea")]
    assert np.abs(product.embed(render_of) - lab(render_of)).max() <= 1e-3


def test_an_export_that_computes_something_else_is_refused(run: Path, weights: Path) -> None:
    net = net_of(run / "best.pt")
    with torch.no_grad():
        net.map.weight[0] += 1.0
    with pytest.raises(ModelMismatch, match="differs from the net"):
        check_parity(ExportNet(net).eval(), input_spec(64), weights, [])


def test_a_run_that_is_not_there_is_not_shipped(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no finished run"):
        ship(tmp_path, tmp_path / "tiny@3.yaml", "tiny", "3", [], [])


def test_too_large_weights_are_not_shipped(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "LARGEST_MB", 0.5)
    with pytest.raises(ModelMismatch, match=r"at most 0\.5 MB"):
        ship(run, tmp_path / "tiny@3.yaml", "tiny", "3", [], [])
    assert not list(tmp_path.iterdir())


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    return parser.parse_args(["train", *words])


def test_the_verb_trains_and_ships(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.embedding.corpus.Plan", lambda every_dish: TINY_PLAN)  # the verb's plan takes minutes
    card = tmp_path / "cards" / "mine@2.yaml"
    words = ["--steps", "2", "--round-steps", "2", "--cache", str(cache), "--export", str(card)]
    args = parsed("--embedder", "--out", str(tmp_path / "out"), *words)
    assert args.run(args) == 0
    told = capsys.readouterr().out
    assert "step 2/2" in told
    assert f"{card.with_suffix('.onnx')} (" in told
    assert OrtEmbedder(load_card(str(card)), EmbedderSettings(device="cpu")).name == "mine@2"


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (["--data", "x"], ConfigError, "--data: not for the embedder's recipe"),
        (["--edge"], ConfigError, "--edge: not for the embedder's recipe"),
        (["--minutes", "3"], ConfigError, "--minutes: not for"),
        (["--init", "/nowhere.pth"], ModelNotFound, r"--init /nowhere\.pth: no such file"),
        (["--export", "embed.yaml"], ConfigError, "name the card NAME@VERSION"),
        (["--steps", "0"], ConfigError, "must be 1 or more"),
        (["--photos", "/nowhere"], DataError, "nowhere"),
    ],
)
def test_what_the_verb_refuses(words: list[str], error: type[Exception], told: str, tmp_path: Path) -> None:
    args = parsed("--embedder", "--out", str(tmp_path / "out"), *words)
    with pytest.raises(error, match=told):
        args.run(args)
    assert not (tmp_path / "out").exists()


def test_hold_out_is_the_embedders(tmp_path: Path) -> None:
    args = parsed("--hold-out", "--out", str(tmp_path / "out"))
    with pytest.raises(ConfigError, match="--hold-out: for --embedder only"):
        args.run(args)
