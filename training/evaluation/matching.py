"""All detections and objects of a set in one table each, matched once: figures are sums over its columns.

Matching is greedy by falling score at IoU 0.5 (`training.detection_scores.pair`), in two ways: *class-aware*, where
only objects of a detection's own class can be taken and can excuse it, and *class-agnostic*, where any can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dataset.records import DetectionSet
from training.detection_scores import Found, Pairs, pair
from training.evaluation.inputs import wanted_of
from training.evaluation.thresholds import Curve, curve_of

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Links:
    """Who took whom, for each of the D detections.

    Attributes:
        taken: (D,) row of the object in `Objects`, -1 for none.
        excused: (D,) lies on an ignored object: counts neither way.
        overlap: (D,) IoU with the object taken, else the largest with any that is to be found.
    """

    taken: Ints
    excused: Bools
    overlap: NDArray[np.float64]

    @property
    def hits(self) -> Bools:
        """(D,) true positives."""
        return np.asarray(self.taken >= 0)


@dataclass(frozen=True)
class Objects:
    """The T true objects: their picture (T,), box (T, 4), class (T,), and whether they are to be found (T,)."""

    picture: Ints
    boxes: NDArray[np.float32]
    classes: Ints
    wanted: Bools


@dataclass(frozen=True)
class MatchedSet:
    """A set and the detections on it, matched.

    Attributes:
        labels: class names.
        pictures: how many.
        group: (P,) number of each picture's group; a picture without one is its own.
        picture: (D,) of each detection.
        rank: (D,) 0 for the best score of its picture.
        boxes: (D, 4).
        scores: (D,) float64.
        classes: (D,).
        class_probs: (D, C), NaN rows where a picture has none; None where no picture has.
        aware: class-aware links.
        agnostic: class-agnostic links.
        objects: the truth.
    """

    labels: tuple[str, ...]
    pictures: int
    group: Ints
    picture: Ints
    rank: Ints
    boxes: NDArray[np.float32]
    scores: NDArray[np.float64]
    classes: Ints
    class_probs: NDArray[np.float32] | None
    aware: Links
    agnostic: Links
    objects: Objects

    @property
    def truths(self) -> int:
        """How many objects are to be found."""
        return int(self.objects.wanted.sum())

    def links(self, class_aware: bool) -> Links:
        """Return one of the two matchings."""
        return self.aware if class_aware else self.agnostic

    def curve(self, class_aware: bool = True, class_id: int | None = None) -> Curve:
        """Return precision, recall and F1 over thresholds: pooled, or of one class."""
        links = self.links(class_aware)
        counted, sought = ~links.excused, self.objects.wanted
        if class_id is not None:
            counted = counted & (self.classes == class_id)
            sought = sought & (self.objects.classes == class_id)
        return curve_of(self.scores[counted], links.hits[counted], int(sought.sum()))

    def per_picture(self, chosen: Bools) -> Ints:
        """Return (P,): how many of the chosen detections each picture has."""
        return np.bincount(self.picture[chosen], minlength=self.pictures).astype(np.int64)

    def objects_per_picture(self, chosen: Bools) -> Ints:
        """Return (P,): how many of the chosen objects each picture has."""
        return np.bincount(self.objects.picture[chosen], minlength=self.pictures).astype(np.int64)


def match_set(found: Sequence[Found], wanted: DetectionSet) -> MatchedSet:
    """Match detections that `check_inputs` let through to their set, both ways."""
    counts = [len(one.boxes) for one in found]
    truths = [len(sample.boxes) for sample in wanted.samples]
    first = np.concatenate([[0], np.cumsum(truths)[:-1]])
    return MatchedSet(
        labels=wanted.labels,
        pictures=len(wanted),
        group=groups_of(wanted),
        picture=np.repeat(np.arange(len(wanted)), counts),
        rank=_flat([_ranks(one.scores) for one in found], np.int64),
        boxes=_flat([one.boxes for one in found], np.float32, 4),
        scores=_flat([one.scores for one in found], np.float64),
        classes=_flat([one.classes for one in found], np.int64),
        class_probs=_probabilities(found, len(wanted.labels)),
        aware=_links(found, wanted, first, lambda one, truth: pair(one, truth, class_aware=True)),
        agnostic=_links(found, wanted, first, pair),
        objects=Objects(
            picture=np.repeat(np.arange(len(wanted)), truths),
            boxes=_flat([sample.boxes for sample in wanted.samples], np.float32, 4),
            classes=_flat([sample.classes for sample in wanted.samples], np.int64),
            wanted=_flat([~sample.ignored for sample in wanted.samples], np.bool_),
        ),
    )


def groups_of(wanted: DetectionSet) -> Ints:
    """Return (P,) group numbers in the order of first appearance."""
    numbers: dict[tuple[str, int], int] = {}
    keys = [(s.group, -1) if s.group else ("", i) for i, s in enumerate(wanted.samples)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _links(found: Sequence[Found], wanted: DetectionSet, first: Ints, matcher: Callable[..., Pairs]) -> Links:
    pairs = [matcher(one, wanted_of(sample)) for one, sample in zip(found, wanted.samples, strict=True)]
    taken = [np.where(p.truth >= 0, p.truth + start, -1) for p, start in zip(pairs, first.tolist(), strict=True)]
    return Links(
        _flat(taken, np.int64),
        _flat([p.excused for p in pairs], np.bool_),
        _flat([p.overlap for p in pairs], np.float64),
    )


def _ranks(scores: NDArray[np.float32]) -> Ints:
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return ranks


def _probabilities(found: Sequence[Found], classes: int) -> NDArray[np.float32] | None:
    if all(one.class_probs is None for one in found):
        return None
    rows = [np.full((len(o.boxes), classes), np.nan) if o.class_probs is None else o.class_probs for o in found]
    return _flat(rows, np.float32, classes)


def _flat(rows: Sequence[NDArray[Any]], kind: type[Scalar], width: int | None = None) -> NDArray[Scalar]:
    """Return the rows one after the other; typed also when there are none."""
    empty = np.zeros((0,) if width is None else (0, width), dtype=kind)
    return np.concatenate([empty, *rows]).astype(kind)
