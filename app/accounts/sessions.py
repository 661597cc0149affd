"""Log-ins that last: on the server, revocable, with an end when unused and an end in any case.

The cookie holds 32 random bytes; the store holds their SHA-256, so that who reads the database cannot come in.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from app.permissions import Role
from checkout.web_settings import AccountSettings
from store.accounts import AccountStore, PersonRow, SessionRow

#: A session's last use is written down at most so often: each write costs a disk's flush.
TOUCH_S = 60.0
_HOUR_S = 3600.0
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Found:
    """A session in force and whose it is."""

    person: PersonRow
    session: SessionRow


class Sessions:
    """Starts, finds and ends sessions."""

    def __init__(self, rows: AccountStore, settings: AccountSettings) -> None:
        self._rows, self._settings = rows, settings

    def start(self, person: PersonRow, address: str, agent: str) -> str:
        """Start a session; return what its cookie holds. It is always a new one, whatever cookie was sent."""
        cookie, now_s = secrets.token_urlsafe(32), self._rows.clock.utc_s()
        with self._rows.changing("start a session") as change:
            change.sweep_sessions(now_s)
            change.add_session(
                SessionRow(
                    digest(cookie), person.person_id, address, agent[:200], now_s, now_s, now_s + self.longest_s(person)
                )
            )
        return cookie

    def find(self, cookie: str, in_use: bool = True) -> Found | None:
        """Return the session of a cookie if it is in force, and write down that it was used if it was."""
        session = self._rows.session(digest(cookie))
        if session is None:
            return None
        person, now_s = self._rows.person(session.person_id), self._rows.clock.utc_s()
        if person is None or person.disabled_at_s is not None or now_s >= session.expires_at_s:
            return None
        if now_s - session.seen_at_s > self._idle_s(person):
            return None
        if in_use and now_s - session.seen_at_s > TOUCH_S:
            with self._rows.changing("touch a session") as change:
                change.touch_session(session.session_hash, now_s)
        return Found(person, session)

    def end(self, cookie: str) -> None:
        """End the session of a cookie, if there is one."""
        with self._rows.changing("end a session") as change:
            change.end_session(digest(cookie))

    def end_all(self, person_id: str, but: str = "") -> int:
        """End all sessions of a person, but the one with the hash `but`; return how many."""
        with self._rows.changing("end sessions") as change:
            return change.end_sessions(person_id, but)

    def of(self, person: PersonRow) -> list[SessionRow]:
        """Return a person's sessions that are in force, latest used first."""
        now_s, idle_s = self._rows.clock.utc_s(), self._idle_s(person)
        return [
            session
            for session in self._rows.sessions(person.person_id)
            if now_s < session.expires_at_s and now_s - session.seen_at_s <= idle_s
        ]

    def longest_s(self, person: PersonRow) -> float:
        """Return after how long a person's session ends in any case."""
        return self._settings.display_days * _DAY_S if _is_display(person) else self._settings.longest_h * _HOUR_S

    def _idle_s(self, person: PersonRow) -> float:
        return self._settings.display_days * _DAY_S if _is_display(person) else self._settings.idle_h * _HOUR_S


def digest(secret: str) -> str:
    """Return the SHA-256 of a random secret, as hexadecimal; 32 random bytes need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _is_display(person: PersonRow) -> bool:
    """Return whether somebody is nothing but a screen at a lane: it may do little, and nobody logs it in each day."""
    return person.roles == {str(Role.GUEST_DISPLAY)}
