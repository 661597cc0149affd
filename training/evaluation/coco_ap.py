"""AP and AR as COCO defines them, computed by faster-coco-eval from memory: no files, no prints.

AP is the mean over classes and over IoU 0.50, 0.55 … 0.95 of the precision at 101 recalls; AR the mean of the highest
recall with 100 detections a picture. Ignored objects are handed over as crowds: a detection that lies in one of its
own class, by the IoU in question, counts neither way. Sizes are COCO's: small < 32² <= medium < 96² <= large, pixels of
the picture as it is on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from dataset.records import DetectionSet
from training.detection_scores import Found

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
MOST_DETECTIONS = 100


@dataclass(frozen=True)
class CocoFigures:
    """COCO's summary; None where there was nothing to find.

    Attributes:
        ap: mean over IoU .50:.95 and classes.
        ap50: at IoU .50.
        ap75: at IoU .75.
        ar: average recall, 100 detections a picture.
        ap_by_size: `ap` of small, medium and large objects.
        ar_by_size: `ar` of them.
        ap_by_class: one for each label, None where the set has none of it.
        ap50_by_class: likewise.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None
    ap_by_size: dict[str, float | None]
    ar_by_size: dict[str, float | None]
    ap_by_class: tuple[float | None, ...]
    ap50_by_class: tuple[float | None, ...]


def coco_figures(found: Sequence[Found], wanted: DetectionSet) -> CocoFigures:
    """Return COCO's figures of detections that `check_inputs` let through."""
    truth = COCO(_truth(wanted), print_function=_silent)
    scored = COCOeval_faster(truth, truth.loadRes(_results(found)), iouType="bbox", print_function=_silent)
    scored.params.areaRng = [[0.0, 1e10], *(list(bounds) for bounds in SIZES.values())]
    scored.params.areaRngLbl = ["all", *SIZES]
    scored.evaluate()
    scored.accumulate()
    precision, recall = scored.eval["precision"], scored.eval["recall"]  # (T, R, K, A, M), (T, K, A, M)
    classes = range(len(wanted.labels))
    return CocoFigures(
        ap=_mean(precision[:, :, :, 0, -1]),
        ap50=_mean(precision[0, :, :, 0, -1]),
        ap75=_mean(precision[5, :, :, 0, -1]),
        ar=_mean(recall[:, :, 0, -1]),
        ap_by_size={name: _mean(precision[:, :, :, i, -1]) for i, name in enumerate(SIZES, start=1)},
        ar_by_size={name: _mean(recall[:, :, i, -1]) for i, name in enumerate(SIZES, start=1)},
        ap_by_class=tuple(_mean(precision[:, :, k, 0, -1]) for k in classes),
        ap50_by_class=tuple(_mean(precision[0, :, k, 0, -1]) for k in classes),
    )


def _truth(wanted: DetectionSet) -> dict[str, list[dict[str, object]]]:
    annotations: list[dict[str, object]] = []
    for picture, sample in enumerate(wanted.samples, start=1):
        for box, class_id, ignored in zip(_xywh(sample.boxes), sample.classes.tolist(), sample.ignored, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,  # 0 would read as "not matched"
                    "image_id": picture,
                    "category_id": class_id + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(ignored),
                }
            )
    return {
        "images": [{"id": i, "width": s.width, "height": s.height} for i, s in enumerate(wanted.samples, start=1)],
        "annotations": annotations,
        "categories": [{"id": k, "name": label} for k, label in enumerate(wanted.labels, start=1)],
    }


def _results(found: Sequence[Found]) -> list[dict[str, object]]:
    return [
        {"image_id": picture, "category_id": class_id + 1, "bbox": box, "score": score}
        for picture, one in enumerate(found, start=1)
        for box, class_id, score in zip(_xywh(one.boxes), one.classes.tolist(), one.scores.tolist(), strict=True)
    ]


def _xywh(boxes: NDArray[np.float32]) -> list[list[float]]:
    exact = boxes.astype(np.float64)
    rows: list[list[float]] = np.concatenate([exact[:, :2], exact[:, 2:] - exact[:, :2]], axis=1).tolist()
    return rows


def _mean(cells: NDArray[np.float64]) -> float | None:
    """Return the mean of the cells that were measured; COCO writes -1 where nothing was to be found."""
    measured = cells[cells > -1]
    return float(measured.mean()) if measured.size else None


def _silent(*_: object) -> None:
    """Take what the library would print."""
