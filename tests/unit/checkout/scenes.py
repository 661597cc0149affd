"""Scenes for the policy: objects that move as told, given to it as an ideal tracker would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from checkout.zones import Zone, parse_polygon
from core.records import Bill, Decision, DecisionKind, Track, Tracks, TrackState
from tests.fakes import START_UTC, menu

SIZE = (640, 360)
TRAY = Zone("tray", "tray", parse_polygon("0.25,0,0.75,0,0.75,1,0.25,1"))  # x from 160 to 480
EXIT = Zone("out", "exit", parse_polygon("0.8,0,1,0,1,1,0.8,1"))
MENU = menu("soup", "bread", "apple", ignored=["phone", "keys"])
FPS = 20.0


@dataclass
class Thing:
    """One object.

    Attributes:
        path: (seconds, x, y) of its middle, in order; it exists from the first to the last, straight in between.
        sure: posterior of `label`; a callable of the seconds gives (label, probability).
        covered: (from, to) seconds during which it is not seen and something covers it.
        missed: the same, but nothing covers it.
        reached: (from, to) seconds during which a hand lies over the place where it was lost.
        reborn: seconds at which the tracker begins a new track for it.
    """

    label: str
    path: Sequence[tuple[float, float, float]]
    sure: float = 0.99
    side: float = 60.0
    covered: Sequence[tuple[float, float]] = ()
    missed: Sequence[tuple[float, float]] = ()
    reached: Sequence[tuple[float, float]] = ()
    reborn: Sequence[float] = ()
    becomes: Sequence[tuple[float, str, float]] = ()

    def at(self, t_s: float) -> tuple[float, float] | None:
        if not self.path[0][0] <= t_s <= self.path[-1][0]:
            return None
        for (t0, x0, y0), (t1, x1, y1) in zip(self.path, self.path[1:], strict=False):
            if t0 <= t_s <= t1:
                share = 0.0 if t1 == t0 else (t_s - t0) / (t1 - t0)
                return x0 + share * (x1 - x0), y0 + share * (y1 - y0)
        return self.path[-1][1:]

    def posterior(self, t_s: float) -> tuple[tuple[str, float], ...]:
        label, sure = self.label, self.sure
        for since_s, other, probability in self.becomes:
            if t_s >= since_s:
                label, sure = other, probability
        return ((label, sure),)


def stays(label: str, x: float, y: float, from_s: float, to_s: float, **more: object) -> Thing:
    """Return a thing that appears, lies still, and vanishes."""
    return Thing(label, [(from_s, x, y), (to_s, x, y)], **more)  # type: ignore[arg-type]


def rides(label: str, dx: float, y: float, in_s: float, stop_s: float, go_s: float, **more: object) -> Thing:
    """Return a thing on a tray that slides in from the left, stands in the middle and slides out to the right."""
    speed = 240.0
    start, end = -60.0 + dx, 700.0 + dx
    middle = 320.0 + dx
    path = [(stop_s - (middle - start) / speed, start, y), (stop_s, middle, y), (go_s, middle, y)]
    path.append((go_s + (end - middle) / speed, end, y))
    assert in_s <= stop_s
    return Thing(label, path, **more)  # type: ignore[arg-type]


class Scene:
    """Plays things to a policy and keeps what it decided."""

    def __init__(self, settings: CheckoutSettings | None = None, zones: Sequence[Zone] = (TRAY,)) -> None:
        self.policy = Policy("lane1", "key", settings or CheckoutSettings(), zones, MENU)
        self.decisions: list[Decision] = []
        self.closed: list[Bill] = []
        self.counts: list[tuple[float, int]] = []
        self._next_id = 1
        self._kept: list[Thing] = []  # an object that is freed would give its id() to another one
        self._tracks: dict[tuple[int, int], int] = {}
        self._last_seen: dict[int, float] = {}

    def play(self, things: Sequence[Thing], until_s: float, from_s: float = 0.0, fps: float = FPS) -> Scene:
        self._kept += things
        for k in range(round(from_s * fps), round(until_s * fps)):
            t_s = k / fps
            self.decisions += self.policy.decide(self._tracks_at(things, k, t_s), t_s, SIZE)
            self.closed += self.policy.take_closed()
            self.counts.append((t_s, self.policy.items_in_zone))
        return self

    def _tracks_at(self, things: Sequence[Thing], index: int, t_s: float) -> Tracks:
        tracks = []
        for thing in things:
            life = sum(t_s >= moment for moment in thing.reborn)
            key = (id(thing), life)
            place = thing.at(t_s)
            vanished = place is None
            if vanished and (key not in self._tracks or t_s < thing.path[0][0]):
                continue
            if key not in self._tracks:
                self._tracks[key] = self._next_id
                self._next_id += 1
            track_id = self._tracks[key]
            covered = any(a <= t_s < b for a, b in thing.covered)
            missed = any(a <= t_s < b for a, b in thing.missed) or (vanished and not covered)
            if not covered and not missed:
                self._last_seen[track_id] = t_s
            unseen_s = t_s - self._last_seen.get(track_id, t_s)
            if unseen_s > 3.0 and not covered:
                continue
            x, y = place if place is not None else thing.path[-1][1:]
            half = thing.side / 2
            state = TrackState.CONFIRMED
            if covered:
                state = TrackState.OCCLUDED
            elif missed and unseen_s > 0.2:
                state = TrackState.LOST
            bare = 0.0 if covered else 0.6 if any(a <= t_s < b for a, b in thing.reached) else 1.0
            tracks.append(
                Track(
                    track_id, (x - half, y - half, x + half, y + half), (0.0, 0.0), 0.9, state,
                    bare, thing.posterior(t_s), START_UTC, START_UTC + t_s - unseen_s,
                    not covered and not missed,
                )
            )  # fmt: skip
        return Tracks(index, START_UTC + t_s, tuple(sorted(tracks, key=lambda track: track.track_id)))

    def of_kind(self, kind: DecisionKind) -> list[Decision]:
        return [decision for decision in self.decisions if decision.kind is kind]

    def dishes(self) -> list[str]:
        """Return the dishes on the open bill, or on the last closed one."""
        bill = self.policy.bill or (self.closed[-1] if self.closed else None)
        return sorted(line.dish for line in bill.lines) if bill is not None else []

    def kinds(self) -> list[str]:
        return [str(decision.kind) for decision in self.decisions]
