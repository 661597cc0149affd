"""Brushes: a small canvas in centimetres with procedural textures, for things seen from above.

The origin is the middle of the canvas, x to the right, y down. A canvas is larger than the final picture
(supersampled); `sprites.bake` turns and shrinks it, so brushes need no anti-aliasing of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Points = NDArray[np.float32]

_SHIFT = 4
_SUB = 1 << _SHIFT


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 12.0) -> Colour:
    """Return `colour` (0..255) moved a little: brightness by `amount`, each channel by a third of it."""
    common = rng.normal(0.0, amount)
    r, g, b = (float(np.clip(c + common + rng.normal(0.0, amount / 3), 0, 255)) for c in colour)
    return r, g, b


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return the colour between `a` (share 0) and `b` (share 1)."""
    r, g, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return r, g, blue


def ellipse(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, count: int = 44) -> Points:
    """Return the outline of an ellipse; `angle` in radians."""
    t = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return _turned(np.stack([rx * np.cos(t), ry * np.sin(t)], axis=1), cx, cy, angle)


def blob(
    rng: np.random.Generator, cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, rough: float = 0.12
) -> Points:
    """Return an irregular ellipse: its radius waves by about `rough`."""
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    wave = np.ones_like(t)
    for k in range(2, 7):
        wave += rng.normal(0, rough / k**0.7) * np.cos(k * t + rng.uniform(0, 2 * math.pi))
    return _turned(np.stack([rx * wave * np.cos(t), ry * wave * np.sin(t)], axis=1), cx, cy, angle)


def box(cx: float, cy: float, width: float, height: float, angle: float = 0.0, corner: float = 0.0) -> Points:
    """Return a rectangle with rounded corners of radius `corner`."""
    hw, hh = width / 2, height / 2
    corner = min(corner, hw, hh)
    t = np.linspace(0, math.pi / 2, 6)
    arcs = []
    for k, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        a = t + k * math.pi / 2
        arcs.append(
            np.stack([sx * (hw - corner) + corner * np.cos(a), sy * (hh - corner) + corner * np.sin(a)], axis=1)
        )
    return _turned(np.concatenate(arcs), cx, cy, angle)


def _turned(points: NDArray[np.floating], cx: float, cy: float, angle: float) -> Points:
    c, s = math.cos(angle), math.sin(angle)
    turned: Points = (points @ np.array([[c, s], [-s, c]]) + (cx, cy)).astype(np.float32)
    return turned


def _window(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns that hold the mask, widened by a margin: brushes work on no more than that."""
    x, y, w, h = cv2.boundingRect(mask)
    return slice(max(y - margin, 0), y + h + margin), slice(max(x - margin, 0), x + w + margin)


class Canvas:
    """A painting of one thing.

    Attributes:
        rgb: (h, w, 3) uint8.
        alpha: (h, w) uint8, 255 where the thing is.
        px_cm: pixels per centimetre.
        origin: (x, y) pixels of the point that painters call (0, 0).
        rng: the thing's own random numbers: equal seeds paint equal things.
        lamp: unit vector towards the lamp; `light_from` turns it for things that will be turned.
    """

    def __init__(
        self, width_cm: float, height_cm: float, px_cm: float, rng: np.random.Generator, top_cm: float | None = None
    ) -> None:
        """Make an empty canvas; `top_cm` is how much of it lies above the origin (half by default)."""
        h, w = max(int(height_cm * px_cm), 8), max(int(width_cm * px_cm), 8)
        self.rgb: Image = np.zeros((h, w, 3), np.uint8)
        self.alpha: Mask = np.zeros((h, w), np.uint8)
        self.px_cm, self.rng = px_cm, rng
        self.lamp = (-math.sqrt(0.5), -math.sqrt(0.5))
        self.origin = (w / 2, h / 2 if top_cm is None else top_cm * px_cm)

    def light_from(self, angle: float) -> None:
        """Set the lamp so that it shines from the upper left after the painting is turned by `angle` radians."""
        direction = -0.75 * math.pi - angle
        self.lamp = (math.cos(direction), math.sin(direction))

    def highlight(self, radius: float, width: float, height: float, opacity: float) -> None:
        """Put a soft white spot on the side of the lamp, `radius` cm from the middle."""
        x, y = self.lamp[0] * radius, self.lamp[1] * radius
        turn = math.atan2(y, x) + math.pi / 2
        self.tint(self.mask(ellipse(x, y, width, height, turn)), (255.0, 255.0, 250.0), opacity, 0.22)

    def _pixels(self, points: Points) -> NDArray[np.int32]:
        moved = points * self.px_cm + np.array(self.origin, np.float32)
        pixels: NDArray[np.int32] = np.rint(moved * _SUB).astype(np.int32)
        return pixels

    def mask(self, *outlines: Points) -> Mask:
        """Return a mask (h, w) of 255 inside the outlines."""
        mask = np.zeros_like(self.alpha)
        for outline in outlines:
            cv2.fillPoly(mask, [self._pixels(outline)], 255, shift=_SHIFT)
        return mask

    def fill(self, outline: Points, colour: Colour) -> None:
        """Fill an outline with one colour."""
        pixels = [self._pixels(outline)]
        cv2.fillPoly(self.rgb, pixels, colour, shift=_SHIFT)
        cv2.fillPoly(self.alpha, pixels, 255, shift=_SHIFT)

    def disc(self, cx: float, cy: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        centre = (round((cx * self.px_cm + self.origin[0]) * _SUB), round((cy * self.px_cm + self.origin[1]) * _SUB))
        size = max(round(radius * self.px_cm * _SUB), 1)
        cv2.circle(self.rgb, centre, size, colour, -1, shift=_SHIFT)
        cv2.circle(self.alpha, centre, size, 255, -1, shift=_SHIFT)

    def line(self, points: Points, width: float, colour: Colour, closed: bool = False) -> None:
        """Draw a line of `width` cm through points."""
        thickness = max(round(width * self.px_cm), 1)
        pixels = [self._pixels(points)]
        cv2.polylines(self.rgb, pixels, closed, colour, thickness, shift=_SHIFT)
        cv2.polylines(self.alpha, pixels, closed, 255, thickness, shift=_SHIFT)

    def noise(self, scale_cm: float, shape: tuple[int, ...] | None = None) -> NDArray[np.float32]:
        """Return a smooth random field (h, w), about -1..1, with features of `scale_cm`."""
        h, w = shape or self.alpha.shape
        step = max(scale_cm * self.px_cm, 1.0)
        small = self.rng.normal(0, 0.6, (max(int(h / step) + 2, 3), max(int(w / step) + 2, 3))).astype(np.float32)
        field: NDArray[np.float32] = np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC), np.float32)
        return field

    def texture(self, mask: Mask, dark: Colour, light: Colour, scale_cm: float, contrast: float = 1.0) -> None:
        """Fill a mask with a blotchy mix of two colours: coarse patches with finer grain on them."""
        cut = _window(mask, 0)
        part = mask[cut]
        if not part.size:
            return
        field = self.noise(scale_cm, part.shape) + 0.5 * self.noise(scale_cm / 3, part.shape)
        share = np.clip(0.5 + (0.5 * contrast) * field, 0, 1)[..., None]
        low, high = np.array(dark, np.float32), np.array(light, np.float32)
        painted = (low + (high - low) * share).astype(np.uint8)
        cv2.copyTo(painted, part, self.rgb[cut])
        np.maximum(self.alpha[cut], part, out=self.alpha[cut])

    def bulge(self, mask: Mask, depth_cm: float, strength: float = 0.35, gloss: float = 0.0) -> None:
        """Light a mask as a raised thing with the lamp at the upper left.

        Args:
            mask: what is raised.
            depth_cm: how far from the edge the surface still slopes.
            strength: contrast of light and shade; negative makes a hollow.
            gloss: extra highlight where the slope faces the lamp, 0..1.
        """
        sigma = max(depth_cm * self.px_cm * 0.5, 0.8)
        d = max(round(sigma), 1)
        cut = _window(mask, 2 * d)
        part = mask[cut]
        if not part.size:
            return
        height = cv2.GaussianBlur(part, (0, 0), sigma).astype(np.float32)
        dx, dy = round(d * math.sqrt(2) * self.lamp[0]), round(d * math.sqrt(2) * self.lamp[1])
        padded = cv2.copyMakeBorder(height, 2 * d, 2 * d, 2 * d, 2 * d, cv2.BORDER_REPLICATE)
        h, w = height.shape
        far = padded[2 * d - dy : 2 * d - dy + h, 2 * d - dx : 2 * d - dx + w]
        near = padded[2 * d + dy : 2 * d + dy + h, 2 * d + dx : 2 * d + dx + w]
        slope = (far - near) / np.float32(255.0)
        lit = self.rgb[cut] * (1.0 + strength * slope)[..., None]
        if gloss:
            lit += (255.0 * gloss) * np.clip(slope - 0.25, 0, 1)[..., None]
        cv2.copyTo(np.clip(lit, 0, 255).astype(np.uint8), part, self.rgb[cut])

    def tint(self, mask: Mask, colour: Colour, opacity: float, soft_cm: float = 0.0) -> None:
        """Lay a colour over what is painted, with `opacity` 0..1 and edges blurred by `soft_cm`."""
        sigma = max(soft_cm * self.px_cm, 0.5)
        cut = _window(mask, round(3 * sigma) if soft_cm else 0)
        if not mask[cut].size:
            return
        weight = np.asarray(cv2.GaussianBlur(mask[cut], (0, 0), sigma), np.uint8) if soft_cm else mask[cut]
        share = (weight.astype(np.float32) * (opacity / 255.0))[..., None]
        colours = np.array(colour, np.float32)
        part = self.rgb[cut]
        self.rgb[cut] = (part + (colours - part) * share).astype(np.uint8)

    def speckle(self, mask: Mask, amount: float) -> None:
        """Add fine grain of `amount` grey levels inside a mask."""
        cut = _window(mask, 0)
        part = mask[cut]
        if not part.size:
            return
        grain = self.rng.standard_normal(part.shape, np.float32) * np.float32(amount)
        grained = np.clip(self.rgb[cut] + grain[..., None], 0, 255).astype(np.uint8)
        cv2.copyTo(grained, part, self.rgb[cut])

    def pieces(
        self,
        places: NDArray[np.floating],
        size: tuple[float, float],
        palette: Sequence[Colour],
        rough: float = 0.12,
        edge: float = 0.6,
        shine: float = 0.25,
    ) -> None:
        """Lay many small lumps (peas, cubes, leaves): each has a dark edge, a body and a lighter top.

        Args:
            places: (N, 2) centres in cm.
            size: half axes in cm; each lump varies by a fifth.
            palette: colours to draw from.
            rough: how irregular the outlines are; 0 gives ellipses.
            edge: brightness of the edge relative to the body.
            shine: how far the top is mixed towards white.
        """
        rng = self.rng
        for x, y in places:
            a, b = (s * rng.uniform(0.8, 1.2) for s in size)
            angle = rng.uniform(0, math.pi)
            body = jitter(rng, palette[int(rng.integers(len(palette)))], 9)
            outline = blob(rng, 0, 0, a, b, angle, rough) if rough else ellipse(0, 0, a, b, angle, 20)
            at = np.array([x, y], np.float32)
            dark = mix(body, (20.0, 10.0, 5.0), 1 - edge)
            self.fill(outline * 1.12 + at + np.float32(0.06), dark)
            self.fill(outline + at, body)
            if shine:
                top = at - np.float32(0.18) * np.float32(min(a, b))
                self.fill(outline * 0.55 + top, mix(body, (255.0, 255.0, 245.0), shine))

    def scatter(self, count: int, cx: float, cy: float, rx: float, ry: float) -> NDArray[np.float64]:
        """Return `count` random places (N, 2) spread evenly over an ellipse."""
        r, t = np.sqrt(self.rng.uniform(0, 1, count)), self.rng.uniform(0, 2 * math.pi, count)
        return np.stack([cx + rx * r * np.cos(t), cy + ry * r * np.sin(t)], axis=1)

    def strands(
        self, count: int, cx: float, cy: float, radius: float, width: float, palette: Sequence[Colour], curl: float
    ) -> None:
        """Lay long soft strands (noodles, cabbage) in curls around a middle; `curl` is their arc in radians."""
        rng = self.rng
        for _ in range(count):
            r = radius * math.sqrt(rng.uniform(0.03, 1))
            start, bend = rng.uniform(0, 2 * math.pi), curl * rng.uniform(0.6, 1.3)
            t = np.linspace(start, start + bend, 14)
            off = rng.normal(0, radius * 0.16, 2)
            wave = r * (1 + 0.12 * np.sin(t * 3 + rng.uniform(0, 6)))
            points = np.stack([cx + off[0] + wave * np.cos(t), cy + off[1] + wave * np.sin(t)], axis=1)
            keep = np.hypot(points[:, 0] - cx, points[:, 1] - cy) < radius * 1.05
            if keep.sum() < 3:
                continue
            colour = jitter(rng, palette[int(rng.integers(len(palette)))], 10)
            line = points[keep].astype(np.float32)
            self.line(line + np.float32(0.07), width * 1.25, mix(colour, (60.0, 35.0, 5.0), 0.5))
            self.line(line, width, colour)
            self.line(line - np.float32(0.05), width * 0.35, mix(colour, (255.0, 255.0, 240.0), 0.4))
