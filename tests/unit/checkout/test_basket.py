"""Promises of the ledger, whatever happens in whatever order."""

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from checkout.basket import Basket, Moment, bill_id_for, event_id_for
from checkout.menu import Dish
from core.records import DecisionKind

DISHES = [Dish("soup", "Soup", 3.0), Dish("bread", "Bread", 1.2), Dish("apple", "Apple", 0.75)]
BOX = (0.0, 0.0, 10.0, 10.0)

steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "back", "revise", "see"]), st.integers(0, 7), st.integers(0, 2)),
    max_size=40,
)


def run(script) -> tuple[Basket, list]:
    basket = Basket.begin("lane1", "tray", "bill", Moment(0.0, 100.0))
    decisions = [basket.note(DecisionKind.BILL_OPEN, Moment(0.0, 100.0), "first")]
    for count, (what, index, dish_index) in enumerate(script):
        at, dish = Moment(float(count), 100.0 + count), DISHES[dish_index]
        entries = list(basket.entries)
        entry = entries[index % len(entries)] if entries else None
        if what == "add":
            decisions.append(basket.add(dish, 100 + count, BOX, 0.95, at, "seen"))
        elif entry is None:
            continue
        elif what == "remove" and entry.on_bill:
            own = next(one for one in DISHES if one.name == entry.line.dish)
            decisions.append(basket.remove(entry, own, at, at.stream_s, "gone"))
        elif what == "back" and not entry.on_bill:
            own = next(one for one in DISHES if one.name == entry.line.dish)
            decisions.append(basket.bring_back(entry, own, 500 + count, BOX, at, "back"))
        elif what == "revise" and entry.on_bill:
            decisions.append(basket.revise(entry, dish, entry.line.track_id, 0.9, at, "other"))
        elif what == "see":
            basket.see(entry, (1.0, 1.0, 2.0 + count, 2.0))
    return basket, decisions


@hypothesis_settings(max_examples=150, deadline=None)
@given(steps)
def test_the_journal_tells_the_bill(script):
    basket, decisions = run(script)
    # Every entry has the next revision, and the bill says the latest.
    assert [decision.revision for decision in decisions] == list(range(1, len(decisions) + 1))
    assert basket.bill.revision == len(decisions)
    # The bill can be told from the journal alone.
    told: dict[int, tuple[str, float]] = {}
    for decision in decisions:
        line_no = decision.detail.get("line_no")
        if decision.kind in (DecisionKind.LINE_ADD, DecisionKind.LINE_REVISE):
            told[line_no] = (decision.dish, decision.price)
        elif decision.kind is DecisionKind.LINE_REMOVE:
            del told[line_no]
    assert {line.line_no: (line.dish, line.unit_price) for line in basket.bill.lines} == told
    assert basket.bill.total == round(sum(price for _, price in told.values()), 2)
    # Line numbers are never given twice.
    numbers = [entry.line.line_no for entry in basket.entries]
    assert numbers == list(range(1, len(numbers) + 1))


@hypothesis_settings(max_examples=50, deadline=None)
@given(steps)
def test_a_restored_ledger_goes_on_where_the_bill_was(script):
    basket, _ = run(script)
    restored = Basket("lane1", "tray", basket.bill)
    assert restored.bill == basket.bill
    decision = restored.add(DISHES[0], 999, BOX, 0.9, Moment(99.0, 199.0), "seen")
    assert decision.revision == basket.bill.revision + 1
    assert decision.detail["line_no"] not in {line.line_no for line in basket.bill.lines}


@hypothesis_settings(max_examples=50, deadline=None)
@given(steps)
def test_closing_keeps_the_lines(script):
    basket, _ = run(script)
    before = basket.bill
    decision = basket.close(Moment(60.0, 160.0), Moment(59.0, 159.0), "zone clear")
    assert basket.bill.lines == before.lines
    assert (basket.bill.closed_s, basket.bill.closed_at_s, basket.bill.close_reason) == (59.0, 159.0, "zone clear")
    assert (decision.detail["lines"], decision.detail["total"]) == (len(before.lines), before.total)


def test_ids_depend_on_lane_stream_moment_and_revision_alone():
    assert bill_id_for("lane1", "key", 1.25) == bill_id_for("lane1", "key", 1.25)
    others = [bill_id_for("lane2", "key", 1.25), bill_id_for("lane1", "yek", 1.25), bill_id_for("lane1", "key", 1.3)]
    assert len({bill_id_for("lane1", "key", 1.25), *others}) == 4
    _, decisions = run([("add", 0, 0), ("add", 0, 1)])
    ids = [event_id_for("lane1", "key", decision, 0) for decision in decisions]
    assert len(set(ids)) == len(ids)
    assert ids == [event_id_for("lane1", "key", decision, 5) for decision in decisions]
