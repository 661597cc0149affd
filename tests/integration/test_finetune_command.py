"""`traylane train --data …` from the command line: what it leaves, and what it says of everything that can be wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from app.cli import main
from tests.painted_sets import TINY, paint
from training.finetune.run_record import read_record

#: A tiny net on tiny pictures; the flags of a run of two seconds.
RECIPE = {"net": {"widths": [8, 8, 16, 16, 16], "depths": [0, 0, 0, 0], "neck": 16}, "ema": 0.9, "epochs": 2}
FLAGS = ["--size", "64x64", "--batch", "4", "--rate", "0.01", "--augment", "none", "--threads", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sets `train` and `validation`, and a recipe."""
    folder = tmp_path_factory.mktemp("pictures")
    paint(folder / "train", 12, 1)
    paint(folder / "validation", 6, 2)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    return folder


def line_of(pictures: Path, out: Path, *more: str) -> list[str]:
    """Return a command line that works."""
    sets = ["--data", str(pictures / "train"), "--validation", str(pictures / "validation")]
    return ["train", "--out", str(out), *sets, "--recipe", str(pictures / "tiny.yaml"), *FLAGS, "--no-gate", *more]


def test_a_run_from_a_recipe_with_flags_then_a_resume_from_its_record(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(line_of(pictures, out, "--mlflow", str(tmp_path / "mlruns"))) == 0
    said = capsys.readouterr()
    assert f"all steps done: {out}" in said.out
    assert "best after epoch" in said.out
    assert "MLflow run" in said.out
    assert "step 6 of 6  loss" in said.err
    record = read_record(out)
    assert record.parameters.net.widths == (8, 8, 16, 16, 16)
    assert record.parameters.optimiser.rate == 0.01
    assert record.parameters.epochs == 2
    assert record.data["train"].pictures == 12
    assert record.source["data"] == str(pictures / "train")
    metrics = (out / "metrics.jsonl").read_bytes()
    # Nothing but the folder: settings and pictures come from its record.
    assert main(["train", "--out", str(out), "--resume"]) == 0
    assert (out / "metrics.jsonl").read_bytes() == metrics
    assert main(["train", "--out", str(out), "--mlflow-export", "--mlflow", str(tmp_path / "mlruns")]) == 0
    assert len(list((tmp_path / "mlruns").glob("*/*/artifacts/run.json"))) == 2


def test_a_hold_out_is_fixed_by_content_and_a_portion_lies_within(pictures: Path, tmp_path: Path) -> None:
    line = ["--data", str(pictures / "train"), "--recipe", str(pictures / "tiny.yaml"), *FLAGS, "--no-gate"]
    shares = ["--holdout", "0.4", "--salt", "b", "--batch", "2", "--epochs", "0", "--allow-missing-classes"]
    assert main(["train", "--out", str(tmp_path / "one"), *line, *shares]) == 0
    assert main(["train", "--out", str(tmp_path / "two"), *line, *shares, "--pictures", "3"]) == 0
    one, two = read_record(tmp_path / "one"), read_record(tmp_path / "two")
    assert one.data["train"].pictures + one.data["validation"].pictures == 12
    assert 1 <= one.data["validation"].pictures <= 9
    assert two.data["train"].pictures == 3
    assert two.data["validation"].sha256 == one.data["validation"].sha256
    assert one.reason == "evaluated only"
    assert not (tmp_path / "one" / "last.pt").exists()


def test_an_mlflow_that_is_away_does_not_fail_the_run(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line_of(pictures, tmp_path / "run", "--epochs", "1", "--mlflow", "http://127.0.0.1:9")) == 0
    assert "the run itself is whole" in capsys.readouterr().err
    assert read_record(tmp_path / "run").status == "finished"
    assert main(["train", "--out", str(tmp_path / "run"), "--mlflow-export", "--mlflow", "http://127.0.0.1:9"]) == 2


Prepare = Callable[[Path, Path], list[str]]


def corrupt_image(pictures: Path, place: Path) -> list[str]:
    shutil.copytree(pictures / "train", place / "corrupt")
    broken = place / "corrupt" / "images" / "005.png"
    broken.write_bytes(broken.read_bytes()[:60])
    return ["--data", str(place / "corrupt")]


def empty_folder(pictures: Path, place: Path) -> list[str]:
    (place / "empty").mkdir()
    return ["--data", str(place / "empty")]


def no_validation_pictures(pictures: Path, place: Path) -> list[str]:
    paint(place / "none", 0, 1)
    return ["--validation", str(place / "none")]


def missing_class(pictures: Path, place: Path) -> list[str]:
    return [
        "--data",
        str(paint(place / "few", 8, 1, labels=("red", "green", "blue"), shown=2)),
        "--validation",
        str(paint(place / "all", 6, 2, labels=("red", "green", "blue"))),
    ]


def broken_recipe(pictures: Path, place: Path) -> list[str]:
    (place / "bad.yaml").write_text("epochs: 2\noptimiser: {kind: adam}\n")
    return ["--recipe", str(place / "bad.yaml")]


def wrong_checkpoint(pictures: Path, place: Path) -> list[str]:
    (place / "wrong.pt").write_bytes(b"no checkpoint")
    return ["--init", str(place / "wrong.pt")]


def out_is_a_file(pictures: Path, place: Path) -> list[str]:
    (place / "file").write_text("")
    return ["--out", str(place / "file" / "run")]


def evaluated_only(pictures: Path, place: Path) -> list[str]:
    assert main(line_of(pictures, place / "run", "--epochs", "0")) == 0
    return ["--resume"]


def just(*flags: str) -> Prepare:
    return lambda pictures, place: list(flags)


FAULTS: list[tuple[str, Prepare, int, str]] = [
    ("corrupt image", corrupt_image, 1, "005.png"),
    ("empty set", empty_folder, 1, "no known format here"),
    ("no such set", just("--data", "/nowhere"), 1, "/nowhere: no such file or folder"),
    ("no validation pictures", no_validation_pictures, 1, "none"),
    ("class missing in the split", missing_class, 1, "blue"),
    ("hold-out too small", just("--data", "TRAIN", "--holdout", "0.0001"), 1, "no picture falls into 'validation'"),
    ("hold-out no share", just("--data", "TRAIN", "--holdout", "3"), 2, "--holdout 3: a share above 0 and below 1"),
    ("batch bigger than set", just("--batch", "64"), 1, "a batch of 64 needs more than 12 pictures; lower --batch"),
    ("unknown arch", just("--arch", "yolo9000"), 2, "arch 'yolo9000' is not known; use one of"),
    ("odd size", just("--size", "64by64"), 2, "--size 64by64: write it as WxH"),
    ("rate below zero", just("--rate", "-1"), 2, "--rate: Input should be greater than 0, got -1.0"),
    ("unknown schedule", just("--schedule", "staircase"), 2, "--schedule: Input should be 'constant'"),
    ("broken recipe", broken_recipe, 2, "bad.yaml:2: optimiser.kind: Input should be 'sgd' or 'adamw'"),
    ("no recipe", just("--recipe", "/nowhere.yaml"), 2, "/nowhere.yaml: no such configuration file"),
    ("wrong checkpoint", wrong_checkpoint, 3, "wrong.pt: not a whole checkpoint"),
    ("no such checkpoint", just("--init", "/nowhere.pt"), 3, "--init /nowhere.pt: no such file"),
    ("resume of nothing", just("--resume"), 2, "run.json: cannot read the run's record"),
    ("resume without a checkpoint", evaluated_only, 3, "no checkpoint to resume from; leave --resume out"),
    ("unwritable folder", out_is_a_file, 1, "cannot be written"),
    ("unknown device", just("--device", "abacus"), 2, "device 'abacus'"),
    ("flags of the lane", just("--rolls", "3"), 2, "--rolls: for the synthetic lane only"),
    ("MLflow without a place", just("--mlflow-export"), 2, "say where to with --mlflow URI"),
]


@pytest.mark.parametrize(("prepare", "code", "message"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_what_is_wrong_is_said_in_a_line_and_an_exit_code(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], prepare: Prepare, code: int, message: str
) -> None:
    more = prepare(pictures, tmp_path)
    line = line_of(pictures, tmp_path / "run", *(str(pictures / "train") if word == "TRAIN" else word for word in more))
    if "--holdout" in more:
        at = line.index("--validation")
        del line[at : at + 2]
    assert main(line) == code
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
    record = tmp_path / "run" / "run.json"
    if record.exists() and "--resume" not in more:
        assert json.loads(record.read_text())["status"] == "failed"
    if code == 1 and "unwritable" not in message and message != "cannot be written":
        assert record.exists(), "a run that had no pictures to begin with is marked as failed, too"


def test_flags_of_fine_tuning_need_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--out", str(tmp_path), "--epochs", "3"]) == 2
    assert "--epochs: for transfer learning only; say on which pictures with --data PATH" in capsys.readouterr().err
    assert main(["train", "--out", str(tmp_path), "--licence", "MIT"]) == 2
    assert "--licence: for transfer learning only" in capsys.readouterr().err
    assert main(["train", "--out", str(tmp_path), "--data", str(tmp_path), "--licence", "MIT"]) == 2
    assert "--licence: goes into a card; give --export CARD, too" in capsys.readouterr().err
    assert main(["train", "--out", str(tmp_path), "--arch", "fcos_resnet50_fpn"]) == 2
    assert "the synthetic lane trains traynet" in capsys.readouterr().err


def test_a_class_that_is_missing_can_be_allowed(pictures: Path, tmp_path: Path) -> None:
    more = missing_class(pictures, tmp_path)
    assert main(line_of(pictures, tmp_path / "run", *more, "--epochs", "1", "--allow-missing-classes")) == 0


def test_a_folder_that_is_full_fails_the_run(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.finetune import checkpoints

    whole = checkpoints.write_atomic

    def full(path: Path, content: bytes | memoryview | str) -> None:
        if path.suffix == ".pt":
            raise OSError(28, os.strerror(28))
        whole(path, content)

    monkeypatch.setattr(checkpoints, "write_atomic", full)
    assert main(line_of(pictures, tmp_path / "run")) == 1
    assert "No space left on device; make room" in capsys.readouterr().err
    assert read_record(tmp_path / "run").status == "failed"
    assert not list((tmp_path / "run").glob("*.pt"))


def test_every_setting_says_what_it_is_and_every_flag_means_one() -> None:
    from training import finetune_command
    from training.finetune.checkpoints import flat

    models, bare = [type(TINY)], []
    while models:
        model = models.pop()
        for name, field in model.model_fields.items():
            bare += [] if field.description else [f"{model.__name__}.{name}"]
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                models.append(field.annotation)
    assert not bare
    known = flat(TINY.model_dump())
    for flag in (*finetune_command.SHARED, *finetune_command.OWN):
        assert flag.key in known, flag.name


def test_a_run_becomes_a_model_that_the_product_loads(pictures: Path, tmp_path: Path) -> None:
    from models.card import load_card

    out, card_path = tmp_path / "run", tmp_path / "blocks@1.yaml"
    assert main(line_of(pictures, out)) == 0
    assert main(["train", "--out", str(out), "--export", str(card_path)]) == 0
    card, record = load_card(str(card_path)), read_record(out)
    assert (card.name, card.version, tuple(card.classes)) == ("blocks", "1", ("red", "green"))
    assert card.licence == "unknown: set it in the card"
    assert record.best is not None
    assert card.scores["validation_ap50"] == record.best.scores["ap50"]
    assert card.lineage is not None
    assert card.lineage.data_sha256 == {use: pictures.sha256 for use, pictures in record.data.items()}
    assert main(["train", "--out", str(out), "--export", str(tmp_path / "blocks.yaml")]) == 2
    other = tmp_path / "blocks@2.yaml"
    assert main(["train", "--out", str(out), "--export", str(other), "--licence", "CC-BY-4.0"]) == 0
    assert load_card(str(other)).licence == "CC-BY-4.0"
    assert main(["train", "--out", str(out), "--export", str(other), "--licence", " "]) == 2
