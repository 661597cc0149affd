"""Settings that every study of classifiers shares: which photos, and how nets learn from them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from core.settings import Settings


class PhotoSettings(Settings):
    """Which photos take part, and which of them are the test part."""

    level: Literal["coarse", "fine"] = Field(default="coarse", description="Which classes are told apart")
    classes: tuple[str, ...] = Field(default=(), description="Names of the classes; empty: those with most photos")
    most_classes: int = Field(default=12, ge=2, le=10000, description="How many of these, where none are named")
    most_photos: int = Field(default=40, ge=2, description="Most photos of a class, drawn by content")
    least_photos: int = Field(default=6, ge=2, description="A class with fewer photos cannot take part")
    test: float = Field(default=0.35, gt=0, lt=1, description="Share of each class that is the test part")


class RecipeSettings(Settings):
    """How nets learn; the same budget for all."""

    px: int = Field(default=64, ge=32, le=512, description="Side of the square that photos are cut to")
    epochs: int = Field(default=12, ge=1, le=10000, description="Passes over the training photos")
    batch: int = Field(default=16, ge=2, le=4096, description="Photos of a step")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of stochastic gradient descent")
    weight_decay: float = Field(default=5e-4, ge=0, le=1, description="Of weights; norms and biases never decay")
    depth_decay: float = Field(default=0.5, gt=0, le=1, description="deep: factor of the rate per stage off the head")
    rate: float | None = Field(default=None, gt=0, le=10, description="Mean learning rate; none: found by a range test")
    cycles: int = Field(default=2, ge=1, le=100, description="cyclical: triangles over the whole run")
    low: float = Field(default=1 / 3, ge=0, lt=1, description="cyclical: foot of a triangle, as a share of its peak")
    crop: float = Field(default=0.5, gt=0, le=1, description="Least share of a photo's area that training looks at")
    mirror: bool = Field(default=True, description="Whether training may mirror photos")
    clip_norm: float = Field(default=5.0, gt=0, description="Longest gradient")

    @model_validator(mode="after")
    def _peak(self) -> Self:
        if self.rate is not None and self.rate * self.peak > 10:
            raise ValueError(f"rate {self.rate:g}: its triangles would peak at {self.rate * self.peak:g}; at most 10")
        return self

    @property
    def peak(self) -> float:
        """Peak of a triangle whose mean is 1."""
        return 2 / (1 + self.low)
