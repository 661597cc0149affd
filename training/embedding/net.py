"""The embedder's net: SqueezeNet 1.1's features, pooled on three levels, one linear map, unit length.

    x (B, 3, S, S) -> fire 3, 5, 9 -> pooled: mean, mean, GeM with a learnt p -> (B, 128 + 256 + 512)
      -> batch norm -> linear (B, D) -> x / |x|

SqueezeNet (Iandola et al., 2016) is 0.7 M parameters and 2 ms a crop. Its last level knows what things are; the early
ones keep colour and grain, which tell tomato soup from pea soup. Generalised mean pooling: Radenovic et al., 2018.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from core.errors import ModelMismatch, ModelNotFound

#: Where the levels end in torchvision's `features`, and how many channels they have.
_LEVELS = ((0, 5, 128), (5, 8, 256), (8, 13, 512))
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class EmbedderShape:
    """What fixes the net: length of its vectors, and whether the early levels are looked at, too."""

    dimensions: int = 256
    early: bool = True


class EmbedderNet(nn.Module):
    """Crops (B, 3, S, S), float 0..255 RGB, to unit vectors (B, D)."""

    def __init__(self, shape: EmbedderShape) -> None:
        super().__init__()
        self.shape = shape
        features = torchvision.models.squeezenet1_1(weights=None).features
        self.levels = nn.ModuleList(nn.Sequential(*list(features)[a:b]) for a, b, _ in _LEVELS)
        self.power = nn.Parameter(torch.tensor(2.5))
        width = sum(channels for _, _, channels in _LEVELS) if shape.early else _LEVELS[-1][2]
        self.norm = nn.BatchNorm1d(width)
        self.map = nn.Linear(width, shape.dimensions, bias=False)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return unit vectors (B, D)."""
        return nn.functional.normalize(self.raw((x - self.mean) / self.std), dim=1, eps=1e-6)

    def raw(self, x: Tensor) -> Tensor:
        """Return vectors (B, D) of normalised pixels, before they are made unit."""
        pooled = []
        for level in self.levels:
            x = level(x)
            pooled.append(x.mean(dim=(2, 3)))
        p = self.power.clamp(1.0, 6.0)
        # Values are 0 or more after ReLU; the floor keeps the slope of x^(1/p) finite.
        pooled[-1] = x.clamp(min=1e-4).pow(p).mean(dim=(2, 3)).pow(1.0 / p)
        parts = pooled if self.shape.early else pooled[-1:]
        vectors: Tensor = self.map(self.norm(torch.cat(parts, dim=1)))
        return vectors


class ExportNet(nn.Module):
    """The net as it ships: the card's mean and std are applied before it."""

    def __init__(self, net: EmbedderNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Return unit vectors (B, D) of normalised pixels (B, 3, S, S)."""
        return nn.functional.normalize(self.net.raw(x), dim=1, eps=1e-6)


def load_trunk(net: EmbedderNet, path: Path) -> None:
    """Start the levels from torchvision's weights of SqueezeNet 1.1.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: the file holds something else.
    """
    if not path.is_file():
        raise ModelNotFound(f"{path}: no such weights; give a state dict of torchvision's squeezenet1_1 with --init")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        whole = torchvision.models.squeezenet1_1(weights=None)
        whole.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError, OSError, EOFError) as err:
        raise ModelMismatch(f"{path}: not a state dict of torchvision's squeezenet1_1 ({type(err).__name__})") from err
    for level, (first, last, _) in zip(net.levels, _LEVELS, strict=True):
        level.load_state_dict(nn.Sequential(*list(whole.features)[first:last]).state_dict())


def described(shape: EmbedderShape) -> dict[str, int | bool]:
    """Return the shape as run.json keeps it."""
    return asdict(shape)
