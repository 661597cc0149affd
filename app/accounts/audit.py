"""The audit: who changed what, when, from where; before and after; never a secret; never edited."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from app.accounts.person import Person
from core.redact import redact_text, redact_url
from store.accounts import AccountStore, AuditRow

#: What is written down of one side of a change: plain values, or lists of them.
Values = Mapping[str, "str | float | int | bool | Sequence[str] | None"]

_SECRET_KEY = re.compile(r"pass(word|wort|wd)?$|pwd|secret|token|api_?key|_hash$|credential", re.IGNORECASE)
_PAGE_ROWS = 1000
_LONGEST_TEXT = 2000


class AuditBook:
    """Writes and reads the audit."""

    def __init__(self, rows: AccountStore) -> None:
        self._rows = rows

    def write(
        self, person: Person, action: str, target: str, before: Values | None = None, after: Values | None = None
    ) -> None:
        """Write down a change that was made; see `entry`.

        Raises:
            StoreUnavailable: the database is away; then the change should not be made.
        """
        with self._rows.changing(f"write {action} into the audit") as change:
            change.write(entry(person, action, target, before, after, self._rows.clock.utc_s()))

    def read(self, limit: int, before_seq: int | None = None, action: str = "", person: str = "") -> list[AuditRow]:
        """Return rows, latest first; see `AccountStore.audit`."""
        return self._rows.audit(limit, before_seq, action, person)

    def as_csv(self, action: str = "", person: str = "") -> Iterator[str]:
        """Yield all rows as CSV, latest first, with a head."""
        names = ("seq", "at_s", "person_name", "via", "address", "action", "target", "before", "after")
        yield ",".join(names) + "\r\n"
        cursor: int | None = None
        while page := self.read(_PAGE_ROWS, cursor, action, person):
            text = io.StringIO()
            writer = csv.writer(text)
            for row in page:
                writer.writerow([_harmless(getattr(row, name)) for name in names])
            cursor = page[-1].seq
            yield text.getvalue()


def entry(
    person: Person, action: str, target: str, before: Values | None, after: Values | None, at_s: float
) -> AuditRow:
    """Return a row of the audit, its secrets hidden.

    Args:
        person: who did it.
        action: what, as `thing.verb`: "menu.price", "person.role", "model.promote".
        target: on which: a dish, a name, a model.
        before: the values that changed, as they were; None where there was nothing.
        after: the same values as they are now; None where there is nothing any more.
        at_s: UTC seconds.
    """
    return AuditRow(
        at_s=at_s,
        person_id=person.person_id,
        person_name=person.name,
        via=str(person.via),
        address=person.address,
        action=action,
        target=_clean(target),
        before=_as_json(before),
        after=_as_json(after),
    )


def _as_json(values: Values | None) -> str:
    shown = {key: _shown(key, value) for key, value in (values or {}).items()}
    return json.dumps(shown, ensure_ascii=False, sort_keys=True)


def _shown(key: str, value: object) -> object:
    if _SECRET_KEY.search(key) and value is not None and not isinstance(value, bool):
        return "***"
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(str(item)) for item in (value if isinstance(value, list | tuple) else sorted(value))]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"the audit keeps texts, numbers, booleans and lists of texts, not {type(value).__name__} ({key})")


def _clean(text: str) -> str:
    shown = redact_text(redact_url(text) if re.match(r"[a-z][a-z0-9+.-]*://\S+$", text, re.IGNORECASE) else text)
    return shown if len(shown) <= _LONGEST_TEXT else shown[:_LONGEST_TEXT] + "…"


def _harmless(value: object) -> object:
    """Return a cell that a spreadsheet does not run as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
