"""`traylane study shootout` from folders of photos to its report; a stop in the middle; what it refuses."""

import argparse
import csv
import json
from pathlib import Path

import pytest

from core.errors import ConfigError, DataError, FormatError, ModelMismatch, ModelNotFound
from tests.painted_photos import made_up_weights, paint_photos
from training import study_command
from training.classify import cells
from training.classify.cells import CellRecord

ARCH = "cifar_resnet20"
SMALL = ["--level", "fine", "--size", "32", "--epochs", "2", "--batch", "8", "--draws", "50", "--rate", "0.05"]


def verb(*words: object) -> int:
    parser = argparse.ArgumentParser()
    study_command.add(parser.add_subparsers())
    args = parser.parse_args(["study", "shootout", *map(str, words)])
    return args.run(args)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up_weights(tmp_path_factory.mktemp("weights") / "net.pth", ARCH)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_photos(tmp_path_factory.mktemp("set") / "blocks", 8)


@pytest.fixture(scope="module")
def words(photos: Path, weights: Path) -> list[str]:
    return ["--data", str(photos), "--models", f"{ARCH},squeezenet1_1", "--weights", f"{ARCH}={weights}", *SMALL]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Path:
    # squeezenet's real weights are not to be found: it takes part from scratch only.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRAYLANE_DATA", raising=False)
        out = tmp_path_factory.mktemp("study") / "out"
        assert verb("--out", out, "--seeds", "2", *words) == 0
    return out


def table(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "cells.csv").read_text(encoding="utf-8").splitlines()))


def test_every_cell_and_seed_is_told(finished: Path) -> None:
    rows = table(finished)
    assert len(rows) == 2 * 2 * (3 + 1)
    assert {row["depth"] for row in rows if row["model"] == "squeezenet1_1"} == {"scratch"}
    for row in rows:
        assert row["trunk_moved"] == ("0" if row["depth"] == "shallow" else "1")
        assert bool(row["weights_sha256"]) == (row["depth"] != "scratch")
        assert float(row["train_cpu_s"]) > 0
        assert float(row["eval_fps"]) > 0
    # All cells have the same budget.
    assert len({row["steps"] for row in rows}) == 1
    scores = json.loads((finished / "scores.json").read_text())
    assert {one["family"] for one in scores["comparisons"]} == {"start", "depth", "schedule"}
    assert len(scores["rows"]) == 8
    assert "squeezenet1_1: no real weights here" in scores["warnings"][-1]
    record = json.loads((finished / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["weights"]["squeezenet1_1"] is None


def test_the_page_stands_alone_and_tells_what_follows(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http://www.w3.org", "")
    for words in ("What follows", "Most accurate:", "Pareto front", "What real weights earn", "no file of weights"):
        assert words in page


def test_a_cut_study_goes_on_where_it_was(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRAYLANE_DATA", raising=False)
    words = [*words, "--depths", "shallow,scratch", "--seeds", "1", "--out", str(tmp_path / "out")]
    fit, runs = cells.fit, []

    def stop_at_third(*args, **named):
        if len(runs) == 2:
            raise KeyboardInterrupt
        runs.append(args)
        return fit(*args, **named)

    monkeypatch.setattr(cells, "fit", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        verb(*words)
    kept = sorted((tmp_path / "out" / "cells").glob("cell-*.json"))
    assert len(kept) == 2
    # What was cut short is run again, what is whole is not.
    kept[0].write_bytes(kept[0].read_bytes()[:60])
    monkeypatch.setattr(cells, "fit", fit)
    capsys.readouterr()
    assert verb(*words) == 0
    assert capsys.readouterr().out.count("kept from before") == 1
    assert verb(*words) == 0
    assert capsys.readouterr().out.count("kept from before") == 6
    # Another setting that a result depends on finds nothing of it.
    assert verb(*words, "--rate", "0.02", "--depths", "shallow", "--models", ARCH) == 0
    assert "kept from before" not in capsys.readouterr().out
    assert verb(*words, "--overwrite", "--depths", "shallow", "--models", ARCH) == 0
    assert "kept from before" not in capsys.readouterr().out
    assert all(
        CellRecord.model_validate_json(path.read_bytes()) for path in (tmp_path / "out" / "cells").glob("cell-*.json")
    )


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        (["--models", "resnet19"], ConfigError, "'resnet19': no such net; did you mean resnet18"),
        (["--models", "resnet18", "--depths", "deep"], ConfigError, "resnet18.*only --depths scratch"),
        (["--depths", "deepest"], ConfigError, "--depths: .*'shallow', 'deep' or 'scratch'.*got 'deepest'"),
        (["--models", ARCH, "--weights", f"{ARCH}=missing.pth"], ModelNotFound, "missing.pth: no such file"),
        (["--weights", "missing.pth"], ConfigError, "give it as ARCH=FILE"),
        (["--classes", "redd,blue"], ConfigError, "--classes redd: no such class; did you mean 'red'"),
        (["--test", "1"], ConfigError, "--test: .*less than 1, got 1.0"),
        (["--size", "8"], ConfigError, "--size: .*32"),
        (["--data", "nowhere"], FormatError, "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_run_is_told(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], error: type[Exception], message: str
) -> None:
    monkeypatch.delenv("TRAYLANE_DATA", raising=False)
    with pytest.raises(error, match=message):
        verb("--data", photos, "--models", ARCH, "--out", tmp_path / "out", *SMALL, *more)


def test_weights_of_another_net_and_too_few_photos_are_told(tmp_path: Path, photos: Path, weights: Path) -> None:
    given = ["--out", tmp_path / "out", *SMALL, "--depths", "shallow"]
    with pytest.raises(ModelMismatch, match="not the weights of cifar_resnet56"):
        verb("--data", photos, "--models", "cifar_resnet56", "--weights", f"cifar_resnet56={weights}", *given)
    few = paint_photos(tmp_path / "few", 3)
    with pytest.raises(DataError, match="0 classes have 6 photos or more"):
        verb("--data", few, "--models", ARCH, "--weights", f"{ARCH}={weights}", *given)
