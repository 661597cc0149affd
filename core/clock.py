"""Time as an argument: the system clock for lanes, a hand-driven one for tests and replays."""

from __future__ import annotations

import datetime
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks and a wait. UTC is for records, monotonic for durations."""

    def utc_s(self) -> float:
        """Return seconds since the UTC epoch."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never runs backwards."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; return whether it is set."""
        ...


class SystemClock:
    """The machine's clocks."""

    def utc_s(self) -> float:
        """Return seconds since the UTC epoch."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never runs backwards."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; return whether it is set."""
        return event.wait(seconds)


class ManualClock:
    """A clock that stands still until it is told to move: tests without sleeping.

    >>> clock = ManualClock(utc_s=100.0)
    >>> clock.advance(2.5)
    >>> clock.utc_s(), clock.monotonic_s()
    (102.5, 2.5)
    """

    def __init__(self, utc_s: float = 0.0, monotonic_s: float = 0.0) -> None:
        self._utc_s, self._monotonic_s = utc_s, monotonic_s
        self._lock = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds` >= 0."""
        if seconds < 0:
            raise ValueError(f"a clock cannot be moved by {seconds} s: give zero or more")
        with self._lock:
            self._utc_s += seconds
            self._monotonic_s += seconds

    def utc_s(self) -> float:
        """Return the UTC seconds as set."""
        with self._lock:
            return self._utc_s

    def monotonic_s(self) -> float:
        """Return the monotonic seconds as set."""
        with self._lock:
            return self._monotonic_s

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let `seconds` pass at once on this clock; return whether `event` is set."""
        self.advance(max(seconds, 0.0))
        return event.is_set()


def utc_text(seconds: float) -> str:
    """Return UTC epoch seconds as RFC 3339 text.

    >>> utc_text(1_700_000_000.25)
    '2023-11-14T22:13:20.250Z'
    """
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
