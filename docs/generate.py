"""Write what is derived from the settings models: docs/config.md and docs/lane.schema.json.

.venv/bin/python docs/generate.py          # `make docs`; a test fails when the files are out of date
"""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from checkout.config import SiteConfig
from core.files import write_atomic

FOLDER = Path(__file__).resolve().parent

HEAD = """# The configuration file

One YAML file holds all settings (`traylane run --config lane.yaml`). A key that nobody knows is an error, and an
error names file, line and key. `${NAME}` is taken from the environment, `${NAME:-default}` too where it may be
missing: keep secrets there. Editors complete and check the file with `docs/lane.schema.json`. This page is generated
from the settings models (`make docs`).
"""


def type_name(annotation: Any) -> str:
    """Return a person's name of a type annotation."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " or ".join(str(value) for value in arguments)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(type_name(a) for a in arguments if a is not type(None))
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin is dict:
        return f"mapping of name to {type_name(arguments[1])}"
    if origin in {list, tuple}:
        return f"list of {type_name(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {str: "text", Path: "path", int: "whole number", float: "number", bool: "true or false"}.get(
        annotation, getattr(annotation, "__name__", str(annotation))
    )


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings models that an annotation holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in models_in(argument)]


def limits(field: FieldInfo) -> str:
    """Return the range of a number as text, or ''."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "min_length": "length ≥", "pattern": "like"}
    found = [(signs[name], getattr(item, name)) for item in field.metadata for name in signs if hasattr(item, name)]
    return ", ".join(f"{sign} {value}" for sign, value in found if value is not None)


def default_of(field: FieldInfo) -> str:
    """Return the default as text; 'required' where there is none."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return ""
    return "" if value is None or value == {} else f"`{json.dumps(value, default=str)}`"


def section(model: type[BaseModel], path: str) -> list[str]:
    """Return the lines of one model's table, and of the models inside it."""
    lines = [f"\n## `{path}`\n" if path else "\n## The whole file\n", (model.__doc__ or "").strip().splitlines()[0], ""]
    lines += ["| key | what | type | default |", "| --- | --- | --- | --- |"]
    inner: list[str] = []
    for name, field in model.model_fields.items():
        kind = ", ".join(filter(None, [type_name(field.annotation), limits(field)])).replace("|", "\\|")
        lines.append(
            f"| `{name}` | {(field.description or '').replace('|', chr(92) + '|')} | {kind} | {default_of(field)} |"
        )
        for child in models_in(field.annotation):
            star = ".<name>" if typing.get_origin(field.annotation) is dict else ""
            inner += section(child, f"{path}.{name}{star}".lstrip("."))
    return lines + inner


def documents() -> dict[str, str]:
    """Return file name → content of everything that is generated."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **SiteConfig.model_json_schema()}
    return {
        "config.md": HEAD + "\n".join(section(SiteConfig, "")) + "\n",
        "lane.schema.json": json.dumps(schema, indent=2) + "\n",
    }


if __name__ == "__main__":
    for name, content in documents().items():
        write_atomic(FOLDER / name, content)
