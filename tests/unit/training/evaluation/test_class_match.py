"""A model's labels in terms of a set's: by name, by map, or all alike."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import ConfigError
from core.records import HAND, Detections
from training.evaluation.class_match import match_any, match_classes, parse_map


def detections(class_ids: list[int], labels: tuple[str, ...], probs: list[list[float]] | None = None) -> Detections:
    count = len(class_ids)
    boxes = np.tile(np.array([0, 0, 9, 9], dtype=np.float32), (count, 1))
    return Detections(
        0,
        0.0,
        boxes,
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.array(class_ids, dtype=np.int64),
        labels,
        None if probs is None else np.array(probs, dtype=np.float32),
    )


def test_names_match_whatever_their_case_and_gaps() -> None:
    matched = match_classes(["steam_cake", "NEXTAR", "person"], ["Nextar", "Steam Cake"], {})
    assert matched.of_label.tolist() == [1, 0, -1]
    assert matched.notes == ("Left out, as the set has no such class: the model's person.",)


def test_an_exact_name_goes_before_a_like_one() -> None:
    assert match_classes(["tea", "Tea"], ["Tea", "tea"], {}).of_label.tolist() == [1, 0]
    # Only a like name, and two of them: nothing is guessed.
    with pytest.raises(ConfigError, match="no class of the model"):
        match_classes(["TEA"], ["Tea", "tea"], {})


def test_the_map_goes_before_the_name() -> None:
    matched = match_classes(["cup", "tea", "bun"], ["tea", "bread"], {"cup": "tea", "bun": "bread", "tea": ""})
    assert matched.of_label.tolist() == [0, -1, 1]


def test_what_the_model_does_not_know_is_told() -> None:
    assert (
        "does not know bread: each object of it counts as missed"
        in match_classes(["tea"], ["tea", "bread"], {}).notes[0]
    )


@pytest.mark.parametrize(
    ("class_map", "says"),
    [
        ({"jar": "tea"}, "the model has no class 'jar'; it knows cup, tea"),
        ({"cup": "soup"}, "the set has no class 'soup'; it has tea, bread"),
    ],
)
def test_a_map_of_unknown_names_is_refused(class_map: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        match_classes(["cup", "tea"], ["tea", "bread"], class_map)


def test_classes_that_match_nothing_are_refused_with_both_lists() -> None:
    with pytest.raises(ConfigError, match=r"the model knows cup, jar; the set has tea.*--class-map.*--agnostic"):
        match_classes(["cup", "jar"], ["tea"], {})


def test_without_classes_everything_but_hands_is_an_item() -> None:
    matched = match_any(["tea", HAND, "person"], {"person": ""})
    assert matched.of_label.tolist() == [0, -1, -1]
    with pytest.raises(ConfigError, match="every class of the model is left out"):
        match_any([HAND], {})


def test_translation_drops_what_the_set_cannot_judge_and_adds_probabilities() -> None:
    labels = ("cup", "person", "mug")
    matched = match_classes(labels, ["bread", "tea"], {"cup": "tea", "mug": "tea"})
    found = matched.translate(detections([0, 1, 2], labels, [[0.5, 0.2, 0.3], [0, 1, 0], [0.25, 0, 0.75]]))
    assert found.classes.tolist() == [1, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.class_probs is not None
    assert found.class_probs.tolist() == [pytest.approx([0, 0.8]), pytest.approx([0, 1.0])]
    assert matched.translate(detections([0], labels)).class_probs is None


@pytest.mark.parametrize(
    ("text", "says"), [("cup", "write MODEL=SET"), ("=tea", "write"), ("a=b,a=c", "a stands there twice")]
)
def test_a_map_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_map(text)


def test_no_map_is_an_empty_one() -> None:
    assert parse_map(None) == parse_map("") == {}
