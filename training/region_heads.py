"""Faster R-CNN as two graphs with raw heads; what happens between and behind them is `models/regions.py`.

The first graph is backbone and region proposal network, the second pools the proposals and rates them. Which level of
the pyramid a proposal is pooled from is an input, so that torch and ONNX Runtime cannot disagree on a tie; each
proposal is pooled from every level, and the right one taken: nothing in a graph depends on what a picture shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from core.errors import ModelMismatch
from models.card import InputSpec
from models.second_stage import ProposalRules
from models.two_stage import FEATURES


@dataclass(frozen=True)
class RegionHeads:
    """The second stage as it is exported.

    Attributes:
        net: proposals (B, K, 4), levels (B, K), features -> regression (B, K, 4 C), logits (B, K, 1 + C).
        features: names of its pooled feature maps, finest first; the first graph gives them.
        proposals: how the first stage's heads become proposals.
        nms_iou: overlap in one class above which one detection goes.
        most: detections of one image.
    """

    net: nn.Module
    features: tuple[str, ...]
    proposals: ProposalRules
    nms_iou: float
    most: int

    def card_fields(self, file: str, sha256: str) -> Mapping[str, Any]:
        """Return what a card says of the second stage."""
        rules = self.proposals.model_dump(mode="json", exclude_defaults=True)
        return {"file": file, "sha256": sha256, "proposals": rules, "nms_iou": self.nms_iou, "most": self.most}


class FirstStage(nn.Module):
    """Images (B, 3, H, W) -> the pooled feature maps, objectness (B, A) and regression (B, A, 4) of the anchors."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.backbone, self.head = net.backbone, net.rpn.head
        # Names of more levels than the pyramid has: torchvision passes over those, too.
        self._pooled = frozenset(net.roi_heads.box_roi_pool.featmap_names)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs; anchors go level by level, row by row, size by size."""
        features = self.backbone(images)
        objectness, regression = self.head(list(features.values()))
        logits = [level.permute(0, 2, 3, 1).flatten(1) for level in objectness]
        moves = [level.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)) for level in regression]
        pooled = [features[name] for name in features if name in self._pooled]
        return (*pooled, torch.cat(logits, dim=1), torch.cat(moves, dim=1))


class SecondStage(nn.Module):
    """Pools each proposal and rates it. The weights of the box code are folded in, the background's boxes left out."""

    weights: Tensor

    def __init__(self, heads: Any, scales: Sequence[float]) -> None:
        super().__init__()
        pool = heads.box_roi_pool
        self.head, self.predictor = heads.box_head, heads.box_predictor
        self._scales, self._side, self._samples = tuple(scales), pool.output_size, pool.sampling_ratio
        self.register_buffer("weights", torch.tensor(heads.box_coder.weights), persistent=False)

    def forward(self, proposals: Tensor, levels: Tensor, *features: Tensor) -> tuple[Tensor, Tensor]:
        """Return regression (B, K, 4 C) and logits (B, K, 1 + C)."""
        images, places = proposals.shape[:2]
        image = torch.arange(images, device=proposals.device, dtype=proposals.dtype)[:, None, None]
        rois = torch.cat([image.expand(images, places, 1), proposals], dim=2).flatten(0, 1)
        level = levels.flatten()[:, None, None, None]
        pooled = self._pool(features[0], rois, 0)
        for at in range(1, len(features)):
            pooled = torch.where(level == at, self._pool(features[at], rois, at), pooled)
        logits, regression = self.predictor(self.head(pooled))
        moves = regression.unflatten(1, (-1, 4))[:, 1:] / self.weights
        return moves.flatten(1).unflatten(0, (images, places)), logits.unflatten(0, (images, places))

    def _pool(self, features: Tensor, rois: Tensor, at: int) -> Tensor:
        pooled: Tensor = roi_align(features, rois, self._side, self._scales[at], self._samples)
        return pooled


@torch.no_grad()
def region_heads(net: Any, spec: InputSpec) -> tuple[FirstStage, RegionHeads]:
    """Return both stages of a Faster R-CNN, ready to be exported.

    Raises:
        ModelMismatch: its pooling is not what the product's numpy knows.
    """
    rpn, heads = net.rpn, net.roi_heads
    pool = heads.box_roi_pool
    first = FirstStage(net).eval()
    *features, _, _ = first(torch.zeros(1, 3, spec.height, spec.width))
    # The rule of torchvision's MultiScaleRoIAlign: the power of two that is nearest to features per pixel.
    octaves = [round(math.log2(feature.shape[2] / spec.height)) for feature in features]
    finest, coarsest = -octaves[0], -octaves[-1]
    if finest < 0 or coarsest < finest or (coarsest - finest) >= len(features):
        strides = ", ".join(str(2**-octave) for octave in octaves)
        raise ModelMismatch(f"features of strides {strides} are no pyramid; such a net cannot be exported")
    rules = ProposalRules(
        before_nms=rpn._pre_nms_top_n["testing"],
        most=rpn._post_nms_top_n["testing"],
        nms_iou=rpn.nms_thresh,
        min_score=rpn.score_thresh,
        levels=(finest, coarsest),
        canonical_level=pool.canonical_level,
        canonical_size=pool.canonical_scale,
    )
    names = tuple(f"{FEATURES}{at}" for at in range(len(features)))
    second = SecondStage(heads, [2.0**octave for octave in octaves]).eval()
    return first, RegionHeads(second, names, rules, heads.nms_thresh, heads.detections_per_img)
