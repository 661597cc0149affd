"""The page's charts: how the rounds went, what each exponent reaches, and each class beside the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from training.evaluation.charts import ROLES, STYLE, themed_svg
from training.patches.scores import ClassRanking


def rounds_chart(history: dict[str, Sequence[dict[str, Any]]], best: dict[str, int]) -> str:
    """Return validation mAP over the rounds of both heads, with the chosen ones marked."""
    with mpl.rc_context(STYLE):
        figure, axes = _axes(5.2, 3.4)
        for name, color, style in (("patches", "one", "-"), ("whole", "two", "--")):
            lines = history[name]
            axes.plot([x["step"] for x in lines], [x["map"] for x in lines], style, color=ROLES[color], label=name)
            chosen = [line for line in lines if line["step"] == best[name]]
            axes.plot([x["step"] for x in chosen], [x["map"] for x in chosen], "o", color=ROLES[color])
        axes.set(xlabel="round", ylabel="validation mAP", ylim=(-0.01, 1.05))
        axes.legend(loc="lower right")
        return themed_svg(figure, "Validation mAP by round")


def exponents_chart(line: dict[str, Any], chosen: float) -> str:
    """Return validation mAP by exponent, of one round's line."""
    pairs = [(float(name.removeprefix("map_e")), score) for name, score in line.items() if name.startswith("map_e")]
    with mpl.rc_context(STYLE):
        figure, axes = _axes(5.2, 3.4)
        axes.plot([e for e, _ in pairs], [score for _, score in pairs], "o-", color=ROLES["one"], markersize=4)
        axes.axvline(chosen, color=ROLES["ink"], linewidth=1)
        axes.set(xlabel="exponent e", ylabel="validation mAP")
        axes.set_xticks([e for e, _ in pairs], [f"{e:g}" for e, _ in pairs])
        return themed_svg(figure, "Validation mAP by exponent")


def classes_chart(patches: Sequence[ClassRanking], whole: Sequence[ClassRanking]) -> str:
    """Return the AP of each measured class: patches, baseline, and what a random order has."""
    measured = [(a, b) for a, b in zip(patches, whole, strict=True) if a.area is not None]
    measured.sort(key=lambda pair: (pair[0].area, pair[0].label))
    with mpl.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure, axes = _axes(7.2, 0.9 + 0.27 * len(measured), left=0.22)
        for y, (ours, theirs) in enumerate(measured):
            axes.plot([theirs.area, ours.area], [y, y], color=ROLES["faint"], linewidth=2, zorder=1)
        places = range(len(measured))
        axes.plot([a.chance for a, _ in measured], places, "|", color=ROLES["soft"], markersize=9, label="chance")
        axes.plot([b.area for _, b in measured], places, "s", color=ROLES["two"], markersize=5, label="whole picture")
        axes.plot([a.area for a, _ in measured], places, "o", color=ROLES["one"], markersize=6.5, label="patches")
        axes.set_yticks(list(places), [f"{a.label} ({a.pictures})" for a, _ in measured])
        axes.set(xlim=(-0.01, 1.02), ylim=(-0.7, len(measured) - 0.3), xlabel="AP (area)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
        return themed_svg(figure, "AP of each class: patches and whole picture")


def _axes(width: float, height: float, left: float = 0.125) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure, figure.add_axes((left, 0.5 / height, 0.98 - left, 1 - 0.85 / height))
