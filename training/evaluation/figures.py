"""The flat figures of a score record: one name, one value, and an interval where it decides something.

Names: `..._best` at the threshold of the highest F1 on these very pictures, `..._frozen` at the one that was fixed on
development pictures, `..._agnostic` without regard to the class. Matching is at IoU 0.5 but for COCO's AP and AR.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dataset.records import DetectionSet
from models.gate import Figure
from training.detection_scores import Found
from training.evaluation.coco_ap import coco_figures
from training.evaluation.details import Details
from training.evaluation.inputs import of_one_class, set_of_one_class
from training.evaluation.intervals import (
    IOUS,
    best_f1_draws,
    coco_ap_draws,
    draw_pictures,
    figure_with_interval,
    share_draws,
)
from training.evaluation.matching import MatchedSet

#: Detections a picture of the recall figures.
RECALL_AT = (1, 5, 10, 20, 100)
ANY_CLASS = "item"
#: Figures that need a frozen threshold.
AT_FROZEN = (
    "f1_frozen",
    "precision_frozen",
    "recall_frozen",
    "f1_frozen_agnostic",
    "class_accuracy",
    "cacc",
    "acd",
    "mccd",
    "mciou",
)


def recall_at(matched: MatchedSet, most: int) -> float:
    """Return class-agnostic recall at IoU 0.5 with the `most` best detections of each picture."""
    return int((matched.agnostic.hits & (matched.rank < most)).sum()) / matched.truths


def counts_per_picture(
    matched: MatchedSet, threshold: float, class_aware: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (P,) true positives, false positives and missed objects at a threshold."""
    links = matched.links(class_aware)
    kept = (matched.scores >= threshold) & ~links.excused
    hits = matched.per_picture(kept & links.hits)
    return hits, matched.per_picture(kept) - hits, matched.objects_per_picture(matched.objects.wanted) - hits


def flat_figures(d: Details, found: Sequence[Found], wanted: DetectionSet) -> dict[str, Figure]:
    """Return the flat figures; those that decide carry an interval."""
    one_class = set_of_one_class(wanted, ANY_CLASS)
    forgotten = of_one_class(found)
    weights = draw_pictures(d.matched.group)
    ap_agnostic = coco_figures(forgotten, one_class)
    best, best_agnostic = d.curve.best, d.agnostic_curve.best
    plain: dict[str, float | None] = {
        "ap75": d.coco.ap75,
        "ar": d.coco.ar,
        **{f"ap_{size}": value for size, value in d.coco.ap_by_size.items()},
        **{f"ar_{size}": value for size, value in d.coco.ar_by_size.items()},
        "ap_voc07": d.voc.eleven_point,
        "ap_voc_area": d.voc.area,
        "ap_agnostic": ap_agnostic.ap,
        "f1_best_threshold": best.threshold if best else None,
        "precision_best": best.precision if best else None,
        "recall_best": best.recall if best else None,
        "ece": d.score_trust.ece if d.score_trust else None,
        "ece_class": d.class_trust.ece if d.class_trust else None,
    }
    with_interval = {
        "ap": figure_with_interval(d.coco.ap, coco_ap_draws(found, wanted, weights)),
        "ap50": figure_with_interval(d.coco.ap50, coco_ap_draws(found, wanted, weights, IOUS[:1])),
        "ap50_agnostic": figure_with_interval(ap_agnostic.ap50, coco_ap_draws(forgotten, one_class, weights, IOUS[:1])),
        "f1_best": figure_with_interval(best.f1 if best else 0.0, best_f1_draws(d.matched, weights)),
        "f1_best_agnostic": figure_with_interval(
            best_agnostic.f1 if best_agnostic else 0.0, best_f1_draws(d.matched, weights, class_aware=False)
        ),
        **_recall_figures(d, weights),
        **_frozen_figures(d, weights),
    }
    return {**with_interval, **{name: Figure(value=value) for name, value in plain.items()}}


def _recall_figures(d: Details, weights: NDArray[np.int64]) -> dict[str, Figure]:
    sought = d.matched.objects_per_picture(d.matched.objects.wanted)
    figures = {}
    for most, value in d.recall_at.items():
        hits = d.matched.per_picture(d.matched.agnostic.hits & (d.matched.rank < most))
        figures[f"recall{most}_agnostic"] = figure_with_interval(value, share_draws(weights, hits, sought))
    return figures


def _frozen_figures(d: Details, weights: NDArray[np.int64]) -> dict[str, Figure]:
    """Return what is read off at the frozen threshold; all None without one."""
    if d.frozen_threshold is None:
        return {name: Figure(value=None) for name in AT_FROZEN}
    m, at = d.matched, d.frozen_threshold
    hits, false, missed = counts_per_picture(m, at)
    any_hits, any_false, any_missed = counts_per_picture(m, at, class_aware=False)
    kept = (m.scores >= at) & m.agnostic.hits
    right = kept.copy()
    right[kept] = m.classes[kept] == m.objects.classes[m.agnostic.taken[kept]]
    ones = np.ones(m.pictures, np.int64)
    shares = {
        "f1_frozen": (2 * hits, 2 * hits + false + missed),
        "precision_frozen": (hits, hits + false),
        "recall_frozen": (hits, hits + missed),
        "f1_frozen_agnostic": (2 * any_hits, 2 * any_hits + any_false + any_missed),
        "class_accuracy": (m.per_picture(right), m.per_picture(kept)),
        "cacc": (d.stills.right.astype(np.int64), ones),
        "acd": (np.abs(d.stills.counted - d.stills.true).sum(axis=1), ones),
    }
    figures = {"mccd": Figure(value=d.stills.mccd), "mciou": Figure(value=d.stills.mciou)}
    for name, (top, bottom) in shares.items():
        value = float(top.sum() / bottom.sum()) if bottom.any() else None
        figures[name] = figure_with_interval(value, share_draws(weights, top, bottom))
    return figures
