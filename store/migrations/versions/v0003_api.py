"""Repeated requests, consumers' cursors and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables behind the API and the publishers."""
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("request_sha256", sa.Text, nullable=False),
        sa.Column("created_at_s", sa.Double, nullable=False),
        sa.Column("expires_at_s", sa.Double, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.Text),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_expires_at_s", "idempotency_keys", ["expires_at_s"])
    op.create_table(
        "outbox_cursors",
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("done_seq", sa.BigInteger, nullable=False),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_try_s", sa.Double),
        sa.Column("next_try_s", sa.Double),
        sa.Column("last_done_s", sa.Double),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("consumer", "lane_id", name="pk_outbox_cursors"),
    )
    op.create_table(
        "dead_letters",
        sa.Column("letter_id", _SEQ, sa.Identity(always=True), nullable=False),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("event_seq", _SEQ, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("died_at_s", sa.Double, nullable=False),
        sa.Column("resend_at_s", sa.Double),
        sa.Column("resent_at_s", sa.Double),
        sa.PrimaryKeyConstraint("letter_id", name="pk_dead_letters"),
        sa.UniqueConstraint("consumer", "event_seq", name="uq_dead_letters_consumer"),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name="fk_dead_letters_event_seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dead_letters_resend_at_s", "dead_letters", ["resend_at_s"])
