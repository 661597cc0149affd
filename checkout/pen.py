"""What drawings over a picture share: colours, sizes that follow the picture, boxes, shaded grounds for text."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.records import Box, TrackState

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

ON_BILL: Colour = (72, 214, 151)
PENDING: Colour = (255, 190, 76)
UNKNOWN: Colour = (196, 140, 255)
NO_GOODS: Colour = (150, 156, 164)
ZONE: Colour = (126, 200, 255)
INK: Colour = (246, 248, 250)
NIGHT: Colour = (16, 20, 26)


@dataclass(frozen=True, slots=True)
class Pen:
    """Sizes that follow the picture's height: 1.0 at 360 pixels."""

    scale: float
    font: cv2.FontFace

    @property
    def line(self) -> int:
        """Thickness of a line."""
        return max(2, round(1.8 * self.scale))

    @property
    def text(self) -> int:
        """Height of a text."""
        return max(9, round(11 * self.scale))

    def px(self, at_360: float) -> int:
        """Return how many pixels a length is that is `at_360` in a picture of 360 lines."""
        return max(1, round(at_360 * self.scale))


def pen_for(canvas: Image) -> Pen:
    """Return the pen for a picture (H, W, 3)."""
    height, width = canvas.shape[:2]
    return Pen(max(min(height / 360, width / 480), 0.5), cv2.FontFace("sans"))


def draw_box(canvas: Image, box: Box, state: TrackState, colour: Colour, pen: Pen) -> None:
    """Draw a box: solid when seen now, dashed when covered, dotted when not found."""
    x1, y1, x2, y2 = whole_box(box, canvas)
    if state is TrackState.CONFIRMED:
        cv2.rectangle(canvas, (x1, y1), (x2, y2), NIGHT, pen.line + 1, cv2.LINE_AA)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, pen.line, cv2.LINE_AA)
        return
    dash, space = (pen.px(7), pen.px(5)) if state is TrackState.OCCLUDED else (pen.px(1), pen.px(7))
    for thickness, ink in ((pen.line + 1, NIGHT), (pen.line, colour)):
        for a, b in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
            _dashes(canvas, a, b, dash, space, ink, thickness)


def _dashes(
    canvas: Image, a: tuple[int, int], b: tuple[int, int], dash: int, space: int, ink: Colour, thickness: int
) -> None:
    length = max(abs(b[0] - a[0]), abs(b[1] - a[1]))
    if length == 0:
        return
    step_x, step_y = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    for start in range(0, length, dash + space):
        end = min(start + dash, length)
        p = (round(a[0] + step_x * start), round(a[1] + step_y * start))
        q = (round(a[0] + step_x * end), round(a[1] + step_y * end))
        cv2.line(canvas, p, q, ink, thickness, cv2.LINE_AA)


def text_width(text: str, pen: Pen) -> int:
    """Return the width of a text in pixels."""
    x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), pen.font, pen.text, 550)
    return int(x + width)


def shade(canvas: Image, x1: int, y1: int, x2: int, y2: int, keep: float) -> None:
    """Darken a rectangle to `keep` of its brightness over the night colour."""
    height, width = canvas.shape[:2]
    part = canvas[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
    if part.size:
        night = np.empty_like(part)
        night[:] = NIGHT
        cv2.addWeighted(part, keep, night, 1 - keep, 0, dst=part)


def whole_box(box: Box, canvas: Image) -> tuple[int, int, int, int]:
    """Return a box in whole pixels, cut off at the borders."""
    height, width = canvas.shape[:2]
    x1, x2 = (min(max(round(x), 0), width - 1) for x in (box[0], box[2]))
    y1, y2 = (min(max(round(y), 0), height - 1) for y in (box[1], box[3]))
    return x1, y1, x2, y2
