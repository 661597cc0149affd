"""One error as a picture: the part of the photo around it as JPEG, boxes and words above it as SVG.

Boxes are drawn as vectors, so they stay sharp, take the page's colours and can say class names in any script. They
differ in line as well as in colour: truth is dashed, what the model found is thin and full, what is at fault is thick.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.worst import Box, Mark

#: Longest side of a picture in the page, and of one that shows a whole tray.
SIDE_PX, WHOLE_SIDE_PX = 440, 620
#: A crop shows this many times the box's longer side, and no less than this share of the picture.
_AROUND, _LEAST_SHARE = 2.6, 0.3
#: More boxes than this hide the picture; the ones at fault are kept.
_MOST_MARKS = 40
JPEG_QUALITY = 78


def draw(image: NDArray[np.uint8], marks: Sequence[Mark], focus: Box | None, description: str) -> str:
    """Return an SVG element.

    Args:
        image: (H, W, 3) RGB.
        marks: boxes in pixels of the image, the most important last.
        focus: what the picture is about; None shows the whole image.
        description: for people who do not see it.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (0, 0, width, height) if focus is None else _window(focus, width, height)
    # Words are as large in a small crop as in a large one: the unit is the width shown, not the photo's pixel.
    scale = (WHOLE_SIDE_PX if focus is None else SIDE_PX) / max(x2 - x1, y2 - y1)
    shown_w, shown_h = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
    part = image[y1:y2, x1:x2]
    if scale < 1:
        part = np.asarray(cv2.resize(part, (shown_w, shown_h), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    body = [
        _mark(mark, x1, y1, scale, shown_w, shown_h)
        for mark in marks[-_MOST_MARKS:]
        if mark.box[0] < x2 and mark.box[2] > x1 and mark.box[1] < y2 and mark.box[3] > y1
    ]
    size = f'width="{shown_w}" height="{shown_h}"'
    return (
        f'<svg class="shot" {size} viewBox="0 0 {shown_w} {shown_h}" role="img" aria-label="{escape(description)}">'
        f'<image {size} href="data:image/jpeg;base64,{_jpeg(part)}"/>{"".join(body)}</svg>'
    )


def _window(focus: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of the picture to show: around the focus, inside the picture, wider than high."""
    side = max(focus[2] - focus[0], focus[3] - focus[1]) * _AROUND
    wide = min(float(width), max(side, width * _LEAST_SHARE, 60.0))
    high = min(float(height), max(side * 0.75, wide * 0.75, (focus[3] - focus[1]) * 1.3))
    x1 = float(np.clip((focus[0] + focus[2] - wide) / 2, 0, width - wide))
    y1 = float(np.clip((focus[1] + focus[3] - high) / 2, 0, height - high))
    return int(x1), int(y1), min(width, int(np.ceil(x1 + wide))), min(height, int(np.ceil(y1 + high)))


def _mark(mark: Mark, x1: int, y1: int, scale: float, width: int, height: int) -> str:
    left, top = (mark.box[0] - x1) * scale, (mark.box[1] - y1) * scale
    right, bottom = (mark.box[2] - x1) * scale, (mark.box[3] - y1) * scale
    # Truth is named below its box and what was found above it, so that the two do not cover each other.
    below = mark.role in ("true", "missed", "ignored")
    text_x = float(np.clip(left, 2, max(2, width - 7.4 * len(mark.text) - 4)))
    text_y = float(np.clip(bottom + 14 if below else top - 5, 13, height - 4))
    words = f'<text x="{text_x:.1f}" y="{text_y:.1f}">{escape(mark.text)}</text>' if mark.named else ""
    return (
        f'<g class="mark {mark.role}{"" if mark.named else " aside"}"><rect x="{left:.1f}" y="{top:.1f}" '
        f'width="{right - left:.1f}" height="{bottom - top:.1f}"/>{words}</g>'
    )


def _jpeg(image: NDArray[np.uint8]) -> str:
    done, packed = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be written as JPEG")
    return base64.b64encode(packed.tobytes()).decode("ascii")
