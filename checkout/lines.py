"""What becomes a line, what changes one, and what is asked about: judged from one item at a time, without a state."""

from __future__ import annotations

from dataclasses import dataclass

from checkout.basket import Basket, Moment
from checkout.menu import Dish, Menu
from checkout.presence import Item
from checkout.settings import CheckoutSettings
from core.records import Decision, DecisionKind, LineItem, Track


def why_commit(item: Item, now_s: float, settings: CheckoutSettings) -> str | None:
    """Return why an item becomes a line now, for a person; None while it does not."""
    sure = item.track.confidence
    if sure >= settings.commit_confidence:
        return f"posterior {sure:.2f} passed {settings.commit_confidence:g}"
    if sure >= settings.ask_confidence and now_s - item.entered_s >= settings.commit_after_s:
        return f"posterior stayed at {sure:.2f} for {settings.commit_after_s:g} s"
    return None


@dataclass(frozen=True, slots=True)
class SecondThought:
    """What a line turned out to be: another dish, or None for no goods; and why, for a person."""

    dish: Dish | None
    reason: str


def second_thought(track: Track, line: LineItem, menu: Menu, settings: CheckoutSettings) -> SecondThought | None:
    """Return what the object of a line is now thought to be, if it is surely something else than the line says.

    A line that was less than sure when it was written gives way to whatever is likelier.
    """
    sure = settings.commit_confidence
    if track.label == line.dish:
        return None
    if track.label in menu.ignored and track.confidence >= sure:
        return SecondThought(None, f"turned out to be {track.label}: no goods")
    if track.label in menu and (track.confidence >= sure or line.confidence < min(track.confidence, sure)):
        dish = menu[track.label]
        return SecondThought(dish, f"posterior {track.confidence:.2f} for {dish.title}")
    return None


def is_unknown(item: Item, now_s: float, menu: Menu, settings: CheckoutSettings) -> bool:
    """Return whether an item has stayed unknown long enough to ask about it."""
    track = item.track
    unknown = track.label not in menu or track.confidence < settings.ask_confidence
    return unknown and now_s - item.entered_s >= settings.ask_after_s


def question(basket: Basket, track: Track, menu: Menu, settings: CheckoutSettings, at: Moment) -> Decision:
    """Write the question what a track is, with the three likeliest dishes."""
    guesses = [(label, p) for label, p in track.posterior if label in menu][:3]
    best: Dish | None = menu[guesses[0][0]] if guesses else None
    detail: dict[str, float | int | str | bool | None] = {}
    for rank, (label, probability) in enumerate(guesses, start=1):
        detail |= {f"guess_{rank}": label, f"guess_{rank}_p": round(probability, 4)}
    confidence = guesses[0][1] if guesses else 0.0
    reason = f"not known after {settings.ask_after_s:g} s: what is it?"
    return basket.note(
        DecisionKind.ASK, at, reason, track_id=track.track_id, confidence=confidence, dish=best, detail=detail
    )
