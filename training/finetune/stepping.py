"""One optimiser step, and what may go wrong in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from core.errors import ModelError
from training.finetune.batches import Batch
from training.finetune.checkpoints import Parts, Progress
from training.finetune.determinism import seed_all
from training.finetune.distributed import World, faults_of
from training.finetune.settings import FinetuneSettings

_AMP = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def take_step(
    losses_of: nn.Module, batches: Sequence[Batch], parts: Parts, settings: FinetuneSettings, step: int, world: World
) -> dict[str, float]:
    """Change the weights once, by the mean gradient of all batches.

    Args:
        losses_of: from `distributed.loss_module`.
        batches: one for each forward pass.
        parts: of the run; net, optimiser and scaler are changed.
        settings: of the run.
        step: optimiser steps done before.
        world: the processes that share the run.

    Returns:
        The parts of the loss, mean over the batches, and `grad_norm`: the gradient's length before it is clipped.

    Raises:
        ModelError: a loss or gradient that is not finite; names the step and its pictures.
    """
    sums: dict[str, float] = {}
    for place, batch in enumerate(batches, step * len(batches)):
        seed_all(settings.seed, place, world.rank)
        losses = forward(losses_of, batch, settings, world)
        total = torch.stack([part.float() for part in losses.values()]).sum()
        _check_loss(losses, total, batch, step, world)
        parts.scaler.scale(total / len(batches)).backward()  # type: ignore[no-untyped-call]
        for name, part in losses.items():
            sums[name] = sums.get(name, 0.0) + float(part.detach()) / len(batches)
    parts.scaler.unscale_(parts.optimiser)
    gradients = [p.grad for group in parts.optimiser.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    # With fp16 an overflow is expected now and then: the scaler leaves the step out and scales less.
    if settings.amp != "fp16" and not bool(torch.isfinite(norm)):
        raise _not_finite("gradient", f"length {float(norm)}", batches, step)
    if settings.clip_norm:
        learning = [p for group in parts.optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grads_with_norm_(learning, settings.clip_norm, norm)
    parts.scaler.step(parts.optimiser)
    parts.scaler.update()
    parts.optimiser.zero_grad(set_to_none=True)
    return {**sums, "grad_norm": float(norm) if math.isfinite(float(norm)) else 0.0}


def taught_by_mean(
    batches: Sequence[Batch], parts: Parts, step: int, world: World
) -> tuple[list[Batch], dict[str, float]]:
    """Return the batches of a step with the targets that the run's tutor makes of them, and what the journal says."""
    if parts.tutor is None:
        return list(batches), {}
    return parts.tutor.taught(batches, parts.mean_net, step, world)


def forward(losses_of: nn.Module, batch: Batch, settings: FinetuneSettings, world: World) -> dict[str, Tensor]:
    """Return the parts of a batch's loss, in the precision that the settings say."""
    device, precision = world.device, _AMP[settings.amp]
    images = [image.to(device, non_blocking=True) for image in batch.images]
    targets = [target.to(device) for target in batch.targets]
    with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
        losses: dict[str, Tensor] = losses_of(images, targets)
    return losses


def judge(progress: Progress, score: float, epoch: int, settings: FinetuneSettings) -> bool:
    """Count a validation; tell whether its weights are the best so far. While nothing is found, the latest are."""
    gained = progress.bar is None or score > progress.bar + settings.early_stop.min_delta
    progress.stale = 0 if gained else progress.stale + 1
    progress.bar = score if gained else progress.bar
    if progress.best is not None and (score < progress.best or score == progress.best > 0):
        return False
    progress.best, progress.best_epoch = score, epoch
    return True


def is_stale(progress: Progress, settings: FinetuneSettings) -> bool:
    """Tell whether the run has not gained for so long that it ends."""
    return 0 < settings.early_stop.patience <= progress.stale


@contextmanager
def memory_told(settings: FinetuneSettings) -> Iterator[None]:
    """Say what helps when the memory is too small.

    Raises:
        ModelError: it is.
    """
    try:
        yield
    except torch.OutOfMemoryError as err:
        width, height = settings.net.size
        raise ModelError(
            f"not enough memory for {settings.batch} pictures of {width}x{height} in {settings.net.arch}; lower "
            "--batch (and raise --accumulate), or --size, or use --amp bf16"
        ) from err


def _check_loss(losses: dict[str, Tensor], total: Tensor, batch: Batch, step: int, world: World) -> None:
    fault = ""
    if not bool(torch.isfinite(total)):
        fault = str(
            _not_finite("loss", ", ".join(f"{k} {float(v.detach()):g}" for k, v in losses.items()), [batch], step)
        )
    faults = faults_of(fault, world)
    if faults:
        raise ModelError("\n".join(faults))


def _not_finite(what: str, figures: str, batches: Sequence[Batch], step: int) -> ModelError:
    pictures = ", ".join(where for batch in batches for where in batch.where)
    return ModelError(
        f"step {step}: the {what} is not finite ({figures}); its batch holds {pictures}; lower --rate, or look at "
        "these pictures and their boxes"
    )
