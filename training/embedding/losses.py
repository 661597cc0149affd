r"""What the embedder is punished for: crops of one class far apart, crops of two classes close together.

Both losses look at cosines of unit vectors z.

    margin softmax (CosFace, Wang et al., 2018), w_c a unit vector for each class that is learnt along:
        L = -log  exp(s (z.w_y - m)) / ( exp(s (z.w_y - m)) + sum_{c != y} exp(s z.w_c) )

    supervised contrast (Khosla et al., 2020), P(i) the other crops of i's class in the batch:
        L = - 1/|P(i)|  sum_{p in P(i)}  log  exp(z_i.z_p / t) / sum_{a != i} exp(z_i.z_a / t)

The first knows all classes at every step, the second compares crops with crops, as a gallery does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MarginSoftmax(nn.Module):
    """Cosine softmax over learnt class vectors.

    Args:
        classes: how many.
        dimensions: of a vector.
        scale: s, 1 / temperature.
        margin: m, by how much the right class has to win.
    """

    def __init__(self, classes: int, dimensions: int, scale: float = 20.0, margin: float = 0.2) -> None:
        super().__init__()
        self.scale, self.margin = scale, margin
        self.weight = nn.Parameter(torch.randn(classes, dimensions) / dimensions**0.5)

    def forward(self, vectors: Tensor, classes: Tensor) -> Tensor:
        """Return the mean loss of unit vectors (B, D) of `classes` (B,)."""
        cosines = vectors @ nn.functional.normalize(self.weight, dim=1).T  # (B, C)
        cosines = cosines - self.margin * nn.functional.one_hot(classes, cosines.shape[1])
        return nn.functional.cross_entropy(self.scale * cosines, classes)


def contrast(vectors: Tensor, classes: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the supervised contrastive loss of unit vectors (B, D) of `classes` (B,).

    Crops that are alone in their class push, but are not pulled.
    """
    count = len(classes)
    itself = torch.eye(count, dtype=torch.bool)
    cosines = (vectors @ vectors.T / temperature).masked_fill(itself, -torch.inf)
    same = (classes[:, None] == classes[None, :]) & ~itself
    share = torch.log_softmax(cosines, dim=1).masked_fill(~same, 0.0)
    partners = same.sum(dim=1)
    pulled = partners > 0
    if not bool(pulled.any()):
        return vectors.sum() * 0.0
    return -(share.sum(dim=1)[pulled] / partners[pulled]).mean()
