"""The embedding study end to end, on a small painted tree: files, repeats, races, and what is refused."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from core.errors import ConfigError, DataError, ModelMismatch, ModelNotFound
from dataset.classification import read_photos
from tests.shared_data import DATA, needs_datasets
from training import study_command
from training.embedding_study.backbones import published_net, random_net
from training.embedding_study.describers import HistogramDescriber
from training.embedding_study.nets import CifarResNet
from training.embedding_study.parts import cut
from training.embedding_study.settings import NETS, GridSettings

COLOURS = {
    "warm/red": (20, 20, 230),
    "warm/orange": (20, 130, 230),
    "cold/blue": (230, 60, 20),
    "cold/green": (40, 200, 40),
}


def paint(root: Path, each: int = 6) -> Path:
    """Write `each` photos of a striped block of every colour, on a speckled ground."""
    rng = np.random.default_rng(5)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(each):
            image = rng.integers(60, 200, (48, 48, 3), dtype=np.uint8)
            x, y = rng.integers(2, 14, 2)
            image[y : y + 30, x : x + 30] = np.clip(np.array(colour) + rng.integers(-20, 20, 3), 0, 255)
            image[y : y + 30 : 5, x : x + 30] //= 2
            cv2.imwrite(str(root / name / f"{number}.png"), image)
    return root


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    study_command.add(parser.add_subparsers())
    args = parser.parse_args(["study", "embeddings", *map(str, words)])
    return int(args.run(args))


def backbones(folder: Path) -> Path:
    """Write weights as their makers do; these are random."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(7)
    state = {f"module.{name}": tensor for name, tensor in CifarResNet(3).state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 10.0}, folder / "cifar10_resnet20-12fca82f.th")
    return folder


def small(folder: Path, photos: Path, *more: object) -> list[object]:
    few: list[object] = ["--nets", "cifar_resnet20", "--kernels", "8,16", "--draws", 50, "--races", 3, "--share", 1.0]
    few += ["--backbones", backbones(photos.parent / "weights")]
    return ["--data", photos, "--out", folder, "--cache", folder / "cache", *few, *more]


def test_a_study_leaves_its_files_and_repeats_byte_for_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = paint(tmp_path / "photos")
    assert run(*small(tmp_path / "a", photos)) == 0
    assert "grid's choice" in capsys.readouterr().out
    assert run(*small(tmp_path / "b", photos)) == 0  # another cache: everything is computed again
    assert run(*small(tmp_path / "a", photos)) == 0  # from the cache
    first, second = ((tmp_path / name / "scores.json").read_bytes() for name in ("a", "b"))
    assert first == second
    told = json.loads(first)
    assert set(told["models"]) == {"colour_histogram", "cifar_resnet20", "cifar_resnet20~random1"}
    assert told["models"]["colour_histogram"]["aside"]["top1"][0] == 1.0  # the classes are colours
    assert told["picker"]["races"] == 3
    assert 0 < told["picker"]["largest_share_of_macs"] <= 1.0
    rows = list(csv.DictReader((tmp_path / "a" / "grid.csv").read_text().splitlines()))
    assert len(rows) == told["grid"]["settings"] == len(told["settings"])
    page = (tmp_path / "a" / "report.html").read_text()
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (record["status"], record["data"]["photos"], record["data"]["aside"]) == ("finished", 24, 8)


def test_a_broken_file_of_the_cache_is_made_again(tmp_path: Path) -> None:
    photos = paint(tmp_path / "photos")
    run(*small(tmp_path / "a", photos))
    before = (tmp_path / "a" / "scores.json").read_bytes()
    for path in sorted((tmp_path / "a" / "cache").rglob("*.npz"))[::3]:
        path.write_bytes(path.read_bytes()[:100])
    run(*small(tmp_path / "a", photos))
    assert (tmp_path / "a" / "scores.json").read_bytes() == before


def test_one_race_without_the_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = paint(tmp_path / "photos")
    assert run("--data", photos, "--nets", "none", "--share", 1.0, "--pick-only") == 0
    told = capsys.readouterr().out
    assert "round 1" in told
    assert "% of the grid's multiply-adds" in told


def test_too_few_photos_for_a_race_still_give_a_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = paint(tmp_path / "photos")
    more = ["--random-seeds", "none", "--share", 0.05]
    assert run(*small(tmp_path / "a", photos), *more) == 0
    assert "too few to pick" in capsys.readouterr().out
    assert "why_none" in json.loads((tmp_path / "a" / "scores.json").read_text())["picker"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kernels", "4,2"], "--kernels: kernels must rise"),
        (["--nets", "vgg"], "--nets"),
        (["--by", "luck"], "--by"),
        (["--below", "1"], "--below"),
        (["--embedder", "dish-embed@1", "--pick-only"], "never picked"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run("--data", tmp_path, "--out", tmp_path / "out", *words)


def test_photos_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two different moments"):
        run(*small(tmp_path / "out", paint(tmp_path / "photos", each=1)))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        published_net("cifar_resnet20", tmp_path, GridSettings())
    torch.save({"conv1.weight": torch.zeros(2, 2)}, tmp_path / "cifar10_resnet20-12fca82f.th")
    with pytest.raises(ModelMismatch, match="not the weights of cifar_resnet20"):
        published_net("cifar_resnet20", tmp_path, GridSettings())


def test_random_nets_depend_on_their_seed_alone() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    one, again, other = (random_net("cifar_resnet20", seed, GridSettings()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.describe(pixels), again.describe(pixels))
    assert (one.describe(pixels) != other.describe(pixels)).any()
    assert one.key != other.key
    assert all(setting.dims < 2000 for setting in one.settings)
    assert one.left_out > 0
    assert len(one.describe(pixels)) == sum(setting.dims for setting in one.settings)


def test_a_histogram_does_not_see_where_colours_are() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    model = HistogramDescriber(2000)
    of = model.settings[0].dims
    np.testing.assert_array_equal(model.describe(pixels)[:of], model.describe(pixels[::-1, ::-1].copy())[:of])


@needs_datasets
def test_published_weights_load_and_photos_of_a_shop_are_cut_by_what_they_show() -> None:
    for name in NETS:
        assert published_net(name, DATA / "backbones", GridSettings()).macs > 10_000_000
    photos = read_photos(DATA / "datasets" / "grocerystore81")
    assert (len(photos), len(photos.labels), len(photos.coarse_labels), photos.warnings) == (810, 81, 43, ())
    parts = cut(photos, 0.3)
    assert (len(parts.gallery), len(parts.aside)) == (567, 243)
    assert not set(parts.gallery.tolist()) & set(parts.aside.tolist())
    assert {photos.photos[i].fine for i in parts.aside} == set(range(81))
