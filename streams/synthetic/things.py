"""Things on a tray that are no dishes: phone, keys, wallet, napkin, cutlery, card; and the tray itself."""

from __future__ import annotations

import math

import numpy as np

from streams.synthetic.paint import Canvas, Colour, blob, box, ellipse, jitter, mix

_STEEL: Colour = (174, 178, 184)
_TRAYS: tuple[Colour, ...] = ((122, 82, 52), (92, 100, 104), (66, 92, 78), (176, 158, 128), (58, 66, 84), (150, 96, 60))


def tray(c: Canvas, width: float, height: float) -> None:
    """Paint an empty plastic tray with a raised rim and a speckled or wood-like base."""
    rng = c.rng
    base = jitter(rng, _TRAYS[int(rng.integers(len(_TRAYS)))], 9)
    outline = box(0, 0, width, height, 0, 4.0)
    mask = c.mask(outline)
    c.fill(outline, mix(base, (255, 255, 255), 0.14))
    c.bulge(mask, 1.4, 0.5)
    inner = box(0, 0, width - 3.2, height - 3.2, 0, 3.0)
    floor = c.mask(inner)
    c.texture(floor, mix(base, (0, 0, 0), 0.06), mix(base, (255, 255, 255), 0.05), 5.0, 0.8)
    if rng.random() < 0.4:
        for y in np.arange(-height / 2, height / 2, 0.9):
            grain = box(0, y + rng.normal(0, 0.2), width, rng.uniform(0.1, 0.3))
            c.tint(np.minimum(floor, c.mask(grain)), mix(base, (30, 15, 5), 0.6), rng.uniform(0.1, 0.35), 0.1)
    c.speckle(floor, rng.uniform(3, 9))
    c.bulge(floor, 1.6, -0.4)


def phone(c: Canvas) -> None:
    """A smartphone: dark screen with a glare or lit icons, rarely its coloured back."""
    rng = c.rng
    shell: Colour = ((24, 24, 28), (200, 202, 206), (34, 60, 110))[int(rng.integers(3))]
    outline = box(0, 0, 7.4, 15.2, 0, 1.1)
    c.fill(outline, shell)
    c.bulge(c.mask(outline), 0.4, 0.6)
    if rng.random() < 0.25:
        c.fill(box(-1.6, -5.4, 2.6, 3.0, 0, 0.6), mix(shell, (0, 0, 0), 0.4))
        for y in (-6.2, -4.7):
            c.disc(-1.6, y, 0.55, (20, 20, 24))
        return
    screen = box(0, 0, 6.8, 14.5, 0, 0.8)
    mask = c.mask(screen)
    c.fill(screen, (16, 18, 24))
    if rng.random() < 0.4:
        c.texture(mask, (40, 70, 140), (120, 150, 200), 5.0, 1.0)
        for row in range(5):
            for column in range(4):
                icon = jitter(rng, (190, 190, 190), 40)
                c.fill(box(-2.4 + column * 1.6, -5 + row * 1.9, 1.0, 1.0, 0, 0.3), icon)
    glare = np.array([(-3.4, -7.2), (0.5, -7.2), (-3.4, 2.5)], np.float32)
    c.tint(np.minimum(mask, c.mask(glare)), (210, 220, 232), 0.28, 0.3)


def keys(c: Canvas) -> None:
    """A ring with two or three keys and a fob."""
    rng = c.rng
    c.line(ellipse(0, -2.4, 1.6, 1.6), 0.3, (150, 152, 158), closed=True)
    for k in range(int(rng.integers(2, 4))):
        a = math.pi / 2 + (k - 1) * rng.uniform(0.5, 0.9)
        metal: Colour = (190, 192, 198) if rng.random() < 0.6 else (204, 170, 96)
        d = np.array([math.cos(a), math.sin(a)])
        head = d * 2.2 + (0, -2.4)
        shaft = d * 5.0 + (0, -2.4)
        c.fill(box(float(shaft[0]), float(shaft[1]), 4.8, 0.85, a), mix(metal, (40, 40, 40), 0.2))
        c.fill(ellipse(float(head[0]), float(head[1]), 1.3, 1.1, a), metal)
        c.disc(float(head[0]) - 0.2, float(head[1]) - 0.2, 0.35, (70, 70, 74))
    fob: Colour = ((30, 30, 34), (170, 30, 36), (40, 80, 160))[int(rng.integers(3))]
    c.fill(box(-2.4, -4.4, 3.2, 1.9, 0.7, 0.7), fob)
    c.bulge(c.alpha.copy(), 0.4, 0.5, 0.2)


def wallet(c: Canvas) -> None:
    """A leather wallet with a seam."""
    rng = c.rng
    colour = jitter(rng, ((92, 56, 34), (40, 36, 36), (128, 80, 48))[int(rng.integers(3))], 8)
    outline = box(0, 0, 11.4, 9.2, 0, 0.9)
    mask = c.mask(outline)
    c.texture(mask, mix(colour, (0, 0, 0), 0.2), mix(colour, (255, 240, 220), 0.1), 0.6, 0.9)
    c.line(box(0, 0, 10.4, 8.2, 0, 0.6), 0.14, mix(colour, (240, 220, 180), 0.4), closed=True)
    c.line(np.array([(-5.4, -1.2), (5.4, -1.2)], np.float32), 0.25, mix(colour, (0, 0, 0), 0.55))
    c.bulge(mask, 1.0, 0.5, 0.1)


def napkin(c: Canvas) -> None:
    """A folded paper napkin."""
    rng = c.rng
    colour = jitter(rng, ((246, 246, 244), (246, 246, 244), (214, 196, 160), (200, 214, 190))[int(rng.integers(4))], 5)
    outline = box(0, 0, rng.uniform(10, 13), rng.uniform(10, 13), 0, 0.2)
    mask = c.mask(outline)
    c.texture(mask, mix(colour, (120, 120, 120), 0.1), colour, 1.0, 0.8)
    fold = c.mask(np.array([(-8, -8), (8, -8), (8, rng.uniform(-3, 3)), (-8, rng.uniform(-1, 2))], np.float32))
    c.tint(np.minimum(mask, fold), mix(colour, (90, 90, 90), 0.3), 0.35)
    c.bulge(mask, 0.4, 0.3)


def card(c: Canvas) -> None:
    """A plastic payment card."""
    rng = c.rng
    colour = jitter(rng, ((40, 90, 170), (30, 30, 34), (190, 160, 70), (60, 140, 110))[int(rng.integers(4))], 10)
    outline = box(0, 0, 8.5, 5.4, 0, 0.4)
    c.texture(c.mask(outline), colour, mix(colour, (255, 255, 255), 0.25), 3, 0.8)
    c.fill(box(-2.4, -0.4, 1.2, 1.0, 0, 0.2), (214, 186, 100))
    c.fill(box(-0.2, 1.4, 6.2, 0.4), mix(colour, (255, 255, 255), 0.6))


def fork(c: Canvas) -> None:
    """A steel fork along y."""
    steel = jitter(c.rng, _STEEL, 8)
    c.fill(box(0, 3.4, 0.95, 10.4, 0, 0.45), steel)
    c.fill(box(0, -3.0, 0.6, 4.4), steel)
    c.fill(ellipse(0, -5.0, 1.15, 1.5), steel)
    for x in (-0.95, -0.32, 0.32, 0.95):
        c.fill(box(x, -7.4, 0.34, 4.2, 0, 0.15), steel)
    c.bulge(c.alpha.copy(), 0.5, 0.9, 0.3)


def knife(c: Canvas) -> None:
    """A steel knife along y."""
    steel = jitter(c.rng, _STEEL, 8)
    c.fill(box(0, 4.4, 1.15, 10.0, 0, 0.5), steel)
    c.fill(np.array([(-0.7, -0.5), (0.75, -0.5), (0.75, -7.4), (0.2, -9.4), (-0.7, -7.0)], np.float32), steel)
    c.bulge(c.alpha.copy(), 0.5, 0.9, 0.3)


def spoon(c: Canvas) -> None:
    """A steel spoon along y."""
    steel = jitter(c.rng, _STEEL, 8)
    c.fill(box(0, 2.6, 0.95, 11.6, 0, 0.45), steel)
    bowl = blob(c.rng, 0, -5.6, 1.9, 2.8, 0, 0.02)
    c.fill(bowl, steel)
    c.bulge(c.alpha.copy(), 0.5, 0.8, 0.3)
    c.bulge(c.mask(bowl * 0.9 + np.array([0, -0.56], np.float32)), 1.2, -0.5, 0.2)
