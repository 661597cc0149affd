"""What a person typed into the filter of the bills, as the API takes it: times in the site's zone, any decimal mark."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from app.api.bills import BillFilterQuery
from app.languages import gettext

#: Fields of the form; each is a parameter of the API, too.
FIELDS = ("lane", "from", "to", "dish", "min_total", "max_total", "state", "asked", "corrected")
_TIMES = ("from", "to")
_AMOUNTS = ("min_total", "max_total")


@dataclass(frozen=True, slots=True)
class TypedFilter:
    """A filter as a person typed it.

    Attributes:
        typed: what is not empty, as it was typed.
        arguments: the same for the API.
        query: None if something is wrong.
        errors: what is wrong, by field, in the reader's language.
    """

    typed: dict[str, str]
    arguments: dict[str, str]
    query: BillFilterQuery | None
    errors: dict[str, str]


def read_filter(form: Mapping[str, str], timezone: str) -> TypedFilter:
    """Return what `form` asks for; times without a zone are in `timezone`."""
    typed = {name: form[name].strip() for name in FIELDS if form.get(name, "").strip()}
    arguments, errors = dict(typed), {}
    for name in _TIMES:
        if name in typed:
            moment = _moment(typed[name], ZoneInfo(timezone))
            if moment is None:
                errors[name] = gettext("Give a date and a time.")
            else:
                arguments[name] = moment
    for name in _AMOUNTS:
        if name in typed:
            arguments[name] = typed[name].replace(",", ".")
    query = None
    if not errors:
        try:
            query = BillFilterQuery.model_validate(arguments)
        except ValidationError as err:
            for one in err.errors(include_url=False, include_input=False):
                name = str(one["loc"][0]) if one["loc"] else "to"
                errors[name] = _told(name, bool(one["loc"]))
    return TypedFilter(typed, arguments, query, errors)


def _told(name: str, one_field: bool) -> str:
    if not one_field:
        return gettext("The end is before the beginning.")
    if name in _AMOUNTS:
        return gettext("Give an amount such as 4.50.")
    return gettext("This cannot be looked for.")


def _moment(text: str, zone: ZoneInfo) -> str | None:
    """Return a local time as RFC 3339 in UTC; None if it is none.

    >>> _moment("2026-07-01T12:00", ZoneInfo("Europe/Berlin"))
    '2026-07-01T10:00:00Z'
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
        local = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
        return local.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return None
