"""The base of all records of the API, and the few values that many of them share."""

from __future__ import annotations

import datetime
import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema


class Shape(BaseModel):
    """Base of what is sent and received: frozen; a field that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _flag(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, str):
        raise ValueError("give true or false")
    return value


def _whole(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise ValueError("give a whole number")
        return int(value)
    return value


def _decimal(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", value):
            raise ValueError("give a number such as 4.50")
        return float(value)
    return value


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> object:
    if isinstance(value, str):
        if not _MOMENT.fullmatch(value):
            raise ValueError("give a time with its zone, such as 2026-05-04T12:00:00Z (write + as %2B in an address)")
        try:
            return datetime.datetime.fromisoformat(value.upper()).timestamp()
        except (ValueError, OverflowError) as err:
            raise ValueError(f"not a moment: {err}") from err
    return value


#: Of an address' query: text that must be exactly one of these spellings.
Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(_whole)]
Decimal = Annotated[float, BeforeValidator(_decimal)]
Moment = Annotated[
    float,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-05-04T12:00:00Z"]}),
]
UtcTime = Annotated[str, Field(description="Moment in UTC, RFC 3339", json_schema_extra={"format": "date-time"})]
LaneId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"),
    Field(description="Id of a lane, as in the configuration", examples=["lane1"]),
]
BillId = Annotated[
    str,
    StringConstraints(pattern=r"^[!-.0-~]{1,100}$"),
    Field(description="Id of a bill", examples=["0b7a4b0e-2c3f-5b0a-9a43-0d0a3b1c2d4e"]),
]
#: A dish's name as a person may write it: no control characters (PostgreSQL refuses NUL).
DishName = Annotated[
    str,
    StringConstraints(pattern=r"^[^\u0000-\u001f\u007f]{1,200}$"),
    Field(description="Name of a dish, as on the menu", examples=["soup"]),
]
Note = Annotated[str, StringConstraints(pattern=r"^[^\u0000-\u001f\u007f]{0,500}$")]
Limit = Annotated[Whole, Field(ge=1, le=500, description="At most so many on a page, a whole number from 1 to 500")]
CursorText = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,512}$"),
    Field(description="Where the page begins: `next` of the page before, unchanged"),
]
Next = Annotated[str | None, Field(description="Address of the next page; null on the last one")]


class FieldError(Shape):
    """One thing that is wrong with a request."""

    detail: str = Field(description="What is wrong", examples=["give a whole number"])
    pointer: str | None = Field(default=None, description="JSON pointer into the body", examples=["#/dish"])
    parameter: str | None = Field(default=None, description="Parameter of the address or header", examples=["limit"])


class Problem(Shape):
    """Problem details (RFC 9457)."""

    type: str = Field(default="about:blank", description="Kind of problem")
    title: str = Field(description="Short name of the kind of problem", examples=["Unknown lane"])
    status: int = Field(description="The HTTP status", examples=[404])
    detail: str = Field(description="What happened and what to do", examples=["there is no lane 'x'; lanes: lane1"])
    errors: list[FieldError] | None = Field(default=None, description="Each field that is wrong")
