"""The page's charts: models, quality against cost, layers by depth, races, and distances between classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from training.embedding_study.grid import Measured
from training.embedding_study.metrics import Values
from training.embedding_study.outcome import Outcome, value
from training.evaluation.charts import ROLES, STYLE, themed_svg

#: Marks tell models apart without colour.
_MARKS = "osD^vPX*<>hp"
_TITLES = {"mrr": "MRR", "top1": "top-1"}


def models_chart(outcome: Outcome) -> str:
    """Return each model's best setting (chosen inside the gallery) on the queries aside, with intervals."""
    told = sorted((one for one, _ in outcome.rivals), key=lambda one: value(one.aside, outcome.by))
    with mpl.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure, axes = _axes(7.2, 0.9 + 0.34 * len(told), left=0.44)
        for y, one in enumerate(told):
            shown = one.aside.mrr if outcome.by == "mrr" else one.aside.top1
            if shown.low is not None and shown.high is not None:
                axes.plot([shown.low, shown.high], [y, y], color=ROLES["faint"], linewidth=4, solid_capstyle="butt")
            open_mark = "~random" in one.setting.model
            face = "none" if open_mark else ROLES["one"]
            axes.plot([shown.value], [y], "o", color=ROLES["one"], markerfacecolor=face, markersize=7)
        axes.set_yticks(range(len(told)), [one.setting.name for one in told])
        axes.set(xlim=(0, 1), ylim=(-0.7, len(told) - 0.3), xlabel=f"{_TITLES[outcome.by]} aside, 95 % interval")
        return themed_svg(figure, "Models: best setting of each")


def cost_chart(outcome: Outcome) -> str:
    """Return quality aside against multiply-adds of one photo; the line joins what nothing cheaper beats."""
    macs = {model.name: model.macs for model in outcome.models}
    with mpl.rc_context(STYLE):
        figure, axes = _axes(7.2, 4.6)
        best: list[tuple[int, float]] = []
        for mark, (one, _) in zip(_MARKS * 9, outcome.rivals, strict=False):
            name = one.setting.model
            every = [value(m.aside, outcome.by) for m in outcome.measured if m.setting.model == name]
            axes.plot([macs[name] / 1e6] * len(every), every, ".", color=ROLES["faint"], markersize=3, zorder=1)
            here = value(one.aside, outcome.by)
            face = "none" if "~random" in name else ROLES["one"]
            axes.plot(
                [macs[name] / 1e6], [here], mark, color=ROLES["one"], markerfacecolor=face, linestyle="none", label=name
            )
            best.append((macs[name], here))
        front = [(x, y) for x, y in sorted(best) if all(y > other for at, other in best if at < x)]
        axes.step([x / 1e6 for x, _ in front], [y for _, y in front], where="post", color=ROLES["two"], linewidth=1.3)
        axes.set(
            xscale="log", ylim=(-0.02, 1.02), xlabel="million multiply-adds of a photo", ylabel=_TITLES[outcome.by]
        )
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3, fontsize=8.5, handletextpad=0.2)
        figure.set_figheight(5.2)
        axes.set_position((0.09, 0.1, 0.89, 0.74))
        return themed_svg(figure, "Quality against cost")


def layers_chart(outcome: Outcome) -> str:
    """Return the best kernel of each layer, by depth, of the nets with published weights and the random ones."""
    with mpl.rc_context(STYLE):
        figure, axes = _axes(7.2, 4.2)
        lines = 0
        for model in outcome.models:
            layers = list(dict.fromkeys(setting.layer for setting in model.settings))
            if len(layers) < 2 or model.name == "colour_histogram":
                continue
            tops = [
                max(
                    value(m.aside, outcome.by)
                    for m in outcome.measured
                    if m.setting in model.settings and m.setting.layer == layer
                )
                for layer in layers
            ]
            random = "~random" in model.name
            axes.plot(
                np.linspace(0, 1, len(layers)),
                tops,
                ":" if random else "-",
                color=ROLES[("one", "two", "three", "ink")[lines % 4]],
                marker=_MARKS[lines % 4],
                markersize=4,
                markerfacecolor="none" if random else None,
                label=model.name,
            )
            lines += 1
        axes.set(
            xlabel="depth (first to last layer)", ylabel=f"best {_TITLES[outcome.by]} of the layer", ylim=(0, 1.02)
        )
        if lines:
            axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3, fontsize=8.5)
        figure.set_figheight(5.2)
        axes.set_position((0.09, 0.1, 0.89, 0.74))
        return themed_svg(figure, "Layers by depth")


def races_chart(outcome: Outcome) -> str:
    """Return how far below the grid's choice each race ended, on the queries aside, worst last."""
    gaps = sorted(100 * outcome.gap(one) for one in outcome.races)
    with mpl.rc_context(STYLE):
        figure, axes = _axes(5.6, 3.2)
        for mark, inside in (("o", True), ("x", False)):
            here = [(i, gap) for i, gap in enumerate(gaps, start=1) if (gap <= 1 + 1e-7) == inside]
            label = "within a point" if inside else "further below"
            color = ROLES["one" if inside else "two"]
            axes.plot([i for i, _ in here], [g for _, g in here], mark, color=color, markersize=6, label=label)
        axes.axhline(1, color=ROLES["ink"], linewidth=1, linestyle="--")
        axes.set(xlabel="races, sorted", ylabel="points below the grid's choice")
        axes.legend(loc="upper left")
        return themed_svg(figure, "Races: gap to the grid")


def matrix_chart(one: Measured, labels: Sequence[str], coarse_of: Sequence[int], coarse: Sequence[str]) -> str:
    """Return the distances between classes, ordered by coarse class; light is near."""
    order = np.lexsort((np.arange(len(labels)), np.array(coarse_of) if len(coarse_of) else np.zeros(len(labels))))
    shown: Values = one.matrix[np.ix_(order, order)]
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(6.6, 6.0))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.2, 0.03, 0.68, 0.8))
        drawn: Any = axes.imshow(np.ma.masked_invalid(shown), cmap="viridis_r", interpolation="nearest", aspect="equal")
        ticks, names = _blocks(order.tolist(), labels, coarse_of, coarse, axes)
        axes.set_yticks(ticks, names, fontsize=7.5)
        axes.set_xticks(ticks, names, fontsize=7.5, rotation=90)
        axes.xaxis.tick_top()
        bar = figure.colorbar(drawn, cax=figure.add_axes((0.91, 0.2, 0.025, 0.45)))
        bar.outline.set_visible(False)
        return themed_svg(figure, f"Distances between classes, {one.setting.name}")


def _blocks(
    order: Sequence[int], labels: Sequence[str], coarse_of: Sequence[int], coarse: Sequence[str], axes: Any
) -> tuple[list[float], list[str]]:
    """Draw frames around coarse classes of several fine ones; return where names stand, and the names."""
    if not coarse_of:
        few = len(labels) <= 40
        return (list(map(float, range(len(order)))), [labels[i] for i in order]) if few else ([], [])
    ticks, names, start = [], [], 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and coarse_of[order[end + 1]] == coarse_of[order[start]]:
            end += 1
        if end > start or len(order) <= 40:
            ticks.append((start + end) / 2)
            names.append(coarse[coarse_of[order[start]]].rpartition("/")[2])
        if end > start:
            x, y, side = [start - 0.5, end + 0.5], [start - 0.5, end + 0.5], [0, 1, 1, 0, 0]
            axes.plot([x[i] for i in side], [y[i] for i in (0, 0, 1, 1, 0)], color="#ffffff", linewidth=0.9)
        start = end + 1
    return ticks, names


def _axes(width: float, height: float, left: float = 0.11) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure, figure.add_axes((left, 0.5 / height, 0.98 - left, 1 - 0.65 / height))
