"""Where everything of one tray is at a time: its way along the counter, and the hands that change what lies on it.

All motion follows minimum-jerk profiles, as reaching arms do (Flash and Hogan 1985). Lengths are cm from the
upper left corner of the frame, times are seconds since the start of the stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from streams.synthetic.catalogue import Kind, kind_named
from streams.synthetic.script import TRAY_CM, Act, Disc, Placed, TrayScript, discs, place

REACH_S = 0.75
_CARRY_S = 0.8
#: From the middle of a flat palm to where its fingers begin to touch.
_PALM_CM = 5.6
Spot = tuple[float, float]


def eased(share: float) -> float:
    """Return the minimum-jerk course 0..1 at `share` of the way's duration."""
    s = min(max(share, 0.0), 1.0)
    return s * s * s * (10 - 15 * s + 6 * s * s)


def _turned(spot: Spot, angle: float) -> Spot:
    c, s = math.cos(angle), math.sin(angle)
    return spot[0] * c - spot[1] * s, spot[0] * s + spot[1] * c


@dataclass(frozen=True)
class Stage:
    """The counter in cm: its size, the stop position of trays, and the tray zone."""

    width: float
    height: float
    zone: tuple[float, float, float, float]

    @property
    def stop(self) -> Spot:
        """The middle of a standing tray."""
        return (self.zone[0] + self.zone[2]) / 2, (self.zone[1] + self.zone[3]) / 2

    def in_zone(self, x: float, y: float) -> bool:
        """Return whether a point lies in the tray zone."""
        return self.zone[0] <= x <= self.zone[2] and self.zone[1] <= y <= self.zone[3]


@dataclass(frozen=True)
class Leg:
    """One slide of the tray."""

    start_s: float
    end_s: float
    from_x: float
    to_x: float

    def at(self, t: float) -> float:
        """Return the tray's x at a time."""
        return self.from_x + (self.to_x - self.from_x) * eased((t - self.start_s) / (self.end_s - self.start_s))

    def crossing(self, x: float) -> float:
        """Return when the tray passes `x`."""
        shares = np.linspace(0, 1, 400)
        ways = [self.from_x + (self.to_x - self.from_x) * eased(float(s)) for s in shares]
        return self.start_s + (self.end_s - self.start_s) * float(np.interp(x, ways, shares))


@dataclass
class Hand:
    """One arm that reaches in: `keys` are (time, x, y) of its finger tips; outside of them it is not there.

    Attributes:
        angle: turn of the sprite; 0 reaches up from the bottom edge.
        pose: "grip" or "flat".
        follow: (from_s, to_s, dx, dy): while it holds the tray it moves with it.
    """

    object_id: int
    angle: float
    pose: str
    keys: list[tuple[float, float, float]]
    follow: tuple[float, float, float, float] | None = None

    @property
    def axis(self) -> Spot:
        """The direction from the finger tips to the elbow."""
        return -math.sin(self.angle), math.cos(self.angle)

    def at(self, t: float, tray: Spot) -> Spot | None:
        """Return where the finger tips are, or None when the arm is out of the scene."""
        if self.follow is not None and self.follow[0] <= t <= self.follow[1]:
            return tray[0] + self.follow[2], tray[1] + self.follow[3]
        if not self.keys or t < self.keys[0][0] or t > self.keys[-1][0]:
            return None
        for (t0, x0, y0), (t1, x1, y1) in zip(self.keys, self.keys[1:], strict=False):
            if t <= t1:
                share = eased((t - t0) / (t1 - t0)) if t1 > t0 else 1.0
                return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
        return None


@dataclass
class Item:
    """A dish or thing and where it is bound: `phases` are (from_s, hand or None, offset); no phase yet: absent.

    With a hand the offset is relative to its finger tips, without one to the tray's middle; offset None is "away".
    """

    object_id: int
    kind: Kind
    angle: float
    phases: list[tuple[float, Hand | None, Spot | None]] = field(default_factory=list)

    def at(self, t: float, tray: Spot) -> tuple[Spot, bool] | None:
        """Return its middle and whether a hand carries it, or None while it is absent."""
        current: tuple[float, Hand | None, Spot | None] | None = None
        for phase in self.phases:
            if phase[0] <= t:
                current = phase
        if current is None:
            return None
        _, hand, offset = current
        base = tray if hand is None else hand.at(t, tray)
        if base is None or offset is None:
            return None
        return (base[0] + offset[0], base[1] + offset[1]), hand is not None

    @property
    def stays(self) -> bool:
        """Whether it lies on the tray when the tray leaves."""
        return bool(self.phases) and self.phases[-1][1] is None and self.phases[-1][2] is not None


class TrayRun:
    """The plan of one tray.

    Args:
        tray_id: counted from 1.
        script: what happens.
        stage: where.
        clear_s: when the zone is clear of the previous tray.
        rng: draws what the script leaves open.
    """

    def __init__(
        self, tray_id: int, script: TrayScript, stage: Stage, clear_s: float, rng: np.random.Generator
    ) -> None:
        self.tray_id, self.script, self.stage, self._rng = tray_id, script, stage, rng
        stop_x, self.y = stage.stop
        stop_x += float(rng.uniform(-1.2, 1.2))
        self.legs = self._way_in(stop_x, clear_s)
        self.stop_s = self.legs[-1].end_s
        leave_s = self.stop_s + script.dwell_s
        away = stage.width + TRAY_CM[0] * 0.75
        self.legs.append(Leg(leave_s, leave_s + script.slide_s[1], stop_x, away))
        self.clear_s = self.legs[-1].crossing(min(stage.zone[2] + TRAY_CM[0] / 2 + 1, away - 0.1))
        self.start_s, self.end_s = self.legs[0].start_s, self.legs[-1].end_s
        self.hands: list[Hand] = []
        self._home: list[Spot] = []
        self.items = self._lay_items()
        for number, act in enumerate(script.acts):
            self._perform(act, tray_id * 100 + 60 + number)
        if script.push:
            self.hands.append(self._pusher())

    def _way_in(self, stop_x: float, clear_s: float) -> list[Leg]:
        """Return the legs to the stop position, timed so that nothing is in the zone before the pause has passed."""
        outside, queue = -TRAY_CM[0] * 0.7, self.stage.zone[0] - TRAY_CM[0] / 2 - 3
        first = queue if self.script.queue else outside
        duration = self.script.slide_s[0] * ((stop_x - first) / (stop_x - outside)) ** 0.5
        trial = Leg(0.0, duration, first, stop_x)
        lead = trial.crossing(self.stage.zone[0] - TRAY_CM[0] / 2 - 1)
        start = max(clear_s + self.script.pause_s - lead, 2.2 if self.script.queue else 0.0)
        legs = [Leg(start, start + duration, first, stop_x)]
        if self.script.queue:
            arrive = start - float(self._rng.uniform(0.4, 1.0))
            legs.insert(0, Leg(arrive - 1.2, arrive, outside, queue))
        return legs

    def tray_at(self, t: float) -> Spot:
        """Return the tray's middle."""
        current = self.legs[0]
        for leg in self.legs:
            if leg.start_s <= t:
                current = leg
        return current.at(t), self.y

    def _lay_items(self) -> list[Item]:
        taken: list[list[Disc]] = []
        items: list[Item] = []
        tilt = self.script.tilt
        spots = [self._spot_of(placed, taken) for placed in self.script.items]
        for number, (placed, (x, y, angle)) in enumerate(zip(self.script.items, spots, strict=True)):
            offset = _turned((x, y), tilt)
            item = Item(self.tray_id * 100 + number, kind_named(placed.name), angle + tilt)
            acts = sorted((act for act in self.script.acts if act.item == number), key=lambda act: act.at_s)
            if not acts or acts[0].kind != "put":
                item.phases.append((-math.inf, None, offset))
            self._home.append(offset)
            items.append(item)
        return items

    def _spot_of(self, placed: Placed, taken: list[list[Disc]]) -> tuple[float, float, float]:
        kind = kind_named(placed.name)
        if placed.x_cm is not None and placed.y_cm is not None:
            spot = (placed.x_cm, placed.y_cm, placed.angle or 0.0)
        else:
            found = place(self._rng, kind, taken, 0.05) or place(self._rng, kind, taken, 0.3)
            if found is None:
                raise ValueError(f"tray {self.tray_id}: no room left for {placed.name!r}; give its x_cm and y_cm")
            spot = found
        taken.append(discs(kind, *spot))
        return spot

    def _perform(self, act: Act, object_id: int) -> None:
        """Add the hand of one act, and bind the item to it where the act carries it."""
        item = self.items[act.item]
        touch = self.stop_s + act.at_s
        angle = act.lean + (math.pi if act.side == "top" else 0.0)
        hand = Hand(object_id, angle, "flat" if act.kind == "cover" else "grip", [])
        ax, ay = hand.axis
        rest = (self.tray_at(touch)[0], self.y)
        home = self._home[act.item]
        grip = -_PALM_CM if act.kind == "cover" else self._reach_of(item, angle)
        spot = (rest[0] + home[0] + ax * grip, rest[1] + home[1] + ay * grip)
        far = self._distance_out(spot, hand) + grip + item.kind.radius_cm
        out = (spot[0] + ax * far, spot[1] + ay * far)
        hold_end = touch + act.hold_s
        hand.keys = [(touch - REACH_S, *out), (touch, *spot), (hold_end, *spot)]
        carried = (-ax * grip, -ay * grip)
        middle = touch + act.hold_s / 2
        if act.kind == "put":
            item.phases += [(touch - REACH_S, hand, carried), (middle, None, home)]
        elif act.kind == "take":
            item.phases += [(middle, hand, carried), (hold_end + REACH_S, None, None)]
        elif act.kind == "move":
            there = _turned(act.to, self.script.tilt)
            spot = (rest[0] + there[0] + ax * grip, rest[1] + there[1] + ay * grip)
            hand.keys += [(hold_end + _CARRY_S, *spot), (hold_end + _CARRY_S + act.hold_s, *spot)]
            item.phases += [(middle, hand, carried), (hold_end + _CARRY_S + act.hold_s / 2, None, there)]
            self._home[act.item] = there
            far = self._distance_out(spot, hand) + grip + item.kind.radius_cm
            out, hold_end = (spot[0] + ax * far, spot[1] + ay * far), hold_end + _CARRY_S + act.hold_s
        hand.keys.append((hold_end + REACH_S, *out))
        item.phases.sort(key=lambda phase: phase[0])
        self.hands.append(hand)

    def _reach_of(self, item: Item, angle: float) -> float:
        """Return how far from the item's middle a hand of that direction takes hold: just inside its edge."""
        relative = angle - item.angle
        across, along = item.kind.width_cm / 2 * math.sin(relative), item.kind.height_cm / 2 * math.cos(relative)
        return math.hypot(across, along) - 0.4

    def _distance_out(self, spot: Spot, hand: Hand) -> float:
        """Return how far a hand must draw back from `spot` until its finger tips are out of the frame."""
        ay = hand.axis[1]
        way = self.stage.height - spot[1] if ay > 0 else spot[1]
        return max(way, 0.0) / max(abs(ay), 0.3) + 9.0

    def _pusher(self) -> Hand:
        """Return the hand that pushes the tray in and then draws back."""
        rng = self._rng
        hand = Hand(self.tray_id * 100 + 59, float(rng.uniform(-0.25, 0.35)), "grip", [])
        dx, dy = float(rng.uniform(-14, 10)), TRAY_CM[1] / 2 - 1.5
        begin = self.legs[-2].start_s if self.script.queue else self.start_s
        hand.follow = (begin, self.stop_s + 0.1, dx, dy)
        x, y = self.tray_at(self.stop_s)[0] + dx, self.y + dy
        far = self._distance_out((x, y), hand)
        ax, ay = hand.axis
        out = (x + ax * far, y + ay * far)
        hand.keys = [(self.stop_s + 0.1, x, y), (self.stop_s + 0.1 + REACH_S, *out)]
        if self.script.queue:
            qx = self.tray_at(begin)[0] + dx
            hand.keys = [(begin - REACH_S, qx + ax * far, y + ay * far), (begin, qx, y), *hand.keys]
        return hand
