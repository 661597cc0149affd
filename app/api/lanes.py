"""Lanes: their state, now and as a stream; questions to people and their answers."""

from __future__ import annotations

from pydantic import Field

from app.api.bill_shapes import BillShape
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem, unknown
from app.api.shapes import LaneId, Shape
from app.api.streaming import EVENT_STREAM, stream_reply
from app.guard import current_person, note
from app.learning import Lesson
from app.site import Site


class Latency(Shape):
    """Capture to decision over the last frames, milliseconds."""

    p50: int
    p95: int
    p99: int


class Choice(Shape):
    """One possible answer."""

    dish: str = Field(description="Name of the dish", examples=["soup"])
    title: str = Field(description="What people read", examples=["Tomato soup"])
    probability: float = Field(description="0 to 1", examples=[0.4])


class Question(Shape):
    """What is this? Asked about one object on one bill."""

    track_id: int = Field(description="The object", examples=[7])
    bill_id: str = Field(description="The open bill")
    asked_at: str = Field(description="UTC, RFC 3339")
    choices: list[Choice] = Field(description="The likeliest dishes, best first")


class LaneQuestion(Question):
    """A question, with its lane."""

    lane_id: LaneId


class LaneShape(Shape):
    """A lane at this moment; what is not known is null."""

    lane_id: LaneId
    source: str = Field(description="Its camera, without credentials")
    state: str = Field(description="connecting, running, degraded, offline, failed or stopped", examples=["running"])
    why: str = Field(description="Why it is not running, or empty")
    since_s: int | None = Field(description="Seconds in this state of the stream")
    next_try_s: int | None = Field(description="Seconds until the camera is tried again")
    fps: float | None = Field(description="Frames decided per second")
    latency_ms: Latency | None = Field(description="Capture to decision")
    dropped: dict[str, int] = Field(description="Frames left out, by reason")
    spooled: int = Field(description="Events that wait for the store")
    reconnects: int = Field(description="Times the camera came back")
    bills_closed: int = Field(description="Since the start")
    items_in_zone: int | None = Field(description="Items on the tray now")
    bill: BillShape | None = Field(description="The open bill")
    last_bill: BillShape | None = Field(description="The latest closed bill since the start")
    confirmed: bool = Field(description="Whether a person said that the open bill, or else the latest one, is right")
    asks: list[Question] = Field(description="Open questions")


class LaneList(Shape):
    """All lanes."""

    lanes: list[LaneShape] = Field(description="In the order of the configuration")


class QuestionList(Shape):
    """Open questions of all lanes."""

    questions: list[LaneQuestion] = Field(description="Oldest first")


class LanePath(Shape):
    """Which lane."""

    lane_id: LaneId


class LaneQuery(Shape):
    """Which lane's stream."""

    lane: LaneId | None = Field(default=None, description="This lane only")


class AnswerBody(Shape):
    """What an object is."""

    track_id: int = Field(ge=0, le=2**53, description="The object that was asked about", examples=[7])
    dish: str = Field(max_length=200, description="Name of the dish; empty for: not a dish", examples=["soup"])


class Accepted(Shape):
    """It is taken up."""

    accepted: bool = Field(description="Always true")


def known_lane(call: Call, lane_id: str) -> str:
    """Return the id of a lane that exists and that the caller may see.

    Raises:
        ApiProblem: 404, there is none.
    """
    if lane_id not in call.lane_ids:
        raise unknown("lane", lane_id, call.lane_ids)
    return lane_id


def _shown(site: Site, lane_id: str) -> LaneShape:
    return LaneShape.model_validate(site.state(lane_id))


def _lanes(call: Call) -> Reply:
    site = call.services.site
    return Reply(LaneList(lanes=[_shown(site, lane_id) for lane_id in call.lane_ids]))


def _lane(call: Call) -> Reply:
    site = call.services.site
    return Reply(_shown(site, known_lane(call, call.path_as(LanePath).lane_id)))


def _stream(call: Call) -> Reply:
    wanted = call.query_as(LaneQuery).lane
    lane_ids = call.lane_ids if wanted is None else [known_lane(call, wanted)]
    return stream_reply(call, lambda: call.services.states.watch(lane_ids))


def _questions(call: Call) -> Reply:
    site = call.services.site
    wanted = call.query_as(LaneQuery).lane
    lane_ids = call.lane_ids if wanted is None else [known_lane(call, wanted)]
    asked = [
        LaneQuestion(lane_id=lane_id, **ask.model_dump()) for lane_id in lane_ids for ask in _shown(site, lane_id).asks
    ]
    return Reply(QuestionList(questions=sorted(asked, key=lambda one: one.asked_at)))


def _answer(call: Call) -> Reply:
    site, body = call.services.site, call.body_as(AnswerBody)
    lane_id = known_lane(call, call.path_as(LanePath).lane_id)
    if body.dish and body.dish not in site.menu_titles:
        raise ApiProblem(422, "Unknown dish", f"{body.dish!r} is not on the menu")
    seen = site.seen(lane_id, body.track_id)
    if not site.answer(lane_id, body.track_id, body.dish):
        raise ApiProblem(409, "Nothing to answer", f"lane {lane_id} has no open question about {body.track_id}")
    note(current_person(), "question.answer", f"{lane_id}, track {body.track_id}", None, {"dish": body.dish})
    learner = call.services.learner
    if learner is not None and seen is not None and body.dish:
        learner.take(Lesson(body.dish, seen[0], seen[1], call.by))
    return Reply(Accepted(accepted=True))


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("lanes_list", "GET", "/lanes", "All lanes at this moment", "lanes", _lanes, LaneList, tagged=True),
        Operation(
            "lanes_stream", "GET", "/lanes/stream", "The state of lanes, whenever it changes", "lanes", _stream,
            query=LaneQuery, media=(EVENT_STREAM,), problems=(404,),
            more="Server-sent events: `event: lane`, `data:` a lane as JSON, at once for each lane and then at every "
            "change. Who reads slowly gets the newest state.",
        ),
        Operation(
            "lanes_get", "GET", "/lanes/{lane_id}", "One lane at this moment", "lanes", _lane, LaneShape,
            path=LanePath, tagged=True,
        ),
        Operation(
            "questions_list", "GET", "/questions", "Open questions", "questions", _questions, QuestionList,
            query=LaneQuery, problems=(404,), tagged=True,
        ),
        Operation(
            "lanes_answer", "POST", "/lanes/{lane_id}/answers", "Answer a question", "questions", _answer, Accepted,
            path=LanePath, body=AnswerBody, once=True,
        ),
    )  # fmt: skip
