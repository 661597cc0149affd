"""Score a shipped detector on lanes it has never seen: the card, the runtime and the letterbox that the product uses.

Figures come with a bootstrap interval: lanes (seeds), not pictures, are drawn again, because pictures of one lane share
dishes and light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.records import Frame
from models.detector import Detector
from training.augment import MIN_VISIBLE
from training.detection_scores import Found, Outcome, Wanted, average_precision, class_accuracy, match, of_class
from training.synthetic_set import sampled

Score = Callable[[Sequence[Outcome]], float | None]


@dataclass(frozen=True)
class Figure:
    """A value with the bounds of its 95 % bootstrap interval; None where nothing was to be measured."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LaneScores:
    """All pictures of one lane: class-agnostic outcomes, and one list per label for the per-class AP."""

    seed: int
    outcomes: list[Outcome]
    by_label: dict[str, list[Outcome]]


def score_lane(detector: Detector, seed: int, preset: str, frames: int = 24, every_s: float = 1.1) -> LaneScores:
    """Detect on pictures of one lane, sampled sparsely in time, and match them to the truth."""
    outcomes: list[Outcome] = []
    by_label: dict[str, list[Outcome]] = {label: [] for label in detector.labels}
    for image, wanted in _pictures(detector.labels, seed, preset, frames, every_s):
        frame = Frame(f"{preset}-{seed}", len(outcomes), 0.0, 0.0, image)
        detections = detector.detect([frame])[0]
        found = Found(detections.boxes, detections.scores, detections.class_ids)
        outcomes.append(match(found, wanted))
        for class_id, label in enumerate(detector.labels):
            by_label[label].append(match(*of_class(found, wanted, class_id)))
    return LaneScores(seed, outcomes, by_label)


def ap50(lanes: Sequence[LaneScores]) -> Figure:
    """Return class-agnostic AP at IoU 0.5."""
    return _with_interval([lane.outcomes for lane in lanes], average_precision)


def class_accuracy_of(lanes: Sequence[LaneScores]) -> Figure:
    """Return the share of found objects (score >= 0.3) that got the right class in that single picture."""
    return _with_interval([lane.outcomes for lane in lanes], class_accuracy)


def ap50_per_label(lanes: Sequence[LaneScores]) -> dict[str, float]:
    """Return AP at IoU 0.5 of each label that occurred."""
    scores = {}
    for label in lanes[0].by_label:
        value = average_precision([outcome for lane in lanes for outcome in lane.by_label[label]])
        if value is not None:
            scores[label] = value
    return scores


def _pictures(
    labels: tuple[str, ...], seed: int, preset: str, frames: int, every_s: float
) -> Iterator[tuple[NDArray[np.uint8], Wanted]]:
    index_of = {label: i for i, label in enumerate(labels)}
    for image, truth in sampled(seed, preset, frames, every_s):
        classes = np.array([index_of[label] for label in truth.labels], dtype=np.int64)
        yield image, Wanted(truth.boxes, classes, truth.visible >= MIN_VISIBLE)


def _with_interval(lanes: Sequence[Sequence[Outcome]], score: Score, draws: int = 300) -> Figure:
    """Return the score of all lanes together and the 2.5 and 97.5 percentiles over drawn lanes."""
    value = score([outcome for lane in lanes for outcome in lane])
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        picked = rng.integers(0, len(lanes), len(lanes))
        again = score([outcome for i in picked for outcome in lanes[i]])
        if again is not None:
            drawn.append(again)
    if value is None or not drawn:
        return Figure(value, None, None)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(value, float(low), float(high))
