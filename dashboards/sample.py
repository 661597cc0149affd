"""Fill a store with plausible weeks of a canteen, through the store's own API: for tests, pictures and a first look.

    python -m dashboards.sample --store sqlite:///var/sample.db --days 14

Three lanes serve breakfast and lunch on weekdays and a short Saturday. Lane 2 has a camera that sometimes goes away,
a new detector version comes in the middle, and some dishes are easily mistaken for one another. All of it follows from
the seed and the moment that counts as now. The store must be empty: a sample never mixes with real bills.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from checkout.health import LATENCY_BUCKETS_S
from checkout.menu import Dish, Menu, load_menu
from core.clock import SystemClock
from core.errors import ConfigError, TraylaneError
from core.records import Bill, Decision, DecisionKind, Event, LineItem
from store.engine import open_store
from store.figures import OPEN_MS, DishEntry, Figures, LaneEntry, LaneMinute, SiteEntry, SiteMinute
from store.sql_store import SqlStore

MENU = Path(__file__).resolve().parent.parent / "configs" / "menu.yaml"
MODELS = ("traynet@1", "traynet@2")
_RUSH = {7: 0.25, 8: 0.45, 9: 0.3, 10: 0.2, 11: 0.75, 12: 1.0, 13: 0.7, 14: 0.25, 15: 0.15}
_POPULAR = {"schnitzel_fries": 9, "spaghetti": 8, "curry_rice": 8, "pizza": 7, "coffee": 14, "water_bottle": 12}
_POPULAR |= {"bread_roll": 10, "green_salad": 8, "cappuccino": 7, "croissant": 6, "tomato_soup": 6, "cola_bottle": 6}
_ALIKE = {
    "tomato_soup": "pea_soup",
    "pea_soup": "noodle_soup",
    "coffee": "tea",
    "spaghetti": "lasagne",
    "curry_rice": "schnitzel_fries",
    "water_bottle": "cola_bottle",
    "bread_roll": "croissant",
    "green_salad": "beet_salad",
    "cappuccino": "coffee",
    "chocolate_pudding": "yoghurt",
    "muffin": "donut",
}
_TO_MS = (*(round(1000 * bound_s) for bound_s in LATENCY_BUCKETS_S), OPEN_MS)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of the sample.

    Attributes:
        busy: bills in the busiest hour.
        latency_ms: median of capture -> decision.
        shaky: how often its camera goes away, per minute.
    """

    lane_id: str
    busy: int
    fps: float
    latency_ms: float
    shaky: float


LANES = (
    Lane("lane1", 34, 20.0, 62.0, 0.0003),
    Lane("lane2", 26, 20.0, 74.0, 0.002),
    Lane("express", 40, 15.0, 48.0, 0.0002),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """When, on both clocks: seconds of the stream and UTC."""

    stream_s: float
    utc_s: float


class _Journal:
    """Writes the events of one bill, as a lane would."""

    def __init__(self, lane_id: str, bill_id: str, model: str) -> None:
        self.lane_id, self.bill_id, self.model = lane_id, bill_id, model
        self.events: list[Event] = []

    def note(
        self,
        kind: DecisionKind,
        at: Moment,
        reason: str,
        *,
        track_id: int | None = None,
        dish: Dish | None = None,
        confidence: float = 1.0,
        detail: dict[str, float | int | str | bool | None] | None = None,
    ) -> None:
        """Write one entry under the next revision."""
        revision = len(self.events) + 1
        decision = Decision(
            kind=kind,
            track_id=track_id,
            decided_at_s=at.utc_s,
            stream_s=at.stream_s,
            zone="tray",
            confidence=round(confidence, 6),
            reason=reason,
            bill_id=self.bill_id,
            dish=dish.name if dish else "",
            price=dish.price if dish else None,
            revision=revision,
            detail=detail or {},
        )
        event_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.bill_id}/{revision}"))
        self.events.append(Event(event_id, self.lane_id, decision, self.model, "0" * 64))


class Canteen:
    """Makes days of bills and minutes of figures.

    Args:
        menu: what is sold.
        seed: everything follows from it.
        timezone: of the canteen; hours of the day are its own.
        pace: 1.0 is a canteen of some hundred guests a day; less is faster to store.
    """

    def __init__(self, menu: Menu, seed: int, timezone: str, pace: float = 1.0) -> None:
        self._menu, self._seed, self._zone, self._pace = menu, seed, ZoneInfo(timezone), pace
        self._names = list(menu.dishes)
        self._weights = [_POPULAR.get(name, 2) for name in self._names]

    def day(self, lane: Lane, day: datetime, until_s: float, model: str) -> tuple[list[Event], list[Bill]]:
        """Return a lane's events and bills of one local day, none after `until_s`."""
        rng = random.Random(f"{self._seed}/{lane.lane_id}/{day.date()}")  # noqa: S311 - a sample, not a secret
        events: list[Event] = []
        bills: list[Bill] = []
        for hour, share in self._hours(day):
            start = day.replace(hour=hour, minute=0, second=0, microsecond=0).astimezone(UTC).timestamp()
            guests = round(lane.busy * share * self._pace * rng.uniform(0.85, 1.15))
            for at_s in sorted(start + rng.uniform(0, 3590) for _ in range(guests)):
                if at_s < until_s - 120:
                    self._bill(rng, lane, at_s, start, model, events, bills)
        return events, bills

    def minutes(self, lane: Lane, day: datetime, until_s: float, model: str) -> list[LaneMinute]:
        """Return a lane's minutes of one local day; a lane is switched on from the first to the last hour."""
        rng = random.Random(f"{self._seed}/{lane.lane_id}/{day.date()}/minutes")  # noqa: S311 - a sample, not a secret
        away_until_s = 0.0
        found: list[LaneMinute] = []
        for hour, share in self._hours(day):
            start = int(day.replace(hour=hour, minute=0, second=0, microsecond=0).astimezone(UTC).timestamp())
            for minute_s in range(start, start + 3600, 60):
                if minute_s + 60 > until_s:
                    return found
                if rng.random() < lane.shaky:
                    away_until_s = minute_s + rng.uniform(40, 900)
                away_s = min(max(away_until_s - minute_s, 0.0), 60.0)
                found.append(self._minute(rng, lane, minute_s, 60.0 - away_s, share, model, 0.0 < away_s < 60.0))
        return found

    def site_minutes(self, site: str, day: datetime, until_s: float) -> list[SiteMinute]:
        """Return the site's minutes: a publisher that lags at noon, and a disk that fills."""
        rng = random.Random(f"{self._seed}/{day.date()}/site")  # noqa: S311 - a sample, not a secret
        found: list[SiteMinute] = []
        depth = 0.0
        for hour, share in self._hours(day):
            start = int(day.replace(hour=hour, minute=0, second=0, microsecond=0).astimezone(UTC).timestamp())
            for minute_s in range(start, start + 3600, 60):
                if minute_s + 60 > until_s:
                    return found
                cut = day.weekday() == 2 and hour == 12
                depth = depth + 7 * share if cut else max(0.0, depth * 0.7 - 1 + rng.random() * 2)
                free = 212e9 - (minute_s - 1_790_000_000) / 86400 * 0.35e9
                found.append(SiteMinute(site, minute_s, 0, int(depth), int(free)))
        return found

    def _hours(self, day: datetime) -> list[tuple[int, float]]:
        if day.weekday() == 6:
            return []
        saturday = 0.35 if day.weekday() == 5 else 1.0
        return [(hour, share * saturday) for hour, share in _RUSH.items() if saturday == 1.0 or 9 <= hour <= 13]

    def _minute(
        self, rng: random.Random, lane: Lane, minute_s: int, up_s: float, share: float, model: str, back: bool
    ) -> LaneMinute:
        seen = round(lane.fps * up_s)
        late = round(seen * max(0.0, rng.gauss(0.006 * share, 0.002)))
        frames = seen - late
        faster = 0.85 if model == MODELS[1] else 1.0
        middle_ms = lane.latency_ms * faster * (1 + 0.25 * share) * rng.uniform(0.93, 1.07)
        latency = _log_normal_counts(frames, middle_ms, 0.32)
        drops = {"late": late} | ({"rate": round(5 * up_s)} if lane.fps < 20 else {})
        return LaneMinute(
            lane_id=lane.lane_id,
            minute_s=minute_s,
            run_ms=0,
            watched_s=60.0,
            up_s=round(up_s, 1),
            frames=frames,
            latency_sum_s=frames * middle_ms / 1000,
            reconnects=int(back),
            asks=0,
            bills=0,
            spool_depth=0,
            drops={reason: count for reason, count in drops.items() if count},
            latency=latency,
        )

    def _bill(
        self,
        rng: random.Random,
        lane: Lane,
        at_s: float,
        stream_from_s: float,
        model: str,
        events: list[Event],
        bills: list[Bill],
    ) -> None:
        """Serve one guest: put dishes down, ask about some, close, and let the cashier look at some bills."""
        bill_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._seed}/{lane.lane_id}/{at_s:.6f}"))
        journal = _Journal(lane.lane_id, bill_id, model)

        def moment(later_s: float) -> Moment:
            return Moment(round(at_s - stream_from_s + later_s, 3), round(at_s + later_s, 3))

        # The new detector mistakes half as much and asks half as often.
        trouble = 0.5 if model == MODELS[1] else 1.0
        count = rng.choices((0, 1, 2, 3, 4, 5), weights=(1, 18, 34, 28, 13, 6))[0]
        journal.note(DecisionKind.BILL_OPEN, moment(0), "first item in the zone")
        lines: list[LineItem] = []
        truths: list[Dish] = []
        for line_no in range(1, count + 1):
            truth = self._menu[rng.choices(self._names, weights=self._weights)[0]]
            lines.append(self._line(rng, journal, line_no, truth, moment, trouble))
            truths.append(truth)
        takes_s = 4.0 + 2.2 * count + rng.expovariate(0.3)
        closed = moment(takes_s)
        total = round(sum(line.unit_price for line in lines), 2)
        journal.note(DecisionKind.BILL_CLOSE, closed, "the zone is clear", detail={"lines": len(lines), "total": total})
        opened = moment(0)
        bill = Bill(
            bill_id,
            lane.lane_id,
            opened.stream_s,
            closed.stream_s,
            opened.utc_s,
            closed.utc_s,
            len(journal.events),
            tuple(lines),
            "the zone is clear",
        )
        bills.append(self._looked_at(rng, journal, bill, truths, moment(takes_s + 15)))
        events += journal.events

    def _line(
        self,
        rng: random.Random,
        journal: _Journal,
        line_no: int,
        truth: Dish,
        moment: object,
        trouble: float,
    ) -> LineItem:
        """Decide one object: at once, after a question, or wrongly."""
        assert callable(moment)  # noqa: S101 - for the type checker
        at, track_id = moment(1.5 * line_no), 10 * line_no
        alike = self._menu[_ALIKE[truth.name]] if truth.name in _ALIKE else None
        unsure = rng.random() < (0.045 if alike else 0.012) * trouble
        if unsure:
            guess = alike if alike and rng.random() < 0.4 else truth
            sure = rng.uniform(0.3, 0.6)
            detail: dict[str, float | int | str | bool | None] = {"guess_1": guess.name, "guess_1_p": round(sure, 4)}
            journal.note(
                DecisionKind.ASK,
                at,
                "not known after 2 s: what is it?",
                track_id=track_id,
                dish=guess,
                confidence=sure,
                detail=detail,
            )
            answered = moment(1.5 * line_no + rng.uniform(1.0, 6.0))
            if rng.random() < 0.9:
                journal.note(DecisionKind.ANSWER, answered, f"answered: {truth.title}", track_id=track_id, dish=truth)
                dish, confidence, reason, at = truth, 1.0, "answered", answered
            else:
                dish, confidence, reason = guess, sure, "nobody answered"
        else:
            wrong = alike is not None and rng.random() < 0.035 * trouble
            dish = alike if wrong and alike else truth
            confidence = min(0.999, rng.betavariate(9, 2.2) * 0.4 + 0.6 if wrong else rng.betavariate(30, 1.3))
            reason = f"posterior {confidence:.2f} for {dish.title}"
        journal.note(
            DecisionKind.LINE_ADD,
            at,
            reason,
            track_id=track_id,
            dish=dish,
            confidence=confidence,
            detail={"line_no": line_no},
        )
        box = (60.0 * line_no, 80.0, 60.0 * line_no + 50, 130.0)
        return LineItem(line_no, track_id, dish.name, 1, dish.price, at.stream_s, round(confidence, 6), box)

    def _looked_at(self, rng: random.Random, journal: _Journal, bill: Bill, truths: Sequence[Dish], at: Moment) -> Bill:
        """Let the cashier look at two bills of three, and correct what is wrong on them."""
        if rng.random() > 0.67:
            return bill
        lines = list(bill.lines)
        for i, (line, truth) in enumerate(zip(bill.lines, truths, strict=True)):
            if line.dish != truth.name:
                journal.note(
                    DecisionKind.CORRECTION,
                    at,
                    f"corrected: {truth.title}",
                    track_id=line.track_id,
                    dish=truth,
                    detail={"dish_before": line.dish, "line_no": line.line_no, "by": rng.choice(("Ada", "Boris"))},
                )
                lines[i] = replace(line, dish=truth.name, unit_price=truth.price)
        return replace(bill, revision=len(journal.events), lines=tuple(lines))


def _log_normal_counts(frames: int, middle: float, sigma: float) -> dict[int, int]:
    """Spread frames over the buckets as a log-normal would; counts sum to `frames`."""

    def below(to_ms: int) -> float:
        return 1.0 if to_ms == OPEN_MS else 0.5 * (1 + math.erf(math.log(to_ms / middle) / (sigma * math.sqrt(2))))

    counts, before = {}, 0
    for to_ms in _TO_MS:
        upto = frames if to_ms == OPEN_MS else round(frames * below(to_ms))
        if upto > before:
            counts[to_ms] = upto - before
        before = max(before, upto)
    return counts


def fill(
    store: SqlStore, menu: Menu, days: int, now_s: float, seed: int = 1, timezone: str = "UTC", pace: float = 1.0
) -> int:
    """Store `days` local days that end at `now_s`; return how many bills there are.

    Raises:
        ConfigError: the store holds bills already.
        StoreError: the store cannot be written.
    """
    if store.bills(limit=1):
        raise ConfigError(
            f"{store.shown_url}: holds bills already, and a sample must not mix with them; give a new one"
        )
    figures = Figures(store, SystemClock())
    figures.describe(
        SiteEntry("canteen-1", menu.currency, timezone),
        [LaneEntry(lane.lane_id, f"rtsp://camera-{lane.lane_id}/h264", True) for lane in LANES],
        [DishEntry(dish.name, dish.title, dish.category, dish.price, dish.plu) for dish in menu.dishes.values()],
    )
    canteen = Canteen(menu, seed, timezone, pace)
    today = datetime.fromtimestamp(now_s, ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    bills = 0
    for ago in range(days - 1, -1, -1):
        day, model = today - timedelta(days=ago), MODELS[ago < days / 2]
        minutes: list[LaneMinute] = []
        for lane in LANES:
            events, closed = canteen.day(lane, day, now_s, model)
            store.append(events, closed)
            minutes += canteen.minutes(lane, day, now_s, model)
            bills += len(closed)
        figures.add(minutes, canteen.site_minutes("canteen-1", day, now_s))
    return bills


def main(argv: Sequence[str] | None = None) -> int:
    """Fill a store from the command line."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.sample", description="Fill a store with a sample.")
    parser.add_argument("--store", required=True, metavar="URL", help="an empty store, e.g. sqlite:///var/sample.db")
    parser.add_argument("--days", type=int, default=14, help="how many days, today included (default 14)")
    parser.add_argument("--timezone", default="UTC", help="of the canteen, e.g. Europe/Berlin")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=1.0, help="share of a busy canteen's guests; 0.2 is quick")
    args = parser.parse_args(argv)
    try:
        store = open_store(args.store)
        try:
            started_s = time.monotonic()
            bills = fill(store, load_menu(MENU), args.days, time.time(), args.seed, args.timezone, args.pace)
        finally:
            store.close()
    except TraylaneError as err:
        print(f"sample: {err}", file=sys.stderr)
        return err.exit_code
    print(f"sample: {bills} bills of {args.days} days in {time.monotonic() - started_s:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
