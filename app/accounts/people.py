"""People: who may come in, as what, to which lanes. Every change is one transaction with its audit row."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace

from app.accounts.audit import Values, entry
from app.accounts.errors import AccountRefused
from app.accounts.passwords import Passwords, check_new, make_password
from app.accounts.person import Person, Via
from app.permissions import Role, actions_of
from store.accounts import AccountChange, AccountStore, CredentialRow, PersonRow

_NAME = re.compile(r"[\w][\w .@+-]{0,63}")
_LANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class People:
    """Keeps people.

    Args:
        rows: where they are stored.
        passwords: hashes.
    """

    def __init__(self, rows: AccountStore, passwords: Passwords) -> None:
        self._rows, self._passwords = rows, passwords

    def all(self) -> list[PersonRow]:
        """Return all people by name."""
        return self._rows.people()

    def get(self, person_id: str) -> PersonRow:
        """Return a person by id. Raises AccountRefused if there is none."""
        row = self._rows.person(person_id)
        if row is None:
            raise AccountRefused("no-person", f"there is no person with the id {person_id!r}")
        return row

    def named(self, name: str) -> PersonRow | None:
        """Return a person by name, None if there is none."""
        return self._rows.person_by_key(name_key(name))

    def has_password(self, person_id: str) -> bool:
        """Return whether a person can log in with a password."""
        return self._rows.credential(person_id) is not None

    def make_first_admin(self, by: Person) -> str | None:
        """Make the admin of a site that has no people; return the password, None if there are people already."""
        if self._rows.people():
            return None
        password = make_password()
        hashed = self._passwords.hash(password)
        with self._rows.changing("make the first admin") as change:
            if change.people():
                return None  # another process was faster
            row = self._new("admin", {Role.ADMIN}, None)
            self._add(change, by, row, hashed, must_change=True)
        return password

    def add(
        self,
        by: Person,
        name: str,
        roles: Iterable[Role],
        lanes: Iterable[str] | None = None,
        password: str | None = None,
        origin: str = "local",
    ) -> PersonRow:
        """Add a person.

        Args:
            by: who does it.
            name: to log in with; "Ann" and "ann" are one.
            roles: may be none: then they can only log in.
            lanes: the lanes they may see; None for all.
            password: to be changed at the first log-in; None: no log-in with a password.
            origin: "local" or "proxy".

        Raises:
            AccountRefused: the name is taken or no name, or the password is bad.
        """
        row = self._new(name, roles, lanes, origin)
        if password is not None:
            check_new(password, row.name)
        hashed = None if password is None else self._passwords.hash(password)
        with self._rows.changing("add a person") as change:
            if any(other.name_key == row.name_key for other in change.people()):
                raise AccountRefused("name-taken", f"there is a person {row.name!r} already; take another name")
            self._add(change, by, row, hashed, must_change=True)
        return row

    def set_access(self, by: Person, person_id: str, roles: Iterable[Role], lanes: Iterable[str] | None) -> PersonRow:
        """Set a person's roles and lanes; `lanes` None is every lane.

        Raises:
            AccountRefused: no such person, or nobody would be left who can manage people.
        """
        wanted, only = frozenset(str(Role(role)) for role in roles), _checked_lanes(lanes)
        return self._change(by, person_id, lambda row: replace(row, roles=wanted, lanes=only))

    def set_disabled(self, by: Person, person_id: str, disabled: bool) -> PersonRow:
        """Keep a person out, who loses all sessions at once, or let them in again.

        Raises:
            AccountRefused: no such person, or nobody would be left who can manage people.
        """
        now_s = self._rows.clock.utc_s()
        return self._change(
            by,
            person_id,
            lambda row: replace(row, disabled_at_s=(row.disabled_at_s or now_s) if disabled else None),
        )

    def _change(self, by: Person, person_id: str, changed: Callable[[PersonRow], PersonRow]) -> PersonRow:
        now_s = self._rows.clock.utc_s()
        with self._rows.changing("change a person") as change:
            everybody = {row.person_id: row for row in change.people()}
            if person_id not in everybody:
                raise AccountRefused("no-person", f"there is no person with the id {person_id!r}")
            old = everybody[person_id]
            new = everybody[person_id] = changed(old)
            if new == old:
                return old
            if _is_admin(old) and not any(map(_is_admin, everybody.values())):
                raise AccountRefused("last-admin", f"{old.name} is the last admin; make another one first")
            change.put_person(new)
            if new.disabled_at_s is not None:
                change.end_sessions(person_id)
            before, after = _difference(old, new)
            change.write(entry(by, "person.change", new.name, before, after, now_s))
        return new

    def set_password(self, by: Person, person_id: str, password: str) -> None:
        """Give a person a new password, to be changed at the next log-in, and end all their sessions.

        Raises:
            AccountRefused: no such person, or the password is bad.
        """
        row = self.get(person_id)
        check_new(password, row.name)
        self._put_password(by, row, password, must_change=True, keep_session="")

    def change_own_password(self, person: Person, old: str, new: str, keep_session: str) -> None:
        """Change one's own password; all other sessions end.

        Args:
            person: whose.
            old: the password so far.
            new: the password from now on.
            keep_session: hash of the session that goes on.

        Raises:
            AccountRefused: the old one does not fit, or the new one is bad or the same.
        """
        row = self.get(person.person_id)
        stored = self._rows.credential(row.person_id)
        if not self._passwords.fits(stored.password_hash if stored else None, old):
            raise AccountRefused("old-password", "the present password does not fit")
        check_new(new, row.name)
        if new == old:
            raise AccountRefused("same-password", "this is the present password; take a new one")
        self._put_password(person, row, new, must_change=False, keep_session=keep_session)

    def set_language(self, person: Person, language: str) -> None:
        """Keep the language a person reads in."""
        row = self.get(person.person_id)
        if row.language != language:
            with self._rows.changing("keep a language") as change:
                change.put_person(replace(row, language=language))

    def _put_password(self, by: Person, row: PersonRow, password: str, must_change: bool, keep_session: str) -> None:
        hashed, now_s = self._passwords.hash(password), self._rows.clock.utc_s()
        with self._rows.changing("set a password") as change:
            change.put_credential(CredentialRow(row.person_id, hashed, now_s, must_change))
            change.end_sessions(row.person_id, but=keep_session)
            change.write(entry(by, "person.password", row.name, None, {"must_change": must_change}, now_s))

    def _new(self, name: str, roles: Iterable[Role], lanes: Iterable[str] | None, origin: str = "local") -> PersonRow:
        shown = " ".join(unicodedata.normalize("NFKC", name).split())
        if not _NAME.fullmatch(shown):
            raise AccountRefused(
                "bad-name",
                "a name has 1 to 64 letters, digits, blanks and . @ + - _, and starts with a letter or digit",
            )
        return PersonRow(
            person_id=uuid.uuid4().hex,
            name=shown,
            name_key=name_key(shown),
            roles=frozenset(str(Role(role)) for role in roles),
            lanes=_checked_lanes(lanes),
            origin=origin,
            created_at_s=self._rows.clock.utc_s(),
        )

    def _add(self, change: AccountChange, by: Person, row: PersonRow, hashed: str | None, must_change: bool) -> None:
        change.put_person(row)
        if hashed is not None:
            change.put_credential(CredentialRow(row.person_id, hashed, row.created_at_s, must_change))
        change.write(entry(by, "person.add", row.name, None, _told(row), row.created_at_s))


def person_of(row: PersonRow, via: Via, address: str = "", must_change: bool = False) -> Person:
    """Return who a stored person is to the rest of the program. A role that nobody knows any more gives no right."""
    roles = frozenset(Role(role) for role in row.roles if role in set(Role))
    return Person(row.person_id, row.name, roles, actions_of(roles), row.lanes, row.language, via, must_change, address)


def name_key(name: str) -> str:
    """Return a name as it is compared.

    >>> name_key("  Änne  Müller ") == name_key("änne müller")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _is_admin(row: PersonRow) -> bool:
    return row.disabled_at_s is None and str(Role.ADMIN) in row.roles and row.lanes is None


def _checked_lanes(lanes: Iterable[str] | None) -> frozenset[str] | None:
    if lanes is None:
        return None
    found = frozenset(lanes)
    for lane_id in found:
        if not _LANE.fullmatch(lane_id):
            raise AccountRefused("bad-lane", f"{lane_id!r} is no lane id; use letters, digits, - and _")
    return found


def _told(row: PersonRow) -> Values:
    return {
        "roles": sorted(row.roles),
        "lanes": "all" if row.lanes is None else sorted(row.lanes),
        "disabled": row.disabled_at_s is not None,
    }


def _difference(old: PersonRow, new: PersonRow) -> tuple[Values, Values]:
    before, after = _told(old), _told(new)
    changed = [key for key in before if before[key] != after[key]]
    return {key: before[key] for key in changed}, {key: after[key] for key in changed}
