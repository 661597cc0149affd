"""What the taught-menu bench computes, on made-up objects."""

import pytest

from bench.taught_menu import (
    TAUGHT,
    Seen,
    auroc,
    bootstrap,
    figures,
    objects_auroc,
    objects_ece,
    risk_at,
    teaching_photo,
)
from models.dish_photo import decode_photo


def seen(dish: str, known: bool, unknown: float, guess: str, sure: float, lines=(), asked=False) -> Seen:
    return Seen(dish, known, known, unknown, guess, sure, list(lines), asked)


OBJECTS = [
    seen("soup", True, 0.1, "soup", 0.9, ["soup"]),
    seen("soup", True, 0.2, "peas", 0.8, ["peas"]),
    seen("peas", True, 0.7, "peas", 0.3, [], asked=True),
    seen("rice", False, 0.95, "peas", 0.05, [], asked=True),
    seen("rice", False, 0.4, "peas", 0.6, ["peas"]),
]


def test_auroc_counts_pairs():
    pairs = [(u, k) for u in (0.95, 0.4) for k in (0.1, 0.2, 0.7)]
    assert objects_auroc(OBJECTS) == pytest.approx(sum(u > k for u, k in pairs) / len(pairs))
    assert auroc([0.5, 0.5], [True, False]) == 0.5
    assert auroc([0.5], [True]) is None


def test_risk_takes_the_surest_first():
    assert risk_at(OBJECTS, 0.3) == 0.0
    assert risk_at(OBJECTS, 0.6) == 0.5
    assert risk_at([], 1.0) is None


def test_calibration_error_is_of_known_objects():
    assert objects_ece(OBJECTS) == pytest.approx((0.1 + 0.8 + 0.7) / 3)


def test_rows_of_one_way():
    plain = [
        {"objects": [vars_of(one) for one in OBJECTS], "stray_questions": 2, "recognise_s": [0.01, 0.03]},
    ]
    rows = {row["name"]: row["value"] for row in figures(plain, heads=False)}
    assert rows["heads_off_agreement"] == 0.5
    assert rows["heads_off_agreement_with_lines_of_unknown"] == pytest.approx(1 / 3, abs=1e-3)
    assert rows["heads_off_known_asked"] == pytest.approx(1 / 3, abs=1e-3)
    assert rows["heads_off_unknown_asked"] == 0.5
    assert rows["heads_off_unknown_billed_as_known"] == 0.5
    assert rows["heads_off_questions_about_things"] == 2
    assert rows["heads_off_recognise_mean"] == 20.0


def vars_of(one: Seen) -> dict:
    import dataclasses

    return dataclasses.asdict(one)


def test_intervals_hold_the_figure():
    low, high = bootstrap([OBJECTS, OBJECTS[:4]], objects_auroc)
    assert low <= objects_auroc(OBJECTS) <= high


def test_photos_are_the_same_each_time():
    assert teaching_photo(TAUGHT[0]) == teaching_photo(TAUGHT[0])
    assert decode_photo(teaching_photo(TAUGHT[1])).shape == (360, 640, 3)
