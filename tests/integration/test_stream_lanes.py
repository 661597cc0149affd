"""Three whole lanes on real RTSP cameras, one of which is killed (the bench of this, in small)."""

import pytest

from bench.rtsp import run
from tests.cameras import missing


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=f"needs a GStreamer RTSP server: {missing()}")
def test_a_killed_camera_disturbs_nobody_and_costs_no_bill(tmp_path):
    # More room than a real lane has, since other tests may keep this machine busy meanwhile.
    rows = run(tmp_path, outages=1, off_s=1.5, calm_s=9.0, config=None, buffer_frames=64)
    figures = {row["name"]: row["value"] for row in rows}
    assert figures["others_dropped_frames"] == 0
    assert figures["others_gaps"] == 0
    assert figures["third_gap_events"] == 1
    assert figures["back_to_decided_worst"] < 10
    assert figures["bills"] >= 1
    assert figures["bills_lost"] == figures["bills_doubled"] == figures["bills_extra"] == 0
