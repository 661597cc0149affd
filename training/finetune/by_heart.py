"""Learn a few pictures by heart, and say them again: the overfit gate's last and strictest check.

The net learns with an optimiser of the gate's own, so that a run's low rate or long warm-up does not hide what the net
can do. What is learnt shows in the loss and, for nets light enough, in the detections, picture by picture.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.boxes import iou
from training.detection_scores import Found
from training.finetune.batches import Target
from training.finetune.detectors import Detector
from training.finetune.gate_plans import GateSettings, Plan, fitted
from training.finetune.net_checks import (
    Norm,
    check_found,
    check_gradients,
    check_independence,
    check_modes,
    check_norms_follow,
)

#: From so many steps on the last ones tell where the loss has come to.
_SETTLED = 10


@dataclass(frozen=True)
class Learnt:
    """What came of learning by heart.

    Attributes:
        reasons: what is wrong, a sentence each.
        skipped: what could not be checked, and why.
        loss: first and last; NaN where there was no time for a step.
    """

    reasons: tuple[str, ...]
    skipped: tuple[str, ...]
    loss: tuple[float, float]


def learn_by_heart(
    net: Detector,
    images: list[Tensor],
    targets: list[Target],
    plan: Plan,
    settings: GateSettings,
    started_s: float,
) -> Learnt:
    """Let a net learn the pictures, and ask it for what it has learnt.

    Args:
        net: a fresh copy; is changed.
        images: (3, H, W) each.
        targets: one for each picture.
        plan: of the net's architecture.
        settings: of the gate.
        started_s: CPU time at which the gate began.
    """
    fitted(net, plan).train()
    before = {name: value.detach().clone() for name, value in net.state_dict().items() if "running_mean" in name}
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=plan.rate, weight_decay=0.0)
    grew: dict[str, float] = {}
    losses: list[float] = []
    wrong: list[str] = []
    for _ in range(2):  # once more when it has not learnt it yet
        for step in range(plan.steps):
            if time.process_time() - started_s > settings.budget_s:
                break
            # The rate falls in the end: the last steps settle what the first ones found.
            optimiser.param_groups[0]["lr"] = plan.rate * (1.0 if step < 0.7 * plan.steps else 0.3)
            losses.append(_step(net, optimiser, images, targets, grew))
        if not losses:
            return Learnt((), (_short_of_time(0, plan, settings),), (float("nan"), float("nan")))
        wrong = check_gradients(net, grew) + check_norms_follow(before, net)
        if wrong:
            break
        wrong = _what_is_not_learnt(net, images, targets, plan, settings, losses)
        if not wrong:
            break
    else:
        if len(losses) < plan.steps:
            return Learnt((), (_short_of_time(len(losses), plan, settings),), (losses[0], losses[-1]))
    skipped: tuple[str, ...] = ()
    if not plan.predicts:
        skipped = (f"detections after learning by heart: {net.arch} is too slow for it on a CPU",)
    return Learnt(tuple(wrong or check_independence(net, images)), skipped, (losses[0], losses[-1]))


def _step(
    net: Detector,
    optimiser: torch.optim.Optimizer,
    images: list[Tensor],
    targets: list[Target],
    grew: dict[str, float],
) -> float:
    """Do one step, keep the largest gradients in `grew`, and return the loss before it."""
    net.train()
    optimiser.zero_grad(set_to_none=True)
    # Two-stage nets draw which boxes they learn from: with a new draw each time, luck would drown what steps gain.
    torch.manual_seed(0)
    total = torch.stack(list(net.losses(list(images), list(targets)).values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    _note_gradients(net, grew)
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    optimiser.step()
    return float(total.detach())


def _short_of_time(steps: int, plan: Plan, settings: GateSettings) -> str:
    return f"learning by heart: only {steps} of {plan.steps} steps in {settings.budget_s} s"


def _what_is_not_learnt(
    net: Detector,
    images: list[Tensor],
    targets: list[Target],
    plan: Plan,
    settings: GateSettings,
    losses: Sequence[float],
) -> list[str]:
    """Return what shows that the batch was not learnt by heart."""
    # Of a handful of steps the best one speaks: the others may still be settling.
    reached = float(np.median(losses[-3:]) if plan.steps >= _SETTLED else np.min(losses[1:], initial=losses[0]))
    if not np.isfinite(reached) or reached > plan.falls_to * losses[0]:
        return [f"the loss of one batch only went from {losses[0]:.3g} to {reached:.3g} in {len(losses)} steps"]
    if not plan.predicts:
        return []
    settle_norms(net, images, targets)
    net.eval()
    found = net.predict(list(images))
    return check_modes(net, "eval()") + check_found(found, images, len(net.labels)) or judged(found, targets, settings)


@torch.no_grad()
def settle_norms(net: Detector, images: list[Tensor], targets: list[Target]) -> None:
    """Give norms the statistics of these pictures: the running ones lag behind weights that learn so fast."""
    net.train()
    norms = [m for m in net.modules() if isinstance(m, Norm) and m.training]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    net.losses(list(images), list(targets))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def judged(found: Sequence[Found], targets: Sequence[Target], settings: GateSettings) -> list[str]:
    """Return whether the detections are the objects, in every picture: their boxes, and with them their classes."""
    wanted, boxed = [], []
    shifts: list[int] = []
    for one, target in zip(found, targets, strict=True):
        keep = ~target.ignored.numpy()
        boxes, classes = target.boxes.numpy()[keep], target.classes.numpy()[keep]
        sure = one.scores > 0.1
        on_it = iou(one.boxes[sure], boxes) >= 0.5  # (D, M)
        hit = np.flatnonzero(on_it.any(axis=0))
        # The surest of those on an object speaks; detections are best first.
        shifts += [int(one.classes[sure][on_it[:, j].argmax()]) - int(classes[j]) for j in hit]
        wanted.append(len(boxes))
        boxed.append(len(hit))
    if sum(boxed) < settings.recall * sum(wanted):
        return [
            f"after learning them by heart, {sum(boxed)} of {sum(wanted)} objects are found: boxes are in another "
            f"format, another picture or another scale in training than in detection{_nearest(found, targets)}"
        ]
    for place, (hits, objects) in enumerate(zip(boxed, wanted, strict=True)):
        if hits < settings.recall_each * objects:
            return [
                f"after learning them by heart, {hits} of {objects} objects of picture {place} are found, and "
                f"{sum(boxed)} of {sum(wanted)} in all: its losses are left out, or its detections"
            ]
    right = shifts.count(0)
    if right < settings.class_accuracy * sum(boxed):
        usual = max(set(shifts), key=shifts.count)
        by = f" (mostly off by {usual:+d})" if usual and shifts.count(usual) > len(shifts) / 2 else ""
        return [f"after learning them by heart, {right} of {sum(boxed)} found objects have the right class{by}"]
    return []


def _nearest(found: Sequence[Found], targets: Sequence[Target]) -> str:
    """Return what the surest detection and the first object look like, for the message."""
    for one, target in zip(found, targets, strict=True):
        if len(one.boxes) and len(target.boxes):
            surest, first = one.boxes[0].round().tolist(), target.boxes[0].round().tolist()
            return f" (surest detection {surest}, first object {first})"
    return " (nothing is detected)"


def _note_gradients(net: Detector, grew: dict[str, float]) -> None:
    """Keep the largest gradient of each parameter."""
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            grew[name] = max(grew.get(name, 0.0), float(parameter.grad.abs().max()))
