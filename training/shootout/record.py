"""`run.json` of a shoot-out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.classify.record import PhotosRecord, Standing
from training.shootout.settings import ShootoutSettings


class ShootoutRecord(Standing):
    """The whole of run.json."""

    kind: Literal["shootout"] = Field(default="shootout", description="Which study made the run")
    parameters: ShootoutSettings = Field(description="Every setting of the run")
    weights: dict[str, str | None] = Field(description="Net -> SHA-256 of its file of weights; null: scratch only")
    data: dict[Literal["train", "test"], PhotosRecord] = Field(description="The photos")
