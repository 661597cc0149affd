"""All settings of a patch study; what a run depends on is here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from core.settings import Settings


class SamplerSettings(Settings):
    """Which patches there are, what they are called, and which are learnt from."""

    scales: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        default=(1, 2, 3, 4, 5), min_length=1, description="Patches have the side (min(width, height) - 1) / scale"
    )
    stride: float = Field(default=0.5, ge=0.1, le=1.0, description="From patch to patch, in sides")
    most: int = Field(default=448, ge=16, le=4096, description="Most patches of one picture")
    least_of_patch: float = Field(default=0.2, gt=0, le=1, description="Share of the patch that an object must cover")
    least_of_object: float = Field(default=0.6, gt=0, le=1, description="Share of the object that must be inside")
    background: float = Field(default=1.0, ge=0, le=20, description="Most background, in patches of objects")
    lone_background: int = Field(default=16, ge=0, description="Background from a picture without objects")

    @field_validator("scales")
    @classmethod
    def _rising(cls, scales: tuple[int, ...]) -> tuple[int, ...]:
        if list(scales) != sorted(set(scales)):
            raise ValueError("scales must rise, each named once")
        return scales


class BackboneSettings(Settings):
    """The fixed net that describes patches."""

    arch: Literal["squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small"] = Field(
        default="squeezenet1_1", description="torchvision's name; its `features`, averaged over the picture"
    )
    patch_px: int = Field(default=96, ge=32, le=448, description="What a patch is scaled to")
    whole_px: int = Field(default=448, ge=32, le=896, description="What the whole picture is scaled to (baseline)")


class HeadSettings(Settings):
    """The net above the features, and how it learns."""

    hidden: int = Field(default=256, ge=4, le=4096, description="Outputs of the first affine layer")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="Share of them that is dropped in training")
    optimiser: Literal["sgd", "adamw"] = Field(default="sgd", description="SGD with momentum 0.9, or AdamW")
    rate: float = Field(default=0.02, gt=0, le=10, description="Learning rate at the start")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="Course of the rate over the rounds")
    weight_decay: float = Field(default=5e-4, ge=0, le=1, description="Weight decay")
    batch: int = Field(default=256, ge=1, le=65536, description="Feature vectors a step")
    rounds: int = Field(default=40, ge=1, le=10000, description="Passes over the pictures; each draws background anew")
    history: int = Field(default=20, ge=1, le=1000, description="Checkpoints kept: those of the last rounds")


class StudySettings(Settings):
    """A whole study."""

    sampler: SamplerSettings = Field(default=SamplerSettings(), description="Patches")
    backbone: BackboneSettings = Field(default=BackboneSettings(), description="Features")
    head: HeadSettings = Field(default=HeadSettings(), description="The net above them")
    exponents: tuple[Annotated[float, Field(gt=0, le=64)], ...] = Field(
        default=(1, 2, 3, 5, 8, 12), min_length=1, description="e of S(i, c) = Σ P(j, c)^e; chosen on validation"
    )
    validation: float = Field(default=0.2, gt=0, lt=1, description="Share of the pictures learnt from, to choose by")
    seed: int = Field(default=1, ge=0, lt=2**31, description="Of first weights, draws and dropout")
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of torch")
    draws: int = Field(default=1000, ge=10, le=100000, description="Bootstrap draws of an interval")
