"""Small labelled sets on disk, and detections of them as COCO results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

LABELS = ("oolong", "bagel")
SIZE = 96
#: Picture -> its boxes as x, y, width, height and class.
TRUTH: dict[str, list[tuple[tuple[int, int, int, int], int]]] = {
    "a.png": [((4, 4, 30, 30), 0), ((50, 50, 40, 30), 1)],
    "b.png": [((10, 20, 50, 50), 0)],
    "c.png": [((4, 50, 40, 40), 1), ((40, 4, 40, 30), 0)],
    "d.png": [],
}


def write_coco(folder: Path, first_id: int = 40, truth: dict[str, Any] | None = None) -> Path:
    """Write a COCO set whose numbers start anywhere but at 1; return its folder."""
    truth = TRUTH if truth is None else truth
    folder.mkdir(parents=True)
    images, annotations = [], []
    for i, (name, boxes) in enumerate(truth.items()):
        pixels = np.random.default_rng(i).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / name), pixels)
        images.append({"id": first_id + i, "file_name": name, "width": SIZE, "height": SIZE})
        for box, class_id in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": first_id + i,
                    "category_id": 7 + class_id,
                    "bbox": list(box),
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 7 + i, "name": label} for i, label in enumerate(LABELS)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def results(first_id: int = 40, shift: int = 1, miss: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return results by number: every object a little off, and one false box on d.png."""
    rows = []
    for i, (name, boxes) in enumerate(TRUTH.items()):
        for n, (box, class_id) in enumerate(boxes if name not in miss else []):
            x, y, width, height = box
            rows.append(
                {
                    "image_id": first_id + i,
                    "category_id": 7 + class_id,
                    "bbox": [x + shift, y + shift, width, height],
                    "score": round(0.95 - 0.07 * i - 0.02 * n, 3),
                }
            )
    return [*rows, {"image_id": first_id + 3, "category_id": 7, "bbox": [30, 30, 20, 20], "score": 0.3}]


def write_results(path: Path, rows: Any) -> Path:
    path.write_text(json.dumps(rows))
    return path
