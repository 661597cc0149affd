"""Where nobody must log in (loopback): everybody is admin, as ever; what is changed is in the audit all the same."""

from __future__ import annotations

import io
import re

import pytest

from app.accounts.first_admin import announce_first_admin
from app.permissions import TABLE, Role
from app.web import create_app
from checkout.web_settings import WebSettings
from tests.accounts import Browser, accounts_of, still_site


@pytest.fixture
def site(tmp_path):
    with still_site(tmp_path, loopback_only=True) as made:
        yield made


def test_every_page_opens_without_a_log_in(site):
    browser = Browser(create_app(site))
    looked = [row.removeprefix("GET ") for row in TABLE if row.startswith("GET ") and "<" not in row]
    for path in looked:
        answer = browser.get(path, buffered=False)
        assert answer.status_code in ({200, 302} if path == "/login" else {200, 503}), path
        answer.close()
    assert len(looked) > 10
    assert "demo" not in browser.get("/").get_data(as_text=True), "there is no account to show"


def test_programs_need_no_form_token_but_foreign_pages_are_refused(site):
    client = create_app(site).test_client()
    answer = {"track_id": 1, "dish": ""}
    assert client.post("/api/v1/lanes/lane1/answers", json=answer).status_code == 409
    foreign = client.post("/api/v1/lanes/lane1/answers", json=answer, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert client.get("/", base_url="http://evil.example").status_code == 403


def test_people_can_be_made_before_accounts_are_switched_on(site):
    browser = Browser(create_app(site))
    shown = browser.post("/users", {"name": "ann", "role": "cashier", "lanes": "all", "with_password": "yes"})
    password = re.search(r'id="secret">([^<]+)<', shown.get_data(as_text=True))[1]
    accounts = accounts_of(site)
    assert accounts.log_in.with_password("ann", password, "192.0.2.1", "", "").person.roles == {Role.CASHIER}
    row = accounts.book.read(5, action="person.")[0]
    assert (row.person_name, row.via, row.action) == ("demo", "demo", "person.add")


def test_the_first_admins_password_is_printed_once_and_never_logged(site, caplog):
    accounts, out = accounts_of(site), io.StringIO()
    announce_first_admin(accounts, out)
    password = re.search(r"password: (\S+)", out.getvalue())[1]
    assert accounts.log_in.with_password("admin", password, "192.0.2.1", "", "").must_change
    again = io.StringIO()
    announce_first_admin(accounts, again)
    assert again.getvalue() == ""
    assert password not in caplog.text


@pytest.mark.parametrize(
    ("settings", "required"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1"}, False),
        ({"host": "127.0.0.1", "accounts": {"required": "always"}}, True),
        ({"host": "192.168.1.7"}, True),
        ({"host": "0.0.0.0"}, True),  # noqa: S104
        ({"host": "::"}, True),
        ({"host": "0.0.0.0", "trusted_network": True}, False),  # noqa: S104
    ],
)
def test_when_a_log_in_is_required(settings, required):
    assert WebSettings(**settings).log_in_required is required
