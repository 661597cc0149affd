"""The error taxonomy: what can go wrong, whether a retry helps, and which exit code tells it.

A message says what failed, where, and what to do about it. Wrong shapes or types that come from our
own code are plain ValueError/TypeError and are never caught.
"""

from __future__ import annotations


class TraylaneError(Exception):
    """Parent of every error that a person or a retry loop is expected to answer.

    Attributes:
        retryable: whether the same call may succeed later without anybody changing anything.
        exit_code: what a command line run ends with when this error reaches it.
    """

    retryable: bool = False
    exit_code: int = 1


class ConfigError(TraylaneError, ValueError):
    """A setting is missing, unknown or out of range; names file, line and key."""

    exit_code = 2


class SourceError(TraylaneError, OSError):
    """A camera or recording did not deliver; `streams/reconnect.py` answers it."""

    retryable = True
    exit_code = 5


class SourceOpenError(SourceError):
    """The source could not be opened (absent, unreachable, not a video)."""


class SourceTimeout(SourceError, TimeoutError):
    """The source did not answer within its time-out."""


class SourceEnded(SourceError):
    """The stream came to its end (for a file: the last frame was read)."""


class SourceRefused(TraylaneError, PermissionError):
    """The source answered and refuses us (credentials, rights): a retry cannot help."""

    exit_code = 5


class SourceUnusable(TraylaneError, OSError):
    """The source is there but can never give frames (no video track, unknown codec): no retry."""

    exit_code = 5


class ModelError(TraylaneError):
    """A model cannot be used."""

    exit_code = 3


class ModelNotFound(ModelError, FileNotFoundError):
    """The model card or its weights are not where they should be."""


class ModelMismatch(ModelError, ValueError):
    """The model is not what its card (or the menu) says: hash, shape, classes."""


class InferenceError(ModelError, RuntimeError):
    """The runtime failed while computing; the lane degrades."""


class DataError(TraylaneError, ValueError):
    """A data file is not usable."""


class FormatError(DataError):
    """A file does not follow its format; names the path and, where there is one, the line.

    Args:
        path: the file at fault.
        reason: what is wrong and what to do.
        line: 1-based line number, if the format has lines.
    """

    def __init__(self, path: str, reason: str, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = path if line is None else f"{path}:{line}"
        super().__init__(f"{where}: {reason}")


class VersionConflict(DataError):
    """A frozen version would be changed."""


class FolderUnusable(TraylaneError, OSError):
    """A folder that results go to cannot be written (disk full, read-only, no rights); what is whole in it stays."""


class StoreError(TraylaneError):
    """The event store failed."""

    exit_code = 4


class StoreUnavailable(StoreError):
    """The store is out of reach (disk full, read-only, server down): events wait in the spool."""

    retryable = True


class SchemaMismatch(StoreError):
    """The database schema is newer than, or foreign to, this program."""

    exit_code = 4


class PortTaken(TraylaneError, OSError):
    """The web port is in use by another program."""

    exit_code = 2
