"""Replays of stored recordings: ask for one, watch it, read what came out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from app.api.lanes import known_lane
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem, unknown
from app.api.services import no_file
from app.api.shapes import LaneId, Shape, UtcTime
from app.guard import audit, current_person
from app.replay_jobs import Job, ReplayJobs, TooManyJobs
from core.clock import utc_text

HTML = "text/html; charset=utf-8"


class RecordingShape(Shape):
    """A stored recording."""

    name: str = Field(description="File name", examples=["monday.mp4"])
    size_bytes: int = Field(description="Size")
    written_at: UtcTime


class RecordingList(Shape):
    """The stored recordings."""

    recordings: list[RecordingShape] = Field(description="By name")


class ReplayShape(Shape):
    """A replay, as it goes."""

    replay_id: str = Field(description="Its id")
    recording: str = Field(description="What is replayed")
    lane_id: LaneId
    stride: int = Field(description="Every so many frames one is decided")
    by: str = Field(description="Who asked")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    why: str = Field(description="Of a failure, or empty")
    asked_at: UtcTime
    began_at: UtcTime | None
    ended_at: UtcTime | None
    report: str | None = Field(description="Address of the report for people, once there is one")


class ReplayDetail(ReplayShape):
    """A replay with what came out."""

    metrics: dict[str, JsonValue] | None = Field(description="The figures of metrics.json; null before the end")
    log: str = Field(description="The end of what it said")


class ReplayList(Shape):
    """All replays."""

    replays: list[ReplayShape] = Field(description="Latest first")


class ReplayBody(Shape):
    """What to replay."""

    recording: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$", description="Name of a stored recording")
    lane_id: LaneId | None = Field(default=None, description="Whose settings are used; the first lane's if left out")
    stride: int = Field(default=1, ge=1, le=100, description="Decide every so many frames")


class ReplayPath(Shape):
    """Which replay."""

    replay_id: str = Field(pattern=r"^[0-9a-f-]{36}$", description="Its id")


def _jobs(call: Call) -> ReplayJobs:
    if call.services.replays is None:
        raise no_file()
    return call.services.replays


def _found(call: Call) -> Job:
    replay_id = call.path_as(ReplayPath).replay_id
    job = _jobs(call).job(replay_id)
    if job is None:
        raise unknown("replay", replay_id)
    return job


def _shown(jobs: ReplayJobs, job: Job) -> ReplayShape:
    return ReplayShape(
        replay_id=job.job_id,
        recording=job.recording,
        lane_id=job.lane_id,
        stride=job.stride,
        by=job.by,
        state=job.state,
        why=job.why,
        report=f"/api/v1/replays/{job.job_id}/report" if jobs.report(job) is not None else None,
        asked_at=utc_text(job.asked_at_s),
        began_at=None if job.began_at_s is None else utc_text(job.began_at_s),
        ended_at=None if job.ended_at_s is None else utc_text(job.ended_at_s),
    )


def _recordings(call: Call) -> Reply:
    found = _jobs(call).recordings()
    shown = [
        RecordingShape(name=one.name, size_bytes=one.size_bytes, written_at=utc_text(one.written_at_s)) for one in found
    ]
    return Reply(RecordingList(recordings=shown))


def _replays(call: Call) -> Reply:
    jobs = _jobs(call)
    return Reply(ReplayList(replays=[_shown(jobs, job) for job in jobs.jobs()]))


def _ask(call: Call) -> Reply:
    jobs, body = _jobs(call), call.body_as(ReplayBody)
    lane_id = known_lane(call, body.lane_id or next(iter(call.lane_ids), ""))
    try:
        job = jobs.ask(body.recording, lane_id, body.stride, call.by)
    except TooManyJobs:
        raise ApiProblem(409, "Too many replays", "many replays wait already; wait, or cancel one") from None
    audit(current_person(), "replay.ask", job.job_id, None, {"recording": job.recording, "lane": job.lane_id})
    return Reply(_shown(jobs, job), status=202, headers=(("Location", f"/api/v1/replays/{job.job_id}"),))


def _replay(call: Call) -> Reply:
    jobs, job = _jobs(call), _found(call)
    return Reply(ReplayDetail(**_shown(jobs, job).model_dump(), metrics=jobs.metrics(job), log=jobs.log(job)))


def _cancel(call: Call) -> Reply:
    jobs = _jobs(call)
    before = _found(call)
    job = jobs.cancel(before.job_id) or before
    audit(current_person(), "replay.cancel", job.job_id, {"state": before.state}, {"state": job.state})
    return Reply(_shown(jobs, job))


def _report(call: Call) -> Reply:
    job = _found(call)
    path = _jobs(call).report(job)
    if path is None:
        raise ApiProblem(404, "No report", f"replay {job.job_id} is {job.state}; it has no report")
    # The report is one page with its own styles and pictures, made by us; it runs no script.
    policy = "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
    page = path.read_text(encoding="utf-8")
    return Reply(stream=iter([page]), media=HTML, headers=(("Content-Security-Policy", policy),))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("recordings_list", "GET", "/recordings", "Stored recordings", "replays", _recordings, RecordingList,
                  tagged=True),
        Operation("replays_list", "GET", "/replays", "All replays", "replays", _replays, ReplayList, tagged=True),
        Operation(
            "replays_ask", "POST", "/replays", "Replay a recording", "replays", _ask, ReplayShape, status=202,
            body=ReplayBody, once=True, problems=(404, 409),
            more="It runs in a process of its own, one at a time, behind the lanes.",
        ),
        Operation("replays_get", "GET", "/replays/{replay_id}", "One replay and what came out", "replays", _replay,
                  ReplayDetail, path=ReplayPath, tagged=True),
        Operation("replays_cancel", "DELETE", "/replays/{replay_id}", "Stop a replay", "replays", _cancel, ReplayShape,
                  path=ReplayPath),
        Operation("replays_report", "GET", "/replays/{replay_id}/report", "The report for people", "replays", _report,
                  path=ReplayPath, media=("text/html",)),
    )  # fmt: skip
