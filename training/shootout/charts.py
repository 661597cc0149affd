"""The page's charts: fronts of accuracy against cost, pretrained beside scratch, and how the loss fell."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from training.classify.nets import Depth
from training.evaluation.charts import ROLES, STYLE, themed_svg
from training.shootout.outcome import Outcome, Row, front

COLOURS: dict[Depth, str] = {"shallow": ROLES["one"], "deep": ROLES["three"], "scratch": ROLES["two"]}
MARKS = "os^DvPX*<>"
#: Points of one net stand this far apart where their costs are equal: factor of the cost.
_APART = 1.03


def front_chart(outcome: Outcome, cost: Callable[[Row], float], label: str, title: str, more_is_better: bool) -> str:
    """Return accuracy against a cost, on a log axis, with intervals and the front."""
    best = front(outcome.rows, (lambda row: -cost(row)) if more_is_better else cost)
    with mpl.rc_context(STYLE):
        figure, axes = _axes(6.2, 4.6, 0.11, top=0.2)
        marks = _marks(outcome)
        places = _spread(outcome.rows, cost)
        for row in outcome.rows:
            x, y = places[row.name], row.accuracy.value or 0.0
            colour = COLOURS[row.depth]
            if row.accuracy.low is not None and row.accuracy.high is not None:
                axes.plot([x, x], [row.accuracy.low, row.accuracy.high], color=colour, linewidth=1, alpha=0.55)
            full = colour if row.course == "cyclical" else "none"
            axes.plot([x], [y], marks[row.arch], color=colour, markerfacecolor=full, markersize=7, linestyle="none")
        line = [(places[row.name], row.accuracy.value or 0.0) for row in best]
        axes.plot(*zip(*line, strict=True), color=ROLES["soft"], linewidth=1, linestyle=":", zorder=0)
        axes.axhline(outcome.chance, color=ROLES["faint"], linewidth=1, linestyle="--")
        axes.set(xscale="log", xlabel=label, ylabel="accuracy", ylim=(0, 1.0))
        _plain_ticks(axes, list(places.values()))
        _legend(axes, outcome, marks)
        return themed_svg(figure, title)


def starts_chart(outcome: Outcome) -> str:
    """Return bars of each net's depths with intervals, over schedules; "" where there is nothing to compare."""
    archs = list(dict.fromkeys(row.arch for row in sorted(outcome.rows, key=lambda row: row.arch)))
    depths: list[Depth] = [d for d in COLOURS if any(row.depth == d for row in outcome.rows)]
    if len(depths) < 2:
        return ""
    with mpl.rc_context(STYLE | {"axes.grid.axis": "y", "axes.axisbelow": True}):
        figure, axes = _axes(max(6.0, 1.5 + 1.9 * len(archs)), 3.8, 0.08, top=0.35)
        width = 0.8 / len(depths)
        for place, depth in enumerate(depths):
            for at, arch in enumerate(archs):
                mean = outcome.depth_scores.get((arch, depth))
                if mean is None or mean.value is None:
                    continue
                x = at + (place - (len(depths) - 1) / 2) * width
                axes.bar(x, mean.value, 0.92 * width, color=COLOURS[depth], alpha=0.85)
                if mean.low is not None and mean.high is not None:
                    axes.plot([x, x], [mean.low, mean.high], color=ROLES["ink"], linewidth=1.4)
                top = mean.high if mean.high is not None else mean.value
                axes.text(x, top + 0.012, f"{mean.value:.2f}", ha="center", va="bottom", fontsize=9)
        axes.axhline(outcome.chance, color=ROLES["soft"], linewidth=1, linestyle="--")
        axes.set_xticks(range(len(archs)), archs)
        axes.set(ylabel="accuracy", ylim=(0, 1.0))
        handles = [mpl.patches.Patch(color=COLOURS[depth], label=depth) for depth in depths]
        axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        return themed_svg(figure, "Accuracy of pretrained and scratch nets")


def losses_chart(outcome: Outcome) -> str:
    """Return the training loss by epoch: a panel for each net, a line for each depth."""
    archs = list(dict.fromkeys(row.arch for row in sorted(outcome.rows, key=lambda row: row.arch)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.9 * ((len(archs) + 2) // 3)), layout="constrained")
        FigureCanvasSVG(figure)
        grid = figure.subplots((len(archs) + 2) // 3, min(3, len(archs)), sharey=True, squeeze=False).flatten()
        for axes in grid[len(archs) :]:
            axes.set_visible(False)
        for axes, arch in zip(grid, archs, strict=False):
            for depth, colour in COLOURS.items():
                mine = [row.losses for row in outcome.rows if (row.arch, row.depth) == (arch, depth)]
                if mine:
                    mean = [statistics.mean(at) for at in zip(*mine, strict=True)]
                    axes.plot(range(1, len(mean) + 1), mean, color=colour, label=depth)
            axes.set(title=arch, xlabel="epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        # The panels share one axis; its top is known only now.
        grid[0].set_ylim(bottom=0)
        grid[0].set(ylabel="training loss")
        grid[0].legend(loc="lower left")
        return themed_svg(figure, "Training loss by epoch")


def _spread(rows: Sequence[Row], cost: Callable[[Row], float]) -> dict[str, float]:
    """Return where each row stands: at its cost, and beside others of the same."""
    places: dict[str, float] = {}
    groups: dict[float, list[Row]] = {}
    for row in rows:
        groups.setdefault(cost(row), []).append(row)
    for at, group in groups.items():
        group.sort(key=lambda row: (list(COLOURS).index(row.depth), row.course))
        for i, row in enumerate(group):
            places[row.name] = at * _APART ** (i - (len(group) - 1) / 2)
    return places


def _marks(outcome: Outcome) -> dict[str, str]:
    archs = sorted({row.arch for row in outcome.rows})
    return {arch: MARKS[i % len(MARKS)] for i, arch in enumerate(archs)}


def _plain_ticks(axes: Any, values: Sequence[float]) -> None:
    """Write a log axis in plain numbers, such as 1, 2 and 5."""
    low, high = min(values) / 1.3, max(values) * 1.3
    steps = [base * 10.0**power for power in range(-3, 7) for base in (1, 2, 5)]
    ticks = [step for step in steps if low <= step <= high] or [float(np.sqrt(low * high))]
    axes.set(xlim=(low, high))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _legend(axes: Any, outcome: Outcome, marks: dict[str, str]) -> None:
    line = mpl.lines.Line2D
    handles = [
        line([], [], marker=mark, color=ROLES["ink"], linestyle="none", label=arch) for arch, mark in marks.items()
    ]
    shown = [depth for depth in COLOURS if any(row.depth == depth for row in outcome.rows)]
    handles += [line([], [], marker="s", color=COLOURS[depth], linestyle="none", label=depth) for depth in shown]
    if len({row.course for row in outcome.rows}) > 1:
        for name, full in (("constant", "none"), ("cyclical", ROLES["ink"])):
            handles.append(
                line([], [], marker="o", color=ROLES["ink"], markerfacecolor=full, linestyle="none", label=name)
            )
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4, fontsize=9, columnspacing=1.2
    )


def _axes(width: float, height: float, left: float, top: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    bottom = 0.5 if top > 0.3 else 1.35
    return figure, figure.add_axes((left, bottom / height, 0.98 - left, 1 - (bottom + top) / height))
