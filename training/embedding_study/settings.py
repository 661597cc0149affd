"""All settings of an embedding study; what a run depends on is here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from core.settings import Settings

NetName = Literal["squeezenet1_1", "shufflenet_trunk", "cifar_resnet20", "cifar_resnet56"]
NETS: tuple[NetName, ...] = ("squeezenet1_1", "shufflenet_trunk", "cifar_resnet20", "cifar_resnet56")


class GridSettings(Settings):
    """Which settings are compared: models, their layers, and the kernels that average each layer's map."""

    nets: tuple[NetName, ...] = Field(default=NETS, description="Nets with published weights")
    random_seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        default=(1,), description="The same nets once more for each seed, with random weights"
    )
    histogram: bool = Field(default=True, description="Colour histograms, as a baseline")
    kernels: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        default=(1, 2, 4, 8, 16, 32, 64),
        description="Sides of the averaged squares, in cells of a map; global is added",
    )
    below: int = Field(default=2000, ge=2, le=100_000, description="A vector must be shorter than this")

    @field_validator("kernels")
    @classmethod
    def _rising(cls, kernels: tuple[int, ...]) -> tuple[int, ...]:
        if list(kernels) != sorted(set(kernels)):
            raise ValueError("kernels must rise, each named once")
        return kernels


class PickerSettings(Settings):
    """How a setting is picked for a small part of the grid's cost."""

    share: float = Field(default=0.1, gt=0, le=1, description="Most of the grid's cost that picking may take")
    seeds: int = Field(default=25, ge=1, le=1000, description="Races that are run to show how far luck goes")


class StudySettings(Settings):
    """A whole study."""

    grid: GridSettings = Field(default=GridSettings(), description="What is compared")
    aside: float = Field(default=0.3, gt=0, lt=1, description="Share of each class's photos that only judges")
    picker: PickerSettings = Field(default=PickerSettings(), description="The cheap way")
    by: Literal["mrr", "top1"] = Field(default="mrr", description="The figure that settings are chosen by")
    seed: int = Field(default=1, ge=0, lt=2**31, description="Of the bootstrap and the first race")
    draws: int = Field(default=1000, ge=10, le=100_000, description="Bootstrap draws of an interval")
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of torch")
