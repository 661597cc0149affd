"""What the two heads of a study learn: patches with one class each, and whole pictures with any number of classes.

The second is the baseline: the same net, pictures and head, but each picture seen as a whole, without boxes. Each comes
up so often in a round that both heads take about as many steps: else the baseline would lose for want of training. What
patches (and boxes) earn is what the first is above it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from core.errors import DataError
from dataset.records import DetectionSet
from training.patches.features import PictureFeatures
from training.patches.head import Head, fresh_head, patch_probabilities, whole_probabilities
from training.patches.sampling import BACKGROUND, Ints, draw_patches, label_patches, patch_grid
from training.patches.scores import SHOWN, UNKNOWN, Values, image_scores, mean_ap, presence
from training.patches.settings import SamplerSettings, StudySettings
from training.patches.training import Rows, Task, Validated

_PATCH_DRAWS = 4


@dataclass(frozen=True, eq=False)
class Described:
    """A set and the features of its pictures, in its order."""

    pictures: DetectionSet
    features: tuple[PictureFeatures, ...]

    @property
    def whole(self) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """(I, D) features of whole pictures."""
        return np.stack([one.whole for one in self.features])


def patch_labels(pictures: DetectionSet, sampler: SamplerSettings) -> list[Ints]:
    """Return for each picture what its patches are called.

    Raises:
        DataError: not one patch of any picture shows an object.
    """
    labels = [
        label_patches(patch_grid(s.width, s.height, sampler).boxes, s.boxes, s.classes, s.ignored, sampler)
        for s in pictures.samples
    ]
    if not any((one >= 0).any() for one in labels):
        raise DataError(
            f"{pictures.name}: no patch shows an object ({sampler.least_of_patch:.0%} of the patch covered, "
            f"{sampler.least_of_object:.0%} of the object inside): objects are too small; ask for more --scales"
        )
    return labels


def patch_task(learnt: Described, chosen_by: Described, settings: StudySettings, identity: dict[str, object]) -> Task:
    """Return the task of telling patches apart: the classes, and background as the last output."""
    classes = len(learnt.pictures.labels)
    labels = patch_labels(learnt.pictures, settings.sampler)
    everything = np.concatenate([one.patches for one in learnt.features])

    def rows(round_: int) -> Rows:
        features, targets = [], []
        for i, (one, called) in enumerate(zip(learnt.features, labels, strict=True)):
            drawn = draw_patches(called, settings.sampler, (settings.seed, round_, _PATCH_DRAWS, i))
            features.append(one.patches[drawn])
            targets.append(called[drawn])
        told = np.concatenate(targets)
        return Rows(np.concatenate(features), np.where(told == BACKGROUND, classes, told))

    shown = presence(chosen_by.pictures)
    return Task(
        fresh=partial(fresh_head, everything, classes + 1, settings.head),
        rows=rows,
        loss=cross_entropy,
        validate=lambda head: best_exponent(patches_of(head, chosen_by.features), shown, settings.exponents),
        identity=json.dumps(identity | {"head": "patches"}, sort_keys=True),
    )


def whole_task(learnt: Described, chosen_by: Described, settings: StudySettings, identity: dict[str, object]) -> Task:
    """Return the task of the baseline: which classes does a picture show?"""
    shown = presence(learnt.pictures)
    often = _rows_of_a_round(learnt, settings) // len(learnt.pictures) + 1
    features = np.tile(learnt.whole, (often, 1))
    wanted = np.tile(np.where(shown == UNKNOWN, np.nan, shown == SHOWN), (often, 1)).astype(np.float32)
    told, told_shown = chosen_by.whole, presence(chosen_by.pictures)

    def validate(head: Head) -> Validated:
        score = mean_ap(whole_probabilities(head, told), told_shown) or 0.0
        return Validated(score, 1.0, {"1": score})

    return Task(
        fresh=partial(fresh_head, features, len(learnt.pictures.labels), settings.head),
        rows=lambda _: Rows(features, wanted),
        loss=_known_cross_entropy,
        validate=validate,
        identity=json.dumps(identity | {"head": "whole"}, sort_keys=True),
    )


def patches_of(head: Head, features: Sequence[PictureFeatures]) -> list[Values]:
    """Return for each picture P(j, c), (N, C) of its patches."""
    return [patch_probabilities(head, one.patches) for one in features]


def best_exponent(probabilities: Sequence[Values], shown: Ints, exponents: Sequence[float]) -> Validated:
    """Return the exponent with the highest mAP; of equal ones the first."""
    scores = {e: mean_ap(image_scores(probabilities, e), shown) or 0.0 for e in exponents}
    best = max(scores, key=scores.__getitem__)
    return Validated(scores[best], best, {f"{e:g}": score for e, score in scores.items()})


def _rows_of_a_round(learnt: Described, settings: StudySettings) -> int:
    """Return how many patches the first round learns from."""
    labels = patch_labels(learnt.pictures, settings.sampler)
    places = ((settings.seed, 1, _PATCH_DRAWS, i) for i in range(len(labels)))
    return sum(len(draw_patches(one, settings.sampler, at)) for one, at in zip(labels, places, strict=True))


def _known_cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean over the entries of `wanted` that are known (not NaN)."""
    known = ~torch.isnan(wanted)
    return binary_cross_entropy_with_logits(logits[known], wanted[known])
