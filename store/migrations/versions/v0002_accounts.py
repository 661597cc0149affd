"""Accounts: people, roles, lanes, credentials, sessions, tokens, keys, and the audit that nobody can edit."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_SQLITE_GUARDS = (
    "CREATE TRIGGER audit_refuse_update BEFORE UPDATE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only: update refused'); END",
    "CREATE TRIGGER audit_refuse_delete BEFORE DELETE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only: delete refused'); END",
)
_POSTGRES_GUARDS = (
    "CREATE FUNCTION traylane_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit is append-only: % refused', lower(TG_OP); END $$",
    "CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION traylane_audit_refuse()",
)


def upgrade() -> None:
    """Make all tables and guards."""
    _make_people()
    _make_proofs()
    op.create_table(
        "audit",
        sa.Column("seq", _SEQ, sa.Identity(always=True), nullable=False),
        sa.Column("at_s", sa.Double, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("person_name", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_action_seq", "audit", ["action", "seq"])
    op.create_index("ix_audit_person_id_seq", "audit", ["person_id", "seq"])
    guards = _POSTGRES_GUARDS if op.get_bind().dialect.name == "postgresql" else _SQLITE_GUARDS
    for guard in guards:
        op.execute(guard)


def _of_person(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["person_id"], ["people.person_id"], name=f"fk_{table}_person_id", ondelete="CASCADE"
    )


def _make_people() -> None:
    op.create_table(
        "people",
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("all_lanes", sa.SmallInteger, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("created_at_s", sa.Double, nullable=False),
        sa.Column("disabled_at_s", sa.Double),
        sa.PrimaryKeyConstraint("person_id", name="pk_people"),
        sa.UniqueConstraint("name_key", name="uq_people_name_key"),
    )
    for table, column in (("person_roles", "role"), ("person_lanes", "lane_id")):
        op.create_table(
            table,
            sa.Column("person_id", sa.Text, nullable=False),
            sa.Column(column, sa.Text, nullable=False),
            sa.PrimaryKeyConstraint("person_id", column, name=f"pk_{table}"),
            _of_person(table),
        )


def _make_proofs() -> None:
    op.create_table(
        "credentials",
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("changed_at_s", sa.Double, nullable=False),
        sa.Column("must_change", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_credentials"),
        _of_person("credentials"),
    )
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.Text, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("started_at_s", sa.Double, nullable=False),
        sa.Column("seen_at_s", sa.Double, nullable=False),
        sa.Column("expires_at_s", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("session_hash", name="pk_sessions"),
        _of_person("sessions"),
    )
    op.create_index("ix_sessions_person_id", "sessions", ["person_id"])
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("lanes", sa.Text),
        sa.Column("created_at_s", sa.Double, nullable=False),
        sa.Column("expires_at_s", sa.Double, nullable=False),
        sa.Column("last_used_at_s", sa.Double),
        sa.Column("revoked_at_s", sa.Double),
        sa.PrimaryKeyConstraint("token_id", name="pk_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_tokens_token_hash"),
        _of_person("tokens"),
    )
    op.create_index("ix_tokens_person_id", "tokens", ["person_id"])
    op.create_table(
        "account_keys",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_account_keys"),
    )
