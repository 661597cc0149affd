"""What the API tells of a model: its card, where it comes from, what was measured of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.shapes import LaneId, Shape


class FigureShape(Shape):
    """A measured value."""

    value: float | None = Field(description="null where nothing was to be measured")
    low: float | None = Field(description="Lower bound of its 95 % interval; null where there is none")
    high: float | None = Field(description="Upper bound")


class SetShape(Shape):
    """Figures on one set of pictures."""

    name: str = Field(description="Name of the set")
    role: Literal["development", "regression", "holdout"] = Field(description="What the set is for")
    data_sha256: str = Field(description="Of the pictures: figures of different hashes are not to be compared")
    pictures: int = Field(description="How many")
    figures: dict[str, FigureShape] = Field(description="By name: ap50, f1_frozen, ece, …")


class LineageShape(Shape):
    """Where weights come from."""

    run: str = Field(description="Training run, or empty")
    data_sha256: dict[str, str] = Field(description="Role of a set -> hash")
    parent_sha256: str | None = Field(description="Weights that the training started from")
    git: str = Field(description="Commit of the code, or empty")


class ModelShape(Shape):
    """One model that can be named."""

    model: str = Field(description="NAME@VERSION", examples=["traynet@1"])
    origin: Literal["shipped", "registry"] = Field(description="Came with the program, or was imported")
    task: str = Field(description="What it does; lanes detect with what is promoted", examples=["detect"])
    architecture: str = Field(description="How its outputs are read", examples=["yolox"])
    input_size: tuple[int, int] = Field(description="Width and height that it looks at")
    labels: list[str] = Field(description="What it reports")
    licence: str = Field(description="Of the weights")
    source: str = Field(description="Where the weights come from")
    notes: str = Field(description="What a person should know")
    weights_sha256: str = Field(description="Of the weights")
    size_bytes: int | None = Field(description="Of the weights; null if they are missing")
    precisions: list[str] = Field(description="In which it runs")
    lineage: LineageShape | None = Field(description="null where it is not known")
    channels: list[str] = Field(description="Where it is promoted")
    scored: bool = Field(description="Whether it was evaluated: the gate wants that")
    scores: list[SetShape] = Field(description="What was measured")
    scores_trouble: str = Field(description="Why the scores cannot be used, or empty")


class LaneModelShape(Shape):
    """What a lane runs."""

    lane_id: LaneId
    runs: str = Field(description="Now; the precision stands behind a slash", examples=["traynet@2/int8"])
    next: str | None = Field(description="What it would run if it were started now; null: it could not start")
    why: str = Field(description="Why it could not start, or empty")


class ModelList(Shape):
    """All models."""

    models: list[ModelShape] = Field(description="Shipped ones first")
    channels: dict[str, str] = Field(description="What each channel runs")
    lanes: list[LaneModelShape] = Field(description="What each lane runs")
    follows: str = Field(description="What the configuration names; lanes follow promotions if it begins with @")


class GateShape(Shape):
    """What the gate says."""

    passed: bool = Field(description="The model may take the place")
    held: str | None = Field(description="The model whose place it is; null: there is none yet")
    reasons: list[str] = Field(description="All that stands against it, or what speaks for it")
