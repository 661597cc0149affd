"""Rolls the lanes' own counters up to minutes and stores them: one thread that looks, subtracts and writes.

The lanes count exactly and for free (`Lane.health`), so nothing is hooked into a lane here: every few seconds the
counters are read, and their growth is booked on the minute in which it happened. A store that is away is tried again
each minute; a day of minutes may wait, then the oldest are given up, counted and logged.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from checkout.health import LATENCY_BUCKETS_S, LaneHealth, LaneState
from core.clock import Clock
from core.errors import StoreError, StoreUnavailable
from store.figures import OPEN_MS, DishEntry, LaneEntry, LaneMinute, SiteEntry, SiteMinute

_LOG = logging.getLogger(__name__)

LOOK_S = 5.0
MINUTE_S = 60
#: A lane that decided a frame within this time is up; the same as for /readiness.
UP_WITHIN_S = 5.0
WAITING_MINUTES = 24 * 60
KEEP_DAYS = 400
_TO_MS = (*(round(1000 * bound_s) for bound_s in LATENCY_BUCKETS_S), OPEN_MS)


class FigureStore(Protocol):
    """Where minutes go; `store.figures.Figures` is one."""

    def add(self, lanes: list[LaneMinute], site: list[SiteMinute]) -> None:
        """Store minutes; replaces those that are there already."""
        ...

    def describe(self, site: SiteEntry, lanes: list[LaneEntry], dishes: list[DishEntry]) -> None:
        """Bring the dimensions up to date."""
        ...

    def prune(self, before_s: float) -> int:
        """Delete what is older."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What the dimensions say of this appliance."""

    site: SiteEntry
    lanes: list[LaneEntry]
    dishes: list[DishEntry]


@dataclass(frozen=True, slots=True)
class _Counts:
    """The counters of a lane at one moment."""

    frames: int = 0
    latency_sum_s: float = 0.0
    reconnects: int = 0
    asks: int = 0
    bills: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    latency: tuple[int, ...] = (0,) * len(_TO_MS)


@dataclass
class _Minute:
    """A lane's minute while it lasts."""

    watched_s: float = 0.0
    up_s: float = 0.0
    frames: int = 0
    latency_sum_s: float = 0.0
    reconnects: int = 0
    asks: int = 0
    bills: int = 0
    spool_depth: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)

    def take(self, before: _Counts, now: _Counts) -> None:
        """Add the growth between two looks."""
        self.frames += now.frames - before.frames
        self.latency_sum_s += now.latency_sum_s - before.latency_sum_s
        self.reconnects += now.reconnects - before.reconnects
        self.asks += now.asks - before.asks
        self.bills += now.bills - before.bills
        for reason, count in now.drops.items():
            self.drops[reason] += count - before.drops.get(reason, 0)
        for to_ms, old, new in zip(_TO_MS, before.latency, now.latency, strict=True):
            self.latency[to_ms] += new - old

    def empty(self) -> bool:
        """Return whether there is nothing to tell of it."""
        return self.watched_s == 0 and self.frames == 0 and not any(self.drops.values())


class FigureRecorder:
    """Books what the lanes count, minute by minute. `start` may be called once.

    Args:
        figures: where minutes go.
        place: the dimensions, stored when the recorder starts.
        health: the health of every lane by id.
        outbox_depth: how many events wait for a publisher; may raise StoreUnavailable.
        storage_free_bytes: free space for the store, or None when it is not a local disk.
        clock: both clocks.
    """

    def __init__(
        self,
        figures: FigureStore,
        place: Place,
        health: Callable[[], Mapping[str, LaneHealth]],
        outbox_depth: Callable[[], int],
        storage_free_bytes: Callable[[], int | None],
        clock: Clock,
    ) -> None:
        self._figures, self._place, self._health, self._clock = figures, place, health, clock
        self._outbox_depth, self._storage_free_bytes = outbox_depth, storage_free_bytes
        self._run_ms = round(1000 * clock.utc_s())
        self._looked_utc_s, self._looked_s = clock.utc_s(), clock.monotonic_s()
        self._before: dict[str, _Counts] = {}
        self._minutes: dict[str, _Minute] = {}
        self._waiting_lanes: deque[LaneMinute] = deque()
        self._waiting_sites: deque[SiteMinute] = deque()
        self._described, self._pruned_day, self._away = False, 0, False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="figures", daemon=True)
        #: Minutes that were given up because the store was away for too long.
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Minutes that the store does not have yet."""
        return len(self._waiting_lanes)

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Look once more, store what there is, and end. Call it after the lanes have stopped."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                _LOG.error("figures: the store did not take the last minute within %.1f s", timeout_s)

    def look(self) -> None:
        """Read all counters; close the minute and store it when it is over."""
        now_utc_s, now_s = self._clock.utc_s(), self._clock.monotonic_s()
        elapsed_s, self._looked_s = now_s - self._looked_s, now_s
        minute_s = int(self._looked_utc_s // MINUTE_S) * MINUTE_S
        self._looked_utc_s = now_utc_s
        for lane_id, health in self._health().items():
            minute = self._minutes.setdefault(lane_id, _Minute())
            now = _counts(health)
            minute.take(self._before.get(lane_id, _Counts()), now)
            self._before[lane_id] = now
            minute.spool_depth = max(minute.spool_depth, health.spooled)
            if health.state is LaneState.STOPPED and not health.live:
                continue  # a recording that is over is neither up nor down
            minute.watched_s += elapsed_s
            age_s = health.last_decided_age_s
            if age_s is not None and age_s <= UP_WITHIN_S:
                minute.up_s += elapsed_s
        if int(now_utc_s // MINUTE_S) * MINUTE_S != minute_s:
            self._close_minute(minute_s)
            self.flush()

    def finish(self) -> None:
        """Look a last time and store the minute that is not over."""
        minute_s = int(self._looked_utc_s // MINUTE_S) * MINUTE_S
        self.look()
        if self._minutes:
            self._close_minute(minute_s)
        self.flush()
        if self._waiting_lanes:
            _LOG.warning("figures: %d minutes are lost, for the store is away", len(self._waiting_lanes))

    def flush(self) -> bool:
        """Store what waits; return whether nothing waits any more. A store that is away is no error here.

        Raises:
            StoreError: a later try cannot succeed.
        """
        try:
            if not self._described:
                self._figures.describe(self._place.site, self._place.lanes, self._place.dishes)
                self._described = True
            if self._waiting_lanes or self._waiting_sites:
                self._figures.add(list(self._waiting_lanes), list(self._waiting_sites))
                self._waiting_lanes.clear()
                self._waiting_sites.clear()
            self._prune()
        except StoreUnavailable as err:
            if not self._away:
                _LOG.warning("figures: %s; minutes wait until it is back", err)
            self._away = True
            return False
        self._away = False
        return True

    def _run(self) -> None:
        try:
            self.flush()
            while not self._clock.wait(self._stop, LOOK_S - self._clock.utc_s() % LOOK_S):
                self.look()
            self.finish()
        except StoreError as err:
            _LOG.error("figures: no more minutes are recorded: %s", err)

    def _close_minute(self, minute_s: int) -> None:
        minutes, self._minutes = self._minutes, {}
        for lane_id, minute in minutes.items():
            if not minute.empty():
                self._waiting_lanes.append(self._lane_minute(lane_id, minute_s, minute))
        try:
            depth: int | None = self._outbox_depth()
        except StoreUnavailable:
            depth = None  # unknown; `flush` says why
        self._waiting_sites.append(
            SiteMinute(self._place.site.name, minute_s, self._run_ms, depth, self._storage_free_bytes())
        )
        while len(self._waiting_sites) > WAITING_MINUTES:
            gone_s = self._waiting_sites.popleft().minute_s
            while self._waiting_lanes and self._waiting_lanes[0].minute_s <= gone_s:
                self._waiting_lanes.popleft()
            self.lost += 1
            if self.lost == 1:
                _LOG.error("figures: the store is away for a day; the oldest minutes are given up")

    def _lane_minute(self, lane_id: str, minute_s: int, minute: _Minute) -> LaneMinute:
        return LaneMinute(
            lane_id=lane_id,
            minute_s=minute_s,
            run_ms=self._run_ms,
            watched_s=round(minute.watched_s, 3),
            up_s=round(minute.up_s, 3),
            frames=minute.frames,
            latency_sum_s=minute.latency_sum_s,
            reconnects=minute.reconnects,
            asks=minute.asks,
            bills=minute.bills,
            spool_depth=minute.spool_depth,
            drops={reason: count for reason, count in minute.drops.items() if count > 0},
            latency={to_ms: count for to_ms, count in minute.latency.items() if count > 0},
        )

    def _prune(self) -> None:
        day = int(self._clock.utc_s() // 86400)
        if day != self._pruned_day:
            self._figures.prune((day - KEEP_DAYS) * 86400)
            self._pruned_day = day


def _counts(health: LaneHealth) -> _Counts:
    return _Counts(
        health.decided_frames,
        health.latency_sum_s,
        health.reconnects,
        health.asks,
        health.bills,
        dict(health.dropped),
        health.latency_histogram,
    )


def free_bytes(folder: Path | None) -> int | None:
    """Return the free space where a folder lies; None when there is none to ask, or it does not answer."""
    if folder is None:
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
