"""`traylane study patches` from a labelled set to its report; what it refuses; a kill in the middle of it."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.models import squeezenet1_1

from core.errors import ConfigError, DataError, ModelMismatch, ModelNotFound
from tests.painted_sets import paint
from training import study_command

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--patch-px",
    "32",
    "--whole-px",
    "32",
    "--scales",
    "1,2,3",
    "--rounds",
    "6",
    "--history",
    "4",
    "--hidden",
    "16",
]
SMALL += ["--batch", "64", "--draws", "20", "--exponents", "1,4"]
#: Runs a study and kills its own process, as `kill -9` does, when a line says so.
KILLED = """
import os, signal, sys
from training import study_command
import training.patches.training as training
kept = training._keep
def keep(out, round_, count, content):
    if out.name == "patches" and round_ == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    kept(out, round_, count, content)
training._keep = keep
import argparse
parser = argparse.ArgumentParser()
study_command.add(parser.add_subparsers())
args = parser.parse_args(sys.argv[1:])
args.run(args)
"""


def verb(*words: object) -> int:
    parser = argparse.ArgumentParser()
    study_command.add(parser.add_subparsers())
    args = parser.parse_args(["study", "patches", *map(str, words)])
    return args.run(args)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of which some show red, some green, some both: the first block is one of two, the second any."""
    return paint(tmp_path_factory.mktemp("set") / "blocks", 30, seed=3, shown=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, weights: Path, photos: Path) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("study")
    out, cache = folder / "out", folder / "cache"
    assert verb("--data", photos, "--out", out, "--cache", cache, "--weights", weights, *SMALL) == 0
    return out, cache


def results(out: Path) -> dict[str, bytes]:
    names = [
        "scores.json",
        "report.html",
        *(f"{h}/{n}" for h in ("patches", "whole") for n in ("best.pt", "metrics.jsonl")),
    ]
    return {name: (out / name).read_bytes() for name in names}


def test_the_study_learns_and_tells(finished: tuple[Path, Path]) -> None:
    out, _ = finished
    scores = json.loads((out / "scores.json").read_text())
    assert scores["patches"]["map_area"][0] > scores["patches"]["map_chance"]
    assert set(scores["patches"]["classes"]) == {"red", "green"}
    assert json.loads((out / "run.json").read_text())["status"] == "finished"
    assert len(list((out / "patches" / "checkpoints").iterdir())) == 4
    page = (out / "report.html").read_text()
    assert page.count("<svg") >= 3 + 2
    for words in ("mAP of whole pictures", "best.pt", "labelled box"):
        assert words in page


@pytest.mark.slow
def test_a_killed_study_goes_on_byte_for_byte(
    tmp_path: Path, finished: tuple[Path, Path], weights: Path, photos: Path
) -> None:
    whole, cache = finished
    out = tmp_path / "out"
    words = ["--data", photos, "--out", out, "--cache", cache, "--weights", weights, *SMALL]
    command = [sys.executable, "-c", KILLED, "study", "patches", *map(str, words)]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()
    assert len((out / "patches" / "metrics.jsonl").read_text().splitlines()) == 4
    with pytest.raises(ConfigError, match="go on with --resume"):
        verb(*words)
    assert verb(*words, "--resume") == 0
    assert results(out) == results(whole)
    with pytest.raises(ConfigError, match="belongs to another study"):
        verb(*words, "--resume", "--rate", "0.5")


def test_it_judges_another_picture(
    finished: tuple[Path, Path], weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = finished
    picture = photos / "images" / "000.png"
    capsys.readouterr()
    assert verb("--out", out, "--weights", weights, "--picture", picture, "--classes", "red") == 0
    told = capsys.readouterr().out
    assert "red" in told
    assert "green" not in told
    drawn = cv2.imread(str(out / "seen" / "000-00.jpg"))
    assert drawn.shape == (64, 64, 3)


def without_boxes(photos: Path, folder: Path) -> Path:
    paint(folder, 6, seed=1)
    for path in (folder / "labels").iterdir():
        path.write_text("")
    return folder


def one_class(photos: Path, folder: Path) -> Path:
    return paint(folder, 30, seed=3, labels=("red",))


def tiny_picture(photos: Path, folder: Path) -> Path:
    paint(folder, 20, seed=3, shown=2)
    for path in (folder / "images").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path))[:14, :14])
    for path in (folder / "labels").iterdir():
        path.write_text(path.read_text().splitlines()[0][:1] + " 0.5 0.5 0.4 0.4\n")
    return folder


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (without_boxes, DataError, "none of the 6 pictures has a box"),
        (one_class, DataError, "nothing to rank.*on all of them: red.*add pictures without it"),
        (tiny_picture, DataError, r"14x14 pixels.*fewer --scales"),
    ],
)
def test_sets_that_cannot_be_used(tmp_path: Path, weights: Path, photos: Path, make, error, message: str) -> None:
    data = make(photos, tmp_path / "set")
    with pytest.raises(error, match=message):
        verb("--data", data, "--out", tmp_path / "out", "--cache", tmp_path / "cache", "--weights", weights, *SMALL)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--classes", "reed"], ConfigError, "no such class; did you mean 'red'"),
        (["--weights", "missing.pth"], ModelNotFound, "missing.pth: no such file of weights"),
        (["--arch", "mobilenet_v2"], ModelMismatch, "not the weights of torchvision's mobilenet_v2"),
        (["--arch", "vgg"], ConfigError, "--arch: .*squeezenet1_1"),
        (["--scales", "3,2"], ConfigError, "--scales: scales must rise"),
        (["--dropout", "1"], ConfigError, "--dropout: .*less than 1"),
        (["--picture", "x.png"], ConfigError, "give --data PATH to run a study, or --picture"),
    ],
)
def test_flags_that_cannot_be_used(
    tmp_path: Path, weights: Path, photos: Path, words: list[str], error: type[Exception], message: str
) -> None:
    given = ["--data", photos, "--out", tmp_path / "out", "--cache", tmp_path / "cache", *SMALL]
    given += words if "--weights" in words else [*words, "--weights", weights]
    with pytest.raises(error, match=message):
        verb(*given)


def test_missing_weights_without_a_place_to_look(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRAYLANE_DATA", raising=False)
    with pytest.raises(ConfigError, match="TRAYLANE_DATA is not set; give torchvision's ImageNet weights"):
        verb("--data", photos, "--out", tmp_path / "out")


def test_a_broken_file_of_the_cache_is_made_again(finished: tuple[Path, Path], weights: Path, photos: Path) -> None:
    from dataset.reading import read_set
    from training.patches.features import FeatureCache, load_backbone
    from training.patches.settings import BackboneSettings, SamplerSettings
    from training.patches.training import exact

    _, folder = finished
    backbone = load_backbone(weights, BackboneSettings(patch_px=32, whole_px=32))
    cache = FeatureCache(folder, backbone, SamplerSettings(scales=(1, 2, 3)))
    sample = read_set(photos).samples[0]
    path = next(folder.glob(f"{sample.sha256}-{cache.key}.npz"))
    whole = path.read_bytes()
    before = cache.of(sample).patches
    path.write_bytes(whole[:200])
    with exact(1):
        assert np.array_equal(cache.of(sample).patches, before)
    assert path.read_bytes() == whole
