"""`traylane users` on a site of its own: what it prints, what it stores, how it says no."""

from __future__ import annotations

import argparse
import re
import stat
import sys

import pytest

from app.accounts.accounts import make_accounts
from app.commands import users
from checkout.web_settings import WebSettings
from core.errors import ConfigError
from store.engine import open_store
from tests.sites import write_site


@pytest.fixture
def command(tmp_path, capsys):
    """Return what runs the verb's function as the command line does, and returns what it printed."""
    config = write_site(tmp_path)
    parser = argparse.ArgumentParser()
    users.add(parser.add_subparsers())

    def run(*words: str) -> str:
        args = parser.parse_args(["users", *words, "--config", str(config)])
        assert args.run(args) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def accounts(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/lane.db")
    yield make_accounts(store.accounts(), WebSettings(accounts={"required": "always"}))
    store.close()


def test_people_are_added_listed_changed_and_disabled(command, accounts):
    told = command("add", "Ann", "--role", "cashier", "--role", "annotator", "--lane", "lane1")
    password = re.search(r"password of Ann: (\S+)", told)[1]
    ticket = accounts.log_in.with_password("ann", password, "192.0.2.1", "", "")
    assert ticket.must_change
    assert command("list") == "Ann\tannotator, cashier\tlane1\tenabled\n"
    assert command("role", "ann", "--role", "operator", "--all-lanes") == "Ann: operator; all lanes\n"
    assert "disabled" in command("disable", "ANN")
    assert accounts.sessions.find(ticket.cookie) is None
    assert command("list") == "Ann\toperator\tall lanes\tdisabled\n"
    command("enable", "ann")
    told = command("passwd", "ann")
    new = re.search(r"password of Ann: (\S+)", told)[1]
    assert accounts.log_in.with_password("ann", new, "192.0.2.1", "", "").person.name == "Ann"
    assert {row.via for row in accounts.book.read(20) if row.action.startswith("person")} == {"terminal"}


def test_a_password_may_be_piped_in(command, accounts, monkeypatch, tmp_path):
    given = tmp_path / "given"
    given.write_text("four blue spoons\n")
    with given.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert "spoons" not in command("add", "bea", "--role", "admin", "--ask")
    assert accounts.log_in.with_password("bea", "four blue spoons", "192.0.2.1", "", "").person.name == "bea"


def test_a_token_is_printed_alone_and_works_until_it_is_revoked(command, accounts):
    command("add", "till", "--role", "cashier", "--no-password")
    token = command("token", "make", "till", "--label", "till of lane 1", "--scope", "read", "--days", "10").strip()
    assert accounts.tokens.find(token, "").actions == {"read"}
    listed = command("token", "list")
    assert token not in listed
    assert token[:10] in listed
    command("token", "revoke", token[:10])
    assert accounts.tokens.find(token, "") is None
    assert "revoked" in command("token", "list")


def test_mistakes_say_what_to_do(command):
    command("add", "ann", "--role", "admin")
    for words, says in (
        (("passwd", "bob"), "there are: ann"),
        (("role", "ann"), "--role, --lane or --all-lanes"),
        (("disable", "ann"), "last admin"),
        (("add", "Ann", "--role", "cashier"), "already"),
        (("token", "revoke", "tlk_x"), "0 tokens"),
        (("token", "make", "ann", "--label", " ", "--scope", "read"), "what the token is for"),
    ):
        with pytest.raises((ConfigError, ValueError), match=says):
            command(*words)


def test_the_stores_file_is_not_for_everybody(command, tmp_path):
    command("list")
    assert not stat.S_IMODE((tmp_path / "lane.db").stat().st_mode) & stat.S_IWOTH
