"""Hold parts of a detector still, and let go of them one by one later on.

A frozen part neither gets gradients nor moves its norms' running statistics: these stay in inference mode through
`Detector.train`. Frozen parameters stay in the optimiser, which passes by parameters without a gradient (weight decay
included), so that letting go needs no new optimiser.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ConfigError
from training.finetune.detectors import Detector, within


@dataclass(frozen=True)
class FreezePlan:
    """What is held still, and until when.

    Attributes:
        depth: so many stages from the input on, see `Detector.stages`.
        prefixes: parameters below these names, in addition.
        until: epoch (0-based) from which everything learns; None: frozen to the end.
        one_by_one: at `until` only the deepest frozen stage is let go, one more in each epoch after it (gradual
            unfreezing; Howard & Ruder, 2018). `prefixes` go last.
    """

    depth: int = 0
    prefixes: tuple[str, ...] = ()
    until: int | None = None
    one_by_one: bool = False

    def __post_init__(self) -> None:
        if self.depth < 0 or (self.until is not None and self.until < 0):
            raise ConfigError(f"freeze depth {self.depth} until epoch {self.until}: both must be 0 or more")
        if self.one_by_one and self.until is None:
            raise ConfigError("unfreezing one by one needs the epoch at which it begins")

    def frozen_at(self, epoch: int, detector: Detector) -> tuple[str, ...]:
        """Return the prefixes that are held still in an epoch: a pure function, so that a resume finds the same.

        Raises:
            ConfigError: the depth leaves nothing that learns.
        """
        stages = detector.stages()
        if self.depth >= len(stages):
            raise ConfigError(
                f"freeze depth {self.depth}: {detector.arch} has {len(stages)} stages, and the last must learn"
            )
        depth, prefixes = self.depth, self.prefixes
        if self.until is not None and epoch >= self.until:
            let_go = epoch - self.until + 1 if self.one_by_one else depth + 1
            prefixes = prefixes if let_go <= depth else ()
            depth = max(0, depth - let_go)
        return tuple(prefix for stage in stages[:depth] for prefix in stage) + prefixes


def freeze(detector: Detector, prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """Hold the parts below `prefixes` still and let all others learn; return the frozen parameters' names.

    Raises:
        ConfigError: a prefix that is no part of the detector, or nothing is left that learns.
    """
    names = [name for name, _ in detector.named_parameters()] + [name for name, _ in detector.named_buffers()]
    # torchvision's parts without parameters (a ReLU) are named in stages, too.
    parts = {name for name, _ in detector.named_modules()}
    unknown = [prefix for prefix in prefixes if prefix not in parts and not any(within(n, (prefix,)) for n in names)]
    if unknown:
        tops = sorted({".".join(name.split(".")[:3]) for name in names})
        raise ConfigError(f"cannot freeze {', '.join(unknown)}: {detector.arch} has {', '.join(tops)}")
    frozen = []
    for name, parameter in detector.named_parameters():
        held = within(name, prefixes)
        parameter.requires_grad_(not held)
        if held:
            parameter.grad = None
            frozen.append(name)
    if len(frozen) == sum(1 for _ in detector.parameters()):
        raise ConfigError(f"freezing {', '.join(prefixes)} leaves nothing of {detector.arch} that learns")
    detector.frozen = prefixes
    detector.train(detector.training)
    return tuple(frozen)
