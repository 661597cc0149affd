"""Bread, fruit, cakes and packets, painted from above."""

from __future__ import annotations

import math

import numpy as np

from streams.synthetic.paint import Canvas, Colour, blob, box, ellipse, jitter, mix


def bread_roll(c: Canvas) -> None:
    """A golden roll with a cut along its middle, sometimes with seeds."""
    rng = c.rng
    outline = blob(rng, 0, 0, 5.0, 3.7, 0, 0.03)
    mask = c.mask(outline)
    c.texture(mask, (176, 108, 44), (226, 170, 98), 1.8, 0.9)
    c.bulge(mask, 2.6, 0.75, 0.1)
    cut = ellipse(0, 0, 3.7, 0.75, rng.normal(0, 0.12))
    c.tint(c.mask(cut), (244, 216, 160), 0.9, 0.12)
    c.tint(c.mask(cut * 0.75 + np.float32(0.12)), (150, 88, 36), 0.5, 0.1)
    c.speckle(mask, 6)
    if rng.random() < 0.4:
        seeds: Colour = (44, 40, 44) if rng.random() < 0.5 else (244, 228, 184)
        c.pieces(c.scatter(38, 0, 0, 4.0, 2.8), (0.2, 0.13), [seeds], 0.0, 0.8, 0.0)


def pretzel(c: Canvas) -> None:
    """A dark brown pretzel with salt; the tray shows through its loops."""
    rng = c.rng
    t = np.linspace(-0.12, math.pi * 2 + 0.12, 90)
    x = 5.6 * np.cos(t + math.pi / 2)
    y = -3.9 * np.sin(t + math.pi / 2)
    ring = np.stack([x, y], axis=1)[6:-6]
    left = np.array([(-0.8, -3.7), (0.6, -1.2), (2.0, 0.8), (3.2, 2.9)])
    right = left * (-1, 1)
    colour = jitter(rng, (124, 62, 22), 8)
    for path, width in ((ring, 2.1), (left, 1.6), (right, 1.6)):
        points = (path + rng.normal(0, 0.05, path.shape)).astype(np.float32)
        c.line(points, width, colour)
        for px, py in (points[0], points[-1]):
            c.disc(float(px), float(py), width / 2, colour)
    mask = c.alpha.copy()
    c.texture(mask, mix(colour, (60, 24, 6), 0.4), mix(colour, (206, 130, 60), 0.45), 1.3, 0.9)
    c.bulge(mask, 1.3, 0.75, 0.3)
    split = np.stack([x, y], axis=1)[40:52].astype(np.float32)
    c.line(split, 0.7, (236, 204, 150))
    grains = c.scatter(90, 0, 0, 6.2, 4.6)
    grains = grains[[_inside(c, float(px), float(py)) for px, py in grains]]
    c.pieces(grains, (0.22, 0.18), [(250, 248, 242)], 0.1, 0.8, 0.0)


def _inside(c: Canvas, x: float, y: float) -> bool:
    h, w = c.alpha.shape
    col, row = int(x * c.px_cm + w / 2), int(y * c.px_cm + h / 2)
    return 0 <= row < h and 0 <= col < w and bool(c.alpha[row, col] > 0)


def croissant(c: Canvas) -> None:
    """A ridged golden crescent."""
    t = np.linspace(math.pi * 0.05, math.pi * 0.95, 9)
    widths = 2.7 * np.sin(np.linspace(0.28, math.pi - 0.28, 9)) ** 0.8
    for i in (0, 8, 1, 7, 2, 6, 3, 5, 4):
        x, y = 4.9 * math.cos(t[i]), 2.6 - 4.4 * math.sin(t[i])
        segment = ellipse(x, y, 1.5, float(widths[i]), math.pi / 2 - t[i])
        mask = c.mask(segment)
        c.texture(mask, (168, 92, 26), (232, 168, 82), 0.8, 1.0)
        c.bulge(mask, 1.0, 0.85, 0.25)
        c.tint(c.mask(segment * 0.96), (214, 140, 60), 0.12)


def donut(c: Canvas) -> None:
    """A ring with pink icing and coloured sprinkles."""
    rng = c.rng
    dough = blob(rng, 0, 0, 4.7, 4.7, 0, 0.02)
    c.texture(c.mask(dough), (190, 126, 58), (222, 164, 92), 1.0, 0.8)
    icing = c.mask(blob(rng, 0, 0, 4.2, 4.2, 0, 0.05))
    pink = jitter(rng, (240, 126, 168), 10)
    c.texture(icing, mix(pink, (200, 60, 110), 0.15), mix(pink, (255, 255, 255), 0.15), 1.4, 0.7)
    ring = c.mask(dough)
    hole = c.mask(ellipse(0, 0, 1.35, 1.35))
    ring[hole > 0] = 0
    c.bulge(ring, 1.7, 0.65, 0.3)
    colours: list[Colour] = [(250, 240, 90), (90, 200, 240), (250, 250, 250), (120, 210, 90), (240, 60, 60)]
    for x, y in c.scatter(44, 0, 0, 3.8, 3.8):
        if math.hypot(x, y) > 1.9:
            c.fill(box(x, y, 0.75, 0.26, rng.uniform(0, 3)), colours[int(rng.integers(5))])
    c.alpha[hole > 0] = 0


def muffin(c: Canvas) -> None:
    """A chocolate-chip muffin in a pleated paper cup."""
    rng = c.rng
    paper = jitter(rng, (222, 214, 200), 10)
    t = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    r = 4.3 + 0.22 * np.sign(np.sin(t * 24))
    pleats = np.stack([r * np.cos(t), r * np.sin(t)], axis=1).astype(np.float32)
    c.fill(pleats, paper)
    for a in t[::4]:
        edge = np.array([[3.2 * math.cos(a), 3.2 * math.sin(a)], [4.4 * math.cos(a), 4.4 * math.sin(a)]], np.float32)
        c.line(edge, 0.14, mix(paper, (110, 90, 60), 0.5))
    top = c.mask(blob(rng, 0, 0, 3.7, 3.7, 0, 0.04))
    c.texture(top, (98, 54, 28), (140, 86, 48), 0.9, 1.0)
    c.bulge(top, 2.0, 0.7, 0.05)
    c.pieces(c.scatter(int(rng.integers(9, 16)), 0, 0, 3.0, 3.0), (0.45, 0.36), [(40, 20, 12)], 0.15, 0.5, 0.3)


def apple(c: Canvas) -> None:
    """A red or green apple with a stalk in its dimple."""
    rng = c.rng
    red = rng.random() < 0.55
    dark, light = ((150, 16, 22), (216, 52, 40)) if red else ((112, 164, 32), (168, 208, 70))
    mask = c.mask(blob(rng, 0, 0, 3.9, 3.8, 0, 0.03))
    c.texture(mask, dark, light, 1.4, 0.9)
    if red and rng.random() < 0.6:
        c.tint(np.minimum(mask, c.mask(blob(rng, 1.5, 1.2, 1.8, 2.2, 0.5))), (232, 176, 70), 0.6, 0.7)
    c.bulge(mask, 3.0, 0.8, 0.35)
    c.tint(c.mask(ellipse(0.1, 0.1, 1.0, 0.9)), (70, 50, 14), 0.55, 0.35)
    stalk = rng.uniform(0, 2 * math.pi)
    c.line(np.array([[0, 0], [1.5 * math.cos(stalk), 1.5 * math.sin(stalk)]], np.float32), 0.32, (74, 50, 26))
    c.highlight(2.1, 0.7, 0.45, 0.75)


def orange(c: Canvas) -> None:
    """An orange with pored skin."""
    rng = c.rng
    mask = c.mask(blob(rng, 0, 0, 3.9, 3.9, 0, 0.012))
    c.texture(mask, (232, 116, 4), (250, 150, 24), 1.6, 0.7)
    c.speckle(mask, 12)
    c.bulge(mask, 3.2, 0.75, 0.3)
    x, y = rng.normal(0, 0.9, 2)
    c.disc(float(x), float(y), 0.42, (112, 116, 40))
    c.disc(float(x), float(y), 0.2, (70, 84, 30))
    c.highlight(2.0, 0.8, 0.5, 0.6)


def banana(c: Canvas) -> None:
    """A yellow banana with brown tips and a ridge."""
    rng = c.rng
    bend = rng.uniform(0.85, 1.25)
    t = np.linspace(-bend, bend, 26)
    radius = 8.8 / bend
    width = 1.85 * np.clip(np.cos(np.linspace(-1.25, 1.25, 26)) ** 0.45, 0.32, 1)
    outer = np.stack([(radius + width) * np.sin(t), -(radius + width) * np.cos(t) + radius], axis=1)
    inner = np.stack([(radius - width) * np.sin(t), -(radius - width) * np.cos(t) + radius], axis=1)
    lift = np.array([0, -(radius * (1 - math.cos(bend))) / 2])
    mask = c.mask((np.concatenate([outer, inner[::-1]]) + lift).astype(np.float32))
    c.texture(mask, (228, 176, 22), (250, 218, 66), 2.0, 0.8)
    c.bulge(mask, 1.7, 0.7, 0.1)
    ridge = np.stack([(radius + width * 0.3) * np.sin(t), -(radius + width * 0.3) * np.cos(t) + radius], axis=1) + lift
    c.line(ridge[3:-3].astype(np.float32), 0.22, (196, 140, 20))
    for end in (0, -1):
        x, y = (outer[end] + inner[end]) / 2 + lift
        c.disc(float(x), float(y), 0.7, (84, 60, 22))
    for x, y in c.scatter(int(rng.integers(0, 9)), 0, 0, 6, 3):
        if _inside(c, float(x), float(y)):
            c.tint(np.minimum(mask, c.mask(blob(rng, x, y, 0.5, 0.35, 0, 0.2))), (112, 70, 20), 0.6, 0.1)


def crisps(c: Canvas) -> None:
    """A puffed bag of crisps with crimped ends and a round badge."""
    rng = c.rng
    colour: Colour = ((220, 40, 36), (238, 150, 20))[int(rng.integers(2))]
    colour = jitter(rng, colour, 10)
    bag = box(0, 0, 12.6, 16.4, 0, 1.3)
    mask = c.mask(bag)
    c.texture(mask, mix(colour, (0, 0, 0), 0.12), mix(colour, (255, 255, 255), 0.1), 3, 0.8)
    for y in (-8.6, 8.6):
        c.fill(box(0, y, 12.2, 1.6), mix(colour, (230, 230, 230), 0.45))
        for x in np.arange(-5.8, 6, 0.6):
            c.fill(box(x, y, 0.16, 1.6), mix(colour, (60, 60, 60), 0.5))
    c.bulge(mask, 3.6, 0.7, 0.2)
    wrinkles = c.noise(1.1)
    c.tint(np.minimum(mask, (np.abs(wrinkles) < 0.06).astype(np.uint8) * 255), (255, 255, 255), 0.3, 0.08)
    c.fill(ellipse(0, -1.5, 4.4, 3.4), (250, 240, 210))
    for _ in range(4):
        chip = blob(rng, rng.normal(0, 1.6), -1.3 + rng.normal(0, 0.9), 1.5, 1.1, rng.uniform(0, 3), 0.1)
        c.fill(chip + np.float32(0.1), (160, 104, 30))
        c.fill(chip, (240, 196, 86))
    c.fill(box(0, 4.6, 8.4, 1.5), (252, 250, 244))


def chocolate_bar(c: Canvas) -> None:
    """A slim bar in a purple wrapper with crimped silver ends."""
    rng = c.rng
    colour = jitter(rng, (98, 42, 150), 10)
    body = box(0, 0, 14.2, 4.4, 0, 0.4)
    mask = c.mask(body)
    c.texture(mask, mix(colour, (0, 0, 0), 0.1), mix(colour, (255, 255, 255), 0.1), 2, 0.8)
    c.bulge(mask, 1.6, 0.7, 0.3)
    for x in (-7.6, 7.6):
        c.fill(box(x, 0, 1.6, 4.6), (206, 204, 214))
        for y in np.arange(-2.0, 2.1, 0.5):
            c.fill(box(x, y, 1.6, 0.14), (130, 126, 140))
    c.fill(box(-0.4, 0, 8.6, 1.7, 0, 0.5), (246, 240, 226))
    for k in range(5):
        c.fill(box(-3.6 + k * 1.6, 0, 1.0, 0.9, 0, 0.2), mix(colour, (0, 0, 0), 0.1))


def yoghurt(c: Canvas) -> None:
    """A yoghurt pot seen on its foil lid: silver edge, white print, berries."""
    rng = c.rng
    lid = ellipse(0, 0, 3.9, 3.9)
    c.fill(box(3.7, 1.6, 1.8, 1.5, 0.45, 0.4), (196, 198, 204))
    mask = c.mask(lid)
    c.texture(mask, (186, 188, 194), (232, 234, 238), 0.9, 1.1)
    c.bulge(mask, 0.5, 0.5)
    print_ = ellipse(0, 0, 3.3, 3.3)
    c.fill(print_, (250, 246, 244))
    kind: Colour = ((218, 36, 70), (74, 66, 170))[int(rng.integers(2))]
    c.fill(box(0, 1.4, 5.6, 1.5), kind)
    c.pieces(np.array([[-1.1, -0.9], [0.9, -1.0], [0.0, -1.8]]), (0.95, 0.85), [kind], 0.05, 0.65, 0.3)
    c.fill(ellipse(0, -0.2, 0.7, 0.3), (70, 150, 60))
    c.tint(mask, (255, 255, 255), 0.06)


def juice_carton(c: Canvas) -> None:
    """A small green carton lying on its back, with a bent straw."""
    rng = c.rng
    colour = jitter(rng, (40, 148, 66), 10)
    body = box(0, 0, 6.6, 11.4, 0, 0.25)
    c.fill(body, colour)
    c.fill(box(0, -4.9, 6.6, 1.5), mix(colour, (255, 255, 255), 0.55))
    c.fill(box(0, -5.6, 6.6, 0.3), mix(colour, (0, 0, 0), 0.4))
    c.fill(box(0, 3.9, 6.6, 2.2), (248, 246, 238))
    c.disc(-0.2, 0.2, 2.3, (250, 226, 70))
    c.pieces(np.array([[-0.3, 0.3]]), (1.4, 1.4), [(206, 40, 36), (230, 130, 20)], 0.03, 0.6, 0.3)
    c.fill(box(-0.4, 3.9, 4.4, 0.7), mix(colour, (0, 0, 0), 0.2))
    c.bulge(c.mask(body), 0.7, 0.5, 0.15)
    straw = np.array([(1.9, -5.0), (2.2, -7.0), (4.4, -7.9)], np.float32)
    c.line(straw + np.float32(0.1), 0.6, (110, 110, 110))
    c.line(straw, 0.5, (250, 250, 250))
