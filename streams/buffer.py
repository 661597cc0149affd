"""The bounded place between the thread that reads a source and the thread that looks at its frames."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from typing import Literal

from core.records import Frame, Gap


class FrameBuffer:
    """A thread-safe queue of frames and gaps that never grows over `capacity` frames.

    When it is full, `drop_oldest` (cameras) leaves the oldest frame out and counts it; `block` (recordings) makes the
    writer wait. A gap is never dropped and takes no place: without it a lane would take a break for a stay.

    Args:
        capacity: frames it holds at most.
        policy: what a full buffer does.
    """

    def __init__(self, capacity: int, policy: Literal["drop_oldest", "block"]) -> None:
        if capacity < 1:
            raise ValueError(f"a buffer needs room for one frame at least, not {capacity}")
        if policy not in ("drop_oldest", "block"):
            raise ValueError(f"policy must be drop_oldest or block, not {policy!r}")
        self._capacity, self._policy = capacity, policy
        self._queue: deque[Frame | Gap] = deque()
        self._frames = 0
        self._closed = False
        self._changed = threading.Condition()
        self._dropped: Counter[str] = Counter()

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames left out, by reason: "slow" (the lane was behind), "stopped" (the lane was closing)."""
        with self._changed:
            return dict(self._dropped)

    @property
    def depth(self) -> int:
        """How many frames wait."""
        with self._changed:
            return self._frames

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        with self._changed:
            return self._closed

    @property
    def ended(self) -> bool:
        """Whether it is closed and nothing is left to get."""
        with self._changed:
            return self._closed and not self._queue

    def put(self, item: Frame | Gap, timeout_s: float | None = None) -> bool:
        """Add an item; with the policy `block`, wait for room.

        Args:
            item: a frame or a gap.
            timeout_s: longest wait for room; None waits until there is room or the buffer is closed.

        Returns:
            False if it was not taken: the buffer is closed (a frame is then counted as dropped) or the time is over.
        """
        with self._changed:
            if isinstance(item, Frame) and not self._closed:
                if self._policy == "drop_oldest":
                    self._drop_oldest()
                elif not self._changed.wait_for(lambda: self._closed or self._frames < self._capacity, timeout_s):
                    return False
            if self._closed:
                self._dropped["stopped"] += isinstance(item, Frame)
                return False
            self._queue.append(item)
            self._frames += isinstance(item, Frame)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float) -> Frame | Gap | None:
        """Return the oldest item; None after `timeout_s` without one, or when the buffer has `ended`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._queue), timeout_s)
            if not self._queue:
                return None
            item = self._queue.popleft()
            self._frames -= isinstance(item, Frame)
            self._changed.notify_all()
            return item

    def close(self, discard: bool = False) -> None:
        """Take nothing more, and wake everybody who waits. What is inside can still be got.

        Args:
            discard: throw away what is inside as well; its frames are counted as dropped.
        """
        with self._changed:
            self._closed = True
            if discard:
                self._dropped["stopped"] += self._frames
                self._queue.clear()
                self._frames = 0
            self._changed.notify_all()

    def _drop_oldest(self) -> None:
        """Make room for one frame."""
        while self._frames >= self._capacity:
            oldest = next(i for i, item in enumerate(self._queue) if isinstance(item, Frame))
            del self._queue[oldest]
            self._frames -= 1
            self._dropped["slow"] += 1
