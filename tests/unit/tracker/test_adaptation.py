"""The liveliness that the filter learns from its own errors."""

from __future__ import annotations

import numpy as np

from tests.unit.tracker.counter_world import LABELS, SIZE, detections, item
from tracker.settings import COUNTER, TrackerSettings
from tracker.tracker import MultiObjectTracker

ADAPTIVE = COUNTER.model_copy(update={"adapt_rate": 0.5, "acceleration": 1.0, "slow": 0.0, "group_motion": False})
STIFF = ADAPTIVE.model_copy(update={"adapt_rate": 0.0})


def _lag(settings: TrackerSettings, swing_px: float, seed: int = 0) -> tuple[float, float]:
    """Return the mean distance of the boxes from a swaying object, and the factor of the variance that was learnt."""
    machine, rng = MultiObjectTracker(settings, LABELS, SIZE), np.random.default_rng(seed)
    off = []
    for k in range(200):
        x = 320 + swing_px * np.sin(2 * np.pi * k / 30)
        tracks = machine.update(detections([item(x + rng.normal(0, 1), 150 + rng.normal(0, 1))], k / 20, k)).tracks
        if k > 60:
            off.append(abs((tracks[0].box[0] + tracks[0].box[2]) / 2 - x))
    lively = machine._engine._liveliness
    return float(np.mean(off)), 1.0 if lively is None else float(lively.variance_factors[0, 0])


def test_a_lively_scene_is_followed_more_closely() -> None:
    adaptive, factor = _lag(ADAPTIVE, 60.0)
    stiff, _ = _lag(STIFF, 60.0)
    assert factor > 4.0
    assert adaptive < 0.7 * stiff


def test_a_calm_scene_is_smoothed_more_within_bounds() -> None:
    _, factor = _lag(ADAPTIVE.model_copy(update={"acceleration": 8.0}), 0.0)
    assert ADAPTIVE.calmest**2 - 1e-9 <= factor < 1.0
