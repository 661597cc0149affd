"""What an operation of the API is: one record from which requests are checked and the OpenAPI document is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel

from app.api.shapes import Shape

if TYPE_CHECKING:
    from app.api.services import Services

ShapeT = TypeVar("ShapeT", bound=Shape)
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers.

    Attributes:
        content: becomes the JSON body; None for a stream or nothing.
        stream: the body piece by piece.
        body: the bytes of a small picture.
        file: the body as a file, which may be asked for in ranges.
        media: of the stream.
        headers: further ones.
    """

    content: BaseModel | None = None
    status: int = 200
    stream: Iterator[str] | None = None
    body: bytes | None = None
    file: Path | None = None
    media: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One checked request.

    Attributes:
        path: the values in the address, as the operation's `path` model.
        query: likewise; body too.
        by: who asks, for the audit.
        lanes: the only lanes that they may see; None means all.
        headers: of the request, by lower-case name.
        services: what handlers use.
        address: path of the request, for links.
        arguments: what stands after the question mark, as it was sent.
    """

    services: Services
    by: str
    address: str
    headers: Mapping[str, str]
    arguments: Mapping[str, str] = field(default_factory=dict)
    path: Shape | None = None
    query: Shape | None = None
    body: Shape | None = None
    lanes: frozenset[str] | None = None

    @property
    def lane_ids(self) -> list[str]:
        """The lanes that the caller may see, in the order of the configuration."""
        return [lane_id for lane_id in self.services.site.lane_ids if self.sees(lane_id)]

    def sees(self, lane_id: str) -> bool:
        """Return whether the caller may see a lane."""
        return self.lanes is None or lane_id in self.lanes

    def path_as(self, shape: type[ShapeT]) -> ShapeT:
        """Return the values in the address."""
        return _as(self.path, shape)

    def query_as(self, shape: type[ShapeT]) -> ShapeT:
        """Return the values after the question mark."""
        return _as(self.query, shape)

    def body_as(self, shape: type[ShapeT]) -> ShapeT:
        """Return the body."""
        return _as(self.body, shape)


def _as(value: Shape | None, shape: type[ShapeT]) -> ShapeT:
    if not isinstance(value, shape):
        raise TypeError(f"the operation's model is not {shape.__name__}")
    return value


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address.

    Attributes:
        name: the endpoint's name (`api.NAME` in Flask) and the operation's id; stable, permissions go by it.
        method: GET, POST, PUT, PATCH or DELETE.
        address: below `/api/v1`, with `{name}` for values.
        summary: one line.
        tag: the resource it belongs to.
        handler: answers it.
        result: shape of the JSON answer; None for none.
        status: of success.
        path: model of the values in the address; query and body likewise.
        problems: statuses of problem details that it may answer beyond those that every operation has.
        tagged: the answer carries an entity tag, and `If-None-Match` is honoured.
        if_match: whether the request may or must carry `If-Match`.
        media: further media types of the answer (`text/csv`, `text/event-stream`).
        most_bytes: of the body.
        once: a POST that changes something, so `Idempotency-Key` is honoured.
        more: further sentences for the document.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    address: str
    summary: str
    tag: str
    handler: Callable[[Call], Reply]
    result: type[BaseModel] | None = None
    status: int = 200
    path: type[Shape] | None = None
    query: type[Shape] | None = None
    body: type[Shape] | None = None
    problems: tuple[int, ...] = ()
    tagged: bool = False
    if_match: Literal["no", "may", "must"] = "no"
    media: tuple[str, ...] = ()
    most_bytes: int = 1024 * 1024
    once: bool = False
    more: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
