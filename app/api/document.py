"""The OpenAPI 3.1 document, made from the operations themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.operation import JSON, Operation
from app.api.shapes import Problem, Shape

Json = dict[str, Any]
PROBLEM = "application/problem+json"
_REASONS = {
    200: "Done", 201: "Made", 202: "Taken up", 204: "Done", 304: "Not changed since",
    400: "The address, a parameter, a header or the JSON is wrong", 401: "Log in first",
    403: "Not allowed", 404: "There is no such thing", 405: "Not a method of this address",
    409: "It does not fit what is there", 410: "It was there, and is gone", 412: "Changed meanwhile (If-Match)",
    413: "The body is too large", 415: "The body is not JSON", 422: "A field of the body is wrong",
    428: "If-Match is missing", 429: "Too many requests", 500: "A fault in the program",
    503: "Cannot be answered now; try again later",
}  # fmt: skip
_ALWAYS = (400, 401, 403, 429, 500, 503)
_REF = "#/components/schemas/{model}"


def make_document(operations: Sequence[Operation], title: str, version: str) -> Json:
    """Return the document.

    Args:
        operations: all of them.
        title: of the API.
        version: of the program.
    """
    models: list[type[BaseModel]] = [Problem]
    for operation in operations:
        models += [model for model in (operation.result, operation.body) if model is not None]
    unique = list(dict.fromkeys(models))
    bodies = {operation.body for operation in operations}
    wanted = [(model, "validation" if model in bodies else "serialization") for model in unique]
    schemas, definitions = models_json_schema(wanted, ref_template=_REF)  # type: ignore[arg-type]
    names = {model: schemas[model, mode] for model, mode in wanted}  # type: ignore[index]
    paths: Json = {}
    for operation in operations:
        paths.setdefault(f"/api/v1{operation.address}", {})[operation.method.lower()] = _operation(operation, names)
    tags = list(dict.fromkeys(operation.tag for operation in operations))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": "Lanes, bills, questions and what they need. Errors are problem details (RFC 9457). Lists "
            "have pages: follow `next`. See docs/api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "For programs"},
                "session": {"type": "apiKey", "in": "cookie", "name": "traylane_session", "description": "Browsers"},
            },
        },
        "security": [{}, {"token": []}, {"session": []}],
    }


def _operation(operation: Operation, names: dict[type[BaseModel], Json]) -> Json:
    told: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_parameters(operation.path, "path"), *_parameters(operation.query, "query")],
        "responses": _responses(operation, names),
    }
    if operation.more:
        told["description"] = operation.more
    told["parameters"] += [_header(name, text) for name, text in operation.headers.items()]
    if operation.once:
        key = _header("Idempotency-Key", "Makes a repeated request harmless: it is done once and answered alike")
        key["schema"] = {"type": "string", "pattern": "^[!-~]{1,255}$"}
        told["parameters"].append(key)
    if operation.if_match != "no":
        told["parameters"].append(
            _header("If-Match", "ETag of the resource as you saw it", operation.if_match == "must")
        )
    if operation.tagged:
        told["parameters"].append(_header("If-None-Match", "ETags that you have already"))
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": names[operation.body]}}}
    return told


def _header(name: str, description: str, required: bool = False) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def _parameters(model: type[Shape] | None, place: str) -> list[Json]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_REF)
    found = []
    for name, told in schema.get("properties", {}).items():
        told = {key: value for key, value in told.items() if key != "title"}
        description = told.pop("description", "")
        if "anyOf" in told:  # optional: a parameter that is not there is not null
            told = {**next(one for one in told["anyOf"] if one.get("type") != "null"), **_without(told, "anyOf")}
            told.pop("default", None)
        description = description or told.pop("description", "")
        told.pop("description", None)
        found.append(
            {
                "name": name,
                "in": place,
                "required": place == "path" or name in schema.get("required", []),
                "description": description,
                "schema": told,
            }
        )
    return found


def _without(told: Json, *keys: str) -> Json:
    return {key: value for key, value in told.items() if key not in keys}


def _responses(operation: Operation, names: dict[type[BaseModel], Json]) -> Json:
    good: Json = {"description": _REASONS[operation.status]}
    content: Json = {}
    if operation.result is not None:
        content[JSON] = {"schema": names[operation.result]}
    content |= {media: {"schema": {"type": "string"}} for media in operation.media}
    binary = [media for media in operation.media if media.split("/")[0] in ("image", "video")]
    content |= {media: {"schema": {"type": "string", "format": "binary"}} for media in binary}
    if content:
        good["content"] = content
    if operation.tagged:
        good["headers"] = {"ETag": {"description": "Strong entity tag", "schema": {"type": "string"}}}
    responses: Json = {str(operation.status): good}
    if operation.tagged:
        responses["304"] = {"description": _REASONS[304]}
    for status in sorted({*_ALWAYS, *_own_problems(operation)}):
        reference = {"$ref": _REF.format(model="Problem")}
        responses[str(status)] = {"description": _REASONS[status], "content": {PROBLEM: {"schema": reference}}}
    return responses


def _own_problems(operation: Operation) -> set[int]:
    found = set(operation.problems)
    if operation.body is not None:
        found |= {413, 415, 422}
    if re.search(r"{\w+}", operation.address):
        found.add(404)
    if operation.once:
        found |= {409, 422}
    if operation.if_match != "no":
        found.add(412)
    if operation.if_match == "must":
        found.add(428)
    if operation.method != "GET":
        found.add(413)
    return found
