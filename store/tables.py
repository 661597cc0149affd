"""The tables as they are after the last migration (a test holds the two equal).

Money is integer cents: exact on both engines. Times are seconds as 8-byte floats, which both engines return bit by bit.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

# SQLite gives row ids only to a column that is spelled INTEGER.
SEQ = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"})

#: Append-only: triggers refuse UPDATE and DELETE.
events = Table(
    "events",
    metadata,
    Column("seq", SEQ, Identity(always=True), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("track_id", BigInteger),
    Column("decided_at_s", Double, nullable=False),
    Column("stream_s", Double, nullable=False),
    Column("zone", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("bill_id", Text, nullable=False),
    Column("dish", Text, nullable=False),
    Column("price_cents", BigInteger),
    Column("revision", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("config_sha256", Text, nullable=False),
    Column("schema_version", SmallInteger, nullable=False),
    Column("stored_at_s", Double, nullable=False),
    UniqueConstraint("event_id"),
    Index("ix_events_lane_id_seq", "lane_id", "seq"),
    Index("ix_events_bill_id_seq", "bill_id", "seq"),
    sqlite_autoincrement=True,
)

#: The latest revision of each bill: a projection of its events.
bills = Table(
    "bills",
    metadata,
    Column("bill_id", Text, primary_key=True),
    Column("lane_id", Text, nullable=False),
    Column("opened_s", Double, nullable=False),
    Column("closed_s", Double),
    Column("opened_at_s", Double, nullable=False),
    Column("closed_at_s", Double),
    Column("revision", Integer, nullable=False),
    Column("close_reason", Text, nullable=False),
    Column("total_cents", BigInteger, nullable=False),
    Index("ix_bills_lane_id_opened_at_s", "lane_id", "opened_at_s"),
    Index("ix_bills_opened_at_s", "opened_at_s"),
)

bill_lines = Table(
    "bill_lines",
    metadata,
    Column(
        "bill_id",
        Text,
        ForeignKey("bills.bill_id", name="fk_bill_lines_bill_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("line_no", Integer, primary_key=True, autoincrement=False),
    Column("track_id", BigInteger, nullable=False),
    Column("dish", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_cents", BigInteger, nullable=False),
    Column("t_s", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("x1", Double, nullable=False),
    Column("y1", Double, nullable=False),
    Column("x2", Double, nullable=False),
    Column("y2", Double, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("lane_id", Text, primary_key=True),
    Column("stream_key", Text, primary_key=True),
    Column("stream_s", Double, nullable=False),
    Column("frame_index", BigInteger, nullable=False),
    Column("last_track_id", BigInteger, nullable=False),
)

#: One row per event that a publisher still has to send (`published_at_s` is null) or has sent.
outbox = Table(
    "outbox",
    metadata,
    Column(
        "event_seq",
        SEQ,
        ForeignKey("events.seq", name="fk_outbox_event_seq"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("published_at_s", Double),
    Index("ix_outbox_published_at_s", "published_at_s"),
)
