"""The road of every request: check, look for a repeated one, handle, tag the answer.

Entity tags are strong: the SHA-256 of the very bytes that are sent, so equal tags mean equal bytes. `If-Match` on a
change compares with the tag that a GET of the same resource would carry; the handlers do it, as they know the
resource.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable

from flask import Blueprint, Request, Response, request, send_file
from pydantic import BaseModel

from app.accounts.person import Via
from app.api.checking import checked_body, checked_path, checked_query
from app.api.operation import JSON, Call, Operation, Reply
from app.api.problems import ApiProblem, problem, status_of
from app.api.services import Services
from app.api.shapes import FieldError
from app.guard import current_person
from core.errors import TraylaneError
from store.idempotency import Answer, KeyInUse, KeyOfAnotherRequest

PREFIX = "/api/v1"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def make_blueprint(operations: Iterable[Operation], services: Services) -> Blueprint:
    """Return the routes of all operations; endpoints are `api.NAME`."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for operation in operations:
        rule = re.sub(r"{(\w+)}", r"<\1>", operation.address)
        blueprint.add_url_rule(
            rule, operation.name, _view(operation, services), methods=[operation.method], strict_slashes=True
        )
    return blueprint


def caller() -> str:
    """Return who asks, for the audit; "demo" where nobody logs in."""
    return current_person().name


def tag_of(content: BaseModel) -> str:
    """Return the entity tag of a JSON answer, with its quotes."""
    return _tag(body_of(content))


def body_of(content: BaseModel) -> bytes:
    """Return the bytes of a JSON answer."""
    return content.model_dump_json(by_alias=True).encode()


def check_if_match(call: Call, current: BaseModel) -> None:
    """Make sure that a change is meant for the resource as it is; no `If-Match` passes.

    Raises:
        ApiProblem: 412, it has changed.
    """
    wanted = call.headers.get("if-match")
    if wanted is not None and not _matches(wanted, tag_of(current), weak=False):
        raise ApiProblem(412, "Changed meanwhile", "the resource is not as you saw it; get it again, then decide")


def _view(operation: Operation, services: Services) -> Callable[..., Response]:
    def view(**values: str) -> Response:
        path = checked_path(operation, values)
        query = checked_query(operation, request)
        _check_headers(operation, request)
        body, raw = checked_body(operation, request)
        call = Call(
            services=services,
            by=caller(),
            lanes=current_person().lanes,
            address=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            arguments=request.args.to_dict(),
            path=path,
            query=query,
            body=body,
        )
        key = request.headers.get("Idempotency-Key")
        if operation.once and key is not None:
            return _answered_once(operation, call, key, raw)
        return _respond(operation, operation.handler(call))

    return view


def _check_headers(operation: Operation, asked: Request) -> None:
    if operation.if_match == "must" and "If-Match" not in asked.headers:
        detail = "send If-Match with the ETag of the GET that you saw, so that nobody's change is overwritten"
        raise ApiProblem(428, "If-Match is missing", detail, [FieldError(parameter="If-Match", detail=detail)])
    key = asked.headers.get("Idempotency-Key")
    if operation.once and key is not None and not _KEY.fullmatch(key):
        detail = "an idempotency key has 1 to 255 printable ASCII characters, such as a UUID"
        raise ApiProblem(400, "Bad key", detail, [FieldError(parameter="Idempotency-Key", detail=detail)])


def _answered_once(operation: Operation, call: Call, key: str, raw: bytes) -> Response:
    """Handle a request, or give the answer that it was given before."""
    person = current_person()
    # A key is one person's (or token's), and for what they may see: an answer is not given to less than that.
    lanes = "all" if person.lanes is None else ",".join(sorted(person.lanes))
    keys, scope = call.services.keys, f"{operation.name}|{person.person_id}|{call.by}|{lanes}"
    named = json.dumps([call.address, sorted(call.arguments.items()), call.headers.get("if-match", "")])
    digest = hashlib.sha256(named.encode() + b"\0" + raw).hexdigest()
    try:
        kept = keys.begin(scope, key, digest)
    except KeyInUse:
        raise ApiProblem(
            409,
            "Request at work",
            "this very request is at work; ask again in a moment",
            headers=[("Retry-After", "1")],
        ) from None
    except KeyOfAnotherRequest:
        detail = "this key was used for another request; make a new key for a new request"
        raise ApiProblem(
            422, "Key was used", detail, [FieldError(parameter="Idempotency-Key", detail=detail)]
        ) from None
    if kept is not None:
        response = Response(kept.body, status=kept.status)
        response.headers.remove("Content-Type")
        response.headers.extend(kept.headers)
        response.headers["Idempotent-Replayed"] = "true"
        return response
    try:
        response = _settled(operation, call)
    except BaseException:
        keys.forget(scope, key)
        raise
    if response.status_code >= 500:
        keys.forget(scope, key)  # nothing was decided: the client may try again
    else:
        named_headers = tuple((n, v) for n, v in response.headers.items() if n.lower() != "content-length")
        keys.keep(scope, key, Answer(response.status_code, named_headers, response.get_data(as_text=True)))
    return response


def _settled(operation: Operation, call: Call) -> Response:
    """Handle a request; a refusal is an answer, too, and is kept like one."""
    try:
        return _respond(operation, operation.handler(call))
    except ApiProblem as err:
        response = problem(err.status, err.title, err.detail, err.errors)
        response.headers.extend(err.headers)
        return response
    except TraylaneError as err:
        return problem(status_of(err), type(err).__name__, str(err))


def _respond(operation: Operation, reply: Reply) -> Response:
    if reply.file is not None:
        # Conditional: browsers seek in a clip by asking for ranges of it.
        response = send_file(reply.file.resolve(), mimetype=reply.media, conditional=True)
        response.headers["Cache-Control"] = "private, max-age=60"
    elif reply.body is not None:
        response = Response(reply.body, status=reply.status, content_type=reply.media)
    elif reply.stream is not None:
        pieces: Iterable[str] = reply.stream
        if request.method == "HEAD":
            close = getattr(reply.stream, "close", None)
            if close is not None:
                close()
            pieces = ()
        response = Response(pieces, status=reply.status, content_type=reply.media)
        response.headers["Cache-Control"] = "no-store"
    elif reply.content is None:
        response = Response(status=reply.status)
        response.headers.pop("Content-Type", None)
    else:
        body = body_of(reply.content)
        response = Response(body, status=reply.status, content_type=JSON)
        if operation.tagged and reply.status == 200:
            _add_tag(response, _tag(body))
    response.headers.extend(reply.headers)
    return response


def _add_tag(response: Response, tag: str) -> None:
    response.headers["ETag"] = tag
    if current_person().via in (Via.DEMO, Via.TOKEN):
        # A browser in which somebody logged in keeps nothing (the guard's no-store).
        response.headers["Cache-Control"] = "no-cache"
    seen = request.headers.get("If-None-Match")
    if request.method in ("GET", "HEAD") and seen is not None and _matches(seen, tag, weak=True):
        response.status_code = 304
        response.set_data(b"")
        response.headers.pop("Content-Type", None)


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _matches(header: str, tag: str, weak: bool) -> bool:
    """Return whether a header names a tag. A weak tag never matches strongly (RFC 9110, 8.8.3.2)."""
    for given in re.findall(r'\*|(?:W/)?"[^"]*"', header):
        if given == "*" or given == tag or (weak and given.removeprefix("W/") == tag):
            return True
    return False
