"""Log in with name and password: throttled, the same work and the same words for every name."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NoReturn

from app.accounts.audit import entry
from app.accounts.errors import LoginRefused, TooManyTries
from app.accounts.passwords import Passwords
from app.accounts.people import name_key, person_of
from app.accounts.person import Via
from app.accounts.sessions import Sessions
from app.accounts.throttle import Throttle
from store.accounts import AccountStore, CredentialRow, PersonRow

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a browser gets after a log-in.

    Attributes:
        person: who it is.
        cookie: of the new session.
        device: cookie that tells the browser apart from now on.
        lasts_s: how long the session may last.
        must_change: whether the password has to be changed first.
    """

    person: PersonRow
    cookie: str
    device: str
    lasts_s: float
    must_change: bool


class LogIn:
    """Lets people in.

    Args:
        rows: people and credentials.
        passwords: checks them.
        sessions: starts one.
        throttle: how often may be tried.
    """

    def __init__(self, rows: AccountStore, passwords: Passwords, sessions: Sessions, throttle: Throttle) -> None:
        self._rows, self._passwords, self._sessions, self._throttle = rows, passwords, sessions, throttle

    def with_password(self, name: str, password: str, address: str, agent: str, device: str) -> Ticket:
        """Let somebody in.

        Args:
            name: as typed.
            password: as typed.
            address: where the request comes from.
            agent: what the browser calls itself.
            device: the device cookie, "" for none.

        Raises:
            TooManyTries: from there; the password was not looked at.
            LoginRefused: no such person, wrong password, or disabled.
        """
        key = name_key(name[:200])
        wait_s = self._throttle.take(key, address, device)
        if wait_s:
            _LOG.warning("log-in from %s: too many tries, wait %.0f s", address, wait_s)
            raise TooManyTries(wait_s)
        person = self._rows.person_by_key(key)
        stored = None if person is None else self._rows.credential(person.person_id)
        fits = self._passwords.fits(None if stored is None else stored.password_hash, password)
        if person is None or stored is None or not fits or person.disabled_at_s is not None:
            self._refuse(person, address)
        self._throttle.forgive(key, address, device)
        if self._passwords.is_old(stored.password_hash):
            self._renew(stored, password)
        cookie = self._sessions.start(person, address, agent)
        self._note("login", person, address)
        remembered = self._throttle.device_cookie(key, device)
        return Ticket(person, cookie, remembered, self._sessions.longest_s(person), stored.must_change)

    def wait_s(self, name: str, address: str) -> float:
        """Count that somebody who is in gives their password once more; return how many seconds to wait instead."""
        return self._throttle.take(f"again {name_key(name)}", address, "")

    def _refuse(self, person: PersonRow | None, address: str) -> NoReturn:
        # What was typed as a name is not written down: sometimes it is a password.
        whom = "a name that nobody has" if person is None else person.name
        _LOG.warning("log-in from %s as %s refused", address, whom)
        if person is not None:
            self._note("login.refused", person, address)
        raise LoginRefused

    def _note(self, action: str, person: PersonRow, address: str) -> None:
        who = person_of(person, Via.SESSION if action == "login" else Via.NOTHING, address)
        with self._rows.changing(f"write {action} into the audit") as change:
            change.write(entry(who, action, person.name, None, None, self._rows.clock.utc_s()))

    def _renew(self, stored: CredentialRow, password: str) -> None:
        """Hash with today's cost a password that was hashed with an old one."""
        renewed = CredentialRow(
            stored.person_id, self._passwords.hash(password), stored.changed_at_s, stored.must_change
        )
        with self._rows.changing("renew a hash") as change:
            change.put_credential(renewed)
