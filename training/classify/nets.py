"""A classifier: a trunk, what its features are shifted and scaled by, and one affine layer of our classes.

Depths of learning, as the studies mean them:

    shallow   the pretrained trunk stays as it is, norms' statistics included; the affine layer learns
    deep      everything learns, early stages slower than late ones (discriminative rates; Howard & Ruder, 2018)
    scratch   everything learns from freshly drawn weights; no file of weights is opened
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from core.errors import ConfigError, ModelMismatch
from training.classify.zoo import Entry, Member, fresh_trunk, head_names
from training.finetune.determinism import seed_all
from training.finetune.pretrained import read_weights
from training.finetune.transfer import COUNTER, ByName, transfer

Depth = Literal["shallow", "deep", "scratch"]
#: Stages that a trunk's blocks are shared out to, from the input on.
STAGES = 4
_WEIGHTS, _HEAD = 1, 2


class Classifier(nn.Module):
    """A trunk with a head of our classes.

    Args:
        member: which trunk.
        trunk: with its weights.
        width: of the trunk's features.
        classes: how many.
    """

    shift: Tensor
    scale: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, member: Member, trunk: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.member = member
        self.trunk = trunk
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.weight, std=0.01)
        # Of the features; fixed before learning, so that one rate suits the heads of all trunks.
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        mean, deviation = member.pixels
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    @property
    def arch(self) -> str:
        """The trunk's name."""
        return self.member.arch

    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Return the prefixes of each stage's parameters, from the input on; the head is the last."""
        blocks = _blocks(self.trunk)
        count = min(STAGES, len(blocks))
        cut = [tuple(f"trunk.{name}" for name in blocks[i * len(blocks) // count : (i + 1) * len(blocks) // count])
               for i in range(count)]  # fmt: skip
        return (*cut, ("head",))

    def features(self, x: Tensor) -> Tensor:
        """Return (N, D) features of pictures (N, 3, H, W), RGB 0..1, shifted and scaled."""
        x = x.flip(1) if self.member.swapped else x
        described: Tensor = self.trunk((x - self.mean) / self.deviation)
        return (described - self.shift) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C) logits of pictures (N, 3, H, W), RGB 0..1."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def fix_scale(self, described: Tensor) -> None:
        """Shift and scale the features so that these, (N, D) and not yet scaled, have mean 0 and deviation 1."""
        deviation = described.std(dim=0)
        floor = 0.1 * float(deviation.mean()) + 1e-6
        self.shift.copy_(described.mean(dim=0))
        self.scale.copy_(1 / deviation.clamp(min=floor))


def make_net(entry: Entry, depth: Depth, classes: int, px: int, seed: int) -> Classifier:
    """Build a classifier with its first weights; those of a scratch net depend on architecture and seed alone.

    Raises:
        ConfigError: the net cannot take pictures of `px`, or has no weights and is not from scratch.
        ModelNotFound: the file of weights is missing.
        ModelMismatch: it holds other weights.
    """
    seed_all(seed, _WEIGHTS)
    trunk = fresh_trunk(entry.member.arch)
    if depth != "scratch":
        if entry.weights is None:
            raise ConfigError(f"{entry.member.arch}: no weights to start from; give --weights {entry.member.arch}=FILE")
        load_trunk(trunk, entry.member, entry.weights)
    width = _width(trunk, entry.member, px)
    seed_all(seed, _HEAD)
    return Classifier(entry.member, trunk, width, classes)


def load_trunk(trunk: nn.Module, member: Member, path: Path) -> None:
    """Fill a trunk from a file of weights, whole; what the file holds beyond it may only be its head.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: it does not fit.
    """
    try:
        report = transfer(trunk, read_weights(path).state, ByName())
    except ModelMismatch as err:
        raise ModelMismatch(f"{path}: not the weights of {member.arch}: {err}") from err
    heads = head_names(member)
    strange = [name for name in report.unexpected if not name.startswith(heads)]
    if report.missing or report.mismatched or strange:
        told = "; ".join(report.lines(3)[1:])
        raise ModelMismatch(f"{path}: not the weights of {member.arch}: {told}; name its net, as --weights ARCH=FILE")


def trunk_sha256(net: Classifier) -> str:
    """Return the hash of a trunk's tensors, norms' statistics and counters included."""
    digest = hashlib.sha256()
    for name, tensor in net.trunk.state_dict().items():
        digest.update(name.encode() + b"\0" + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def shared_tensors(net: Classifier, path: Path) -> tuple[str, ...]:
    """Return the names of a trunk's tensors whose bytes are also in a file of weights: none, in a scratch net.

    Tensors that hold one value throughout (a fresh norm's zeros and ones, counters) cannot tell and are passed over.
    """
    theirs = {tensor.numpy().tobytes() for tensor in read_weights(path).state.values()}

    def telling(name: str, tensor: Tensor) -> bool:
        return not name.endswith(COUNTER) and bool((tensor != tensor.flatten()[0]).any())

    own = net.trunk.state_dict().items()
    return tuple(name for name, tensor in own if telling(name, tensor) and tensor.numpy().tobytes() in theirs)


def _blocks(trunk: nn.Module) -> list[str]:
    """Return the names of a trunk's blocks that hold parameters, from the input on; containers are opened once."""
    blocks = []
    for name, module in trunk.named_children():
        inner = [(n, m) for n, m in module.named_children() if any(True for _ in m.parameters())]
        if isinstance(module, nn.Sequential) and len(inner) > 1:
            blocks += [f"{name}.{n}" for n, _ in inner]
        elif any(True for _ in module.parameters()):
            blocks.append(name)
    return blocks


@torch.no_grad()
def _width(trunk: nn.Module, member: Member, px: int) -> int:
    """Return how many features a trunk gives, by asking it.

    Raises:
        ConfigError: it cannot take pictures of that size.
    """
    trunk.eval()
    try:
        described = trunk(torch.zeros(1, 3, px, px))
    except (RuntimeError, AssertionError) as err:
        told = str(err).splitlines()[0][:160]
        raise ConfigError(f"{member.arch} cannot take pictures of {px}x{px} ({told}); give another --size") from err
    if described.ndim != 2:
        raise ConfigError(f"{member.arch} does not end in one vector a picture; name another net")
    return int(described.shape[1])
