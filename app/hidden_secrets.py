"""The configuration as people may read it: what opens doors is `<hidden>`, and stays as it is when the text is saved.

Passwords belong into the environment (`${NAME}`), and such names stay readable; somebody will write one in clear all
the same. It is hidden wherever its key says what it is, and in every address. A text that comes back with `<hidden>` in
the same place gets the old value there; in any other place it is refused: nobody moves a password to where it shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from core.errors import ConfigError
from core.settings import check_nesting

HIDDEN = "<hidden>"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SECRET_KEY = re.compile(r"^(?!secret_(?:file|header)$).*(?:password|passwd|secret|token|api_?key|credential)", re.I)
_NAME = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\}")
_ADDRESS_SECRET = re.compile(
    # The user info of an address; the values of its query that are called like a secret.
    r"""(?<=://)(?P<user>[^\s/?#"'<>]+|[^\s/?#"'<>@:\[]+:(?!\d{1,5}(?:[/?#]|$))[^\s"'<>]*)(?=@)"""
    r"""|(?<=[?&])(?P<key>[\w.-]*(?:pass|pwd|token|key|secret|auth|sig)[\w.-]*=)(?P<value>[^&\s"'<>#]+)""",
    re.I,
)
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_ROUGH = re.compile(
    r"""((?:^|[\s{,])[\w-]*(?:password|passwd|secret|token)[\w-]*["']?\s*:\s*)(?!["']?\$\{)"""
    r"""(?:"[^"\n]*"?|'[^'\n]*'?|[^\s"'][^,}\n]*)""",
    re.I,
)

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Value:
    """One plain value of a text: where it stands, and its place among the keys."""

    path: Path
    start: int
    end: int


def hide(text: str) -> str:
    r"""Return a configuration without its secrets.

    >>> hide("mqtt: {host: h, password: hunter2}  # old: rtsp://u:p@cam\n")
    'mqtt: {host: h, password: <hidden>}  # old: rtsp://<hidden>@cam\n'
    >>> hide('mqtt: {password: "${MQTT}"}\n')
    'mqtt: {password: "${MQTT}"}\n'
    """
    try:
        values = list(_values(text))
    except ConfigError:
        # Not YAML as it is: line by line, rather too much than too little.
        return _ROUGH.sub(rf"\1{HIDDEN}", _hide_address(text))
    parts, at = [], 0
    for value in values:
        parts += [_hide_address(text[at : value.start]), _hidden(value.path, text[value.start : value.end])]
        at = value.end
    return "".join([*parts, _hide_address(text[at:])])


def put_back(text: str, current: str) -> str:
    r"""Return a text with the secrets of the present one where it says `<hidden>`.

    >>> put_back("mqtt: {host: other, password: <hidden>}\n", "mqtt: {host: h, password: hunter2}\n")
    'mqtt: {host: other, password: hunter2}\n'

    Args:
        text: as a person wrote it, from what `hide` showed.
        current: the text whose secrets are meant.

    Raises:
        ConfigError: `<hidden>` stands where there was no secret before.
    """
    if HIDDEN not in text:
        return text
    values = list(_values(text))
    old = {value.path: current[value.start : value.end] for value in _values(current)}
    comments = {_hide_address(line): line for line in _comments(current)}
    parts, at = [], 0
    for value in values:
        parts += [_put_back_comments(text[at : value.start], comments), _put_back(value, text, old)]
        at = value.end
    return "".join([*parts, _put_back_comments(text[at:], comments)])


def _put_back(value: _Value, text: str, old: dict[Path, str]) -> str:
    new, was = text[value.start : value.end], old.get(value.path, "")
    if HIDDEN not in new:
        return new
    if _hidden(value.path, was) == new:
        return was
    secrets = [_secret_of(found) for found in _ADDRESS_SECRET.finditer(was)]
    if len(secrets) != new.count(HIDDEN) or "://" not in new:
        line = text.count("\n", 0, value.start) + 1
        key = ".".join(value.path)
        raise ConfigError(f"line {line}: {key}: {HIDDEN} stands for no password that was here; write it as ${{NAME}}")
    for secret in secrets:
        new = new.replace(HIDDEN, secret, 1)
    return new


def _put_back_comments(text: str, comments: dict[str, str]) -> str:
    if HIDDEN not in text:
        return text
    for hidden, comment in comments.items():
        text = text.replace(hidden, comment)
    return text


def _comments(text: str) -> list[str]:
    """Return the comments with something to hide."""
    found = [match[0].strip() for line in text.split("\n") for match in _COMMENT.finditer(line)]
    return [comment for comment in found if _hide_address(comment) != comment]


def _hidden(path: Path, written: str) -> str:
    """Return a value as it is shown; `written` is its text in the file, with its quotes."""
    if _SECRET_KEY.search(path[-1]) and _NAME.sub("", written).strip("\"' \n"):
        # Between quotes as they were; a block of several lines becomes one.
        quote = written[0] if written[0] in "\"'" else ""
        return f"{quote}{HIDDEN}{quote}" + ("\n" if written.endswith("\n") else "")
    return _hide_address(written)


def _hide_address(text: str) -> str:
    def hidden(found: re.Match[str]) -> str:
        secret = _secret_of(found)
        if not _NAME.sub("", secret).strip(":"):
            return found[0]  # names of the environment and nothing else
        return f"{found['key'] or ''}{HIDDEN}"

    return _ADDRESS_SECRET.sub(hidden, text) if "://" in text else text


def _secret_of(found: re.Match[str]) -> str:
    return str(found["user"] if found["user"] is not None else found["value"])


def _values(text: str) -> Iterator[_Value]:
    """Yield the plain values of a YAML text, in its order.

    Raises:
        ConfigError: it is no YAML.
    """
    try:
        check_nesting(text, "the text")
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as err:
        raise ConfigError("not valid YAML") from err
    found: dict[tuple[int, int], _Value] = {}
    waiting: list[tuple[yaml.Node | None, Path]] = [(root, ())]
    seen: set[int] = set()
    while waiting:
        node, path = waiting.pop()
        if isinstance(node, yaml.ScalarNode) and path:
            where = node.start_mark.index, node.end_mark.index
            # A value that others refer to (&name) is a secret if it is one in any place.
            if where not in found or _SECRET_KEY.search(path[-1]):
                found[where] = _Value(path, *where)
        elif isinstance(node, yaml.MappingNode | yaml.SequenceNode) and id(node) not in seen:
            seen.add(id(node))
            waiting += _children(node, path)
    yield from sorted(found.values(), key=lambda value: value.start)


def _children(node: yaml.MappingNode | yaml.SequenceNode, path: Path) -> list[tuple[yaml.Node, Path]]:
    if isinstance(node, yaml.MappingNode):
        return [(value, (*path, str(key.value))) for key, value in node.value]
    return [(item, (*path, _name_of(item) or str(number))) for number, item in enumerate(node.value)]


def _name_of(item: yaml.Node) -> str:
    """Return the name of an entry of a list, such as a webhook's: it may move in the list."""
    if isinstance(item, yaml.MappingNode):
        for key, value in item.value:
            if key.value == "name" and isinstance(value, yaml.ScalarNode):
                return f"[{value.value}]"
    return ""
