"""Put a recording beside its truth: all figures of `metrics.json`, and what the report shows of each tray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.records import Bill
from replay import metrics
from replay.matching import Matching, Stay, match_any_dish, match_bills, match_lines
from replay.recording import Recording, stays
from replay.truth import Truth, TruthBill, TruthItem
from replay.uncertainty import wilson


@dataclass(frozen=True, slots=True)
class TrayResult:
    """One true tray beside the bill it got; `tray` is None for a bill that belongs to no tray.

    Attributes:
        number: 1-based, in the order of the trays; bills without a tray follow.
        charged: our total; `due` the true one, None where a dish has no price.
        wrong: Σ_k |P[k] − G[k]|.
    """

    number: int
    tray: TruthBill | None
    bill: Bill | None
    ours: Mapping[str, int]
    true: Mapping[str, int]
    charged: float
    due: float | None
    wrong: int


@dataclass(frozen=True, slots=True)
class Score:
    """Everything that is known about how right a replay was; empty or None where the truth is silent."""

    stays: tuple[Stay, ...]
    exact: Matching | None
    confusion: Mapping[tuple[str, str], int]
    trays: tuple[TrayResult, ...]
    lines_per_tray: tuple[metrics.Lines, ...]
    counts: metrics.CountError | None
    delays_s: tuple[float, ...]


def score(recording: Recording, truth: Truth, prices: Mapping[str, float]) -> Score:
    """Judge a recording.

    Args:
        recording: what the pipeline said.
        truth: what was so.
        prices: dish -> unit price, to value the true bills.
    """
    lines = stays(recording)
    bills = tuple(recording.bills.values())
    trays = judge_trays(bills, recording.ended_s, truth.bills, prices) if truth.bills else ()
    exact: Matching | None = None
    confusion: dict[tuple[str, str], int] = {}
    delays: list[float] = []
    groups: tuple[metrics.Lines, ...] = ()
    if truth.items is not None:
        exact = match_lines(lines, truth.items)
        confusion = metrics.confusion(lines, truth.items, match_any_dish(lines, truth.items, exact))
        delays = metrics.decision_delays(lines, truth.items, exact)
        groups = group_lines(lines, truth.items, exact, tray_spans(truth, bills, recording.ended_s))
    counts = metrics.count_error([row.index for row in recording.rows], [row.items for row in recording.rows], truth)
    return Score(
        stays=tuple(lines),
        exact=exact,
        confusion=confusion,
        trays=trays,
        lines_per_tray=groups,
        counts=counts,
        delays_s=tuple(delays),
    )


def judge_trays(
    bills: Sequence[Bill], ended_s: float, true: Sequence[TruthBill], prices: Mapping[str, float]
) -> tuple[TrayResult, ...]:
    """Give each true tray its bill; bills with lines that belong to no tray follow as results of their own."""
    spans = [(bill.opened_s, ended_s if bill.closed_s is None else bill.closed_s) for bill in bills]
    found, extra = match_bills(spans, true)
    results = [
        _judge(i + 1, tray, None if b is None else bills[b], prices)
        for i, (tray, b) in enumerate(zip(true, found, strict=True))
    ]
    surplus = [bills[i] for i in extra if bills[i].lines]
    results += [_judge(len(true) + i + 1, None, bill, prices) for i, bill in enumerate(surplus)]
    return tuple(results)


def _judge(number: int, tray: TruthBill | None, bill: Bill | None, prices: Mapping[str, float]) -> TrayResult:
    ours = vector_of(bill)
    true = dict(tray.lines) if tray is not None else {}
    known = all(dish in prices for dish in true)
    due = round(sum(prices[dish] * n for dish, n in true.items()), 2) if known else None
    charged = bill.total if bill is not None else 0.0
    return TrayResult(number, tray, bill, ours, true, charged, due, metrics.distance(ours, true))


def vector_of(bill: Bill | None) -> dict[str, int]:
    """Return dish -> quantity of a bill."""
    lines: Counter[str] = Counter()
    for line in bill.lines if bill is not None else ():
        lines[line.dish] += line.quantity
    return dict(lines)


def _money(trays: Sequence[TrayResult], count: int) -> metrics.Money | None:
    due = [tray.due for tray in trays if tray.due is not None]
    return metrics.money_error([tray.charged for tray in trays], due, count) if len(due) == len(trays) else None


def tray_spans(truth: Truth, bills: Sequence[Bill], ended_s: float) -> list[tuple[float, float]]:
    """Return when each tray was there; our own bills stand in where the truth has no times."""
    if truth.has_tray_times:
        return [(tray.t_in_s or 0.0, tray.t_out_s or 0.0) for tray in truth.bills or ()]
    return [(bill.opened_s, ended_s if bill.closed_s is None else bill.closed_s) for bill in bills]


def group_lines(
    lines: Sequence[Stay], items: Sequence[TruthItem], exact: Matching, spans: Sequence[tuple[float, float]]
) -> tuple[metrics.Lines, ...]:
    """Return the Track 4 counts per tray: an item, or a line without one, belongs to the nearest tray in time."""
    if not spans:
        return ()
    tp, fp, fn = (Counter[int]() for _ in range(3))
    for _, item in exact.pairs:
        tp[_nearest(spans, (items[item].t_in_s + items[item].t_out_s) / 2)] += 1
    for item in exact.items_left:
        fn[_nearest(spans, (items[item].t_in_s + items[item].t_out_s) / 2)] += 1
    for stay in exact.stays_left:
        fp[_nearest(spans, lines[stay].t_s)] += 1
    return tuple(metrics.Lines(tp[i], fp[i], fn[i]) for i in range(len(spans)))


def _nearest(spans: Sequence[tuple[float, float]], time_s: float) -> int:
    return min(range(len(spans)), key=lambda i: (max(spans[i][0] - time_s, time_s - spans[i][1], 0.0), i))


def figures(recording: Recording, judged: Score, labels: Sequence[str]) -> dict[str, object]:
    """Return the content of `metrics.json`; a figure without truth is None."""
    fps = recording.fps()
    replay_fps = len(recording.rows) / recording.wall_s if recording.wall_s > 0 else None
    span_s = recording.ended_s - recording.rows[0].t_s if recording.rows else 0.0
    return {
        "frames": len(recording.rows),
        "decoded": recording.rows[-1].index + 1 if recording.rows else 0,
        "decoded_fps": _round(fps),
        "replay_fps": _round(replay_fps),
        "realtime_factor": _round(span_s / recording.wall_s) if recording.wall_s > 0 else None,
        "latency_ms": metrics.percentiles(recording.latency_s, 1000.0),
        "stage_ms": {stage: metrics.percentiles(s, 1000.0) for stage, s in recording.stage_s.items()},
        "dropped": recording.dropped,
        "bills": len(recording.bills),
        "lines": len({(stay.bill_id, stay.line) for stay in judged.stays}),
        "stays": len(judged.stays),
        "asks": sum(event.decision.kind == "ask" for event in recording.events),
        "count_error": _round(judged.counts.share) if judged.counts else None,
        "count_frames": {"wrong": judged.counts.wrong, "judged": judged.counts.judged} if judged.counts else None,
        **bill_figures([judged]),
        "classes": list(labels),
    }


def bill_figures(scores: Sequence[Score]) -> dict[str, object]:
    """Return the figures of the bills, pooled over one or several judged recordings."""
    groups = [group for judged in scores for group in judged.lines_per_tray]
    known = [judged for judged in scores if judged.exact is not None]
    lines = [metrics.count_lines(judged.exact) for judged in known if judged.exact is not None]
    pooled = metrics.Lines(sum(c.tp for c in lines), sum(c.fp for c in lines), sum(c.fn for c in lines))
    trays = [tray for judged in scores for tray in judged.trays]
    real = [tray for tray in trays if tray.tray is not None]
    ours, true = [tray.ours for tray in trays], [tray.true for tray in trays]
    right = sum(tray.wrong == 0 for tray in real)
    money = _money(trays, len(real)) if real else None
    every = metrics.agreement(ours, true)
    often = metrics.agreement(ours, true, metrics.frequent_dishes(true))
    sure = metrics.calibration(*confidences(known))
    return {
        "t4": {
            "tp": pooled.tp if known else None,
            "fp": pooled.fp if known else None,
            "fn": pooled.fn if known else None,
            "f1": _round(pooled.f1) if known else None,
            "ci95": _pair(metrics.f1_interval(groups)) if known else None,
        },
        "trays": len(real) if real else None,
        "cacc": _round(right / len(real)) if real else None,
        "cacc_ci95": _pair(wilson(right, len(real))),
        "extra_bills": len(trays) - len(real) if real else None,
        "acd": _round(metrics.average_count_distance(ours, true, len(real))),
        "mccd": _round(metrics.mean_class_distance(ours, true)),
        "mciou": _round(metrics.mean_class_overlap(ours, true)),
        "money": {
            key: _round(getattr(money, key)) if money else None for key in ("signed", "absolute", "over", "under")
        },
        "agreement": {"frequent": _round(often.share), "all": _round(every.share), "ci95": _pair(every.ci95)},
        "delay_s": metrics.percentiles([delay for judged in known for delay in judged.delays_s]),
        "ece": _round(sure.ece) if sure else None,
        "aurc": _round(sure.aurc) if sure else None,
    }


def confidences(scores: Sequence[Score]) -> tuple[list[float], list[bool]]:
    """Return the confidence of every judged stay, and whether it is right."""
    sure: list[float] = []
    hits: list[bool] = []
    for judged in scores:
        for verdict, stay in zip(verdicts(judged), judged.stays, strict=True):
            if verdict is not None:
                sure.append(stay.confidence)
                hits.append(verdict)
    return sure, hits


def verdicts(judged: Score) -> list[bool | None]:
    """Return for each stay whether it is right; None for one that is not judged (no truth, or a line's return)."""
    if judged.exact is None:
        return [None] * len(judged.stays)
    known = {stay: True for stay, _ in judged.exact.pairs} | dict.fromkeys(judged.exact.stays_left, False)
    return [known.get(i) for i in range(len(judged.stays))]


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(end, 5) for end in interval]
