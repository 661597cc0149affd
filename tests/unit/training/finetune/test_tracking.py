"""A run can be read in TensorBoard and MLflow, and an MLflow that is away loses nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.errors import ConfigError
from tests.painted_sets import TINY, painted
from training.finetune.loop import finetune
from training.finetune.tracking import Board, export_to_mlflow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    finetune(painted(folder / "train", 8, 1), painted(folder / "validation", 4, 2), TINY, folder / "run")
    return folder / "run"


def test_the_course_of_a_run_is_in_mlflow(run: Path, tmp_path: Path) -> None:
    run_id = export_to_mlflow(run, str(tmp_path / "mlruns"))
    (folder,) = (tmp_path / "mlruns").glob(f"*/{run_id}")
    metrics = (folder / "metrics" / "loss").read_text().splitlines()
    assert [line.split()[2] for line in metrics] == ["2", "4", "6"]
    assert (folder / "params" / "optimiser.rate").read_text() == "0.005"
    assert len((folder / "tags" / "data.train.sha256").read_text()) == 64
    assert (folder / "artifacts" / "run.json").read_bytes() == (run / "run.json").read_bytes()
    # A second export is a second run of the same experiment.
    assert export_to_mlflow(run, str(tmp_path / "mlruns")) != run_id
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "gopher://somewhere", "/proc/nowhere/mlruns"])
def test_an_mlflow_that_is_away_is_told_soon(run: Path, uri: str) -> None:
    before_s = time.monotonic()
    with pytest.raises(ConfigError, match=r"cannot write the run there .* --mlflow-export when MLflow is there"):
        export_to_mlflow(run, uri)
    assert time.monotonic() - before_s < 30


def test_credentials_of_a_server_are_not_told(run: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        export_to_mlflow(run, "http://user:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)


def test_what_is_no_run_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.json: cannot read the run's record"):
        export_to_mlflow(tmp_path, str(tmp_path / "mlruns"))
    (tmp_path / "run.json").write_text('{"arch": "traynet"}')
    with pytest.raises(ConfigError, match="not the record of a fine-tuned run: parameters: Field required"):
        export_to_mlflow(tmp_path, str(tmp_path / "mlruns"))


def test_the_board_shows_figures_under_train_and_validation(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Board(tmp_path, wanted=True) as board:
        board.add({"epoch": 1, "step": 5, "loss": 2.0, "ap50": 0.25})
        board.add({"epoch": 2, "step": 10, "loss": 1.0, "ap50": 0.5})
    with Board(tmp_path, wanted=True, step=5) as board:
        board.add({"epoch": 2, "step": 10, "loss": 1.5, "ap50": 0.75})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("validation/ap50")] == [(5, 0.25), (10, 0.75)]
    assert [e.value for e in events.Scalars("train/loss")] == [2.0, 1.5]
    with Board(tmp_path / "off", wanted=False) as board:
        board.add({"step": 1, "loss": 1.0})
    assert not (tmp_path / "off").exists()
