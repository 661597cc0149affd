"""The tables behind the API and the publishers: repeated requests, how far each consumer of events is, what died."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Identity, Index, Integer, Table, Text, UniqueConstraint

from store.tables import metadata

_SEQ = BigInteger().with_variant(Integer, "sqlite")

#: What a POST with an `Idempotency-Key` was answered; `status` is null while it is at work.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_sha256", Text, nullable=False),
    Column("created_at_s", Double, nullable=False),
    Column("expires_at_s", Double, nullable=False),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", Text),
    Index("ix_idempotency_keys_expires_at_s", "expires_at_s"),
)

#: How far each consumer is in each lane's events; the row with an empty lane id is where the consumer began.
outbox_cursors = Table(
    "outbox_cursors",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("lane_id", Text, primary_key=True),
    Column("done_seq", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_try_s", Double),
    Column("next_try_s", Double),
    Column("last_done_s", Double),
    Column("last_error", Text, nullable=False),
)

#: Events that a consumer would not take, for people to see and to send again.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("letter_id", _SEQ, Identity(always=True), primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("event_seq", _SEQ, ForeignKey("events.seq", name="fk_dead_letters_event_seq"), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("died_at_s", Double, nullable=False),
    Column("resend_at_s", Double),
    Column("resent_at_s", Double),
    UniqueConstraint("consumer", "event_seq"),
    Index("ix_dead_letters_resend_at_s", "resend_at_s"),
    sqlite_autoincrement=True,
)
