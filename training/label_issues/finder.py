"""Ranked label issues of a set, from detections by models that never saw the pictures: read `find_issues`.

Nothing is judged by what was learnt from it: the calibrations of a fold are fitted to the other folds. A label without
any detection tells nothing and gets the share of wrong labels that is usual, not 0; so a score is a probability, and
one list can hold all three kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from core.errors import DataError
from dataset.records import DetectionSet
from training.detection_scores import Found
from training.evaluation.inputs import check_inputs
from training.label_issues import existence, naming, placing
from training.label_issues.places import (
    Bools,
    Floats,
    Ints,
    LabelTable,
    Matches,
    PlaceTable,
    label_table,
    match_places,
    place_table,
)

Kind = Literal["overlooked", "swapped", "badly placed"]
KINDS: tuple[Kind, ...] = ("overlooked", "swapped", "badly placed")
Box = tuple[float, float, float, float]
#: Calibrations want so many labels that something was seen of.
LEAST_PAIRS = 20
#: Pairs that surely are about one thing: only these tell of classes.
_SURE_IOU, _SURE_SCORE = 0.5, 0.1


@dataclass(frozen=True)
class Issue:
    """One box that a person should look at.

    Attributes:
        kind: what is likely wrong.
        probability: 0..1, calibrated out of fold.
        picture: index into the set.
        label: index of the label in its sample; None for an overlooked object.
        box: the box in question: the label's, or where the overlooked object is.
        given: the label's class; None for an overlooked object.
        suggested_box, suggested_class: what it should be, where that differs.
        reason: one sentence for a person.
    """

    kind: Kind
    probability: float
    picture: int
    label: int | None
    box: Box
    given: str | None
    suggested_box: Box | None
    suggested_class: str | None
    reason: str


@dataclass(frozen=True)
class Judged:
    """All scores, before anything is left out.

    Attributes:
        labels: the labels (L).
        places: where something was seen (P).
        matches: who belongs to whom.
        overlooked: (P,) probability that it is an object without a label; 0 for places that a label explains.
        swapped: (L,) probability that the class is wrong.
        misplaced: (L,) probability that the box is badly placed.
        classes: (P, C) calibrated class probabilities.
        usual: (L,) usual IoU of such a label; NaN without a place.
        overlap: (L,) IoU with the place, after the detector's usual offset is put right.
        boxes: (P, 4) of the places, so put right.
        there: (P,) probability that a place shows an object.
        rates: (3,) estimated share of each kind among the set's objects, in the order of KINDS.
    """

    labels: LabelTable
    places: PlaceTable
    matches: Matches
    overlooked: Floats
    swapped: Floats
    misplaced: Floats
    classes: Floats
    usual: Floats
    overlap: Floats
    boxes: Floats
    there: Floats
    rates: Floats


@dataclass(frozen=True)
class _Models:
    """The calibrations of one fold."""

    existence: existence.Existence
    naming: naming.Naming
    placing: placing.Placing
    offsets: Floats


def find_issues(found: Sequence[Found], wanted: DetectionSet, folds: Ints, least: float = 0.2) -> list[Issue]:
    """Return the likely label issues of a set, most probable first, one for each box.

    Args:
        found: out-of-fold detections of each picture.
        wanted: the set with its labels.
        folds: (pictures,) fold of each picture, 0..k-1, k at least 2; see `folds.fold_numbers`.
        least: issues that are less probable are left out.

    Raises:
        DataError: too little to calibrate on.
    """
    return issues_of(judge(found, wanted, folds), wanted, least)


def judge(found: Sequence[Found], wanted: DetectionSet, folds: Ints) -> Judged:
    """Score every label and every place that no label explains; arguments as for `find_issues`.

    Raises:
        DataError: too little to calibrate on.
    """
    check_inputs(found, wanted)
    if folds.shape != (len(wanted),) or len(np.unique(folds)) < 2:
        raise ValueError(f"folds {folds.shape} for {len(wanted)} pictures; at least two folds are needed")
    labels, places = label_table(wanted), place_table(found, wanted)
    matches = match_places(places, labels, len(wanted))
    sides = np.array([np.sqrt(sample.width * sample.height) for sample in wanted.samples], dtype=np.float64)
    x = existence.features(places, sides)
    judged = Judged(
        labels=labels,
        places=places,
        matches=matches,
        overlooked=np.zeros(len(places.picture)),
        swapped=np.zeros(len(labels.picture)),
        misplaced=np.zeros(len(labels.picture)),
        classes=np.zeros((len(places.picture), len(wanted.labels))),
        usual=np.full(len(labels.picture), np.nan),
        overlap=np.zeros(len(labels.picture)),
        boxes=places.boxes.copy(),
        there=np.zeros(len(places.picture)),
        rates=np.zeros(3),
    )
    numbers = np.unique(folds).tolist()
    asides = [(folds[labels.picture] == fold, folds[places.picture] == fold) for fold in numbers]
    models = [_fit(judged, x, ~on_labels, ~on_places, wanted.name) for on_labels, on_places in asides]
    # How many labels are wrong is a fact about the set: one number, so that the folds' scores rank together.
    judged.rates[:] = np.mean([(m.existence.missing, m.naming.noise, m.placing.bad) for m in models], axis=0)
    for model, (on_labels, on_places) in zip(models, asides, strict=True):
        _apply(judged, _with_rates(model, judged.rates), x, on_labels, on_places)
    return judged


def issues_of(judged: Judged, wanted: DetectionSet, least: float) -> list[Issue]:
    """Return what was judged as a ranked list; a label with two faults is named by the more probable one."""
    overlooked = [
        _overlooked(judged, wanted, row) for row in np.flatnonzero(judged.overlooked >= max(least, 1e-9)).tolist()
    ]
    worst = np.maximum(judged.swapped, judged.misplaced)
    labelled = []
    for row in np.flatnonzero((worst >= least) & (judged.matches.place >= 0)).tolist():
        swapped = judged.swapped[row] >= judged.misplaced[row]
        labelled.append(_swapped(judged, wanted, row) if swapped else _misplaced(judged, wanted, row))
    return sorted([*overlooked, *labelled], key=lambda issue: (-issue.probability, issue.picture, issue.box))


def _fit(judged: Judged, x: Floats, on_labels: Bools, on_places: Bools, name: str) -> _Models:
    labels, places, matches = judged.labels, judged.places, judged.matches
    rows = np.flatnonzero(on_labels & (matches.place >= 0))
    if len(rows) < LEAST_PAIRS:
        raise DataError(
            f"{name}: only {len(rows)} labels outside one fold have a detection near them, {LEAST_PAIRS} are needed to "
            "tell what is usual; give more pictures, fewer folds, or a detector that knows these things"
        )
    at = matches.place[rows]
    offsets = placing.usual_offsets(labels.boxes[rows], places.boxes[at])
    overlap = paired_iou(labels.boxes[rows], placing.moved(places.boxes[at], offsets))
    z = placing.features(labels.boxes[rows], places.scores[at], labels.crowding[rows])
    sure = (matches.overlap[rows] >= _SURE_IOU) & (places.scores[at] >= _SURE_SCORE)
    seen = on_places & ~places.excused
    count = judged.classes.shape[1]
    return _Models(
        existence.fit(x[seen], matches.explained[seen]),
        naming.fit(places.classes[at[sure]], labels.classes[rows[sure]], count),
        placing.fit(overlap, z, labels.classes[rows], count),
        offsets,
    )


def _with_rates(models: _Models, rates: Floats) -> _Models:
    missing, noise, bad = rates.tolist()
    return _Models(
        replace(models.existence, missing=missing),
        replace(models.naming, noise=noise),
        replace(models.placing, bad=bad),
        models.offsets,
    )


def _apply(judged: Judged, models: _Models, x: Floats, on_labels: Bools, on_places: Bools) -> None:
    """Fill in the scores of one fold."""
    labels, places, matches = judged.labels, judged.places, judged.matches
    judged.there[on_places] = models.existence.there(x[on_places])
    judged.boxes[on_places] = placing.moved(places.boxes[on_places], models.offsets)
    judged.classes[on_places] = models.naming.posterior(places.classes[on_places], np.ones(int(on_places.sum())))
    free = on_places & ~matches.explained & ~places.excused
    judged.overlooked[free] = models.existence.overlooked(x[free])
    # What nothing is known of is as often wrong as others are.
    judged.swapped[on_labels] = models.naming.noise if judged.classes.shape[1] > 1 else 0.0
    judged.misplaced[on_labels] = models.placing.bad
    rows = np.flatnonzero(on_labels & (matches.place >= 0))
    at = matches.place[rows]
    trust = judged.there[at]
    overlap = paired_iou(labels.boxes[rows], judged.boxes[at])
    z = placing.features(labels.boxes[rows], places.scores[at], labels.crowding[rows])
    bad = models.placing.misplaced(overlap, z, labels.classes[rows])
    judged.misplaced[rows] = trust * bad + (1 - trust) * models.placing.bad
    judged.usual[rows] = models.placing.usual(z, labels.classes[rows])
    judged.overlap[rows] = overlap
    q = models.naming.posterior(places.classes[at], trust)
    judged.swapped[rows] = models.naming.swapped(q, labels.classes[rows])


def paired_iou(a: Floats, b: Floats) -> Floats:
    """Return (N,): the IoU of each box (N, 4) with the box (N, 4) in the same row."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    both = np.maximum(high - low, 0.0).prod(axis=1)
    each = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1)
    return np.asarray(both / np.maximum(each - both, 1e-9))


def _overlooked(judged: Judged, wanted: DetectionSet, row: int) -> Issue:
    picture = int(judged.places.picture[row])
    best = int(judged.classes[row].argmax())
    label, there = wanted.labels[best], judged.there[row]
    box = _box_in(judged.boxes[row], wanted, picture)
    reason = (
        f"No label explains what looks like “{label}” here: an object is there with a probability of {_percent(there)}."
    )
    return Issue("overlooked", float(judged.overlooked[row]), picture, None, box, None, box, label, reason)


def _swapped(judged: Judged, wanted: DetectionSet, row: int) -> Issue:
    place = judged.matches.place[row]
    given = int(judged.labels.classes[row])
    q = judged.classes[place].copy()
    mine = q[given]
    q[given] = -1.0
    best = int(q.argmax())
    reason = (
        f"Labelled “{wanted.labels[given]}”, but it looks like “{wanted.labels[best]}”: {_percent(q[best])} against "
        f"{_percent(mine)}, with the detector's usual mix-ups allowed for."
    )
    issue = _of_label(judged, wanted, row, "swapped", float(judged.swapped[row]), reason)
    return replace(issue, suggested_class=wanted.labels[best])


def _misplaced(judged: Judged, wanted: DetectionSet, row: int) -> Issue:
    reason = (
        f"The box overlaps what is seen of the object by {judged.overlap[row]:.2f} only; {judged.usual[row]:.2f} is "
        "usual for boxes of this size, class and surroundings."
    )
    issue = _of_label(judged, wanted, row, "badly placed", float(judged.misplaced[row]), reason)
    return replace(issue, suggested_box=_box_in(judged.boxes[judged.matches.place[row]], wanted, issue.picture))


def _of_label(judged: Judged, wanted: DetectionSet, row: int, kind: Kind, probability: float, reason: str) -> Issue:
    picture = int(judged.labels.picture[row])
    box = _box_in(judged.labels.boxes[row], wanted, picture)
    given = wanted.labels[judged.labels.classes[row]]
    return Issue(kind, probability, picture, int(judged.labels.index[row]), box, given, None, None, reason)


def _box_in(box: Floats, wanted: DetectionSet, picture: int) -> Box:
    """Return a box cut to its picture, to a tenth of a pixel."""
    sample = wanted.samples[picture]
    x1, y1, x2, y2 = np.clip(box, 0, [sample.width, sample.height] * 2).round(1).tolist()
    return x1, y1, x2, y2


def _percent(share: float) -> str:
    """Return a share as people say it; never 0 % or 100 %, as nothing is sure.

    >>> _percent(0.973), _percent(0.0001), _percent(0.9999)
    ('97 %', 'below 1 %', 'above 99 %')
    """
    if share < 0.01:
        return "below 1 %"
    return "above 99 %" if share > 0.99 else f"{share:.0%}".replace("%", " %")
