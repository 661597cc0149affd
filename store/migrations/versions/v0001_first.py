"""The first schema: events, bills, lines, checkpoints, outbox, and the triggers that keep events as they are."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_SQLITE_GUARDS = (
    "CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only: update refused'); END",
    "CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'events are append-only: delete refused'); END",
)
_POSTGRES_GUARDS = (
    "CREATE FUNCTION traylane_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'events are append-only: % refused', lower(TG_OP); END $$",
    "CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
    "FOR EACH STATEMENT EXECUTE FUNCTION traylane_events_refuse()",
)


def upgrade() -> None:
    """Make all tables and guards."""
    _make_events()
    _make_bills()
    op.create_table(
        "checkpoints",
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("stream_key", sa.Text, nullable=False),
        sa.Column("stream_s", sa.Double, nullable=False),
        sa.Column("frame_index", sa.BigInteger, nullable=False),
        sa.Column("last_track_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("lane_id", "stream_key", name="pk_checkpoints"),
    )
    op.create_table(
        "outbox",
        sa.Column("event_seq", _SEQ, autoincrement=False, nullable=False),
        sa.Column("published_at_s", sa.Double),
        sa.PrimaryKeyConstraint("event_seq", name="pk_outbox"),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name="fk_outbox_event_seq"),
    )
    op.create_index("ix_outbox_published_at_s", "outbox", ["published_at_s"])
    guards = _POSTGRES_GUARDS if op.get_bind().dialect.name == "postgresql" else _SQLITE_GUARDS
    for guard in guards:
        op.execute(guard)


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", _SEQ, sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("track_id", sa.BigInteger),
        sa.Column("decided_at_s", sa.Double, nullable=False),
        sa.Column("stream_s", sa.Double, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("bill_id", sa.Text, nullable=False),
        sa.Column("dish", sa.Text, nullable=False),
        sa.Column("price_cents", sa.BigInteger),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("config_sha256", sa.Text, nullable=False),
        sa.Column("schema_version", sa.SmallInteger, nullable=False),
        sa.Column("stored_at_s", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.UniqueConstraint("event_id", name="uq_events_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_lane_id_seq", "events", ["lane_id", "seq"])
    op.create_index("ix_events_bill_id_seq", "events", ["bill_id", "seq"])


def _make_bills() -> None:
    op.create_table(
        "bills",
        sa.Column("bill_id", sa.Text, nullable=False),
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("opened_s", sa.Double, nullable=False),
        sa.Column("closed_s", sa.Double),
        sa.Column("opened_at_s", sa.Double, nullable=False),
        sa.Column("closed_at_s", sa.Double),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("close_reason", sa.Text, nullable=False),
        sa.Column("total_cents", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("bill_id", name="pk_bills"),
    )
    op.create_index("ix_bills_lane_id_opened_at_s", "bills", ["lane_id", "opened_at_s"])
    op.create_index("ix_bills_opened_at_s", "bills", ["opened_at_s"])
    op.create_table(
        "bill_lines",
        sa.Column("bill_id", sa.Text, nullable=False),
        sa.Column("line_no", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("track_id", sa.BigInteger, nullable=False),
        sa.Column("dish", sa.Text, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price_cents", sa.BigInteger, nullable=False),
        sa.Column("t_s", sa.Double, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("x1", sa.Double, nullable=False),
        sa.Column("y1", sa.Double, nullable=False),
        sa.Column("x2", sa.Double, nullable=False),
        sa.Column("y2", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("bill_id", "line_no", name="pk_bill_lines"),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.bill_id"], name="fk_bill_lines_bill_id", ondelete="CASCADE"),
    )
