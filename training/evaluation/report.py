"""One self-contained HTML page about one model on one set: figures, curves, weak spots, and the worst errors.

Everything is inside the page (styles, curves, pictures), so it can be mailed and kept. `report.html` beside this file
is the template; what it shows is put together here, in words that a person can act on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from core.errors import FormatError
from dataset.records import DetectionSet
from models.gate import Figure, SetScores, Verdict
from training.evaluation.charts import precision_recall_chart, reliability_chart, threshold_chart
from training.evaluation.details import ClassScores, Details
from training.evaluation.pictures import draw
from training.evaluation.wording import EXPLAINED, KIND_TITLES, Explained, shown, verdict_sentences
from training.evaluation.worst import ErrorCase, ErrorKind, marks_of, worst_errors

#: A larger matrix is a carpet; the list of mix-ups says the same.
MOST_MATRIX_CLASSES = 30
MOST_MIX_UPS = 12
MOST_CURVES = 30


@dataclass(frozen=True)
class Origin:
    """Where the figures come from: names, hashes, and the command that makes them again."""

    model: str
    weights_sha256: str
    revision: str
    evaluated_utc: str
    command: str
    threshold_from: str


@dataclass(frozen=True)
class Rival:
    """Another model on the same set, and what the gate says."""

    model: str
    scores: SetScores | None
    verdict: Verdict


@dataclass(frozen=True)
class FigureRow:
    """One line of the headline table."""

    explained: Explained
    value: str
    interval: str
    rival: str
    change: str
    better: bool | None


@dataclass(frozen=True)
class ClassRow:
    """One line of the table of classes."""

    scores: ClassScores
    mixed_up: str


@dataclass(frozen=True)
class MixUp:
    """So many objects of one class were taken for another."""

    true: str
    said: str
    count: int
    share: float


@dataclass(frozen=True)
class Shot:
    """A drawn error: the picture (or why there is none), its file's name and the reason."""

    svg: Markup
    name: str
    reason: str


@dataclass(frozen=True)
class Gallery:
    """The drawn errors of one kind."""

    title: str
    meaning: str
    count: int
    shots: tuple[Shot, ...]


def render(
    d: Details,
    wanted: DetectionSet,
    scores: SetScores,
    origin: Origin,
    load: Callable[[Path], NDArray[np.uint8]],
    rival: Rival | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """Return the page.

    Args:
        d: what was measured.
        wanted: the set.
        scores: its record, for name and role.
        origin: model, hashes, command.
        load: reads a picture as (H, W, 3) RGB; one that cannot be read is told in its place.
        rival: a model to compare with.
        warnings: what the reader should know about set and model.
    """
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    by_class = [d.matched.curve(class_id=k) for k in range(len(d.matched.labels))]
    known = [curve for curve in by_class if curve.truths and len(curve.thresholds)]
    frozen = d.frozen_threshold is not None
    return pages.get_template("report.html").render(
        d=d,
        wanted=wanted,
        scores=scores,
        origin=origin,
        rival=rival,
        warnings=list(warnings),
        sentences=verdict_sentences(d),
        rows=figure_rows(d.figures, rival, len(d.matched.labels)),
        charts={
            "pr": Markup(  # noqa: S704 - made by us
                precision_recall_chart(
                    d.curve, d.agnostic_curve, known if 1 < len(known) <= MOST_CURVES else [], d.threshold
                )
            ),
            "f1": Markup(threshold_chart(d.curve, d.threshold, frozen)),  # noqa: S704
            "trust": Markup(reliability_chart(d.score_trust, d.class_trust)),  # noqa: S704
        },
        classes=class_rows(d),
        slices=(("Size of the object", d.sizes), ("Covered by other objects", d.occlusions)),
        mix_ups=mix_ups(d.confusion, d.matched.labels),
        matrix=matrix_rows(d) if len(d.matched.labels) <= MOST_MATRIX_CLASSES else None,
        galleries=[gallery(d, wanted, kind, load) for kind in worst_errors(d)],
        shown=shown,
    )


def figure_rows(figures: dict[str, Figure], rival: Rival | None, classes: int) -> list[FigureRow]:
    """Return the headline table: what was measured, in the order of `EXPLAINED`."""
    rows = []
    for explained in EXPLAINED:
        figure = figures.get(explained.name)
        if figure is None or (figure.value is None and explained.optional) or (explained.of_classes and classes == 1):
            continue
        other = rival.scores.figures.get(explained.name) if rival and rival.scores else None
        change, better = "", None
        if other is not None and other.value is not None and figure.value is not None:
            difference = figure.value - other.value
            change = f"{difference:+.3f}"
            if abs(difference) >= 0.0005 and explained.judged:
                better = (difference < 0) is explained.lower_is_better
        interval = "" if figure.low is None or figure.high is None else f"{shown(figure.low)} – {shown(figure.high)}"
        rows.append(
            FigureRow(explained, shown(figure.value), interval, shown(other.value) if other else "", change, better)
        )
    return rows


def class_rows(d: Details) -> list[ClassRow]:
    """Return the classes that the set or the model has, in the order of the labels."""
    rows = []
    for class_id, scores in enumerate(d.classes):
        if not scores.objects and not scores.point.false:
            continue
        others = d.confusion[class_id, :-1].copy()
        others[class_id] = 0
        most = int(others.argmax())
        mixed_up = f"{d.matched.labels[most]} ({others[most]})" if others[most] else ""
        rows.append(ClassRow(scores, mixed_up))
    return rows


def mix_ups(confusion: NDArray[np.int64], labels: Sequence[str]) -> list[MixUp]:
    """Return the most frequent confusions of two classes."""
    between = confusion[:-1, :-1].copy()
    np.fill_diagonal(between, 0)
    order = np.argsort(-between, axis=None, kind="stable")[:MOST_MIX_UPS]
    pairs = [divmod(int(at), between.shape[1]) for at in order]
    return [
        MixUp(labels[i], labels[j], int(between[i, j]), float(between[i, j] / confusion[i].sum()))
        for i, j in pairs
        if between[i, j]
    ]


def matrix_rows(d: Details) -> list[tuple[str, list[tuple[int, int, bool]]]]:
    """Return for each row of the confusion matrix its name and cells: count, percent of the row, on the diagonal.

    Classes that occur on neither side are left out.
    """
    names = [*d.matched.labels, "background"]
    used = [i for i in range(len(names)) if d.confusion[i].any() or d.confusion[:, i].any()]
    rows = []
    for i in used:
        total = max(int(d.confusion[i].sum()), 1)
        cells = [
            (
                int(d.confusion[i, j]),
                round(100 * int(d.confusion[i, j]) / total),
                i == j,
            )
            for j in used
        ]
        rows.append((names[i], cells))
    return rows


def gallery(d: Details, wanted: DetectionSet, kind: ErrorKind, load: Callable[[Path], NDArray[np.uint8]]) -> Gallery:
    """Return the pictures of one kind of error."""
    title, meaning = KIND_TITLES[kind.kind]
    return Gallery(title, meaning, kind.count, tuple(_shot(d, wanted, case, load) for case in kind.worst))


def _shot(d: Details, wanted: DetectionSet, case: ErrorCase, load: Callable[[Path], NDArray[np.uint8]]) -> Shot:
    name = wanted.samples[case.picture].image.name
    try:
        image = load(wanted.samples[case.picture].image)
    except FormatError:
        return Shot(Markup('<p class="none">The picture cannot be read.</p>'), name, case.reason)
    svg = draw(image, marks_of(d, case), case.focus, f"{name}: {case.reason}")
    return Shot(Markup(svg), name, case.reason)  # noqa: S704 - names in it are escaped
