"""The head: two affine layers with dropout in between, above features that are first brought to mean 0, deviation 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.patches.settings import HeadSettings


@dataclass(frozen=True)
class HeadShape:
    """What rebuilds a head around its weights: lengths of feature, hidden layer and output, and the dropout."""

    features: int
    hidden: int
    outputs: int
    dropout: float


class Head(nn.Module):
    """Feature vectors (N, D) -> logits (N, outputs)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: HeadShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(shape.features))
        self.register_buffer("deviation", torch.ones(shape.features))
        self.first = nn.Linear(shape.features, shape.hidden)
        self.dropout = nn.Dropout(shape.dropout)
        self.second = nn.Linear(shape.hidden, shape.outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits."""
        hidden: Tensor = torch.relu(self.first((features - self.mean) / self.deviation))
        logits: Tensor = self.second(self.dropout(hidden))
        return logits


def fresh_head(features: NDArray[np.float32], outputs: int, settings: HeadSettings) -> Head:
    """Return a head with random weights (torch's generator) for features that are spread as these (N, D) are."""
    head = Head(HeadShape(features.shape[1], settings.hidden, outputs, settings.dropout))
    head.mean.copy_(torch.from_numpy(features.mean(axis=0, dtype=np.float64)))
    head.deviation.copy_(torch.from_numpy(features.std(axis=0, dtype=np.float64)).clamp(min=1e-3))
    return head


@torch.inference_mode()
def patch_probabilities(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (N, C) softmax probabilities of the classes; the last output, background, is left out."""
    return torch.softmax(head.eval()(torch.from_numpy(features)).double(), dim=1)[:, :-1].numpy()


@torch.inference_mode()
def whole_probabilities(head: Head, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (N, C) probabilities that a picture shows a class, each class by itself."""
    return torch.sigmoid(head.eval()(torch.from_numpy(features)).double()).numpy()
