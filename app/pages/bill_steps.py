"""The journal of a bill as a timeline that people read: what happened, to which line, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask_babel import format_currency, format_percent  # type: ignore[import-untyped]

from app.languages import gettext
from core.records import Decision, DecisionKind
from store.store import StoredEvent


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the timeline.

    Attributes:
        mark: a sign beside the colour, so that it reads without.
        tone: class of `base.css`: good, warn, bad, brand or "".
        title: what happened.
        reason: why, as it was written down.
        by_person: whether a person did it.
    """

    revision: int
    at_s: float
    kind: str
    mark: str
    tone: str
    title: str
    reason: str
    by_person: bool


_MARKS: Mapping[DecisionKind, tuple[str, str]] = {
    DecisionKind.BILL_OPEN: ("○", "brand"),
    DecisionKind.LINE_ADD: ("+", "good"),
    DecisionKind.LINE_REVISE: ("↻", "warn"),
    DecisionKind.LINE_REMOVE: ("−", "bad"),
    DecisionKind.ASK: ("?", "warn"),
    DecisionKind.ANSWER: ("!", "brand"),
    DecisionKind.CORRECTION: ("✎", "brand"),
    DecisionKind.CONFIRM: ("✓", "good"),
    DecisionKind.BILL_CLOSE: ("●", "brand"),
    DecisionKind.GAP: ("…", "warn"),
}
_PEOPLE = {DecisionKind.ANSWER, DecisionKind.CORRECTION, DecisionKind.CONFIRM}


def steps_of(journal: Sequence[StoredEvent], titles: Mapping[str, str], currency: str) -> list[Step]:
    """Return the timeline of a bill.

    Args:
        journal: its events, in order.
        titles: of dishes, by name; those of today's menu.
        currency: of prices.
    """
    return [_step(stored.event.decision, titles, currency) for stored in journal]


def _step(decision: Decision, titles: Mapping[str, str], currency: str) -> Step:
    def title_of(dish: object) -> str:
        return titles.get(str(dish), str(dish))

    mark, tone = _MARKS.get(decision.kind, ("·", ""))
    tell = _SENTENCES.get(decision.kind)
    told = str(decision.kind) if tell is None else tell(decision, title_of, currency)
    return Step(
        decision.revision, decision.decided_at_s, str(decision.kind), mark, tone, told, decision.reason,
        decision.kind in _PEOPLE,
    )  # fmt: skip


TitleOf = Callable[[object], str]


def _opened(decision: Decision, title_of: TitleOf, currency: str) -> str:
    return gettext("The bill was opened")


def _added(decision: Decision, title_of: TitleOf, currency: str) -> str:
    price = "–" if decision.price is None else str(format_currency(decision.price, currency))
    return gettext(
        "Line %(n)s: %(dish)s for %(price)s, %(share)s sure",
        n=decision.detail.get("line_no", "?"),
        dish=title_of(decision.dish),
        price=price,
        share=format_percent(decision.confidence),
    )


def _revised(decision: Decision, title_of: TitleOf, currency: str) -> str:
    number, before = decision.detail.get("line_no", "?"), decision.detail.get("dish_before")
    if before in (None, decision.dish):
        return gettext("Line %(n)s: still %(dish)s", n=number, dish=title_of(decision.dish))
    return gettext(
        "Line %(n)s: %(before)s became %(dish)s", n=number, before=title_of(before), dish=title_of(decision.dish)
    )


def _removed(decision: Decision, title_of: TitleOf, currency: str) -> str:
    number = decision.detail.get("line_no", "?")
    return gettext("Line %(n)s: %(dish)s was taken off", n=number, dish=title_of(decision.dish))


def _asked(decision: Decision, title_of: TitleOf, currency: str) -> str:
    guesses = [
        f"{title_of(decision.detail[f'guess_{rank}'])} {format_percent(float(decision.detail[f'guess_{rank}_p'] or 0))}"
        for rank in (1, 2, 3)
        if f"guess_{rank}" in decision.detail
    ]
    if not guesses:
        return gettext("Asked what an object is")
    return gettext("Asked what an object is: %(guesses)s?", guesses=", ".join(guesses))


def _answered(decision: Decision, title_of: TitleOf, currency: str) -> str:
    if not decision.dish:
        return gettext("Answered: not a dish")
    return gettext("Answered: %(dish)s", dish=title_of(decision.dish))


def _corrected(decision: Decision, title_of: TitleOf, currency: str) -> str:
    detail = decision.detail
    who, number = detail.get("by", "?"), detail.get("line_no", "?")
    if detail.get("action") == "add":
        return gettext("%(who)s added %(dish)s", who=who, dish=title_of(decision.dish))
    before = title_of(detail.get("dish_before"))
    if detail.get("action") == "remove":
        return gettext("%(who)s took line %(n)s, %(dish)s, off", who=who, n=number, dish=before)
    return gettext(
        "%(who)s corrected line %(n)s: %(before)s is %(dish)s",
        who=who,
        n=number,
        before=before,
        dish=title_of(decision.dish),
    )


def _confirmed(decision: Decision, title_of: TitleOf, currency: str) -> str:
    return gettext("%(who)s found the bill right", who=decision.detail.get("by", "?"))


def _closed(decision: Decision, title_of: TitleOf, currency: str) -> str:
    total = decision.detail.get("total")
    if total is None:
        return gettext("The bill was closed")
    return gettext("The bill was closed at %(total)s", total=format_currency(float(total), currency))


def _gap(decision: Decision, title_of: TitleOf, currency: str) -> str:
    return gettext("No picture for %(seconds)s s", seconds=decision.detail.get("seconds", "?"))


_SENTENCES: Mapping[DecisionKind, Callable[[Decision, TitleOf, str], str]] = {
    DecisionKind.BILL_OPEN: _opened,
    DecisionKind.LINE_ADD: _added,
    DecisionKind.LINE_REVISE: _revised,
    DecisionKind.LINE_REMOVE: _removed,
    DecisionKind.ASK: _asked,
    DecisionKind.ANSWER: _answered,
    DecisionKind.CORRECTION: _corrected,
    DecisionKind.CONFIRM: _confirmed,
    DecisionKind.BILL_CLOSE: _closed,
    DecisionKind.GAP: _gap,
}
