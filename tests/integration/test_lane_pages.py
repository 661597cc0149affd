"""The pages of lanes and bills without a browser: who sees what, filters, marks, and what is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.pages.bill_filter import read_filter
from app.permissions import Role
from app.web import create_app
from core.records import DecisionKind
from store.bill_search import BillSearch, Marks
from tests.accounts import Browser, accounts_of, add_person, still_site
from tests.store_records import make_bill, make_event


@pytest.fixture
def site(tmp_path):
    with still_site(tmp_path) as made:
        yield made


def journal(bill_id: str, *kinds: DecisionKind):
    """Return events of one bill of lane 1, one revision each."""
    events = []
    for revision, kind in enumerate(kinds, 1):
        event = make_event(revision, kind=kind)
        decision = replace(event.decision, bill_id=bill_id, revision=revision, detail={})
        events.append(replace(event, event_id=f"{bill_id}-{revision}", decision=decision))
    return events


def test_a_guest_sees_the_bill_and_nothing_to_press(site):
    accounts = accounts_of(site)
    add_person(accounts, "tablet", Role.GUEST_DISPLAY, lanes=["lane1"])
    add_person(accounts, "anna", Role.CASHIER, lanes=["lane1"])
    app = create_app(site, accounts)
    guest, cashier = Browser(app), Browser(app)
    guest.log_in("tablet")
    cashier.log_in("anna")
    page = guest.get("/display/lane1").get_data(as_text=True)
    assert 'id="total"' in page
    assert "data-may-answer" not in page
    assert 'id="confirm"' not in page
    assert 'id="confirm"' in cashier.get("/display/lane1").get_data(as_text=True)
    assert [guest.get(path).status_code for path in ("/display/lane2", "/bills", "/questions")] == [403, 403, 403]


def test_what_is_not_there_is_told(site):
    web = Browser(create_app(site))
    for path, told in (("/lanes/nope", "no lane nope"), ("/display/nope", "no lane nope"), ("/bills/b", "no bill b")):
        answer = web.get(path)
        assert answer.status_code == 404
        assert told in answer.get_data(as_text=True)
    for track in ("1", "x", "-1", "9" * 40):
        assert web.get(f"/lanes/lane1/tracks/{track}.jpg").status_code == 404


def test_a_bill_of_a_foreign_lane_is_not_there(site):
    site.store.append([], [make_bill("theirs", 1, lane_id="lane2")])
    accounts = accounts_of(site)
    add_person(accounts, "anna", Role.CASHIER, lanes=["lane1"])
    web = Browser(create_app(site, accounts))
    web.log_in("anna")
    assert web.get("/bills/theirs").status_code == 404


def test_bills_come_a_page_at_a_time(site):
    site.store.append([], [make_bill(f"b{n:03}", 1) for n in range(120)])
    web = Browser(create_app(site))
    shown, path = [], "/bills?min_total=0"
    while path:
        page = web.get(path).get_data(as_text=True)
        shown += [part.split('"')[0] for part in page.split('href="/bills/')[1:]]
        older = page.split('rel="next"')[0].rsplit('href="', 1)[1] if 'rel="next"' in page else ""
        path = older.split('"')[0].replace("&amp;", "&")
    assert len(shown) == len(set(shown)) == 120
    assert web.get("/bills?cursor=guessed").status_code == 400


def test_marks_tell_what_happened_and_a_change_ends_a_confirmation(site):
    kinds = DecisionKind
    lives = {
        "asked": (kinds.BILL_OPEN, kinds.ASK),
        "right": (kinds.BILL_OPEN, kinds.LINE_ADD, kinds.CONFIRM, kinds.BILL_CLOSE),
        "changed": (kinds.LINE_ADD, kinds.CONFIRM, kinds.CORRECTION, kinds.LINE_REVISE),
    }
    for bill_id, life in lives.items():
        site.store.append(journal(bill_id, *life), [make_bill(bill_id, len(life))])
    marks = BillSearch(site.store).marks([*lives, "none"])
    assert marks == {
        "asked": Marks(asked=True), "right": Marks(confirmed=True), "changed": Marks(corrected=True), "none": Marks(),
    }  # fmt: skip
    page = Browser(create_app(site)).get("/bills/right").get_data(as_text=True)
    assert "confirmed" in page


def test_a_filter_is_read_as_people_write_it(site):
    with create_app(site).test_request_context():
        summer = read_filter({"from": "2026-07-01T12:00", "max_total": "4,50", "dish": " soup "}, "Europe/Berlin")
        assert summer.query.from_ == 1782900000.0  # noon in Berlin is ten o'clock UTC
        assert summer.query.max_total == 4.5
        assert summer.arguments["dish"] == "soup"
        for form, field in (
            ({"from": "yesterday"}, "from"),
            ({"min_total": "cheap"}, "min_total"),
            ({"from": "2026-07-02T00:00", "to": "2026-07-01T00:00"}, "to"),
            ({"state": "lost"}, "state"),
            ({"from": "9999-12-31T23:59"}, "from"),
        ):
            wrong = read_filter(form, "America/New_York")
            assert list(wrong.errors) == [field], form
            assert wrong.query is None
