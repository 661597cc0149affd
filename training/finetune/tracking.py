"""The same run in the tools that others look with: TensorBoard while it goes on, MLflow when it has ended.

`metrics.jsonl` and `run.json` are the truth; what is here is made from them and can be made again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError
from core.redact import redact_text
from training.finetune.checkpoints import flat, read_log
from training.finetune.run_record import RECORD, RunRecord, read_record

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TENSORBOARD = "tensorboard"
EXPERIMENT = "traylane"
_MLFLOW_STATUS = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
#: Of MLflow for one call: it must neither hang a finished run nor tell others what is done here.
_MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
_MOST_METRICS = 1000  # of one call of MLflow's API
_MOST_PARAMETERS = 100

_log = logging.getLogger(__name__)


class Board:
    """Writes the lines of metrics.jsonl as TensorBoard's event files. Use as a context manager.

    Args:
        out: folder of the run.
        wanted: whether to write at all.
        step: a resumed run's step: what the files say of later ones is hidden.
    """

    def __init__(self, out: Path, wanted: bool, step: int = 0) -> None:
        self._writer: SummaryWriter | None = None
        if wanted:
            # Here: TensorBoard is an extra second at the start of a run.
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(out / TENSORBOARD), purge_step=step + 1 if step else None)

    def add(self, line: Mapping[str, object]) -> None:
        """Add the figures of a validation."""
        if self._writer is None:
            return
        step = line["step"]
        for name, value in line.items():
            if isinstance(value, float):
                self._writer.add_scalar(_tag(name), value, step)
        self._writer.flush()

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


def export_to_mlflow(out: Path, uri: str) -> str:
    """Write a run to MLflow: parameters, the course of the metrics, lineage as tags, run.json; return MLflow's run id.

    Args:
        out: folder of the run.
        uri: a folder, sqlite:///FILE, or http(s)://HOST:PORT of a tracking server.

    Raises:
        ConfigError: `out` is no run, or the URI cannot be reached.
    """
    record, lines = read_record(out), read_log(out / "metrics.jsonl")
    with _environment(_MLFLOW_ENVIRONMENT):
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        try:
            client = MlflowClient(tracking_uri=uri)
            run_id: str = client.create_run(_experiment(client, uri), run_name=out.name).info.run_id
            parameters = [
                Param(name, str(value)[:500]) for name, value in flat(record.parameters.model_dump(mode="json")).items()
            ]
            for first in range(0, len(parameters), _MOST_PARAMETERS):
                client.log_batch(run_id, params=parameters[first : first + _MOST_PARAMETERS])
            client.log_batch(run_id, tags=[RunTag(name, value) for name, value in _tags(record).items()])
            when_ms = int((out / RECORD).stat().st_mtime * 1000)
            metrics = [
                Metric(name, value, when_ms, line["step"])
                for line in lines
                for name, value in line.items()
                if isinstance(value, float)
            ]
            for first in range(0, len(metrics), _MOST_METRICS):
                client.log_batch(run_id, metrics=metrics[first : first + _MOST_METRICS])
            client.log_artifact(run_id, str(out / RECORD))
            client.set_terminated(run_id, _MLFLOW_STATUS[record.status])
        except (MlflowException, OSError) as err:
            first_line = redact_text(str(err).splitlines()[0] if str(err) else type(err).__name__)
            raise ConfigError(
                f"--mlflow {redact_text(uri)}: cannot write the run there ({first_line[:200]}); the run itself is "
                f"whole in {out}: give it again with --mlflow-export when MLflow is there"
            ) from err
    return run_id


def _experiment(client: Any, uri: str) -> str:
    """Return the id of the experiment that all our runs go to."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    place = None
    if uri.startswith("sqlite:///"):  # else the artifacts would go to the folder that one happens to stand in
        place = (Path(uri.removeprefix("sqlite:///")).absolute().parent / "mlartifacts").as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))


def _tags(record: RunRecord) -> dict[str, str]:
    tags = {
        "mlflow.source.git.commit": record.git,
        "arch": record.arch,
        "data.train.sha256": record.data["train"].sha256,
        "data.validation.sha256": record.data["validation"].sha256,
        "device": record.device,
        "status": record.status,
        "reason": record.reason[:500],
        "init_sha256": record.init_sha256 or "",
    }
    if record.best is not None:
        tags["best.epoch"] = str(record.best.epoch)
        tags["best.weights_sha256"] = record.best.weights_sha256 or ""
    return tags


def _tag(name: str) -> str:
    """Return the group and name under which TensorBoard shows a figure."""
    group = "train" if name.startswith(("loss", "rate", "grad_norm")) else "validation"
    return f"{group}/{name}"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while; what the user has set stays."""
    added = [name for name in values if name not in os.environ]
    for name in added:
        os.environ[name] = values[name]
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
