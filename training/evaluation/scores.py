"""All figures of one model on one set of pictures. Read this first: each figure's maths is in the module it calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataset.records import DetectionSet
from training.detection_scores import Found, pair
from training.evaluation.coco_ap import coco_figures
from training.evaluation.inputs import check_inputs, wanted_of
from training.evaluation.thresholds import Curve, curve_of


def quick_scores(found: Sequence[Found], wanted: DetectionSet) -> dict[str, float]:
    """Return the figures that a training run watches: ap50, ap (COCO), f1_best and f1_best_threshold.

    Class-aware, at IoU 0.5 for F1. Without a single detection f1_best is 0 and its threshold 1.

    Args:
        found: detections of each picture, in the order of the set.
        wanted: the pictures' truth.

    Raises:
        DataError: the set has no pictures or no objects.
    """
    check_inputs(found, wanted)
    coco = coco_figures(found, wanted)
    best = pooled_curve(found, wanted).best
    return {
        "ap50": coco.ap50 or 0.0,
        "ap": coco.ap or 0.0,
        "f1_best": (best.f1 or 0.0) if best else 0.0,
        "f1_best_threshold": best.threshold if best else 1.0,
    }


def pooled_curve(found: Sequence[Found], wanted: DetectionSet) -> Curve:
    """Return precision, recall and F1 over thresholds, class-aware at IoU 0.5, all pictures and classes pooled."""
    scores, hits = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    for one, sample in zip(found, wanted.samples, strict=True):
        pairs = pair(one, wanted_of(sample), class_aware=True)
        counted = ~pairs.excused
        scores.append(one.scores[counted])
        hits.append(pairs.truth[counted] >= 0)
    truths = sum(int((~sample.ignored).sum()) for sample in wanted.samples)
    return curve_of(np.concatenate(scores), np.concatenate(hits), truths)
