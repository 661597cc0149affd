"""Quick checks of a run's own optimiser and step: does it have the net's parameters, gradients, and a fit rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from training.finetune.detectors import Detector
from training.finetune.net_checks import some

#: A step may change the weights by these shares of their length: less is none, more destroys them.
LEAST_MOVE, MOST_MOVE = 1e-8, 0.5
#: A step's gradient has at least this share of the loss's length, and this cosine to it (some losses draw samples).
LEAST_GRADIENT, ALIKE = 1e-4, 0.5


def check_optimiser(net: Detector, optimiser: torch.optim.Optimizer) -> list[str]:
    """Return parameters that the optimiser lacks, has twice or has of another net, and rates that cannot work."""
    own = {id(parameter): name for name, parameter in net.named_parameters()}
    held = [id(parameter) for group in optimiser.param_groups for parameter in group["params"]]
    wrong = []
    lacking = [name for key, name in own.items() if key not in set(held) and net.get_parameter(name).requires_grad]
    if lacking:
        wrong.append(f"the optimiser lacks {len(lacking)} parameters that learn: {some(lacking)}")
    foreign = sum(key not in own for key in held)
    if foreign:
        wrong.append(f"the optimiser holds {foreign} parameters of another net: make it after the head is changed")
    if len(set(held)) < len(held):
        wrong.append("the optimiser holds a parameter twice")
    rates = [float(group["lr"]) for group in optimiser.param_groups]
    if any(not math.isfinite(rate) or rate <= 0 for rate in rates):
        wrong.append(f"learning rates {rates}: each must be above 0")
    return wrong


def check_steps(wanted: Sequence[Tensor], used: Sequence[Tensor]) -> list[str]:
    """Return how the gradients that the optimiser was given differ from those of the loss.

    Args:
        wanted: the loss's gradient before each step, in one row.
        used: the one that the optimiser found at each of its steps.
    """
    if len(used) != len(wanted):
        return [f"{len(wanted)} steps of the run made {len(used)} steps of the optimiser"]
    for step, (mine, theirs) in enumerate(zip(wanted, used, strict=True)):
        length, got = float(mine.norm()), float(theirs.norm())
        if not math.isfinite(got):
            return [f"the optimiser's gradient in step {step} is not finite"]
        if got < LEAST_GRADIENT * length:
            return [f"the gradient is clipped or scaled from {length:.3g} to {got:.3g} before the optimiser's step"]
        if got > 2 * length + 1e-6:
            return [f"the optimiser's gradient is {got:.3g} long, the loss's only {length:.3g}: not zeroed, or scaled"]
        turn = float(torch.dot(mine, theirs)) / max(length * got, 1e-12)
        if turn < ALIKE:
            return [f"the optimiser's gradient points elsewhere than the loss's (cosine {turn:.2f} in step {step})"]
    return []


def check_moves(before: dict[str, Tensor], net: Detector) -> list[str]:
    """Return whether the optimiser's own steps moved the weights, and not too far."""
    moved = length = 0.0
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            moved += float((parameter.detach() - before[name]).double().square().sum())
            length += float(before[name].double().square().sum())
    share = math.sqrt(moved / length) if length else 0.0
    if not math.isfinite(share) or share > MOST_MOVE:
        return [f"the optimiser's first steps change the weights by {share:.2g} of their length: lower the rate"]
    if share < LEAST_MOVE:
        return [f"the optimiser's first steps do not move the weights ({share:.1g}): rate, clipping or schedule is 0"]
    return []
