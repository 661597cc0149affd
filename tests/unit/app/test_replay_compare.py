"""Two replays, bill by bill: who belongs to whom, and what differs."""

from __future__ import annotations

import json

import pytest

from app.replay_compare import ReplayedBill, ReplayedLine, compare, read_bills
from app.settings_diff import difference
from core.errors import FormatError


def bill(name: str, opened_s: float, closed_s: float | None, *dishes: str) -> ReplayedBill:
    lines = tuple(ReplayedLine(dish, 1, 2.0, opened_s, 0.9) for dish in dishes)
    return ReplayedBill(name, opened_s, closed_s, 2.0 * len(lines), lines)


def test_bills_of_one_tray_are_paired_by_time_and_the_order_of_lines_does_not_count():
    one = [bill("a", 0, 5, "tea", "soup"), bill("b", 10, 15, "roll")]
    other = [bill("x", 0.4, 5.2, "soup", "tea"), bill("y", 9.5, 15, "soup")]
    first, second = compare(one, other)
    assert (first.kind, first.gone, first.come) == ("same", (), ())
    assert (second.kind, second.gone, second.come, second.from_s) == ("differs", ("roll",), ("soup",), 9.5)


def test_a_bill_without_a_partner_is_told_and_each_has_one_partner_at_most():
    one = [bill("a", 0, 20, "tea", "soup")]
    other = [bill("x", 0, 8, "tea"), bill("y", 9, 20, "soup"), bill("z", 30, None, "roll")]
    pairs = compare(one, other)
    assert [(pair.kind, pair.from_s) for pair in pairs] == [("differs", 0), ("only-other", 0), ("only-other", 30)]
    assert pairs[0].other.bill_id == "y"  # 11 seconds together, with x only 8
    assert [pair.kind for pair in compare(other, one)].count("only-one") == 2


def test_bills_that_are_open_at_the_end_belong_together():
    assert [pair.kind for pair in compare([bill("a", 3, None, "tea")], [bill("x", 4, None, "tea")])] == ["same"]


def test_a_file_that_is_no_bills_is_refused(tmp_path):
    path = tmp_path / "bills.json"
    path.write_text(json.dumps([{"bill_id": "a"}]))
    with pytest.raises(FormatError, match="no bills of a replay"):
        read_bills(path)


def test_a_difference_shows_what_goes_what_comes_and_where():
    lines = difference("".join(f"{i}\n" for i in range(40)), "".join(f"{i}\n" for i in range(40) if i != 20) + "new\n")
    assert [one.kind for one in lines if one.kind in ("added", "removed", "gap")] == ["removed", "gap", "added"]
    assert next(one for one in lines if one.kind == "removed").line == 21
    assert difference("a\n", "a\n") == []
