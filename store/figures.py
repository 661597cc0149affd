"""Minute roll-ups and the dimensions that the dashboards join: who writes them, how often, what they mean.

Frames are not stored: a lane at 25 fps would make two million rows a day. What is stored per lane and minute are
counts and a histogram of fixed buckets. Counts add up over any span and any choice of lanes, and so do histograms: the
p95 of a week is read from the summed buckets and is as right as that of a minute. (Percentiles themselves do not add
up: the mean of the p95 of sixty minutes is not the p95 of the hour.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, delete, update

from core.clock import Clock
from store.rows import to_cents
from store.sql_store import SqlStore
from store.tables import dishes as dish_table
from store.tables import lane_minute_drops, lane_minute_latency, lane_minutes, site_minutes, site_offsets, sites
from store.tables import lanes as lane_table

#: The upper bound of the bucket that has none.
OPEN_MS = 1_000_000_000
_FOREVER_S = 32_503_680_000  # the year 3000
_FIRST_YEAR = 2000


@dataclass(frozen=True, slots=True)
class LaneMinute:
    """What one lane did in one minute of one run of the program.

    Attributes:
        minute_s: UTC epoch seconds of the minute's start.
        run_ms: UTC epoch milliseconds at which the program started.
        watched_s: seconds for which somebody looked; what nobody saw is unknown, not down.
        up_s: of these, seconds in which the lane was deciding frames.
        frames: decided.
        latency_sum_s: sum of capture -> decision.
        spool_depth: highest number of events that waited for the store.
        drops: frames left out, by reason.
        latency: decided frames by the upper bound of their latency's bucket in milliseconds, `OPEN_MS` for the last.
    """

    lane_id: str
    minute_s: int
    run_ms: int
    watched_s: float
    up_s: float
    frames: int
    latency_sum_s: float
    reconnects: int
    asks: int
    bills: int
    spool_depth: int
    drops: Mapping[str, int]
    latency: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class SiteMinute:
    """What a site has once: events that wait for a publisher, and free space; None is unknown."""

    site: str
    minute_s: int
    run_ms: int
    outbox_depth: int | None
    storage_free_bytes: int | None


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """A place: `timezone` is an IANA name, `currency` an ISO 4217 code."""

    name: str
    currency: str
    timezone: str


@dataclass(frozen=True, slots=True)
class LaneEntry:
    """A lane: `source` is what people may see of its camera."""

    lane_id: str
    source: str
    live: bool


@dataclass(frozen=True, slots=True)
class DishEntry:
    """An article of the menu; `price` in the menu's currency."""

    name: str
    title: str
    category: str
    price: float
    plu: str


class Figures:
    """Writes the tables beside the events. Every method raises StoreUnavailable or SchemaMismatch.

    Args:
        store: open.
        clock: gives the time of an update.
    """

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def add(self, lanes: Sequence[LaneMinute], site: Sequence[SiteMinute] = ()) -> None:
        """Store minutes in one transaction; a minute of the same run that is there already is replaced."""
        keys = [{"lane_id": one.lane_id, "minute_s": one.minute_s, "run_ms": one.run_ms} for one in lanes]
        heads = [
            {
                **key,
                "watched_s": one.watched_s,
                "up_s": one.up_s,
                "frames": one.frames,
                "latency_sum_s": one.latency_sum_s,
                "reconnects": one.reconnects,
                "asks": one.asks,
                "bills": one.bills,
                "spool_depth": one.spool_depth,
            }
            for key, one in zip(keys, lanes, strict=True)
        ]
        drops = [
            {**key, "reason": reason, "frames": frames}
            for key, one in zip(keys, lanes, strict=True)
            for reason, frames in one.drops.items()
        ]
        latency = [
            {**key, "to_ms": to_ms, "frames": frames}
            for key, one in zip(keys, lanes, strict=True)
            for to_ms, frames in one.latency.items()
        ]
        once = [
            {
                "site": one.site,
                "minute_s": one.minute_s,
                "run_ms": one.run_ms,
                "outbox_depth": one.outbox_depth,
                "storage_free_bytes": one.storage_free_bytes,
            }
            for one in site
        ]
        with self._store.writing(f"store {len(lanes)} minutes of figures") as connection:
            self._replace(connection, lane_minutes, heads)
            self._replace(connection, lane_minute_drops, drops)
            self._replace(connection, lane_minute_latency, latency)
            self._replace(connection, site_minutes, once)

    def describe(self, site: SiteEntry, lanes: Sequence[LaneEntry], dishes: Sequence[DishEntry]) -> None:
        """Bring the dimensions up to date: the site with its hours, its lanes, and the menu as it is now."""
        now_s = self._clock.utc_s()
        offsets = [
            {"site": site.name, "from_s": from_s, "until_s": until_s, "offset_s": offset_s}
            for from_s, until_s, offset_s in offset_spans(site.timezone, datetime.fromtimestamp(now_s, UTC).year + 5)
        ]
        place = {"site": site.name, "currency": site.currency, "timezone": site.timezone, "updated_at_s": now_s}
        with self._store.writing("describe the site") as connection:
            self._replace(connection, sites, [place])
            connection.execute(delete(site_offsets).where(site_offsets.c.site == site.name))
            self._replace(connection, site_offsets, offsets)
            self._replace(
                connection,
                lane_table,
                [
                    {
                        "lane_id": lane.lane_id,
                        "site": site.name,
                        "source": lane.source,
                        "live": int(lane.live),
                        "updated_at_s": now_s,
                    }
                    for lane in lanes
                ],
            )
            served = [_dish_row(dish, now_s) for dish in dishes]
            gone = dish_table.c.dish.not_in([row["dish"] for row in served])
            connection.execute(update(dish_table).where(gone).values(on_menu=0, updated_at_s=now_s))
            self._replace(connection, dish_table, served)

    def prune(self, before_s: float) -> int:
        """Delete the minutes before a moment; return how many rows of lanes went."""
        with self._store.writing("prune figures") as connection:
            for table in (lane_minute_drops, lane_minute_latency, site_minutes):
                connection.execute(delete(table).where(table.c.minute_s < before_s))
            return connection.execute(delete(lane_minutes).where(lane_minutes.c.minute_s < before_s)).rowcount

    def _replace(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        statement: Any = self._store.insert_into(table)
        keys = [column.name for column in table.primary_key]
        rest = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest), list(rows))


def _dish_row(dish: DishEntry, now_s: float) -> dict[str, Any]:
    return {
        "dish": dish.name,
        "title": dish.title,
        "category": dish.category,
        "price_cents": to_cents(dish.price),
        "plu": dish.plu,
        "on_menu": 1,
        "updated_at_s": now_s,
    }


def offset_spans(timezone: str, until_year: int) -> list[tuple[int, int, int]]:
    """Return (from_s, until_s, offset_s) spans of a time zone, without a gap, from 1970 to for ever.

    Changes are looked for from 2000 to `until_year`; what is outside has the offset of the nearest span.

    >>> offset_spans("UTC", 2001)
    [(0, 32503680000, 0)]
    >>> spans = offset_spans("Europe/Berlin", 2001)
    >>> [(offset_s, datetime.fromtimestamp(from_s, UTC).isoformat()) for from_s, _, offset_s in spans[1:]]
    [(7200, '2000-03-26T01:00:00+00:00'), (3600, '2000-10-29T01:00:00+00:00')]
    """
    zone, day = ZoneInfo(timezone), timedelta(days=1)
    at = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    starts = [(0, _offset_s(zone, int(at.timestamp())))]
    while at.year < until_year:
        low, high = int(at.timestamp()), int((at + day).timestamp())
        after = _offset_s(zone, high)
        if after != starts[-1][1]:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if _offset_s(zone, middle) == after else (middle, high)
            starts.append((high, after))
        at += day
    ends = [from_s for from_s, _ in starts[1:]] + [_FOREVER_S]
    return [(from_s, until_s, offset_s) for (from_s, offset_s), until_s in zip(starts, ends, strict=True)]


def _offset_s(zone: ZoneInfo, utc_s: int) -> int:
    offset = datetime.fromtimestamp(utc_s, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())
