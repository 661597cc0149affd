"""Made-up sets with detections: boxes on a grid, seen about as exactly and as surely as a fair detector does."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.records import DetectionSet, Sample
from training.detection_scores import Found

LABELS = ("soup", "tea", "apple", "cake", "roll")


def made_up_set(pictures: int = 30, seed: int = 0) -> DetectionSet:
    """Return pictures of 640 x 360 with six boxes each, of all sizes, none touching another."""
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(pictures):
        corner = np.array([[x * 210 + 10, y * 175 + 10] for y in range(2) for x in range(3)], dtype=np.float64)
        sides = rng.uniform(30, 140, (6, 2))
        start = corner + rng.uniform(0, 1, (6, 2)) * (np.array([190, 155]) - sides)
        boxes = np.concatenate([start, start + sides], axis=1).astype(np.float32)
        classes = rng.integers(0, len(LABELS), 6)
        samples.append(sample(f"{number:03d}.jpg", boxes, classes))
    return DetectionSet("made-up", LABELS, tuple(samples), "0" * 64)


def sample(name: str, boxes: NDArray[np.float32], classes: NDArray[np.int64]) -> Sample:
    # The hash stands for a file that is not there.
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Sample(Path(name), 640, 360, boxes, classes, np.zeros(len(boxes), dtype=np.bool_), sha256=digest)


def seen(wanted: DetectionSet, seed: int = 0, off_px: float = 2.0, false_alarms: int = 2) -> list[Found]:
    """Return detections of the set's true objects, some px off, with faint false alarms between."""
    rng = np.random.default_rng([seed, 1])
    found = []
    for one in wanted.samples:
        count = len(one.boxes)
        boxes = one.boxes + rng.normal(0, off_px, (count, 4))
        corner = rng.uniform(0, [560, 300], (false_alarms, 2))
        boxes = np.concatenate(
            [boxes, np.concatenate([corner, corner + rng.uniform(20, 60, (false_alarms, 2))], axis=1)]
        )
        scores = np.concatenate([rng.beta(9, 1.5, count), rng.beta(1.5, 6, false_alarms)])
        classes = np.concatenate([one.classes, rng.integers(0, len(LABELS), false_alarms)])
        probs = np.full((len(boxes), len(LABELS)), 0.0025)
        probs[np.arange(len(boxes)), classes] = 0.99
        found.append(Found(boxes.astype(np.float32), scores.astype(np.float32), classes, probs.astype(np.float32)))
    return found


def folds_of(wanted: DetectionSet, k: int = 3) -> NDArray[np.int64]:
    return np.arange(len(wanted)) % k


def with_sample(wanted: DetectionSet, index: int, changed: Sample) -> DetectionSet:
    samples: Sequence[Sample] = wanted.samples
    return dataclasses.replace(wanted, samples=(*samples[:index], changed, *samples[index + 1 :]))
