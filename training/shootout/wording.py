"""What a shoot-out says to someone who has to choose a net, a depth and a schedule."""

from __future__ import annotations

from collections.abc import Sequence

from models.gate import Figure
from training.shootout.outcome import Comparison, Outcome


def sentences(outcome: Outcome) -> list[str]:
    """Return what follows, most useful first; what the test cannot tell is said as that."""
    told = [_best(outcome), *_starts(outcome), *_depths(outcome), *_schedules(outcome)]
    told.append(
        f"All of this holds for {outcome.name} at this size and budget ({outcome.photos[0]} photos of "
        f"{len(outcome.labels)} classes, {outcome.rows[0].steps} steps). A larger budget moves scratch nets most."
    )
    return told


def interval(figure: Figure, form: str = "%.3f") -> str:
    """Return the ends of a figure's interval."""
    return "none" if figure.low is None or figure.high is None else f"{form % figure.low} to {form % figure.high}"


def seconds(value: float) -> str:
    """Return a time as people say it."""
    return f"{value:.2g} s" if value < 10 else (f"{value:.0f} s" if value < 120 else f"{value / 60:.0f} min")


def p_value(value: float | None) -> str:
    """Return a p-value as people write it."""
    return "–" if value is None else ("< 0.001" if value < 0.001 else f"{value:.3f}")


def _percent(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return "unknown"
    return f"{100 * figure.low:.0f} to {100 * figure.high:.0f}"


def _best(outcome: Outcome) -> str:
    best, cheap = outcome.best, outcome.near[0]
    told = (
        f"Most accurate: {best.name}, {100 * (best.accuracy.value or 0):.0f} % of {outcome.photos[1]} test photos "
        f"(95 %: {_percent(best.accuracy)}) after {seconds(best.train_cpu_s)} of processor time."
    )
    if cheap is best:
        return f"{told} Nothing cheaper comes near: choose it."
    share = best.train_cpu_s / max(cheap.train_cpu_s, 1e-9)
    saved = f"{share:.0f} times less training" if share >= 1.5 else "less training"
    return (
        f"{told} {cheap.name} ({100 * (cheap.accuracy.value or 0):.0f} %) cannot be told apart from it and costs "
        f"{saved}: begin there, unless a few points are worth more tests."
    )


def _starts(outcome: Outcome) -> list[str]:
    compared = outcome.of("start")
    if not compared:
        return ["No net was run both pretrained and from scratch, so nothing is said about what weights earn."]
    won = [one for one in compared if one.verdict == "better"]
    lost = [one for one in compared if one.verdict == "worse"]
    unsure = [one for one in compared if one.verdict == "unsure"]
    told = []
    idle = outcome.idle_scratch
    if idle:
        told.append(
            f"From scratch {', '.join(idle)} learnt next to nothing in this budget: "
            "gains over scratch are those of this budget and rate; raise --epochs or give --rate before quoting them."
        )
    if len(won) == len(compared):
        gains = [one.result.gain.value or 0.0 for one in won]
        lows = [one.result.gain.low or 0.0 for one in won]
        told.append(
            f"Real weights win in all {len(won)} comparisons with scratch, by {100 * min(gains):.0f} to "
            f"{100 * max(gains):.0f} points (the lowest interval begins at {100 * min(lows):+.0f}): where a net has "
            "weights, use them."
        )
    else:
        if won:
            told.append(f"Real weights beat scratch for {_listed(won)}.")
        if lost:
            told.append(f"Scratch beats real weights for {_listed(lost)}: learn why before you trust these weights.")
        if unsure:
            told.append(f"Whether weights help is not told by {outcome.photos[1]} photos for {_listed(unsure)}.")
    return told


def _depths(outcome: Outcome) -> list[str]:
    compared = outcome.of("depth")
    if not compared:
        return []
    parts = []
    deep = [one.arch for one in compared if one.verdict == "better"]
    shallow = [one.arch for one in compared if one.verdict == "worse"]
    unsure = [one.arch for one in compared if one.verdict == "unsure"]
    if deep:
        parts.append(f"fine-tuning all layers earns something with {', '.join(deep)}")
    if shallow:
        parts.append(f"with {', '.join(shallow)} a new head alone is better, and far cheaper")
    if unsure:
        parts.append(f"with {', '.join(unsure)} the two cannot be told apart, so take the head alone: it is cheaper")
    return [f"Depth: {'; '.join(parts)}."]


def _schedules(outcome: Outcome) -> list[str]:
    compared = outcome.of("schedule")
    if not compared:
        return []
    better = [one for one in compared if one.verdict == "better"]
    worse = [one for one in compared if one.verdict == "worse"]
    largest = max(abs(one.result.gain.value or 0.0) for one in compared)
    if not better and not worse:
        return [
            f"Schedule: cyclical and constant rates of the same mean differ by {100 * largest:.0f} points at most, "
            f"which may be chance in each of {len(compared)} comparisons: choose by convenience."
        ]
    told = []
    if better:
        told.append(f"cyclical rates are better for {_listed(better)}")
    if worse:
        told.append(f"constant rates are better for {_listed(worse)}")
    if len(told) and len(better) + len(worse) < len(compared):
        told.append(f"the other {len(compared) - len(better) - len(worse)} comparisons may be chance")
    return [f"Schedule: {'; '.join(told)}."]


def _listed(compared: Sequence[Comparison]) -> str:
    def name(one: Comparison) -> str:
        way = one.over if one.family == "schedule" else one.ours
        return f"{one.arch} {way} ({100 * (one.result.gain.value or 0):+.0f})"

    return ", ".join(name(one) for one in compared)
