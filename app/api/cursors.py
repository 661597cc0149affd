"""Cursors of pages: where the next one begins, closed to the client and checked when they come back.

A cursor carries the position and a check value over the position and the filters it was made under: one that was cut
off, guessed, or used with other filters is refused instead of giving a page of something else. It is no secret, so the
check value has no key and cursors live across restarts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from urllib.parse import urlencode

from app.api.operation import Call
from app.api.problems import ApiProblem
from app.api.shapes import FieldError, Shape

_CHECK_BYTES = 6
Position = tuple[float | int | str, ...]


def write_cursor(kind: str, position: Position, query: Shape) -> str:
    """Return the cursor of a position in a list that `query` filters.

    >>> from app.api.shapes import Shape
    >>> read_cursor("bills", write_cursor("bills", (1.5, "b"), Shape()), Shape())
    (1.5, 'b')
    """
    text = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(kind, text, query) + text).rstrip(b"=").decode()


def read_cursor(kind: str, cursor: str, query: Shape) -> Position:
    """Return the position of a cursor.

    Raises:
        ApiProblem: 400, it is not one of ours for this list and these filters.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raw = b""
    check, text = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if not text or check != _check(kind, text, query):
        detail = "not a cursor of this list with these filters; use `next` of the page before as it is"
        raise ApiProblem(400, "Bad cursor", f"cursor: {detail}", [FieldError(parameter="cursor", detail=detail)])
    return tuple(json.loads(text))


def next_address(call: Call, kind: str, position: Position) -> str:
    """Return the address of the page that begins after `position`: the same filters, another cursor."""
    query = call.query if call.query is not None else Shape()
    return f"{call.address}?{urlencode({**call.arguments, 'cursor': write_cursor(kind, position, query)})}"


def link_header(next_page: str | None) -> tuple[tuple[str, str], ...]:
    """Return the Link header (RFC 8288) of a page."""
    return () if next_page is None else (("Link", f'<{next_page}>; rel="next"'),)


def _check(kind: str, text: bytes, query: Shape) -> bytes:
    filters = query.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    named = json.dumps([kind, filters], sort_keys=True).encode()
    return hashlib.blake2b(named + b"\0" + text, digest_size=_CHECK_BYTES).digest()
