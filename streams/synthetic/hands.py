"""Hands and arms: a sprite whose fingers point up (-y) and whose arm runs down out of the picture."""

from __future__ import annotations

import math

import numpy as np

from streams.synthetic.paint import Canvas, Colour, Points, ellipse, jitter, mix

ARM_LENGTH_CM = 88.0
ARM_WIDTH_CM = 22.0
#: Room above the anchor for the finger tips.
ABOVE_CM = 9.0

_SKINS: tuple[Colour, ...] = (
    (232, 188, 160),
    (214, 162, 126),
    (176, 120, 84),
    (122, 78, 52),
    (86, 54, 38),
    (240, 200, 178),
)
_SLEEVES: tuple[Colour, ...] = (
    (40, 52, 84),
    (228, 228, 226),
    (44, 44, 48),
    (120, 40, 44),
    (74, 104, 78),
    (150, 152, 158),
    (196, 150, 70),
    (88, 128, 176),
)


def _tube(points: list[tuple[float, float, float]]) -> Points:
    """Return the outline of a limb through (x, y, half width) stations from top to bottom."""
    left = [(x - r, y) for x, y, r in points]
    right = [(x + r, y) for x, y, r in reversed(points)]
    return np.array(left + right, np.float32)


def _finger(c: Canvas, base: tuple[float, float], length: float, angle: float, width: float, skin: Colour) -> None:
    dx, dy = math.sin(angle), -math.cos(angle)
    middle = (base[0] + dx * length / 2, base[1] + dy * length / 2)
    tip = (base[0] + dx * length, base[1] + dy * length)
    for x, y, r in ((*base, width * 0.52), (*middle, width * 0.5), (*tip, width * 0.45)):
        c.disc(x, y, r, skin)
    c.line(np.array([base, middle, tip], np.float32), width * 0.96, skin)
    mark = mix(skin, (90, 40, 30), 0.25)
    for share in (0.45, 0.75):
        x, y = base[0] + dx * length * share, base[1] + dy * length * share
        c.line(np.array([(x - dy * 0.5, y + dx * 0.5), (x + dy * 0.5, y - dx * 0.5)], np.float32), 0.12, mark)
    nail = ellipse(tip[0] + dx * 0.2, tip[1] + dy * 0.2, 0.42, 0.55, angle)
    c.fill(nail, mix(skin, (255, 226, 220), 0.45))


def hand(c: Canvas, pose: str) -> None:
    """Paint one hand with its arm.

    Args:
        c: a canvas of ARM_WIDTH_CM x (ABOVE_CM + ARM_LENGTH_CM) with ABOVE_CM over its origin, where the fingers touch.
        pose: "grip" (bent fingers over an edge) or "flat" (spread, for covering).
    """
    rng = c.rng
    skin = jitter(rng, _SKINS[int(rng.integers(len(_SKINS)))], 7)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    flat = pose == "flat"
    bare = rng.uniform(1.0, 12.0)
    wrist = 8.6 if flat else 9.6
    arm = _tube([(0, wrist - 3, 2.9), (0, wrist + 4, 2.9), (0, wrist + 16, 3.9), (0, ARM_LENGTH_CM, 4.6)])
    c.texture(c.mask(arm), mix(skin, (90, 40, 30), 0.12), mix(skin, (255, 240, 230), 0.1), 4, 0.7)
    spread = 0.2 if flat else 0.08
    lengths = (5.6, 6.8, 6.4, 4.8) if flat else (4.0, 4.8, 4.6, 3.6)
    knuckle = 2.4 if flat else 0.6
    palm_y = knuckle + 3.6
    thumb_base = (-3.4 * mirror, palm_y + 1.0)
    _finger(c, thumb_base, 5.2, (-0.75 if flat else -0.35) * mirror, 2.1, skin)
    for i, length in enumerate(lengths):
        x = (-2.9 + i * 1.95) * mirror
        tilt = (-1.5 + i) * spread * mirror + rng.normal(0, 0.03)
        _finger(c, (x, knuckle + abs(i - 1.3) * 0.35), length, tilt, 1.85, skin)
    palm = ellipse(0, palm_y, 4.0, 4.4)
    c.texture(c.mask(palm), mix(skin, (120, 60, 50), 0.1), mix(skin, (255, 240, 230), 0.08), 2, 0.7)
    for i in range(4):
        x = (-2.9 + i * 1.95) * mirror
        c.tint(c.mask(ellipse(x, knuckle + 0.6, 0.75, 0.5)), mix(skin, (120, 50, 40), 0.5), 0.35, 0.2)
    c.bulge(c.alpha.copy(), 1.3, 0.55)
    _sleeve(c, wrist + bare)


def _sleeve(c: Canvas, start: float) -> None:
    rng = c.rng
    cloth = jitter(rng, _SLEEVES[int(rng.integers(len(_SLEEVES)))], 10)
    sleeve = _tube([(0, start, 4.3), (0, start + 2, 4.5), (0, start + 20, 5.6), (0, ARM_LENGTH_CM, 6.6)])
    mask = c.mask(sleeve)
    c.texture(mask, mix(cloth, (0, 0, 0), 0.18), mix(cloth, (255, 255, 255), 0.08), 3.5, 1.0)
    if rng.random() < 0.3:
        stripe = mix(cloth, (255, 255, 255) if sum(cloth) < 330 else (20, 30, 60), 0.35)
        for y in np.arange(start + 3, ARM_LENGTH_CM, 3.0):
            bar = ellipse(0, float(y), 7, 0.45)
            c.tint(np.minimum(mask, c.mask(bar)), stripe, 0.7)
    cuff = ellipse(0, start + 0.8, 4.4, 0.9)
    c.tint(np.minimum(mask, c.mask(cuff)), mix(cloth, (0, 0, 0), 0.4), 0.5, 0.15)
    c.bulge(mask, 3.2, 0.75)
