"""Take weights over from another net, layer by layer: by name, or by shape and order where names tell nothing.

What was loaded, what had another shape, what the source lacks and what it has too much is all named in the report, so
that a transfer which loaded half a net does not pass for one that loaded it all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import ModelMismatch

#: Counters that old or frozen norms do not have; their absence is no mismatch.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class ByName:
    """Match tensors by name.

    Attributes:
        accept: which of the target's names take part: a prefix ends with ".", everything else is a regular expression
            that has to match from the start; or a function of the name. "" is all.
        rename: (old, new) prefixes, the first that fits a source name is exchanged; old "" puts new in front.
    """

    accept: str | Callable[[str], bool] = ""
    rename: tuple[tuple[str, str], ...] = ()

    def takes(self, name: str) -> bool:
        """Return whether a target's name takes part."""
        if callable(self.accept):
            return self.accept(name)
        if self.accept == "" or self.accept.endswith("."):
            return name.startswith(self.accept)
        return re.match(self.accept, name) is not None

    def renamed(self, name: str) -> str:
        """Return what a source's name is called in the target.

        >>> ByName(rename=(("features.", "net.backbone."),)).renamed("features.0.weight")
        'net.backbone.0.weight'
        """
        for old, new in self.rename:
            if name.startswith(old):
                return new + name[len(old) :]
        return name


@dataclass(frozen=True)
class ByShape:
    """Match whole layers (a convolution, a norm) by the names and shapes of their tensors, in order.

    The longest common subsequence of both nets' layers is taken over: layers that one of them lacks are passed by.

    Attributes:
        accept: as of `ByName`: which of the target's names take part.
    """

    accept: str | Callable[[str], bool] = ""

    def takes(self, name: str) -> bool:
        """Return whether a target's name takes part."""
        return ByName(self.accept).takes(name)


Rule = ByName | ByShape


@dataclass(frozen=True)
class Mismatch:
    """Two tensors that belong together and differ in shape."""

    name: str
    shape: tuple[int, ...]
    source_name: str
    source_shape: tuple[int, ...]


@dataclass(frozen=True)
class TransferReport:
    """What a transfer did; names are the target's, but for `unexpected`.

    Attributes:
        loaded: (target name, source name) of each tensor taken over.
        mismatched: tensors of another shape, left as they were.
        missing: tensors that take part and that the source lacks, left as they were.
        unexpected: tensors of the source that nothing took.
        with_state: parameters whose optimiser state was taken over, too.
    """

    loaded: tuple[tuple[str, str], ...]
    mismatched: tuple[Mismatch, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    with_state: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing was left over on either side."""
        return not (self.mismatched or self.missing or self.unexpected)

    def lines(self, most: int = 5) -> list[str]:
        """Return the report for people, at most `most` names of each kind."""
        told = [f"{len(self.loaded)} tensors loaded"]
        if self.with_state:
            told.append(f"{len(self.with_state)} of them with optimiser state")
        unlike = [f"{m.name} {list(m.shape)} from {m.source_name} {list(m.source_shape)}" for m in self.mismatched]
        kinds = (("of another shape", unlike), ("missing", self.missing), ("unexpected", self.unexpected))
        for kind, names in kinds:
            if names:
                more = f" and {len(names) - most} more" if len(names) > most else ""
                told.append(f"{len(names)} {kind}: {', '.join(names[:most])}{more}")
        return told


@dataclass(frozen=True)
class OptimiserState:
    """Another run's optimiser, and the names of its parameters.

    Attributes:
        state: its `state_dict()`.
        names: its parameters' names in the order of its groups; () when the state holds them (an optimiser that was
            made from named parameters, as `rates.make_optimiser` does).
    """

    state: Mapping[str, Any]
    names: tuple[str, ...] = ()

    def by_name(self) -> dict[str, Mapping[str, Any]]:
        """Return the state of each parameter that has one.

        Raises:
            ModelMismatch: the state does not tell its names, or not as many as it has parameters.
        """
        groups: Sequence[Mapping[str, Any]] = self.state["param_groups"]
        places = [place for group in groups for place in group["params"]]
        names = list(self.names) or [name for group in groups for name in group.get("param_names", ())]
        if len(names) != len(places):
            raise ModelMismatch(
                f"an optimiser of {len(places)} parameters and {len(names)} names for them: give the names in the "
                "order of its groups, or transfer without optimiser state"
            )
        entries = self.state["state"]
        return {name: entries[place] for name, place in zip(names, places, strict=True) if place in entries}


def transfer(
    target: nn.Module,
    source: Mapping[str, Tensor],
    rule: Rule,
    strict: bool = False,
    optimiser: torch.optim.Optimizer | None = None,
    source_optimiser: OptimiserState | None = None,
) -> TransferReport:
    """Copy the source's tensors that `rule` gives to the target, and on request what its optimiser knows of them.

    Args:
        target: the net that is changed.
        source: a state dict.
        rule: what belongs together.
        strict: refuse, before anything is changed, unless everything that takes part is loaded and nothing is left.
        optimiser: of the target; gets momentum buffers or moments of the transferred parameters.
        source_optimiser: where they come from.

    Raises:
        ModelMismatch: nothing fits at all, or `strict` and something was left; names it.
    """
    own = target.state_dict(keep_vars=True)
    pairs = _pairs_by_name(own, source, rule) if isinstance(rule, ByName) else _pairs_by_shape(own, source, rule)
    fits = {name: got for name, got in pairs.items() if own[name].shape == source[got].shape}
    mismatched = [
        Mismatch(name, tuple(own[name].shape), got, tuple(source[got].shape))
        for name, got in pairs.items()
        if name not in fits
    ]
    missing = [name for name in own if rule.takes(name) and name not in pairs and not name.endswith(COUNTER)]
    taken = set(pairs.values())
    unexpected = [name for name in source if name not in taken and not name.endswith(COUNTER)]
    report = TransferReport(tuple(fits.items()), tuple(mismatched), tuple(missing), tuple(unexpected))
    if strict and not report.whole:
        raise ModelMismatch("the weights do not fit: " + "; ".join(report.lines()[1:]))
    if not any(not name.endswith(COUNTER) for name in fits):
        raise ModelMismatch("no tensor of the weights fits: " + "; ".join(report.lines()[1:]))
    with torch.no_grad():
        for name, got in fits.items():
            own[name].copy_(source[got])
    if optimiser is None or source_optimiser is None:
        return report
    with_state = _transfer_state(own, fits, optimiser, source_optimiser)
    return TransferReport(report.loaded, report.mismatched, report.missing, report.unexpected, with_state)


def _pairs_by_name(own: Mapping[str, Tensor], source: Mapping[str, Tensor], rule: ByName) -> dict[str, str]:
    """Return source names by target names."""
    renamed = {rule.renamed(name): name for name in source}
    return {name: renamed[name] for name in own if rule.takes(name) and name in renamed}


def _pairs_by_shape(own: Mapping[str, Tensor], source: Mapping[str, Tensor], rule: ByShape) -> dict[str, str]:
    """Return source names by target names for the longest common subsequence of layers."""
    ours = _layers({name: tensor for name, tensor in own.items() if rule.takes(name)})
    theirs = _layers(source)
    a, b = [kind for _, kind in ours], [kind for _, kind in theirs]
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]  # of a[i:] and b[j:]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            longest[i][j] = longest[i + 1][j + 1] + 1 if a[i] == b[j] else max(longest[i + 1][j], longest[i][j + 1])
    pairs: dict[str, str] = {}
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            for leaf, _ in a[i]:
                pairs[_joined(ours[i][0], leaf)] = _joined(theirs[j][0], leaf)
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


Kind = tuple[tuple[str, tuple[int, ...]], ...]


def _layers(tensors: Mapping[str, Tensor]) -> list[tuple[str, Kind]]:
    """Return each layer's name with its tensors' names and shapes, in order; counters are left out."""
    layers: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for name, tensor in tensors.items():
        parent, _, leaf = name.rpartition(".")
        if leaf != COUNTER:
            layers.setdefault(parent, []).append((leaf, tuple(tensor.shape)))
    return [(name, tuple(sorted(kind))) for name, kind in layers.items()]


def _joined(parent: str, leaf: str) -> str:
    return f"{parent}.{leaf}" if parent else leaf


def _transfer_state(
    own: Mapping[str, Tensor], fits: Mapping[str, str], optimiser: torch.optim.Optimizer, source: OptimiserState
) -> tuple[str, ...]:
    """Copy the optimiser's state of the loaded parameters; return their names."""
    known = source.by_name()
    held = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    done = []
    for name, got in fits.items():
        parameter = own[name]
        if id(parameter) not in held or got not in known:
            continue
        optimiser.state[parameter] = {key: _copied(value, parameter) for key, value in known[got].items()}
        done.append(name)
    return tuple(done)


def _copied(value: Any, parameter: Tensor) -> Any:
    """Return a copy of a piece of state; what has the parameter's shape goes to its device, counters stay."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(parameter.device) if value.shape == parameter.shape else value.detach().clone()
    return value
