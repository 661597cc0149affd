"""Changes of the menu: teach a dish from a photo, set values, take back, tables. Each is a revision; none is lost."""

from __future__ import annotations

import base64
import binascii
import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.api.dishes import Day, DishPath, DishShape, shown_dish, shown_dishes
from app.api.lanes import known_lane
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem, unknown
from app.api.services import no_file
from app.api.shapes import DishName, FieldError, LaneId, Shape, UtcTime, Whole
from app.api.zones import QUALITY
from app.dish_desk import DishDesk, MenuChanged
from app.guard import audit, current_person
from app.screen import encode_jpeg
from checkout.menu_records import DishRecord, Revision
from checkout.teaching import TeachRequest
from core.clock import utc_text

#: A photo of 12 MB as base64.
_PHOTO_BYTES = 17 * 1024 * 1024
_TABLE_BYTES = 4 * 1024 * 1024
_Text = Annotated[str, StringConstraints(pattern=r"^[^\u0000-\u001f\u007f]{0,200}$")]
_Box = tuple[float, float, float, float]


class PhotoBody(Shape):
    """A photo, or the newest picture of a lane, and where the dish is in it."""

    photo: str | None = Field(default=None, max_length=_PHOTO_BYTES, description="JPEG, PNG, WebP as base64")
    lane_id: LaneId | None = Field(default=None, description="Take this lane's newest picture")
    box: _Box | None = Field(default=None, description="Left, top, right, bottom, pixels; found out if left out")


class LookBody(PhotoBody):
    """A photo to look at."""

    name: str = Field(default="", max_length=80, description="Of a dish that is there; empty for a new one")


class TeachBody(PhotoBody):
    """What is taught."""

    name: DishName
    price: float | None = Field(default=None, ge=0, le=100000, description="Of a new dish; without it a photo is added")
    title: _Text | None = Field(default=None, description="What people read; from the name if left out")
    plu: _Text | None = Field(default=None, description="Article number of the till")
    category: _Text | None = Field(default=None, description="Group for reports")
    days: list[Day] | None = Field(default=None, description="Weekdays on which it is sold; all if left out")
    replace: bool = Field(default=False, description="Forget the photos that the dish has")
    accept_lookalike: bool = Field(default=False, description="Teach it although it looks like another dish")


class AlikeShape(Shape):
    """A dish that is easily confused with it."""

    dish: DishShape = Field(description="The other dish")
    similarity: float = Field(description="1 is the same")


class LookShape(Shape):
    """What a photo would teach."""

    thumbnail: str = Field(description="What was taken for the dish, JPEG as base64")
    found: str = Field(description="How it was found", examples=["detected"])
    warnings: list[str] = Field(description="What could be better")
    alike: list[AlikeShape] = Field(description="Dishes that it is easily confused with")


class ChangeShape(Shape):
    """The menu after a change."""

    revision: int = Field(description="Of the menu; lanes take it up within seconds")
    what: str = Field(description="What was done")
    dish: DishShape | None = Field(description="The dish as it is now; null if the change is not about one")
    warnings: list[str] = Field(description="What could be better")


class DishChanges(Shape):
    """Values to set; what is left out stays."""

    name: DishName | None = Field(default=None, description="Another name; only of a dish that was taught here")
    title: _Text | None = None
    price: float | None = Field(default=None, ge=0, le=100000, description="In the menu's currency")
    plu: _Text | None = None
    category: _Text | None = None
    days: list[Day] | None = None
    first_day: datetime.date | None = None
    last_day: datetime.date | None = None


class UndoBody(Shape):
    """Which change is taken back."""

    revision: int = Field(ge=1, description="That it made; nothing happens if the menu was changed after it")


class RevisionShape(Shape):
    """One change of the menu."""

    revision: int = Field(description="Counted from 1")
    at: UtcTime
    who: str = Field(description="Who made it")
    what: str = Field(description="What was done")
    dishes: int = Field(description="Taught dishes since then")


class RevisionList(Shape):
    """The changes of the menu."""

    revisions: list[RevisionShape] = Field(description="Latest first")
    can_undo: bool = Field(description="The latest one can be taken back")


class HistoryQuery(Shape):
    """How many changes."""

    limit: Whole = Field(default=50, ge=1, le=500, description="At most so many")


class TableBody(Shape):
    """A menu as a table."""

    csv: str = Field(max_length=_TABLE_BYTES, description="Columns name and price, and perhaps others of the export")
    dry_run: bool = Field(default=False, description="Only tell what would change")


class TableChange(Shape):
    """What a table does to a dish."""

    dish: str = Field(description="Name of the dish")
    kind: Literal["new", "changed"]
    changes: list[str] = Field(description="What becomes another", examples=[["price 4.50 -> 4.80"]])


class TableShape(Shape):
    """What a table does."""

    revision: int = Field(description="Of the menu afterwards")
    changes: list[TableChange] = Field(description="By name")


def _desk(call: Call) -> DishDesk:
    if call.services.dishes is None:
        raise no_file()
    return call.services.dishes


def _photo(call: Call, body: PhotoBody) -> bytes:
    """Return the photo that a request sends or means.

    Raises:
        ApiProblem: 422 neither or both, or not base64; 503 the lane has no picture.
    """
    if (body.photo is None) == (body.lane_id is None):
        detail = "give either a photo or a lane_id"
        raise ApiProblem(422, "Bad photo", detail, [FieldError(pointer="#/photo", detail=detail)])
    if body.photo is not None:
        try:
            return base64.b64decode(body.photo, validate=True)
        except binascii.Error as err:
            detail = f"not base64: {err}"
            raise ApiProblem(422, "Bad photo", detail, [FieldError(pointer="#/photo", detail=detail)]) from err
    lane_id = known_lane(call, body.lane_id or "")
    screen = call.services.site.screen(lane_id)
    update = None if screen is None else screen.latest()
    if update is None or update.frame is None:
        raise ApiProblem(503, "No picture", f"lane {lane_id} has not seen a frame yet; look whether its camera is on")
    return encode_jpeg(update.frame.image, QUALITY)


def _look(call: Call) -> Reply:
    body = call.body_as(LookBody)
    seen = _desk(call).look(_photo(call, body), body.name, body.box)
    dishes = shown_dishes(call.services)
    alike = [AlikeShape(dish=dishes[one.other], similarity=round(one.similarity, 3)) for one in seen.alike]
    told = base64.b64encode(seen.thumbnail).decode()
    return Reply(LookShape(thumbnail=told, found=seen.found, warnings=list(seen.warnings), alike=alike))


def _teach(call: Call) -> Reply:
    desk, body = _desk(call), call.body_as(TeachBody)
    before = desk.whole().get(body.name)
    request = TeachRequest(
        name=body.name,
        price=body.price,
        title=body.title,
        plu=body.plu,
        category=body.category,
        days=None if body.days is None else tuple(body.days),
        replace=body.replace,
        box=body.box,
        force_lookalike=body.accept_lookalike,
        who=call.by,
    )
    outcome = desk.teach(_photo(call, body), request)
    audit(current_person(), "menu.teach", outcome.name, _facts(before), _facts(outcome.dish))
    shown = shown_dish(outcome.name, outcome.dish, desk.today(), True)
    what = desk.revision().what
    return Reply(
        ChangeShape(revision=outcome.revision, what=what, dish=shown, warnings=list(outcome.warnings)), status=201
    )


def _change(call: Call) -> Reply:
    desk, name, body = _desk(call), call.path_as(DishPath).dish, call.body_as(DishChanges)
    before = desk.whole().get(name)
    if before is None:
        raise unknown("dish", name, sorted(desk.whole()))
    values = body.model_dump(exclude_unset=True, exclude={"name"})
    for key, value in values.items():
        if value is None and key not in ("first_day", "last_day"):
            detail = "give a value, or leave it out"
            raise ApiProblem(422, "Bad value", f"{key}: {detail}", [FieldError(pointer=f"#/{key}", detail=detail)])
    if "days" in values:
        values["days"] = tuple(values["days"])
    revision = desk.set_values(name, values, body.name, call.by)
    after = revision.dishes.get(body.name or name) or desk.whole()[body.name or name]
    action = "menu.price" if set(values) == {"price"} and body.name is None else "menu.change"
    audit(current_person(), action, name, _facts(before), _facts(after, body.name or ""))
    return Reply(_changed(desk, revision, body.name or name))


def _remove(call: Call) -> Reply:
    desk, name = _desk(call), call.path_as(DishPath).dish
    before = desk.whole().get(name)
    if before is None:
        raise unknown("dish", name, sorted(desk.whole()))
    revision = desk.remove(name, call.by)
    audit(current_person(), "menu.remove", name, _facts(before), None)
    return Reply(_changed(desk, revision, name))


def _undo(call: Call) -> Reply:
    desk, seen = _desk(call), call.body_as(UndoBody).revision
    try:
        revision = desk.undo(seen, call.by)
    except MenuChanged as err:
        raise ApiProblem(409, "Changed meanwhile", str(err)) from err
    audit(current_person(), "menu.undo", revision.what, {"revision": seen}, {"revision": revision.number})
    return Reply(_changed(desk, revision, ""))


def _changed(desk: DishDesk, revision: Revision, name: str) -> ChangeShape:
    record = desk.whole().get(name)
    dish = None if record is None else shown_dish(name, record, desk.today(), name in revision.dishes)
    return ChangeShape(revision=revision.number, what=revision.what, dish=dish, warnings=[])


def _facts(record: DishRecord | None, name: str = "") -> dict[str, str | float | int] | None:
    """Return what the audit keeps of a dish."""
    if record is None:
        return None
    facts: dict[str, str | float | int] = {
        "title": record.title,
        "price": record.price,
        "plu": record.plu,
        "category": record.category,
        "days": " ".join(record.days),
        "photos": len(record.photos),
    }
    return facts | ({"name": name} if name else {})


def _history(call: Call) -> Reply:
    found = _desk(call).history(call.query_as(HistoryQuery).limit)
    told = [
        RevisionShape(
            revision=one.number, at=utc_text(one.made_at_s), who=one.who, what=one.what, dishes=len(one.dishes)
        )
        for one in found
    ]
    can_undo = bool(found) and not (found[0].parent == 0 and not found[0].dishes)
    return Reply(RevisionList(revisions=told, can_undo=can_undo))


def _export(call: Call) -> Reply:
    name = (("Content-Disposition", 'attachment; filename="menu.csv"'),)
    return Reply(stream=iter([_desk(call).as_csv()]), media="text/csv; charset=utf-8", headers=name)


def _import(call: Call) -> Reply:
    desk, body = _desk(call), call.body_as(TableBody)
    before, after = desk.read_csv(body.csv)
    changes = [
        TableChange(dish=name, kind="new" if name not in before else "changed", changes=_told(before.get(name), record))
        for name, record in after.items()
        if before.get(name) != record
    ]
    if body.dry_run or not changes:
        return Reply(TableShape(revision=desk.revision().number, changes=changes))
    revision = desk.bring_in(body.csv, call.by)
    audit(current_person(), "menu.import", "menu", None, {one.dish: "; ".join(one.changes) for one in changes})
    return Reply(TableShape(revision=revision.number, changes=changes))


def _told(before: DishRecord | None, after: DishRecord) -> list[str]:
    old = {} if before is None else before.model_dump(exclude={"photos"})
    new = after.model_dump(exclude={"photos"})
    if before is None:
        return [f"price {after.price:.2f}", f"title {after.title}"]
    return [f"{key} {_plain(old[key])} -> {_plain(value)}" for key, value in new.items() if old[key] != value]


def _plain(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else f"{value:.2f}" if isinstance(value, float) else str(value)


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation(
            "menu_look", "POST", "/menu-looks", "What a photo would teach", "menu", _look, LookShape, body=LookBody,
            problems=(404, 409, 503), most_bytes=_PHOTO_BYTES, more="Nothing changes.",
        ),
        Operation(
            "menu_teach", "POST", "/menu", "Teach a dish from a photo", "menu", _teach, ChangeShape, status=201,
            body=TeachBody, once=True, problems=(404, 409, 503), most_bytes=_PHOTO_BYTES,
            more="Running lanes know it within seconds. A look-alike of another dish is refused unless it is accepted.",
        ),
        Operation("dishes_change", "PATCH", "/menu/{dish}", "Change a dish", "menu", _change, ChangeShape,
                  path=DishPath, body=DishChanges, problems=(404,)),
        Operation("dishes_remove", "DELETE", "/menu/{dish}", "Forget what was taught of a dish", "menu", _remove,
                  ChangeShape, path=DishPath, problems=(404,)),
        Operation("menu_undo", "POST", "/menu-undo", "Take the latest change back", "menu", _undo, ChangeShape,
                  body=UndoBody, once=True, problems=(409,)),
        Operation("menu_history", "GET", "/menu-history", "Who changed the menu, when", "menu", _history, RevisionList,
                  query=HistoryQuery, tagged=True),
        Operation("menu_csv", "GET", "/menu.csv", "The menu as a table", "menu", _export, media=("text/csv",)),
        Operation("menu_import", "POST", "/menu-import", "Take prices, titles and days from a table", "menu", _import,
                  TableShape, body=TableBody, once=True, most_bytes=_TABLE_BYTES),
    )  # fmt: skip
