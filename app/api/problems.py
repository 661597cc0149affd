"""Errors as problem details (RFC 9457): one shape for everything that goes wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence

from flask import Response

from app.api.shapes import FieldError, Problem
from checkout.correction import CorrectionRefused
from core.errors import (
    ConfigError,
    DataError,
    FolderUnusable,
    ModelError,
    ModelNotFound,
    StoreUnavailable,
    TraylaneError,
)
from core.redact import redact_text

RETRY_S = 2


class ApiProblem(Exception):
    """A request that is answered with problem details.

    Args:
        status: the HTTP status.
        title: short, the same for each problem of its kind.
        detail: what happened and what to do.
        errors: the fields that are wrong.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail
        self.errors, self.headers = tuple(errors), tuple(headers)


def problem(status: int, title: str, detail: str, errors: Sequence[FieldError] = ()) -> Response:
    """Return problem details as a response."""
    # The last net: whoever wrote the text may have quoted an address with its password.
    shown = [one.model_copy(update={"detail": redact_text(one.detail)}) for one in errors]
    content = Problem(title=title, status=status, detail=redact_text(detail), errors=shown or None)
    body = json.dumps(content.model_dump(exclude_none=True), ensure_ascii=False)
    response = Response(body, status=status, content_type="application/problem+json")
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_S)
    return response


def unknown(what: str, name: str, known: Sequence[str] = ()) -> ApiProblem:
    """Return the problem that there is no such thing, with the names that there are."""
    shown = f"; {what}s: {', '.join(known[:20])}" if known else ""
    return ApiProblem(404, f"Unknown {what}", f"there is no {what} {name!r}{shown}")


def status_of(error: TraylaneError) -> int:
    """Return the HTTP status of an expected error."""
    if isinstance(error, StoreUnavailable | FolderUnusable):
        return 503
    if isinstance(error, ModelNotFound):
        return 404
    if isinstance(error, CorrectionRefused | ModelError):
        return 409
    if isinstance(error, DataError):
        return 422
    return 400 if isinstance(error, ConfigError) else 500
