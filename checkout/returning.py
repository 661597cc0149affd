"""A tray is away as a whole, and something comes into the zone: its own dish on the way back, or a stranger?"""

from __future__ import annotations

from collections.abc import Sequence

from checkout.basket import Entry
from checkout.identity import distance_from, overlap_and_nesting, way_along
from checkout.presence import Item
from checkout.settings import CheckoutSettings
from core.records import TrackState

# What comes to lie where a lone dish lay, and overlaps its box this much, was put back there.
SAME_PLACE_IOU = 0.5

#: Lines with the items of their objects; None where the item is forgotten.
Lines = Sequence[tuple[Entry, Item | None]]


def may_be_on_its_way_back(item: Item, lines: Lines, now_s: float, settings: CheckoutSettings) -> bool:
    """Return whether an item moves towards its old place, perhaps: where it comes to rest will tell.

    That is so while the tray is away as a whole, and the item is in motion and came into the zone on the side where a
    dish of the bill went out of it: the next tray comes from the other side. What a hand holds is easily taken for
    another dish, so its label does not count yet, nor does it at rest in the old place before it is sure.

    Args:
        item: has no line.
        lines: on the bill.
        now_s: stream seconds.
        settings: see there.
    """
    if now_s - item.entered_s > settings.settle_s or any(own is not None and own.here for _, own in lines):
        return False
    if not any(own is not None and way_along(item, entry, own) > 0 for entry, own in lines):
        return False
    moved = item.moved_boxes(now_s, settings.still_window_s)
    if moved is None or moved > settings.still_boxes:
        return True
    return _is_near(item, lines, settings) and item.track.confidence < settings.commit_confidence


def put_back(item: Item, lines: Lines, now_s: float, settings: CheckoutSettings) -> Entry | None:
    """Return the line of a lone dish that an item is, whatever it is called, if that was taken off and put back.

    It came into the zone on the side where the dish went out, soon after, and lies still in its very place. If it is
    another dish after all, somebody has swapped the two, and the line is revised.

    Args:
        item: has no line.
        lines: on the bill.
        now_s: stream seconds.
        settings: see there.
    """
    if len(lines) != 1:
        return None
    entry, own = lines[0]
    if own is None or own.left_s is None or not 0.0 < item.born_s - own.left_s <= settings.return_s:
        return None
    moved = item.moved_boxes(now_s, settings.still_window_s)
    if moved is None or moved > settings.still_boxes or way_along(item, entry, own) <= 0:
        return None
    overlap, _ = overlap_and_nesting(item.track.box, entry.line.box)
    return entry if overlap >= SAME_PLACE_IOU else None


def may_be_in_a_hand(own: Item | None, now_s: float, settings: CheckoutSettings) -> bool:
    """Return whether an object that is out of the zone was seen again and then hidden: a hand may bring it back.

    Args:
        own: the object of a line.
        now_s: stream seconds.
        settings: see there.
    """
    if own is None or own.left_s is None or own.track.state is not TrackState.OCCLUDED:
        return False
    return own.sighted_s > own.left_s and now_s - own.sighted_s <= settings.settle_s


def is_reached_for(own: Item | None, now_s: float, settings: CheckoutSettings) -> bool:
    """Return whether something lies over the place of an object that has left: a hand may be putting it back there.

    What the hand puts down is known only once it has drawn back. No hand is waited for longer than `settle_s` beyond
    `return_s`: it may as well rest there.

    Args:
        own: the object of a line.
        now_s: stream seconds.
        settings: see there.
    """
    if own is None or own.here:
        return False
    if own.left_s is None:  # seen inside again, but not for `enter_s` yet
        return own.since_s is not None
    if own.over_place_s is None or now_s - own.left_s > settings.return_s + settings.settle_s:
        return False
    return own.over_place_s > own.left_s and now_s - own.over_place_s <= settings.leave_s


def is_stranger(item: Item, lines: Lines, settings: CheckoutSettings) -> bool:
    """Return whether an item is surely none of the bill's objects: known as something else, or elsewhere.

    Args:
        item: has no line.
        lines: all that ever were on the bill.
        settings: see there.
    """
    return item.track.confidence >= settings.ask_confidence or not _is_near(item, lines, settings)


def _is_near(item: Item, lines: Lines, settings: CheckoutSettings) -> bool:
    return any(distance_from(entry, own, item.track.box) <= settings.near_boxes for entry, own in lines)
