"""Label issues as files: label_issues.json for programs, label_issues.html for people, with a picture of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from core.boxes import iou
from core.errors import FormatError
from dataset.records import DetectionSet
from training.evaluation.pictures import draw
from training.evaluation.worst import Mark
from training.label_issues.finder import KINDS, Issue, Kind

TITLES: dict[Kind, tuple[str, str]] = {
    "overlooked": ("Overlooked", "Something is there that nobody labelled. To mend: add the yellow box."),
    "swapped": ("Wrong class", "The label has another class than what is seen. To mend: change the class."),
    "badly placed": ("Badly placed", "The box is off by more than is usual. To mend: take the yellow box."),
}
#: Pictures of each kind on the page.
MOST_SHOTS = 24
_TOUCHES = 0.05


@dataclass(frozen=True)
class Origin:
    """Where a list comes from: what made the detections, when, at which commit, and the command."""

    detections: str
    made_utc: str
    revision: str
    command: str


@dataclass(frozen=True)
class _Tile:
    title: str
    count: int
    rate: str


@dataclass(frozen=True)
class _Shot:
    rank: int
    probability: str
    svg: Markup
    name: str
    reason: str


@dataclass(frozen=True)
class _Gallery:
    title: str
    meaning: str
    count: int
    shots: tuple[_Shot, ...]


def as_json(issues: Sequence[Issue], wanted: DetectionSet, rates: NDArray[np.float64], origin: Origin) -> str:
    """Return the list as JSON, an issue a line; boxes are x, y, width, height in pixels, as in COCO."""
    head = {
        "set": wanted.name,
        "set_sha256": wanted.sha256,
        "detections": origin.detections,
        "made_utc": origin.made_utc,
        "revision": origin.revision,
        "command": origin.command,
        "estimated_shares": {kind: round(float(rate), 4) for kind, rate in zip(KINDS, rates, strict=True)},
    }
    rows = (json.dumps(row, ensure_ascii=False) for row in _rows(issues, wanted))
    return (
        json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "issues": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    )


def render(
    issues: Sequence[Issue],
    wanted: DetectionSet,
    rates: NDArray[np.float64],
    origin: Origin,
    load: Callable[[Path], NDArray[np.uint8]],
) -> str:
    """Return the page.

    Args:
        issues: most probable first.
        wanted: the set.
        rates: (3,) estimated share of each of KINDS.
        origin: what made it.
        load: reads a picture as (H, W, 3) RGB; one that cannot be read is told in its place.
    """
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    of_kind = {kind: [(n, i) for n, i in enumerate(issues, start=1) if i.kind == kind] for kind in KINDS}
    return pages.get_template("label_issues.html").render(
        issues=issues,
        wanted=wanted,
        labels=sum(int((~sample.ignored).sum()) for sample in wanted.samples),
        origin=origin,
        warnings=list(wanted.warnings),
        lead=_lead(issues),
        tiles=[
            _Tile(TITLES[kind][0], len(of_kind[kind]), f"{rate:.1%}".replace("%", " %"))
            for kind, rate in zip(KINDS, rates.tolist(), strict=True)
        ],
        galleries=[
            _Gallery(*TITLES[kind], len(ranked), tuple(_shot(n, i, wanted, load) for n, i in ranked[:MOST_SHOTS]))
            for kind, ranked in of_kind.items()
        ],
    )


def _lead(issues: Sequence[Issue]) -> str:
    if not issues:
        return "No label looks wrong: nothing reaches the probability that was asked for."
    sure = sum(issue.probability >= 0.5 for issue in issues)
    expected = sum(issue.probability for issue in issues)
    boxes = "box deserves" if len(issues) == 1 else "boxes deserve"
    return (
        f"{len(issues)} {boxes} a look, {sure} of them more likely wrong than right; about {expected:.0f} should turn "
        "out to be wrong. Begin at the top: the list is ranked by probability."
    )


def _rows(issues: Sequence[Issue], wanted: DetectionSet) -> Iterator[dict[str, object]]:
    for issue in issues:
        yield {
            "kind": issue.kind,
            "probability": round(issue.probability, 4),
            "file_name": wanted.samples[issue.picture].image.name,
            "picture": issue.picture,
            "label": issue.label,
            "bbox": _coco(issue.box),
            "category": issue.given,
            "suggested_bbox": None if issue.suggested_box is None else _coco(issue.suggested_box),
            "suggested_category": issue.suggested_class,
            "reason": issue.reason,
        }


def _coco(box: tuple[float, float, float, float]) -> list[float]:
    return [box[0], box[1], round(box[2] - box[0], 1), round(box[3] - box[1], 1)]


def _shot(rank: int, issue: Issue, wanted: DetectionSet, load: Callable[[Path], NDArray[np.uint8]]) -> _Shot:
    sample = wanted.samples[issue.picture]
    probability = f"{issue.probability:.0%}".replace("%", " %")
    try:
        image = load(sample.image)
    except FormatError:
        unread = Markup('<p class="none">The picture cannot be read.</p>')
        return _Shot(rank, probability, unread, sample.image.name, issue.reason)
    svg = draw(image, _marks(issue, wanted), issue.box, f"{sample.image.name}: {issue.reason}")
    return _Shot(rank, probability, Markup(svg), sample.image.name, issue.reason)  # noqa: S704 - names are escaped


def _marks(issue: Issue, wanted: DetectionSet) -> list[Mark]:
    """Return the other labels, then the one in question, then what is suggested."""
    sample = wanted.samples[issue.picture]
    marks = []
    for i, (row, class_id) in enumerate(zip(sample.boxes, sample.classes, strict=True)):
        if i == issue.label:
            continue
        near = bool(iou(row[None].astype(np.float64), np.array([issue.box]))[0, 0] >= _TOUCHES)
        x1, y1, x2, y2 = (float(value) for value in row)
        role = "ignored" if sample.ignored[i] else "true"
        marks.append(Mark((x1, y1, x2, y2), wanted.labels[class_id], role, named=near))  # type: ignore[arg-type]
    if issue.given is not None:
        marks.append(Mark(issue.box, issue.given, "missed", named=True))
    if issue.kind == "swapped":
        marks.append(Mark(issue.box, f"{issue.suggested_class}?", "found", named=True))
    elif issue.suggested_box is not None:
        text = "here?" if issue.kind == "badly placed" else f"{issue.suggested_class}?"
        marks.append(Mark(issue.suggested_box, text, "found", named=True))
    return marks
