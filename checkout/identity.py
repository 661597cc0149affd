"""Which objects are one and the same: second boxes, new tracks on old objects, objects that were billed before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from checkout.basket import Entry
from checkout.presence import Item, centre, distance_in_boxes
from checkout.settings import CheckoutSettings
from core.records import Bill, Box

# Two boxes that overlap more than this are one object, whatever the detector calls them.
SAME_BOX_IOU = 0.7
# Two boxes of one dish that overlap more than this are one object: equal dishes seldom lie so deep in one another, and
# detectors like to see long things twice.
SAME_DISH_IOU = 0.4
# What was a second box is an item of its own only after it has lain apart for this long.
APART_S = 1.0

Items = Mapping[int, Item]
Scale = Callable[[Box], Box]


def overlap_and_nesting(a: Box, b: Box) -> tuple[float, float]:
    """Return intersection over union, and the share of the smaller box that lies in the other.

    >>> overlap_and_nesting((0.0, 0.0, 2.0, 2.0), (0.0, 0.0, 1.0, 2.0))
    (0.5, 1.0)
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0, 0.0
    shared = width * height
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area_a + area_b - shared), shared / min(area_a, area_b)


def distinct(here: Iterable[Item], line_tracks: frozenset[int], nested_share: float, now_s: float) -> list[Item]:
    """Return the items without second boxes on one object, by track id; lines and older tracks win.

    Args:
        here: items in the zone.
        line_tracks: ids of those that are lines; they are always kept.
        nested_share: a box that lies this much inside another one of its dish is no second item.
        now_s: stream seconds.
    """
    kept: list[Item] = []
    for item in sorted(here, key=lambda one: (one.track.track_id not in line_tracks, one.track.track_id)):
        if item.track.track_id not in line_tracks:
            if any(other.is_seen(now_s) and _is_twin(item, other, nested_share) for other in kept):
                item.twin_s = now_s
            if item.twin_s is not None and now_s - item.twin_s < APART_S:
                continue
        kept.append(item)
    return sorted(kept, key=lambda one: one.track.track_id)


def _is_twin(item: Item, other: Item, nested_share: float) -> bool:
    overlap, nesting = overlap_and_nesting(item.track.box, other.track.box)
    same_dish = item.track.label == other.track.label
    return overlap > SAME_BOX_IOU or (same_dish and (nesting > nested_share or overlap > SAME_DISH_IOU))


def distance_from(entry: Entry, own: Item | None, box: Box) -> float:
    """Return how far a box is from where a line's object lay or was last seen, in box sides."""
    places = [entry.line.box] if own is None else [entry.line.box, own.track.box]
    return min(distance_in_boxes(place, box) for place in places)


def absent_line_near(
    item: Item, entries: Iterable[Entry], items: Items, now_s: float, settings: CheckoutSettings
) -> Entry | None:
    """Return the nearest line of the item's dish whose own object is not seen now; None beyond `near_boxes`."""
    if item.track.confidence < settings.ask_confidence:
        return None
    entries = list(entries)
    tray_left = _has_left_as_a_whole(entries, items)
    best: tuple[float, Entry] | None = None
    for entry in entries:
        own = items.get(entry.line.track_id)
        if entry.line.dish != item.track.label or (own is not None and own.is_seen(now_s)):
            continue
        if tray_left and is_on_the_other_side(item, entry, own):
            continue
        distance = distance_from(entry, own, item.track.box)
        if distance <= settings.near_boxes and (best is None or distance < best[0]):
            best = distance, entry
    return None if best is None else best[1]


def moved_line(
    item: Item, entries: Iterable[Entry], items: Items, now_s: float, settings: CheckoutSettings
) -> Entry | None:
    """Return the line whose object an item is that turned up in the midst of the zone; None if there is none.

    Nobody saw the item come in, and a line's object of the same dish was out of sight when it turned up: a hand has
    carried that one there. Should this be wrong, the line's own object is seen again and becomes a line of its own.
    Of several, the one that was seen last.
    """
    if not item.born_inside or item.track.confidence < settings.ask_confidence:
        return None
    best: tuple[float, Entry] | None = None
    for entry in entries:
        own = items.get(entry.line.track_id)
        if own is None or not entry.on_bill or entry.line.dish != item.track.label:
            continue
        away_s = item.born_s - own.sighted_s
        if own.is_in_sight(now_s) or not 0.0 < away_s <= settings.return_s:
            continue
        if best is None or away_s < best[0]:
            best = away_s, entry
    return None if best is None else best[1]


def _has_left_as_a_whole(entries: Iterable[Entry], items: Items) -> bool:
    """Return whether several dishes are on the bill and none of them is here: more than a hand carries off and back."""
    lines = [items.get(entry.line.track_id) for entry in entries if entry.on_bill]
    return len(lines) > 1 and not any(own is not None and own.here for own in lines)


def is_on_the_other_side(item: Item, entry: Entry, own: Item | None) -> bool:
    """Return whether an item came in from elsewhere than where a line's object went: from the next tray's side.

    An object that went out of the zone with its tray does not walk around the camera to come back.
    """
    if own is None or own.here or item.born_inside:
        return False
    return way_along(item, entry, own) < 0


def way_along(item: Item, entry: Entry, own: Item) -> float:
    """Return the product of two ways from where a line's object lay: to where it went, and to where an item came in.

    Positive: the item came in on the side where the object went out.
    """
    (x0, y0), (x1, y1), (x2, y2) = centre(entry.line.box), centre(own.track.box), centre(item.first_box)
    return (x1 - x0) * (x2 - x0) + (y1 - y0) * (y2 - y0)


@dataclass(frozen=True, slots=True)
class _Billed:
    track_id: int
    dish: str
    box: Box
    seen_s: float


class BilledObjects:
    """Objects that still lay there when their bill closed; they stay off the next one until they have left."""

    def __init__(self, settings: CheckoutSettings) -> None:
        self._settings = settings
        self._objects: list[_Billed] = []

    def __bool__(self) -> bool:
        return bool(self._objects)

    def __contains__(self, track_id: object) -> bool:
        return any(one.track_id == track_id for one in self._objects)

    def take(self, bill: Bill, items: Items) -> None:
        """Remember what of a closed bill is still here."""
        for line in bill.lines:
            item = items.get(line.track_id)
            if item is not None and item.here:
                self._objects.append(_Billed(line.track_id, line.dish, item.track.box, item.seen_s))

    def rescale(self, scale: Scale) -> None:
        """Move the objects' places to another frame size."""
        self._objects = [replace(one, box=scale(one.box)) for one in self._objects]

    def follow(self, items: Items, lines: frozenset[int], now_s: float, dismiss: Callable[[int], None]) -> None:
        """Follow the objects, also under new tracks, and forget those that have left for good.

        Args:
            items: by track id.
            lines: track ids of the open bill's lines.
            now_s: stream seconds.
            dismiss: called with a track that another one has replaced.
        """
        followed: list[_Billed] = []
        for one in self._objects:
            item = items.get(one.track_id)
            if item is not None and item.here:
                one = replace(one, box=item.track.box, seen_s=item.seen_s)
            if item is None or not item.is_seen(now_s):
                successor = self._successor(one, items, lines, now_s)
                if successor is not None:
                    dismiss(one.track_id)
                    one = replace(one, track_id=successor.track.track_id, seen_s=now_s)
            if now_s - one.seen_s <= self._settings.return_s:
                followed.append(one)
        self._objects = followed

    def _successor(self, one: _Billed, items: Items, lines: frozenset[int], now_s: float) -> Item | None:
        for item in items.values():
            track = item.track
            is_free = item.is_seen(now_s) and track.track_id not in self and track.track_id not in lines
            near = distance_in_boxes(one.box, track.box) <= self._settings.near_boxes
            if is_free and near and track.label == one.dish:
                return item
        return None
