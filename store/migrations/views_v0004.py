"""The views of schema step 0004: what the dashboards, Grafana or a spreadsheet read. One text for both engines.

Rules that make the two engines agree:

- Only three things are spelled differently (`_DIALECTS`): whole seconds of a float, a UTC time of seconds, a key of an
  event's detail. Everything else is integer arithmetic on epoch seconds and standard SQL.
- Times are UTC `YYYY-MM-DD HH:MM:SS` (`…_utc`) and the site's own time (`…_local`), by the offsets of `site_offsets`.
  Weekdays are "1 Mon" to "7 Sun": they sort as they should.
- Money is cents in the tables and becomes currency once, here. A sum of integers is cast back to an integer
  (PostgreSQL makes it a decimal), a share is cast to a float before it is divided.
- Unknown is null: a share of nothing, a percentile of no frame, a review that nobody made.
- Every view has `site` and `lane`, so that one clause can narrow what a viewer may see.

The file belongs to its migration and never changes; the next change of a view is a new step that drops and makes it.
"""

# ruff: noqa: S608 - all of this text is written here; nothing from outside gets into it
from __future__ import annotations

#: Upper bounds of the latency buckets that the views know, in milliseconds; the last bucket is above all.
BOUNDS_MS = (
    *(10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 200),
    *(250, 300, 350, 400, 500, 750, 1000, 1500, 2000, 5000),
)

_Z = 1.959963984540054  # two-sided 95 %

_DIALECTS = {
    "sqlite": {
        "whole": "CAST({0} AS INTEGER)",
        "utc": "datetime({0}, 'unixepoch')",
        "text_of": "json_extract({0}, '$.{1}')",
    },
    "postgresql": {
        "whole": "CAST(floor({0}) AS BIGINT)",
        "utc": "(to_timestamp({0}) AT TIME ZONE 'UTC')",
        "text_of": "(CAST({0} AS json) ->> '{1}')",
    },
}


def quantile(share: float, total: str, below: str) -> str:
    """Return SQL for a quantile of a histogram in milliseconds, linear inside its bucket; null of no frame.

    Args:
        share: 0.95 for p95.
        total: SQL for the number of frames.
        below: SQL for the number of frames up to `{ms}`. Above all bounds the answer is the highest bound.
    """
    wanted = f"({share} * {total})"
    cases = [f"WHEN COALESCE({total}, 0) = 0 THEN NULL"]
    low = 0
    for bound in BOUNDS_MS:
        under, over = "0" if low == 0 else below.format(ms=low), below.format(ms=bound)
        inside = f"CAST({wanted} - {under} AS DOUBLE PRECISION) / ({over} - {under})"
        cases.append(f"WHEN {over} >= {wanted} THEN {low} + {bound - low} * ({inside})")
        low = bound
    return f"CAST(CASE {' '.join(cases)} ELSE {low} END AS DOUBLE PRECISION)"


def wilson(side: str, good: str, total: str) -> str:
    """Return SQL for the lower (`-`) or upper (`+`) end of Wilson's 95 % interval of good / total; null of nothing."""
    k, n = f"CAST({good} AS DOUBLE PRECISION)", f"CAST({total} AS DOUBLE PRECISION)"
    square = _Z * _Z
    middle = f"({k} + {square / 2})"
    spread = f"{_Z} * sqrt({k} * ({n} - {k}) / {n} + {square / 4})"
    return f"CASE WHEN {total} > 0 THEN ({middle} {side} {spread}) / ({n} + {square}) END"


class _Sql:
    """Writes the pieces that differ between engines."""

    def __init__(self, dialect: str) -> None:
        self._words = _DIALECTS[dialect]

    def whole(self, seconds: str) -> str:
        return self._words["whole"].format(seconds)

    def utc(self, seconds: str) -> str:
        return self._words["utc"].format(seconds)

    def text_of(self, detail: str, key: str) -> str:
        return self._words["text_of"].format(detail, key)

    def times(self, name: str, seconds: str, step_s: int = 1) -> str:
        """Return the columns of a moment, or of the hour or day it lies in; `o` is the site's offset."""
        at = self.whole(seconds)
        local = f"({at} + COALESCE(o.offset_s, 0))"
        start = local if step_s == 1 else f"({local} / {step_s} * {step_s})"
        utc = at if step_s == 1 else f"({start} - COALESCE(o.offset_s, 0))"
        hour = f"({local} % 86400 / 3600)"
        columns = [f"{self.utc(utc)} AS {name}_utc", f"{self.utc(start)} AS {name}_local"]
        if step_s < 86400:
            label = f"CASE WHEN {hour} < 10 THEN '0' ELSE '' END || CAST({hour} AS TEXT) || ':00'"
            columns += [f"{hour} AS local_hour", f"{label} AS hour_of_day"]
        # 1970-01-01 was a Thursday.
        day = f"(({local} / 86400 + 3) % 7)"
        names = " ".join(
            f"WHEN {i} THEN '{i + 1} {word}'" for i, word in enumerate(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"])
        )
        columns.append(f"CASE {day} {names} ELSE '7 Sun' END AS weekday")
        return ", ".join(columns)

    def place(self, row: str, seconds: str) -> str:
        """Return the joins that give a row of a lane its site `l.site` and its offset `o.offset_s`."""
        return (
            f"LEFT JOIN lanes l ON l.lane_id = {row}.lane_id "
            f"LEFT JOIN site_offsets o ON o.site = l.site AND {seconds} >= o.from_s AND {seconds} < o.until_s"
        )


_SITE = "COALESCE(l.site, 'unknown') AS site"


def _title(dish: str, dimension: str) -> str:
    """Return what people read: the title, the label of a dish that no menu knew, or what no dish means."""
    return f"COALESCE({dimension}.title, CASE WHEN {dish} = '' THEN 'nothing' ELSE {dish} END)"


def _sales(sql: _Sql) -> dict[str, str]:
    lines = f"""
        SELECT {_SITE}, b.lane_id AS lane, b.bill_id, i.line_no, {sql.times("sold", "b.closed_at_s")},
               i.dish, {_title("i.dish", "d")} AS title, COALESCE(NULLIF(d.category, ''), 'other') AS category,
               i.quantity, CAST(i.unit_price_cents AS DOUBLE PRECISION) / 100 AS unit_price,
               CAST(i.quantity * i.unit_price_cents AS DOUBLE PRECISION) / 100 AS revenue, i.confidence
        FROM bills b JOIN bill_lines i ON i.bill_id = b.bill_id
             LEFT JOIN dishes d ON d.dish = i.dish {sql.place("b", "b.closed_at_s")}
        WHERE b.closed_at_s IS NOT NULL"""
    sold = f"""
        SELECT {_SITE}, b.lane_id AS lane, {sql.times("hour", "b.closed_at_s", 3600)}, b.bill_id, i.dish,
               {_title("i.dish", "d")} AS title, COALESCE(NULLIF(d.category, ''), 'other') AS category,
               i.quantity, i.quantity * i.unit_price_cents AS cents
        FROM bills b JOIN bill_lines i ON i.bill_id = b.bill_id
             LEFT JOIN dishes d ON d.dish = i.dish {sql.place("b", "b.closed_at_s")}
        WHERE b.closed_at_s IS NOT NULL"""
    sums = """CAST(SUM(quantity) AS BIGINT) AS items, COUNT(*) AS bill_lines, COUNT(DISTINCT bill_id) AS bills,
              CAST(SUM(cents) AS DOUBLE PRECISION) / 100 AS revenue"""
    hour = "site, lane, hour_utc, hour_local, local_hour, hour_of_day, weekday"
    bills = f"""
        SELECT {_SITE}, b.lane_id AS lane, b.bill_id, {sql.times("opened", "b.opened_at_s")},
               {sql.utc(sql.whole("b.closed_at_s"))} AS closed_utc,
               CASE WHEN b.closed_at_s IS NULL THEN 'open' WHEN i.items IS NULL THEN 'empty' ELSE 'billed' END
               AS result,
               b.close_reason, b.revision, COALESCE(i.bill_lines, 0) AS bill_lines, COALESCE(i.items, 0) AS items,
               CAST(b.total_cents AS DOUBLE PRECISION) / 100 AS total, b.closed_at_s - b.opened_at_s AS open_for_s,
               COALESCE(e.asks, 0) AS asks, COALESCE(e.corrections, 0) AS corrections
        FROM bills b
             LEFT JOIN (SELECT bill_id, COUNT(*) AS bill_lines, CAST(SUM(quantity) AS BIGINT) AS items
                        FROM bill_lines GROUP BY bill_id) i ON i.bill_id = b.bill_id
             LEFT JOIN (SELECT bill_id, CAST(SUM(CASE kind WHEN 'ask' THEN 1 ELSE 0 END) AS BIGINT) AS asks,
                               CAST(SUM(CASE kind WHEN 'correction' THEN 1 ELSE 0 END) AS BIGINT) AS corrections
                        FROM events WHERE kind IN ('ask', 'correction') GROUP BY bill_id) e ON e.bill_id = b.bill_id
             {sql.place("b", "b.opened_at_s")}"""
    return {
        "v_lines": lines,
        "v_bills": bills,
        "v_items_hourly": f"SELECT {hour}, {sums} FROM ({sold}) s GROUP BY {hour}",
        "v_sales_hourly": f"SELECT {hour}, dish, title, category, {sums} FROM ({sold}) s "
        f"GROUP BY {hour}, dish, title, category",
    }


def _running(sql: _Sql) -> dict[str, str]:
    hour = "site, lane, hour_utc, hour_local, local_hour, hour_of_day, weekday"
    minute = f"{_SITE}, m.lane_id AS lane, {sql.times('hour', 'm.minute_s', 3600)}"

    def quarters(table: str, by: str) -> str:
        # Offsets are whole quarters of an hour: sum up to these first, by integers alone, before anything is joined.
        quarter = "minute_s / 900 * 900"
        return (
            f"SELECT lane_id, {quarter} AS minute_s, {by}, CAST(SUM(frames) AS BIGINT) AS frames "
            f"FROM {table} GROUP BY lane_id, {quarter}, {by}"
        )

    up_to = ", ".join(
        f"CAST(SUM(CASE WHEN to_ms <= {bound} THEN frames ELSE 0 END) AS BIGINT) AS le_{bound}" for bound in BOUNDS_MS
    )
    percentiles = ", ".join(f"{quantile(p / 100, 'frames', 'le_{ms}')} AS p{p}_ms" for p in (50, 95, 99))
    latency = f"""
        SELECT h.*, {percentiles} FROM (
            SELECT {hour}, CAST(SUM(frames) AS BIGINT) AS frames, {up_to}
            FROM (SELECT {minute}, m.to_ms, m.frames FROM ({quarters("lane_minute_latency", "to_ms")}) m
                  {sql.place("m", "m.minute_s")}) q
            GROUP BY {hour}) h"""
    drops = f"""
        SELECT {hour}, reason, CAST(SUM(frames) AS BIGINT) AS frames
        FROM (SELECT {minute}, m.reason, m.frames FROM ({quarters("lane_minute_drops", "reason")}) m
              {sql.place("m", "m.minute_s")}) q
        GROUP BY {hour}, reason"""
    uptime = f"""
        SELECT {hour}, SUM(watched_s) AS watched_s, SUM(up_s) AS up_s,
               CASE WHEN SUM(watched_s) > 0 THEN SUM(up_s) / SUM(watched_s) END AS uptime,
               CAST(SUM(frames) AS BIGINT) AS frames, CASE WHEN SUM(up_s) > 0 THEN SUM(frames) / SUM(up_s) END AS fps,
               CAST(SUM(reconnects) AS BIGINT) AS reconnects, MAX(spool_depth) AS spool_depth
        FROM (SELECT {minute}, m.watched_s, m.up_s, m.frames, m.reconnects, m.spool_depth
              FROM lane_minutes m {sql.place("m", "m.minute_s")}) q
        GROUP BY {hour}"""
    now = f"""
        SELECT {_SITE}, m.lane_id AS lane, {sql.times("last_minute", "m.minute_s")}, l.source,
               SUM(m.watched_s) AS watched_s, CAST(SUM(m.frames) AS BIGINT) AS frames,
               CASE WHEN SUM(m.watched_s) > 0 THEN SUM(m.up_s) / SUM(m.watched_s) END AS uptime,
               CASE WHEN SUM(m.up_s) > 0 THEN SUM(m.frames) / SUM(m.up_s) END AS fps,
               MAX(m.spool_depth) AS spool_depth
        FROM lane_minutes m JOIN (SELECT lane_id, MAX(minute_s) AS minute_s FROM lane_minutes GROUP BY lane_id) n
             ON n.lane_id = m.lane_id AND n.minute_s = m.minute_s {sql.place("m", "m.minute_s")}
        GROUP BY l.site, m.lane_id, m.minute_s, l.source, o.offset_s"""
    outbox = f"""
        SELECT site, lane, hour_utc, hour_local, local_hour, hour_of_day, weekday,
               MAX(outbox_depth) AS outbox_depth, CAST(MIN(storage_free_bytes) AS DOUBLE PRECISION) / 1000000000
               AS storage_free_gb
        FROM (SELECT m.site, 'all lanes' AS lane, {sql.times("hour", "m.minute_s", 3600)}, m.outbox_depth,
                     m.storage_free_bytes
              FROM site_minutes m LEFT JOIN site_offsets o
                   ON o.site = m.site AND m.minute_s >= o.from_s AND m.minute_s < o.until_s) q
        GROUP BY site, lane, hour_utc, hour_local, local_hour, hour_of_day, weekday"""
    return {"v_latency": latency, "v_drops": drops, "v_uptime": uptime, "v_lanes": now, "v_outbox": outbox}


def _people(sql: _Sql) -> dict[str, str]:
    """Return what people were asked, answered and corrected."""
    asks = f"""
        SELECT {_SITE}, e.lane_id AS lane, e.bill_id, e.track_id, {sql.times("asked", "e.decided_at_s")},
               e.dish AS guess, {_title("e.dish", "d")} AS guess_title, e.confidence, e.model,
               CASE WHEN a.seq IS NULL THEN 0 ELSE 1 END AS answered, a.dish AS answer,
               CASE WHEN a.seq IS NULL THEN NULL ELSE {_title("a.dish", "r")} END AS answer_title,
               CASE WHEN a.seq IS NULL THEN NULL WHEN a.dish = e.dish THEN 1 ELSE 0 END AS guessed_right,
               a.decided_at_s - e.decided_at_s AS wait_s
        FROM events e
             LEFT JOIN (SELECT q.seq AS ask_seq, MIN(x.seq) AS seq FROM events q JOIN events x
                        ON x.bill_id = q.bill_id AND x.track_id = q.track_id AND x.seq > q.seq AND x.kind = 'answer'
                        WHERE q.kind = 'ask' GROUP BY q.seq) n ON n.ask_seq = e.seq
             LEFT JOIN events a ON a.seq = n.seq
             LEFT JOIN dishes d ON d.dish = e.dish LEFT JOIN dishes r ON r.dish = a.dish
             {sql.place("e", "e.decided_at_s")}
        WHERE e.kind = 'ask'"""
    # The price of before is the one that was billed; the menu's of today only where no line is known.
    corrections = f"""
        SELECT {_SITE}, e.lane_id AS lane, e.bill_id, CAST({sql.text_of("e.detail", "line_no")} AS INTEGER) AS line_no,
               {sql.times("corrected", "e.decided_at_s")},
               COALESCE({sql.text_of("e.detail", "by")}, 'unknown') AS corrected_by, e.was,
               {_title("e.was", "w")} AS was_title, e.dish, {_title("e.dish", "d")} AS title,
               CAST(e.old_cents AS DOUBLE PRECISION) / 100 AS was_price,
               CAST(e.new_cents AS DOUBLE PRECISION) / 100 AS price,
               CAST(e.old_cents - e.new_cents AS DOUBLE PRECISION) / 100 AS overcharged,
               CAST(abs(e.old_cents - e.new_cents) AS DOUBLE PRECISION) / 100 AS money_error
        FROM (SELECT c.*, CASE WHEN c.was = '' THEN 0 ELSE COALESCE(
                         (SELECT MAX(x.price_cents) FROM events x WHERE x.bill_id = c.bill_id AND x.dish = c.was
                          AND x.kind IN ('line_add', 'line_revise')), w.price_cents) END AS old_cents,
                     CASE WHEN c.dish = '' THEN 0 ELSE COALESCE(c.price_cents, p.price_cents) END AS new_cents
              FROM (SELECT seq, lane_id, bill_id, dish, price_cents, decided_at_s, detail,
                           COALESCE({sql.text_of("detail", "dish_before")}, '') AS was
                    FROM events WHERE kind = 'correction') c
                   LEFT JOIN dishes w ON w.dish = c.was LEFT JOIN dishes p ON p.dish = c.dish) e
             LEFT JOIN dishes w ON w.dish = e.was LEFT JOIN dishes d ON d.dish = e.dish
             {sql.place("e", "e.decided_at_s")}"""
    labels = f"""
        SELECT {_SITE}, e.lane_id AS lane, {sql.times("labelled", "e.decided_at_s")},
               CASE e.kind WHEN 'answer' THEN 'answer' ELSE 'correction' END AS labelled_by,
               e.dish, {_title("e.dish", "d")} AS title, e.model, 1 AS labels
        FROM events e LEFT JOIN dishes d ON d.dish = e.dish {sql.place("e", "e.decided_at_s")}
        WHERE e.kind IN ('answer', 'correction')"""
    return {"v_asks": asks, "v_corrections": corrections, "v_labels": labels}


def _decided(sql: _Sql) -> str:
    """Return one row per line of a closed bill as it was when the bill closed, and what people said of it later.

    The lane's own word is the last line event before the close. A line that follows an answer was decided by a person.
    A bill is reviewed when a person answered or corrected anything on it. Lines that a person added count as missed.
    """
    line_no = "CAST({} AS INTEGER)"
    return f"""
        WITH closes AS (
            SELECT bill_id, MIN(seq) AS seq FROM events WHERE kind = 'bill_close' GROUP BY bill_id),
        last_words AS (
            SELECT e.bill_id, {line_no.format(sql.text_of("e.detail", "line_no"))} AS line_no, MAX(e.seq) AS seq
            FROM closes c JOIN events e ON e.bill_id = c.bill_id AND e.seq < c.seq
            WHERE e.kind IN ('line_add', 'line_revise', 'line_remove') GROUP BY 1, 2),
        touched AS (SELECT DISTINCT bill_id FROM events WHERE kind IN ('answer', 'correction')),
        answered AS (
            SELECT a.bill_id, {line_no.format(sql.text_of("e.detail", "line_no"))} AS line_no, MAX(a.seq) AS seq
            FROM events a JOIN events e ON e.bill_id = a.bill_id AND e.track_id = a.track_id
                 AND e.revision > a.revision AND e.revision <= a.revision + 2 AND e.kind IN ('line_add', 'line_revise')
            WHERE a.kind = 'answer' GROUP BY 1, 2),
        corrected AS (
            SELECT bill_id, {line_no.format(sql.text_of("detail", "line_no"))} AS line_no, MIN(seq) AS first_seq,
                   MAX(seq) AS last_seq FROM events WHERE kind = 'correction' GROUP BY 1, 2),
        decided AS (
            SELECT x.lane_id, x.bill_id, w.line_no, x.model, x.dish AS said, x.confidence,
                   CASE WHEN a.seq IS NULL THEN 1 ELSE 0 END AS by_lane, k.dish AS corrected_to,
                   CASE WHEN t.bill_id IS NULL THEN 0 ELSE 1 END AS reviewed
            FROM last_words w JOIN events x ON x.seq = w.seq AND x.kind <> 'line_remove'
                 LEFT JOIN answered a ON a.bill_id = w.bill_id AND a.line_no = w.line_no
                 LEFT JOIN corrected c ON c.bill_id = w.bill_id AND c.line_no = w.line_no
                 LEFT JOIN events k ON k.seq = c.last_seq LEFT JOIN touched t ON t.bill_id = w.bill_id
            UNION ALL
            SELECT f.lane_id, f.bill_id, c.line_no, f.model, '', 0.0, 1, k.dish, 1
            FROM corrected c JOIN events f ON f.seq = c.first_seq JOIN events k ON k.seq = c.last_seq
                 LEFT JOIN last_words w ON w.bill_id = c.bill_id AND w.line_no = c.line_no
                 LEFT JOIN events x ON x.seq = w.seq AND x.kind <> 'line_remove'
            WHERE x.seq IS NULL)
        SELECT {_SITE}, q.lane_id AS lane, q.bill_id, q.line_no, {sql.times("sold", "b.closed_at_s")}, q.model,
               q.said AS dish, {_title("q.said", "d")} AS title, q.confidence, q.by_lane, q.reviewed,
               CASE WHEN q.corrected_to IS NOT NULL AND q.corrected_to <> q.said THEN 1 ELSE 0 END AS corrected,
               q.corrected_to, {sql.whole("b.closed_at_s")} AS closed_s
        FROM decided q JOIN bills b ON b.bill_id = q.bill_id AND b.closed_at_s IS NOT NULL
             LEFT JOIN dishes d ON d.dish = q.said {sql.place("q", "b.closed_at_s")}"""


def _quality(sql: _Sql) -> dict[str, str]:
    # Inside `v_decisions` the local time is known already; a day is its first moment.
    day_of = "substr(CAST({} AS TEXT), 1, 10)"
    as_time = "CAST({} || ' 00:00:00' AS TIMESTAMP)" if sql.utc("0").startswith("(to_") else "({} || ' 00:00:00')"
    day = as_time.format(day_of.format("sold_local"))
    sums = """COUNT(*) AS bill_lines, CAST(SUM(by_lane) AS BIGINT) AS lane_lines,
              CAST(SUM(by_lane * (1 - corrected)) AS BIGINT) AS uncorrected_lines,
              CAST(SUM(by_lane * reviewed) AS BIGINT) AS reviewed_lines,
              CAST(SUM(by_lane * reviewed * (1 - corrected)) AS BIGINT) AS reviewed_right_lines"""
    ci = f"""CASE WHEN reviewed_lines > 0 AND lane_lines > 0
                  THEN CAST(uncorrected_lines AS DOUBLE PRECISION) / lane_lines END AS agreement,
             CASE WHEN reviewed_lines > 0 THEN {wilson("-", "uncorrected_lines", "lane_lines")} END AS agreement_low,
             CASE WHEN reviewed_lines > 0 THEN {wilson("+", "uncorrected_lines", "lane_lines")} END AS agreement_high"""
    confusion = f"""
        SELECT site, lane, {day} AS day_local, said, said_title, person_said, person_title, found_by, agreed,
               COUNT(*) AS bill_lines
        FROM (SELECT v.site, v.lane, v.sold_local, v.dish AS said, v.title AS said_title, v.corrected_to AS person_said,
                     {_title("v.corrected_to", "d")} AS person_title, 'correction' AS found_by, 0 AS agreed
              FROM v_decisions v LEFT JOIN dishes d ON d.dish = v.corrected_to WHERE v.corrected = 1
              UNION ALL
              SELECT site, lane, asked_local, guess, guess_title, answer, answer_title, 'answer', guessed_right
              FROM v_asks WHERE answered = 1) q
        GROUP BY site, lane, {day}, said, said_title, person_said, person_title, found_by, agreed"""
    steps = " UNION ALL ".join(f"SELECT {step} AS step" for step in range(20))
    bucket = sql.whole("confidence * 20 + 0.0000001")
    risk = f"""
        SELECT site, lane, day_local, model, CAST(t.step AS DOUBLE PRECISION) / 20 AS threshold,
               CAST(SUM(CASE WHEN bucket >= t.step THEN n ELSE 0 END) AS BIGINT) AS covered,
               CAST(SUM(CASE WHEN bucket >= t.step THEN wrong ELSE 0 END) AS BIGINT) AS wrong,
               CAST(SUM(n) AS BIGINT) AS considered
        FROM (SELECT site, lane, {day} AS day_local, model, {bucket} AS bucket, COUNT(*) AS n, SUM(wrong) AS wrong
              FROM (SELECT site, lane, sold_local, model, confidence, corrected AS wrong FROM v_decisions
                    WHERE by_lane = 1 AND dish <> ''
                    UNION ALL
                    SELECT site, lane, asked_local, model, confidence, 1 - guessed_right FROM v_asks
                    WHERE answered = 1) u
              GROUP BY site, lane, {day}, model, {bucket}) b
             CROSS JOIN ({steps}) t
        GROUP BY site, lane, day_local, model, t.step"""
    key = f"site, lane, {day}, dish, title, model"
    return {
        "v_decisions": _decided(sql),
        "v_agreement": f"SELECT site, lane, {day} AS day_local, dish, title, model, {sums} FROM v_decisions "
        f"GROUP BY {key}",
        "v_agreement_by_dish": f"SELECT q.*, {ci} FROM (SELECT site, lane, dish, title, {sums} FROM v_decisions "
        "GROUP BY site, lane, dish, title) q",
        "v_model_versions": f"SELECT q.*, {ci} FROM (SELECT site, lane, model, MIN(sold_local) AS first_local, "
        f"MAX(sold_local) AS last_local, {sums} FROM v_decisions GROUP BY site, lane, model) q",
        "v_confusion": confusion,
        "v_risk_coverage": risk,
    }


def view_statements(dialect: str) -> list[str]:
    """Return the CREATE VIEW statements for "sqlite" or "postgresql", in an order in which they can be run."""
    sql = _Sql(dialect)
    views = {**_sales(sql), **_running(sql), **_people(sql), **_quality(sql)}
    return [f"CREATE VIEW {name} AS {' '.join(body.split())}" for name, body in views.items()]
