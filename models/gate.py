"""The gate: may this model take the place of that one? Pure rules over score records, no torch, no pictures.

A model that gains on development data and loses on the regression set or the hold-out is refused. Figures are compared
only on equal pictures (`data_sha256`). A fall beyond its tolerance is a loss, also where it could be chance: the burden
of proof is the candidate's; `GateRules.unsure` can say otherwise. How sure a fall is comes from a paired bootstrap over
pictures (`PictureOutcomes`), for the figures that follow from the counts of single pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from core.settings import Settings
from models.picture_outcomes import PictureOutcomes, paired_interval

Role = Literal["development", "regression", "holdout"]
UNSEEN: tuple[Role, ...] = ("regression", "holdout")

#: Figures that are better when they are smaller; the gate turns them round.
LOWER_IS_BETTER = ("ece", "ece_class", "acd", "mccd", "latency_ms", "size_mb")


class Figure(Settings):
    """A measured value with its 95 % interval; None where nothing was to be measured."""

    value: float | None = Field(description="The figure")
    low: float | None = Field(default=None, description="Lower bound of its 95 % interval")
    high: float | None = Field(default=None, description="Upper bound of its 95 % interval")


class SetScores(Settings):
    """Figures of one model on one set of pictures."""

    name: str = Field(min_length=1, description="Name of the set")
    role: Role = Field(description="What the set is for: development (tuned on), regression, holdout")
    data_sha256: str = Field(description="Hash of the set: figures of different hashes are never compared")
    pictures: int = Field(ge=0, description="How many pictures")
    figures: dict[str, Figure] = Field(description="Name -> figure: ap50, ap, f1_best, f1_frozen, ece, cacc, …")
    frozen_threshold: float | None = Field(default=None, description="Score from which f1_frozen, cacc, … count")
    outcomes: PictureOutcomes | None = Field(default=None, description="Per picture, at the frozen threshold")


class ScoreRecord(Settings):
    """Everything that was measured of one model in one evaluation; kept as JSON beside the model's card."""

    model: str = Field(min_length=1, description="Full name, such as traynet@2")
    weights_sha256: str = Field(description="SHA-256 of the weights that were scored")
    evaluated_utc: str = Field(description="When, ISO 8601")
    sets: tuple[SetScores, ...] = Field(default=(), description="One entry for each set")


class Floor(Settings):
    """An absolute bound on a figure: at least, or at most where lower is better."""

    figure: str = Field(min_length=1, description="Name of the figure, such as ap50")
    bound: float = Field(allow_inf_nan=False, description="At least this (at most, for figures like ece)")
    roles: tuple[Role, ...] = Field(default=UNSEEN, min_length=1, description="On sets of these roles")


class GateRules(Settings):
    """What a candidate must show."""

    tolerances: dict[str, float] = Field(
        default={"ap50": 0.01, "f1_frozen": 0.01},
        description="Watched figure -> how far it may get worse (0.01 is one point of a hundred)",
    )
    floors: tuple[Floor, ...] = Field(default=(), description="Absolute bounds")
    unseen: Literal["either", "both", "none"] = Field(
        default="either", description="Which of a regression set and a hold-out the candidate must be scored on"
    )
    may_lose_on: tuple[Role, ...] = Field(default=(), description="Roles on which a loss is told but not refused")
    unsure: Literal["refuse", "accept"] = Field(
        default="refuse", description="A fall beyond its tolerance that may be chance by the paired bootstrap"
    )
    must_gain: bool = Field(default=False, description="Refuse a candidate that gains nowhere beyond a tolerance")
    min_pictures: int = Field(default=1, ge=1, description="A smaller set judges nobody")
    lower_is_better: tuple[str, ...] = Field(default=LOWER_IS_BETTER, description="Figures where less is better")

    @model_validator(mode="after")
    def _watches(self) -> Self:
        if not self.tolerances and not self.floors:
            raise ValueError("no figure is watched and no floor is set: such a gate lets everything pass")
        for name, tolerance in self.tolerances.items():
            if not (math.isfinite(tolerance) and tolerance >= 0):
                raise ValueError(f"tolerances: {name} must be 0 or more, got {tolerance}")
        return self


@dataclass(frozen=True)
class Comparison:
    """One figure of both models on equal pictures.

    Attributes:
        set_name: the set.
        role: of the set, for the candidate.
        figure: its name.
        candidate: the candidate's value.
        incumbent: the incumbent's.
        change: how much better the candidate is: negative is worse, also where lower is better.
        low: lower bound of the change's paired 95 % interval; None where it cannot be paired.
        high: upper bound.
        verdict: "gain", "same" (within the tolerance), "loss", or "unsure" (a fall that the rules accept as chance).
    """

    set_name: str
    role: Role
    figure: str
    candidate: float
    incumbent: float
    change: float
    low: float | None
    high: float | None
    verdict: Literal["gain", "same", "loss", "unsure"]


@dataclass(frozen=True)
class Verdict:
    """The gate's answer.

    Attributes:
        passed: whether the candidate may take over.
        reasons: why, one line each: all that stands against it, or what speaks for it.
        comparisons: everything that could be compared.
    """

    passed: bool
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...]


def judge(candidate: ScoreRecord, incumbent: ScoreRecord | None, rules: GateRules | None = None) -> Verdict:
    """Say whether `candidate` may take the place of `incumbent`, and why.

    Args:
        candidate: scores of the model that wants in.
        incumbent: scores of the model that is in; None for the first one: then only what holds without a rival counts.
        rules: what is asked; `GateRules()` by default.
    """
    rules = GateRules() if rules is None else rules
    against = [*_unseen_missing(candidate, rules), *_unusable(candidate, rules), *_floors(candidate, rules)]
    comparisons: list[Comparison] = []
    if incumbent is not None:
        against += _not_scored_again(candidate, incumbent)
        for scores in candidate.sets:
            rival, why = _counterpart(scores, candidate, incumbent)
            against += [why] if why else []
            if rival is not None:
                comparisons += _compared(scores, rival, rules)
                against += _figures_missing(incumbent.model, rival, rules)
        against += [_loss(c, rules) for c in comparisons if c.verdict == "loss" and c.role not in rules.may_lose_on]
        if rules.must_gain and not any(c.verdict == "gain" for c in comparisons):
            against.append("no watched figure gains more than its tolerance on any set: there is no reason to change")
    if against:
        return Verdict(False, tuple(dict.fromkeys(against)), tuple(comparisons))
    return Verdict(True, tuple(_in_favour(candidate, incumbent, comparisons)), tuple(comparisons))


def _unseen_missing(record: ScoreRecord, rules: GateRules) -> Iterator[str]:
    """Yield what is wrong when the candidate was not scored on pictures that nobody tuned on."""
    roles = {scores.role for scores in record.sets}
    wanted = {"both": UNSEEN, "either": UNSEEN, "none": ()}[rules.unseen]
    missing = [role for role in wanted if role not in roles]
    if missing and (rules.unseen == "both" or len(missing) == len(wanted)):
        names = " and no ".join(f"{_role(role)}" for role in missing)
        roles_to_give = " and ".join(f"--role {role}" for role in missing)
        if rules.unseen == "either":
            roles_to_give = "--role regression or --role holdout"
        yield (
            f"{record.model} has no {names}: gains on development pictures prove nothing; "
            f"run `traylane evaluate {record.model} --data PATH` with {roles_to_give}"
        )
    if not record.sets:
        yield f"{record.model} was scored on nothing; run `traylane evaluate {record.model} --data PATH --role holdout`"
    tuned_on = {scores.data_sha256: scores.name for scores in record.sets if scores.role == "development"}
    for scores in record.sets:
        if scores.role in UNSEEN and scores.data_sha256 in tuned_on:
            yield (
                f"{_named(scores)} holds the same pictures as the development set {tuned_on[scores.data_sha256]}: "
                "it cannot judge; split once, and give the part that was kept aside"
            )


def _unusable(record: ScoreRecord, rules: GateRules) -> Iterator[str]:
    """Yield the candidate's sets that are too small or lack a watched figure."""
    for scores in record.sets:
        if scores.pictures < rules.min_pictures:
            yield f"{_named(scores)} has {scores.pictures} pictures, at least {rules.min_pictures} are asked; add more"
        yield from _figures_missing(record.model, scores, rules)


def _figures_missing(model: str, scores: SetScores, rules: GateRules) -> Iterator[str]:
    for name in rules.tolerances:
        if _value(scores, name) is None:
            remedy = f"run `traylane evaluate {model} --data PATH --role {scores.role}` again"
            if name.endswith("_frozen"):
                remedy += " with --threshold (the best one of a development set)"
            yield f"{_named(scores)}: {name} of {model} is missing or not a number; {remedy}"


def _floors(record: ScoreRecord, rules: GateRules) -> Iterator[str]:
    for floor in rules.floors:
        sets = [scores for scores in record.sets if scores.role in floor.roles]
        lower = floor.figure in rules.lower_is_better
        limit = f"{'at most' if lower else 'at least'} {floor.bound:g}"
        if not sets:
            roles = " or ".join(floor.roles)
            yield f"{floor.figure} must be {limit}, and {record.model} has no {roles} set to show it on; evaluate it"
        for scores in sets:
            value = _value(scores, floor.figure)
            if value is None:
                yield f"{_named(scores)}: {floor.figure} must be {limit}, and it is missing or not a number"
            elif value > floor.bound if lower else value < floor.bound:
                yield f"{_named(scores)}: {floor.figure} is {value:.3f}, it must be {limit}"


def _not_scored_again(candidate: ScoreRecord, incumbent: ScoreRecord) -> Iterator[str]:
    """Yield the sets that hold the incumbent to account and that the candidate was not scored on."""
    known = {scores.data_sha256 for scores in candidate.sets}
    names = {(scores.role, scores.name) for scores in candidate.sets}
    for scores in incumbent.sets:
        # Sets of equal name and other pictures are told from the candidate's side.
        if scores.role in UNSEEN and scores.data_sha256 not in known and (scores.role, scores.name) not in names:
            yield (
                f"{candidate.model} was not scored on {_named(scores)}, which {incumbent.model} answers for; "
                f"run `traylane evaluate {candidate.model} --data PATH --role {scores.role}` on it"
            )


def _counterpart(
    scores: SetScores, candidate: ScoreRecord, incumbent: ScoreRecord
) -> tuple[SetScores | None, str | None]:
    """Return the incumbent's scores on the same pictures, or None and what to run."""
    same = [other for other in incumbent.sets if other.data_sha256 == scores.data_sha256]
    if same:
        return min(same, key=lambda other: other.role != scores.role), None
    run = f"run `traylane evaluate {incumbent.model} --data PATH --role {scores.role}` on the same pictures"
    if any(other.name == scores.name for other in incumbent.sets):
        return None, (
            f"{_named(scores)}: {incumbent.model} was scored on other pictures of that name "
            f"(not {scores.data_sha256[:12]}…); {run}"
        )
    return None, f"{_named(scores)}: {incumbent.model} was never scored on it, so nothing can be compared; {run}"


def _compared(scores: SetScores, rival: SetScores, rules: GateRules) -> Iterator[Comparison]:
    for name, tolerance in rules.tolerances.items():
        ours, theirs = _value(scores, name), _value(rival, name)
        if ours is None or theirs is None:
            continue
        change = theirs - ours if name in rules.lower_is_better else ours - theirs
        low, high = _paired(scores, rival, name)
        verdict: Literal["gain", "same", "loss", "unsure"] = "same"
        # A hair of leave: 0.90 - 0.89 is a little more than 0.01 in binary.
        if change > tolerance + 1e-9:
            verdict = "gain"
        elif change < -tolerance - 1e-9:
            may_be_chance = high is not None and high >= 0
            verdict = "unsure" if may_be_chance and rules.unsure == "accept" else "loss"
        yield Comparison(scores.name, scores.role, name, ours, theirs, change, low, high, verdict)


def _paired(scores: SetScores, rival: SetScores, name: str) -> tuple[float | None, float | None]:
    if scores.outcomes is None or rival.outcomes is None:
        return None, None
    return paired_interval(scores.outcomes, rival.outcomes, name) or (None, None)


def _value(scores: SetScores, name: str) -> float | None:
    """Return a figure's value, or None where it is missing or not a number."""
    figure = scores.figures.get(name)
    if figure is None or figure.value is None or not math.isfinite(figure.value):
        return None
    return figure.value


def _loss(c: Comparison, rules: GateRules) -> str:
    worse = "rises" if c.figure in rules.lower_is_better else "falls"
    line = (
        f"{_role(c.role)} {c.set_name}: {c.figure} {worse} from {c.incumbent:.3f} to {c.candidate:.3f} "
        f"({abs(c.change):.3f} worse, {rules.tolerances[c.figure]:.3f} is allowed)"
    )
    if c.low is None or c.high is None:
        return line
    interval = f"95 %: {c.low:+.3f} to {c.high:+.3f}"
    if c.high < 0:
        return f"{line}; not by chance ({interval})"
    return f"{line}; it may be chance ({interval}): score both on more pictures"


def _in_favour(candidate: ScoreRecord, incumbent: ScoreRecord | None, comparisons: list[Comparison]) -> Iterator[str]:
    if incumbent is None:
        names = ", ".join(_named(scores) for scores in candidate.sets)
        yield f"{candidate.model} is the first: there is nothing to compare it with; scored on {names}"
        return
    if candidate.weights_sha256 == incumbent.weights_sha256:
        yield f"{candidate.model} has the very weights of {incumbent.model}"
    words = {"gain": "better", "same": "no worse", "loss": "worse, and the rules allow it", "unsure": "may be chance"}
    for c in comparisons:
        yield f"{_role(c.role)} {c.set_name}: {c.figure} {c.incumbent:.3f} -> {c.candidate:.3f} ({words[c.verdict]})"


def _named(scores: SetScores) -> str:
    return f"{_role(scores.role)} {scores.name}"


def _role(role: Role) -> str:
    return {"development": "development set", "regression": "regression set", "holdout": "hold-out"}[role]
