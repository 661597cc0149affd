"""How good a net is on a set, in the middle of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from core.errors import DataError
from dataset.records import DetectionSet
from dataset.splits import check_classes, counts
from training.detection_scores import Found
from training.evaluation.matching import match_set
from training.evaluation.scores import quick_scores
from training.finetune.detectors import Detector
from training.finetune.distributed import World, from_leader, gathered
from training.finetune.pictures import load
from training.finetune.settings import FinetuneSettings


@torch.no_grad()
def found_on(net: Detector, pictures: DetectionSet, batch: int, longest_px: int, world: World) -> list[Found]:
    """Return the detections of every picture of a set, in its order and its pixels; processes share the work.

    Args:
        net: is put into inference mode.
        pictures: the set.
        batch: pictures that are looked at together.
        longest_px: larger pictures are scaled down to this, as they are in training.
        world: the processes that share the work.

    Raises:
        DataError: a picture is missing or corrupt.
    """
    net.eval()
    mine = range(world.rank, len(pictures), world.size)
    part: list[Found] = []
    for first in range(0, len(mine), batch):
        loaded = [load(pictures.samples[i], longest_px) for i in mine[first : first + batch]]
        images = [torch.from_numpy(one.image).permute(2, 0, 1).to(world.device).float() / 255 for one in loaded]
        for i, one, found in zip(mine[first : first + batch], loaded, net.predict(images), strict=True):
            sample = pictures.samples[i]
            scale = np.array([sample.width / one.width, sample.height / one.height] * 2, dtype=np.float32)
            part.append(Found(found.boxes * scale, found.scores, found.classes))
    return gathered(part, len(pictures), world)


def validate(net: Detector, pictures: DetectionSet, settings: FinetuneSettings, world: World) -> dict[str, float]:
    """Return the watched scores of a net, rounded so that equal detections give equal lines.

    Returns:
        ap50, ap, f1_best, f1_best_threshold, and f1_frozen at the threshold that was fixed in advance.
    """
    found = found_on(net, pictures, settings.batch, settings.longest_px, world)
    scores = scores_of(found, pictures, settings.frozen_threshold) if world.leads else {}
    return from_leader(scores, world)


def scores_of(found: Sequence[Found], pictures: DetectionSet, frozen_threshold: float) -> dict[str, float]:
    """Return the watched scores of detections."""
    at_frozen = match_set(found, pictures).curve().at(frozen_threshold)
    scores = quick_scores(found, pictures) | {"f1_frozen": at_frozen.f1 or 0.0}
    return {name: round(float(value), 6) for name, value in scores.items()}


def check_sets(
    train_set: DetectionSet, validation_set: DetectionSet, batch: int, allow_missing: bool
) -> tuple[str, ...]:
    """Refuse sets that a run cannot learn from or be judged on; return what is odd about them, one line each.

    Raises:
        DataError: a set is empty or has no objects, the labels differ, or a class to be found was never shown.
    """
    for pictures, use in ((train_set, "learn from"), (validation_set, "validate on")):
        if len(pictures) == 0:
            raise DataError(f"{pictures.name}: no pictures to {use}")
        if not counts(pictures).any():
            raise DataError(f"{pictures.name}: no labelled object in {len(pictures)} pictures to {use}")
    if batch > len(train_set):
        raise DataError(
            f"{train_set.name}: a batch of {batch} needs more than {len(train_set)} pictures; lower --batch"
        )
    try:
        return check_classes(train_set, validation_set)
    except DataError as err:
        if allow_missing and train_set.labels == validation_set.labels:
            return (str(err),)
        raise
