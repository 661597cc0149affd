"""All settings of a shoot-out; what a run depends on is here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from core.settings import Settings
from training.classify.learning import Course
from training.classify.nets import Depth
from training.classify.settings import PhotoSettings, RecipeSettings

DEPTHS: tuple[Depth, ...] = ("shallow", "deep", "scratch")
COURSES: tuple[Course, ...] = ("constant", "cyclical")


class ShootoutSettings(Settings):
    """A whole shoot-out: every model at every depth on every schedule with every seed."""

    models: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=("squeezenet1_1", "shufflenetv2_05", "cifar_resnet20"), min_length=1, description="Nets of the zoo"
    )
    depths: tuple[Depth, ...] = Field(default=DEPTHS, min_length=1, description="What of a net learns")
    schedules: tuple[Course, ...] = Field(default=COURSES, min_length=1, description="Courses of the rate")
    photos: PhotoSettings = Field(default=PhotoSettings(), description="Which photos")
    recipe: RecipeSettings = Field(default=RecipeSettings(), description="How nets learn")
    seeds: int = Field(default=3, ge=1, le=100, description="Runs of each cell; seeds count from 1")
    draws: int = Field(default=1000, ge=10, le=100000, description="Bootstrap draws of an interval")
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of torch")

    @field_validator("depths", "schedules")
    @classmethod
    def _once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) != len(values):
            raise ValueError("each once")
        return values
