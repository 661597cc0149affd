"""Who is in the tray zone: entering and leaving with hysteresis in seconds, and who lies still.

Evidence that an item is here is a detection of it inside the zone, or the tracker's word that something covers the
place where it must be (`OCCLUDED`). An item has *entered* when the tracker counts it and the evidence has lasted
`enter_s`, from its first sighting on; what the tracker counts at first sight (it lay there when the lane began to
look) is here at once. It has *left* when there has been no evidence for `leave_s`, and `left_s` is then the moment of
the last. Both are durations, so that a slow camera changes no rule.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from checkout.zones import Point, Zone
from core.records import Box, Track, Tracks, TrackState

FrameSize = tuple[int, int]


def centre(box: Box) -> tuple[float, float]:
    """Return the middle of a box, pixels."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def side(box: Box) -> float:
    """Return the side of the square of the same area, pixels; at least 1."""
    return max(math.sqrt(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)), 1.0)


def distance_in_boxes(a: Box, b: Box) -> float:
    """Return how far two boxes' middles are apart, in sides of the larger."""
    (ax, ay), (bx, by) = centre(a), centre(b)
    return math.hypot(ax - bx, ay - by) / max(side(a), side(b))


def _is_near_edge(box: Box, size: FrameSize) -> bool:
    """Return whether less than half a box's side is between it and the edge of the frame."""
    near = side(box) / 2
    return box[0] < near or box[1] < near or box[2] > size[0] - near or box[3] > size[1] - near


@dataclass(slots=True)
class Item:
    """One track as the zone sees it. Changes with each frame.

    Attributes:
        track: as of the latest frame in which the tracker reported it.
        here: entered and not left.
        entered_s: stream seconds when the evidence that made it `here` began.
        seen_s: stream seconds of the latest evidence inside.
        left_s: the same, once it has left; None before.
        by_exit: whether it was last seen in an exit zone.
        first_box: where it was when it was first seen inside, this time.
        born_s: stream seconds when its track was first seen anywhere.
        born_inside: whether that was within the zone and off the frame's edge: nobody saw it come in.
        sighted_s: stream seconds of the latest detection of it.
        over_place_s: stream seconds when something last lay over the place where it was lost.
        twin_s: stream seconds when its box was last a second one on another item's object.
    """

    track: Track
    first_box: Box
    born_s: float = 0.0
    born_inside: bool = False
    sighted_s: float = 0.0
    over_place_s: float | None = None
    twin_s: float | None = None
    since_s: float | None = None
    here: bool = False
    entered_s: float = 0.0
    seen_s: float = 0.0
    left_s: float | None = None
    by_exit: bool = False
    trail: deque[tuple[float, float, float]] = field(default_factory=deque)

    def is_seen(self, now_s: float) -> bool:
        """Return whether there is evidence of it in this very frame."""
        return self.here and self.seen_s == now_s

    def is_in_sight(self, now_s: float) -> bool:
        """Return whether it is here and was detected in this very frame."""
        return self.here and bool(self.trail) and self.trail[-1][0] == now_s

    def moved_boxes(self, now_s: float, window_s: float) -> float | None:
        """Return how far it moved within the last `window_s`, in box sides; None when it was seen too little."""
        if len(self.trail) < 2:
            return None
        (t0, x0, y0), (t1, x1, y1) = self.trail[0], self.trail[-1]
        if now_s - t1 > window_s or t1 - t0 < window_s / 2:
            return None
        return math.hypot(x1 - x0, y1 - y0) / side(self.track.box)

    def vanished(self, still_boxes: float) -> bool:
        """Return whether it was last seen lying still, in plain sight and inside: nobody carried it off."""
        if len(self.trail) < 2 or self.trail[-1][0] != self.seen_s:
            return False
        (_, x0, y0), (_, x1, y1) = self.trail[0], self.trail[-1]
        return math.hypot(x1 - x0, y1 - y0) <= still_boxes * side(self.track.box)


def _is_in(zones: Sequence[Zone], point_px: Point, size: FrameSize) -> bool:
    """Return whether a point lies in any of the zones."""
    for zone in zones:  # noqa: SIM110 - a generator for one or two zones costs more than they do
        if zone.contains(point_px, *size):
            return True
    return False


class Presence:
    """Follows the tracks in and out of the tray zone.

    Args:
        zones: of the lane; those with role "tray" count, those with role "exit" are remembered.
        enter_s: how long evidence lasts before an item is here.
        leave_s: how long evidence is missing before it has left.
        window_s: over which movement is measured.
        remember_s: how long an item that left is still told of after its track has ended.
    """

    def __init__(
        self, zones: Sequence[Zone], enter_s: float, leave_s: float, window_s: float, remember_s: float
    ) -> None:
        self._tray = tuple(zone for zone in zones if zone.role == "tray")
        self._exit = tuple(zone for zone in zones if zone.role == "exit")
        if not self._tray:
            raise ValueError("a lane needs a zone with role tray")
        self._enter_s, self._leave_s, self._window_s = enter_s, leave_s, window_s
        self._remember_s = remember_s
        self._items: dict[int, Item] = {}
        self._born: dict[int, tuple[float, bool]] = {}

    def update(self, tracks: Tracks, now_s: float, size: FrameSize) -> tuple[Item, ...]:
        """Take one frame's tracks; return the items that are here or have been, by track id."""
        known = [track for track in tracks.tracks if track.state is not TrackState.REMOVED]
        alive = {track.track_id for track in known}
        self._born = {key: born for key, born in self._born.items() if key in alive}
        for track in known:
            self._observe(track, size, now_s)
        for track_id, item in list(self._items.items()):
            gone = track_id not in alive
            if gone and not item.here:
                item.since_s = None
            self._settle(item, now_s)
            if gone and not item.here and (item.left_s is None or now_s - item.left_s > self._remember_s):
                del self._items[track_id]
        return tuple(self._items[key] for key in sorted(self._items))

    def shift(self, seconds: float) -> None:
        """Move all moments forward by `seconds` of a gap, in which nothing was seen and nothing is concluded."""
        for item in self._items.values():
            item.seen_s += seconds
            item.sighted_s += seconds
            item.over_place_s = None if item.over_place_s is None else item.over_place_s + seconds
            item.twin_s = None if item.twin_s is None else item.twin_s + seconds
            item.born_s += seconds
            item.entered_s += seconds
            item.since_s = None if item.since_s is None else item.since_s + seconds
            item.left_s = None if item.left_s is None else item.left_s + seconds
            item.trail.clear()
        self._born = {key: (born_s + seconds, inside) for key, (born_s, inside) in self._born.items()}

    def dismiss(self, track_id: int) -> None:
        """Let an item leave at once: its object goes on under another track."""
        item = self._items.get(track_id)
        if item is not None:
            item.here, item.left_s, item.since_s = False, item.seen_s, None

    def forget(self) -> None:
        """Forget every track: the tracker begins anew."""
        self._items.clear()
        self._born.clear()

    def _observe(self, track: Track, size: FrameSize, now_s: float) -> None:
        middle = centre(track.box)
        is_inside = _is_in(self._tray, middle, size)
        if track.track_id not in self._born:
            self._born[track.track_id] = (now_s, is_inside and not _is_near_edge(track.box, size))
        item = self._items.get(track.track_id)
        if item is None:
            if not is_inside:
                return
            born_s, born_inside = self._born[track.track_id]
            item = self._items[track.track_id] = Item(track, track.box, born_s, born_inside)
        item.track = track
        evident = track.matched or track.state is TrackState.OCCLUDED
        if evident:
            item.by_exit = _is_in(self._exit, middle, size)
        if track.matched:
            item.sighted_s = now_s
            item.trail.append((now_s, *middle))
            while len(item.trail) > 2 and item.trail[1][0] <= now_s - self._window_s:
                item.trail.popleft()
        if track.state is TrackState.LOST and track.visibility < 1.0:
            item.over_place_s = now_s
        if evident and is_inside:
            item.seen_s = now_s
            item.left_s = None
            if item.since_s is None:
                item.since_s, item.first_box = now_s, track.box
        elif not item.here:
            item.since_s = None

    def _settle(self, item: Item, now_s: float) -> None:
        counts = item.track.state is not TrackState.TENTATIVE
        lay_there = item.track.first_seen_s == item.track.last_seen_s
        if (
            counts
            and not item.here
            and item.since_s is not None
            and (lay_there or now_s - item.since_s >= self._enter_s)
        ):
            item.here, item.entered_s = True, item.since_s
        elif item.here and now_s - item.seen_s >= self._leave_s:
            item.here, item.left_s, item.since_s = False, item.seen_s, None
