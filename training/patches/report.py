"""One self-contained HTML page about a study: figures beside the baseline, classes, rounds, and what patches see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from models.gate import Figure
from training.evaluation.wording import shown
from training.patches.charts import classes_chart, exponents_chart, rounds_chart
from training.patches.heat_maps import heat_map, shot, warmed
from training.patches.outcome import Outcome
from training.patches.sampling import BACKGROUND, draw_patches, label_patches, patch_grid
from training.patches.scores import SHOWN, presence
from training.patches.settings import SamplerSettings, StudySettings
from training.patches.tasks import Described

#: Heat maps of the one picture; the strongest patches drawn on each of the others; patches drawn of what is learnt.
MOST_MAPS, STRONGEST, MOST_DRAWN = 8, 3, 40
#: Larger sets of classes show the best picture of so many.
MOST_CLASSES = 40

Load = Callable[[Path], NDArray[np.uint8]]


@dataclass(frozen=True)
class Shot:
    """A drawn picture and what is said below it."""

    svg: Markup
    title: str
    text: str


def render(
    outcome: Outcome, learnt: Described, judged: Described, settings: StudySettings, classes: Sequence[str], load: Load
) -> str:
    """Return the page.

    Args:
        outcome: what was found.
        learnt: the pictures learnt from.
        judged: the test pictures.
        settings: of the study.
        classes: whose heat maps to show; none: those that the picture with most classes shows.
        load: reads a picture as (H, W, 3) RGB.
    """
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    lines = outcome.history["patches"]
    chosen = next(line for line in lines if line["step"] == outcome.rounds["patches"])
    charts = {
        "classes": classes_chart(outcome.patches.classes, outcome.whole.classes),
        "rounds": rounds_chart(dict(outcome.history), outcome.rounds),
        "exponents": exponents_chart(chosen, outcome.exponent),
    }
    return pages.get_template("report.html").render(
        o=outcome,
        settings=settings,
        sentences=sentences(outcome),
        rows=list(zip(outcome.patches.classes, outcome.whole.classes, strict=True)),
        charts={name: Markup(chart) for name, chart in charts.items()},  # noqa: S704 - made by us
        one=one_picture(outcome, judged, settings.sampler, classes, load),
        best=best_pictures(outcome, judged, settings.sampler, load),
        learnt=learnt_from(learnt, settings, load),
        sets=(("learnt from", learnt.pictures), ("test", judged.pictures)),
        shown=shown,
        interval=interval,
    )


def sentences(outcome: Outcome) -> list[str]:
    """Return what a reader should take away."""
    ours, theirs, gain = outcome.patches.area, outcome.whole.area, outcome.gain
    told = [
        f"Patches rank {outcome.pictures} unseen pictures with a mAP of {shown(ours.value)} (95 %: {interval(ours)}); "
        f"the same net and head on whole pictures with {shown(theirs.value)}, a random order with "
        f"{shown(outcome.patches.chance)}."
    ]
    if gain.value is None or gain.low is None or gain.high is None:
        told.append("The difference has no interval: too few pictures.")
    elif gain.low > 0:
        told.append(f"Patches earn {gain.value:+.3f} ({interval(gain)}).")
    elif gain.high < 0:
        told.append(f"Patches cost {-gain.value:.3f} ({interval(gain)}): here whole pictures are better.")
    else:
        told.append(f"The difference, {gain.value:+.3f} ({interval(gain)}), may be chance.")
    return told


def interval(figure: Figure) -> str:
    """Return the ends of a figure's interval."""
    return "none" if figure.low is None or figure.high is None else f"{figure.low:.3f} to {figure.high:.3f}"


def one_picture(
    outcome: Outcome, judged: Described, sampler: SamplerSettings, classes: Sequence[str], load: Load
) -> list[Shot]:
    """Return heat maps of several classes on the test picture that shows most (of `classes`, where given)."""
    labels, shows = judged.pictures.labels, presence(judged.pictures) == SHOWN
    wanted = [labels.index(name) for name in classes]
    picture = int(shows[:, wanted].sum(axis=1).argmax()) if wanted else int(shows.sum(axis=1).argmax())
    chosen = (wanted or np.flatnonzero(shows[picture]).tolist())[:MOST_MAPS]
    return [_mapped(outcome, judged, sampler, picture, c, load) for c in chosen]


def best_pictures(outcome: Outcome, judged: Described, sampler: SamplerSettings, load: Load) -> list[Shot]:
    """Return for each class that the test part has the picture that scores highest, right or wrong."""
    measured = [c for c, one in enumerate(outcome.patches.classes) if one.pictures][:MOST_CLASSES]
    return [_mapped(outcome, judged, sampler, int(outcome.scores[:, c].argmax()), c, load, STRONGEST) for c in measured]


def learnt_from(learnt: Described, settings: StudySettings, load: Load) -> list[Shot]:
    """Return the patches of the first round of one picture, each by what it is called."""
    shows = (presence(learnt.pictures) == SHOWN).sum(axis=1)
    at = int(shows.argmax())
    sample = learnt.pictures.samples[at]
    patches = patch_grid(sample.width, sample.height, settings.sampler).boxes
    called = label_patches(patches, sample.boxes, sample.classes, sample.ignored, settings.sampler)
    pixels = load(sample.image)
    shots = []
    for title, of, style in (("Objects", called >= 0, "found"), ("Background", called == BACKGROUND, "cold")):
        drawn = draw_patches(called, settings.sampler, (settings.seed, 1, 4, at))
        mine = drawn[of[drawn]]
        boxes = [(box.tolist(), style) for box in patches[mine][-MOST_DRAWN:]]
        svg = shot(
            pixels, [*((box.tolist(), "true") for box in sample.boxes), *boxes], f"{title} in {sample.image.name}"
        )
        text = f"{len(mine)} of {int(of.sum())} such patches in the first round"
        shots.append(Shot(Markup(svg), title, text))  # noqa: S704 - names in it are escaped
    return shots


def _mapped(
    outcome: Outcome, judged: Described, sampler: SamplerSettings, picture: int, c: int, load: Load, strongest: int = 0
) -> Shot:
    """Return the heat map of a class on a test picture, with its true boxes and its strongest patches."""
    sample, label = judged.pictures.samples[picture], judged.pictures.labels[c]
    patches = patch_grid(sample.width, sample.height, sampler).boxes
    votes = outcome.probabilities[picture][:, c]
    heat = heat_map(patches, votes**outcome.exponent, sample.width, sample.height)
    true = sample.boxes[(sample.classes == c) & ~sample.ignored]
    boxes = [(box.tolist(), "true") for box in true]
    boxes += [(patches[j].tolist(), "found") for j in np.argsort(-votes, kind="stable")[:strongest].tolist()]
    svg = shot(warmed(load(sample.image), heat), boxes, f"{label} in {sample.image.name}")
    place = int((outcome.scores[:, c] > outcome.scores[picture, c]).sum()) + 1
    text = f"S = {outcome.scores[picture, c]:.3g}, place {place} of {len(outcome.scores)}"
    told = "shows it" if len(true) else "does not show it"
    return Shot(Markup(svg), label, f"{text}; {told}")  # noqa: S704 - names in it are escaped
