"""`run.json` of a patch study: what it was made of, and how it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from core.errors import ConfigError
from core.settings import Settings
from training.finetune.run_record import RECORD, SetRecord, parsed_record
from training.patches.settings import StudySettings


class StudyRecord(Settings):
    """The whole of run.json."""

    kind: Literal["patches"] = Field(default="patches", description="Which study made the run")
    parameters: StudySettings = Field(description="Every setting of the run")
    weights_sha256: str = Field(description="SHA-256 of the backbone's weights")
    data: dict[Literal["train", "validation", "test"], SetRecord] = Field(description="The sets")
    git: str = Field(description="Commit of the checkout, with + when files differ from it")
    machine: str = Field(description="Processor and cores")
    versions: dict[str, str] = Field(description="Of Python and the libraries")
    started_utc: str = Field(description="When it was started, or resumed last")
    ended_utc: str | None = Field(default=None, description="When it ended; none while it runs, or after a kill")
    status: Literal["running", "finished"] = Field(description="How it stands")

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the head's outputs."""
        return self.data["train"].labels


def read_record(out: Path) -> StudyRecord:
    """Read the run.json of a patch study.

    Raises:
        ConfigError: there is none, or it is of another kind.
    """
    path = out / RECORD
    try:
        return parsed_record(path, StudyRecord, "a patch study")
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read ({err.strerror}); give the --out of a patch study") from err
