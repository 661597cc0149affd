"""The one retry loop: a source that breaks becomes a stream of frames with gaps in it."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from core.clock import Clock
from core.errors import SourceEnded, SourceError, SourceRefused, SourceUnusable
from core.records import Frame, Gap
from core.settings import Settings
from streams.source import Source

_LOG = logging.getLogger(__name__)

#: A connected stream that shows nothing for this long, and five times longer than its last step, has a gap too.
STALL_S = 2.0
_STALL_STEPS = 5.0


class BackoffSettings(Settings):
    """How soon a lost camera is tried again."""

    first_s: float = Field(default=0.5, ge=0.01, description="Wait before the first retry, seconds")
    factor: float = Field(default=2.0, ge=1, description="Each further wait is this much longer")
    max_s: float = Field(default=1.0, gt=0, description="Longest wait between two tries, seconds")
    jitter: float = Field(default=0.1, ge=0, le=1, description="Random share of each wait, so that lanes spread out")

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """Return the seconds to wait before retry number `attempt` (0 is the first)."""
        # The exponent is bounded so that a camera which is gone for a week does not overflow a float.
        wait_s = min(self.first_s * self.factor ** min(attempt, 64), self.max_s)
        return wait_s * (1 + self.jitter * (rng.random() - 0.5))


@dataclass(frozen=True, slots=True)
class StreamState:
    """How a source does, for the pages.

    Attributes:
        state: "connecting" until the first frame of a try; "offline" between tries, and after a refusal for good.
        since_s: UTC epoch seconds at which the source came online, or was lost (kept over all tries).
        why: what a person should know about it; "" when all is well. Without credentials.
        next_try_s: UTC epoch seconds of the next try, or None.
        attempts: tries since the last frame.
    """

    state: Literal["online", "connecting", "offline"]
    since_s: float
    why: str = ""
    next_try_s: float | None = None
    attempts: int = 0


def frames(
    source: Source,
    stop: threading.Event,
    clock: Clock,
    backoff: BackoffSettings | None = None,
    on_state: Callable[[StreamState], None] | None = None,
) -> Iterator[Frame | Gap]:
    """Yield the frames of `source`, and a `Gap` before the first frame after each break.

    A recording ends at its end and is not retried. A camera never ends: it is opened again and again, with a wait that
    ends at once when `stop` is set. The source is closed when the iteration is over, however it ends.

    Args:
        source: opened here, and owned until the end.
        stop: set it (and close the source) to end the iteration from another thread.
        clock: for the waits and the times of the states.
        backoff: the waits; None for the default ones.
        on_state: called from this thread at each change of state.

    Raises:
        SourceRefused: credentials or rights are missing.
        SourceUnusable: it can never give frames.
        SourceError: a recording could not be opened or read.
    """
    loop = _Connection(source, stop, clock, backoff or BackoffSettings(), on_state or (lambda state: None))
    while not stop.is_set():
        try:
            yield from loop.one_connection()
        except SourceEnded as err:
            if not source.live:
                loop.tell("offline", str(err))
                return
            loop.lost(str(err))
        except SourceError as err:
            if not source.live:
                loop.tell("offline", str(err))
                raise
            loop.lost(str(err))
        except (SourceRefused, SourceUnusable) as err:
            loop.tell("offline", str(err))
            raise
        finally:
            source.close()
        if not stop.is_set():
            loop.wait()


class _Connection:
    """What the loop remembers from one connection to the next."""

    def __init__(
        self,
        source: Source,
        stop: threading.Event,
        clock: Clock,
        backoff: BackoffSettings,
        on_state: Callable[[StreamState], None],
    ) -> None:
        self._source, self._stop, self._clock, self._backoff = source, stop, clock, backoff
        self._on_state = on_state
        # Lanes must not try in step, and a replay of a test must: the seed is the lane's name.
        self._rng = random.Random(source.lane_id)  # noqa: S311 - not for secrets
        self._since_s = clock.utc_s()
        self._last: Frame | None = None
        self._step_s = 0.0
        self._broken = ""
        self._attempts = 0

    def one_connection(self) -> Iterator[Frame | Gap]:
        """Open the source and yield what it gives until it breaks."""
        self.tell("connecting", self._broken)
        self._source.open()
        online = False
        while not self._stop.is_set():
            frame = self._source.read()
            if not online:
                online = True
                self._attempts, self._since_s = 0, self._clock.utc_s()
                self.tell("online")
            gap = self._gap_before(frame)
            self._last, self._broken = frame, ""
            if gap is not None:
                lasted_s, named = gap.to_s - gap.from_s, {"lane": gap.lane_id}
                _LOG.warning("lane %s: gap of %.1f s: %s", gap.lane_id, lasted_s, gap.reason, extra=named)
                yield gap
            yield frame

    def _gap_before(self, frame: Frame) -> Gap | None:
        last = self._last
        if last is None:
            return None
        step_s = frame.stream_s - last.stream_s
        stalled = step_s > max(STALL_S, _STALL_STEPS * self._step_s)
        if not self._broken:
            self._step_s = step_s
            if not stalled:
                return None
        reason = self._broken or f"{self._source.shown_url}: no frames for {step_s:.1f} s"
        return Gap(frame.lane_id, last.captured_at_s, frame.captured_at_s, last.stream_s, reason)

    def lost(self, why: str) -> None:
        """Note that the camera is gone, and since when."""
        if not self._broken:
            self._since_s = self._clock.utc_s()
            if not self._stop.is_set():
                lane_id = self._source.lane_id
                _LOG.warning("lane %s: %s; trying again until it is back", lane_id, why, extra={"lane": lane_id})
        self._broken = why

    def wait(self) -> None:
        """Wait before the next try, or until the lane stops."""
        wait_s = self._backoff.wait_s(self._attempts, self._rng)
        self._attempts += 1
        self.tell("offline", self._broken, self._clock.utc_s() + wait_s)
        self._clock.wait(self._stop, wait_s)

    def tell(
        self, state: Literal["online", "connecting", "offline"], why: str = "", next_try_s: float | None = None
    ) -> None:
        """Report a state to the pages."""
        self._on_state(StreamState(state, self._since_s, why, next_try_s, self._attempts))
