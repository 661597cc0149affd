"""Zones: named polygons of the picture with a role.

A polygon is written as "x,y,x,y,…" relative to the frame (0..1), so that it holds at any resolution. An object is in a
zone when the centre of its box is. Hysteresis in seconds lives in `presence.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from core.settings import Settings

Point = tuple[float, float]
Role = Literal["tray", "belt", "exit"]
WHOLE_FRAME = "0,0,1,0,1,1,0,1"


class ZoneSettings(Settings):
    """A polygon of the picture and what it is for."""

    role: Role = Field(default="tray", description="tray: items here are on the bill; belt, exit: before and after it")
    polygon: str = Field(
        description='Corners "x,y,x,y,…" relative to the frame (0..1), three or more, not crossing itself'
    )

    @field_validator("polygon")
    @classmethod
    def _is_simple(cls, text: str) -> str:
        parse_polygon(text)
        return text


def parse_polygon(text: str) -> tuple[Point, ...]:
    """Return the corners of "x,y,x,y,…".

    Raises:
        ValueError: not numbers, an odd count, outside 0..1, fewer than three corners, no area, or crossing itself; says
            which (pydantic turns it into a ConfigError with file and line).

    >>> parse_polygon("0,0, 1,0, 1,1")
    ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as err:
        raise ValueError(f"polygon {text!r} is not a list of numbers; write it as x,y,x,y,x,y") from err
    if len(numbers) % 2:
        raise ValueError(f"polygon has {len(numbers)} numbers; each corner needs an x and a y")
    if not all(0.0 <= number <= 1.0 for number in numbers):
        wrong = next(number for number in numbers if not 0.0 <= number <= 1.0)
        raise ValueError(f"polygon corner value {wrong:g} is outside 0..1; corners are relative to the frame")
    points = tuple(zip(numbers[0::2], numbers[1::2], strict=True))
    if len(points) < 3:
        raise ValueError(f"polygon has {len(points)} points; a zone needs at least 3")
    crossing = _first_crossing(points)
    if crossing is not None:
        raise ValueError(
            f"polygon crosses itself: side {crossing[0] + 1} meets side {crossing[1] + 1}; "
            "give the corners in order around the zone"
        )
    if abs(_signed_area(points)) < 1e-6:
        raise ValueError("polygon has no area; its corners lie on one line")
    return points


def _signed_area(points: tuple[Point, ...]) -> float:
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs) / 2


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _on_side(a: Point, b: Point, c: Point) -> bool:
    """Return whether `c`, known to be in line with a-b, lies between them."""
    return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Return whether the segments a-b and c-d share a point."""
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    touching = ((turns[0], a, b, c), (turns[1], a, b, d), (turns[2], c, d, a), (turns[3], c, d, b))
    return any(turn == 0 and _on_side(p, q, r) for turn, p, q, r in touching)


def _first_crossing(points: tuple[Point, ...]) -> tuple[int, int] | None:
    """Return the first two sides that meet without being neighbours, or that fold back on a neighbour."""
    count = len(points)
    sides = [(points[i], points[(i + 1) % count]) for i in range(count)]
    for i in range(count):
        if sides[i][0] == sides[i][1]:
            return i, (i + 1) % count
        for j in range(i + 1, count):
            if j == i + 1 or (i == 0 and j == count - 1):
                first, second = (sides[i], sides[j]) if j == i + 1 else (sides[j], sides[i])
                folds_back = _turn(first[0], first[1], second[1]) == 0 and (
                    _on_side(first[0], first[1], second[1]) or _on_side(second[0], second[1], first[0])
                )
                if folds_back and count > 3:
                    return i, j
            elif _meet(*sides[i], *sides[j]):
                return i, j
    return None


@dataclass(frozen=True, slots=True)
class Zone:
    """A named polygon in relative coordinates."""

    name: str
    role: Role
    points: tuple[Point, ...]

    def contains(self, point_px: Point, width: int, height: int) -> bool:
        """Tell whether a point lies inside; the left and upper borders belong to the zone (even-odd rule).

        In plain Python: a lane has a handful of objects, and an array of three costs more than its arithmetic.

        Args:
            point_px: x, y in pixels of the captured frame.
            width: of the frame, pixels.
            height: of the frame, pixels.
        """
        x, y = point_px[0] / width, point_px[1] / height
        inside = False
        x1, y1 = self.points[-1]
        for x2, y2 in self.points:
            if (y1 <= y) != (y2 <= y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                inside = not inside
            x1, y1 = x2, y2
        return inside

    def corners_px(self, width: int, height: int) -> NDArray[np.int32]:
        """Return the corners (K, 2) in whole pixels, for drawing."""
        return np.rint(np.asarray(self.points) * (width - 1, height - 1)).astype(np.int32)


def make_zones(settings: Mapping[str, ZoneSettings]) -> tuple[Zone, ...]:
    """Return the zones of a lane in the order of the configuration."""
    return tuple(Zone(name, zone.role, parse_polygon(zone.polygon)) for name, zone in settings.items())


def zones_with_role(zones: Iterable[Zone], role: Role) -> tuple[Zone, ...]:
    """Return the zones that have `role`."""
    return tuple(zone for zone in zones if zone.role == role)
