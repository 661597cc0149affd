"""`run.json` of a learning curve."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from training.classify.record import Standing
from training.learning_curve.settings import CurveSettings


class CurveRecord(Standing):
    """The whole of run.json."""

    kind: Literal["learning-curve"] = Field(default="learning-curve", description="Which study made the run")
    parameters: CurveSettings = Field(description="Every setting of the run")
    weights: str = Field(description="What the pretrained start begins from")
    data: dict[Literal["train", "test"], dict[str, Any]] | None = Field(
        default=None, description="The parts; none while the first points run"
    )
