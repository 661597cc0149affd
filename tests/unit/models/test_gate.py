"""The gate: what passes, what is refused, and that each refusal says what to do."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from models.gate import Figure, Floor, GateRules, Role, ScoreRecord, SetScores, Verdict, judge
from models.picture_outcomes import PictureOutcomes, paired_interval

RULES = GateRules(tolerances={"ap50": 0.01, "f1_frozen": 0.01})


def scored(
    role: Role = "holdout", ap50: float = 0.9, f1: float | None = 0.8, sha: str | None = None, **more: float
) -> SetScores:
    values = {"ap50": ap50, "f1_frozen": f1, **more}
    figures = {name: Figure(value=value) for name, value in values.items()}
    return SetScores(name=f"{role}-set", role=role, data_sha256=sha or f"{role}-hash", pictures=100, figures=figures)


def record(*sets: SetScores, model: str = "net@2") -> ScoreRecord:
    return ScoreRecord(model=model, weights_sha256=model, evaluated_utc="2026-01-01T00:00:00Z", sets=sets)


def against(*sets: SetScores) -> ScoreRecord:
    return record(*sets, model="net@1")


def only_reason(verdict: Verdict) -> str:
    assert not verdict.passed
    assert len(verdict.reasons) == 1, verdict.reasons
    return verdict.reasons[0]


def test_equal_figures_pass_and_the_reasons_say_so() -> None:
    verdict = judge(record(scored()), against(scored()), RULES)
    assert verdict.passed
    assert verdict.reasons == (
        "hold-out holdout-set: ap50 0.900 -> 0.900 (no worse)",
        "hold-out holdout-set: f1_frozen 0.800 -> 0.800 (no worse)",
    )


@pytest.mark.parametrize("role", ["regression", "holdout"])
def test_gain_on_development_and_loss_elsewhere_is_refused(role: Role) -> None:
    candidate = record(scored("development", ap50=0.97), scored(role, ap50=0.85))
    incumbent = against(scored("development"), scored(role))
    verdict = judge(candidate, incumbent, RULES)
    reason = only_reason(verdict)
    assert f"{role}-set: ap50 falls from 0.900 to 0.850 (0.050 worse, 0.010 is allowed)" in reason
    assert {c.verdict for c in verdict.comparisons if c.role == "development" and c.figure == "ap50"} == {"gain"}


def test_gain_everywhere_passes() -> None:
    candidate = record(scored("development", ap50=0.97), scored("regression", ap50=0.93), scored("holdout", ap50=0.95))
    incumbent = against(scored("development"), scored("regression"), scored("holdout"))
    assert judge(candidate, incumbent, RULES).passed


@pytest.mark.parametrize(("ap50", "passes"), [(0.91, True), (0.89, True), (0.8899, False), (0.5, False)])
def test_a_fall_within_its_tolerance_is_no_loss(ap50: float, passes: bool) -> None:
    assert judge(record(scored(ap50=ap50)), against(scored(ap50=0.9)), RULES).passed is passes


def test_a_loss_on_development_is_refused_unless_the_rules_allow_it() -> None:
    candidate, incumbent = (
        record(scored("development", ap50=0.8), scored()),
        against(scored("development"), scored()),
    )
    assert "development-set: ap50 falls" in only_reason(judge(candidate, incumbent, RULES))
    allowed = judge(candidate, incumbent, RULES.model_copy(update={"may_lose_on": ("development",)}))
    assert allowed.passed
    assert any("worse, and the rules allow it" in reason for reason in allowed.reasons)


def test_where_less_is_better_a_rise_is_the_loss() -> None:
    rules = GateRules(tolerances={"ece": 0.02, "latency_ms": 0.5})
    better = judge(record(scored(ece=0.05, latency_ms=3.0)), against(scored(ece=0.20, latency_ms=5.0)), rules)
    assert better.passed
    assert {c.verdict for c in better.comparisons} == {"gain"}
    worse = judge(record(scored(ece=0.20, latency_ms=3.0)), against(scored(ece=0.05, latency_ms=3.0)), rules)
    assert "ece rises from 0.050 to 0.200 (0.150 worse" in only_reason(worse)


def test_nothing_unseen_is_refused_unless_the_rules_say_so() -> None:
    development = scored("development", ap50=0.99)
    reason = only_reason(judge(record(development), against(scored("development")), RULES))
    assert "net@2 has no regression set and no hold-out" in reason
    assert "traylane evaluate net@2 --data PATH" in reason
    free = RULES.model_copy(update={"unseen": "none"})
    assert judge(record(development), against(scored("development")), free).passed


def test_rules_can_ask_for_both_unseen_sets() -> None:
    both = RULES.model_copy(update={"unseen": "both"})
    assert "no regression set" in only_reason(judge(record(scored()), against(scored()), both))
    sets = (scored("regression"), scored("holdout"))
    assert judge(record(*sets), against(*sets), both).passed


def test_a_record_without_sets_is_refused() -> None:
    verdict = judge(record(), against(scored()), RULES)
    assert not verdict.passed
    assert any("was scored on nothing" in reason for reason in verdict.reasons)


def test_other_pictures_are_never_compared() -> None:
    verdict = judge(record(scored(ap50=0.99, sha="new")), against(scored(ap50=0.2, sha="old")), RULES)
    reason = only_reason(verdict)
    assert verdict.comparisons == ()
    assert "net@1 was scored on other pictures of that name" in reason
    assert "`traylane evaluate net@1 --data PATH --role holdout`" in reason


def test_a_set_that_the_incumbent_never_saw_is_a_refusal_with_what_to_run() -> None:
    candidate = record(scored("holdout"), scored("regression"))
    reason = only_reason(judge(candidate, against(scored("holdout")), RULES))
    assert "regression set regression-set: net@1 was never scored on it" in reason
    assert "traylane evaluate net@1" in reason


def test_a_hard_set_cannot_be_left_out() -> None:
    incumbent = against(scored("holdout"), scored("regression"), scored("development"))
    reason = only_reason(judge(record(scored("holdout")), incumbent, RULES))
    assert "net@2 was not scored on regression set regression-set, which net@1 answers for" in reason


def test_development_pictures_under_another_name_are_no_holdout() -> None:
    sets = (scored("development", sha="same"), scored("holdout", sha="same"))
    reason = only_reason(judge(record(*sets), against(*sets), RULES))
    assert "holds the same pictures as the development set" in reason


@pytest.mark.parametrize("broken", [None, math.nan, math.inf])
def test_a_figure_that_is_missing_or_not_a_number_is_refused(broken: float | None) -> None:
    reason = only_reason(judge(record(scored(f1=broken)), against(scored()), RULES))
    assert "f1_frozen of net@2 is missing or not a number" in reason
    assert "--threshold" in reason
    assert "of net@1 is missing" in only_reason(judge(record(scored()), against(scored(f1=broken)), RULES))


def test_a_figure_that_nobody_measured_is_refused_also_for_the_first_model() -> None:
    assert not judge(record(scored()), None, GateRules(tolerances={"cacc": 0.01})).passed


def test_the_first_model_needs_no_rival_but_pictures_of_its_own() -> None:
    verdict = judge(record(scored()), None, RULES)
    assert verdict.passed
    assert "net@2 is the first" in verdict.reasons[0]
    assert not judge(record(scored("development")), None, RULES).passed


def test_floors_are_absolute() -> None:
    floor = RULES.model_copy(update={"floors": (Floor(figure="ap50", bound=0.95), Floor(figure="ece", bound=0.1))})
    verdict = judge(record(scored(ap50=0.94, ece=0.2)), None, floor)
    assert verdict.reasons == (
        "hold-out holdout-set: ap50 is 0.940, it must be at least 0.95",
        "hold-out holdout-set: ece is 0.200, it must be at most 0.1",
    )
    assert judge(record(scored(ap50=0.95, ece=0.1)), None, floor).passed
    assert "it is missing" in only_reason(judge(record(scored(ap50=0.97)), None, floor))


def test_a_floor_needs_a_set_to_show_it_on() -> None:
    rules = GateRules(floors=(Floor(figure="ap50", bound=0.5, roles=("regression",)),))
    assert "has no regression set to show it on" in only_reason(judge(record(scored()), None, rules))


def test_a_tiny_set_judges_nobody() -> None:
    strict = RULES.model_copy(update={"min_pictures": 101})
    assert "has 100 pictures, at least 101 are asked" in only_reason(judge(record(scored()), against(scored()), strict))


def test_rules_can_ask_for_a_gain() -> None:
    hungry = RULES.model_copy(update={"must_gain": True})
    assert "no watched figure gains" in only_reason(judge(record(scored()), against(scored()), hungry))
    assert judge(record(scored(ap50=0.95)), against(scored()), hungry).passed


def outcomes(hits: list[int], group: list[int] | None = None) -> PictureOutcomes:
    """Return pictures with ten objects each, of which so many were found."""
    return PictureOutcomes(
        hits=tuple(hits),
        false=(0,) * len(hits),
        missed=tuple(10 - n for n in hits),
        whole=tuple(int(n == 10) for n in hits),
        group=tuple(group or range(len(hits))),
    )


def with_outcomes(hits: list[int], group: list[int] | None = None) -> SetScores:
    paired = outcomes(hits, group)
    f1 = 2 * sum(hits) / (2 * sum(hits) + sum(paired.missed))
    return scored(f1=f1).model_copy(update={"outcomes": paired})


def test_pairs_tell_a_certain_loss_from_chance() -> None:
    steady = judge(record(with_outcomes([8] * 40)), against(with_outcomes([9] * 40)), RULES)
    assert "not by chance (95 %: " in only_reason(steady)
    erratic = [10, 2] * 20, [5, 8] * 20
    by_luck = judge(record(with_outcomes(erratic[0])), against(with_outcomes(erratic[1])), RULES)
    assert "it may be chance" in only_reason(by_luck)
    assert "more pictures" in only_reason(by_luck)


def test_rules_can_let_chance_pass_but_never_a_certain_loss() -> None:
    lenient = RULES.model_copy(update={"unsure": "accept"})
    by_luck = judge(record(with_outcomes([10, 2] * 20)), against(with_outcomes([5, 8] * 20)), lenient)
    assert by_luck.passed
    assert any("may be chance" in reason for reason in by_luck.reasons)
    assert not judge(record(with_outcomes([8] * 40)), against(with_outcomes([9] * 40)), lenient).passed
    # Without pictures to pair, nothing says that it is chance.
    assert not judge(record(scored(f1=0.7)), against(scored(f1=0.8)), lenient).passed


def test_pairing_narrows_the_interval_and_needs_the_same_pictures() -> None:
    base = [3, 9, 1, 10, 5, 8, 2, 7] * 5
    better = [min(n + 1, 10) for n in base]
    interval = paired_interval(outcomes(better), outcomes(base), "f1_frozen")
    assert interval is not None
    assert 0 < interval[0] < interval[1] < 0.12
    assert paired_interval(outcomes(better), outcomes(base[:-1]), "f1_frozen") is None
    assert paired_interval(outcomes(better), outcomes(base), "ap50") is None
    assert paired_interval(outcomes([1]), outcomes([2]), "f1_frozen") is None
    grouped = [i // 20 for i in range(40)]
    assert paired_interval(outcomes(better, grouped), outcomes(base), "f1_frozen") is None


def test_pictures_of_a_group_are_drawn_together() -> None:
    ours, theirs = [10, 2] * 20, [5, 8] * 20
    lone = paired_interval(outcomes(ours), outcomes(theirs), "recall_frozen")
    halves = [i % 2 for i in range(40)]
    together = paired_interval(outcomes(ours, halves), outcomes(theirs, halves), "recall_frozen")
    assert lone is not None
    assert together is not None
    assert together[1] - together[0] > 2 * (lone[1] - lone[0])


def test_records_keep_their_meaning_on_disk() -> None:
    written = record(with_outcomes([8, 9])).model_dump_json()
    assert ScoreRecord.model_validate_json(written) == record(with_outcomes([8, 9]))


def test_outcomes_must_be_parallel() -> None:
    with pytest.raises(ValidationError, match="equally long"):
        PictureOutcomes(hits=(1,), false=(), missed=(0,), whole=(1,), group=(0,))


@pytest.mark.parametrize(
    "rules", [{"tolerances": {}}, {"tolerances": {"ap50": -0.1}}, {"tolerances": {"ap50": math.nan}}]
)
def test_rules_that_let_everything_pass_are_no_rules(rules: dict[str, dict[str, float]]) -> None:
    with pytest.raises(ValidationError):
        GateRules.model_validate(rules)
