"""The table of permissions: about all routes there are, and obeyed by each of them for everybody.

The matrix is made from the url map: every route and method, by the seven roles, by the seven roles confined to another
lane (the foreign tenant), by nobody, and by a token for each single right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask

from app.permissions import ROLE_ACTIONS, SITE_WIDE, TABLE, Action, Everyone, Role
from app.web import create_app
from tests.accounts import TERMINAL, Browser, accounts_of, add_person, still_site
from tests.store_records import make_bill

#: What stands for the parameters of routes: things of lane1.
ARGUMENTS = {
    "lane_id": "lane1",
    "person_id": "",
    "token_id": "none",
    "filename": "base.css",
    "bill_id": "mine",
    "line_no": "1",
    "track_id": "1",
    "dish": "soup",
    "model": "traynet@1",
    "replay_id": "none",
    "letter_id": "1",
    "slug": "sales",
    "other_id": "none",
    "number": "0",
    "sha256": "0" * 64,
}


@dataclass
class Matrix:
    app: Flask
    accounts: object
    victim: str

    def routes(self) -> list[tuple[str, str]]:
        """Return (method, rule) of every route, without what Flask answers by itself."""
        found = {
            (method, rule.rule)
            for rule in self.app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
        return sorted(found)

    def path(self, rule: str) -> str:
        for name, value in ARGUMENTS.items():
            rule = rule.replace(f"<{name}>", value or self.victim).replace(f"<path:{name}>", value)
        assert "<" not in rule, f"give {rule} an argument in ARGUMENTS"
        return rule


@pytest.fixture(scope="module")
def matrix(tmp_path_factory) -> Iterator[Matrix]:
    with still_site(tmp_path_factory.mktemp("matrix")) as site:
        site.store.append([], [make_bill("mine", 1, lane_id="lane1"), make_bill("theirs", 1, lane_id="lane2")])
        accounts = accounts_of(site)
        accounts.people.make_first_admin(TERMINAL)
        yield Matrix(create_app(site, accounts), accounts, add_person(accounts, "victim", Role.CASHIER))


class Visitor(Browser):
    """Somebody with a session of their own, started without the log-in page; renewed where a request ended it."""

    def __init__(self, matrix: Matrix, person_id: str | None) -> None:
        super().__init__(matrix.app)
        self.matrix, self.person_id = matrix, person_id
        self.form_token = ""

    def come_in(self) -> None:
        if self.person_id is not None:
            cookie = self.matrix.accounts.sessions.start(self.matrix.accounts.people.get(self.person_id), "", "")
            self.client.set_cookie("traylane_session", cookie)
        self.form_token = self.form_token or self.token("/account")

    def status(self, method: str, path: str) -> int:
        if not self.form_token or path in {"/logout", "/account/logout-everywhere"}:
            self.come_in()
        headers = {} if method == "GET" else {"X-CSRFToken": self.form_token}
        answer = self.client.open(path, method=method, headers=headers, buffered=False)
        answer.close()
        if path == "/logout":
            self.form_token = ""
        return answer.status_code


def is_in(status: int) -> bool:
    """Return whether a route answered, and not the guard. A login page's own 401 counts as an answer."""
    return status not in {401, 403}


def test_every_route_has_a_row_and_every_row_a_route(matrix):
    found = {f"{method} {rule}" for method, rule in matrix.routes()}
    assert found - set(TABLE) == set(), "routes without a row in app/permissions.py: nobody may use them"
    assert set(TABLE) - found == set(), "rows of routes that are not there"


def test_a_route_without_a_row_is_refused(tmp_path):
    with still_site(tmp_path) as site:
        app = create_app(site)
        app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
        answer = app.test_client().get("/forgotten")
    assert answer.status_code == 403
    assert "permission row" in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("role", "lane"),
    [*itertools.product(Role, [None, "lane2"]), (Role.GUEST_DISPLAY, "lane1"), (Role.ADMIN, "lane1")],
)
def test_each_role_may_what_the_table_says(matrix, role, lane):
    lanes = None if lane is None else [lane]
    name = f"{role} {lane}"
    visitor = Visitor(matrix, add_person(matrix.accounts, name, role, lanes=lanes))
    wrong = []
    for method, rule in matrix.routes():
        need = TABLE[f"{method} {rule}"]
        expected = isinstance(need, Everyone) or need in ROLE_ACTIONS[role]
        if lane is not None and isinstance(need, Action):
            expected = expected and (lane == "lane1" if "<lane_id>" in rule else need not in SITE_WIDE)
        status = visitor.status(method, matrix.path(rule))
        # The only 401 that a route itself gives: the log-in form without a password.
        if is_in(status) != expected and (method, rule) != ("POST", "/login"):
            wrong.append(f"{name}: {method} {rule} answered {status}, the table says {'yes' if expected else 'no'}")
    assert wrong == []


def test_nobody_may_what_the_table_opens_to_anyone_and_nothing_else(matrix):
    visitor = Visitor(matrix, None)
    for method, rule in matrix.routes():
        status = visitor.status(method, matrix.path(rule))
        if TABLE[f"{method} {rule}"] is Everyone.ANYONE:
            assert is_in(status) or (method, rule) == ("POST", "/login"), (method, rule, status)
        else:
            assert status == 401, (method, rule, status)


@pytest.mark.parametrize("action", list(Action))
def test_a_token_may_what_its_scope_says(matrix, action):
    owner = matrix.accounts.people.named("admin")
    token = matrix.accounts.tokens.make(TERMINAL, owner, f"only {action}", [action], 1).token
    other = matrix.accounts.tokens.make(TERMINAL, owner, f"{action} elsewhere", [action], 1, ["lane2"]).token
    for (method, rule), (given, own) in itertools.product(matrix.routes(), [(token, True), (other, False)]):
        need = TABLE[f"{method} {rule}"]
        answer = matrix.app.test_client().open(
            matrix.path(rule), method=method, headers={"Authorization": f"Bearer {given}"}, buffered=False
        )
        expected = need is Everyone.ANYONE or (
            need is action and (own or ("<lane_id>" not in rule and need not in SITE_WIDE))
        )
        # The log-in form has no use for tokens: it wants its own form's token.
        if (method, rule) != ("POST", "/login"):
            assert is_in(answer.status_code) == expected, (method, rule, answer.status_code)
        answer.close()


@pytest.mark.parametrize("role", list(Role))
def test_nothing_of_a_foreign_lane_shows_in_any_list(matrix, role):
    visitor = Visitor(matrix, add_person(matrix.accounts, f"narrow {role}", role, lanes=["lane1"]))
    visitor.come_in()
    looked = 0
    for method, rule in matrix.routes():
        path = matrix.path(rule)
        if method != "GET" or "<lane_id>" in rule or "stream" in rule or rule.startswith(("/static", "/users")):
            continue
        for query in ("", "?lane=lane2"):
            page = visitor.client.get(path + query).get_data(as_text=True)
            shown = page.replace("lane=lane2", "").replace("Bills of lane2", "").replace("no lane 'lane2'", "")
            assert "theirs" not in shown, (path + query, page)
            assert "lane-lane2" not in shown, path + query
            assert "lane2" not in shown or query == "?lane=lane2", (path + query, page)
            looked += 1
    assert looked > 20


def test_a_stream_shows_only_own_lanes(matrix):
    visitor = Visitor(matrix, add_person(matrix.accounts, "streamer", Role.CASHIER, lanes=["lane2"]))
    visitor.come_in()
    with visitor.client.get("/api/v1/lanes/stream", buffered=False) as answer:
        first = next(answer.iter_encoded()).decode()
    assert '"lane2"' in first
    assert "lane1" not in first


def test_a_lane_that_is_not_theirs_is_refused_whether_it_exists_or_not(matrix):
    visitor = Visitor(matrix, add_person(matrix.accounts, "curious", Role.CASHIER, lanes=["lane2"]))
    visitor.come_in()
    answers = [visitor.client.get(f"/api/v1/lanes/{lane_id}") for lane_id in ("lane1", "lane7")]
    assert [answer.status_code for answer in answers] == [403, 403]
    told = [answer.get_json()["detail"].replace("lane7", "lane1") for answer in answers]
    assert told[0] == told[1]
