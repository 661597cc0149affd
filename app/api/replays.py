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
from app.replay_compare import ReplayedBill, compare
from app.replay_jobs import Job, ReplayJobs, TooManyJobs
from checkout.build import build_registry
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
    model: str = Field(description="Instead of the configuration's, or empty")
    settings_sha256: str = Field(description="Of the former configuration that was used, or empty: today's")
    by: str = Field(description="Who asked")
    progress: float = Field(description="Share of the recording that is done, 0 to 1")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    why: str = Field(description="Of a failure, or empty")
    asked_at: UtcTime
    began_at: UtcTime | None
    ended_at: UtcTime | None
    report: str | None = Field(description="Address of the report for people, once there is one")
    video: str | None = Field(description="Address of the marked-up video, once there is one")


class ReplayedLineShape(Shape):
    """A line of a bill."""

    dish: str = Field(description="Name of the dish")
    title: str = Field(description="What people read")
    quantity: int = Field(description="How many")
    unit_price: float = Field(description="In the menu's currency")
    t_s: float = Field(description="When it came onto the bill, seconds of the recording")
    confidence: float = Field(description="Of the dish, 0 to 1")


class ReplayedBillShape(Shape):
    """A bill of a replay."""

    bill_id: str = Field(description="Its id in the replay")
    opened_s: float = Field(description="Seconds of the recording")
    closed_s: float | None = Field(description="Likewise; null: it was open at the end")
    total: float = Field(description="In the menu's currency")
    lines: list[ReplayedLineShape] = Field(description="In order")


class ReplayedBillList(Shape):
    """The bills of a replay."""

    bills: list[ReplayedBillShape] = Field(description="In the order of the recording")


class PairShape(Shape):
    """What became of a tray in two replays."""

    kind: Literal["same", "differs", "only-one", "only-other"] = Field(description="Whether the bills differ")
    from_s: float = Field(description="Where to look, seconds of the recording")
    one: ReplayedBillShape | None = Field(description="In the first replay")
    other: ReplayedBillShape | None = Field(description="In the other one")
    gone: list[str] = Field(description="Titles of dishes that only the first bill has")
    come: list[str] = Field(description="Titles of dishes that only the other bill has")


class ReplayComparison(Shape):
    """Two replays, bill by bill."""

    same: int = Field(description="Bills that are the same")
    different: int = Field(description="Bills that differ, or that only one has")
    total_one: float = Field(description="Of all bills of the first replay")
    total_other: float = Field(description="Likewise of the other")
    pairs: list[PairShape] = Field(description="In the order of the recording")


class ComparisonPath(Shape):
    """Which two."""

    replay_id: str = Field(pattern=r"^[0-9a-f-]{36}$", description="The first one")
    other_id: str = Field(pattern=r"^[0-9a-f-]{36}$", description="The other one")


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
    model: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9_.-]{0,99}@[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?$",
        description="NAME@VERSION instead of the configuration's model",
    )
    settings_sha256: str = Field(
        default="", pattern=r"^([0-9a-f]{64})?$", description="A former configuration instead of today's"
    )


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
        model=job.model,
        settings_sha256=job.settings_sha256,
        progress=round(jobs.progress(job), 3),
        video=f"/api/v1/replays/{job.job_id}/video" if jobs.video(job) is not None else None,
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
    if body.model:
        build_registry(call.services.known_config()).find(body.model)
    former = None
    if body.settings_sha256:
        text = None if call.services.settings is None else call.services.settings.version_text(body.settings_sha256)
        if text is None:
            raise unknown("version of the settings", body.settings_sha256)
        former = (body.settings_sha256, text)
    try:
        job = jobs.ask(body.recording, lane_id, body.stride, call.by, body.model, former)
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


def _bill(call: Call, bill: ReplayedBill) -> ReplayedBillShape:
    menu = call.services.site.menu
    return ReplayedBillShape(
        bill_id=bill.bill_id,
        opened_s=bill.opened_s,
        closed_s=bill.closed_s,
        total=bill.total,
        lines=[
            ReplayedLineShape(
                dish=line.dish,
                title=menu.title(line.dish),
                quantity=line.quantity,
                unit_price=line.unit_price,
                t_s=line.t_s,
                confidence=line.confidence,
            )
            for line in bill.lines
        ],
    )


def _bills_of(call: Call, replay_id: str) -> tuple[ReplayedBill, ...]:
    jobs = _jobs(call)
    job = jobs.job(replay_id)
    if job is None:
        raise unknown("replay", replay_id)
    bills = jobs.bills(job)
    if bills is None:
        raise ApiProblem(404, "No bills", f"replay {job.job_id} is {job.state}; it has no bills yet")
    return bills


def _bills(call: Call) -> Reply:
    bills = _bills_of(call, call.path_as(ReplayPath).replay_id)
    return Reply(ReplayedBillList(bills=[_bill(call, bill) for bill in bills]))


def _comparison(call: Call) -> Reply:
    path, menu = call.path_as(ComparisonPath), call.services.site.menu
    one, other = _bills_of(call, path.replay_id), _bills_of(call, path.other_id)
    pairs = compare(one, other)
    shown = [
        PairShape(
            kind=pair.kind,
            from_s=pair.from_s,
            one=None if pair.one is None else _bill(call, pair.one),
            other=None if pair.other is None else _bill(call, pair.other),
            gone=[menu.title(dish) for dish in pair.gone],
            come=[menu.title(dish) for dish in pair.come],
        )
        for pair in pairs
    ]
    same = sum(pair.kind == "same" for pair in pairs)
    totals = [round(sum(bill.total for bill in bills), 2) for bills in (one, other)]
    return Reply(
        ReplayComparison(
            same=same, different=len(pairs) - same, total_one=totals[0], total_other=totals[1], pairs=shown
        )
    )


def _video(call: Call) -> Reply:
    job = _found(call)
    path = _jobs(call).video(job)
    if path is None:
        raise ApiProblem(404, "No video", f"replay {job.job_id} is {job.state}; it has no video")
    return Reply(file=path, media="video/mp4")


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
        Operation("replays_bills", "GET", "/replays/{replay_id}/bills", "Its bills", "replays", _bills,
                  ReplayedBillList, path=ReplayPath, tagged=True),
        Operation("replays_compare", "GET", "/replays/{replay_id}/comparison/{other_id}", "Which bills differ",
                  "replays", _comparison, ReplayComparison, path=ComparisonPath, tagged=True),
        Operation("replays_video", "GET", "/replays/{replay_id}/video", "The marked-up video", "replays", _video,
                  path=ReplayPath, media=("video/mp4",)),
        Operation("replays_report", "GET", "/replays/{replay_id}/report", "The report for people", "replays", _report,
                  path=ReplayPath, media=("text/html",)),
    )  # fmt: skip
