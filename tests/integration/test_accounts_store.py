"""The rows of accounts and the rules about people, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import DBAPIError

from app.accounts.accounts import Accounts
from app.accounts.audit import entry
from app.accounts.errors import AccountRefused
from app.accounts.passwords import Passwords
from app.accounts.people import People
from app.accounts.person import demo_person
from app.permissions import Action, Role
from core.clock import ManualClock
from store.engine import open_store
from store.migrate import VERSION_TABLE, alembic_config
from store.sql_store import SqlStore
from store.writing import writing
from tests.accounts import CHEAP, OPEN, TERMINAL, make_accounts
from tests.integration.test_store_sql import postgres_server, run_sql, store_url  # noqa: F401 - fixtures
from tests.store_records import make_bill, make_event


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:  # noqa: F811
    opened = open_store(store_url, ManualClock(utc_s=1000.0))
    yield opened
    opened.close()


@pytest.fixture
def accounts(store: SqlStore) -> Accounts:
    return make_accounts(store.accounts(), OPEN, Passwords(CHEAP))


def test_a_person_comes_back_as_stored_and_names_are_one_whatever_their_case(accounts):
    row = accounts.people.add(TERMINAL, " Änne  Müller ", [Role.CASHIER, Role.REVIEWER], ["lane2", "lane1"])
    assert accounts.people.named("änne MÜLLER") == row
    assert accounts.people.all() == [row]
    assert (row.roles, row.lanes) == ({"cashier", "reviewer"}, {"lane1", "lane2"})
    with pytest.raises(AccountRefused, match="already"):
        accounts.people.add(TERMINAL, "ÄNNE müller", [])
    for bad in ("", "   ", "a" * 65, "a\x00b", "<script>", "ann, boss"):
        with pytest.raises(AccountRefused, match="a name has"):
            accounts.people.add(TERMINAL, bad, [])


def test_every_change_of_a_person_is_in_the_audit_with_before_and_after(accounts):
    row = accounts.people.add(TERMINAL, "ann", [Role.CASHIER], ["lane1"], "four blue spoons")
    accounts.people.set_access(TERMINAL, row.person_id, [Role.OPERATOR], ["lane1"])
    accounts.people.set_access(TERMINAL, row.person_id, [Role.OPERATOR], ["lane1"])  # nothing changed: no row
    accounts.people.set_password(TERMINAL, row.person_id, "five blue spoons")
    accounts.people.set_disabled(TERMINAL, row.person_id, True)
    told = [(one.action, one.before, one.after) for one in accounts.book.read(10)]
    assert told == [
        ("person.change", '{"disabled": false}', '{"disabled": true}'),
        ("person.password", "{}", '{"must_change": true}'),
        ("person.change", '{"roles": ["cashier"]}', '{"roles": ["operator"]}'),
        ("person.add", "{}", '{"disabled": false, "lanes": ["lane1"], "roles": ["cashier"]}'),
    ]


def test_a_change_that_fails_is_not_in_the_audit_and_a_row_that_fails_undoes_the_change(accounts, monkeypatch):
    row = accounts.people.add(TERMINAL, "ann", [Role.CASHIER])
    with pytest.raises(AccountRefused):
        accounts.people.set_access(TERMINAL, "nobody", [Role.ADMIN], None)
    assert len(accounts.book.read(10)) == 1

    def broken(*_):
        raise RuntimeError("no audit")

    monkeypatch.setattr("app.accounts.people.entry", broken)
    with pytest.raises(RuntimeError):
        accounts.people.set_access(TERMINAL, row.person_id, [Role.ADMIN], None)
    assert accounts.people.get(row.person_id).roles == {"cashier"}


@pytest.mark.parametrize("statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit"])
def test_the_audit_cannot_be_changed(accounts, store_url, statement):  # noqa: F811
    accounts.book.write(demo_person(), "menu.price", "soup", {"price": 1.0}, {"price": 1.2})
    with pytest.raises(DBAPIError, match="append-only"):
        run_sql(store_url, statement)
    assert len(accounts.book.read(10)) == 1


def test_the_audit_is_read_by_page_action_and_person(accounts):
    for n in range(5):
        accounts.book.write(demo_person(), "menu.price", f"dish{n}", {"price": n}, {"price": n + 1})
    accounts.book.write(TERMINAL, "menuX", "=cmd()", None, None)
    first = accounts.book.read(2)
    rest = accounts.book.read(10, before_seq=first[-1].seq)
    assert [row.target for row in first + rest] == ["=cmd()", "dish4", "dish3", "dish2", "dish1", "dish0"]
    assert len(accounts.book.read(10, action="menu.")) == 5
    assert len(accounts.book.read(10, action="menu%")) == 0
    assert [row.action for row in accounts.book.read(10, person="TEST")] == ["menuX"]
    lines = "".join(accounts.book.as_csv()).splitlines()
    assert len(lines) == 7
    assert "'=cmd()" in lines[1], "a spreadsheet must not run it"


def test_there_is_always_an_admin_for_the_whole_site(accounts):
    boss = accounts.people.add(TERMINAL, "boss", [Role.ADMIN])
    accounts.people.add(TERMINAL, "lane boss", [Role.ADMIN], ["lane1"])
    for change in (
        lambda: accounts.people.set_disabled(TERMINAL, boss.person_id, True),
        lambda: accounts.people.set_access(TERMINAL, boss.person_id, [Role.CASHIER], None),
        lambda: accounts.people.set_access(TERMINAL, boss.person_id, [Role.ADMIN], ["lane1"]),
    ):
        with pytest.raises(AccountRefused, match="last admin"):
            change()
    second = accounts.people.add(TERMINAL, "second", [Role.ADMIN])
    accounts.people.set_disabled(TERMINAL, boss.person_id, True)
    with pytest.raises(AccountRefused, match="last admin"):
        accounts.people.set_disabled(TERMINAL, second.person_id, True)


def test_two_admins_cannot_take_each_others_role_at_the_same_moment(accounts):
    both = [accounts.people.add(TERMINAL, name, [Role.ADMIN]) for name in ("one", "two")]
    start, refused = threading.Barrier(2), []

    def work(person_id: str) -> None:
        start.wait()
        try:
            accounts.people.set_access(TERMINAL, person_id, [Role.CASHIER], None)
        except AccountRefused as err:
            refused.append(err.code)

    threads = [threading.Thread(target=work, args=(row.person_id,)) for row in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["last-admin"]


def test_the_first_admin_is_made_once_by_several_processes(store_url, store):  # noqa: F811
    made: list[str | None] = []
    start = threading.Barrier(3)
    stores = [open_store(store_url) for _ in range(3)]

    def work(opened: SqlStore) -> None:
        people = People(opened.accounts(), Passwords(CHEAP))
        start.wait()
        made.append(people.make_first_admin(TERMINAL))

    threads = [threading.Thread(target=work, args=(opened,)) for opened in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for opened in stores:
        opened.close()
    assert len([password for password in made if password]) == 1
    assert [row.name for row in store.accounts().people()] == ["admin"]


def test_a_token_has_no_more_than_its_owner(accounts):
    ann = accounts.people.add(TERMINAL, "ann", [Role.OPERATOR], ["lane1", "lane2"])
    made = accounts.tokens.make(TERMINAL, ann, "till", [Action.READ, Action.TEACH], 5, ["lane1"])
    person = accounts.tokens.find(made.token, "192.0.2.1")
    assert (person.actions, person.lanes) == ({Action.READ, Action.TEACH}, {"lane1"})
    for scopes, lanes, says in (
        ([Action.USERS], None, "ann lacks users"),
        ([], None, "name what it may do"),
        ([Action.READ], ["lane3"], "lanes"),
        ([Action.READ], [], "lanes"),
    ):
        with pytest.raises(AccountRefused, match=says):
            accounts.tokens.make(TERMINAL, ann, "till", scopes, 5, lanes)
    for days in (0, -1, 731, float("nan")):
        with pytest.raises(AccountRefused, match="ends after"):
            accounts.tokens.make(TERMINAL, ann, "till", [Action.READ], days)
    # What the owner loses, the token loses.
    accounts.people.set_access(TERMINAL, ann.person_id, [Role.CASHIER], ["lane2"])
    person = accounts.tokens.find(made.token, "192.0.2.1")
    assert (person.actions, person.lanes) == ({Action.READ}, frozenset())
    assert accounts.tokens.find(made.token[:-1], "") is None
    assert accounts.tokens.find("tlk_", "") is None


def test_an_older_store_is_brought_up_with_everything_in_it(store_url, tmp_path):  # noqa: F811
    parsed = make_url(store_url)
    postgres = parsed.get_backend_name() == "postgresql"
    if not postgres:
        (tmp_path / "deep").mkdir(exist_ok=True)
    engine = create_engine(parsed.set(drivername="postgresql+psycopg" if postgres else "sqlite"))
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
    run_sql(store_url, "INSERT INTO checkpoints VALUES ('lane1', 'key', 1.5, 7, 3)")
    engine.dispose()
    opened = open_store(store_url, ManualClock(utc_s=5.0))
    assert run_sql(store_url, f"SELECT version_num FROM {VERSION_TABLE}") == [("0002",)]  # noqa: S608
    assert opened.checkpoint("lane1", "key").frame_index == 7
    opened.append([make_event(1)], [make_bill("b", 1)])
    assert opened.accounts().people() == []
    opened.close()


def test_the_audit_hides_secrets_and_keeps_plain_values_only():
    person = demo_person("192.0.2.1")
    row = entry(
        person,
        "settings.change",
        "rtsp://u:p4ss@cam/1",
        {"url": "rtsp://u:p4ss@cam/1?token=p4ss", "password": "p4ss", "lanes": {"b", "a"}, "has_password": True},
        {"note": "see http://u:p4ss@cam", "price": 1.5, "none": None},
        5.0,
    )
    assert "p4ss" not in str(row)
    assert '"lanes": ["a", "b"]' in row.before
    assert row.after == '{"none": null, "note": "see http://***@cam", "price": 1.5}'
    with pytest.raises(TypeError, match="audit keeps"):
        entry(person, "x", "y", {"thing": object()}, None, 0.0)
