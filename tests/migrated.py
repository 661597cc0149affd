"""A store whose tables are there already: to make them anew takes most of the time of many a small test."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from store.engine import open_store


@functools.cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.db"
        open_store(f"sqlite:///{path}").close()
        return path.read_bytes()


def migrated(path: Path) -> str:
    """Make an empty store at `path`, as `open_store` would, and return its URL; one that is there stays."""
    if not path.exists():
        path.write_bytes(_template())
    return f"sqlite:///{path}"
