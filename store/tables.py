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
    Index("ix_events_kind_decided_at_s", "kind", "decided_at_s"),
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

# --- what the dashboards' views join and sum up: see docs/dashboards.md ---------------------------------------------

sites = Table(
    "sites",
    metadata,
    Column("site", Text, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("updated_at_s", Double, nullable=False),
)

#: Local time minus UTC of a site in each span of time, so that summer's hours stay summer's.
site_offsets = Table(
    "site_offsets",
    metadata,
    Column("site", Text, ForeignKey("sites.site", name="fk_site_offsets_site"), primary_key=True),
    Column("from_s", BigInteger, primary_key=True, autoincrement=False),
    Column("until_s", BigInteger, nullable=False),
    Column("offset_s", Integer, nullable=False),
)

lanes = Table(
    "lanes",
    metadata,
    Column("lane_id", Text, primary_key=True),
    Column("site", Text, ForeignKey("sites.site", name="fk_lanes_site"), nullable=False),
    Column("source", Text, nullable=False),
    Column("live", SmallInteger, nullable=False),
    Column("updated_at_s", Double, nullable=False),
)

#: The menu as it was served last; dishes that left the menu stay, for the bills that have them.
dishes = Table(
    "dishes",
    metadata,
    Column("dish", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("price_cents", BigInteger, nullable=False),
    Column("plu", Text, nullable=False),
    Column("on_menu", SmallInteger, nullable=False),
    Column("updated_at_s", Double, nullable=False),
)

#: One row per lane, minute and run of the program: a minute that is written again replaces itself, two runs add up.
lane_minutes = Table(
    "lane_minutes",
    metadata,
    Column("lane_id", Text, primary_key=True),
    Column("minute_s", BigInteger, primary_key=True, autoincrement=False),
    Column("run_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("watched_s", Double, nullable=False),
    Column("up_s", Double, nullable=False),
    Column("frames", BigInteger, nullable=False),
    Column("latency_sum_s", Double, nullable=False),
    Column("reconnects", Integer, nullable=False),
    Column("asks", Integer, nullable=False),
    Column("bills", Integer, nullable=False),
    Column("spool_depth", BigInteger, nullable=False),
    Index("ix_lane_minutes_minute_s", "minute_s"),
)

lane_minute_drops = Table(
    "lane_minute_drops",
    metadata,
    Column("lane_id", Text, primary_key=True),
    Column("minute_s", BigInteger, primary_key=True, autoincrement=False),
    Column("run_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, primary_key=True),
    Column("frames", BigInteger, nullable=False),
    Index("ix_lane_minute_drops_minute_s", "minute_s"),
)

#: Counts per bucket of capture -> decision; `to_ms` is the bucket's upper bound, `OPEN_MS` that of the last one.
lane_minute_latency = Table(
    "lane_minute_latency",
    metadata,
    Column("lane_id", Text, primary_key=True),
    Column("minute_s", BigInteger, primary_key=True, autoincrement=False),
    Column("run_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("to_ms", Integer, primary_key=True, autoincrement=False),
    Column("frames", BigInteger, nullable=False),
    Index("ix_lane_minute_latency_minute_s", "minute_s"),
)

#: What a whole site has once; null is unknown.
site_minutes = Table(
    "site_minutes",
    metadata,
    Column("site", Text, primary_key=True),
    Column("minute_s", BigInteger, primary_key=True, autoincrement=False),
    Column("run_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("outbox_depth", BigInteger),
    Column("storage_free_bytes", BigInteger),
    Index("ix_site_minutes_minute_s", "minute_s"),
)
