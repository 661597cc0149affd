"""Webhooks: who is told, how far each is, and letters that nobody would take."""

from __future__ import annotations

from pydantic import Field

from app.api.cursors import link_header, next_address, read_cursor
from app.api.event_shapes import EventShape, shown_event
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem, unknown
from app.api.shapes import CursorText, LaneId, Limit, Next, Shape, UtcTime
from app.guard import audit, current_person
from core.clock import utc_text
from core.redact import redact_url
from fleet.webhooks import CONSUMER
from store.outbox import Cursor, DeadLetter

Name = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class DeliveryShape(Shape):
    """How far a webhook is in one lane's events."""

    lane_id: LaneId
    done_seq: int = Field(description="Everything up to this event is settled")
    delivered: int = Field(description="Events that were taken")
    attempts: int = Field(description="Failed tries of the next event")
    next_try_at: UtcTime | None
    last_delivered_at: UtcTime | None
    last_error: str = Field(description="Of the latest failed try, or empty")


class WebhookShape(Shape):
    """One receiver."""

    name: str = Field(description="As in the configuration")
    url: str = Field(description="Without credentials")
    kinds: list[str] | None = Field(description="Kinds of events it wants; null for all")
    lanes: list[str] | None = Field(description="Lanes it wants; null for all")
    waiting: int = Field(description="Events beyond what is settled")
    deliveries: list[DeliveryShape] = Field(description="By lane")


class WebhookList(Shape):
    """All receivers."""

    webhooks: list[WebhookShape] = Field(description="In the order of the configuration")


class DeadLetterShape(Shape):
    """An event that a receiver would not take."""

    letter_id: int = Field(description="Its number")
    webhook: str = Field(description="Name of the receiver")
    attempts: int = Field(description="How often it was tried")
    error: str = Field(description="Of the latest try")
    died_at: UtcTime
    resend_at: UtcTime | None = Field(description="Somebody asked to send it again; null when that was tried")
    resent_at: UtcTime | None = Field(description="It was taken after all")
    event: EventShape


class DeadLetterPage(Shape):
    """Dead letters."""

    dead_letters: list[DeadLetterShape] = Field(description="Latest first")
    next: Next


class LetterQuery(Shape):
    """Which dead letters."""

    webhook: str | None = Field(default=None, pattern=Name, description="Of this receiver")
    limit: Limit = 50
    cursor: CursorText | None = None


class LetterPath(Shape):
    """Which dead letter."""

    letter_id: int = Field(ge=1, le=2**53, description="Its number", examples=[1])


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else utc_text(seconds)


def _delivery(cursor: Cursor) -> DeliveryShape:
    return DeliveryShape(
        lane_id=cursor.lane_id,
        done_seq=cursor.done_seq,
        delivered=cursor.delivered,
        attempts=cursor.attempts,
        next_try_at=_time(cursor.next_try_s),
        last_delivered_at=_time(cursor.last_done_s),
        last_error=cursor.last_error,
    )


def _webhooks(call: Call) -> Reply:
    config, outbox = call.services.config, call.services.outbox
    hooks = () if config is None else config.site.webhooks
    shown = [
        WebhookShape(
            name=hook.name,
            url=redact_url(hook.url),
            kinds=None if hook.kinds is None else [str(kind) for kind in hook.kinds],
            lanes=hook.lanes,
            waiting=outbox.depth(CONSUMER + hook.name),
            deliveries=[_delivery(cursor) for cursor in outbox.cursors(CONSUMER + hook.name)],
        )
        for hook in hooks
    ]
    return Reply(WebhookList(webhooks=shown))


def _shown(letter: DeadLetter) -> DeadLetterShape:
    return DeadLetterShape(
        letter_id=letter.letter_id,
        webhook=letter.consumer.removeprefix(CONSUMER),
        attempts=letter.attempts,
        error=letter.error,
        died_at=utc_text(letter.died_at_s),
        resend_at=_time(letter.resend_at_s),
        resent_at=_time(letter.resent_at_s),
        event=shown_event(letter.stored),
    )


def _letters(call: Call) -> Reply:
    query = call.query_as(LetterQuery)
    before = None if query.cursor is None else int(read_cursor("letters", query.cursor, query)[0])
    consumer = None if query.webhook is None else CONSUMER + query.webhook
    found = call.services.outbox.letters(consumer, before, query.limit + 1)
    page = found[: query.limit]
    more = next_address(call, "letters", (page[-1].letter_id,)) if len(found) > len(page) else None
    return Reply(DeadLetterPage(dead_letters=[_shown(one) for one in page], next=more), headers=link_header(more))


def _letter(call: Call) -> Reply:
    return Reply(_shown(_found(call)))


def _resend(call: Call) -> Reply:
    letter = _found(call)
    if not call.services.outbox.ask_again(letter.letter_id):
        raise ApiProblem(409, "Taken already", f"letter {letter.letter_id} was taken when it was sent again")
    told = {"webhook": letter.consumer.removeprefix(CONSUMER), "event": letter.stored.event.event_id}
    audit(current_person(), "webhook.resend", str(letter.letter_id), None, told)
    return Reply(_shown(_found(call)), status=202)


def _found(call: Call) -> DeadLetter:
    letter_id = call.path_as(LetterPath).letter_id
    letter = call.services.outbox.letter(letter_id)
    if letter is None:
        raise unknown("dead letter", str(letter_id))
    return letter


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("webhooks_list", "GET", "/webhooks", "Who is told of events, and how far each is", "webhooks",
                  _webhooks, WebhookList, tagged=True),
        Operation(
            "dead_letters_list", "GET", "/webhooks/dead-letters", "Events that a receiver would not take", "webhooks",
            _letters, DeadLetterPage, query=LetterQuery, tagged=True,
        ),
        Operation("dead_letters_get", "GET", "/webhooks/dead-letters/{letter_id}", "One dead letter", "webhooks",
                  _letter, DeadLetterShape, path=LetterPath, tagged=True),
        Operation(
            "dead_letters_resend", "POST", "/webhooks/dead-letters/{letter_id}/resend", "Send it again", "webhooks",
            _resend, DeadLetterShape, status=202, path=LetterPath, once=True, problems=(409,),
        ),
    )  # fmt: skip
