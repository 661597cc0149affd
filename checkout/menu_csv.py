"""The menu as a table: one dish a line, for spreadsheets and tills."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping

from checkout.menu import Dish, Menu
from checkout.menu_records import WEEKDAYS, Dishes, DishRecord, changed, checked_name, make_record, put, same_name
from core.errors import DataError, FormatError

COLUMNS = ("name", "title", "price", "plu", "category", "days", "first_day", "last_day", "photos")
MOST_BYTES = 10_000_000


def whole_menu(base: Menu, dishes: Dishes) -> dict[str, DishRecord]:
    """Return every dish of the menu file and of what is taught, sold today or not, by name."""
    filed = {name: _filed(dish) for name, dish in base.dishes.items()}
    return dict(sorted({**filed, **dishes}.items()))


def _filed(dish: Dish) -> DishRecord:
    return make_record(dish.title, dish.price, dish.plu, dish.category)


def write_csv(menu: Mapping[str, DishRecord]) -> str:
    """Return the table of a menu; dates as ISO, days as a list with spaces between."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, record in menu.items():
        days = "" if record.days == WEEKDAYS else " ".join(record.days) or "none"
        first, last = (day.isoformat() if day else "" for day in (record.first_day, record.last_day))
        values = (_safe(name), _safe(record.title), f"{record.price:.2f}", _safe(record.plu), _safe(record.category))
        writer.writerow((*values, days, first, last, len(record.photos)))
    return text.getvalue()


def read_csv(content: bytes, path: str, base: Menu, dishes: Dishes) -> dict[str, DishRecord]:
    """Return the taught dishes as a table changes them; dishes that it does not name stay.

    Columns may come in any order; only `name` and `price` must be there, `photos` is left alone. Comma, semicolon or
    tab; a decimal comma is understood.

    Raises:
        FormatError: a line cannot be used; says which and why. Nothing has changed then.
    """
    if len(content) > MOST_BYTES:
        raise FormatError(path, f"{len(content) / 1e6:.0f} MB is no menu; give a table of one dish a line")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise FormatError(path, f"not UTF-8 text at byte {err.start}; save the table as CSV UTF-8") from err
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    columns = [column.strip().lower() for column in next(rows, [])]
    _check_columns(columns, path)
    after, named = dict(dishes), set()
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns):
            raise FormatError(path, f"{len(row)} columns, the head has {len(columns)}", rows.line_num)
        cells = {column: cell.strip() for column, cell in zip(columns, row, strict=True)}
        try:
            name, record = _row(cells, base, after)
            if name in named:
                raise DataError(f"dish {name!r} stands here twice; leave one line out")
            named.add(name)
            if name in after or name not in base or record != _filed(base[name]):
                after = put(after, name, record)
        except DataError as err:
            raise FormatError(path, str(err), rows.line_num) from err
    return after


def _check_columns(columns: list[str], path: str) -> None:
    strange = [column for column in columns if column not in COLUMNS]
    if "name" not in columns or "price" not in columns or strange or len(set(columns)) < len(columns):
        wrong = f"unknown column {strange[0]!r}" if strange else "columns name and price, each once, are needed"
        raise FormatError(path, f"{wrong}; a menu table has {', '.join(COLUMNS)}", 1)


def _row(cells: Mapping[str, str], base: Menu, dishes: Dishes) -> tuple[str, DishRecord]:
    name = checked_name(cells["name"])
    name = same_name(name, dishes) or same_name(name, base.dishes) or name
    if name in base.ignored:
        raise DataError(f"{name!r} is under `ignore` in the menu file: no goods")
    record = dishes.get(name)
    if record is None:
        record = _filed(base[name]) if name in base else make_record(name, 0.0)
    values: dict[str, object] = {"price": _price(cells["price"])}
    for column in ("title", "plu", "category"):
        if cells.get(column) or (column in cells and column != "title"):
            values[column] = cells[column]
    if "days" in cells:
        values["days"] = days_of(cells["days"])
    for column in ("first_day", "last_day"):
        if column in cells:
            values[column] = _date(cells[column])
    return name, changed(record, **values)


def days_of(text: str) -> tuple[str, ...]:
    """Return the weekdays that a person names: "mon wed", "mon,wed", "all" or "", "none".

    >>> days_of("mon, Wed"), days_of("none"), len(days_of(""))
    (('mon', 'wed'), (), 7)
    """
    words = text.lower().replace(",", " ").replace(";", " ").split()
    if words in ([], ["all"], ["daily"]):
        return WEEKDAYS
    if words == ["none"]:
        return ()
    days = [word[:3] for word in words]
    strange = [word for word, day in zip(words, days, strict=True) if day not in WEEKDAYS]
    if strange:
        raise DataError(f"{strange[0]!r} is no weekday; use {' '.join(WEEKDAYS)}, all or none")
    return tuple(day for day in WEEKDAYS if day in days)


def _price(text: str) -> float:
    try:
        return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError as err:
        raise DataError(f"price {text!r} is not a number such as 4.50") from err


def _date(text: str) -> datetime.date | None:
    if not text:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as err:
        raise DataError(f"{text!r} is not a date such as 2026-05-31") from err


def _safe(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "@") or (text[:1] == "-" and not text[1:2].isdigit()) else text
