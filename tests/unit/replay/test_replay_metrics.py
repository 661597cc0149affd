"""The figures against examples that were counted by hand."""

from __future__ import annotations

import math

import pytest

from replay import metrics
from replay.matching import Stay, match_any_dish, match_bills, match_lines
from replay.truth import Truth, TruthBill, TruthItem
from replay.uncertainty import wilson


def stay(dish: str, t_s: float, confidence: float = 1.0, line: float | None = None) -> Stay:
    return Stay("b", t_s if line is None else line, 1, dish, t_s, t_s + 1, False, confidence)


def test_each_line_takes_the_free_interval_that_ends_first() -> None:
    items = [TruthItem("tea", 0, 10), TruthItem("tea", 0, 4)]
    matching = match_lines([stay("tea", 3), stay("tea", 2)], items)
    # 2.0 comes first and takes the interval that ends at 4; 3.0 still finds the longer one.
    assert matching.pairs == ((0, 0), (1, 1))


def test_a_duplicate_line_is_a_false_positive() -> None:
    counts = metrics.count_lines(match_lines([stay("tea", 1), stay("tea", 2)], [TruthItem("tea", 0, 5)]))
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 0)
    assert counts.f1 == pytest.approx(2 / 3)


def test_a_line_that_comes_back_is_no_duplicate_but_may_match_a_second_stay() -> None:
    stays = [stay("tea", 1, line=1), stay("tea", 3, line=1), stay("pie", 1, line=2), stay("pie", 9, line=2)]
    items = [TruthItem("tea", 0, 5), TruthItem("pie", 0, 5), TruthItem("pie", 8, 12)]
    counts = metrics.count_lines(match_lines(stays, items))
    assert (counts.tp, counts.fp, counts.fn) == (3, 0, 0)


def test_a_ghost_that_flickers_is_one_false_positive() -> None:
    counts = metrics.count_lines(match_lines([stay("tea", 1, line=1), stay("tea", 3, line=1)], []))
    assert (counts.tp, counts.fp, counts.fn) == (0, 1, 0)


def test_the_wrong_dish_or_time_is_both_a_false_positive_and_a_miss() -> None:
    items = [TruthItem("tea", 0, 5), TruthItem("soup", 0, 5)]
    counts = metrics.count_lines(match_lines([stay("bread", 1), stay("soup", 5.01)], items))
    assert (counts.tp, counts.fp, counts.fn) == (0, 2, 2)


def test_interval_ends_are_inside() -> None:
    assert metrics.count_lines(match_lines([stay("tea", 5.0)], [TruthItem("tea", 5.0, 5.0)])).tp == 1


def test_f1_of_nothing_is_undefined() -> None:
    assert metrics.Lines(0, 0, 0).f1 is None


def test_confusion_pairs_what_the_exact_rule_left_over() -> None:
    stays = [stay("tea", 1), stay("bread", 2), stay("soup", 99)]
    items = [TruthItem("tea", 0, 5), TruthItem("roll", 0, 5), TruthItem("pie", 50, 60)]
    exact = match_lines(stays, items)
    cells = metrics.confusion(stays, items, match_any_dish(stays, items, exact))
    assert cells == {("tea", "tea"): 1, ("roll", "bread"): 1, ("pie", ""): 1, ("", "soup"): 1}


def test_bills_go_to_the_tray_they_share_most_time_with() -> None:
    trays = [TruthBill({"tea": 1}, 0, 10), TruthBill({"pie": 1}, 11, 20), TruthBill({}, 30, 40)]
    found, extra = match_bills([(0.5, 3.0), (4.0, 10.5), (10.8, 19.0)], trays)
    assert (found, extra) == ([1, 2, None], [0])


def test_bills_without_times_are_paired_in_order() -> None:
    found, extra = match_bills([(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)], [TruthBill({"tea": 1}), TruthBill({"pie": 1})])
    assert (found, extra) == ([0, 1], [2])


OURS = [{"tea": 2, "pie": 1}, {"tea": 1}, {"soup": 1}]
TRUE = [{"tea": 2, "pie": 1}, {"tea": 2}, {"pie": 1}]


def test_cart_figures_by_hand() -> None:
    assert metrics.cart_accuracy(OURS, TRUE) == pytest.approx(1 / 3)
    assert metrics.average_count_distance(OURS, TRUE) == pytest.approx((0 + 1 + 2) / 3)
    # tea: |2-2| + |1-2| = 1 of 4; pie: |1-1| + |0-1| = 1 of 2; soup has no true item.
    assert metrics.mean_class_distance(OURS, TRUE) == pytest.approx((1 / 4 + 1 / 2) / 2)
    # tea: 3/4; pie: 1/2; soup: 0/1.
    assert metrics.mean_class_overlap(OURS, TRUE) == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)


def test_money_by_hand() -> None:
    money = metrics.money_error([5.0, 2.0, 3.0], [4.0, 4.0, 3.0])
    assert money is not None
    assert money.signed == pytest.approx(-1 / 3)
    assert money.absolute == pytest.approx(1.0)
    assert (money.over, money.under) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_agreement_costs_one_per_swapped_missing_or_surplus_item() -> None:
    result = metrics.agreement(OURS, TRUE)
    assert (result.hits, result.trials) == (3 + 1 + 0, 3 + 2 + 1)


def test_agreement_of_frequent_dishes_leaves_the_rare_out() -> None:
    true = [{"tea": 199}, {"pie": 1}]
    assert metrics.frequent_dishes(true) == {"tea"}
    result = metrics.agreement([{"tea": 199}, {}], true, metrics.frequent_dishes(true))
    assert (result.hits, result.trials) == (199, 199)


def test_figures_without_trays_are_undefined() -> None:
    assert metrics.cart_accuracy([], []) is None
    assert metrics.average_count_distance([], []) is None
    assert metrics.mean_class_distance([], []) is None
    assert metrics.mean_class_overlap([], []) is None
    assert metrics.money_error([], []) is None
    assert metrics.agreement([], []).share is None
    assert metrics.percentiles([]) is None
    assert metrics.calibration([], []) is None


def test_count_error_forgives_half_a_second_around_a_change() -> None:
    truth = Truth(fps=10.0, count_by_frame=((0, 1), (20, 2), (40, 2)))
    frames = list(range(60))
    late = [1 if frame <= 25 else 2 for frame in frames]
    result = metrics.count_error(frames, late, truth)
    assert result is not None
    # 15..25 (eleven frames) are not judged; the entry at 40 changes nothing.
    assert (result.wrong, result.judged) == (0, 49)
    later = [1 if frame <= 27 else 2 for frame in frames]
    result = metrics.count_error(frames, later, truth)
    assert result is not None
    assert (result.wrong, result.judged) == (2, 49)


def test_frames_before_the_first_true_count_are_not_judged() -> None:
    result = metrics.count_error([0, 1, 2], [9, 9, 9], Truth(fps=10.0, count_by_frame=((2, 9),)))
    assert result is not None
    assert (result.wrong, result.judged) == (0, 1)


def test_count_error_without_truth_is_undefined() -> None:
    assert metrics.count_error([0], [1], Truth()) is None


def test_calibration_by_hand() -> None:
    result = metrics.calibration([0.95, 0.95, 0.65], [True, False, True])
    assert result is not None
    assert result.ece == pytest.approx((abs(1 - 1.9) + abs(1 - 0.65)) / 3)
    assert result.curve == ((pytest.approx(1 / 3), 0.0), (pytest.approx(2 / 3), 0.5), (1.0, pytest.approx(1 / 3)))
    assert result.aurc == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_delay_is_counted_from_the_arrival_of_the_item() -> None:
    stays, items = [stay("tea", 1.5), stay("pie", 9.0)], [TruthItem("tea", 1.0, 4.0), TruthItem("pie", 0.0, 1.0)]
    assert metrics.decision_delays(stays, items, match_lines(stays, items)) == [pytest.approx(0.5)]


def test_percentiles_interpolate() -> None:
    assert metrics.percentiles([0.001 * n for n in range(101)], 1000) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def test_wilson_holds_the_share_and_stays_in_bounds() -> None:
    assert wilson(0, 0) is None
    low, high = wilson(100, 100) or (math.nan, math.nan)
    assert low == pytest.approx(0.96300, abs=1e-5)
    assert high == 1.0
    with pytest.raises(ValueError, match="hits"):
        wilson(3, 2)


def test_f1_interval_repeats_and_surrounds_the_figure() -> None:
    trays = [metrics.Lines(3, 0, 0)] * 30 + [metrics.Lines(1, 1, 1)] * 10
    first = metrics.f1_interval(trays, seed=7)
    assert first == metrics.f1_interval(trays, seed=7)
    assert first is not None
    pooled = 2 * 100 / (2 * 100 + 10 + 10)
    assert first[0] < pooled < first[1]
    assert first[0] > 0.82
    assert metrics.f1_interval(trays[:1]) is None
