"""Main dishes on plates, painted from above. Every painter fills a `Canvas` around its middle; sizes are cm."""

from __future__ import annotations

import math

import numpy as np

from streams.synthetic.paint import Canvas, Colour, blob, box, ellipse, jitter, mix

_RIMS: tuple[Colour, ...] = ((238, 236, 230), (232, 226, 212), (222, 228, 232), (240, 238, 236))
_BANDS: tuple[Colour, ...] = ((96, 128, 172), (150, 160, 152), (176, 140, 96), (120, 40, 44))
_PARSLEY: tuple[Colour, ...] = ((52, 112, 34), (70, 138, 48), (40, 92, 30))


def plate(c: Canvas, radius: float, china: Colour | None = None) -> None:
    """Paint a round plate with rim, well and now and then a coloured band."""
    rng = c.rng
    base = china or jitter(rng, _RIMS[int(rng.integers(len(_RIMS)))], 5)
    outline = ellipse(0, 0, radius, radius)
    c.fill(outline, base)
    c.bulge(c.mask(outline), 1.0, 0.22)
    if china is None and rng.random() < 0.35:
        band = _BANDS[int(rng.integers(len(_BANDS)))]
        c.line(ellipse(0, 0, radius * 0.93, radius * 0.93), 0.35, jitter(rng, band, 12), closed=True)
    well = ellipse(0, 0, radius * 0.72, radius * 0.72)
    c.fill(well, mix(base, (255, 255, 255), 0.25))
    c.bulge(c.mask(well), 1.2, -0.2)


def garnish(c: Canvas, cx: float, cy: float, spread: float, count: int = 14) -> None:
    """Strew chopped green herbs."""
    c.pieces(c.scatter(count, cx, cy, spread, spread), (0.38, 0.2), _PARSLEY, 0.2, 0.7, 0.1)


def _turn(rng: np.random.Generator, cx: float, cy: float, amount: float = 0.5) -> tuple[float, float]:
    return cx + rng.uniform(-amount, amount), cy + rng.uniform(-amount, amount)


def schnitzel_fries(c: Canvas) -> None:
    """Breaded schnitzel, a heap of fries, a lemon wedge."""
    rng = c.rng
    plate(c, 12)
    fry: list[Colour] = [(238, 196, 84), (226, 176, 64), (244, 210, 108)]
    for x, y in c.scatter(int(rng.integers(34, 48)), 3.4, 2.6, 5.0, 5.0):
        angle, colour = rng.uniform(0, math.pi), jitter(rng, fry[int(rng.integers(3))], 8)
        length = rng.uniform(4, 6.5)
        c.fill(box(x + 0.12, y + 0.14, length, 1.0, angle), mix(colour, (90, 50, 10), 0.55))
        c.fill(box(x, y, length, 0.85, angle), colour)
        c.fill(box(x - 0.08, y - 0.08, length * 0.9, 0.3, angle), mix(colour, (255, 250, 220), 0.4))
    x, y = _turn(rng, -3.2, -2.6)
    meat = blob(rng, x, y, 6.6, 4.9, rng.uniform(-0.6, 0.2), 0.12)
    mask = c.mask(meat)
    c.tint(c.mask(meat + np.float32(0.4)), (60, 35, 10), 0.45, 0.4)
    c.texture(mask, (160, 88, 22), (216, 146, 58), 0.8, 1.1)
    c.speckle(mask, 9)
    c.bulge(mask, 1.4, 0.5)
    wedge = ellipse(x + rng.uniform(-1, 1), y + 0.5, 1.9, 1.0, rng.uniform(0, 3))
    c.fill(wedge, (246, 226, 70))
    c.fill(wedge * 0.98 + np.float32(0.02), (250, 236, 120))
    c.bulge(c.mask(wedge), 0.6, 0.4)
    garnish(c, x, y, 2.5, 6)


def spaghetti(c: Canvas) -> None:
    """Spaghetti in curls with a dark red sauce in the middle and basil."""
    rng = c.rng
    plate(c, 12)
    c.fill(blob(rng, 0, 0, 8.2, 8.0, 0, 0.06), (204, 158, 74))
    noodles: list[Colour] = [(236, 204, 120), (226, 188, 98), (244, 216, 142)]
    c.strands(int(rng.integers(80, 105)), 0, 0, 8.0, 0.36, noodles, 2.2)
    x, y = _turn(rng, 0, 0, 0.8)
    sauce = blob(rng, x, y, rng.uniform(4.6, 5.6), rng.uniform(4.4, 5.4), 0, 0.16)
    mask = c.mask(sauce)
    c.texture(mask, (116, 24, 12), (196, 62, 28), 0.7, 1.2)
    c.bulge(mask, 1.0, 0.5, 0.2)
    c.pieces(c.scatter(26, x, y, 4.2, 4.2), (0.5, 0.4), [(104, 44, 26), (140, 54, 30)], 0.2, 0.6, 0.1)
    for _ in range(int(rng.integers(2, 5))):
        lx, ly = _turn(rng, x, y, 1.8)
        leaf = ellipse(lx, ly, 1.3, 0.75, rng.uniform(0, 3))
        c.fill(leaf, jitter(rng, (48, 124, 40), 12))
        c.bulge(c.mask(leaf), 0.5, 0.5)
    if rng.random() < 0.6:
        c.pieces(c.scatter(24, x, y, 3.4, 3.4), (0.3, 0.14), [(246, 236, 190)], 0.2, 0.9, 0.2)


def curry_rice(c: Canvas) -> None:
    """White rice on one half, yellow curry with pieces on the other."""
    rng = c.rng
    plate(c, 12)
    curry = blob(rng, 2.6, 0, 5.9, 7.6, 0, 0.06)
    mask = c.mask(curry)
    c.texture(mask, (198, 126, 12), (236, 172, 36), 1.2, 0.9)
    c.bulge(mask, 0.8, 0.3, 0.25)
    c.pieces(c.scatter(10, 3.2, 0, 4.0, 5.6), (1.3, 1.0), [(232, 186, 96), (218, 160, 70)], 0.2, 0.55, 0.25)
    c.pieces(c.scatter(6, 3.2, 0, 4.0, 5.6), (1.0, 0.5), [(200, 50, 30), (60, 130, 50)], 0.15, 0.6, 0.3)
    rice = blob(rng, -4.0, 0, 4.2, 7.0, 0, 0.08)
    mask = c.mask(rice)
    c.texture(mask, (214, 210, 200), (252, 250, 244), 0.4, 1.0)
    c.bulge(mask, 1.6, 0.35)
    c.pieces(c.scatter(150, -4.0, 0, 3.6, 6.2), (0.34, 0.13), [(252, 251, 246), (240, 236, 226)], 0.0, 0.82, 0.2)
    garnish(c, 1.5, 0, 3.5, int(rng.integers(6, 16)))


def steak_beans(c: Canvas) -> None:
    """Grilled steak with marks, green beans, boiled potatoes."""
    rng = c.rng
    plate(c, 12)
    beans: list[Colour] = [(62, 118, 42), (78, 136, 52), (52, 100, 38)]
    for _ in range(int(rng.integers(22, 30))):
        x, y = rng.uniform(-5, 3.5), rng.uniform(2.6, 6.2)
        colour, angle = jitter(rng, beans[int(rng.integers(3))], 8), rng.normal(0.1, 0.3)
        c.fill(box(x + 0.1, y + 0.12, 5.2, 0.85, angle, 0.4), mix(colour, (10, 20, 0), 0.5))
        c.fill(box(x, y, 5.2, 0.7, angle, 0.35), colour)
        c.fill(box(x, y - 0.1, 4.4, 0.2, angle, 0.1), mix(colour, (230, 255, 200), 0.35))
    for x, y in ((5.2, -1.5), (5.8, 1.9), (3.4, 3.0), (6.4, -4.0))[: int(rng.integers(2, 5))]:
        potato = blob(rng, x, y, 2.1, 1.7, rng.uniform(0, 3), 0.05)
        c.fill(potato, jitter(rng, (228, 200, 116), 8))
        c.bulge(c.mask(potato), 1.2, 0.5, 0.1)
    x, y = _turn(rng, -2.0, -3.0)
    meat = blob(rng, x, y, 5.8, 4.0, rng.uniform(-0.3, 0.3), 0.1)
    mask = c.mask(meat)
    c.texture(mask, (66, 34, 20), (118, 66, 42), 0.8, 1.0)
    tilt = rng.uniform(0.5, 1.0)
    stripes = [box(x + k * 1.7, y, 0.45, 12, tilt) for k in range(-4, 5)]
    c.tint(np.minimum(mask, c.mask(*stripes)), (28, 12, 6), 0.75)
    c.bulge(mask, 1.1, 0.6, 0.25)
    butter = box(x, y, 1.6, 1.4, tilt, 0.3)
    if rng.random() < 0.6:
        c.fill(butter, (246, 232, 168))
        garnish(c, x, y, 0.8, 5)


def fish_spinach(c: Canvas) -> None:
    """Pale fish fillet on spinach, potatoes beside it, a slice of lemon."""
    rng = c.rng
    plate(c, 12)
    spinach = blob(rng, -0.5, 2.6, 7.2, 4.6, 0, 0.12)
    mask = c.mask(spinach)
    c.texture(mask, (14, 44, 16), (46, 98, 36), 0.9, 1.3)
    c.bulge(mask, 0.9, 0.5, 0.1)
    x, y = _turn(rng, 0, -2.4)
    fish = blob(rng, x, y, 7.2, 2.9, rng.uniform(-0.15, 0.15), 0.07)
    c.tint(c.mask(fish + np.float32(0.4)), (10, 20, 10), 0.5, 0.4)
    mask = c.mask(fish)
    c.texture(mask, (224, 196, 160), (250, 238, 218), 0.7, 1.0)
    flakes = [box(x + k * 1.6, y, 0.18, 7, 0.35) for k in range(-4, 5)]
    c.tint(np.minimum(mask, c.mask(*flakes)), (190, 150, 110), 0.7, 0.1)
    c.bulge(mask, 1.0, 0.45)
    lemon = ellipse(x + rng.uniform(-3, 3), y - 0.3, 1.5, 1.5)
    c.fill(lemon, (238, 206, 40))
    c.fill(ellipse(float(lemon[:, 0].mean()), float(lemon[:, 1].mean()), 1.15, 1.15), (250, 238, 150))


def pizza(c: Canvas) -> None:
    """A small pizza that fills its plate: brown crust, cheese, salami, olives."""
    rng = c.rng
    plate(c, 12, jitter(rng, (66, 68, 74), 8))
    crust = blob(rng, 0, 0, 11.0, 11.0, 0, 0.02)
    mask = c.mask(crust)
    c.texture(mask, (168, 104, 44), (222, 166, 92), 0.9, 1.2)
    c.bulge(mask, 1.2, 0.5)
    top = c.mask(blob(rng, 0, 0, 9.4, 9.4, 0, 0.03))
    c.texture(top, (206, 74, 28), (250, 214, 112), 1.6, 1.3)
    c.bulge(top, 0.5, 0.3, 0.1)
    for x, y in c.scatter(int(rng.integers(7, 12)), 0, 0, 7.6, 7.6):
        slice_ = blob(rng, x, y, 1.6, 1.6, 0, 0.03)
        c.fill(slice_ + np.float32(0.15), (110, 40, 20))
        mask = c.mask(slice_)
        c.texture(mask, (142, 26, 22), (190, 62, 46), 0.4, 1.0)
        c.bulge(mask, 0.5, 0.35)
    for x, y in c.scatter(int(rng.integers(4, 9)), 0, 0, 7.6, 7.6):
        c.disc(x, y, 0.62, (32, 30, 26))
        c.disc(x, y, 0.26, (200, 120, 60))
    garnish(c, 0, 0, 7, int(rng.integers(4, 14)))


def burger(c: Canvas) -> None:
    """A sesame bun with lettuce showing, in a blue plastic basket with paper."""
    rng = c.rng
    basket = box(0, 0, 19, 15.5, 0, 4)
    shade = jitter(rng, (38, 74, 148), 12)
    c.fill(basket, shade)
    c.bulge(c.mask(basket), 0.8, 0.5)
    for k in np.arange(-8.5, 9, 1.15):
        c.fill(box(k, 0, 0.4, 14.4), mix(shade, (10, 20, 50), 0.5))
    paper = blob(rng, 0, 0, 8.4, 6.6, 0.1, 0.05)
    c.texture(c.mask(paper), (226, 218, 202), (248, 244, 236), 2.0, 0.8)
    c.bulge(c.mask(paper), 0.5, 0.4)
    x, y = _turn(rng, -1.0, 0, 0.7)
    c.pieces(c.scatter(30, x, y, 5.6, 5.6), (1.3, 0.8), [(96, 158, 50), (124, 184, 66)], 0.2, 0.6, 0.2)
    c.fill(blob(rng, x, y, 5.6, 5.6, 0, 0.03), (84, 42, 22))
    if rng.random() < 0.7:
        c.fill(box(x, y, 8.6, 8.6, rng.uniform(0, 1.5), 0.6), (246, 178, 44))
    bun = blob(rng, x - 0.2, y - 0.2, 5.2, 5.2, 0, 0.015)
    mask = c.mask(bun)
    c.texture(mask, (186, 112, 40), (216, 146, 66), 2.5, 0.9)
    c.bulge(mask, 3.0, 0.7, 0.3)
    c.pieces(c.scatter(40, x - 0.2, y - 0.2, 4.0, 4.0), (0.26, 0.16), [(250, 236, 196)], 0.0, 0.75, 0.0)
    fry: list[Colour] = [(240, 200, 90), (228, 180, 66)]
    for _ in range(int(rng.integers(6, 12))):
        fx, fy = 6.2 + rng.normal(0, 0.9), rng.uniform(-4, 4)
        angle = rng.uniform(0.8, 2.3)
        c.fill(box(fx + 0.1, fy + 0.1, 4.4, 0.9, angle), (120, 74, 20))
        c.fill(box(fx, fy, 4.4, 0.75, angle), jitter(rng, fry[int(rng.integers(2))], 8))


def lasagne(c: Canvas) -> None:
    """Lasagne with browned cheese in a square white oven dish."""
    rng = c.rng
    china = jitter(rng, (234, 232, 226), 6)
    outer = box(0, 0, 19.5, 15, 0, 1.8)
    c.fill(outer, china)
    for side in (-1, 1):
        ear = box(side * 10.0, 0, 2.6, 6, 0, 1.2)
        c.fill(ear, mix(china, (150, 150, 150), 0.15))
        c.bulge(c.mask(ear), 0.5, 0.3)
    c.fill(outer, china)
    c.bulge(c.mask(outer), 0.7, 0.3)
    inner = box(0, 0, 17.4, 12.9, 0, 1.2)
    mask = c.mask(inner)
    c.texture(mask, (204, 96, 34), (246, 204, 104), 1.7, 1.3)
    c.bulge(mask, 0.8, -0.35)
    for x, y in c.scatter(int(rng.integers(12, 20)), 0, 0, 7.6, 5.4):
        spot = blob(rng, x, y, rng.uniform(0.5, 1.5), rng.uniform(0.4, 1.1), rng.uniform(0, 3), 0.2)
        c.tint(c.mask(spot), (118, 54, 16), rng.uniform(0.45, 0.8), 0.25)
    sauce = c.mask(blob(rng, rng.uniform(-3, 3), rng.uniform(-2, 2), 3.2, 2.0, 1, 0.2))
    c.tint(sauce, (176, 40, 18), 0.6, 0.3)
    garnish(c, 0, 0, 3, int(rng.integers(3, 9)))


def sushi(c: Canvas) -> None:
    """Rolls and nigiri in two rows on a long black plate."""
    rng = c.rng
    black = jitter(rng, (38, 38, 42), 5)
    outer = box(0, 0, 23, 12.5, 0, 0.8)
    c.fill(outer, black)
    c.bulge(c.mask(outer), 0.6, 0.9)
    fillings: list[Colour] = [(238, 116, 76), (120, 176, 74), (232, 196, 70), (214, 66, 58)]
    for k in range(6):
        x, y = -8.2 + k * 2.75 + rng.normal(0, 0.1), 2.6 + rng.normal(0, 0.15)
        c.disc(x + 0.15, y + 0.15, 1.4, (8, 8, 8))
        c.disc(x, y, 1.32, (30, 44, 34))
        c.disc(x, y, 1.12, (246, 244, 238))
        c.disc(x + rng.normal(0, 0.08), y, 0.5, jitter(rng, fillings[int(rng.integers(4))], 10))
    for k in range(int(rng.integers(3, 5))):
        x, y = -7.4 + k * 4.3, -2.5 + rng.normal(0, 0.2)
        tilt = rng.normal(0.25, 0.1)
        rice = box(x, y, 3.0, 5.2, tilt, 1.4)
        c.fill(rice, (246, 244, 238))
        c.bulge(c.mask(rice), 0.8, 0.4)
        fish = box(x - 0.1, y - 0.1, 2.7, 5.6, tilt, 1.2)
        mask = c.mask(fish)
        c.texture(mask, (232, 96, 56), (250, 156, 110), 0.7, 1.1)
        stripes = [box(x, y + j * 1.2, 4.0, 0.2, tilt + 0.5) for j in range(-3, 4)]
        c.tint(np.minimum(mask, c.mask(*stripes)), (255, 214, 190), 0.8)
        c.bulge(mask, 0.9, 0.4, 0.2)
    wasabi = blob(rng, 9.2, -3, 1.2, 1.0, 0, 0.1)
    c.fill(wasabi, (150, 190, 84))
    c.bulge(c.mask(wasabi), 0.7, 0.5)
    c.pieces(np.array([[9.3, 2.2], [9.0, 1.2], [9.5, 0.4]]), (1.2, 0.8), [(244, 186, 176)], 0.1, 0.8, 0.3)
