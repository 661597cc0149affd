"""Where in a picture a class is seen: the patches' votes, laid over one another.

The heat at a pixel is the mean of P(j, c)^e over the patches j that hold it: the image score, spread over the picture.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.pictures import JPEG_QUALITY
from training.patches.sampling import Boxes
from training.patches.scores import Values

#: Longest side of a picture in the page.
SHOWN_PX = 420
_CELLS = 128
_COLD, _HOT = np.array([18.0, 30.0, 48.0]), np.array([255.0, 176.0, 32.0])


def heat_map(patches: Boxes, votes: Values, width: int, height: int, cells: int = _CELLS) -> Values:
    """Return (h, w) the mean vote at each cell of the picture, of which the longer side has `cells`; 0 outside.

    Args:
        patches: (N, 4) xyxy, pixels of the picture.
        votes: (N,) one of each patch.
        width: of the picture.
        height: of it.
        cells: resolution.
    """
    scale = cells / max(width, height)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    total, count = np.zeros(shape), np.zeros(shape)
    for (x1, y1, x2, y2), vote in zip(np.rint(patches * scale).astype(int).tolist(), votes.tolist(), strict=True):
        total[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)] += vote
        count[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)] += 1
    return np.divide(total, count, out=np.zeros(shape), where=count > 0)


def warmed(pixels: NDArray[np.uint8], heat: Values) -> NDArray[np.uint8]:
    """Return the picture, dark where it is cold and glowing where it is hottest."""
    height, width = pixels.shape[:2]
    share = cv2.resize(heat / max(float(heat.max()), 1e-12), (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.clip(share, 0, 1)[:, :, None]
    cold = 0.45 * pixels + 0.55 * _COLD
    hot = 0.55 * pixels + 0.45 * _HOT
    return np.rint(cold * (1 - share) + hot * share).astype(np.uint8)


def shot(pixels: NDArray[np.uint8], boxes: Sequence[tuple[Sequence[float], str]], description: str) -> str:
    """Return an SVG element of a picture with boxes above it.

    Args:
        pixels: (H, W, 3) RGB.
        boxes: xyxy in pixels, and a CSS class of the page for its line.
        description: for people who do not see it.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, SHOWN_PX / max(width, height))
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    rects = "".join(
        f'<rect class="{escape(name)}" x="{x1 * scale:.1f}" y="{y1 * scale:.1f}" width="{(x2 - x1) * scale:.1f}" '
        f'height="{(y2 - y1) * scale:.1f}"/>'
        for (x1, y1, x2, y2), name in boxes
    )
    return (
        f'<svg class="shot" viewBox="0 0 {w} {h}" role="img" aria-label="{escape(description)}"><image width="{w}" '
        f'height="{h}" href="data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"/>{rects}</svg>'
    )
