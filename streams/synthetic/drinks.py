"""Cups, glasses and bottles, painted from above. A standing bottle leans outwards in a wide lens; ours lie or lean."""

from __future__ import annotations

import math

import numpy as np

from streams.synthetic.paint import Canvas, Colour, blob, box, ellipse, jitter, mix


def _cup(c: Canvas, china: Colour, radius: float, saucer: float) -> None:
    outline = ellipse(0, 0, saucer, saucer)
    c.fill(outline, china)
    c.bulge(c.mask(outline), 0.8, 0.3)
    c.bulge(c.mask(ellipse(0, 0, saucer * 0.72, saucer * 0.72)), 1.0, -0.3)
    handle = box(radius + 1.0, 0, 2.8, 1.1, 0, 0.5)
    c.fill(handle + np.float32(0.2), mix(china, (60, 60, 60), 0.5))
    c.fill(handle, china)
    c.tint(c.mask(ellipse(0.4, 0.5, radius, radius)), (40, 35, 30), 0.4, 0.4)
    cup = ellipse(0, 0, radius, radius)
    c.fill(cup, mix(china, (255, 255, 255), 0.3))
    c.bulge(c.mask(cup), 0.6, 0.3)


def coffee(c: Canvas) -> None:
    """Black coffee with a thin crema in a white cup on a saucer, with a spoon."""
    rng = c.rng
    _cup(c, jitter(rng, (238, 236, 232), 5), 4.1, 7.2)
    surface = c.mask(ellipse(0, 0, 3.5, 3.5))
    c.texture(surface, (40, 20, 10), (66, 34, 16), 1.2, 0.8)
    c.line(ellipse(0, 0, 3.3, 3.3), 0.3, jitter(rng, (150, 96, 50), 10), closed=True)
    c.bulge(surface, 1.0, -0.3)
    c.highlight(1.8, 0.9, 0.45, 0.5)
    spoon = rng.uniform(2.0, 4.2)
    x, y = 5.6 * math.cos(spoon), 5.6 * math.sin(spoon)
    c.fill(box(x, y, 0.55, 7.4, spoon, 0.25), (176, 178, 182))
    c.fill(box(x - 0.1, y - 0.1, 0.15, 6.8, spoon, 0.05), (232, 234, 238))


def cappuccino(c: Canvas) -> None:
    """Milk foam with a drawn leaf in a coloured cup on a coloured saucer."""
    rng = c.rng
    china: Colour = ((34, 96, 112), (40, 108, 96), (30, 78, 120))[int(rng.integers(3))]
    _cup(c, jitter(rng, china, 8), 5.0, 8.0)
    surface = c.mask(ellipse(0, 0, 4.4, 4.4))
    c.texture(surface, (160, 100, 52), (196, 138, 84), 1.4, 0.8)
    foam = blob(rng, 0, 0.2, 2.7, 2.9, 0, 0.08)
    c.tint(c.mask(foam), (246, 232, 208), 0.95, 0.2)
    for k in range(3):
        t = np.linspace(math.pi * 1.15, math.pi * 1.85, 12)
        r = 2.3 - k * 0.7
        arc = np.stack([r * np.cos(t), 1.4 + r * np.sin(t)], axis=1).astype(np.float32)
        c.line(arc, 0.28, (170, 112, 62))
    c.bulge(surface, 1.0, -0.2)


def tea(c: Canvas) -> None:
    """Amber tea in a glass cup with the tea bag's string and paper tag on a clear saucer."""
    rng = c.rng
    _cup(c, jitter(rng, (196, 208, 208), 5), 4.4, 6.8)
    surface = c.mask(ellipse(0, 0, 3.9, 3.9))
    c.texture(surface, (176, 66, 8), (222, 112, 20), 1.6, 0.8)
    c.bulge(surface, 1.2, -0.4, 0.2)
    bag = box(rng.normal(0, 0.6), rng.normal(0, 0.6), 2.6, 3.0, rng.uniform(0, 3), 0.3)
    c.tint(c.mask(bag), (120, 50, 14), 0.7, 0.15)
    angle = rng.uniform(1.2, 5.0)
    end = np.array([6.0 * math.cos(angle), 6.0 * math.sin(angle)], np.float32)
    c.line(np.array([[0.3, 0.2], end * 0.6, end], np.float32), 0.14, (240, 240, 236))
    tag: Colour = ((216, 190, 30), (40, 130, 60), (200, 40, 50))[int(rng.integers(3))]
    c.fill(box(float(end[0]), float(end[1]), 1.9, 1.9, angle, 0.2), tag)


def _glass(c: Canvas, radius: float, dark: Colour, light: Colour) -> None:
    rim = ellipse(0, 0, radius, radius)
    c.fill(rim, mix(light, (226, 234, 236), 0.75))
    c.bulge(c.mask(rim), 0.5, 0.35)
    c.line(ellipse(0, 0, radius * 0.96, radius * 0.96), 0.22, (250, 252, 252), closed=True)
    surface = c.mask(ellipse(0, 0, radius * 0.84, radius * 0.84))
    c.texture(surface, dark, light, 1.3, 0.8)
    c.bulge(surface, 1.2, -0.45)


def orange_juice(c: Canvas) -> None:
    """Orange juice in a glass with a slice of orange on the rim or a straw."""
    rng = c.rng
    _glass(c, 4.0, (236, 138, 8), (252, 180, 34))
    c.pieces(c.scatter(12, 0, 0, 2.8, 2.8), (0.25, 0.2), [(255, 206, 90)], 0.0, 0.9, 0.4)
    if rng.random() < 0.5:
        straw = box(1.2, -1.2, 0.6, 8.5, 0.8, 0.2)
        c.fill(straw, jitter(rng, (222, 50, 60), 20))
        c.bulge(c.mask(straw), 0.3, 0.5)
    else:
        c.disc(2.7, -2.7, 1.9, (240, 140, 20))
        c.disc(2.7, -2.7, 1.55, (252, 196, 96))
        c.disc(2.7, -2.7, 0.35, (252, 236, 200))


def water_glass(c: Canvas) -> None:
    """Water in a wide blue-tinted glass with ice cubes, often a slice of lemon."""
    rng = c.rng
    _glass(c, 4.1, (112, 160, 192), (168, 206, 226))
    for x, y in c.scatter(int(rng.integers(2, 5)), 0, 0, 2.0, 2.0):
        cube = box(x, y, 1.8, 1.8, rng.uniform(0, 1.5), 0.3)
        c.tint(c.mask(cube), (226, 242, 250), 0.7, 0.1)
        c.bulge(c.mask(cube), 0.4, 0.5, 0.2)
    if rng.random() < 0.6:
        x, y = rng.normal(0, 0.7), rng.normal(0, 0.7)
        c.disc(x, y, 1.55, (226, 206, 48))
        c.disc(x, y, 1.2, (244, 238, 150))
    c.highlight(2.2, 1.1, 0.4, 0.8)


def cola_glass(c: Canvas) -> None:
    """Cola with ice and froth in a tall glass, with a striped straw."""
    rng = c.rng
    _glass(c, 3.7, (36, 14, 8), (70, 28, 14))
    c.pieces(c.scatter(18, 0, 0, 2.6, 2.6), (0.3, 0.26), [(176, 130, 90), (150, 100, 64)], 0.0, 0.85, 0.3)
    for x, y in c.scatter(int(rng.integers(2, 4)), 0, 0, 1.6, 1.6):
        cube = c.mask(box(x, y, 1.6, 1.6, rng.uniform(0, 1.5), 0.3))
        c.tint(cube, (190, 150, 124), 0.6, 0.1)
        c.bulge(cube, 0.4, 0.5)
    angle = rng.uniform(0, 6.3)
    for k in range(9):
        d = 0.5 + k * 0.62
        stripe: Colour = (236, 238, 240) if k % 2 else (196, 24, 34)
        c.fill(box(d * math.cos(angle), d * math.sin(angle), 0.66, 0.7, angle), stripe)


def _bottle(c: Canvas, body: Colour, label: Colour, cap: Colour, glassy: float) -> None:
    """Paint a bottle along x: body 6.6 x 15 cm, shoulder, neck, cap, label with a stripe."""
    rng = c.rng
    upper = [(-11.0, -2.6), (-10.4, -3.2), (2.6, -3.3), (6.2, -1.6), (9.4, -1.3)]
    outline = np.array([*upper, *((x, -y) for x, y in reversed(upper))], np.float32)
    mask = c.mask(outline)
    c.texture(mask, mix(body, (0, 0, 0), 0.15), mix(body, (255, 255, 255), 0.15), 3.0, 0.8)
    c.bulge(mask, 2.6, 0.8, glassy)
    paper = box(-4.2, 0, 8.4, 6.4, 0, 0.1)
    c.fill(paper, label)
    c.fill(box(-4.2, rng.uniform(-0.3, 0.3), 8.4, 1.9), mix(label, (255, 255, 255), 0.75))
    for k in range(4):
        c.fill(box(-7.0 + k * 1.8, 0, 1.1, 0.8), mix(label, (0, 0, 0), 0.3))
    c.bulge(c.mask(paper), 2.2, 0.6)
    c.tint(c.mask(box(-1, -1.7, 18, 0.5, 0, 0.25)), (255, 255, 255), 0.35 + 0.3 * glassy, 0.15)
    top = box(10.3, 0, 2.4, 3.1, 0, 0.4)
    c.fill(top, cap)
    c.bulge(c.mask(top), 0.9, 0.6, 0.2)


def water_bottle(c: Canvas) -> None:
    """A pale blue plastic bottle with a blue label and cap."""
    rng = c.rng
    _bottle(c, jitter(rng, (168, 204, 220), 8), jitter(rng, (30, 90, 184), 14), jitter(rng, (24, 70, 170), 14), 0.5)


def cola_bottle(c: Canvas) -> None:
    """A dark brown bottle with a red label and cap."""
    rng = c.rng
    _bottle(c, jitter(rng, (52, 24, 14), 6), jitter(rng, (200, 20, 30), 10), jitter(rng, (206, 24, 32), 12), 0.35)
