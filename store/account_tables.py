"""The tables of accounts, as they are after the last migration; the same metadata as `store/tables.py`.

No secret is in them: passwords are argon2 hashes, session ids and tokens are SHA-256 of 32 random bytes. `account_keys`
holds what signs the cookies of forms.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, Identity, Index, SmallInteger, Table, Text, UniqueConstraint

from store.tables import SEQ, metadata


def _person(table: str, primary_key: bool) -> Column[str]:
    key = ForeignKey("people.person_id", name=f"fk_{table}_person_id", ondelete="CASCADE")
    return Column("person_id", Text, key, primary_key=primary_key, nullable=False)


people = Table(
    "people",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    #: The name as it is compared: "Ann" and "ann" are one person.
    Column("name_key", Text, nullable=False),
    Column("language", Text, nullable=False),
    #: 1: all lanes, those that come later, too; 0: those in `person_lanes`.
    Column("all_lanes", SmallInteger, nullable=False),
    Column("origin", Text, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("disabled_at_s", Double),
    UniqueConstraint("name_key"),
)

person_roles = Table(
    "person_roles",
    metadata,
    _person("person_roles", primary_key=True),
    Column("role", Text, primary_key=True),
)

person_lanes = Table(
    "person_lanes",
    metadata,
    _person("person_lanes", primary_key=True),
    Column("lane_id", Text, primary_key=True),
)

credentials = Table(
    "credentials",
    metadata,
    _person("credentials", primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("changed_at_s", Double, nullable=False),
    #: 1: made by somebody else, to be changed at the first log-in.
    Column("must_change", SmallInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", Text, primary_key=True),
    _person("sessions", primary_key=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("started_at_s", Double, nullable=False),
    Column("seen_at_s", Double, nullable=False),
    Column("expires_at_s", Double, nullable=False),
    Index("ix_sessions_person_id", "person_id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Text, primary_key=True),
    _person("tokens", primary_key=False),
    Column("label", Text, nullable=False),
    #: The first letters, by which people recognise it.
    Column("prefix", Text, nullable=False),
    Column("token_hash", Text, nullable=False),
    #: Words apart by blanks; lanes are null where the token may see all that its owner may.
    Column("scopes", Text, nullable=False),
    Column("lanes", Text),
    Column("created_at_s", Double, nullable=False),
    Column("expires_at_s", Double, nullable=False),
    Column("last_used_at_s", Double),
    Column("revoked_at_s", Double),
    UniqueConstraint("token_hash"),
    Index("ix_tokens_person_id", "person_id"),
)

account_keys = Table(
    "account_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

#: Append-only: triggers refuse UPDATE and DELETE. It names people by id and by their name of that time.
audit = Table(
    "audit",
    metadata,
    Column("seq", SEQ, Identity(always=True), primary_key=True),
    Column("at_s", Double, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("person_name", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    #: JSON objects.
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Index("ix_audit_action_seq", "action", "seq"),
    Index("ix_audit_person_id_seq", "person_id", "seq"),
    sqlite_autoincrement=True,
)
