"""The gate: may this model take the place of that one? Pure rules over score records, no torch, no pictures.

A model that gains on development data and loses on the regression set or the hold-out is refused.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.settings import Settings

Role = Literal["development", "regression", "holdout"]


class Figure(Settings):
    """A measured value with its 95 % interval; None where nothing was to be measured."""

    value: float | None = Field(description="The figure")
    low: float | None = Field(default=None, description="Lower bound of its 95 % interval")
    high: float | None = Field(default=None, description="Upper bound of its 95 % interval")


class SetScores(Settings):
    """Figures of one model on one set of pictures."""

    name: str = Field(min_length=1, description="Name of the set")
    role: Role = Field(description="What the set is for: development (tuned on), regression, holdout")
    data_sha256: str = Field(description="Hash of the set: figures of different hashes are never compared")
    pictures: int = Field(ge=0, description="How many pictures")
    figures: dict[str, Figure] = Field(description="Name -> figure: ap50, ap, f1_best, f1_frozen, ece, cacc, …")


class ScoreRecord(Settings):
    """Everything that was measured of one model in one evaluation; kept as JSON beside the model's card."""

    model: str = Field(min_length=1, description="Full name, such as traynet@2")
    weights_sha256: str = Field(description="SHA-256 of the weights that were scored")
    evaluated_utc: str = Field(description="When, ISO 8601")
    sets: tuple[SetScores, ...] = Field(default=(), description="One entry for each set")
