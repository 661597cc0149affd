"""The configuration: read, check, change, take back. Passwords are not in it: `${ENV}` names stay names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, JsonValue

from app.api.dispatch import check_if_match
from app.api.operation import Call, Operation, Reply
from app.api.problems import ApiProblem, unknown
from app.api.services import no_file
from app.api.shapes import FieldError, Note, Shape, UtcTime
from app.guard import audit, current_person
from app.hidden_secrets import hide, put_back
from app.settings_diff import difference
from app.settings_file import Fault, SettingsChanged, SettingsFile, sha256_of_text, value_at, with_changes
from core.clock import utc_text
from core.errors import ConfigError

_KEY = r"^[A-Za-z0-9_@-]+(\.[A-Za-z0-9_@-]+){0,11}$"
_SHA256 = r"^[0-9a-f]{64}$"


class SettingsShape(Shape):
    """The configuration file."""

    text: str = Field(description="The YAML text, as it is")
    sha256: str = Field(description="Of the text")
    in_force_sha256: str = Field(description="Of the text that the lanes were started with")
    restart_needed: bool = Field(description="The file was changed since the start")


class FaultShape(Shape):
    """One thing that is wrong."""

    line: int = Field(description="1-based; 0 for the whole file")
    key: str = Field(description="Dotted key, or empty", examples=["lanes.lane1.detect.fps"])
    message: str = Field(description="What is wrong and what to do")


class DiffLine(Shape):
    """One line of a difference."""

    kind: Literal["same", "added", "removed", "gap"] = Field(description="gap: lines that are the same are left out")
    line: int = Field(description="1-based, in the file for what is removed, else in the new text; 0 for a gap")
    text: str = Field(description="The line")


class Verdict(Shape):
    """Whether lanes could be started with a text, and how it differs from the file."""

    valid: bool = Field(description="Nothing is wrong")
    faults: list[FaultShape] = Field(description="In the order of the file")
    diff: list[DiffLine] = Field(description="Against the file as it is; empty if they are the same")


class SettingsText(Shape):
    """A whole configuration."""

    text: str = Field(description="YAML, at most 512 KiB", examples=["lanes: {lane1: {}}\n"])


class Change(Shape):
    """One value."""

    key: str = Field(pattern=_KEY, description="Dotted key", examples=["lanes.lane1.zones.tray.polygon"])
    value: JsonValue = Field(description="The new value; null takes the key out", examples=["0.2,0.2,0.8,0.2,0.8,0.9"])


class Changes(Shape):
    """Single values; comments and order of the file stay."""

    changes: list[Change] = Field(min_length=1, max_length=50, description="In order")
    reason: Note = Field(default="", description="Why, for the audit")


class VersionShape(Shape):
    """A text that the file had before."""

    sha256: str = Field(description="Of the text")
    replaced_at: UtcTime


class VersionList(Shape):
    """Texts that the file had before."""

    versions: list[VersionShape] = Field(description="Latest first; the last 20 are kept")


class VersionPath(Shape):
    """Which version."""

    sha256: str = Field(pattern=_SHA256, description="Of a kept version")


class RollbackBody(Shape):
    """Which text shall be the file again."""

    sha256: str = Field(pattern=_SHA256, description="Of a kept version")


def _file(call: Call) -> SettingsFile:
    if call.services.settings is None:
        raise no_file()
    return call.services.settings


def _shown(call: Call, text: str) -> SettingsShape:
    in_force, sha256 = call.services.known_config().sha256, sha256_of_text(text)
    return SettingsShape(text=hide(text), sha256=sha256, in_force_sha256=in_force, restart_needed=sha256 != in_force)


def _settings(call: Call) -> Reply:
    return Reply(_shown(call, _file(call).text()))


def _check(call: Call) -> Reply:
    file, text = _file(call), call.body_as(SettingsText).text
    before = file.text()
    try:
        faults = file.faults(put_back(text, before))
    except ConfigError as err:
        faults = [Fault(0, "", str(err))]
    told = [FaultShape(line=one.line, key=one.key, message=one.message) for one in faults]
    diff = [DiffLine(kind=one.kind, line=one.line, text=one.text) for one in difference(hide(before), hide(text))]
    return Reply(Verdict(valid=not told, faults=told, diff=diff))


def _save(call: Call) -> Reply:
    before = _file(call).text()
    return _replace(call, "settings.save", before, _whole(call.body_as(SettingsText).text, before))


def _change(call: Call) -> Reply:
    before, body = _file(call).text(), call.body_as(Changes)
    changes = [(one.key, one.value) for one in body.changes]
    try:
        after = _whole(with_changes(before, changes), before)
        # From the texts that people may read: the audit shows no secret, old or new.
        old, new = (_values(hide(text), [key for key, _ in changes]) for text in (before, after))
    except RecursionError as err:
        raise ApiProblem(422, "Bad settings", "a value is nested too deeply to be a setting") from err
    except ConfigError as err:
        raise ApiProblem(422, "Bad settings", str(err), [FieldError(pointer="#/changes", detail=str(err))]) from err
    return _replace(call, "settings.change", before, after, old, new | ({"reason": body.reason} if body.reason else {}))


def _values(text: str, keys: Sequence[str]) -> dict[str, str]:
    return {key: json.dumps(value_at(text, key)) for key in keys}


def _whole(text: str, before: str) -> str:
    """Return a text with the secrets that the client never saw.

    Raises:
        ApiProblem: 422, `<hidden>` stands where there was none.
    """
    try:
        return put_back(text, before)
    except ConfigError as err:
        raise ApiProblem(422, "Bad settings", str(err), [FieldError(pointer="#/text", detail=str(err))]) from err


def _roll_back(call: Call) -> Reply:
    file, wanted = _file(call), call.body_as(RollbackBody).sha256
    return _replace(call, "settings.rollback", file.text(), _version_text(file, wanted))


def _version(call: Call) -> Reply:
    return Reply(SettingsText(text=hide(_version_text(_file(call), call.path_as(VersionPath).sha256))))


def _version_text(file: SettingsFile, wanted: str) -> str:
    text = file.version_text(wanted)
    if text is None:
        raise unknown("version", wanted, [one.sha256 for one in file.versions()])
    return text


def _replace(
    call: Call,
    action: str,
    before: str,
    after: str,
    old: Mapping[str, str] | None = None,
    new: Mapping[str, str] | None = None,
) -> Reply:
    """Save a text in the place of the one that the client saw, and write down who did.

    Raises:
        ApiProblem: 412 it has changed, 422 lanes could not be started with it.
    """
    file = _file(call)
    check_if_match(call, _shown(call, before))
    faults = file.faults(after)
    if faults:
        detail = "; ".join(_line(one) for one in faults[:3])
        errors = [FieldError(pointer="#/text", detail=_line(one)) for one in faults]
        raise ApiProblem(422, "Bad settings", f"lanes could not be started with this: {detail}", errors)
    try:
        file.save(after, sha256_of_text(before))
    except SettingsChanged as err:
        raise ApiProblem(412, "Changed meanwhile", str(err)) from err
    if before != after:
        hashes = {"sha256": sha256_of_text(before)}, {"sha256": sha256_of_text(after)}
        audit(current_person(), action, file.path.name, {**hashes[0], **(old or {})}, {**hashes[1], **(new or {})})
    return Reply(_shown(call, after))


def _line(fault: Fault) -> str:
    where = f"line {fault.line}: " if fault.line else ""
    return f"{where}{fault.key + ': ' if fault.key else ''}{fault.message}"


def _versions(call: Call) -> Reply:
    found = _file(call).versions()
    return Reply(
        VersionList(
            versions=[VersionShape(sha256=one.sha256, replaced_at=utc_text(one.replaced_at_s)) for one in found]
        )
    )


def operations() -> tuple[Operation, ...]:
    """Return the operations of this file."""
    return (
        Operation("settings_get", "GET", "/settings", "The configuration file", "settings", _settings, SettingsShape,
                  tagged=True),
        Operation(
            "settings_check", "POST", "/settings/check", "Check a configuration without saving it", "settings", _check,
            Verdict, body=SettingsText,
        ),
        Operation(
            "settings_save", "PUT", "/settings", "Save a configuration", "settings", _save, SettingsShape,
            body=SettingsText, if_match="must", tagged=True, more="It takes effect at the next start.",
        ),
        Operation(
            "settings_change", "PATCH", "/settings", "Change single values", "settings", _change, SettingsShape,
            body=Changes, if_match="must", tagged=True, more="Comments stay. It takes effect at the next start.",
        ),
        Operation(
            "settings_versions", "GET", "/settings/versions", "Former texts", "settings", _versions, VersionList,
            tagged=True,
        ),
        Operation(
            "settings_version", "GET", "/settings/versions/{sha256}", "A former text", "settings", _version,
            SettingsText, path=VersionPath, tagged=True,
        ),
        Operation(
            "settings_roll_back", "POST", "/settings/rollback", "Take a former text again", "settings", _roll_back,
            SettingsShape, body=RollbackBody, if_match="must", once=True, tagged=True, problems=(404,),
        ),
    )  # fmt: skip
