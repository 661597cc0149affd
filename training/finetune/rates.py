"""Which parameters learn how fast: groups for decay and for discriminative rates, and the optimiser over them.

Norms and biases do not decay: pulling them to zero only fights the data. Earlier layers of a pretrained net hold
general features and need smaller steps than a new head (Howard & Ruder, 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from core.errors import ConfigError
from training.finetune.detectors import within


class Staged(Protocol):
    """A net whose parameters lie in stages, such as a `Detector`."""

    @property
    def arch(self) -> str:
        """The architecture's name."""
        ...

    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Return the prefixes of each stage's parameters, from the input on."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Return names and parameters, as torch does."""
        ...

    def named_modules(self) -> Iterator[tuple[str, torch.nn.Module]]:
        """Return names and modules, as torch does."""
        ...


@dataclass(frozen=True)
class OptimiserSettings:
    """What an optimiser is made of.

    Attributes:
        kind: "sgd" (with momentum) or "adamw" (Loshchilov & Hutter, 2019).
        rate: learning rate of the head, before the schedule's factor.
        weight_decay: of weights; norms and biases never decay.
        momentum: of SGD, and the first beta of AdamW.
        second_beta: of AdamW.
        nesterov: of SGD.
        depth_decay: factor of the rate for each stage further from the head; 1 is none.
        factors: (prefix, factor of the rate): the longest prefix that fits a name wins, and replaces `depth_decay`.
    """

    kind: Literal["sgd", "adamw"] = "adamw"
    rate: float = 1e-3
    weight_decay: float = 0.02
    momentum: float = 0.9
    second_beta: float = 0.999
    nesterov: bool = False
    depth_decay: float = 1.0
    factors: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("sgd", "adamw"):
            raise ConfigError(f"optimiser {self.kind!r} is not known; use sgd or adamw")
        if self.rate <= 0 or self.weight_decay < 0 or not 0 < self.depth_decay <= 1:
            raise ConfigError("rate must be above 0, weight_decay 0 or more, depth_decay above 0 and at most 1")
        if not 0 <= self.momentum < 1 or not 0 <= self.second_beta < 1:
            raise ConfigError("momentum and second_beta must be 0 or more and below 1")
        if any(factor < 0 for _, factor in self.factors):
            raise ConfigError("factors of the rate must be 0 or more; to hold a part still, freeze it")


def parameter_groups(detector: Staged, settings: OptimiserSettings) -> list[dict[str, Any]]:
    """Return the optimiser's groups, one for each rate and decay, all parameters of the detector in them once.

    Each group holds `params` as (name, parameter), `lr`, `weight_decay` and `base_rate`, from which `set_rates` makes
    `lr`. Frozen parameters are in, too: they have no gradient until they are let go.

    Raises:
        ConfigError: a prefix of `factors` fits no parameter.
    """
    named = list(detector.named_parameters())
    for prefix, _ in settings.factors:
        if not any(within(name, (prefix,)) for name, _ in named):
            raise ConfigError(f"rate factor of {prefix!r}: {detector.arch} has no such part")
    stages = detector.stages()
    norms = norm_parameters(detector)
    groups: dict[tuple[float, bool], list[tuple[str, Tensor]]] = {}
    for name, parameter in named:
        decays = parameter.ndim > 1 and name not in norms
        groups.setdefault((_factor(name, stages, settings), decays), []).append((name, parameter))
    return [
        {
            "params": members,
            "lr": settings.rate * factor,
            "base_rate": settings.rate * factor,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (factor, decays), members in groups.items()
    ]


def norm_parameters(net: Staged) -> set[str]:
    """Return the names of all parameters of norms."""
    kinds = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.GroupNorm, torch.nn.LayerNorm)
    return {
        f"{name}.{leaf}" if name else leaf
        for name, module in net.named_modules()
        if isinstance(module, kinds)
        for leaf, _ in module.named_parameters(recurse=False)
    }


def make_optimiser(detector: Staged, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Build the optimiser over `parameter_groups`; its state dict knows the parameters' names."""
    groups = parameter_groups(detector, settings)
    if settings.kind == "sgd":
        return torch.optim.SGD(groups, lr=settings.rate, momentum=settings.momentum, nesterov=settings.nesterov)
    return torch.optim.AdamW(groups, lr=settings.rate, betas=(settings.momentum, settings.second_beta))


def set_rates(optimiser: torch.optim.Optimizer, factor: float, momentum: float | None = None) -> None:
    """Set each group's rate to `factor` times its base, and the momentum (or first beta) where one is given."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_rate"] * factor
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def _factor(name: str, stages: tuple[tuple[str, ...], ...], settings: OptimiserSettings) -> float:
    fitting = [(len(prefix), factor) for prefix, factor in settings.factors if within(name, (prefix,))]
    if fitting:
        return max(fitting)[1]
    place = next((i for i, stage in enumerate(stages) if within(name, stage)), len(stages) - 1)
    return settings.depth_decay ** (len(stages) - 1 - place)
