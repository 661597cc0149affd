"""The running mean of a net's weights: what is validated and shipped (Polyak & Juditsky, 1992)."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Net = TypeVar("Net", bound=nn.Module)


class Ema(Generic[Net]):
    """Keeps `net`, the exponential moving mean of another net: of parameters and of norms' statistics.

    Args:
        net: is copied; the mean starts from its weights.
        decay: share of the mean that a step keeps, below 1; less in the first steps, see `keep_at`. 0: no mean, `net`
            is always the latest.
    """

    net: Net

    def __init__(self, net: Net, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay {decay} must be 0 or more and below 1")
        self.decay = decay
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    def keep_at(self, step: int) -> float:
        """Return the share of the mean that step `step` (0-based) keeps.

        >>> mean = Ema(nn.Linear(1, 1), 0.9)
        >>> [round(mean.keep_at(step), 2) for step in (0, 8, 1000)]
        [0.1, 0.5, 0.9]
        """
        return min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move the mean towards the net after step `step`; counters are copied.

        Norms' running statistics are means already, but of other weights than these: they are averaged along.
        """
        share = 1 - self.keep_at(step)
        latest = net.state_dict()
        for name, mean in self.net.state_dict().items():
            value = latest[name].detach()
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), share)
            else:
                mean.copy_(value)
