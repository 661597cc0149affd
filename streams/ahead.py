"""Make things in a thread of its own, a few ahead of who takes them: for recordings, where throughput counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T, None, None]:
    """Yield `items` in their order; one thread takes up to `depth` of them from the iterator before they are asked for.

    What the iterator raises is raised here, after everything that came before it. Whoever leaves early closes this
    generator; it then waits until the thread is done with the item at hand, so end first whatever that may wait for.

    >>> list(ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    if depth < 1:
        raise ValueError(f"depth must be 1 or more, not {depth}")
    end = object()
    # One worker: its calls of next() follow one another, and so their results are in order.
    with ThreadPoolExecutor(1, "ahead") as pool:
        waiting: deque[Future[T | object]] = deque()
        try:
            while True:
                while len(waiting) < depth:
                    waiting.append(pool.submit(next, items, end))
                item = waiting.popleft().result()
                if item is end:
                    return
                waiting.append(pool.submit(next, items, end))
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()
