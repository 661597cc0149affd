"""Logs to stderr: short lines for people, or one JSON object per line for machines; no credentials in either."""

from __future__ import annotations

import datetime
import json
import logging
import re
import sys

from core.redact import redact_text

LEVELS = ("debug", "info", "warning", "error")

#: A name in a request may hold a line break; what it says after that is no line of this log.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]")

# What every record has; all else on a record was given by the caller as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _TextLines(logging.Formatter):
    """`12:00:01 warning streams.reconnect: the camera is away`."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        told = _one_line(f"{when} {record.levelname.lower()} {record.name}: {record.getMessage()}")
        if record.exc_info:
            told += "\n" + redact_text(self.formatException(record.exc_info))
        return told


class _JsonLines(logging.Formatter):
    """One object per record: time, level, logger, message, then what the caller gave as `extra`: `lane`, `bill`."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
        content: dict[str, object] = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact_text(record.getMessage()),
        }
        given = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        content |= {key: redact_text(value) if isinstance(value, str) else value for key, value in given.items()}
        if record.exc_info:
            content["traceback"] = redact_text(self.formatException(record.exc_info))
        return json.dumps(content, default=str)


def _one_line(text: str) -> str:
    r"""Return a text without secrets and line breaks.

    >>> _one_line("no lane 'x\n12:00 error: rtsp://u:p@cam'")
    "no lane 'x\\n12:00 error: rtsp://***@cam'"
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], redact_text(text))


def set_up_logs(level: str, as_json: bool) -> None:
    """Send all logs of this process to stderr.

    Args:
        level: one of LEVELS; what is less important is left out.
        as_json: one JSON object per line instead of text.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Alembic tells each step at info, waitress each start: ours say the same in our words.
    logging.getLogger("alembic").setLevel(logging.WARNING)
