"""The report's charts beside the time line: work per stage, confusion, money, trust in the confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from replay.metrics import Calibration
from replay.recording import Recording
from replay.score import TrayResult
from replay.svg import Scale, figure, line, polyline, rect, text, ticks

STAGES = ("decode", "detect", "track", "decide")


def stage_chart(recording: Recording) -> str:
    """Return histograms of the milliseconds per frame of each stage and of all together, on one log axis."""
    series = {stage: recording.stage_s[stage] for stage in STAGES if recording.stage_s.get(stage)}
    series["all"] = recording.latency_s
    values = {stage: np.maximum(np.asarray(s) * 1000.0, 1e-3) for stage, s in series.items() if len(s)}
    if not values:
        return '<p class="none">No frame was decided.</p>'
    low = min(float(np.percentile(v, 1)) for v in values.values())
    high = max(float(v.max()) for v in values.values())
    x = Scale(math.floor(math.log10(low)), math.ceil(math.log10(high) + 1e-9), 70, 520)
    row, body = 46.0, []
    bottom = row * len(values) + 6
    for decade in range(int(x.low), int(x.high) + 1):
        body.append(line(x(decade), 4, x(decade), bottom, "grid"))
        body.append(text(x(decade), bottom + 14, f"{10.0**decade:g} ms", "tick", "middle"))
    for i, (stage, ms) in enumerate(values.items()):
        base = row * (i + 1)
        bins, edges = np.histogram(np.log10(ms), bins=90, range=(x.low, x.high))
        top = max(int(bins.max()), 1)
        body.append(text(62, base - 6, stage, "axis", "end"))
        for count, left, right in zip(bins.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if count:
                height = max(30.0 * count / top, 1.0)
                body.append(rect(x(left), base - height, x(right) - x(left) + 0.3, height, "stage"))
        body.append(line(70, base, 520, base, "base"))
        for share in (50, 95, 99):
            at = float(np.percentile(ms, share))
            body.append(line(x(math.log10(at)), base - 33, x(math.log10(at)), base + 3, f"mark p{share}"))
        p50, p95, p99 = np.percentile(ms, [50, 95, 99])
        body.append(text(530, base - 6, f"{p50:.3g} · {p95:.3g} · {p99:.3g} ms", "value"))
    body.append(text(530, 10, "p50 · p95 · p99", "tick"))
    return figure(690, bottom + 20, body, "Milliseconds per frame by stage")


def latency_curve(recording: Recording, bins: int = 240) -> str:
    """Return the slowest and the median frame over the time of the recording."""
    ms = np.asarray(recording.latency_s) * 1000.0
    if len(ms) < 2:
        return ""
    groups = np.array_split(np.arange(len(ms)), min(bins, len(ms)))
    at = [recording.rows[int(g[0])].t_s for g in groups]
    high = float(np.percentile(ms, 99.5)) * 1.15
    x, y = Scale(at[0], max(recording.ended_s, at[0] + 1e-6), 50, 680), Scale(0, high, 130, 10)
    body = []
    for tick in ticks(0, high, 4):
        body.append(line(50, y(tick), 680, y(tick), "grid"))
        body.append(text(44, y(tick) + 4, f"{tick:g} ms", "tick", "end"))
    for tick in ticks(x.low, x.high, 8):
        body.append(text(x(tick), 146, f"{tick:g} s", "tick", "middle"))
    worst = [(x(t), y(min(float(ms[g].max()), high))) for t, g in zip(at, groups, strict=True)]
    middle = [(x(t), y(min(float(np.median(ms[g])), high))) for t, g in zip(at, groups, strict=True)]
    body += [polyline(worst, "curve faint"), polyline(middle, "curve ours")]
    return figure(690, 152, body, "Milliseconds per frame over time: median and slowest")


def confusion_chart(cells: Mapping[tuple[str, str], int], titles: Mapping[str, str]) -> str:
    """Return the confusion matrix: rows are the truth, columns are ours, the last of each is "nothing"."""
    dishes = sorted({dish for pair in cells for dish in pair if dish})
    if not dishes:
        return '<p class="none">Nothing to compare: neither lines nor true items.</p>'
    axis = [*dishes, ""]
    size = min(46.0, max(20.0, 560.0 / len(axis)))
    left, top = 130.0, 104.0
    rows = {true: sum(cells.get((true, ours), 0) for ours in axis) for true in axis}
    body = [text(left, 12, "ours →", "tick"), text(left - 8, top - 8, "truth ↓", "tick", "end")]
    for i, dish in enumerate(axis):
        name = _short(titles.get(dish, dish) if dish else "nothing", 18)
        x, y = left + (i + 0.5) * size, top + (i + 0.5) * size
        turn = f' transform="rotate(-55 {x:.1f} {top - 6:.1f})"'
        body.append(text(x, top - 6, name, "axis", "start", turn))
        body.append(text(left - 8, y + 4, name, "axis", "end"))
    for i, true in enumerate(axis):
        for j, ours in enumerate(axis):
            count = cells.get((true, ours), 0)
            share = count / rows[true] if rows[true] else 0.0
            css = "cell" if not count else "cell good" if i == j else "cell bad"
            tip = f"truly {titles.get(true, true) or 'nothing'}, ours {titles.get(ours, ours) or 'nothing'}: {count}"
            strength = f' style="--strength:{0.25 + 0.75 * share:.2f}"' if count else ""
            body.append(rect(left + j * size, top + i * size, size - 1, size - 1, css, tip, strength))
            if count:
                css = "celltext strong" if share > 0.45 else "celltext"
                body.append(text(left + (j + 0.5) * size, top + (i + 0.5) * size + 4, str(count), css, "middle"))
    side = size * len(axis)
    return figure(max(left + side + 60, 560), top + side + 6, body, "Confusion matrix: truth in rows, ours in columns")


def money_chart(trays: Sequence[TrayResult], currency: str) -> str:
    """Return the over- and undercharge of each tray."""
    errors = [(tray, tray.charged - tray.due) for tray in trays if tray.due is not None]
    if not errors:
        return '<p class="none">No prices for the true bills.</p>'
    reach = max([abs(error) for _, error in errors] + [0.5])
    x, y = Scale(0, len(errors), 56, 680), Scale(-reach, reach, 150, 12)
    width = min((680 - 56) / len(errors), 26.0)
    body = []
    for tick in ticks(-reach, reach, 5):
        body.append(line(56, y(tick), 680, y(tick), "base" if tick == 0 else "grid"))
        body.append(text(50, y(tick) + 4, f"{tick:+.2f}" if tick else "0", "tick", "end"))
    for i, (tray, error) in enumerate(errors):
        tip = f"tray {tray.number}: charged {tray.charged:.2f}, due {tray.due:.2f} {currency}"
        at = min(y(error), y(0))
        css = "over" if error > 0 else "under"
        height = abs(y(error) - y(0)) if abs(error) >= 0.005 else 1.0
        body.append(rect(x(i) + 0.1 * width, at, 0.8 * width, height, css if height > 1 else "exact", tip))
    body.append(text(680, 10, f"overcharged, {currency} a tray", "tick", "end"))
    body.append(text(680, 164, "undercharged", "tick", "end"))
    body.append(text(56, 164, f"{len(errors)} trays in order", "tick"))
    return figure(690, 170, body, "Money error of each tray")


def risk_chart(trust: Calibration | None) -> str:
    """Return the risk-coverage curve of the committed dish."""
    if trust is None:
        return '<p class="none">No lines to judge.</p>'
    high = max([risk for _, risk in trust.curve] + [0.02]) * 1.05
    x, y = Scale(0, 1, 50, 330), Scale(0, high, 150, 10)
    body = []
    for tick in ticks(0, high, 4):
        body.append(line(50, y(tick), 330, y(tick), "grid"))
        body.append(text(44, y(tick) + 4, f"{100 * tick:g} %", "tick", "end"))
    for tick in (0.0, 0.5, 1.0):
        body.append(text(x(tick), 166, f"{100 * tick:g} %", "tick", "middle"))
    stride = max(len(trust.curve) // 300, 1)
    kept = [*trust.curve[::stride], trust.curve[-1]]
    body.append(polyline([(x(cover), y(risk)) for cover, risk in kept], "curve ours"))
    return figure(340, 172, body, "Share of wrong lines (up) among the surest share of lines (across)")


def delay_chart(delays_s: Sequence[float]) -> str:
    """Return a histogram of the seconds from an item's arrival to its line."""
    if not delays_s:
        return '<p class="none">No right lines.</p>'
    values = np.asarray(delays_s)
    high = max(float(np.percentile(values, 99)) * 1.1, 0.5)
    bins, edges = np.histogram(np.clip(values, 0, high), bins=30, range=(0, high))
    x, y = Scale(0, high, 40, 330), Scale(0, max(int(bins.max()), 1), 150, 28)
    body = [line(40, 150, 330, 150, "base")]
    for tick in ticks(0, high, 5):
        body.append(text(x(tick), 166, f"{tick:g} s", "tick", "middle"))
    for count, left, right in zip(bins.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        body.append(rect(x(left), y(count), x(right) - x(left) - 1, 150 - y(count), "stage", f"{count} lines"))
    for share, level in ((50, 10), (95, 22)):
        at = min(float(np.percentile(values, share)), high)
        body.append(line(x(at), level - 6, x(at), 153, f"mark p{share}"))
        near_end = at > 0.7 * high
        anchor, shift = ("end", -3) if near_end else ("start", 3)
        body.append(text(x(at) + shift, level, f"p{share} {at:.2f} s", "tick", anchor))
    return figure(340, 172, body, "Seconds from an item's arrival to its line")


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
