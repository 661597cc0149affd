"""The configuration file as people change it over the pages: checked before it is saved, and taken back with a click.

The file stays the one place for settings. A save replaces it whole (write, fsync, rename) after the new text was read
as `traylane run` would read it; the text before goes into `.NAME.versions/` beside it. Single values are changed with
comments and order kept. What is saved takes effect at the next start.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from checkout.config import SiteConfig
from core.clock import Clock
from core.errors import ConfigError, FolderUnusable
from core.files import write_atomic
from core.settings import parse_settings

KEPT_VERSIONS = 20
MAX_BYTES = 512 * 1024
Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
_VERSION = re.compile(r"(\d{15})-([0-9a-f]{64})\.yaml")


class SettingsChanged(ConfigError):
    """Somebody else saved the file meanwhile."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a configuration: `line` is 1-based, 0 if it is about the whole file."""

    line: int
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Version:
    """A text that the file had: its hash, and when it was replaced (UTC epoch seconds)."""

    sha256: str
    replaced_at_s: float


class SettingsFile:
    """One configuration file. Safe to call from several threads.

    Args:
        path: the file.
        clock: dates the versions.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock, self._lock = clock, threading.Lock()
        self._versions = path.parent / f".{path.name}.versions"

    def text(self) -> str:
        """Return the file.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            return self.path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError(f"{self.path}: cannot be read: {err}; put the file back") from err

    def faults(self, text: str) -> list[Fault]:
        """Return what is wrong with a text; nothing if lanes could be started with it."""
        if len(text.encode("utf-8", "replace")) > MAX_BYTES:
            return [Fault(0, "(whole file)", f"longer than {MAX_BYTES // 1024} KiB")]
        try:
            parse_settings(SiteConfig, text.encode("utf-8", "replace"), self.path.name, os.environ)
        except ConfigError as err:
            return [_fault(line, self.path.name) for line in str(err).splitlines()]
        return []

    def save(self, text: str, seen_sha256: str) -> str:
        """Replace the file; return the new hash.

        Args:
            text: sound, see `faults`.
            seen_sha256: of the text that the change was made from.

        Raises:
            SettingsChanged: the file is another one by now.
            FolderUnusable: it cannot be written; it is as it was.
            ConfigError: it cannot be read.
        """
        with self._lock:
            before = self.text()
            if sha256_of_text(before) != seen_sha256:
                raise SettingsChanged(f"{self.path.name} has changed meanwhile; look at it again")
            if before != text:
                self._keep(before)
                try:
                    write_atomic(self.path, text)
                except OSError as err:
                    raise _unwritable(self.path, err) from err
            return sha256_of_text(text)

    def versions(self) -> list[Version]:
        """Return what the file was before, latest first."""
        if not self._versions.is_dir():
            return []
        found = [match for path in self._versions.iterdir() if (match := _VERSION.fullmatch(path.name))]
        return [Version(one[2], int(one[1]) / 1000) for one in sorted(found, key=lambda one: one[1], reverse=True)]

    def version_text(self, sha256: str) -> str | None:
        """Return the text of a version, None if it is not kept (any more)."""
        for version in self.versions():
            if version.sha256 == sha256:
                name = f"{round(version.replaced_at_s * 1000):015d}-{sha256}.yaml"
                return (self._versions / name).read_text(encoding="utf-8")
        return None

    def _keep(self, text: str) -> None:
        try:
            self._versions.mkdir(exist_ok=True)
            name = f"{round(self._clock.utc_s() * 1000):015d}-{sha256_of_text(text)}.yaml"
            write_atomic(self._versions / name, text)
            for version in self.versions()[KEPT_VERSIONS:]:
                old = f"{round(version.replaced_at_s * 1000):015d}-{version.sha256}.yaml"
                (self._versions / old).unlink(missing_ok=True)
        except OSError as err:
            raise _unwritable(self._versions, err) from err


def with_changes(text: str, changes: Sequence[tuple[str, Value]]) -> str:
    r"""Return a configuration with single values changed; comments and order stay.

    Args:
        text: YAML.
        changes: (dotted key, value) pairs; a value of None takes the key out. Sections that are missing are made.

    >>> with_changes("lanes:  # all\n  a: {detect: {fps: 20}}\n", [("lanes.a.detect.fps", 5)])
    'lanes:  # all\n  a: {detect: {fps: 5}}\n'

    Raises:
        ConfigError: the text is not YAML, or a key leads through a plain value.
    """
    yaml, content = _round_trip(text)
    for key, value in changes:
        _put(content, key, value)
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def value_at(text: str, key: str) -> Value:
    r"""Return what a configuration says for a dotted key, None where it says nothing.

    >>> value_at("lanes:\n  a: {detect: {fps: 20}}\n", "lanes.a.detect.fps"), value_at("lanes: {}\n", "lanes.a.zones")
    (20, None)

    Raises:
        ConfigError: the text is not YAML.
    """
    place: object = _round_trip(text)[1]
    for step in key.split("."):
        if not isinstance(place, dict) or step not in place:
            return None
        place = place[step]
    return _plain(place)


def _plain(value: object) -> Value:
    """Return plain values in the place of those that know their comments."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else float(value) if isinstance(value, float) else str(value)


def _round_trip(text: str) -> tuple[YAML, object]:
    """Return the parser that keeps comments and what it read.

    Raises:
        ConfigError: the text is not YAML.
    """
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    try:
        return yaml, yaml.load(text) or {}
    except YAMLError as err:
        raise ConfigError(f"not valid YAML: {' '.join(str(err).split())[:300]}") from err


def sha256_of_text(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _put(content: object, key: str, value: Value) -> None:
    steps = key.split(".")
    place = content
    for depth, step in enumerate(steps[:-1], start=1):
        if isinstance(place, dict) and step not in place and value is not None:
            place[step] = {}
        if not isinstance(place, dict) or not isinstance(place.get(step), dict):
            if isinstance(place, dict) and step not in place:
                return  # nothing to take out
            raise ConfigError(f"{'.'.join(steps[:depth])}: not a section; correct the key {key}")
        place = place[step]
    if not isinstance(place, dict):
        raise ConfigError(f"{key}: the file is not a mapping of keys")
    if value is None:
        place.pop(steps[-1], None)
    else:
        place[steps[-1]] = value


def _fault(line: str, name: str) -> Fault:
    found = re.fullmatch(rf"{re.escape(name)}(?::(\d+))?: (?:([\w.()@ -]+?): )?(.*)", line)
    if found is None:
        return Fault(0, "", line)
    return Fault(int(found[1] or 0), found[2] or "", found[3])


def _unwritable(place: Path, err: OSError) -> FolderUnusable:
    return FolderUnusable(f"{place}: cannot be written: {err.strerror}; nothing was changed; make its folder writable")
