"""All figures of one model on one set of pictures. Read this first: each figure's maths is in the module it calls.

`detections, set -> match_set -> figures by threshold, class, slice -> Details -> SetScores (the gate's record)`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dataset.records import DetectionSet
from models.gate import Role, SetScores
from models.picture_outcomes import PictureOutcomes
from training.detection_scores import Found
from training.evaluation.calibration import class_reliability, score_reliability
from training.evaluation.coco_ap import CocoFigures, coco_figures
from training.evaluation.confusion import confusion_matrix
from training.evaluation.details import ClassScores, Details
from training.evaluation.figures import RECALL_AT, counts_per_picture, flat_figures, recall_at
from training.evaluation.inputs import check_inputs
from training.evaluation.matching import MatchedSet, match_set
from training.evaluation.slices import by_crowd, by_occlusion, by_size, occlusion_of
from training.evaluation.stills import still_figures
from training.evaluation.voc_ap import voc_figures


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
    best = match_set(found, wanted).curve().best
    return {
        "ap50": coco.ap50 or 0.0,
        "ap": coco.ap or 0.0,
        "f1_best": (best.f1 or 0.0) if best else 0.0,
        "f1_best_threshold": best.threshold if best else 1.0,
    }


def evaluate_set(
    found: Sequence[Found], wanted: DetectionSet, name: str, role: Role, frozen_threshold: float | None
) -> SetScores:
    """Return the record of one model on one set; see `detail` for the arguments and `summary` for its content."""
    return summary(detail(found, wanted, frozen_threshold), wanted, name, role)


def detail(
    found: Sequence[Found],
    wanted: DetectionSet,
    frozen_threshold: float | None,
    visibility: Sequence[NDArray[np.floating]] | None = None,
) -> Details:
    """Measure everything.

    Args:
        found: detections of each picture, in the order of the set, down to a low score (0.01 or less): a tail that was
            cut off is missing in AP.
        wanted: the pictures' truth.
        frozen_threshold: score from which a detection counts, fixed on development pictures; None leaves the figures
            that need it unmeasured.
        visibility: (N,) 0..1 of each picture's objects where known; else occlusion is measured from the boxes.

    Raises:
        DataError: the set has no pictures or no objects.
    """
    check_inputs(found, wanted)
    if frozen_threshold is not None and not 0.0 <= frozen_threshold <= 1.0:
        raise ValueError(f"the frozen threshold must be 0..1, got {frozen_threshold}")
    matched = match_set(found, wanted)
    curve, agnostic = matched.curve(), matched.curve(class_aware=False)
    threshold = frozen_threshold
    if threshold is None:
        threshold = curve.best.threshold if curve.best else 1.0
    coco, voc = coco_figures(found, wanted), voc_figures(found, wanted)
    stills = still_figures(matched, threshold)
    measured = Details(
        frozen_threshold=frozen_threshold,
        threshold=threshold,
        matched=matched,
        coco=coco,
        voc=voc,
        curve=curve,
        agnostic_curve=agnostic,
        recall_at={k: recall_at(matched, k) for k in RECALL_AT},
        classes=tuple(_class_scores(matched, coco, k, threshold) for k in range(len(wanted.labels))),
        sizes=by_size(matched, threshold),
        occlusions=by_occlusion(matched, threshold, occlusion_of(matched, visibility)),
        crowds=by_crowd(matched, threshold, stills),
        score_trust=score_reliability(matched),
        class_trust=class_reliability(matched),
        confusion=confusion_matrix(matched, threshold),
        stills=stills,
        figures={},
    )
    return replace(measured, figures=flat_figures(measured, found, wanted))


def summary(measured: Details, wanted: DetectionSet, name: str, role: Role) -> SetScores:
    """Return the gate's record of what was measured, with the outcome of each picture where a threshold was frozen."""
    outcomes = None
    if measured.frozen_threshold is not None:
        hits, false, missed = counts_per_picture(measured.matched, measured.frozen_threshold)
        outcomes = PictureOutcomes(
            hits=tuple(hits.tolist()),
            false=tuple(false.tolist()),
            missed=tuple(missed.tolist()),
            whole=tuple(measured.stills.right.astype(int).tolist()),
            group=tuple(measured.matched.group.tolist()),
        )
    return SetScores(
        name=name,
        role=role,
        data_sha256=wanted.sha256,
        pictures=len(wanted),
        figures=measured.figures,
        frozen_threshold=measured.frozen_threshold,
        outcomes=outcomes,
    )


def _class_scores(matched: MatchedSet, coco: CocoFigures, class_id: int, threshold: float) -> ClassScores:
    curve = matched.curve(class_id=class_id)
    return ClassScores(
        label=matched.labels[class_id],
        objects=curve.truths,
        ap=coco.ap_by_class[class_id],
        ap50=coco.ap50_by_class[class_id],
        point=curve.at(threshold),
        best=curve.best,
    )
