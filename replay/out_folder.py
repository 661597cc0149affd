"""The folder of a replay: it appears whole, or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ConfigError, StoreUnavailable
from core.files import sync_folder

#: What tells a folder of an earlier replay from somebody's own.
_MARK = "metrics.json"


def check_out(out: Path) -> None:
    """Make sure that `out` may be made, or replaced because an earlier replay wrote it.

    Raises:
        ConfigError: it is a file, or a folder with other content.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give a folder with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).exists():
        raise ConfigError(f"{out}: holds files that no replay wrote; give a new or empty folder with --out")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder beside `out` and put it in the place of `out` if all goes well.

    On any error, also a keyboard interrupt, the temporary folder is removed and `out` is as it was.

    Raises:
        ConfigError: the folder cannot be made.
        StoreUnavailable: the disk is full or turned read-only.
    """
    check_out(out)
    part = _make_beside(out)
    try:
        yield part
        part.chmod(0o755)
        _put(part, out)
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
            reason = (
                f"cannot write the results to {out}: {err.strerror}; free space or give a folder elsewhere with --out"
            )
            raise StoreUnavailable(reason) from err
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _make_beside(out: Path) -> Path:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
    except OSError as err:
        raise ConfigError(f"{out}: cannot make this folder: {err.strerror}; give another one with --out") from err


def _put(part: Path, out: Path) -> None:
    old: Path | None = None
    if out.exists():
        old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".old"))
        out.replace(old / "was")
    try:
        part.replace(out)
    except OSError:
        if old is not None:
            (old / "was").replace(out)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    sync_folder(out.parent)
