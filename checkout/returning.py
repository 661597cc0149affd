"""A tray is away as a whole, and something comes into the zone: its own dish on the way back, or a stranger?"""

from __future__ import annotations

from collections.abc import Sequence

from checkout.basket import Entry
from checkout.identity import distance_from, way_along
from checkout.presence import Item
from checkout.settings import CheckoutSettings
from core.records import TrackState

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
