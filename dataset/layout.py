"""Names of folders that datasets are laid out in, and a first look into a file."""

from __future__ import annotations

from pathlib import Path

#: Folders and lists that hold a part of a set, as tools call them.
SPLIT_NAMES = ("train", "training", "valid", "val", "validation", "test", "testing", "trainval")
_HEAD_BYTES = 4096


def head_of(file: Path) -> str:
    """Return the first characters of a file; what is no text comes out as replacement characters."""
    with file.open("rb") as handle:
        return handle.read(_HEAD_BYTES).decode("utf-8", errors="replace")
