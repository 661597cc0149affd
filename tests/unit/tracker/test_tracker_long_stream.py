"""A long stream in which objects come and go leaves nothing behind."""

from __future__ import annotations

import pytest

from bench.tracker_memory import growth
from tracker.mot import make, make_counter


@pytest.mark.slow
@pytest.mark.parametrize("factory", [make, make_counter], ids=["pedestrian", "counter"])
def test_twenty_thousand_frames_of_churn_leave_nothing_behind(factory: object) -> None:
    grown = growth(factory, 20_000)  # type: ignore[arg-type]
    assert grown.ids > 1000, "nothing came and went"
    assert grown.late_kib < 1.2 * grown.early_kib + 2.0
    assert grown.blocks < 500
