"""What int8 costs: both precisions of a card, run as the product runs them, on the same pictures."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.boxes import iou
from core.errors import ModelMismatch
from core.files import sha256_of
from core.records import Frame
from models.card import ModelCard
from models.detector import Detector
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings
from training.detection_scores import MATCH_IOU, Found, Outcome, Wanted, average_precision, match

Picture = NDArray[np.uint8]
#: Says how good a detector is, 0..1: AP50 against the truth of pictures that the weights were not trained on.
Score = Callable[[Detector], float]
#: int8 may cost this much of the score: one point.
MAX_LOSS = 0.01
#: Below it there is no opinion worth comparing.
_SURE = 0.3


@dataclass(frozen=True)
class Accuracy:
    """What int8 costs.

    Attributes:
        fp32: score of the float weights, 0..1.
        int8: score of the int8 weights.
        agreement: share of the sure detections of fp32 (score >= 0.3) that int8 has too, by label and IoU >= 0.5;
            None when no pictures were compared.
    """

    fp32: float
    int8: float
    agreement: float | None

    @property
    def loss(self) -> float:
        """How much is lost, 0..1; negative for a gain."""
        return self.fp32 - self.int8

    def figures(self) -> dict[str, float]:
        """Return what a card tells about it."""
        both = {"ap50": self.int8, "ap50_of_fp32": self.fp32}
        if self.agreement is not None:
            both["agreement_with_fp32"] = self.agreement
        return {name: round(value, 5) for name, value in both.items()}


def check_accuracy(
    card: ModelCard, int8: Path, score: Score, max_loss: float = MAX_LOSS, compared: Sequence[Picture] = ()
) -> Accuracy:
    """Return how the int8 weights do beside the card's own, as the product runs both.

    Raises:
        ModelMismatch: they lose more than `max_loss`, or the score is not a number.
    """
    # A low threshold: average precision counts all of the curve.
    settings = DetectorSettings(device="cpu", min_score=0.02)
    other = card.model_copy(update={"file": str(int8), "sha256": sha256_of(int8), "precision": "int8", "variants": {}})
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(contextlib.closing(OrtDetector(c, settings))) for c in (card, other))
        shared = agreement(first, second, compared) if compared else None
        accuracy = Accuracy(score(first), score(second), shared)
    # "not <=": a score that is not a number is refused, too.
    if not accuracy.loss <= max_loss:
        raise ModelMismatch(
            f"{card.full_name}: int8 scores {accuracy.int8:.4f}, fp32 {accuracy.fp32:.4f}; it may lose {max_loss:.4f} "
            "at most. Calibrate with more pictures, or with ones that look like those it is scored on"
        )
    return accuracy


def agreement(one: Detector, other: Detector, pictures: Iterable[Picture]) -> float:
    """Return the share of `one`'s sure detections that `other` has too; 1 when there are none."""
    wanted = shared = 0
    for index, picture in enumerate(pictures):
        frame = Frame("compared", index, 0.0, 0.0, picture)
        first, second = one.detect([frame])[0], other.detect([frame])[0]
        sure = first.scores >= _SURE
        fits = iou(first.boxes[sure], second.boxes) >= MATCH_IOU
        fits &= first.class_ids[sure][:, None] == second.class_ids[None, :]
        wanted += int(sure.sum())
        shared += int(fits.any(axis=1).sum())
    return shared / wanted if wanted else 1.0


def ap50_on(pictures: Sequence[tuple[Picture, Wanted]]) -> Score:
    """Return a score: class-agnostic AP at IoU 0.5 on pictures with their truth, in pixels of the picture."""

    def score(detector: Detector) -> float:
        outcomes: list[Outcome] = []
        for index, (picture, wanted) in enumerate(pictures):
            found = detector.detect([Frame("scored", index, 0.0, 0.0, picture)])[0]
            outcomes.append(match(Found(found.boxes, found.scores, found.class_ids), wanted))
        value = average_precision(outcomes)
        return float("nan") if value is None else value

    return score


def lane_pictures(
    labels: tuple[str, ...], seeds: Iterable[int], frames: int = 12, every_s: float = 1.7
) -> Iterator[tuple[Picture, Wanted]]:
    """Yield pictures of the synthetic lane with their truth, of all presets in turn; hands are objects, too."""
    from training.augment import MIN_VISIBLE
    from training.synthetic_set import PRESET_SHARES, sampled

    index_of = {label: i for i, label in enumerate(labels)}
    for seed, preset in itertools.product(seeds, PRESET_SHARES):
        for image, truth in sampled(seed, preset, frames, every_s):
            # Labels that the model does not know count as objects of a class that it never names.
            classes = np.array([index_of.get(label, -1) for label in truth.labels], dtype=np.int64)
            yield image.copy(), Wanted(truth.boxes, classes, truth.visible >= MIN_VISIBLE)
