"""`run.json`: what a run was made of, how it stands and how it ended; what the registry calls a model's lineage."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
import torchvision
from pydantic import Field, ValidationError

from core.errors import ConfigError, FolderUnusable
from core.settings import Settings
from dataset.records import DetectionSet
from training.finetune.checkpoints import write_whole
from training.finetune.settings import FinetuneSettings

RECORD = "run.json"
LOCK = "run.lock"


class SetRecord(Settings):
    """A set of pictures as a run saw it."""

    name: str = Field(description="Name of the set")
    sha256: str = Field(description="Hash of labels, boxes and pictures")
    pictures: int = Field(description="How many pictures")
    objects: int = Field(description="How many boxes, ignored ones too")
    labels: tuple[str, ...] = Field(description="Class names, in order")
    warnings: int = Field(default=0, description="What the reader mended or left out")


class GateRecord(Settings):
    """What the overfit-one-batch gate said."""

    passed: bool = Field(description="Whether the net could learn one batch by heart")
    reasons: tuple[str, ...] = Field(default=(), description="What was wrong")
    skipped: tuple[str, ...] = Field(default=(), description="What could not be checked, and why")
    seconds: float = Field(description="How long it took")


class BestRecord(Settings):
    """The weights that a run is worth."""

    epoch: int = Field(description="After which epoch")
    step: int = Field(description="After which optimiser step")
    scores: dict[str, float] = Field(description="On the validation pictures")
    weights_sha256: str | None = Field(default=None, description="SHA-256 of best.pt; none when nothing was trained")


class RunRecord(Settings):
    """The whole of run.json."""

    kind: Literal["finetune"] = Field(default="finetune", description="Which recipe made the run")
    arch: str = Field(description="Name of the detector")
    parameters: FinetuneSettings = Field(description="Every setting of the run")
    source: dict[str, str] = Field(default_factory=dict, description="Where the pictures were read from, as given")
    data: dict[Literal["train", "validation"], SetRecord] = Field(
        default_factory=dict, description="The sets; none when they could not be read"
    )
    parent: str | None = Field(default=None, description="Where the first weights came from: a file, or an enum's name")
    init_sha256: str | None = Field(default=None, description="SHA-256 of these first weights")
    transfer: dict[str, int] = Field(default_factory=dict, description="How many tensors were taken over, and not")
    git: str = Field(description="Commit of the checkout, with + when files differ from it")
    seed: int = Field(description="Seed of the run")
    threads: int = Field(description="Threads of torch")
    world: int = Field(default=1, description="Processes that shared the run")
    device: str = Field(description="cpu, or the GPU's name")
    machine: str = Field(description="Host, processor and cores")
    versions: dict[str, str] = Field(description="Of Python and the libraries")
    started_utc: str = Field(description="When the run was first started")
    resumed_utc: tuple[str, ...] = Field(default=(), description="When it was resumed")
    ended_utc: str | None = Field(default=None, description="When it ended; none while it runs, or after a kill")
    status: Literal["running", "finished", "failed", "stopped"] = Field(description="How the run stands")
    reason: str = Field(default="", description="Why it ended as it did")
    gate: GateRecord | None = Field(default=None, description="The overfit gate; none when it was left out")
    best: BestRecord | None = Field(default=None, description="The best validation so far")


def described(pictures: DetectionSet) -> SetRecord:
    """Return what a record keeps of a set."""
    return SetRecord(
        name=pictures.name,
        sha256=pictures.sha256,
        pictures=len(pictures),
        objects=sum(len(sample.boxes) for sample in pictures.samples),
        labels=pictures.labels,
        warnings=len(pictures.warnings),
    )


RecordT = TypeVar("RecordT", bound=Settings)


def now_utc() -> str:
    """Return the time of day as run.json has it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": np.__version__,
    }


def machine() -> str:
    """Return the host and what it computes with."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def device_name(device: torch.device) -> str:
    """Return "cpu", or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def write_record(out: Path, record: Settings) -> None:
    """Write run.json, of a fine-tuned run or of a study, whole.

    Raises:
        FolderUnusable: it cannot be written.
    """
    write_whole(out / RECORD, json.dumps(record.model_dump(mode="json"), indent=2, sort_keys=True) + "\n")


def read_record(out: Path) -> RunRecord:
    """Read the run.json of a fine-tuned run.

    Raises:
        ConfigError: there is none, or it is of another kind.
    """
    path = out / RECORD
    try:
        return parsed_record(path, RunRecord, "a fine-tuned run")
    except OSError as err:
        raise ConfigError(f"{path}: cannot read the run's record ({err.strerror}); give the --out of a run") from err


def parsed_record(path: Path, model: type[RecordT], kind: str) -> RecordT:
    """Read a run.json as `model`; `kind` is what errors call its run. What the system says of the file passes through.

    Raises:
        ConfigError: it is of another kind; names the first field at fault.
    """
    content = path.read_text(encoding="utf-8")
    try:
        return model.model_validate_json(content)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise ConfigError(f"{path}: not the record of {kind}: {where}: {first['msg']}") from err


@contextmanager
def run_folder(out: Path, leads: bool = True) -> Iterator[None]:
    """Make the folder of a run, and keep every other run out of it until the end; only the leader does.

    The lock is the operating system's and ends with the process, however that ends. Worker processes do not inherit it.

    Raises:
        FolderUnusable: the folder cannot be made or written.
        ConfigError: another process trains in it.
    """
    if not leads:
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as err:
        raise FolderUnusable(f"{out}: cannot be written: {err.strerror}; give another --out") from err
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "unknown"
            raise ConfigError(
                f"{out}: another process trains here ({holder}); wait for its end, stop it, or give another --out"
            ) from err
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode())
        try:
            yield
        finally:
            # The file stays: to unlink it would let in two others that wait for the old and the new one.
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
