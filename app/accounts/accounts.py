"""All of accounts together, as the guard, the pages and the command line use it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from app.accounts.audit import AuditBook
from app.accounts.errors import AccountRefused
from app.accounts.log_in import LogIn
from app.accounts.passwords import Passwords
from app.accounts.people import People, person_of
from app.accounts.person import Person, Via, demo_person, nobody
from app.accounts.sessions import Found, Sessions
from app.accounts.throttle import Throttle
from app.accounts.tokens import Tokens
from app.permissions import Role
from checkout.web_settings import WebSettings
from store.accounts import AccountStore


@dataclass(frozen=True, slots=True)
class Accounts:
    """People, what proves them, and what they changed.

    Attributes:
        web: who must log in, under which names the pages are known.
        key: signs the cookies of forms.
    """

    web: WebSettings
    people: People
    sessions: Sessions
    tokens: Tokens
    log_in: LogIn
    book: AuditBook
    rows: AccountStore
    key: str = field(repr=False)

    @property
    def required(self) -> bool:
        """Whether people must log in."""
        return self.web.log_in_required

    def by_session(self, cookie: str, address: str, in_use: bool = True) -> tuple[Person, Found] | None:
        """Return who a session's cookie stands for, and the session; None if it is not in force.

        Args:
            cookie: as sent.
            address: where the request comes from.
            in_use: whether this counts as use, which puts off the session's end.
        """
        found = self.sessions.find(cookie, in_use)
        if found is None:
            return None
        stored = self.rows.credential(found.person.person_id)
        must_change = stored is not None and stored.must_change
        return person_of(found.person, Via.SESSION, address, must_change), found

    def by_proxy(self, name: str, address: str) -> Person:
        """Return who a proven name of the proxy stands for; nobody if that person may not come in."""
        row = self.people.named(name)
        settings = self.web.accounts.proxy
        if row is None and settings.unknown_people == "make":
            maker = Person("", "proxy", frozenset(), frozenset(), None, via=Via.PROXY, address=address)
            try:
                row = self.people.add(maker, name, {Role(settings.role)}, origin="proxy")
            except AccountRefused:
                row = self.people.named(name)  # made by a request at the same time, or no name at all
        if row is None or row.disabled_at_s is not None:
            return nobody(address)
        return person_of(row, Via.PROXY, address)

    def demo(self, address: str) -> Person:
        """Return who everybody is while nobody must log in."""
        return demo_person(address)


def make_accounts(rows: AccountStore, web: WebSettings, passwords: Passwords | None = None) -> Accounts:
    """Return the accounts of a store.

    Args:
        rows: of the store.
        web: who must log in, and for how long that holds.
        passwords: hashes them; with today's cost by default.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    hasher = passwords or Passwords()
    key = rows.key("forms", secrets.token_urlsafe(32))
    sessions = Sessions(rows, web.accounts)
    throttle = Throttle(rows.key("devices", secrets.token_urlsafe(32)))
    return Accounts(
        web=web,
        people=People(rows, hasher),
        sessions=sessions,
        tokens=Tokens(rows),
        log_in=LogIn(rows, hasher, sessions, throttle),
        book=AuditBook(rows),
        rows=rows,
        key=key,
    )
