"""A cashier's corrections: an open bill through its lane, a closed one by new events in the journal."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from app.accounts.audit import Values
from app.api.bill_shapes import BillShape
from app.api.bills import BillPath, find_bill, shown_bill
from app.api.dispatch import check_if_match
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem
from app.api.shapes import BillId, DishName, Note, Shape
from app.guard import current_person, note
from checkout.correction import Action, Correction, check_dish, correct_closed
from core.records import Bill, Event

#: How long a lane may take to come to a correction: it looks at least four times a second.
LANE_WAIT_S = 3.0


class LinePath(Shape):
    """Which line of which bill."""

    bill_id: BillId
    line_no: int = Field(ge=1, le=100_000, description="Number of the line", examples=[1])


class LineCorrection(Shape):
    """What a line is, or that it does not belong on the bill."""

    action: Literal["replace", "remove"] = Field(description="Another dish, or off the bill", examples=["replace"])
    dish: DishName | None = Field(default=None, description="What it is; for replace only")
    reason: Note = Field(default="", description="Why, for the audit", examples=["guest had the soup"])

    @model_validator(mode="after")
    def _fits(self) -> LineCorrection:
        if (self.action == "replace") != (self.dish is not None):
            raise ValueError("replace names a dish, remove names none")
        return self


class MissingLine(Shape):
    """A dish that is missing on the bill."""

    dish: DishName
    reason: Note = Field(default="", description="Why, for the audit")


class Confirmation(Shape):
    """That a bill is right as it stands."""

    reason: Note = Field(default="", description="A note, for the audit")


class Corrected(Shape):
    """The bill after a correction, and what it added to the journal."""

    bill: BillShape = Field(description="At its new revision")
    event_ids: list[str] = Field(description="Of the events that say what changed")


def _correct_line(call: Call) -> Reply:
    path, body = call.path_as(LinePath), call.body_as(LineCorrection)
    return _apply(call, path.bill_id, Action(body.action), path.line_no, body.dish or "", body.reason)


def _add_line(call: Call) -> Reply:
    body = call.body_as(MissingLine)
    return _apply(call, call.path_as(BillPath).bill_id, Action.ADD, None, body.dish, body.reason)


def _confirm(call: Call) -> Reply:
    body = call.body_as(Confirmation)
    return _apply(call, call.path_as(BillPath).bill_id, Action.CONFIRM, None, "", body.reason)


def _apply(call: Call, bill_id: str, action: Action, line_no: int | None, dish: str, reason: str) -> Reply:
    services = call.services
    seen = find_bill(call, bill_id)
    check_if_match(call, shown_bill(services.site, seen))
    revision = seen.revision if "if-match" in call.headers else None
    correction = Correction(bill_id, action, line_no, dish, call.by, reason, revision)
    check_dish(correction, services.site.menu)
    if seen.closed_s is None and seen.lane_id in services.site.lane_ids:
        bill, event_ids = _through_lane(call, seen, correction)
    else:
        bill, event_ids = _in_journal(call, seen, correction)
    before: Values = {"revision": seen.revision, "total": seen.total, "lane": seen.lane_id}
    said: Values = {"line_no": line_no, "dish": dish, "reason": reason}
    after: Values = {"revision": bill.revision, "total": bill.total, **said}
    note(current_person(), f"bill.{action}", bill_id, before, after)
    return Reply(Corrected(bill=shown_bill(services.site, bill), event_ids=event_ids))


def _through_lane(call: Call, seen: Bill, correction: Correction) -> tuple[Bill, list[str]]:
    """Correct an open bill.

    Raises:
        CorrectionRefused: the lane refuses.
        ApiProblem: 503, the lane did not come to it.
    """
    outcome = call.services.site.correct(seen.lane_id, correction).wait(LANE_WAIT_S)
    bill, events = (None, ()) if outcome is None else outcome
    if bill is None:
        told = f"lane {seen.lane_id} did not take the correction within {LANE_WAIT_S:g} s; nothing was changed"
        raise ApiProblem(503, "Lane busy", told)
    return bill, [event.event_id for event in events]


def _in_journal(call: Call, seen: Bill, correction: Correction) -> tuple[Bill, list[str]]:
    """Correct a closed bill: new events, and the bill at a new revision, in one transaction.

    Raises:
        CorrectionRefused: it has no such line, or has changed meanwhile.
        ApiProblem: 409, it is open, and its lane is not here.
    """
    services = call.services
    made: list[str] = []
    journal = services.store.events(seen.lane_id, limit=1, bill_id=seen.bill_id)
    if not journal:
        raise ApiProblem(409, "No journal", f"bill {seen.bill_id} has no events; it cannot be corrected")

    def change(bill: Bill, highest_line_no: int) -> tuple[list[Event], Bill]:
        origin = journal[0].event
        events, after = correct_closed(
            bill, highest_line_no, correction, services.site.menu, services.clock.utc_s(), origin
        )
        made.extend(event.event_id for event in events)
        return events, after

    bill = services.store.revise(seen.bill_id, change)
    if bill is None:
        raise ApiProblem(409, "Bill is open", f"bill {seen.bill_id} is open on lane {seen.lane_id}, which is not here")
    services.site.note_correction(bill, confirmed=correction.action is Action.CONFIRM)
    return bill, made


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation(
            "bills_correct_line", "POST", "/bills/{bill_id}/lines/{line_no}/correction",
            "Say what a line is, or take it off", "corrections", _correct_line, Corrected, path=LinePath,
            body=LineCorrection, once=True, if_match="may", problems=(409,),
            more="What a person says is final: no model changes such a line. A correction is an event of its own in "
            "the bill's journal, with who and why. `replace` puts a line that was removed by hand back.",
        ),
        Operation(
            "bills_add_line", "POST", "/bills/{bill_id}/lines", "Add a dish that is missing", "corrections",
            _add_line, Corrected, path=BillPath, body=MissingLine, once=True, if_match="may", problems=(409,),
        ),
        Operation(
            "bills_confirm", "POST", "/bills/{bill_id}/confirmation", "Say that a bill is right", "corrections",
            _confirm, Corrected, path=BillPath, body=Confirmation, once=True, if_match="may", problems=(409,),
            more="It holds until a line changes. Nothing about the bill changes but its revision.",
        ),
    )  # fmt: skip
