"""The base of all settings, and how a YAML file becomes them with errors that name line and key."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import ConfigError
from core.redact import redact_text

#: The same YAML ten times faster, where PyYAML was built with libyaml.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_SECRET_KEY = re.compile(r"pass|secret|token|credential|api_?key", re.IGNORECASE)
#: No file of ours has a tenth of these; ten lines of aliases (`&a`, `*a`) can stand for billions.
_MOST_VALUES = 100_000
_DEEPEST = 40


class Settings(BaseModel):
    """Base of every settings model: frozen, and a key that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def load_settings(model: type[SettingsT], path: Path, env: Mapping[str, str] | None = None) -> tuple[SettingsT, str]:
    """Read a YAML file into `model`.

    Args:
        model: the pydantic model of the whole file.
        path: the file.
        env: where `${NAME}` and `${NAME:-default}` are looked up; the process environment by default.

    Returns:
        The settings and the SHA-256 of the file's bytes.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit; names file, line and key.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as err:
        raise ConfigError(f"{path}: no such configuration file; give an existing one with --config") from err
    except OSError as err:
        raise ConfigError(f"{path}: cannot read the configuration: {err.strerror}") from err
    return parse_settings(model, raw, str(path), os.environ if env is None else env), hashlib.sha256(raw).hexdigest()


def parse_settings(model: type[SettingsT], raw: bytes, name: str, env: Mapping[str, str]) -> SettingsT:
    """Parse YAML bytes into `model`; `name` is what errors call the file. See `load_settings`."""
    try:
        check_nesting(raw.decode("utf-8"), name)
        node = yaml.compose(raw.decode("utf-8"), Loader=_LOADER)
        content = yaml.load(raw, Loader=_LOADER)  # noqa: S506 - safe: it makes plain values only
    except UnicodeDecodeError as err:
        raise ConfigError(f"{name}: not UTF-8 text at byte {err.start}; save the file as UTF-8") from err
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{name}{line}: not valid YAML: {getattr(err, 'problem', None) or err}") from err
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{name}:1: the file must be a mapping of keys, not a {type(content).__name__}")
    _check_size(content, name)
    filled = _substitute(content, env, name, node, ())
    try:
        return model.model_validate(filled)
    except ValidationError as err:
        lines = [_explain(error, name, node, content, env) for error in err.errors()]
        raise ConfigError("\n".join(lines)) from err


def check_nesting(text: str, name: str) -> None:
    """Refuse a YAML text whose values are nested so deeply that reading it would exhaust the stack.

    The reader of YAML is recursive, in C: what is too deep for it ends the process. Its events are not.

    Raises:
        ConfigError: it is nested too deeply; `name` is what the message calls it.
        yaml.YAMLError: it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ConfigError(f"{name}: values are nested more than {_DEEPEST} deep; no configuration is")


def _check_size(content: dict[Any, Any], name: str) -> None:
    """Refuse a file whose aliases unfold to more than any file has."""
    count = 0
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += len(children)
        if count > _MOST_VALUES:
            raise ConfigError(f"{name}: more than {_MOST_VALUES} values; write them without aliases (&name, *name)")
        waiting += [child for child in children if isinstance(child, dict | list)]


def _explain(error: Any, name: str, node: yaml.Node | None, content: Any, env: Mapping[str, str]) -> str:
    location = tuple(part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-")))
    line = _line_of(node, location)
    key = ".".join(str(part) for part in location) or "(whole file)"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "unknown key; check the spelling against docs/config.md"
    elif error["type"] == "missing":
        message = "required key is missing"
    elif _SECRET_KEY.search(key):
        pass  # what was given is nobody's business
    elif not isinstance(error["input"], dict | list) and "Value error" not in error["msg"]:
        message = f"{message}, got {error['input']!r}"
    return f"{name}:{line}: {key}: {_hide_env(redact_text(message), _written(content, location), env)}"


def _written(content: Any, location: tuple[Any, ...]) -> Any:
    """Return what the file itself says at a place, or at the nearest parent that exists."""
    for part in location:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            break
    return content


def _hide_env(message: str, written: Any, env: Mapping[str, str]) -> str:
    """Return a message with names of the environment in the place of their values, which may be secrets."""
    waiting, names = [written], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            names |= {found[1] for found in _ENV.finditer(value)}
        elif isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
    # Of a whole section only what can be a secret: the letter a is in every message.
    shortest = 1 if isinstance(written, str) else 4
    values = {env[name]: name for name in names if len(env.get(name, "")) >= shortest}
    for value in sorted(values, key=len, reverse=True):
        for shown in (value, repr(value)[1:-1]):
            message = message.replace(shown, f"${{{values[value]}}}")
    return message


def _line_of(node: yaml.Node | None, location: tuple[Any, ...]) -> int:
    """Return the 1-based line of the key at `location`, or of the nearest parent that exists."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _substitute(value: Any, env: Mapping[str, str], name: str, node: yaml.Node | None, at: tuple[Any, ...]) -> Any:
    """Replace `${NAME}` by the environment's value, and `${NAME:-else}` by "else" where that is unset or empty."""
    if isinstance(value, dict):
        return {key: _substitute(item, env, name, node, (*at, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, env, name, node, (*at, i)) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    missing = [found[1] for found in _ENV.finditer(value) if found[1] not in env and found[2] is None]
    if missing:
        key = ".".join(map(str, at))
        where = f"{name}:{_line_of(node, at)}: {key}"
        raise ConfigError(f"{where}: environment variable {missing[0]} is not set; set it or give the value")
    return _ENV.sub(lambda found: env.get(found[1]) or (found[2] or ""), value)
