"""What an engine's error means to a person: retry later, or another database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import SchemaMismatch, StoreError, StoreUnavailable
from core.redact import redact_text

# (what the engine says, what to do about it); the first that fits is told.
_ADVICE: tuple[tuple[str, str], ...] = (
    (r"disk is full|no space left|could not extend file", "the disk is full; free space or move the store"),
    (r"readonly database|read-only", "it is read-only; give this user the right to write, or another store url"),
    (r"unable to open database file", "it cannot be opened; check that the path is a file this user may write"),
    (r"database is locked|table is locked", "another process holds it; stop that process or wait"),
    (r"disk i/o error", "the disk does not read or write; check its space and health"),
    (r"malformed", "the file is damaged; move it away and restore a backup"),
    (r"statement timeout|lock timeout|canceling statement", "the server is too slow or locked; look at its load"),
    (r"password authentication|no password supplied|authentication failed", "log-in refused; check user and password"),
    (r"does not exist", "no such database or role; create it or correct the store url"),
    (r"permission denied", "this user lacks a right; grant it or give another user"),
    (r"refused|timeout|timed out|could not translate|closed the connection|terminat|shutting down|starting up|resolve",
     "the server is away; start it or correct host and port in the store url"),
)  # fmt: skip
_FOREIGN = re.compile(r"file is not a database|no such table|no such column|undefined(table|column)", re.IGNORECASE)


@contextmanager
def told_as_store_error(shown_url: str, doing: str) -> Iterator[None]:
    """Turn engine errors inside the block into StoreUnavailable or SchemaMismatch.

    Our own faults (a broken constraint, a wrong statement) pass as they are.

    Args:
        shown_url: the redacted url, for the message.
        doing: what was tried, as in "append 3 events".
    """
    try:
        yield
    except DBAPIError as err:
        raise _meaning(err, shown_url, doing) from err
    except PoolTimeout as err:
        raise StoreUnavailable(f"{shown_url}: cannot {doing}: all connections are busy; try again later") from err


def _meaning(err: DBAPIError, shown_url: str, doing: str) -> StoreError | DBAPIError:
    cause = err.orig
    said = " ".join(redact_text(str(cause)).split())
    kind = type(cause).__name__
    if _FOREIGN.search(said) or _FOREIGN.search(kind):
        return SchemaMismatch(
            f"{shown_url}: cannot {doing}: not a Traylane database ({said}); give another store url, "
            "or move the file away and let Traylane make a new one"
        )
    advice = next((text for pattern, text in _ADVICE if re.search(pattern, said, re.IGNORECASE)), None)
    if advice is None and not err.connection_invalidated and kind not in ("OperationalError", "InterfaceError"):
        return err
    what = advice or "try again, then look at the database"
    return StoreUnavailable(f"{shown_url}: cannot {doing}: {what} ({said})")
