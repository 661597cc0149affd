"""Which model is in force where: an append-only history of promotions, and its last state, safe against any crash.

A *channel* is what a configuration may name instead of a model: "default", or a lane's id for that lane alone. Two
files, each written whole or not at all:

    current.json     the commit point: what each channel runs, the models before it, and the last entry of the history
    history.jsonl    one line for each promotion and rollback, oldest first; never edited

A change is made the moment current.json is replaced. Who dies before it has changed nothing; who dies after it, before
the history is written, leaves a history that lacks exactly the entry that current.json carries: readers add it, and
the next writer writes it. A lock keeps writers apart.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from core.errors import ConfigError, ModelError, ModelNotFound
from core.files import write_atomic
from core.settings import Settings

LOG = logging.getLogger(__name__)

DEFAULT_CHANNEL = "default"
_CHANNEL = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_LOCK_S = 10.0


class Held(Settings):
    """A model that a channel runs, or ran: pinned by its weights."""

    model: str = Field(min_length=1, description="NAME@VERSION")
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its weights at that time")


class Entry(Settings):
    """One line of the history."""

    sequence: int = Field(ge=1, description="Counts from 1 without a hole")
    utc: str = Field(description="When, ISO 8601")
    action: Literal["promote", "rollback"] = Field(description="What was done")
    channel: str = Field(pattern=_CHANNEL, description="default, or a lane's id")
    model: str = Field(description="What the channel runs from now on")
    weights_sha256: str = Field(description="SHA-256 of its weights")
    previous: str | None = Field(default=None, description="What it ran before")
    gate: Literal["passed", "refused", "none"] = Field(description="The gate's verdict; none for a rollback")
    reasons: tuple[str, ...] = Field(default=(), description="The gate's reasons")
    forced: str = Field(default="", description="Why the gate's refusal was overruled")
    user: str = Field(default="", description="Who did it, as the system knows them")


class Current(Settings):
    """What current.json holds."""

    channels: dict[str, tuple[Held, ...]] = Field(
        default_factory=dict, description="Channel -> models, the one in force last; a rollback removes the last"
    )
    last: Entry | None = Field(default=None, description="The newest entry of the history")


SettingsT = TypeVar("SettingsT", bound=Settings)


class Promotions:
    """The two files in a registry's folder.

    Args:
        folder: of the registry; needs not exist as long as nothing is promoted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._current, self._history = folder / "current.json", folder / "history.jsonl"

    def current(self) -> dict[str, Held]:
        """Return what each channel runs.

        Raises:
            ModelError: current.json is broken.
        """
        return {channel: stack[-1] for channel, stack in self._read().channels.items()}

    def holder(self, channel: str) -> Held | None:
        """Return what `channel` runs, None when nothing was promoted there."""
        return self.current().get(channel)

    def before(self, channel: str) -> Held:
        """Return what a rollback of `channel` would put in force.

        Raises:
            ModelNotFound: there is nothing to go back to.
        """
        stack = self._read().channels.get(channel, ())
        if not stack:
            raise ModelNotFound(f"channel {channel}: nothing is promoted there; nothing to roll back")
        if len(stack) < 2:
            raise ModelNotFound(
                f"channel {channel}: {stack[-1].model} is the first model there; promote another one instead"
            )
        return stack[-2]

    def history(self) -> list[Entry]:
        """Return all entries, oldest first.

        Raises:
            ModelError: a line is broken.
        """
        last = self._read().last
        entries = self._written()
        if last is not None and (not entries or entries[-1].sequence < last.sequence):
            entries.append(last)
        return entries

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out; also clears what a killed writer left half-written.

        Raises:
            ModelError: another writer does not finish, or the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as err:
            raise unwritable(self._folder, err) from err
        try:
            _take(descriptor, self._folder)
            for left in self._folder.rglob(".*.part"):
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)  # gives the lock back, too

    def promote(self, channel: str, wanted: Held, entry: Entry) -> Entry:
        """Put a model in force; to be called under `locked`. Returns the entry as it is written.

        Args:
            channel: where.
            wanted: the model.
            entry: what the history tells; its sequence and `previous` are set here.

        Raises:
            ModelError: it cannot be written; then nothing has changed.
        """
        stacks = self._read().channels
        stack = stacks.get(channel, ())
        return self._commit(stacks | {channel: (*stack, wanted)}, entry, stack)

    def roll_back(self, channel: str, entry: Entry) -> Entry:
        """Put the model before in force again; to be called under `locked`. See `promote`."""
        stacks = self._read().channels
        self.before(channel)
        return self._commit(stacks | {channel: stacks[channel][:-1]}, entry, stacks[channel])

    def _commit(self, stacks: dict[str, tuple[Held, ...]], entry: Entry, old: tuple[Held, ...]) -> Entry:
        before = self.history()
        number = before[-1].sequence + 1 if before else 1
        entry = entry.model_copy(update={"sequence": number, "previous": old[-1].model if old else None})
        # What an interrupted change did not write, first: current.json, which has it, is about to be replaced.
        self._write_history(before)
        write_whole(self._current, Current(channels=stacks, last=entry).model_dump_json(indent=1) + "\n")
        try:
            self._write_history([*before, entry])
        except ModelError as err:  # the change is made; nothing is lost either, as current.json carries the entry
            LOG.warning("%s; the entry is written with the next change", err)
        return entry

    def _write_history(self, entries: list[Entry]) -> None:
        lines = "".join(entry.model_dump_json() + "\n" for entry in entries)
        if lines and (not self._history.is_file() or self._history.read_text(encoding="utf-8") != lines):
            write_whole(self._history, lines)

    def _read(self) -> Current:
        text = _text(self._current)
        return Current() if text is None else _parsed(Current, text, str(self._current))

    def _written(self) -> list[Entry]:
        lines = (_text(self._history) or "").splitlines()
        return [_parsed(Entry, line, f"{self._history}:{i}") for i, line in enumerate(lines, start=1)]


def check_channel(channel: str) -> None:
    """Raise ConfigError unless `channel` can be one."""
    if not re.match(_CHANNEL, channel) or channel == "current":
        raise ConfigError(
            f"channel {channel!r}: use {DEFAULT_CHANNEL}, or a lane's id (letters, digits, - and _; not current)"
        )


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file of the registry, or leave it as it was; makes its folder.

    Raises:
        ModelError: it cannot be written; the old content is still there.
    """
    payload = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, payload)
    except OSError as err:
        # The last step only makes the rename durable: whoever looks sees the new file already.
        if not path.is_file() or path.read_bytes() != payload:
            raise unwritable(path.parent, err) from err
        LOG.warning("%s: written, but a power cut now might undo it: %s", path, err.strerror)


def unwritable(place: Path, err: OSError) -> ModelError:
    """Return the error of a registry that cannot be written."""
    full = err.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free space and try again" if full else "make it writable, or correct models.registry"
    return ModelError(f"{place}: the registry cannot be written: {err.strerror}; nothing was changed; {remedy}")


def _take(descriptor: int, folder: Path) -> None:
    """Wait for the lock, not for ever."""
    deadline = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as err:
            if time.monotonic() > deadline:
                raise ModelError(
                    f"{folder}: another `traylane models` is changing it; try again when it is done"
                ) from err
            time.sleep(0.02)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror}") from err


def _parsed(model: type[SettingsT], text: str, where: str) -> SettingsT:
    try:
        return model.model_validate(json.loads(text))
    except (ValueError, ValidationError) as err:
        raise ModelError(f"{where}: damaged ({str(err).splitlines()[0]}); restore it from a backup") from err
