"""What a run writes down while it goes on: its record, its metrics, its best weights. Only the leader writes."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from core.errors import ConfigError, FolderUnusable, ModelError
from core.files import sha256_of
from dataset.records import DetectionSet
from training.finetune.checkpoints import BEST, KEPT, LAST, add_line, cut_log, save_best
from training.finetune.detectors import Detector
from training.finetune.distributed import World
from training.finetune.overfit import GateResult
from training.finetune.run_record import (
    BestRecord,
    GateRecord,
    RunRecord,
    described,
    device_name,
    machine,
    now_utc,
    read_record,
    versions,
    write_record,
)
from training.finetune.settings import FinetuneSettings
from training.finetune.start import Start
from training.finetune.tracking import TENSORBOARD
from training.provenance import commit

_log = logging.getLogger(__name__)

METRICS, TIMINGS = "metrics.jsonl", "timings.jsonl"


class Journal:
    """The files of a run that are not its state.

    Args:
        out: folder of the run.
        record: how run.json begins.
        world: who leads.
    """

    def __init__(self, out: Path, record: RunRecord, world: World) -> None:
        self.out, self.record, self._leads = out, record, world.leads

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep run.json true while the run goes on: however it ends, the record says how.

        Only a kill leaves "running" behind.
        """
        self.note(status="running", reason="", ended_utc=None)
        try:
            yield
        except BaseException as err:
            stopped = isinstance(err, KeyboardInterrupt | SystemExit)
            reason = "interrupted; go on with --resume" if stopped else (str(err) or type(err).__name__)
            try:
                self.note(status="stopped" if stopped else "failed", reason=reason, ended_utc=now_utc())
            except FolderUnusable as also:
                err.add_note(f"run.json still says running: {also}")
            raise

    def note(self, **changes: object) -> None:
        """Change the record, and write it."""
        self.record = self.record.model_copy(update=changes)
        if self._leads:
            write_record(self.out, self.record)

    def begin_logs(self, step: int | None) -> None:
        """Make the logs end at `step`, so that a resumed run adds nothing twice; None empties them."""
        for name in (METRICS, TIMINGS) if self._leads else ():
            cut_log(self.out / name, -1 if step is None else step)

    def add(self, line: Mapping[str, object], timing: Mapping[str, object]) -> None:
        """Append the line of a validation, and beside it what depends on the clock."""
        if self._leads:
            add_line(self.out / METRICS, line)
            add_line(self.out / TIMINGS, timing)

    def note_start(self, start: Start | None) -> None:
        """Say in the record where the first weights came from."""
        if start is None:
            return
        for line in start.report.lines():
            _log.info("%s: %s", start.origin, line)
        report = start.report
        counts = {"loaded": len(report.loaded), "other_shape": len(report.mismatched)}
        counts |= {"missing": len(report.missing), "unexpected": len(report.unexpected)}
        self.note(parent=start.origin, init_sha256=start.sha256, transfer=counts)

    def note_gate(self, found: GateResult) -> None:
        """Say in the record what the overfit gate found.

        Raises:
            ModelError: the net could not learn one batch.
        """
        gate = GateRecord(
            passed=found.passed, reasons=found.reasons, skipped=found.skipped, seconds=round(found.seconds, 2)
        )
        self.note(gate=gate)
        if not found.passed:
            raise ModelError(
                f"the net cannot learn even one batch by heart: {'; '.join(found.reasons)}; look at the boxes and the "
                "settings of the run, or leave the gate out with --no-gate"
            )

    def keep_best(self, net: Detector, epoch: int, step: int, scores: Mapping[str, float]) -> None:
        """Write best.pt, and say in the record whose weights they are."""
        if not self._leads:
            return
        save_best(self.out, net, {"epoch": epoch, "step": step, "scores": dict(scores)})
        sha256 = sha256_of(self.out / BEST)
        self.note(best=BestRecord(epoch=epoch, step=step, scores=dict(scores), weights_sha256=sha256))

    def finish(self, reason: str) -> RunRecord:
        """Say that the run came to its end; return the whole record."""
        self.note(status="finished", reason=reason, ended_utc=now_utc())
        return self.record


def check_free(out: Path, overwrite: bool) -> None:
    """Refuse a folder that holds another run's weights, or empty it of them.

    Raises:
        ConfigError: it does, and nobody said --overwrite.
    """
    names: Sequence[Path] = [*out.glob(LAST), *out.glob(BEST), *out.glob(f"{KEPT}/epoch-*.pt")]
    if names and not overwrite:
        raise ConfigError(
            f"{out}: holds the weights of a run ({', '.join(path.name for path in names[:3])}); go on with --resume, "
            "throw them away with --overwrite, or give another --out"
        )
    for path in names:
        path.unlink()
    if (out / TENSORBOARD).is_dir():
        shutil.rmtree(out / TENSORBOARD)  # else the old curves would be shown below the new ones


def fresh_record(
    sets: Mapping[Literal["train", "validation"], DetectionSet],
    settings: FinetuneSettings,
    world: World,
    source: Mapping[str, str],
) -> RunRecord:
    """Return the record of a run that begins; without sets when they could not be read."""
    return RunRecord(
        arch=settings.net.arch,
        parameters=settings,
        source=dict(source),
        data={use: described(pictures) for use, pictures in sets.items()},
        git=commit(),
        seed=settings.seed,
        threads=settings.threads,
        world=world.size,
        device=device_name(world.device),
        machine=machine(),
        versions=versions(),
        started_utc=now_utc(),
        status="running",
    )


def resumed_record(record: RunRecord, out: Path) -> RunRecord:
    """Return the record of a run that goes on: what was true of its start stays; warn of what its figures may miss."""
    before = read_record(out)
    for name, was in before.versions.items():
        if record.versions.get(name) != was:
            _log.warning(
                "%s was %s when the run began and is %s now: it may round differently", name, was, versions()[name]
            )
    kept = {
        name: getattr(before, name)
        for name in ("parent", "init_sha256", "transfer", "started_utc", "gate", "best", "source")
    }
    return record.model_copy(update={**kept, "resumed_utc": (*before.resumed_utc, now_utc())})


@dataclass
class Lap:
    """The clock between two validations.

    Attributes:
        pictures: seen, by all processes.
        from_s: when it began (monotonic).
        trained_s: how long it took without the validation.
    """

    pictures: int = 0
    from_s: float = field(default_factory=time.monotonic)
    trained_s: float = 0.0

    def trained(self) -> None:
        """Stop the clock of the training; what comes now is validation."""
        self.trained_s = time.monotonic() - self.from_s

    def line(self, epoch: int, step: int, world: World) -> dict[str, int | float]:
        """Return the line of timings.jsonl. After a resume the first one counts from there."""
        peak_bytes = torch.cuda.max_memory_allocated(world.device) if world.device.type == "cuda" else 0
        return {
            "epoch": epoch,
            "step": step,
            "train_s": round(self.trained_s, 3),
            "validate_s": round(time.monotonic() - self.from_s - self.trained_s, 3),
            "images_per_s": round(self.pictures / max(self.trained_s, 1e-9), 2),
            "gpu_peak_bytes": peak_bytes,
        }
