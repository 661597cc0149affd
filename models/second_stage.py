"""What a card says of a two-stage detector beyond its first graph: how proposals are chosen, and the second graph."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from core.settings import Settings


class ProposalRules(Settings):
    """How the first stage's heads become proposals; the names in brackets are torchvision's."""

    before_nms: int = Field(gt=0, description="Best anchors of each level that go on (rpn_pre_nms_top_n_test)")
    most: int = Field(gt=0, description="Proposals of one image (rpn_post_nms_top_n_test)")
    nms_iou: float = Field(gt=0, le=1, description="Overlap on one level above which one goes (rpn_nms_thresh)")
    min_score: float = Field(default=0.0, ge=0, lt=1, description="Least objectness 0..1 (rpn_score_thresh)")
    levels: tuple[int, int] = Field(description="log2 of the strides of the finest and coarsest pooled features")
    canonical_level: int = Field(default=4, description="Level that pools a proposal of the canonical size")
    canonical_size: float = Field(default=224, gt=0, description="Root of that proposal's area in input pixels")

    @model_validator(mode="after")
    def _levels_are_in_order(self) -> Self:
        if not 0 <= self.levels[0] <= self.levels[1]:
            raise ValueError(f"levels must be the finest, then the coarsest, got {list(self.levels)}")
        return self


class SecondStage(Settings):
    """The graph that looks at each proposal, and what is done with its answers."""

    file: str = Field(min_length=1, description="The .onnx file, relative to the card (or to the working folder)")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the .onnx file, checked on every load")
    proposals: ProposalRules = Field(description="How the first stage's heads become proposals")
    nms_iou: float = Field(gt=0, le=1, description="Overlap in one class above which one goes (box_nms_thresh)")
    most: int = Field(gt=0, description="Detections of one image (box_detections_per_img)")
