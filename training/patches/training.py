"""The run of one head: rounds, validation, a history of checkpoints, and going on after a kill as if nothing happened.

Draws of patches, their order and dropout depend on (seed, round) alone, and a checkpoint holds all the rest. In a round
the line of `metrics.jsonl` comes first, then `best.pt`, then the checkpoint: whatever a kill leaves behind beyond the
newest whole checkpoint is done again, with the same result.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import ConfigError, FolderUnusable, ModelError, ModelMismatch
from training.finetune.checkpoints import BEST, KEPT, add_line, cut_log, read_log, read_pt, write_pt
from training.finetune.determinism import mixed, seed_all
from training.finetune.journal import METRICS
from training.finetune.schedules import ScheduleSettings, make_schedule
from training.patches.head import Head, HeadShape
from training.patches.settings import HeadSettings

_log = logging.getLogger(__name__)
FORMAT = 1
_WEIGHTS, _ORDER, _DROPOUT = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Rows:
    """What one round learns from: features (N, D) float32 and what the loss compares with (N, …)."""

    features: NDArray[np.float32]
    targets: NDArray[Any]


@dataclass(frozen=True)
class Validated:
    """What a validation found: the score to choose by, the exponent that reaches it, and the score of each exponent."""

    score: float
    exponent: float
    by_exponent: dict[str, float]


@dataclass(frozen=True, eq=False)
class Task:
    """What a head learns.

    Attributes:
        fresh: makes the head; torch's generators are seeded before.
        rows: what a round (from 1) learns from; a pure function.
        loss: of logits and targets, a mean over the batch.
        validate: judges a head.
        identity: one line of JSON: all that a resumed run must have in common with the checkpoint.
    """

    fresh: Callable[[], Head]
    rows: Callable[[int], Rows]
    loss: Callable[[Tensor, Tensor], Tensor]
    validate: Callable[[Head], Validated]
    identity: str


@dataclass(frozen=True)
class Best:
    """The head that a run is worth, and the exponent that goes with it."""

    head: Head
    round: int
    score: float
    exponent: float


def train_head(
    task: Task, settings: HeadSettings, seed: int, out: Path, on_round: Callable[[dict[str, Any]], None]
) -> Best:
    """Train until the last round, from the newest checkpoint in `out` where there is one; return the best head.

    Raises:
        ConfigError: the checkpoint belongs to another run.
        ModelError: the loss is not finite.
        FolderUnusable: `out` cannot be written.
    """
    seed_all(seed, _WEIGHTS)
    head = task.fresh()
    optimiser = _optimiser(head, settings)
    done, best_score = 0, -1.0
    state = _newest(out, task.identity)
    if state is not None:
        head.load_state_dict(state["head"])
        optimiser.load_state_dict(state["optimiser"])
        done, best_score = int(state["round"]), float(state["best_score"])
    cut_log(out / METRICS, done)
    for round_ in range(done + 1, settings.rounds + 1):
        loss = _learn(head, optimiser, task, settings, (seed, round_))
        found = task.validate(head)
        line = {"step": round_, "loss": round(loss, 6), "map": round(found.score, 6), "exponent": found.exponent}
        line |= {f"map_e{name}": round(score, 6) for name, score in found.by_exponent.items()}
        add_line(out / METRICS, line)
        if found.score > best_score:
            best_score = found.score
            _save_best(out, head, round_, found)
        _keep(out, round_, settings.history, {
            "format": FORMAT, "identity": task.identity, "round": round_, "best_score": best_score,
            "shape": asdict(head.shape), "head": head.state_dict(), "optimiser": optimiser.state_dict(),
            "validated": {"score": found.score, "exponent": found.exponent},
        })  # fmt: skip
        on_round(line)
    return read_best(out)


def read_best(out: Path) -> Best:
    """Return the best head of a run.

    Raises:
        ModelNotFound: there is none.
        ModelError: the file is broken, or of something else.
    """
    content = read_pt(out / BEST)
    try:
        head = Head(HeadShape(**content["shape"]))
        head.load_state_dict(content["head"])
        return Best(head.eval(), int(content["round"]), float(content["score"]), float(content["exponent"]))
    except (KeyError, TypeError, RuntimeError) as err:
        raise ModelMismatch(f"{out / BEST}: not the best head of a patch study; run the study again") from err


def history(out: Path) -> tuple[dict[str, Any], ...]:
    """Return the lines of `metrics.jsonl`, oldest first, each with the `file` of its checkpoint; "": no longer kept."""
    kept = {int(path.stem.rpartition("-")[2]): path.name for path in (out / KEPT).glob("round-*.pt")}
    return tuple(line | {"file": kept.get(line["step"], "")} for line in read_log(out / METRICS))


@contextmanager
def exact(threads: int) -> Iterator[None]:
    """Set torch's threads and algorithms that add in one order; put back what was there before."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warns_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict, warn_only=warns_only)


def _learn(
    head: Head, optimiser: torch.optim.Optimizer, task: Task, settings: HeadSettings, place: tuple[int, int]
) -> float:
    """Go through a round's rows once; return the mean loss."""
    rows = task.rows(place[1])
    order = np.random.default_rng([*place, _ORDER]).permutation(len(rows.features))
    features, targets = torch.from_numpy(rows.features), torch.from_numpy(rows.targets)
    factor = make_schedule(ScheduleSettings(kind=settings.schedule), settings.rounds)
    for group in optimiser.param_groups:
        group["lr"] = settings.rate * factor(place[1] - 1)
    torch.manual_seed(mixed(*place, _DROPOUT))
    head.train()
    total = 0.0
    for start in range(0, len(order), settings.batch):
        chosen = torch.from_numpy(order[start : start + settings.batch])
        loss = task.loss(head(features[chosen]), targets[chosen])
        if not bool(torch.isfinite(loss)):
            raise ModelError(f"round {place[1]}: the loss is not finite; lower --rate (now {settings.rate:g})")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(loss.detach()) * len(chosen)
    return total / len(order)


def _optimiser(head: nn.Module, settings: HeadSettings) -> torch.optim.Optimizer:
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(head.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    return torch.optim.SGD(head.parameters(), lr=settings.rate, momentum=0.9, weight_decay=settings.weight_decay)


def _save_best(out: Path, head: Head, round_: int, found: Validated) -> None:
    weights = {name: tensor.detach().clone() for name, tensor in head.state_dict().items()}
    content = {"format": FORMAT, "shape": asdict(head.shape), "head": weights}
    write_pt(out / BEST, content | {"round": round_, "score": found.score, "exponent": found.exponent})


def _keep(out: Path, round_: int, count: int, content: dict[str, Any]) -> None:
    """Write a round's checkpoint, and drop the oldest beyond the last `count`."""
    folder = out / KEPT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_pt(folder / f"round-{round_:05d}.pt", content)
        for old in sorted(folder.glob("round-*.pt"))[:-count]:
            old.unlink()
    except FolderUnusable:
        raise
    except OSError as err:
        raise FolderUnusable(f"{folder}: cannot be written: {err.strerror or err}; make room, then --resume") from err


def _newest(out: Path, identity: str) -> dict[str, Any] | None:
    """Return the newest whole checkpoint; a broken one is passed over for the one before it."""
    for path in sorted((out / KEPT).glob("round-*.pt"), reverse=True):
        try:
            content = read_pt(path)
        except ModelError as err:
            _log.warning("%s; going back to the checkpoint before it", err)
            continue
        if content.get("identity") != identity:
            told = ", ".join(_differing(str(content.get("identity", "{}")), identity))
            raise ConfigError(
                f"{path}: belongs to another study (other {told}); resume with what it was started with, throw it away "
                "with --overwrite, or give another --out"
            )
        return content
    return None


def _differing(was: str, now: str) -> list[str]:
    before, after = json.loads(was), json.loads(now)
    return [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
