"""The tracker as benchmarks call it: `make(seq) -> step`, plain arrays in and out.

`step(dets)` takes float64 (N, 6) `x1 y1 x2 y2 score class` for each frame in order, also empty ones, and returns (M,
6) `x1 y1 x2 y2 id class` of the confirmed objects that are thought to be in view. `step.with_frame(dets, image)` is
the same with the RGB frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.engine import TrackingEngine
from tracker.lifecycle import in_view
from tracker.settings import COUNTER, PEDESTRIAN, TrackerSettings

#: Class numbers of the benchmarks, and which of them is a hand (see the stress set).
CLASSES = 16
HAND_CLASS = 9


class Step:
    """One sequence, frame by frame.

    Args:
        seq: `fps`, `w`, `h` of the sequence, and what else the benchmark says.
        settings: the preset.
    """

    def __init__(self, seq: Mapping[str, Any], settings: TrackerSettings) -> None:
        # Who passes frames wants them looked at, all of them.
        looking = settings.optical_flow.model_copy(update={"when": "always"})
        settings = settings.model_copy(update={"optical_flow": looking})
        self._step_s = 1.0 / float(seq["fps"])
        self._engine = TrackingEngine(settings, CLASSES, HAND_CLASS, (int(seq["w"]), int(seq["h"])))
        self._frame = 0
        self._gmc: Mapping[int, NDArray[np.float64]] | None = seq.get("gmc")

    def __call__(self, dets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take in one frame; see the module."""
        return self._step(dets, None)

    def _step(self, dets: NDArray[np.float64], image: NDArray[np.uint8] | None) -> NDArray[np.float64]:
        rows = np.asarray(dets, dtype=np.float64).reshape(-1, 6)
        classes = np.fmax(np.fmin(rows[:, 5], CLASSES - 1), 0).astype(np.int64)
        engine = self._engine
        engine.step(rows[:, :4], rows[:, 4], classes, None, self._frame * self._step_s, self._camera(), image)
        self._frame += 1
        table = engine.table
        shown = in_view(table, engine.settings)
        said = np.empty((len(table), 6))
        said[:, :4] = engine.boxes()
        said[:, 4] = table.track_id
        said[:, 5] = table.held
        return said if np.count_nonzero(shown) == len(table) else said[shown]

    def _camera(self) -> NDArray[np.float64] | None:
        return None if self._gmc is None or not self._frame else self._gmc.get(self._frame + 1)

    def with_frame(self, dets: NDArray[np.float64], image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Take in one frame with its image (H, W, 3) RGB, of the sequence's size or smaller, for optical flow."""
        return self._step(dets, image)


def make(seq: Mapping[str, Any]) -> Step:
    """Return a step function with the pedestrian preset."""
    return Step(seq, PEDESTRIAN)


def make_counter(seq: Mapping[str, Any]) -> Step:
    """Return a step function with the product's default preset."""
    return Step(seq, COUNTER)
