"""Soups, salads and desserts in bowls, painted from above."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from streams.synthetic.paint import Canvas, Colour, box, ellipse, jitter, mix
from streams.synthetic.plates import garnish

_WHITE: tuple[Colour, ...] = ((240, 238, 232), (230, 224, 210), (222, 228, 232))


def bowl(c: Canvas, radius: float, china: Colour | None = None) -> None:
    """Paint an empty round bowl: a rim ring and a hollow that is darker towards the lamp."""
    rng = c.rng
    base = china or jitter(rng, _WHITE[int(rng.integers(len(_WHITE)))], 5)
    outline = ellipse(0, 0, radius, radius)
    c.fill(outline, base)
    c.bulge(c.mask(outline), 0.8, 0.3)
    inner = ellipse(0, 0, radius * 0.88, radius * 0.88)
    c.fill(inner, mix(base, (90, 90, 90), 0.12))
    c.bulge(c.mask(inner), 2.4, -0.45)


def _soup(c: Canvas, radius: float, dark: Colour, light: Colour) -> tuple[float, float]:
    surface = ellipse(0, 0, radius * 0.8, radius * 0.8)
    mask = c.mask(surface)
    c.texture(mask, dark, light, 2.2, 0.9)
    c.bulge(mask, 1.4, -0.4)
    c.highlight(radius * 0.5, radius * 0.2, radius * 0.1, 0.45)
    return float(c.rng.normal(0, 0.4)), float(c.rng.normal(0, 0.4))


def tomato_soup(c: Canvas) -> None:
    """Red-orange soup with a swirl of cream and basil."""
    rng = c.rng
    bowl(c, 8)
    x, y = _soup(c, 8, (188, 44, 14), (226, 82, 30))
    t = np.linspace(0, rng.uniform(7, 11), 60)
    r = np.linspace(0.4, rng.uniform(2.6, 3.8), 60)
    swirl = np.stack([x + r * np.cos(t), y + r * np.sin(t)], axis=1).astype(np.float32)
    c.line(swirl, rng.uniform(0.35, 0.6), (250, 226, 200))
    for _ in range(int(rng.integers(1, 4))):
        leaf = ellipse(x + rng.normal(0, 1.2), y + rng.normal(0, 1.2), 1.2, 0.65, rng.uniform(0, 3))
        c.fill(leaf, jitter(rng, (50, 122, 42), 10))
        c.bulge(c.mask(leaf), 0.4, 0.5)


def pea_soup(c: Canvas) -> None:
    """Green pea soup with croutons."""
    rng = c.rng
    bowl(c, 8)
    x, y = _soup(c, 8, (92, 124, 34), (138, 166, 62))
    c.pieces(c.scatter(26, 0, 0, 5.4, 5.4), (0.42, 0.4), [(110, 156, 48), (90, 136, 38)], 0.0, 0.75, 0.3)
    for px, py in c.scatter(int(rng.integers(7, 13)), x, y, 3.0, 3.0):
        angle = rng.uniform(0, 1.5)
        crouton = box(px, py, 1.2, 1.2, angle, 0.25)
        c.fill(crouton + np.float32(0.12), (60, 60, 14))
        c.fill(crouton, jitter(rng, (206, 156, 84), 12))
        c.bulge(c.mask(crouton), 0.4, 0.4)


def noodle_soup(c: Canvas) -> None:
    """Clear golden broth with noodles, half an egg and spring onion in a black bowl."""
    rng = c.rng
    bowl(c, 8.6, jitter(rng, (44, 42, 46), 6))
    _soup(c, 8.6, (150, 92, 30), (190, 128, 54))
    c.strands(int(rng.integers(20, 30)), 0.5, 0.5, 5.6, 0.4, [(240, 214, 150), (230, 198, 124)], 1.8)
    x, y = -2.4 + rng.normal(0, 0.4), -1.6 + rng.normal(0, 0.4)
    egg = ellipse(x, y, 2.2, 1.75, rng.uniform(0, 3))
    c.fill(egg, (250, 248, 240))
    c.bulge(c.mask(egg), 0.7, 0.3)
    c.disc(x + 0.1, y, 1.0, jitter(rng, (246, 164, 34), 8))
    for px, py in c.scatter(int(rng.integers(9, 16)), 1.2, 1.0, 4.4, 4.4):
        c.disc(px, py, 0.5, (70, 140, 50))
        c.disc(px, py, 0.24, (176, 206, 120))


def green_salad(c: Canvas) -> None:
    """Leaves, tomato wedges and cucumber in a wooden bowl."""
    rng = c.rng
    bowl(c, 8, jitter(rng, (150, 98, 54), 12))
    leaves: list[Colour] = [(84, 148, 44), (122, 182, 66), (56, 116, 36), (158, 204, 98)]
    c.pieces(c.scatter(60, 0, 0, 5.6, 5.6), (1.9, 1.0), leaves, 0.28, 0.55, 0.25)
    for x, y in c.scatter(int(rng.integers(3, 6)), 0, 0, 4.4, 4.4):
        c.disc(x, y, 1.15, (178, 214, 136))
        c.line(ellipse(x, y, 1.15, 1.15), 0.22, (48, 104, 38), closed=True)
    for x, y in c.scatter(int(rng.integers(3, 6)), 0, 0, 4.6, 4.6):
        wedge = ellipse(x, y, 1.35, 0.85, rng.uniform(0, 3))
        c.fill(wedge + np.float32(0.12), (40, 60, 20))
        c.fill(wedge, jitter(rng, (214, 44, 30), 12))
        c.bulge(c.mask(wedge), 0.7, 0.5, 0.3)


def beet_salad(c: Canvas) -> None:
    """Purple beetroot cubes with crumbled white cheese in a small bowl."""
    rng = c.rng
    bowl(c, 6)
    beets: list[Colour] = [(116, 14, 56), (142, 22, 76), (92, 8, 44)]
    c.fill(ellipse(0, 0, 4.9, 4.9), (84, 8, 42))
    for x, y in c.scatter(46, 0, 0, 4.2, 4.2):
        angle, colour = rng.uniform(0, 1.5), jitter(rng, beets[int(rng.integers(3))], 9)
        c.fill(box(x + 0.1, y + 0.1, 1.35, 1.35, angle, 0.15), mix(colour, (20, 0, 10), 0.5))
        c.fill(box(x, y, 1.25, 1.25, angle, 0.15), colour)
        c.fill(box(x - 0.15, y - 0.15, 0.6, 0.6, angle, 0.1), mix(colour, (255, 170, 210), 0.3))
    c.pieces(c.scatter(int(rng.integers(8, 14)), 0, 0, 3.2, 3.2), (0.55, 0.45), [(248, 244, 236)], 0.25, 0.75, 0.1)
    garnish(c, 0, 0, 2.8, 6)


def fruit_salad(c: Canvas) -> None:
    """Mixed fruit cubes and grapes in a glass bowl."""
    rng = c.rng
    bowl(c, 6, jitter(rng, (186, 204, 210), 6))
    fruits: list[Colour] = [(246, 190, 50), (238, 112, 40), (222, 50, 60), (150, 200, 80), (250, 230, 150)]
    c.fill(ellipse(0, 0, 5.0, 5.0), (222, 160, 84))
    for x, y in c.scatter(34, 0, 0, 4.2, 4.2):
        angle, colour = rng.uniform(0, 1.5), jitter(rng, fruits[int(rng.integers(5))], 10)
        c.fill(box(x + 0.1, y + 0.1, 1.7, 1.5, angle, 0.3), mix(colour, (90, 50, 20), 0.5))
        c.fill(box(x, y, 1.6, 1.4, angle, 0.3), colour)
        c.fill(box(x - 0.2, y - 0.2, 0.8, 0.6, angle, 0.2), mix(colour, (255, 255, 240), 0.4))
    c.pieces(c.scatter(6, 0, 0, 3.8, 3.8), (0.85, 0.85), [(78, 40, 96), (52, 28, 76)], 0.0, 0.6, 0.35)


def chocolate_pudding(c: Canvas) -> None:
    """Dark brown pudding with a rosette of cream in a small glass bowl."""
    rng = c.rng
    bowl(c, 5.4, jitter(rng, (206, 214, 218), 6))
    mask = c.mask(ellipse(0, 0, 4.5, 4.5))
    c.texture(mask, (56, 28, 16), (82, 44, 26), 1.8, 0.8)
    c.bulge(mask, 1.0, -0.3, 0.3)
    x, y, turn = rng.normal(0, 0.3), rng.normal(0, 0.3), rng.uniform(0, 1)
    lobes = [
        ellipse(x + 1.1 * math.cos(a + turn), y + 1.1 * math.sin(a + turn), 0.85, 0.85) for a in np.arange(7) * 0.9
    ]
    for lobe in lobes:
        c.fill(lobe, (250, 246, 236))
        c.bulge(c.mask(lobe), 0.5, 0.3)
    c.disc(x, y, 0.9, (252, 249, 240))
    _topping(c, x, y, [(196, 30, 40), (88, 50, 30), (238, 170, 40)])


def _topping(c: Canvas, x: float, y: float, palette: Sequence[Colour]) -> None:
    """Put one berry or nut on top."""
    c.pieces(np.array([[x, y]]), (0.7, 0.65), [palette[int(c.rng.integers(len(palette)))]], 0.05, 0.6, 0.35)
