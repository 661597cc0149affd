"""The page's chart: each start's score against the number of pictures, with bands, every seed, and the fitted law."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from training.evaluation.charts import ROLES, STYLE, themed_svg
from training.learning_curve.outcome import Curve, Outcome
from training.learning_curve.settings import Start
from training.learning_curve.wording import TITLES

COLOURS: dict[Start, str] = {"pretrained": ROLES["one"], "scratch": ROLES["two"]}
MARKS: dict[Start, str] = {"pretrained": "o", "scratch": "s"}


def curve_chart(outcome: Outcome, name: str) -> str:
    """Return one score against the number of pictures, on a log axis."""
    curves = [one for one in outcome.curves if one.score == name]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 4.6))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.09, 0.13, 0.89, 0.84))
        for curve in curves:
            _draw(axes, curve)
        if outcome.points.chance is not None:
            axes.axhline(
                outcome.points.chance, color=ROLES["soft"], linewidth=1, linestyle="--", label="most frequent class"
            )
        counts = curves[0].counts
        axes.set(xscale="log", xlabel="training pictures (log)", ylabel=TITLES[name], ylim=(0, 1))
        ticks = [*counts, 2 * counts[-1]]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlim(counts[0] / 1.12, 2 * counts[-1] * 1.08)
        axes.legend(loc="upper left", fontsize=9)
        return themed_svg(figure, f"{TITLES[name]} against training pictures")


def _draw(axes: Any, curve: Curve) -> None:
    colour, mark = COLOURS[curve.start], MARKS[curve.start]
    means = [mean.value or 0.0 for mean in curve.means]
    low = [mean.low if mean.low is not None else mean.value or 0.0 for mean in curve.means]
    high = [mean.high if mean.high is not None else mean.value or 0.0 for mean in curve.means]
    axes.fill_between(curve.counts, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(curve.counts, means, mark + "-", color=colour, label=f"{curve.start} (mean, 95 %)", markersize=6)
    for count, seeds in zip(curve.counts, curve.seeds, strict=True):
        axes.plot([count] * len(seeds), seeds, mark, color=colour, markersize=3, alpha=0.5, linestyle="none")
    ahead = curve.law_band[:, 0] >= curve.counts[-1]
    places = curve.law_band[:, 0]
    axes.plot(
        places,
        [curve.law.score(float(n)) for n in places],
        ":",
        color=colour,
        linewidth=1.3,
        label=f"{curve.start}, law",
    )
    if np.isfinite(curve.law_band).all():
        axes.fill_between(
            places[ahead], curve.law_band[ahead, 1], curve.law_band[ahead, 2], facecolor="none", edgecolor=colour,
            alpha=0.35, hatch="////", linewidth=0,
        )  # fmt: skip
