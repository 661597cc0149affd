"""One self-contained HTML page about a study: the choice, the grid, the races, classes, and neighbours looked at."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from dataset.classification import PhotoSet
from dataset.images import load_image
from models.gate import Figure
from training.embedding_study.charts import cost_chart, layers_chart, matrix_chart, models_chart, races_chart
from training.embedding_study.grid import Measured
from training.embedding_study.metrics import Ints
from training.embedding_study.outcome import Outcome, best_of, value
from training.embedding_study.parts import Parts
from training.embedding_study.settings import StudySettings
from training.evaluation.wording import shown

#: Examples of each kind, confusions, and rows of the grid on the page; the rest is in grid.csv.
EACH_KIND, MOST_CONFUSIONS, MOST_ROWS = 4, 15, 25
_THUMB_PX, _QUALITY = 112, 80

Load = Callable[[Path], NDArray[np.uint8]]


@dataclass(frozen=True)
class Neighbour:
    """One photo of a ranking: `kind` is "query", "right", "sibling" or "stranger"."""

    picture: str
    label: str
    kind: str
    distance: float | None


@dataclass(frozen=True)
class Ranking:
    """A query and its nearest photos."""

    kind: str
    rank: int
    photos: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Confusion:
    """How often one class was taken for another; `sibling`: both are of one coarse class."""

    asked: str
    answered: str
    count: int
    of: int
    sibling: bool


def render(outcome: Outcome, photos: PhotoSet, parts: Parts, settings: StudySettings, load: Load = load_image) -> str:
    """Return the page.

    Args:
        outcome: what was found.
        photos: the set.
        parts: of it.
        settings: of the study.
        load: reads a picture as (H, W, 3) RGB.
    """
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    charts = {
        "models": models_chart(outcome),
        "cost": cost_chart(outcome),
        "layers": layers_chart(outcome),
        "races": races_chart(outcome) if outcome.races else "",
    }
    matrices = [
        (one, matrix_chart(one, photos.labels, photos.coarse_of, photos.coarse_labels)) for one in _looked_at(outcome)
    ]
    order = sorted(outcome.measured, key=lambda one: (-value(one.development, outcome.by), one.setting.name))
    return pages.get_template(
        "report.html"
    ).render(
        o=outcome,
        settings=settings,
        photos=photos,
        parts=parts,
        sentences=sentences(outcome),
        charts={name: Markup(chart) for name, chart in charts.items()},  # noqa: S704 - made by us
        matrices=[(one, Markup(chart)) for one, chart in matrices],  # noqa: S704 - made by us
        rows=order[:MOST_ROWS],
        rankings=rankings(outcome.chosen, photos, parts, load),
        confusions=confusions(outcome.chosen, photos, parts),
        best_aside=best_of(outcome.measured, outcome.by, "aside"),
        shares=[one.pick.cost.shares_of(outcome.grid_cost) for one in outcome.races],
        picks=Counter(one.pick.setting.name for one in outcome.races).most_common(),
        title={"mrr": "MRR", "top1": "top-1"}[outcome.by],
        shown=shown,
        interval=interval,
    )


def sentences(outcome: Outcome) -> list[str]:
    """Return what a reader should take away."""
    chosen, scores = outcome.chosen, outcome.chosen.aside
    told = [
        f"Of {len(outcome.measured)} settings the grid chooses {chosen.setting.name} ({chosen.setting.dims} numbers): "
        f"on {len(chosen.answers.rank)} photos kept aside the nearest photo is right for {scores.top1.value:.1%} "
        f"(95 %: {interval(scores.top1)}), MRR {shown(scores.mrr.value)} ({interval(scores.mrr)})."
    ]
    others = [pair for pair in outcome.rivals if pair[0] is not chosen and pair[0] not in outcome.cards]
    if others:
        rival, gap = max(others, key=lambda pair: value(pair[0].aside, outcome.by))
        sure = gap.high is not None and gap.high < 0
        told.append(
            f"The best of another model, {rival.setting.name}, is at {gap.value:+.3f} ({interval(gap)}): "
            + ("that is worse." if sure else "that may be chance.")
        )
    if scores.plausible.value is not None and outcome.chance is not None:
        told.append(
            f"{scores.plausible.value:.0%} of its errors are plausible, of the same coarse class; blind ones would be "
            f"{outcome.chance:.0%}."
        )
    if outcome.races:
        most = max(one.pick.cost.shares_of(outcome.grid_cost)[1] for one in outcome.races)
        told.append(
            f"A race picks {outcome.races[0].pick.setting.name} for {most:.1%} of the cost at most; "
            f"{outcome.within(1)} of {len(outcome.races)} races end within a point of the grid's choice."
        )
    else:
        told.append(f"There was no race: {outcome.no_race}.")
    return told


def interval(figure: Figure) -> str:
    """Return the ends of a figure's interval."""
    return "none" if figure.low is None or figure.high is None else f"{figure.low:.3f} to {figure.high:.3f}"


def rankings(one: Measured, photos: PhotoSet, parts: Parts, load: Load) -> list[Ranking]:
    """Return queries with their first neighbours: strangers first, then siblings, then right ones, of many classes."""
    kinds = {
        "stranger": one.answers.wrong & ~one.answers.sibling,
        "sibling": one.answers.sibling,
        "right": ~one.answers.wrong,
    }
    found = []
    for kind, mask in kinds.items():
        of_kind = np.flatnonzero(mask)
        spread = np.unique(np.linspace(0, max(len(of_kind) - 1, 0), EACH_KIND).round().astype(int))
        for q in of_kind[spread[: len(of_kind)]].tolist():
            query = photos.photos[int(parts.aside[q])]
            row = [Neighbour(thumbnail(load(query.image)), photos.labels[query.fine], "query", None)]
            for g, distance in zip(one.answers.first[q].tolist(), one.answers.distance[q].tolist(), strict=True):
                near = photos.photos[int(parts.gallery[g])]
                told = _kind(query.fine, near.fine, photos.coarse_of)
                row.append(Neighbour(thumbnail(load(near.image)), photos.labels[near.fine], told, distance))
            found.append(Ranking(kind, int(one.answers.rank[q]), tuple(row)))
    return found


def confusions(one: Measured, photos: PhotoSet, parts: Parts) -> list[Confusion]:
    """Return which classes were taken for which, most frequent first."""
    fine = np.array([photo.fine for photo in photos.photos], np.int64)
    asked: Ints = fine[parts.aside]
    pairs = Counter(zip(asked.tolist(), fine[parts.gallery][one.answers.nearest].tolist(), strict=True))
    wrong = [
        Confusion(
            photos.labels[a], photos.labels[b], n, int((asked == a).sum()), _kind(a, b, photos.coarse_of) == "sibling"
        )
        for (a, b), n in pairs.items()
        if a != b
    ]
    return sorted(wrong, key=lambda pair: (-pair.count / pair.of, -pair.count, pair.asked, pair.answered))[
        :MOST_CONFUSIONS
    ]


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Return a small square picture as a data address; the longer side is cut at both ends."""
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    square = pixels[top : top + side, left : left + side]
    small = cv2.resize(square, (_THUMB_PX, _THUMB_PX), interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _looked_at(outcome: Outcome) -> list[Measured]:
    """Return the settings whose matrices are shown: the choice, the best histogram, the best random net, the cards."""
    shown = [outcome.chosen]
    for mark in ("colour_histogram", "~random"):
        of_kind = [one for one, _ in outcome.rivals if mark in one.setting.model and one not in shown]
        if of_kind:
            shown.append(max(of_kind, key=lambda one: value(one.development, outcome.by)))
    return [*shown, *outcome.cards]


def _kind(asked: int, answered: int, coarse_of: Sequence[int]) -> str:
    if asked == answered:
        return "right"
    return "sibling" if coarse_of and coarse_of[asked] == coarse_of[answered] else "stranger"
