"""The menu as a table: what is written can be read, and what cannot be read is named by line."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from checkout.menu_csv import read_csv, whole_menu, write_csv
from checkout.menu_records import changed, make_record
from core.errors import DataError
from tests.fakes import menu
from tests.taught import store_in, teach

BASE = menu("bread", "tea", ignored=["phone"])


def read(text: str | bytes, dishes: dict[str, object] | None = None) -> dict[str, object]:
    content = text if isinstance(text, bytes) else text.encode()
    return dict(read_csv(content, "menu.csv", BASE, dishes or {}))  # type: ignore[arg-type]


def test_what_is_written_reads_back_as_no_change(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    teach(store, "soup")
    dishes = dict(store.current().dishes)
    dishes["Fisch groß"] = changed(make_record('"Friday"', 7.5), days=("fri",), last_day=datetime.date(2026, 5, 1))
    dishes["none"] = changed(make_record("x", 1.0), days=())
    assert read(write_csv(whole_menu(BASE, dishes)), dishes) == dishes  # type: ignore[arg-type]


def test_a_spreadsheets_way_of_writing_is_understood() -> None:
    after = read("\ufeffName;Price;Days\nsoup;4,50;Mon Fri\n;;\nbread;1,00;\n")
    assert after == {"soup": changed(make_record("soup", 4.5), days=("mon", "fri"))}


def test_formulas_are_not_written() -> None:
    assert "\n'=" not in write_csv({"a": make_record("=1+1", 1.0)})
    assert "'=1+1" in write_csv({"a": make_record("=1+1", 1.0)})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "columns name and price"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"name,cost\nsoup,1\n", "unknown column 'cost'"),
        (b"name,price,price\nsoup,1,1\n", "each once"),
        (b"name,price\nsoup,much\n", r"menu.csv:2: price 'much' is not a number"),
        (b"name,price\nsoup,1\ntea,1,2\n", "menu.csv:3: 3 columns, the head has 2"),
        (b"name,price\nsoup,1\nSoup,2\n", "menu.csv:3: dish 'soup' stands here twice"),
        (b"name,price\nphone,1\n", "no goods"),
        (b"name,price,days\nsoup,1,someday\n", "no weekday"),
        (b"name,price,last_day\nsoup,1,tomorrow\n", "not a date"),
        (b"name,price\nsoup,1.234\n", "whole number of cents"),
        (b"name,price\n@item,1\n", "roles of the model"),
    ],
)
def test_a_table_that_cannot_be_used_is_named_by_line(text: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(text)
