"""The report's time line: what was on the bill, what was there, and how many of it, strip by strip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from replay import metrics
from replay.matching import Stay
from replay.recording import Recording
from replay.score import Score, verdicts
from replay.svg import Scale, figure, line, polyline, rect, steps, text, ticks
from replay.truth import Truth

WIDTH, LEFT, RIGHT = 1080.0, 64.0, 12.0
ROW, BAND, CURVE = 15.0, 16.0, 64.0
STRIP_S, MOST_STRIPS = 60.0, 12


def timeline(recording: Recording, judged: Score, truth: Truth, titles: dict[str, str]) -> str:
    """Return one drawing per strip of the recording, as HTML.

    Args:
        recording: for bills and counts.
        judged: for lines, and which of them are right.
        truth: for true intervals and counts.
        titles: dish -> what people read.
    """
    total = max(recording.ended_s, 1.0)
    strip_s = max(STRIP_S, math.ceil(total / MOST_STRIPS / 10) * 10) if total > 1.5 * STRIP_S else total
    starts = [strip_s * i for i in range(math.ceil(total / strip_s))]
    top = max([row.items for row in recording.rows] + [n for _, n in truth.count_by_frame or ()] + [1])
    return "".join(_strip(recording, judged, truth, titles, at, at + strip_s, top) for at in starts)


def _strip(
    recording: Recording, judged: Score, truth: Truth, titles: dict[str, str], start: float, end: float, top: int
) -> str:
    x = Scale(start, end, LEFT, WIDTH - RIGHT)
    lines = _line_rows(judged, titles, x, BAND + 6)
    true = _truth_rows(judged, truth, titles, x, lines[1] + 4)
    y = Scale(0.0, float(top), true[1] + CURVE + 8, true[1] + 14)
    bottom = y(0.0)
    body = []
    for tick in ticks(start, end, 10):
        body.append(line(x(tick), 0, x(tick), bottom, "grid"))
        body.append(text(x(tick), bottom + 13, f"{tick:g} s", "tick", "middle"))
    body += _bills(recording, x) + lines[0] + true[0] + _counts(recording, truth, x, y, top)
    label = f"Bills, lines and item counts from {start:g} to {end:g} seconds"
    return figure(WIDTH, bottom + 18, body, label)


def _bills(recording: Recording, x: Scale) -> list[str]:
    body = [text(LEFT - 6, 12, "bills", "axis", "end")]
    for i, bill in enumerate(recording.bills.values(), start=1):
        until = recording.ended_s if bill.closed_s is None else bill.closed_s
        left, right = max(bill.opened_s, x.low), min(until, x.high)
        if right <= left:
            continue
        state = "open at the end" if bill.closed_s is None else f"closed {bill.closed_s:.1f} s"
        tip = f"bill {i}: opened {bill.opened_s:.1f} s, {state}, {len(bill.lines)} lines, {bill.total:.2f}"
        body.append(rect(x(left), 1, x(right) - x(left), BAND - 2, "bill", tip, ' rx="3"'))
        if x(right) - x(left) > 60:
            body.append(text(x(left) + 5, 12, f"{i} · {bill.total:.2f}", "billtext"))
    return body


def pack(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Return a row for each span so that spans of one row do not overlap; first fit, in the order given.

    >>> pack([(0, 2), (1, 3), (2.5, 4)])
    [0, 1, 0]
    """
    ends: list[float] = []
    rows = []
    for start, end in spans:
        row = next((i for i, until in enumerate(ends) if until <= start), len(ends))
        if row == len(ends):
            ends.append(end)
        else:
            ends[row] = end
        rows.append(row)
    return rows


def _line_rows(judged: Score, titles: dict[str, str], x: Scale, y: float) -> tuple[list[str], float]:
    right = verdicts(judged)
    shown = [(i, s) for i, s in enumerate(judged.stays) if s.until_s > x.low and s.t_s < x.high]
    body = [text(LEFT - 6, y + 11, "lines", "axis", "end")]
    rows = pack([(max(s.t_s, x.low), s.until_s + (x.high - x.low) * 0.004) for _, s in shown])
    for (i, stay), row in zip(shown, rows, strict=True):
        verdict = {None: "plain", True: "right", False: "wrong"}[right[i]]
        body += _bar(
            x, y + row * ROW, stay.t_s, stay.until_s, _name(stay, titles, verdict), verdict, _tip(stay, titles)
        )
    return body, y + ROW * (max(rows, default=0) + 1)


def _name(stay: Stay, titles: dict[str, str], verdict: str) -> str:
    return ("✗ " if verdict == "wrong" else "") + titles.get(stay.dish, stay.dish)


def _tip(stay: Stay, titles: dict[str, str]) -> str:
    fate = "taken off" if stay.removed else "on the bill until"
    name = titles.get(stay.dish, stay.dish)
    return (
        f"{name}, track {stay.track_id}, sure {stay.confidence:.2f}: "
        f"added {stay.t_s:.2f} s, {fate} {stay.until_s:.2f} s"
    )


def _truth_rows(judged: Score, truth: Truth, titles: dict[str, str], x: Scale, y: float) -> tuple[list[str], float]:
    if not truth.items:
        return [], y - 4
    missed = set(judged.exact.items_left) if judged.exact is not None else set()
    shown = [(i, item) for i, item in enumerate(truth.items) if item.t_out_s > x.low and item.t_in_s < x.high]
    shown.sort(key=lambda pair: (pair[1].t_in_s, pair[0]))
    body = [text(LEFT - 6, y + 11, "truth", "axis", "end")]
    rows = pack([(max(item.t_in_s, x.low), item.t_out_s) for _, item in shown])
    for (i, item), row in zip(shown, rows, strict=True):
        name = titles.get(item.dish, item.dish)
        css, mark = ("missed", "∅ ") if i in missed else ("true", "")
        tip = f"{name}: truly there from {item.t_in_s:.2f} to {item.t_out_s:.2f} s" + (", missed" if mark else "")
        body += _bar(x, y + row * ROW, item.t_in_s, item.t_out_s, mark + name, css, tip)
    return body, y + ROW * (max(rows, default=0) + 1)


def _bar(x: Scale, y: float, start: float, end: float, name: str, css: str, tip: str) -> list[str]:
    left, right = x(max(start, x.low)), x(min(end, x.high))
    body = [rect(left, y + 1, max(right - left, 2.0), ROW - 3, f"bar {css}", tip, ' rx="2"')]
    room = int((right - left - 8) / 5.6)
    if room >= 3:
        label = name if len(name) <= room else name[: room - 1] + "…"
        body.append(text(left + 4, y + ROW - 5, label, f"bartext {css}"))
    return body


def _counts(recording: Recording, truth: Truth, x: Scale, y: Scale, top: int) -> list[str]:
    body = [text(LEFT - 24, y(top / 2) + 4, "items", "axis", "end")]
    for tick in ticks(0, top, 3):
        if tick == int(tick):
            body.append(line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
            body.append(text(LEFT - 6, y(tick) + 4, f"{tick:g}", "tick", "end"))
    body += _wrong_spans(recording, truth, x, y, top)
    if truth.count_by_frame and truth.fps:
        true = [(frame / truth.fps, float(n)) for frame, n in truth.count_by_frame]
        body.append(_staircase(true, x, y, "curve truth"))
    body.append(_staircase([(row.t_s, float(row.items)) for row in recording.rows], x, y, "curve ours"))
    return body


def _staircase(values: Sequence[tuple[float, float]], x: Scale, y: Scale, css: str) -> str:
    before = [value for value in values if value[0] <= x.low]
    inside = [value for value in values if x.low < value[0] <= x.high]
    changes = [(x.low, before[-1][1])] if before else inside[:1]
    changes += [b for a, b in pairwise([*before[-1:], *inside]) if a[1] != b[1]]
    last = min(x.high, values[-1][0]) if values else x.low
    return polyline([(x(t), y(n)) for t, n in steps(changes, max(last, x.low))], css) if changes else ""


def _wrong_spans(recording: Recording, truth: Truth, x: Scale, y: Scale, top: int) -> list[str]:
    """Return red bars under the frames that count as wrong, and grey ones where nobody is judged."""
    if not truth.count_by_frame:
        return []
    frames = [row.index for row in recording.rows]
    known, near = metrics.true_counts(frames, truth), metrics.near_change(frames, truth)
    kinds = [
        "unjudged" if skipped else "wrongspan" if true >= 0 and row.items != true else ""
        for row, true, skipped in zip(recording.rows, known, near, strict=True)
    ]
    ends = [*(row.t_s for row in recording.rows[1:]), recording.ended_s]
    body = []
    for css, group in groupby(zip(kinds, recording.rows, ends, strict=True), key=lambda entry: entry[0]):
        entries = list(group)
        left, right = max(entries[0][1].t_s, x.low), min(entries[-1][2], x.high)
        if css and left < right:
            body.append(rect(x(left), y(top), x(right) - x(left), y(0) - y(top), css))
    return body
