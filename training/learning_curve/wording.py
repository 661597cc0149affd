"""What a learning curve says to someone who wonders whether to label more pictures."""

from __future__ import annotations

from training.learning_curve.outcome import Curve, Outcome
from training.learning_curve.power_law import MOST_AHEAD, Ahead
from training.shootout.wording import interval

TITLES = {"accuracy": "accuracy", "ap50": "AP50", "f1_best": "best F1"}
#: A law that misses the largest set by more than this is not to be trusted further out.
TRUSTED = 0.03


def sentences(outcome: Outcome) -> list[str]:
    """Return what follows, most useful first; what the points cannot tell is said as that."""
    told = [*_starts(outcome), *(_saving(outcome))]
    best = outcome.curve("pretrained") or outcome.curve("scratch")
    if best is not None:
        told += [_growth(best), _ahead(best)]
    return told


def times(value: float, at_least: bool) -> str:
    """Return a factor as people say it."""
    return f"{'at least ' if at_least else ''}{value:.1f} times"


def _starts(outcome: Outcome) -> list[str]:
    pre, scratch = outcome.curve("pretrained"), outcome.curve("scratch")
    if pre is None or scratch is None:
        return []
    won = [i for i, gain in enumerate(outcome.gains) if gain.low is not None and gain.low > 0]
    name = TITLES[outcome.points.score]
    last = outcome.gains[-1]
    ends = (
        f"with all {pre.counts[-1]} pictures the pretrained start has {name} {pre.means[-1].value:.3f}, scratch "
        f"{scratch.means[-1].value:.3f} (difference {last.value:+.3f}, 95 %: {interval(last, '%+.3f')})"
    )
    if len(won) == len(outcome.gains):
        return [f"Real weights win at every size: {ends}."]
    if not won:
        return [f"The test part cannot tell the two starts apart at any size: {ends}."]
    sizes = ", ".join(str(pre.counts[i]) for i in won)
    return [f"Real weights win with {sizes} pictures; {ends}."]


def scratch_learnt_nothing(outcome: Outcome) -> bool:
    """Return whether the scratch curve does not rise, or ends where knowing nothing is: what it reaches is no mark."""
    scratch = outcome.curve("scratch")
    if scratch is None:
        return False
    first, last = scratch.means[0], scratch.means[-1]
    at_chance = outcome.points.chance is not None and last.low is not None and last.low <= outcome.points.chance
    return at_chance or (last.value or 0.0) <= (first.value or 0.0)


def _saving(outcome: Outcome) -> list[str]:
    told = []
    if outcome.savings and scratch_learnt_nothing(outcome):
        told.append(
            "The scratch start learnt next to nothing in this budget, whatever its pictures: what follows of savings "
            "holds for this budget alone. Raise --steps before you quote it."
        )
    for name, one in outcome.savings.items():
        if one.factor is None:
            told.append(f"{TITLES[name]}: the pretrained start does not reach what scratch has with all pictures.")
            continue
        band = ": the smallest set does already" if one.at_least else ""
        if not one.at_least and one.low is not None and one.high is not None:
            band = f" (95 %: {one.low:.1f} to {one.high:.1f})"
        told.append(
            f"For the {TITLES[name]} that scratch reaches with all pictures, the pretrained start needs "
            f"{times(one.factor, one.at_least)} fewer{band}."
        )
    return told


def _growth(curve: Curve) -> str:
    last, before = curve.means[-1].value or 0.0, curve.means[-2].value or 0.0
    return (
        f"From {curve.counts[-2]} to {curve.counts[-1]} pictures the {curve.start} start gained "
        f"{100 * (last - before):+.1f} points of {TITLES[curve.score]}: "
        + (
            "it still grows, so more pictures are worth their labels."
            if last - before > 0.02
            else "little more is to be had from more of the same pictures."
        )
    )


def _ahead(curve: Curve) -> str:
    near = next((one for one in curve.ahead if one.gain == 0.05), curve.ahead[0])
    caution = "Four sizes and few seeds carry no more than a guess"
    if curve.foretold is not None:
        missed = curve.foretold - (curve.means[-1].value or 0.0)
        caution = f"Asked for the largest set, the law of the smaller ones was off by {100 * missed:+.1f} points" + (
            "" if abs(missed) <= TRUSTED else ": do not plan by it"
        )
    return f"{more_told(near, curve)} {caution}; it knows no floor, so it is optimistic far out."


def more_told(ahead: Ahead, curve: Curve) -> str:
    """Return how many more pictures a gain would take, as a sentence."""
    gain = f"{100 * ahead.gain:.0f} points more"
    if ahead.more is None:
        return f"For {gain}, the fitted power law asks for over {MOST_AHEAD:g} times the pictures: not told."
    high = "unknown" if ahead.high is None else f"{ahead.high:.0f}"
    low = "unknown" if ahead.low is None else f"{ahead.low:.0f}"
    return (
        f"For {gain}, the fitted power law asks for about {ahead.more:.0f} pictures beside the {curve.counts[-1]} "
        f"(95 %: {low} to {high})."
    )
