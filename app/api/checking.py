"""Check a request against its operation's models, with a message for every field that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Request
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.operation import Operation
from app.api.problems import ApiProblem
from app.api.shapes import FieldError, Shape

_SHOWN_ERRORS = 20


def checked_path(operation: Operation, values: dict[str, Any]) -> Shape | None:
    """Return the values in the address.

    Raises:
        ApiProblem: 400, one is not what it should be.
    """
    if operation.path is None:
        return None
    try:
        return operation.path.model_validate(values)
    except ValidationError as err:
        raise _refusal(400, "Bad address", err, in_body=False) from err


def checked_query(operation: Operation, request: Request) -> Shape | None:
    """Return the values after the question mark.

    Raises:
        ApiProblem: 400, one is unknown, given twice, or not what it should be.
    """
    known = {} if operation.query is None else operation.query.model_fields
    names = {field.alias or name for name, field in known.items()}
    strange = sorted(set(request.args) - names)
    twice = sorted(name for name in names if len(request.args.getlist(name)) > 1)
    if strange or twice:
        allowed = ", ".join(sorted(names)) or "none"
        errors = [FieldError(parameter=name, detail="unknown parameter") for name in strange[:_SHOWN_ERRORS]]
        errors += [FieldError(parameter=name, detail="given more than once") for name in twice]
        what = ", ".join([*strange[:_SHOWN_ERRORS], *twice])
        raise ApiProblem(400, "Bad parameter", f"cannot use {what}; parameters here: {allowed}", errors)
    if operation.query is None:
        return None
    try:
        return operation.query.model_validate(request.args.to_dict())
    except ValidationError as err:
        raise _refusal(400, "Bad parameter", err, in_body=False) from err


def checked_body(operation: Operation, request: Request) -> tuple[Shape | None, bytes]:
    """Return the body as its model, and its bytes.

    Raises:
        ApiProblem: 413 too long, 415 not JSON by its type, 400 not JSON, 422 a field is wrong.
    """
    request.max_content_length = operation.most_bytes
    try:
        raw = request.get_data(cache=True)
    except RequestEntityTooLarge as err:
        limit = f"a body here has at most {operation.most_bytes // 1024} KiB"
        raise ApiProblem(413, "Body too large", limit) from err
    if operation.body is None:
        return None, raw
    if request.mimetype != "application/json":
        given = request.mimetype or "nothing"
        raise ApiProblem(415, "Not JSON", f"the body is {given}; send JSON with Content-Type: application/json")
    try:
        return operation.body.model_validate_json(raw, strict=True), raw
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise ApiProblem(400, "Not JSON", f"the body cannot be read: {first['msg']}") from err
        raise _refusal(422, "Bad body", err, in_body=True) from err


def _refusal(status: int, title: str, err: ValidationError, in_body: bool) -> ApiProblem:
    found = err.errors(include_url=False, include_input=False)[:_SHOWN_ERRORS]
    errors = [_field_error(one["loc"], one["msg"], in_body) for one in found]
    told = "; ".join(f"{one.pointer or one.parameter}: {one.detail}" for one in errors[:5])
    return ApiProblem(status, title, told, errors)


def _field_error(place: Sequence[Any], message: str, in_body: bool) -> FieldError:
    detail = message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "unknown field")
    if not in_body:
        name = str(place[0]) if place else "?"
        if name == "limit":
            detail = "limit must be a whole number from 1 to 500"
        return FieldError(parameter=name, detail=detail)
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in place]
    return FieldError(pointer="#" + "".join(f"/{step}" for step in steps), detail=detail)
