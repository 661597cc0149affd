"""The rows of accounts: people, credentials, sessions, tokens, audit. What they mean is `app/accounts/`'s business.

Reading is one statement each. Every change happens inside `AccountStore.changing`, in one transaction with its audit
row: there is no change without one, and no row about a change that did not happen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    StaticPool,
    delete,
    func,
    insert,
    select,
    update,
)

from core.clock import Clock
from store.account_tables import (
    account_keys,
    audit,
    credentials,
    people,
    person_lanes,
    person_roles,
    sessions,
    tokens,
)
from store.faults import told_as_store_error
from store.rows import plain_text
from store.writing import writing


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as stored; `lanes` is None for all lanes."""

    person_id: str
    name: str
    name_key: str
    roles: frozenset[str]
    lanes: frozenset[str] | None
    language: str = ""
    origin: str = "local"
    created_at_s: float = 0.0
    disabled_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """What proves a person with a password."""

    person_id: str
    password_hash: str
    changed_at_s: float
    must_change: bool


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A log-in that lasts; `session_hash` is the SHA-256 of what the cookie holds."""

    session_hash: str
    person_id: str
    address: str
    agent: str
    started_at_s: float
    seen_at_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A machine's token; `token_hash` is the SHA-256 of the whole token."""

    token_id: str
    person_id: str
    label: str
    prefix: str
    token_hash: str
    scopes: frozenset[str]
    lanes: frozenset[str] | None
    created_at_s: float
    expires_at_s: float
    last_used_at_s: float | None = None
    revoked_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who changed what; `before` and `after` are JSON objects as text. `seq` is 0 until it is stored."""

    at_s: float
    person_id: str
    person_name: str
    via: str
    address: str
    action: str
    target: str
    before: str
    after: str
    seq: int = 0


class AccountChange:
    """What can be changed inside one transaction of `AccountStore.changing`; reads see the changes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def people(self) -> list[PersonRow]:
        """Return all people by name."""
        return _people(self._connection, select(people))

    def put_person(self, row: PersonRow) -> None:
        """Add a person, or replace what is stored of them."""
        values = {
            "name": plain_text(row.name),
            "name_key": plain_text(row.name_key),
            "language": row.language,
            "all_lanes": int(row.lanes is None),
            "origin": row.origin,
            "created_at_s": row.created_at_s,
            "disabled_at_s": row.disabled_at_s,
        }
        key = row.person_id
        found = self._connection.execute(update(people).where(people.c.person_id == key).values(values))
        if not found.rowcount:
            self._connection.execute(insert(people).values(person_id=key, **values))
        self._connection.execute(delete(person_roles).where(person_roles.c.person_id == key))
        self._connection.execute(delete(person_lanes).where(person_lanes.c.person_id == key))
        if row.roles:
            roles = [{"person_id": key, "role": role} for role in sorted(row.roles)]
            self._connection.execute(insert(person_roles), roles)
        if row.lanes:
            lanes = [{"person_id": key, "lane_id": plain_text(lane_id)} for lane_id in sorted(row.lanes)]
            self._connection.execute(insert(person_lanes), lanes)

    def put_credential(self, row: CredentialRow) -> None:
        """Set a person's password hash."""
        self._connection.execute(delete(credentials).where(credentials.c.person_id == row.person_id))
        self._connection.execute(insert(credentials).values(asdict(row) | {"must_change": int(row.must_change)}))

    def add_session(self, row: SessionRow) -> None:
        """Add a session."""
        safe = replace(row, agent=plain_text(row.agent), address=plain_text(row.address))
        self._connection.execute(insert(sessions).values(asdict(safe)))

    def touch_session(self, session_hash: str, seen_at_s: float) -> None:
        """Write down that a session was used."""
        mine = sessions.c.session_hash == session_hash
        self._connection.execute(update(sessions).where(mine).values(seen_at_s=seen_at_s))

    def end_sessions(self, person_id: str, but: str = "") -> int:
        """End all sessions of a person but the one with the hash `but`; return how many."""
        mine = (sessions.c.person_id == person_id) & (sessions.c.session_hash != but)
        return int(self._connection.execute(delete(sessions).where(mine)).rowcount)

    def end_session(self, session_hash: str) -> None:
        """End one session."""
        self._connection.execute(delete(sessions).where(sessions.c.session_hash == session_hash))

    def sweep_sessions(self, now_s: float) -> None:
        """Forget the sessions that are over."""
        self._connection.execute(delete(sessions).where(sessions.c.expires_at_s < now_s))

    def add_token(self, row: TokenRow) -> None:
        """Add a token."""
        values = asdict(row) | {
            "label": plain_text(row.label),
            "scopes": " ".join(sorted(row.scopes)),
            "lanes": None if row.lanes is None else " ".join(sorted(row.lanes)),
        }
        self._connection.execute(insert(tokens).values(values))

    def touch_token(self, token_id: str, used_at_s: float) -> None:
        """Write down that a token was used."""
        self._connection.execute(update(tokens).where(tokens.c.token_id == token_id).values(last_used_at_s=used_at_s))

    def revoke_token(self, token_id: str, at_s: float) -> bool:
        """Revoke a token; return False if there is none that is in force."""
        mine = (tokens.c.token_id == token_id) & tokens.c.revoked_at_s.is_(None)
        return bool(self._connection.execute(update(tokens).where(mine).values(revoked_at_s=at_s)).rowcount)

    def write(self, row: AuditRow) -> None:
        """Add a row to the audit."""
        values = {name: plain_text(value) if isinstance(value, str) else value for name, value in asdict(row).items()}
        del values["seq"]
        self._connection.execute(insert(audit).values(values))


class AccountStore:
    """The rows of accounts in the store's database.

    Args:
        engine: of the store, migrated.
        shown_url: redacted, for messages.
        clock: tells when a key was made.
        write_lock: the store's: writers of one process queue there.
    """

    def __init__(self, engine: Engine, shown_url: str, clock: Clock, write_lock: threading.RLock) -> None:
        self._engine, self._shown_url, self.clock, self._write_lock = engine, shown_url, clock, write_lock
        self._one_connection = isinstance(engine.pool, StaticPool)

    @contextmanager
    def changing(self, doing: str) -> Iterator[AccountChange]:
        """Give what changes rows; all of it is stored at the end, or nothing after an error.

        Args:
            doing: what is tried, for messages, such as "add a person".

        Raises:
            StoreUnavailable: the database is away, locked or full.
        """
        with self._write_lock, told_as_store_error(self._shown_url, doing), writing(self._engine) as connection:
            yield AccountChange(connection)

    def people(self) -> list[PersonRow]:
        """Return all people by name."""
        with self._reading("read people") as connection:
            return _people(connection, select(people))

    def person(self, person_id: str) -> PersonRow | None:
        """Return a person by id."""
        with self._reading("read a person") as connection:
            return next(iter(_people(connection, select(people).where(people.c.person_id == person_id))), None)

    def person_by_key(self, name_key: str) -> PersonRow | None:
        """Return a person by the name as it is compared."""
        wanted = select(people).where(people.c.name_key == plain_text(name_key))
        with self._reading("read a person") as connection:
            return next(iter(_people(connection, wanted)), None)

    def credential(self, person_id: str) -> CredentialRow | None:
        """Return a person's password hash, None if they have none."""
        rows = self._read(select(credentials).where(credentials.c.person_id == person_id), "read a credential")
        return CredentialRow(**{**rows[0], "must_change": bool(rows[0]["must_change"])}) if rows else None

    def session(self, session_hash: str) -> SessionRow | None:
        """Return a session, over or not."""
        rows = self._read(select(sessions).where(sessions.c.session_hash == session_hash), "read a session")
        return SessionRow(**rows[0]) if rows else None

    def sessions(self, person_id: str) -> list[SessionRow]:
        """Return a person's sessions, latest used first."""
        mine = select(sessions).where(sessions.c.person_id == person_id).order_by(sessions.c.seen_at_s.desc())
        return [SessionRow(**row) for row in self._read(mine, "read sessions")]

    def token(self, token_hash: str) -> TokenRow | None:
        """Return a token by its hash, in force or not."""
        rows = self._read(select(tokens).where(tokens.c.token_hash == token_hash), "read a token")
        return _token(rows[0]) if rows else None

    def tokens(self) -> list[TokenRow]:
        """Return all tokens, latest made first."""
        rows = self._read(select(tokens).order_by(tokens.c.created_at_s.desc(), tokens.c.token_id), "read tokens")
        return [_token(row) for row in rows]

    def audit(self, limit: int, before_seq: int | None = None, action: str = "", person: str = "") -> list[AuditRow]:
        """Return rows of the audit, latest first.

        Args:
            limit: at most so many.
            before_seq: only those with a lower number, for paging.
            action: only those whose action starts so.
            person: only those of the person with this name.
        """
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if before_seq is not None:
            query = query.where(audit.c.seq < before_seq)
        if action:
            query = query.where(audit.c.action.startswith(plain_text(action), autoescape=True))
        if person:
            query = query.where(func.lower(audit.c.person_name) == plain_text(person).lower())
        return [AuditRow(**row) for row in self._read(query, "read the audit")]

    def key(self, name: str, new: str) -> str:
        """Return a key that was stored under `name`; `new` is stored if there is none yet."""
        wanted = select(account_keys.c.value).where(account_keys.c.name == name)
        with self._reading("read a key") as connection:
            found = connection.execute(wanted).scalar()
        if found is not None:
            return str(found)
        with self._write_lock, told_as_store_error(self._shown_url, "keep a key"), writing(self._engine) as connection:
            found = connection.execute(wanted).scalar()
            if found is None:
                connection.execute(insert(account_keys).values(name=name, value=new))
            return new if found is None else str(found)

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Connection]:
        if self._one_connection:
            with self._write_lock, told_as_store_error(self._shown_url, doing), self._engine.begin() as connection:
                yield connection
        else:
            with told_as_store_error(self._shown_url, doing), self._engine.begin() as connection:
                yield connection

    def _read(self, query: Select[Any], doing: str) -> Sequence[RowMapping]:
        with self._reading(doing) as connection:
            return connection.execute(query).mappings().all()


def _people(connection: Connection, query: Select[Any]) -> list[PersonRow]:
    heads = connection.execute(query.order_by(people.c.name_key)).mappings().all()
    ids = [head["person_id"] for head in heads]
    roles: dict[str, set[str]] = {key: set() for key in ids}
    lanes: dict[str, set[str]] = {key: set() for key in ids}
    for person_id, role in connection.execute(select(person_roles).where(person_roles.c.person_id.in_(ids))):
        roles[person_id].add(role)
    for person_id, lane_id in connection.execute(select(person_lanes).where(person_lanes.c.person_id.in_(ids))):
        lanes[person_id].add(lane_id)
    return [
        PersonRow(
            person_id=(key := head["person_id"]),
            name=head["name"],
            name_key=head["name_key"],
            roles=frozenset(roles[key]),
            lanes=None if head["all_lanes"] else frozenset(lanes[key]),
            language=head["language"],
            origin=head["origin"],
            created_at_s=head["created_at_s"],
            disabled_at_s=head["disabled_at_s"],
        )
        for head in heads
    ]


def _token(row: RowMapping) -> TokenRow:
    lanes = row["lanes"]
    return TokenRow(
        **{
            **row,
            "scopes": frozenset(row["scopes"].split()),
            "lanes": None if lanes is None else frozenset(lanes.split()),
        }
    )
