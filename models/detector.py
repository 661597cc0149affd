"""The seam between models and the pipeline: what every detector promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.records import Detections, Frame


class Detector(Protocol):
    """Finds items and hands in frames.

    May be called from several threads at once (lanes share a detector).
    """

    @property
    def name(self) -> str:
        """Name and version, such as "traynet@1"; goes into every detection and event."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Dish names and roles (`core.records.HAND`, `ITEM`) that `class_ids` and `class_probs` index."""
        ...

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the detections of each frame, in the order of `frames`.

        The frames may come from several lanes and differ in size.

        Raises:
            InferenceError: the runtime failed or gave numbers that cannot be boxes.
        """
        ...

    def close(self) -> None:
        """Give the model's memory back; idempotent."""
        ...
