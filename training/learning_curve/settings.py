"""All settings of a learning curve; what a run depends on is here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from core.settings import Settings
from training.classify.settings import PhotoSettings, RecipeSettings

Start = Literal["pretrained", "scratch"]
STARTS: tuple[Start, ...] = ("pretrained", "scratch")


class DetectionSettings(Settings):
    """How a detector learns at each point; the loop is that of `traylane train`."""

    arch: str = Field(default="traynet", min_length=1, description="Its name")
    size: tuple[int, int] = Field(default=(256, 256), description="Width and height that pictures are fitted into")
    batch: int = Field(default=8, ge=1, description="Pictures of a step")
    rate: float = Field(default=2e-3, gt=0, le=1, description="Peak learning rate")


class CurveSettings(Settings):
    """A whole learning curve."""

    task: Literal["classification", "detection"] = Field(default="classification", description="What is learnt")
    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(0.125, 0.25, 0.5, 1.0), min_length=2, description="Of the training photos; a smaller one lies within"
    )
    starts: tuple[Start, ...] = Field(default=STARTS, min_length=1, description="From real weights, from nothing")
    steps: int = Field(default=120, ge=2, le=1000000, description="Optimiser steps of every run, whatever its photos")
    model: str = Field(default="squeezenet1_1", min_length=1, description="classification: net of the zoo")
    depth: Literal["shallow", "deep"] = Field(
        default="deep", description="classification: what a pretrained net learns"
    )
    photos: PhotoSettings = Field(default=PhotoSettings(), description="classification: which photos")
    recipe: RecipeSettings = Field(default=RecipeSettings(), description="classification: how nets learn")
    detector: DetectionSettings = Field(default=DetectionSettings(), description="detection: how detectors learn")
    seeds: int = Field(default=3, ge=1, le=100, description="Runs of each point; each draws photos of its own")
    draws: int = Field(default=1000, ge=10, le=100000, description="Bootstrap draws of an interval")
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of torch")

    @field_validator("shares")
    @classmethod
    def _rising(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if list(shares) != sorted(set(shares)) or shares[-1] != 1.0:
            raise ValueError("shares must rise, each named once, and end with 1")
        return shares

    @field_validator("starts")
    @classmethod
    def _once(cls, starts: tuple[Start, ...]) -> tuple[Start, ...]:
        if len(set(starts)) != len(starts):
            raise ValueError("each once")
        return starts
