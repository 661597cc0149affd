"""How a classifier learns: one loop, whose every step depends on (seed, step) and the weights before it alone.

A deep or scratch run learns from changed pixels, a shallow one from the trunk's features of each photo and of its
mirror image, which are computed once: the trunk does not move, so nothing is lost but other crops. All take the same
steps with the same rule: gradient descent with momentum, at a rate that is constant or goes in triangles of the same
mean (Smith, 2017: the foot a third of the peak).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.errors import ModelError
from training.classify.nets import Classifier, Depth
from training.classify.pixels import Shown, batch_at, changed, steps_of_epoch
from training.classify.settings import RecipeSettings
from training.finetune.determinism import seed_all
from training.finetune.rates import OptimiserSettings, make_optimiser, set_rates
from training.finetune.schedules import Schedule, ScheduleSettings, make_schedule

Course = Literal["constant", "cyclical"]
#: Photos of one forward pass that learns nothing.
_AT_ONCE = 64
_DROPOUT = 3
Batch = Callable[[int], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Fitted:
    """What a run tells.

    Attributes:
        losses: mean training loss of each epoch.
        steps: optimiser steps.
        cpu_s: seconds of processor time, features of a shallow run included.
        wall_s: seconds of the clock.
    """

    losses: tuple[float, ...]
    steps: int
    cpu_s: float
    wall_s: float


def fit(
    net: Classifier,
    shown: Shown,
    depth: Depth,
    course: Course,
    rate: float,
    recipe: RecipeSettings,
    seed: int,
    steps: int | None = None,
) -> Fitted:
    """Change the weights; the net ends in inference mode.

    Args:
        net: from `make_net`; is changed.
        shown: the training photos.
        depth: what of the net learns.
        course: of the rate.
        rate: its mean.
        recipe: how it learns.
        seed: of order, changes and dropout.
        steps: how many; None: the recipe's epochs.

    Raises:
        ModelError: the loss is not finite.
    """
    began, began_cpu = time.perf_counter(), time.process_time()
    per_epoch = steps_of_epoch(len(shown), recipe.batch)
    planned = steps or recipe.epochs * per_epoch
    batch = prepare(net, shown, depth, recipe, seed)
    optimiser = optimiser_for(net, depth, rate, recipe)
    factor = course_of(course, planned, recipe)
    losses = [
        one_step(net, depth, optimiser, batch(step), factor(step), recipe, (seed, step)) for step in range(planned)
    ]
    net.eval()
    epochs = [float(np.mean(losses[at : at + per_epoch])) for at in range(0, planned, per_epoch)]
    return Fitted(
        tuple(round(loss, 6) for loss in epochs),
        planned,
        time.process_time() - began_cpu,
        time.perf_counter() - began,
    )


def prepare(net: Classifier, shown: Shown, depth: Depth, recipe: RecipeSettings, seed: int) -> Batch:
    """Fix the scale of a pretrained trunk's features; return the batches of a run as a function of the step."""
    targets = torch.from_numpy(shown.targets)
    if depth == "scratch":
        return lambda step: _pixels_of(shown, step, recipe, seed, targets)
    views = [described(net, shown, mirrored) for mirrored in ((False, True) if recipe.mirror else (False,))]
    net.fix_scale(torch.cat(views))
    if depth == "deep":
        return lambda step: _pixels_of(shown, step, recipe, seed, targets)
    scaled = torch.stack([(view - net.shift) * net.scale for view in views])

    def of_features(step: int) -> tuple[Tensor, Tensor]:
        chosen = batch_at(len(shown), step, recipe.batch, seed)
        which = np.random.default_rng([seed, step, _DROPOUT]).integers(0, len(scaled), len(chosen))
        return scaled[torch.from_numpy(which), torch.from_numpy(chosen)], targets[torch.from_numpy(chosen)]

    return of_features


def one_step(
    net: Classifier,
    depth: Depth,
    optimiser: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    factor: float,
    recipe: RecipeSettings,
    place: tuple[int, int],
) -> float:
    """Change the weights once; return the loss before.

    Raises:
        ModelError: it is not finite.
    """
    seed_all(*place, _DROPOUT)
    net.train()
    if depth == "shallow":
        net.trunk.eval()
    set_rates(optimiser, factor)
    x, y = batch
    loss = cross_entropy(net.head(x) if depth == "shallow" else net(x), y)
    if not bool(torch.isfinite(loss)):
        rate = max(group["lr"] for group in optimiser.param_groups)
        raise ModelError(f"{net.arch}, {depth}, step {place[1]}: the loss is not finite; lower --rate (now {rate:g})")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([p for p in net.parameters() if p.grad is not None], recipe.clip_norm)
    optimiser.step()
    return float(loss.detach())


def optimiser_for(net: Classifier, depth: Depth, rate: float, recipe: RecipeSettings) -> torch.optim.Optimizer:
    """Return gradient descent with momentum over what learns; early stages of a deep run are slower."""
    for parameter in net.trunk.parameters():
        parameter.requires_grad_(depth != "shallow")
    rule = OptimiserSettings(
        kind="sgd",
        rate=rate,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        depth_decay=recipe.depth_decay if depth == "deep" else 1.0,
    )
    return make_optimiser(net, rule)


def course_of(course: Course, planned: int, recipe: RecipeSettings) -> Schedule:
    """Return the factor of the mean rate as a function of the step."""
    if course == "constant":
        return make_schedule(ScheduleSettings("constant"), planned)
    half = max(1, round(planned / (2 * recipe.cycles)))
    triangles = make_schedule(
        ScheduleSettings("cyclic", half_cycle=min(half, max(1, planned - 1)), low=recipe.low), planned
    )
    return lambda step: recipe.peak * triangles(step)


@torch.inference_mode()
def described(net: Classifier, shown: Shown, mirrored: bool = False) -> Tensor:
    """Return (N, D) features of all photos, not yet shifted and scaled."""
    net.eval()
    at = np.arange(len(shown))
    parts = [net.features(shown.plain(at[i : i + _AT_ONCE], mirrored)) for i in range(0, len(at), _AT_ONCE)]
    return (torch.cat(parts) / net.scale + net.shift).clone()


@torch.inference_mode()
def probabilities(net: Classifier, shown: Shown) -> NDArray[np.float32]:
    """Return (N, C) class probabilities of all photos, as a test sees them."""
    net.eval()
    at = np.arange(len(shown))
    parts = [net(shown.plain(at[i : i + _AT_ONCE])).softmax(1) for i in range(0, len(at), _AT_ONCE)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


@torch.inference_mode()
def cpu_fps(net: Classifier, px: int, repeats: int = 15) -> float:
    """Return photos a second of processor time, one at a time: the median of some forward passes."""
    net.eval()
    x = torch.full((1, 3, px, px), 0.5)
    net(x)
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        net(x)
        taken.append(time.process_time() - began)
    return 1 / max(float(np.median(taken)), 1e-6)


def _pixels_of(shown: Shown, step: int, recipe: RecipeSettings, seed: int, targets: Tensor) -> tuple[Tensor, Tensor]:
    chosen = batch_at(len(shown), step, recipe.batch, seed)
    return changed(shown, chosen, step, recipe, seed), targets[torch.from_numpy(chosen)]
