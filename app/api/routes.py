"""All operations of the API, and the blueprint and document made from them."""

from __future__ import annotations

import json

from flask import Blueprint, Response, render_template

from app.api import (
    bills,
    corrections,
    dishes,
    events,
    evidence,
    health,
    lanes,
    models,
    replays,
    settings,
    stats,
    teaching,
    webhooks,
    zones,
)
from app.api.dispatch import make_blueprint
from app.api.document import Json, make_document
from app.api.operation import Operation
from app.api.services import Services

TITLE = "Traylane"
#: Nothing but our own style sheet: the page has no script.
_DOCS_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"


def all_operations() -> tuple[Operation, ...]:
    """Return every operation, resource by resource."""
    resources = (
        lanes,
        bills,
        corrections,
        evidence,
        events,
        dishes,
        teaching,
        stats,
        models,
        replays,
        settings,
        zones,
        webhooks,
        health,
    )
    return tuple(operation for resource in resources for operation in resource.operations())


def api_document() -> Json:
    """Return the OpenAPI document."""
    return make_document(all_operations(), TITLE, health.program_version())


def api_blueprint(services: Services) -> Blueprint:
    """Return the routes of the API, its document and its page."""
    blueprint = make_blueprint(all_operations(), services)
    document = api_document()
    text = json.dumps(document, ensure_ascii=False)

    @blueprint.get("/openapi.json", endpoint="openapi")
    def openapi() -> Response:
        return Response(text, content_type="application/json")

    @blueprint.get("/docs", endpoint="docs")
    def docs() -> Response:
        page = render_template("api_docs.html", document=document, schemas=document["components"]["schemas"])
        response = Response(page, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = _DOCS_POLICY
        return response

    return blueprint
