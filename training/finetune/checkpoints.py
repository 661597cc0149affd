"""Where a run stands, on disk: whole or absent, checked when it is read, refused when it belongs to another run.

`last.pt` holds all that an exact resume needs: net, running mean, optimiser, gradient scaler, counters, the state of
every random generator, and what the run was made of. Each so many epochs it is also kept as
`checkpoints/epoch-NNNN.pt`. `best.pt` holds only what using the weights needs: plain names and tensors, so that equal
weights give equal bytes.
"""

from __future__ import annotations

import io
import json
import logging
import os
import random
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import ConfigError, FolderUnusable, ModelError, ModelMismatch, ModelNotFound
from core.files import write_atomic
from training.finetune.detectors import Detector, detector_of
from training.finetune.ema import Ema
from training.finetune.settings import FinetuneSettings
from training.finetune.tutor import TAUGHT, Tutor

FORMAT = 1
LAST, BEST, KEPT = "last.pt", "best.pt", "checkpoints"
#: These may change from one resume to the next: no weight depends on them.
FREE_SETTINGS = frozenset({"workers", "checkpoints", "tensorboard", "gate", "timeout_s"})

#: Figures of a step that are no part of its loss.
NO_LOSSES = ("grad_norm", *TAUGHT)

_log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Counters of a run; changed by `loop.finetune` alone.

    Attributes:
        step: optimiser steps done; the loader's position follows from it.
        best: the chosen score at its best, None before the first validation.
        best_epoch: when that was.
        stale: validations since the score last rose by the early stop's least gain.
        bar: what the score must pass by the least gain to count as a rise.
        sums: parts of the loss summed over the epoch under way.
        summed: how many steps are in `sums`.
        latest_loss: of the latest step, for people.
    """

    step: int = 0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    bar: float | None = None
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0
    latest_loss: float = 0.0

    def count(self, figures: Mapping[str, float]) -> None:
        """Count a step: the parts of its loss, and figures of other kinds (`NO_LOSSES`)."""
        self.step += 1
        self.summed += 1
        self.latest_loss = sum(value for name, value in figures.items() if name not in NO_LOSSES)
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def line(self, epoch: int, planned: int, rate: float) -> dict[str, int | float]:
        """Return what metrics.jsonl says of the steps since the last validation: means, rounded."""
        means = {name: round(value / self.summed, 6) for name, value in self.sums.items()}
        aside = {name: means.pop(name) for name in NO_LOSSES if name in means}
        return {
            "epoch": epoch,
            "step": self.step,
            "planned_steps": planned,
            "rate": rate,
            "loss": round(sum(means.values()), 6),
            **{f"loss_{name.removeprefix('loss_')}": value for name, value in means.items()},
            **aside,
        }


@dataclass(frozen=True)
class RunIdentity:
    """What a checkpoint must have in common with the run that goes on from it.

    Attributes:
        settings: of the run.
        labels: class names, in order.
        train_sha256: of the pictures learnt from.
        validation_sha256: of the pictures chosen by.
        world: how many processes share the run.
    """

    settings: FinetuneSettings
    labels: tuple[str, ...]
    train_sha256: str
    validation_sha256: str
    world: int = 1

    def as_json(self) -> str:
        """Return all of it as one line of JSON."""
        content = asdict(self) | {"settings": self.settings.model_dump(mode="json"), "labels": list(self.labels)}
        return json.dumps(content, sort_keys=True)


@dataclass(frozen=True)
class Parts:
    """The live objects whose state makes up a run."""

    net: Detector
    mean: Ema[Detector]
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    tutor: Tutor | None = None

    @property
    def mean_net(self) -> Detector:
        """The running mean of the weights: what is validated and shipped."""
        return self.mean.net


def save_state(out: Path, parts: Parts, progress: Progress, identity: RunIdentity, epoch: int | None) -> None:
    """Write `last.pt`; with an epoch also keep it under that number, and drop the oldest beyond the last K.

    Raises:
        FolderUnusable: it cannot be written; what was there before is whole.
    """
    content = {
        "format": FORMAT,
        "identity": identity.as_json(),
        "labels": list(identity.labels),
        "shape": parts.net.shape_config(),
        "progress": asdict(progress),
        "net": parts.net.state_dict(),
        "mean_net": parts.mean_net.state_dict(),
        "optimiser": parts.optimiser.state_dict(),
        "scaler": parts.scaler.state_dict(),
        "random": random_states(),
    }
    if parts.tutor is not None:
        content["tutor"] = parts.tutor.state()
    write_pt(out / LAST, content)
    if epoch is None:
        return
    folder = out / KEPT
    kept = folder / f"epoch-{epoch:04d}.pt"
    try:
        folder.mkdir(exist_ok=True)
        draft = folder / f".{kept.name}.part"
        draft.unlink(missing_ok=True)
        _link(out / LAST, draft)
        os.replace(draft, kept)
        for old in sorted(folder.glob("epoch-*.pt"))[: -identity.settings.checkpoints.keep_last]:
            old.unlink()
    except OSError as err:
        raise _unwritable(kept, err) from err


def save_best(out: Path, net: Detector, facts: Mapping[str, Any]) -> None:
    """Write `best.pt`: the weights, what rebuilds the net around them, and facts (JSON values) about them."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    # Through JSON, so that no two places share one object: equal content then gives equal bytes.
    plain = json.loads(json.dumps({"shape": net.shape_config(), "labels": list(net.labels), "facts": facts}))
    write_pt(out / BEST, {"format": FORMAT, "arch": net.arch, **plain, "weights": weights})


def newest_state(out: Path, identity: RunIdentity) -> tuple[dict[str, Any], Path]:
    """Return the content of a run's newest whole checkpoint, and its file; nothing is changed yet.

    A broken file is passed over, with a warning, for the one before it.

    Raises:
        ModelNotFound: there is no checkpoint.
        ModelError: there are some, and all are broken.
        ConfigError: the checkpoint belongs to another run: other settings, pictures, labels or number of processes.
    """
    candidates = [
        path for path in (out / LAST, *sorted((out / KEPT).glob("epoch-*.pt"), reverse=True)) if path.exists()
    ]
    if not candidates:
        raise ModelNotFound(f"{out}: no checkpoint to resume from; leave --resume out, or give the --out of a run")
    for path in candidates:
        try:
            content = read_pt(path)
        except ModelError as err:
            _log.warning("%s; going back to the checkpoint before it", err)
            continue
        check_identity(content, identity, path)
        return content, path
    raise ModelError(f"{out}: every checkpoint is broken ({', '.join(p.name for p in candidates)}); start the run anew")


def put_back(content: Mapping[str, Any], parts: Parts) -> Progress:
    """Put the content of a checkpoint into the objects of a run; return its counters."""
    parts.net.load_state_dict(content["net"])
    parts.mean_net.load_state_dict(content["mean_net"])
    parts.optimiser.load_state_dict(content["optimiser"])
    parts.scaler.load_state_dict(content["scaler"])
    if parts.tutor is not None:
        parts.tutor.put_back(content["tutor"])
    set_random_states(content["random"])
    return Progress(**content["progress"])


def check_identity(content: Mapping[str, Any], identity: RunIdentity, path: Path) -> None:
    """Refuse a checkpoint that an exact resume cannot go on from.

    Raises:
        ConfigError: names what differs.
    """
    if "identity" not in content or content.get("format") != FORMAT:
        raise ConfigError(f"{path}: holds weights only, not the state of a run; start anew with --init {path}")
    was, now = json.loads(content["identity"]), json.loads(identity.as_json())
    before, wanted = flat(was["settings"]), flat(now["settings"])
    # A checkpoint of an older version lacks settings that are new: they were at their defaults.
    before = {
        **{key: value for key, value in flat(FinetuneSettings().model_dump(mode="json")).items() if key in wanted},
        **before,
    }
    differing = [
        f"settings.{key}: {_short(before.get(key))} -> {_short(wanted.get(key))}"
        for key in sorted(before.keys() | wanted.keys())
        if key.partition(".")[0] not in FREE_SETTINGS and before.get(key) != wanted.get(key)
    ]
    names = {"labels": "labels", "train_sha256": "training pictures", "validation_sha256": "validation pictures"}
    names["world"] = "number of processes"
    differing += [
        f"{name}: {_short(was.get(key))} -> {_short(now[key])}"
        for key, name in names.items()
        if was.get(key) != now[key]
    ]
    if differing:
        raise ConfigError(
            f"{path}: belongs to another run ({'; '.join(differing)}); resume with what it was started with, "
            "or start a run of its own in another --out with --init"
        )


def net_of_run(out: Path) -> Detector:
    """Return the best net of a run, ready to infer; `out` is the run's folder or its best.pt.

    Raises:
        ModelNotFound: there is none.
        ModelError: it is broken, or of something else.
    """
    path = out if out.suffix == ".pt" else out / BEST
    content = read_pt(path)
    if content.get("format") != FORMAT or "shape" not in content or "weights" not in content:
        raise ModelError(f"{path}: not the best.pt of a fine-tuned run")
    net = detector_of(content["shape"])
    try:
        net.load_state_dict(content["weights"])
    except RuntimeError as err:
        raise ModelMismatch(f"{path}: its weights do not fit its own description ({err}); train it again") from err
    return net.eval()


def read_pt(path: Path) -> dict[str, Any]:
    """Read a file of torch onto the CPU; its checksums are compared first (torch itself does not).

    Raises:
        ModelNotFound: no such file.
        ModelError: it is cut short, changed or no such file at all.
    """
    if not path.is_file():
        raise ModelNotFound(f"{path}: no such checkpoint")
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise ModelError(f"{path}: broken checkpoint ({broken} does not fit its checksum)")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror or err}") from err
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as err:
        raise ModelError(f"{path}: not a whole checkpoint ({str(err).splitlines()[0]})") from err
    if not isinstance(content, dict):
        raise ModelError(f"{path}: not a checkpoint of a run")
    return content


def write_pt(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of torch, whole or not at all.

    Raises:
        FolderUnusable: it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_whole(path, buffer.getbuffer())


def write_whole(path: Path, content: bytes | memoryview | str) -> None:
    """Replace a file of the run, whole or not at all.

    Raises:
        FolderUnusable: it cannot be written.
    """
    try:
        write_atomic(path, content)
    except OSError as err:
        raise _unwritable(path, err) from err


def random_states() -> dict[str, Any]:
    """Return the state of every random generator that a library may draw from, as plain numbers and tensors."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": [str(kind), [int(key) for key in keys], int(position), int(has_gauss), float(gauss)],
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Set what `random_states` returned."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    version, inner, gauss = states["python"]
    random.setstate((version, tuple(inner), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))


def cut_log(path: Path, step: int) -> None:
    """Drop what a log of JSON lines says of steps after `step`, and a line that a crash cut short."""
    if not path.exists():
        return
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
    write_whole(path, "".join(line + "\n" for line in kept))


def add_line(path: Path, line: Mapping[str, Any]) -> None:
    """Append one line of JSON to a log, and see it to the disk.

    Raises:
        FolderUnusable: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
            log.flush()
            os.fsync(log.fileno())
    except OSError as err:
        raise _unwritable(path, err) from err


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; an empty list when there is none yet."""
    lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines() if path.exists() else ()
    return [json.loads(line) for line in lines]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as names with dots.

    >>> flat({"a": {"b": 1}, "c": [2, 3]})
    {'a.b': 1, 'c': [2, 3]}
    """
    names: dict[str, Any] = {}
    for name, value in values.items():
        names |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return names


def _step_of(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; where the file system has no such thing, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _unwritable(path: Path, err: OSError) -> FolderUnusable:
    return FolderUnusable(
        f"{path}: cannot be written: {err.strerror or err}; make room or give another --out, then go on with --resume"
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
