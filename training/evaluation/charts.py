"""The report's curves, drawn by matplotlib as SVG that takes its colours from the page: it reads in the dark, too.

Matplotlib knows no CSS; each role is drawn in a colour of its own that nobody would choose, and the finished SVG has it
replaced by the page's variable. Text stays text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from training.evaluation.calibration import Reliability
from training.evaluation.thresholds import Curve

#: Role -> the stand-in that matplotlib draws.
ROLES = {
    "ink": "#010203",
    "soft": "#010204",
    "rule": "#010205",
    "one": "#010206",
    "two": "#010207",
    "three": "#010208",
    "faint": "#010209",
}
#: More points than a screen has pixels only make the page heavy.
_MOST_POINTS = 400
#: What other pages draw their charts in, too, inside `mpl.rc_context`; `themed_svg` then makes the SVG.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "traylane",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": ROLES["soft"],
    "axes.labelcolor": ROLES["soft"],
    "xtick.color": ROLES["soft"],
    "ytick.color": ROLES["soft"],
    "text.color": ROLES["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": ROLES["rule"],
    "axes.grid": True,
    "legend.frameon": False,
}


def precision_recall_chart(curve: Curve, agnostic: Curve, by_class: Sequence[Curve], threshold: float) -> str:
    """Return precision against recall: all classes pooled, without regard to the class, and each class faintly."""
    with mpl.rc_context(STYLE):
        figure, axes = _axes("recall", "precision")
        for one in by_class:
            axes.plot(*_thinned(one.recall, one.precision), color=ROLES["faint"], linewidth=0.8)
        axes.plot(*_thinned(agnostic.recall, agnostic.precision), color=ROLES["two"], linestyle="--", label="any class")
        axes.plot(*_thinned(curve.recall, curve.precision), color=ROLES["one"], linewidth=2, label="class right")
        point = curve.at(threshold)
        if point.precision is not None and point.recall is not None:
            axes.plot([point.recall], [point.precision], "o", color=ROLES["ink"], label=f"at {threshold:.2f}")
        if len(by_class) > 1:
            axes.plot([], [], color=ROLES["faint"], linewidth=0.8, label="single classes")
        axes.legend(loc="best")
        return themed_svg(figure, "Precision against recall")


def threshold_chart(curve: Curve, threshold: float, frozen: bool) -> str:
    """Return F1, precision and recall against the threshold, with the one in use marked."""
    with mpl.rc_context(STYLE):
        figure, axes = _axes("threshold (score)", "")
        for name, values, color, style in (
            ("F1", curve.f1, "one", "-"),
            ("precision", curve.precision, "two", "--"),
            ("recall", curve.recall, "three", ":"),
        ):
            axes.plot(
                *_thinned(curve.thresholds, values),
                color=ROLES[color],
                linestyle=style,
                linewidth=2 if name == "F1" else 1.3,
                label=name,
            )
        axes.axvline(threshold, color=ROLES["ink"], linewidth=1)
        best = curve.best
        words = f"frozen {threshold:.2f}" if frozen else f"best {threshold:.2f}"
        left = threshold > 0.6
        axes.text(threshold + (-0.015 if left else 0.015), 1.02, words, ha="right" if left else "left")
        if best is not None and best.f1 is not None:
            axes.plot([best.threshold], [best.f1], "o", color=ROLES["one"], label=f"best F1 {best.f1:.3f}")
        axes.legend(loc="best")
        return themed_svg(figure, "F1, precision and recall by threshold")


def reliability_chart(score: Reliability | None, classes: Reliability | None) -> str:
    """Return how often predictions of a confidence are right; on the diagonal they are worth what they say.

    "" where nothing was predicted.
    """
    if score is None and classes is None:
        return ""
    with mpl.rc_context(STYLE):
        figure, axes = _axes("confidence", "share that is right")
        axes.plot([0, 1], [0, 1], color=ROLES["soft"], linewidth=0.8, linestyle="--")
        for told, name, color, mark in ((score, "score", "one", "o"), (classes, "class probability", "two", "s")):
            if told is not None:
                label = f"{name}: ECE {told.ece:.3f}"
                axes.plot(told.confidence, told.right, marker=mark, color=ROLES[color], markersize=4, label=label)
        axes.legend(loc="best")
        return themed_svg(figure, "Reliability: confidence against the share that is right")


def _axes(x: str, y: str) -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=(5.2, 3.7))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.115, 0.135, 0.865, 0.855))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.08), xlabel=x, ylabel=y)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_xticks(np.linspace(0, 1, 6))
    return figure, axes


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the curve with so many points at most; its ends stay."""
    if len(x) <= _MOST_POINTS:
        return x, y
    at = np.unique(np.linspace(0, len(x) - 1, _MOST_POINTS).astype(int))
    return x[at], y[at]


def themed_svg(figure: Figure, title: str) -> str:
    """Return the figure as an inline SVG element in the page's colours."""
    sink = io.StringIO()
    figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = sink.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{title}">', drawn, count=1)
    # Two charts of a page would share ids; each gets its own.
    mark = re.sub(r"\W+", "-", title.lower())
    drawn = re.sub(r'\bid="', f'id="{mark}-', drawn)
    drawn = re.sub(r"url\(#", f"url(#{mark}-", drawn)
    drawn = re.sub(r'href="#', f'href="#{mark}-', drawn)
    for role, stand_in in ROLES.items():
        drawn = drawn.replace(stand_in, f"var(--{role})")
    return re.sub(r'font-family: [^;"]*', "font-family: var(--sans)", drawn)
