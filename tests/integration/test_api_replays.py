"""Replays as jobs: asked for, failed with a reason, interrupted, refused; and promotions that a lane could not run."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from app.replay_jobs import ReplayJobs
from checkout.config import ReplaySettings
from core.clock import SystemClock
from tests.api_site import api_site, wait_until


def test_a_replay_of_rubbish_fails_with_a_reason_and_is_kept(tmp_path):
    with api_site(tmp_path) as site:
        (tmp_path / "recordings" / "monday.mp4").write_bytes(b"this is no video" * 100)
        (tmp_path / "recordings" / "notes.txt").write_text("no recording")
        assert [one["name"] for one in site.get("/recordings")["recordings"]] == ["monday.mp4"]
        for name in ("../site.yaml", "notes.txt", "tuesday.mp4"):
            refused = site.web.post("/api/v1/replays", json={"recording": name})
            assert refused.status_code == 422
        asked = site.web.post("/api/v1/replays", json={"recording": "monday.mp4"}, headers={"Idempotency-Key": "r"})
        assert asked.status_code == 202
        again = site.web.post("/api/v1/replays", json={"recording": "monday.mp4"}, headers={"Idempotency-Key": "r"})
        assert again.get_json() == asked.get_json()
        address = asked.headers["Location"].removeprefix("/api/v1")
        wait_until(lambda: site.get(address)["state"] in ("failed", "done"), "the end of the replay", 240)
        told = site.get(address)
        assert (told["state"], told["metrics"], told["report"]) == ("failed", None, None)
        assert told["why"]
        assert told["log"]
        assert site.web.get(f"/api/v1{address}/report").status_code == 404
        assert len(site.get("/replays")["replays"]) == 1
        assert site.web.delete(f"/api/v1{address}").get_json()["state"] == "failed"


def test_what_a_former_process_left_is_told_as_interrupted(tmp_path: Path):
    folder = tmp_path / "results" / "00000000-0000-0000-0000-000000000001"
    folder.mkdir(parents=True)
    left = {
        "job_id": folder.name, "recording": "a.mp4", "lane_id": "lane1", "stride": 1, "by": "anna", "state": "running",
        "asked_at_s": 5.0, "began_at_s": 6.0, "ended_at_s": None, "why": "",
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(left))
    settings = ReplaySettings(recordings=tmp_path / "none", results=tmp_path / "results")
    jobs = ReplayJobs(tmp_path / "site.yaml", settings, SystemClock(), threading.Event())
    assert [(job.state, job.why) for job in jobs.jobs()] == [
        ("failed", "the program ended before the replay did; ask for it again")
    ]
    assert jobs.recordings() == []


def test_a_model_that_no_lane_could_run_is_not_promoted(tmp_path):
    with api_site(tmp_path) as site:
        refused = site.web.post("/api/v1/models/traynet@1/promotion", json={"force": "because"})
        assert refused.status_code == 409
        assert "menu does not know" in refused.get_json()["detail"]
        assert site.get("/models")["channels"] == {}
        assert site.get("/models/promotions") == {"promotions": []}
