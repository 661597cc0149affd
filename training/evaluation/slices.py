"""Where a model is weak: figures by size of the object, by how much of it others cover, and by crowd in the picture.

*Size* is COCO's (area of the box, pixels of the file). *Occlusion* is our own measure from boxes, for sets that do not
say what is visible: the share of an object's box that lies under other true boxes of the picture, ignored ones too.
Boxes do not tell who lies in front, so of two overlapping dishes both count as covered. Where visibility is known it is
used instead (occlusion = 1 - visibility). *Crowd* is the number of objects to be found in the picture.

False positives belong to no object, so size and occlusion have recall only; pictures of one crowd are a set of their
own, with precision and F1 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.boxes import area
from training.evaluation.coco_ap import SIZES
from training.evaluation.matching import Bools, MatchedSet
from training.evaluation.stills import StillFigures
from training.evaluation.thresholds import Point

#: Upper bounds of the occlusion classes.
OCCLUSIONS = (("clear (up to 10 % covered)", 0.1), ("partly (10 to 40 %)", 0.4), ("heavily (over 40 %)", 1.0))
CROWDS = (("1 to 3 objects", 1, 3), ("4 to 8 objects", 4, 8), ("9 or more", 9, 10**9))


@dataclass(frozen=True)
class Slice:
    """One part of the objects or pictures.

    Attributes:
        name: for people.
        objects: to be found in it.
        pictures: that have some of them.
        found: share of them found at the threshold, class right; None without objects.
        reachable: share found at any score.
        point: precision, recall and F1 at the threshold; None where the part is of objects, not of pictures.
        cacc: share of its pictures counted right; None likewise.
    """

    name: str
    objects: int
    pictures: int
    found: float | None
    reachable: float | None
    point: Point | None = None
    cacc: float | None = None


def by_size(matched: MatchedSet, threshold: float) -> tuple[Slice, ...]:
    """Return recall of small, medium and large objects."""
    areas = area(matched.objects.boxes.astype(np.float64))
    return tuple(
        _of_objects(matched, threshold, name, (areas >= low) & (areas < high)) for name, (low, high) in SIZES.items()
    )


def by_occlusion(matched: MatchedSet, threshold: float, occlusion: NDArray[np.float64]) -> tuple[Slice, ...]:
    """Return recall by how much of an object is covered; `occlusion` (T,) 0..1 is parallel to `matched.objects`."""
    parts, low = [], -1.0
    for name, high in OCCLUSIONS:
        parts.append(_of_objects(matched, threshold, name, (occlusion > low) & (occlusion <= high)))
        low = high
    return tuple(parts)


def by_crowd(matched: MatchedSet, threshold: float, stills: StillFigures) -> tuple[Slice, ...]:
    """Return the figures of pictures with few and with many objects; pictures without any are left out."""
    number = matched.objects_per_picture(matched.objects.wanted)
    parts = []
    for name, least, most in CROWDS:
        pictures = (number >= least) & (number <= most)
        part = _of_objects(matched, threshold, name, pictures[matched.objects.picture])
        kept = (matched.scores >= threshold) & ~matched.aware.excused & pictures[matched.picture]
        hits = int((kept & matched.aware.hits).sum())
        point = Point(threshold, hits, int(kept.sum()) - hits, part.objects - hits) if part.objects else None
        cacc = float(stills.right[pictures].mean()) if pictures.any() else None
        parts.append(Slice(name, part.objects, int(pictures.sum()), part.found, part.reachable, point=point, cacc=cacc))
    return tuple(parts)


def occlusion_of(matched: MatchedSet, visibility: Sequence[NDArray[np.floating]] | None) -> NDArray[np.float64]:
    """Return (T,) the covered share of each object: from `visibility` (N,) 0..1 of each picture, else from boxes."""
    if visibility is not None:
        shares = np.concatenate([np.zeros(0), *visibility])
        if len(shares) != len(matched.objects.boxes):
            raise ValueError(f"visibility of {len(shares)} objects, there are {len(matched.objects.boxes)}")
        return np.clip(1.0 - shares, 0.0, 1.0)
    covered = np.zeros(len(matched.objects.boxes))
    for picture in range(matched.pictures):
        mine = np.flatnonzero(matched.objects.picture == picture)
        covered[mine] = covered_shares(matched.objects.boxes[mine].astype(np.float64))
    return covered


def covered_shares(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) the share of each box that lies under the union of the others, exactly.

    >>> covered_shares(np.array([[0.0, 0, 10, 10], [0, 0, 5, 10], [0, 0, 5, 5], [50, 50, 60, 60]])).tolist()
    [0.5, 1.0, 1.0, 0.0]
    """
    shares = np.zeros(len(boxes))
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        others = np.delete(boxes, i, axis=0)
        cut = np.clip(others, [x1, y1, x1, y1], [x2, y2, x2, y2])
        cut = cut[(cut[:, 2] > cut[:, 0]) & (cut[:, 3] > cut[:, 1])]
        if len(cut):
            shares[i] = _union(cut) / max((x2 - x1) * (y2 - y1), 1e-9)
    return np.minimum(shares, 1.0)


def _union(boxes: NDArray[np.float64]) -> float:
    """Return the area that boxes cover together: their edges cut the plane into cells, each in or out."""
    xs, ys = np.unique(boxes[:, [0, 2]]), np.unique(boxes[:, [1, 3]])
    inside = np.zeros((len(ys) - 1, len(xs) - 1), dtype=np.bool_)
    for x1, y1, x2, y2 in boxes:
        columns, rows = np.searchsorted(xs, [x1, x2]), np.searchsorted(ys, [y1, y2])
        inside[rows[0] : rows[1], columns[0] : columns[1]] = True
    return float((inside * np.diff(ys)[:, None] * np.diff(xs)[None, :]).sum())


def _of_objects(matched: MatchedSet, threshold: float, name: str, part: Bools) -> Slice:
    part = part & matched.objects.wanted
    objects = int(part.sum())
    taken = matched.aware.taken
    hit = matched.aware.hits & (part[taken] if len(part) else False)
    above = hit & (matched.scores >= threshold)
    pictures = len(np.unique(matched.objects.picture[part]))
    if not objects:
        return Slice(name, 0, 0, None, None)
    return Slice(name, objects, pictures, int(above.sum()) / objects, int(hit.sum()) / objects)
