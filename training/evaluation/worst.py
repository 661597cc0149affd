"""Which errors a person should look at: false alarms, missed objects, wrong classes, bad boxes, wrong counts.

All at one threshold, on class-agnostic matches. Every kept detection and every object is in one kind at most:

- *false alarm*: has nothing to do with an object that is to be found; a *double* overlaps one that is taken;
- *badly placed*: overlaps an object by 0.1 to 0.5, or lies in one; *wrong class*: fits an object of another class;
- *missed*: an object that no kept detection took;
- *wrong count*: a picture whose count of some class is off (these are pictures, beside the kinds above).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.boxes import coverage, iou
from training.evaluation.details import Details
from training.evaluation.matching import Bools, Ints

Box = tuple[float, float, float, float]
Kind = Literal["false alarm", "double", "badly placed", "wrong class", "missed", "wrong count"]
KINDS: tuple[Kind, ...] = ("missed", "wrong class", "false alarm", "badly placed", "double", "wrong count")
TOUCHES = 0.1


@dataclass(frozen=True)
class Mark:
    """A box to draw: `role` is true (as labelled; missed where it is the error), found (or at fault), or ignored.

    Only `named` ones show their text.
    """

    box: Box
    text: str
    role: Literal["true", "missed", "found", "fault", "ignored"]
    named: bool


@dataclass(frozen=True)
class ErrorCase:
    """One error.

    Attributes:
        kind: see the module.
        picture: index into the set.
        focus: the box to look at; None for the whole picture.
        reason: one line for a person.
    """

    kind: Kind
    picture: int
    focus: Box | None
    reason: str


@dataclass(frozen=True)
class ErrorKind:
    """All errors of one kind: how many, and the worst of them, no two from one picture."""

    kind: Kind
    count: int
    worst: tuple[ErrorCase, ...]


def worst_errors(d: Details, most: int = 6) -> tuple[ErrorKind, ...]:
    """Return the kinds of error that occur, each with its `most` worst cases."""
    kinds = []
    for kind, rows in _by_kind(d).items():
        cases: list[ErrorCase] = []
        for row in rows.tolist():
            if len(cases) == most:
                break
            case = _case(d, kind, row)
            if all(case.picture != other.picture for other in cases):
                cases.append(case)
        if len(rows):
            kinds.append(ErrorKind(kind, len(rows), tuple(cases)))
    return tuple(sorted(kinds, key=lambda one: KINDS.index(one.kind)))


def marks_of(d: Details, case: ErrorCase) -> tuple[Mark, ...]:
    """Return the boxes to draw on the case's picture: the truth first, then what was found, the one at fault last."""
    return tuple(sorted(_marks(d, case), key=lambda mark: mark.box == case.focus))


def _by_kind(d: Details) -> dict[Kind, Ints]:
    """Return the rows of each kind, worst first: detections, for *missed* objects, for *wrong count* pictures."""
    m, links = d.matched, d.matched.agnostic
    kept = m.scores >= d.threshold
    hit, loose = kept & links.hits, kept & ~links.hits & ~links.excused
    wrong = hit.copy()
    wrong[hit] = m.classes[hit] != m.objects.classes[links.taken[hit]]
    missed = m.objects.wanted.copy()
    missed[links.taken[hit]] = False
    off = np.abs(d.stills.counted - d.stills.true).sum(axis=1)

    def surest(rows: Bools) -> Ints:
        at = np.flatnonzero(rows)
        return at[np.argsort(-m.scores[at], kind="stable")]

    sides = m.objects.boxes[:, 2:] - m.objects.boxes[:, :2]
    largest = np.argsort(-sides.prod(axis=1), kind="stable")
    pictures = np.argsort(-off, kind="stable")
    touching = (links.overlap >= TOUCHES) | _inside(d, loose)
    return {
        "false alarm": surest(loose & ~touching),
        "double": surest(loose & (links.overlap >= 0.5)),
        "badly placed": surest(loose & touching & (links.overlap < 0.5)),
        "wrong class": surest(wrong),
        "missed": largest[missed[largest]],
        "wrong count": pictures[off[pictures] > 0],
    }


def _inside(d: Details, chosen: Bools) -> Bools:
    """Return (D,): whether at least half of a chosen detection lies in one object that is to be found."""
    m = d.matched
    inside = np.zeros(len(m.scores), dtype=np.bool_)
    for row in np.flatnonzero(chosen):
        # Objects stand in the order of their pictures.
        first, end = np.searchsorted(m.objects.picture, [m.picture[row], m.picture[row] + 1])
        boxes = m.objects.boxes[first:end][m.objects.wanted[first:end]]
        inside[row] = bool((coverage(m.boxes[row : row + 1], boxes) >= 0.5).any())
    return inside


def _case(d: Details, kind: Kind, row: int) -> ErrorCase:
    m = d.matched
    if kind == "wrong count":
        return ErrorCase(kind, row, None, _count_reason(d, row))
    if kind == "missed":
        return ErrorCase(kind, int(m.objects.picture[row]), _box(m.objects.boxes[row]), _missed_reason(d, row))
    said, score = m.labels[m.classes[row]], m.scores[row]
    picture, box = int(m.picture[row]), _box(m.boxes[row])
    if kind == "false alarm":
        reason = f"“{said}” with a score of {score:.2f} where nothing is labelled"
    elif kind == "wrong class":
        true = m.labels[m.objects.classes[m.agnostic.taken[row]]]
        reason = f"“{true}” taken for “{said}” with a score of {score:.2f}"
    else:
        near = m.labels[m.objects.classes[_nearest(d, row)]]
        overlap = m.agnostic.overlap[row]
        reason = (
            f"a second box on “{near}”, “{said}” {score:.2f}: overlaps it by {overlap:.2f}, but it is taken"
            if kind == "double"
            else f"“{said}” {score:.2f} overlaps “{near}” by {overlap:.2f} only; from 0.50 on it is a hit"
        )
    return ErrorCase(kind, picture, box, reason)


def _nearest(d: Details, row: int) -> int:
    """Return the object to be found that a detection overlaps most."""
    m = d.matched
    mine = np.flatnonzero((m.objects.picture == m.picture[row]) & m.objects.wanted)
    return int(mine[iou(m.boxes[row : row + 1], m.objects.boxes[mine])[0].argmax()])


def _missed_reason(d: Details, row: int) -> str:
    m = d.matched
    label = m.labels[m.objects.classes[row]]
    weak = np.flatnonzero(m.agnostic.taken == row)
    if len(weak):
        said, score = m.labels[m.classes[weak[0]]], m.scores[weak[0]]
        as_what = "" if said == label else f" as “{said}”"
        return f"“{label}” is seen{as_what} with a score of {score:.2f} only; {d.threshold:.2f} is asked"
    return f"“{label}” is not seen at any score"


def _count_reason(d: Details, picture: int) -> str:
    counted, true = d.stills.counted[picture], d.stills.true[picture]
    parts = [
        f"{counted[k]} instead of {true[k]} × {d.matched.labels[k]}" for k in np.flatnonzero(counted != true).tolist()
    ]
    shown = ", ".join(parts[:4]) + (f" and {len(parts) - 4} more" if len(parts) > 4 else "")
    return f"counts {shown}"


def _marks(d: Details, case: ErrorCase) -> Iterator[Mark]:
    """Yield the truth of the case's picture, then what was found there, surest last."""
    m, whole = d.matched, case.kind == "wrong count"
    kept = (m.picture == case.picture) & (m.scores >= d.threshold)
    taken = m.aware.taken[kept & m.aware.hits]
    for row in np.flatnonzero(m.objects.picture == case.picture).tolist():
        box, label = _box(m.objects.boxes[row]), m.labels[m.objects.classes[row]]
        if not m.objects.wanted[row]:
            yield Mark(box, label, "ignored", named=False)
        elif (row not in taken) if whole else (case.kind == "missed" and box == case.focus):
            yield Mark(box, f"missed: {label}", "missed", named=True)
        else:
            yield Mark(box, label, "true", named=_near(box, case.focus))
    rows = np.flatnonzero(kept)
    for row in rows[np.argsort(m.scores[rows], kind="stable")].tolist():
        box = _box(m.boxes[row])
        wrong = not m.aware.hits[row] and not m.aware.excused[row]
        at_fault = wrong if whole else box == case.focus
        text = f"{m.labels[m.classes[row]]} {m.scores[row]:.2f}"
        yield Mark(box, text, "fault" if at_fault else "found", named=at_fault or _near(box, case.focus))


def _near(box: Box, focus: Box | None) -> bool:
    """Tell whether a box has to do with what the picture is about; other names would only cover it."""
    if focus is None:
        return False
    return bool(iou(np.array([box]), np.array([focus]))[0, 0] >= TOUCHES)


def _box(row: np.ndarray) -> Box:
    x1, y1, x2, y2 = (float(value) for value in row)
    return x1, y1, x2, y2
