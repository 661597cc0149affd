"""How many may watch at the same time: each stream (events, state, pictures) holds one thread of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

PieceT = TypeVar("PieceT", str, bytes)


class Viewers:
    """Counts the streams that are open.

    Args:
        limit: at most so many at a time; the rest is told to come again later.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open = 0

    @property
    def open(self) -> int:
        """How many streams are open."""
        with self._lock:
            return self._open

    def admit(self) -> Callable[[], None] | None:
        """Let one more in; return what lets it out (once, whoever calls it), or None if there is no room."""
        with self._lock:
            if self._open >= self.limit:
                return None
            self._open += 1
        gone = threading.Event()

        def leave() -> None:
            with self._lock:
                if not gone.is_set():
                    gone.set()
                    self._open -= 1

        return leave


class Watched(Iterator[PieceT]):
    """The pieces of a stream; lets its viewer out when it ends, breaks or is closed.

    The first piece is made at once: a generator that was never begun would not clean up behind itself.
    """

    def __init__(self, pieces: Iterator[PieceT], leave: Callable[[], None]) -> None:
        self._pieces: Iterator[PieceT] = pieces
        self._leave = leave
        self._first: list[PieceT] = []
        try:
            self._first.append(next(pieces))
        except StopIteration:
            leave()
        except BaseException:
            leave()
            raise

    def __next__(self) -> PieceT:
        if self._first:
            return self._first.pop()
        try:
            piece: PieceT = next(self._pieces)
            return piece
        except BaseException:
            self._leave()
            raise

    def close(self) -> None:
        """End the stream; the server calls it when the viewer has gone."""
        try:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()
        finally:
            self._leave()
