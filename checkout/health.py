"""How a lane does: counted in the lane's threads, read from any."""

from __future__ import annotations

import bisect
import enum
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from checkout.pipeline import LaneUpdate
from core.records import Frame

#: Upper bounds in seconds of the capture → decision histogram; one more bucket holds what is above.
#: Fine where a lane works, so that a percentile read from the counts is a tenth off at most.
LATENCY_BUCKETS_S = (
    *(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2),
    *(0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0),
)
_RECENT = 600
_FPS_WINDOW_S = 5.0


class LaneState(enum.StrEnum):
    """What a lane is doing.

    `CONNECTING` no frame yet; `RUNNING` frames are decided; `DEGRADED` frames come but are not decided, events wait
    for the store, or what was taught cannot be used; `OFFLINE` the camera is away and tried again; `OFF` frames come
    and are left out on request; `STOPPED` on request, or the recording is over; `FAILED` gave up.
    """

    CONNECTING = "connecting"
    RUNNING = "running"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    OFF = "off"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of the latest few hundred values, in seconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class LaneHealth:
    """A snapshot of one lane. What is not known is None, never 0.

    Attributes:
        shown_url: the source, without credentials.
        why: what a person should know; "" when all is well.
        since_s: seconds since the camera came online or was lost; None before the first connection.
        next_try_s: seconds until the next try of a lost camera.
        fps: frames decided per second, lately.
        decided_frames: since the start.
        last_decided_age_s: seconds since the latest decision.
        dropped: frames left out on purpose, by reason.
        reconnects: times the stream came back after a break.
        gaps: breaks that were recorded.
        asks: questions put to people.
        bills: bills closed.
        stages: seconds per frame, by stage.
        latency: capture → decision; of a recording: decode → decision.
        latency_histogram: counts per bucket of `LATENCY_BUCKETS_S`, not cumulative, the last one is above all bounds.
        latency_sum_s: sum of all observed latencies.
        queued: frames that wait.
        spooled: events that wait for the store.
        refused: events that the full spool did not take.
        skipped_updates: pictures that slow subscribers did not get.
        menu_revision: of the taught menu in force; 0: the menu file alone.
    """

    lane_id: str
    shown_url: str
    live: bool
    state: LaneState
    why: str
    since_s: float | None
    next_try_s: float | None
    fps: float | None
    decided_frames: int
    last_decided_age_s: float | None
    dropped: Mapping[str, int]
    reconnects: int
    gaps: int
    asks: int
    bills: int
    stages: Mapping[str, Percentiles]
    latency: Percentiles | None
    latency_histogram: tuple[int, ...]
    latency_sum_s: float
    queued: int
    spooled: int
    refused: int
    skipped_updates: int
    menu_revision: int = 0


def percentiles(seconds: Sequence[float]) -> Percentiles | None:
    """Return p50, p95 and p99, linear between ranks as numpy's; None of nothing.

    >>> percentiles([1.0, 2.0, 3.0])
    Percentiles(p50=2.0, p95=2.9, p99=2.98)
    """
    if not seconds:
        return None
    ordered = sorted(seconds)

    def at(share: float) -> float:
        below, part = divmod(share * (len(ordered) - 1), 1.0)
        low, high = ordered[int(below)], ordered[min(int(below) + 1, len(ordered) - 1)]
        return low + (high - low) * part

    return Percentiles(at(0.5), at(0.95), at(0.99))


@dataclass
class Meter:
    """Counts what a lane does. All methods may be called from any thread."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    decided_frames: int = 0
    last_decided_s: float | None = None
    reconnects: int = 0
    gaps: int = 0
    asks: int = 0
    bills: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    latency_sum_s: float = 0.0
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_S) + 1))
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    _stages: dict[str, deque[float]] = field(default_factory=dict)
    _decided_at: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def count_update(self, update: LaneUpdate, latency_s: float | None) -> None:
        """Count what one update holds; `latency_s` is capture → decision of its frame."""
        with self.lock:
            self.bills += len(update.closed)
            self.asks += sum(event.decision.kind == "ask" for event in update.events)
            if isinstance(update.frame, Frame) and latency_s is not None:
                self.decided_frames += 1
                self.last_decided_s = update.decided_s
                self._decided_at.append(update.decided_s)
                self._latencies.append(latency_s)
                self.latency_sum_s += latency_s
                self.latency_counts[bisect.bisect_left(LATENCY_BUCKETS_S, latency_s)] += 1
                for stage, seconds in update.stage_s.items():
                    self._stages.setdefault(stage, deque(maxlen=_RECENT)).append(seconds)

    def count_drop(self, reason: str) -> None:
        """Count one frame that is left out on purpose."""
        with self.lock:
            self.dropped[reason] += 1

    def fps(self, now_s: float) -> float | None:
        """Return the decided frames per second over the last seconds; None before there are two."""
        with self.lock:
            recent = [at_s for at_s in self._decided_at if now_s - at_s <= _FPS_WINDOW_S]
            if self.decided_frames < 2:
                return None
            if len(recent) < 2:
                return 0.0
            return (len(recent) - 1) / max(recent[-1] - recent[0], now_s - recent[-1], 1e-6)

    def stages(self) -> dict[str, Percentiles]:
        """Return the percentiles of each stage."""
        with self.lock:
            recent = {stage: list(values) for stage, values in self._stages.items()}
        found = {stage: percentiles(values) for stage, values in recent.items()}
        return {stage: value for stage, value in found.items() if value is not None}

    def latency(self) -> Percentiles | None:
        """Return the percentiles of capture → decision."""
        with self.lock:
            recent = list(self._latencies)
        return percentiles(recent)
