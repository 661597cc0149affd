"""Figures for the dashboards: minute roll-ups, the dimensions to join, and the views that charts read."""

import sqlalchemy as sa
from alembic import op

from store.migrations.views_v0004 import view_statements

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make tables, indices and views."""
    op.create_index("ix_events_kind_decided_at_s", "events", ["kind", "decided_at_s"])
    _make_dimensions()
    _make_lane_minutes()
    _make_minute_counts("lane_minute_drops", sa.Column("reason", sa.Text, nullable=False))
    _make_minute_counts("lane_minute_latency", sa.Column("to_ms", sa.Integer, autoincrement=False, nullable=False))
    op.create_table(
        "site_minutes",
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("minute_s", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("run_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("outbox_depth", sa.BigInteger),
        sa.Column("storage_free_bytes", sa.BigInteger),
        sa.PrimaryKeyConstraint("site", "minute_s", "run_ms", name="pk_site_minutes"),
    )
    op.create_index("ix_site_minutes_minute_s", "site_minutes", ["minute_s"])
    for statement in view_statements(op.get_bind().dialect.name):
        # A colon that is not escaped would be taken for a parameter.
        op.execute(sa.text(statement.replace(":", r"\:")))


def _make_dimensions() -> None:
    op.create_table(
        "sites",
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("updated_at_s", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("site", name="pk_sites"),
    )
    op.create_table(
        "site_offsets",
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("from_s", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("offset_s", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("site", "from_s", name="pk_site_offsets"),
        sa.ForeignKeyConstraint(["site"], ["sites.site"], name="fk_site_offsets_site"),
    )
    op.create_table(
        "lanes",
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("live", sa.SmallInteger, nullable=False),
        sa.Column("updated_at_s", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("lane_id", name="pk_lanes"),
        sa.ForeignKeyConstraint(["site"], ["sites.site"], name="fk_lanes_site"),
    )
    op.create_table(
        "dishes",
        sa.Column("dish", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("price_cents", sa.BigInteger, nullable=False),
        sa.Column("plu", sa.Text, nullable=False),
        sa.Column("on_menu", sa.SmallInteger, nullable=False),
        sa.Column("updated_at_s", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("dish", name="pk_dishes"),
    )


def _make_lane_minutes() -> None:
    op.create_table(
        "lane_minutes",
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("minute_s", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("run_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("watched_s", sa.Double, nullable=False),
        sa.Column("up_s", sa.Double, nullable=False),
        sa.Column("frames", sa.BigInteger, nullable=False),
        sa.Column("latency_sum_s", sa.Double, nullable=False),
        sa.Column("reconnects", sa.Integer, nullable=False),
        sa.Column("asks", sa.Integer, nullable=False),
        sa.Column("bills", sa.Integer, nullable=False),
        sa.Column("spool_depth", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("lane_id", "minute_s", "run_ms", name="pk_lane_minutes"),
    )
    op.create_index("ix_lane_minutes_minute_s", "lane_minutes", ["minute_s"])


def _make_minute_counts(name: str, by: sa.Column[str] | sa.Column[int]) -> None:
    op.create_table(
        name,
        sa.Column("lane_id", sa.Text, nullable=False),
        sa.Column("minute_s", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("run_ms", sa.BigInteger, autoincrement=False, nullable=False),
        by,
        sa.Column("frames", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("lane_id", "minute_s", "run_ms", by.name, name=f"pk_{name}"),
    )
    op.create_index(f"ix_{name}_minute_s", name, ["minute_s"])
