"""The few shapes that the report's charts are drawn with. Colours and type come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight map from values to places on the drawing.

    >>> Scale(0.0, 10.0, 100.0, 200.0)(5.0)
    150.0
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of `value`."""
        span = self.high - self.low
        return self.start + (value - self.low) / span * (self.end - self.start) if span else self.start


def number(value: float) -> str:
    """Return a coordinate with at most two decimals.

    >>> number(3.0), number(2.345678)
    ('3', '2.35')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def figure(width: float, height: float, body: Sequence[str], label: str) -> str:
    """Return a drawing that is as wide as its column; `label` tells it to those who do not see it."""
    return (
        f'<svg viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{escape(label)}">'
        f"{''.join(body)}</svg>"
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """Return a straight line."""
    return f'<line class="{css}" x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"/>'


def rect(x: float, y: float, width: float, height: float, css: str, title: str = "", extra: str = "") -> str:
    """Return a rectangle; `title` shows under the pointer."""
    tip = f"<title>{escape(title)}</title>" if title else ""
    size = f'width="{number(max(width, 0.0))}" height="{number(max(height, 0.0))}"'
    return f'<rect class="{css}" x="{number(x)}" y="{number(y)}" {size}{extra}>{tip}</rect>'


def text(x: float, y: float, content: str, css: str = "", anchor: str = "start", extra: str = "") -> str:
    """Return a line of text with its base line at `y`."""
    return f'<text class="{css}" x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"{extra}>{escape(content)}</text>'


def polyline(points: Points, css: str) -> str:
    """Return a line through `points`."""
    return f'<polyline class="{css}" points="{" ".join(f"{number(x)},{number(y)}" for x, y in points)}"/>'


def steps(points: Points, until: float) -> list[tuple[float, float]]:
    """Return the corners of a staircase: each value holds until the next point, the last one until `until`.

    >>> steps([(0, 1), (2, 3)], 5)
    [(0, 1), (2, 1), (2, 3), (5, 3)]
    """
    corners: list[tuple[float, float]] = []
    for x, y in points:
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    if corners:
        corners.append((until, corners[-1][1]))
    return corners


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return round values between `low` and `high`, about so many of them.

    >>> ticks(0.0, 40.0, 5)
    [0.0, 10.0, 20.0, 30.0, 40.0]
    """
    if high <= low:
        return [low]
    raw = (high - low) / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round((first + i) * step, 10) for i in range(int((high - first * step) / step + 1e-9) + 1)]
