"""One self-contained HTML page about a replay: reads well on a screen, dark or light, and on paper."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from core.records import Bill
from replay import charts, metrics
from replay.recording import Recording
from replay.score import Score, TrayResult, confidences
from replay.timeline import timeline
from replay.truth import Truth

WORST = 12
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Heading:
    """What the page says about its origin: names and hashes, no times of day, no machine."""

    clip: str
    config: str
    config_sha256: str
    model: str
    lane_id: str
    stride: int


@dataclass(frozen=True, slots=True)
class Wording:
    """How dishes are written for people: titles by dish, and the currency."""

    titles: dict[str, str]
    currency: str

    def dish(self, name: str) -> str:
        """Return what people read for a dish."""
        return self.titles.get(name, name)

    def vector(self, lines: Mapping[str, int]) -> str:
        """Return a count vector as text."""
        return ", ".join(f"{n} × {self.dish(d)}" for d, n in sorted(lines.items())) or "nothing"


def render(
    heading: Heading,
    recording: Recording,
    judged: Score,
    truth: Truth,
    figures: Mapping[str, Any],
    wording: Wording,
    stills: Mapping[str, bytes],
) -> str:
    """Return the page.

    Args:
        heading: where it comes from.
        recording: what the pipeline said.
        judged: how right it was.
        truth: what was so.
        figures: the content of metrics.json.
        wording: titles and currency.
        stills: JPEG pictures by bill id and by "tray N".
    """
    css = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    title = f"Replay of {heading.clip}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{css}</style></head><body><main>'
        f"{_header(heading, recording, title)}{_tiles(figures, wording.currency)}"
        f"{_timeline(recording, judged, truth, wording)}"
        f"{_work(recording)}{_truth_charts(judged, truth, wording)}{_trays(judged, recording, wording, stills)}"
        f"{_all_bills(recording.bills.values(), wording)}"
        f"<footer>Model {escape(heading.model)} · configuration {escape(heading.config)} "
        f"(sha256 {escape(heading.config_sha256[:16])}) · lane {escape(heading.lane_id)}. The files beside this page "
        "hold the same in full: events.jsonl, bills.json, counts.csv, tracks.txt, metrics.json.</footer>"
        "</main></body></html>\n"
    )


def _header(heading: Heading, recording: Recording, title: str) -> str:
    fps = recording.fps()
    every = "every frame" if heading.stride == 1 else f"every {heading.stride}th frame"
    rate = f" at {fps:.4g} frames/s" if fps else ""
    return (
        f'<header><h1>{escape(title)}</h1><p class="soft">{recording.ended_s:.1f} s{rate}, {every} decided '
        f"({len(recording.rows)} frames) by {escape(heading.model)}</p></header>"
    )


def _tile(value: str | None, name: str, detail: str = "") -> str:
    shown = f"<b>{value}</b>" if value is not None else '<b class="unknown">unknown</b>'
    return f'<div class="tile">{shown}<span>{name}</span>{f"<span>{detail}</span>" if detail else ""}</div>'


def _percent(value: float | None, digits: int = 1) -> str | None:
    return None if value is None else f"{100 * value:.{digits}f} %"


def _interval(pair: Sequence[float] | None) -> str:
    return f"95 %: {100 * pair[0]:.1f} … {100 * pair[1]:.1f}" if pair else ""


def _tiles(figures: Mapping[str, Any], currency: str) -> str:
    t4, money, agree = figures["t4"], figures["money"], figures["agreement"]
    trays, latency, counts = figures["trays"], figures["latency_ms"], figures["count_frames"]
    of_trays = f"{trays} {'tray' if trays == 1 else 'trays'}; " if trays else ""
    tiles = [
        _tile(_percent(figures["cacc"]), "bills right in whole (cAcc)", of_trays + _interval(figures["cacc_ci95"])),
        _tile(
            None if t4["f1"] is None else f"{t4['f1']:.4f}",
            "T4-F1 of the lines",
            "" if t4["f1"] is None else f"{t4['tp']} right, {t4['fp']} too many, {t4['fn']} missed",
        ),
        _tile(
            _percent(figures["count_error"], 2),
            "frames with a wrong count",
            f"{counts['wrong']} of {counts['judged']} judged" if counts else "",
        ),
        _tile(
            None if money["absolute"] is None else f"{money['absolute']:.2f} {escape(currency)}",
            "money error a tray",
            "" if money["absolute"] is None else f"over {money['over']:.2f}, under {money['under']:.2f}",
        ),
        _tile(_percent(agree["all"]), "agreement with the cashier", _interval(agree["ci95"])),
        _tile(
            None if figures["delay_s"] is None else f"{figures['delay_s']['p50']:.2f} s",
            "from arrival to line, median",
            "" if figures["delay_s"] is None else f"p95 {figures['delay_s']['p95']:.2f} s",
        ),
        _tile(f"{figures['bills']}", "bills", f"{figures['lines']} lines, {figures['asks']} questions"),
        _tile(
            None if latency is None else f"{latency['p95']:.1f} ms",
            "work a frame, p95",
            f"{figures['realtime_factor'] or 0:.2f} × real time",
        ),
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _timeline(recording: Recording, judged: Score, truth: Truth, wording: Wording) -> str:
    key = _key("ours", "line on the bill")
    if truth.items is not None:
        key += _key("wrong", "✗ wrong line") + _key("true", "true item") + _key("missed", "∅ missed")
    if truth.count_by_frame:
        key += _key("true", "true count (broad)") + _key("grey", "not judged: ±0.5 s of a true change")
        key += _key("wrong", "wrong count")
    body = timeline(recording, judged, truth, wording.titles)
    return (
        '<section class="long"><h2>Bills, lines and counts over time</h2>'
        f'<p class="note legend">{key}</p>{body}</section>'
    )


def _key(css: str, meaning: str) -> str:
    return f'<span><i class="key {css}"></i>{meaning}</span>'


def _work(recording: Recording) -> str:
    return (
        '<div class="two"><section><h2>Work per frame and stage</h2><p class="note">Milliseconds on a logarithmic '
        f"axis; the marks are p50, p95 and p99.</p>{charts.stage_chart(recording)}</section>"
        '<section><h2>Work over the recording</h2><p class="note">Median (bold) and slowest frame of each moment.'
        f"</p>{charts.latency_curve(recording)}</section></div>"
    )


def _truth_charts(judged: Score, truth: Truth, wording: Wording) -> str:
    parts = []
    if judged.exact is not None:
        parts.append(
            '<section><h2>Confusion</h2><p class="note">True items against our lines, paired in time. Green is right; '
            f"the colour is the share of the row.</p>"
            f"{charts.confusion_chart(judged.confusion, wording.titles)}</section>"
        )
        trust = metrics.calibration(*confidences([judged]))
        parts.append(
            '<section><h2>Trust and delay</h2><div class="pair"><div><p class="note">Share of wrong lines among the '
            f"surest lines (ECE {trust.ece:.3f}).</p>{charts.risk_chart(trust)}</div>"
            if trust
            else '<section><h2>Trust and delay</h2><div class="pair"><div><p class="none">No lines.</p></div>'
        )
        parts[-1] += (
            '<div><p class="note">Seconds from an item’s arrival to its line.</p>'
            f"{charts.delay_chart(judged.delays_s)}</div></div>"
        )
        if judged.trays:
            parts[-1] += f"<h2>Money</h2>{charts.money_chart(judged.trays, wording.currency)}"
        parts[-1] += "</section>"
    elif judged.trays:
        parts.append(f"<section><h2>Money</h2>{charts.money_chart(judged.trays, wording.currency)}</section>")
    if not parts:
        given = (
            "Give --truth to see" if not truth.count_by_frame else "The truth names counts only: with items there is"
        )
        parts.append(
            f'<section><p class="none">{given} the confusion of dishes, the trust curve and money.</p></section>'
        )
    return f'<div class="two">{"".join(parts)}</div>'


def _picture(still: bytes | None) -> str:
    if still is None:
        return ""
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(still).decode()}">'


def _trays(judged: Score, recording: Recording, wording: Wording, stills: Mapping[str, bytes]) -> str:
    if not judged.trays:
        return _stills_of_bills(recording, wording, stills)
    worst = sorted(
        (t for t in judged.trays if t.wrong), key=lambda t: (-t.wrong, -abs(t.charged - (t.due or 0)), t.number)
    )
    if not worst:
        right = "The one tray is right." if len(judged.trays) == 1 else f"All {len(judged.trays)} trays are right."
        return f"<section><h2>Worst trays</h2><p>{right}</p></section>{_stills_of_bills(recording, wording, stills)}"
    cards = "".join(_tray_card(tray, wording, stills) for tray in worst[:WORST])
    more = f" The {WORST} worst are shown." if len(worst) > WORST else ""
    return (
        f'<section class="long"><h2>Worst trays</h2><p class="note">{len(worst)} of {len(judged.trays)} trays are not '
        f'right in whole.{more}</p><div class="trays">{cards}</div></section>'
    )


def _tray_card(tray: TrayResult, wording: Wording, stills: Mapping[str, bytes]) -> str:
    still = stills.get(f"tray {tray.number}") if tray.tray is not None else None
    if still is None and tray.bill is not None:
        still = stills.get(tray.bill.bill_id)
    surplus = Counter(tray.ours)
    surplus.subtract(tray.true)
    off = ", ".join(f"{n:+d} {escape(wording.dish(d))}" for d, n in sorted(surplus.items()) if n)
    when = ""
    if tray.tray is not None and tray.tray.t_in_s is not None and tray.tray.t_out_s is not None:
        when = f" · {tray.tray.t_in_s:.1f} … {tray.tray.t_out_s:.1f} s"
    elif tray.bill is not None:
        when = f" · from {tray.bill.opened_s:.1f} s"
    name = f"Tray {tray.number}" if tray.tray is not None else "A bill without a tray"
    due = NOTHING if tray.due is None else f"{tray.due:.2f}"
    return (
        f'<div class="tray">{_picture(still)}<div><h3>{name}<span class="soft">{when}</span></h3>'
        f'<span class="off">{off}</span><br>due {due}, charged {tray.charged:.2f} {escape(wording.currency)}<br>'
        f'<span class="soft">truth: {escape(wording.vector(tray.true))}</span></div></div>'
    )


def _stills_of_bills(recording: Recording, wording: Wording, stills: Mapping[str, bytes]) -> str:
    cards = ""
    for i, bill in enumerate(list(recording.bills.values())[:WORST], start=1):
        lines = Counter[str]()
        for line in bill.lines:
            lines[line.dish] += line.quantity
        cards += (
            f'<div class="tray">{_picture(stills.get(bill.bill_id))}<div><h3>Bill {i}<span class="soft"> · from '
            f"{bill.opened_s:.1f} s</span></h3>{escape(wording.vector(lines))}<br>"
            f"{bill.total:.2f} {escape(wording.currency)}</div></div>"
        )
    if not cards:
        return '<section><h2>Bills</h2><p class="none">No bill was opened.</p></section>'
    return f'<section class="long"><h2>Bills in pictures</h2><div class="trays">{cards}</div></section>'


def _all_bills(bills: Iterable[Bill], wording: Wording) -> str:
    rows = ""
    for i, bill in enumerate(bills, start=1):
        closed = "open" if bill.closed_s is None else f"{bill.closed_s:.1f} s"
        lines = "; ".join(f"{wording.dish(li.dish)} ({li.t_s:.1f} s, {li.confidence:.2f})" for li in bill.lines)
        rows += (
            f'<tr><td class="n">{i}</td><td class="n">{bill.opened_s:.1f} s</td><td class="n">{closed}</td>'
            f'<td class="n">{bill.revision}</td><td>{escape(lines) or NOTHING}</td>'
            f'<td class="n">{bill.total:.2f}</td></tr>'
        )
    if not rows:
        return ""
    return (
        '<section class="long"><h2>All bills</h2><table><thead><tr><th class="n">bill</th><th class="n">opened</th>'
        '<th class="n">closed</th><th class="n">revision</th><th>lines (time, confidence)</th>'
        f'<th class="n">total, {escape(wording.currency)}</th></tr></thead><tbody>{rows}</tbody></table></section>'
    )
