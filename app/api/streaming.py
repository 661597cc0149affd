"""Streams of server-sent events: who may watch, and what a client that comes back says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.api.operation import Call, Reply
from app.api.problems import ApiProblem
from app.guard import Permit, stream_permit
from app.viewers import Watched

EVENT_STREAM = "text/event-stream"
#: Tells nginx and friends not to hold pieces back.
_HEADERS = (("X-Accel-Buffering", "no"),)


def stream_reply(call: Call, begin: Callable[[], Iterator[str]]) -> Reply:
    """Return a stream that counts as a viewer.

    Raises:
        ApiProblem: 503, too many watch already.
    """
    leave = call.services.viewers.admit()
    if leave is None:
        limit = call.services.viewers.limit
        raise ApiProblem(503, "Too many viewers", f"{limit} streams are open; close one or try again later")
    try:
        pieces = begin()
    except BaseException:
        leave()
        raise
    watched = Watched(_while_allowed(iter(pieces), stream_permit()), leave)
    return Reply(stream=watched, media=EVENT_STREAM, headers=_HEADERS)


def _while_allowed(pieces: Iterator[str], permit: Permit) -> Iterator[str]:
    """Yield pieces until the viewer's right to them ends: logged out, disabled, token revoked."""
    try:
        for piece in pieces:
            if not permit.holds():
                return
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
