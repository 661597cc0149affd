"""Box maths on arrays. Boxes are (N, 4) float, x1 y1 x2 y2, pixels of the captured frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def area(boxes: FloatArray) -> FloatArray:
    """Return the areas (N,) in square pixels; inverted boxes count as empty.

    >>> area(np.array([[0.0, 0.0, 2.0, 3.0], [5.0, 5.0, 4.0, 9.0]])).tolist()
    [6.0, 0.0]
    """
    sides = np.maximum(boxes[:, 2:4] - boxes[:, 0:2], 0.0)
    product: FloatArray = sides[:, 0] * sides[:, 1]
    return product


def intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the pairwise overlap (N, M) in square pixels of boxes (N, 4) and (M, 4)."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    overlap: FloatArray = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    return overlap


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the pairwise intersection over union (N, M), 0..1; two empty boxes give 0.

    >>> iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [0, 0, 2, 2]])).round(3).tolist()
    [[0.333, 1.0]]
    """
    overlap = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - overlap
    ratio: FloatArray = overlap / np.maximum(union, 1e-9)
    return ratio


def coverage(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the share (N, M) of each box of `a` that lies under each box of `b`, 0..1."""
    share: FloatArray = intersection(a, b) / np.maximum(area(a)[:, None], 1e-9)
    return share


def to_cxcywh(boxes: FloatArray) -> FloatArray:
    """Return centre x, centre y, width, height (N, 4) of xyxy boxes."""
    size = boxes[:, 2:4] - boxes[:, 0:2]
    return np.concatenate([boxes[:, 0:2] + size / 2, size], axis=1)


def to_xyxy(boxes: FloatArray) -> FloatArray:
    """Return xyxy boxes (N, 4) of centre x, centre y, width, height."""
    half = boxes[:, 2:4] / 2
    return np.concatenate([boxes[:, 0:2] - half, boxes[:, 0:2] + half], axis=1)


def clip(boxes: FloatArray, width: int, height: int) -> FloatArray:
    """Return the boxes cut to a frame of `width` x `height` pixels."""
    limit = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.clip(boxes, 0, limit)


def nms(
    boxes: FloatArray, scores: FloatArray, class_ids: NDArray[np.integer] | None, iou_limit: float
) -> NDArray[np.intp]:
    """Return the indices kept by greedy non-maximum suppression, best score first.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,) 0..1.
        class_ids: (N,) to suppress within a class only; None suppresses across classes.
        iou_limit: a box that overlaps a better one by more than this goes out.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    overlaps = iou(boxes, boxes) > iou_limit
    if class_ids is not None:
        sorted_ids = class_ids[order]
        overlaps &= sorted_ids[:, None] == sorted_ids[None, :]
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[alive]
