"""Things that no menu holds: painters of packets, produce, bottles and ware that never looked exactly like this.

A painter fills a canvas with one thing of about length x width cm, long side across, and returns its height in cm.
Everything is drawn from the canvas's own generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.paint import Canvas, Colour, Mask, Points, blob, box, ellipse, jitter, mix

Painter = Callable[[Canvas, float, float], float]

_FOOD: tuple[Colour, ...] = (
    (150, 90, 50),
    (200, 140, 70),
    (90, 120, 50),
    (190, 60, 40),
    (230, 190, 90),
    (110, 70, 45),
    (230, 130, 60),
)
_WORDS = (
    *("BIO", "PASTA", "RIS", "250g", "1kg", "SOL", "NUT", "MEL"),
    *("PRO", "OAT", "KAFFEE", "TE", "X-TRA", "SAL", "OLIVA"),
)


def _colour(rng: np.random.Generator) -> Colour:
    """Return any colour: vivid ones, greys, and the browns and greens of food."""
    kind = rng.random()
    if kind < 0.25:
        grey = rng.uniform(5, 250)
        return jitter(rng, (grey, grey, grey), 5)
    if kind < 0.55:
        return jitter(rng, _FOOD[int(rng.integers(len(_FOOD)))], 25)
    hue, saturation, value = rng.uniform(0, 180), rng.uniform(90, 255), rng.uniform(40, 255)
    r, g, b = cv2.cvtColor(np.array([[[hue, saturation, value]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return float(r), float(g), float(b)


def _streak(c: Canvas, length: float, width: float, reach: float, span: tuple[float, float], half_width: float) -> Mask:
    """Return the mask of a thin ellipse somewhere on a thing: a wrinkle, a fold, a glare."""
    x, y = c.rng.uniform(-reach, reach, 2) * (length, width)
    return c.mask(ellipse(float(x), float(y), c.rng.uniform(*span) * length, half_width, c.rng.uniform(0, 3.1)))


def _print(c: Canvas, face: NDArray[np.uint8], length: float, width: float) -> None:
    """Print panels, discs, stripes and words on a face (mask)."""
    rng = c.rng
    drawn = c.rgb.copy()
    alpha = c.alpha.copy()
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.4, 0.4) * width
        shape = rng.random()
        if shape < 0.35:
            c.fill(box(x, y, rng.uniform(0.15, 0.7) * length, rng.uniform(0.1, 0.6) * width, 0.0, 0.3), _colour(rng))
        elif shape < 0.6:
            c.fill(ellipse(x, y, rng.uniform(0.08, 0.3) * length, rng.uniform(0.1, 0.35) * width), _colour(rng))
        elif shape < 0.75:
            for k in range(int(rng.integers(2, 6))):
                c.fill(box(x, y + k * 0.16 * width, rng.uniform(0.1, 0.5) * length, 0.06 * width), _colour(rng))
        else:
            mask = c.mask(blob(rng, x, y, rng.uniform(0.1, 0.3) * length, rng.uniform(0.15, 0.4) * width))
            c.texture(mask, _colour(rng), _colour(rng), rng.uniform(0.3, 1.5))
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-0.45, 0.1) * length, rng.uniform(-0.4, 0.45) * width
        spot = (int(c.origin[0] + x * c.px_cm), int(c.origin[1] + y * c.px_cm))
        text = _WORDS[int(rng.integers(len(_WORDS)))]
        scale = rng.uniform(0.06, 0.2) * width * c.px_cm / 10
        thick = max(1, int(scale * 2))
        cv2.putText(c.rgb, text, spot, cv2.FONT_HERSHEY_SIMPLEX, scale, _colour(rng), thick, cv2.LINE_AA)
    cv2.copyTo(drawn, cv2.bitwise_not(face), c.rgb)  # nothing outside the face
    c.alpha[:] = alpha


def packet(c: Canvas, length: float, width: float) -> float:
    """A pillow pack: crimped ends, wrinkles, gloss."""
    rng = c.rng
    body = _colour(rng)
    face = c.mask(
        blob(rng, 0, 0, length * 0.5, width * 0.5, 0, 0.02)
        if rng.random() < 0.3
        else box(0, 0, length, width, 0.0, width * rng.uniform(0.02, 0.3))
    )
    c.texture(face, mix(body, (0, 0, 0), 0.12), body, 2.0)
    _print(c, face, length, width)
    if rng.random() < 0.5:
        for end in (-1, 1):
            crimp = c.mask(box(end * length * 0.46, 0, length * 0.08, width))
            c.tint(np.minimum(face, crimp), _colour(rng), 0.6)
    for _ in range(int(rng.integers(0, 7))):
        wrinkle = _streak(c, length, width, 0.4, (0.1, 0.4), 0.12)
        shade: Colour = (255, 255, 255) if rng.random() < 0.6 else (0, 0, 0)
        c.tint(np.minimum(face, wrinkle), shade, rng.uniform(0.15, 0.6), 0.1)
    c.bulge(face, width * 0.3, rng.uniform(0.15, 0.7), rng.uniform(0, 0.8))
    return float(rng.uniform(0.5, 4.0))


def carton(c: Canvas, length: float, width: float) -> float:
    """A box seen from above or a little aslant: one or two faces."""
    rng = c.rng
    body = _colour(rng)
    face = c.mask(box(0, 0, length, width, 0.0, rng.uniform(0, 0.4)))
    c.texture(face, mix(body, (0, 0, 0), 0.06), body, 4.0)
    _print(c, face, length, width)
    if rng.random() < 0.5:
        side = c.mask(box(0, width * 0.5, length, width * rng.uniform(0.1, 0.4)))
        c.texture(side, mix(body, (0, 0, 0), 0.5), mix(body, (0, 0, 0), 0.35), 4.0)
    c.bulge(c.alpha.copy(), 0.4, 0.3)
    return float(rng.uniform(1.0, 6.0))


def tray_pack(c: Canvas, length: float, width: float) -> float:
    """Food under film in a dark or clear tray."""
    rng = c.rng
    rim = _colour(rng)
    c.fill(box(0, 0, length, width, 0.0, width * rng.uniform(0.02, 0.2)), rim)
    inner = c.mask(box(0, 0, length * 0.84, width * 0.8, 0.0, 0.5))
    c.texture(inner, _colour(rng), _colour(rng), rng.uniform(0.4, 3.0))
    if rng.random() < 0.6:
        places = c.scatter(int(rng.integers(4, 24)), 0, 0, length * 0.35, width * 0.32)
        c.pieces(
            places, (rng.uniform(0.05, 0.14) * length, rng.uniform(0.04, 0.12) * width), [_colour(rng), _colour(rng)]
        )
    if rng.random() < 0.6:
        c.fill(
            box(
                rng.uniform(-0.2, 0.2) * length,
                rng.uniform(-0.25, 0.25) * width,
                rng.uniform(0.2, 0.5) * length,
                rng.uniform(0.15, 0.4) * width,
                0,
                0.2,
            ),
            _colour(rng),
        )
    for _ in range(int(rng.integers(1, 5))):
        glare = _streak(c, length, width, 0.4, (0.05, 0.3), 0.3)
        c.tint(np.minimum(c.alpha, glare), (255, 255, 255), rng.uniform(0.2, 0.8), 0.2)
    c.bulge(c.alpha.copy(), 0.6, 0.4)
    return float(rng.uniform(0.5, 3.0))


def clear_bag(c: Canvas, length: float, width: float) -> float:
    """Something in a clear bag: the bag's edge is what counts, though little of it shows."""
    rng = c.rng
    film = mix((225.0, 228.0, 230.0), _colour(rng), rng.uniform(0, 0.25))
    outline = box(0, 0, length, width, 0.0, 0.4) + c.rng.normal(0, 0.015 * length, (24, 2)).astype(np.float32)
    c.texture(c.mask(outline), mix(film, (90, 95, 100), 0.35), film, 1.2)
    inner = c.mask(blob(rng, 0, 0, length * rng.uniform(0.3, 0.4), width * rng.uniform(0.32, 0.45)))
    c.texture(inner, _colour(rng), _colour(rng), rng.uniform(0.4, 3.0))
    _print(c, np.minimum(inner, c.mask(box(0, 0, length * 0.5, width * 0.6))), length * 0.6, width * 0.6)
    for _ in range(int(rng.integers(3, 12))):
        fold = _streak(c, length, width, 0.5, (0.05, 0.3), 0.1)
        shade: Colour = (255, 255, 255) if rng.random() < 0.7 else (60, 60, 60)
        c.tint(np.minimum(c.alpha, fold), shade, rng.uniform(0.3, 0.9), 0.1)
    c.alpha[c.alpha > 0] = 255 if rng.random() < 0.6 else 205
    return float(rng.uniform(0.5, 3.0))


def bottle(c: Canvas, length: float, width: float) -> float:
    """A lying bottle, jar or tube: a body with shoulders, a neck, a cap, a label."""
    rng = c.rng
    width = min(width, length * rng.uniform(0.25, 0.5))
    neck, shoulder = width * rng.uniform(0.25, 0.6), rng.uniform(0.05, 0.25)
    profile = [(-0.5, 0.46), (-0.48, 0.5), (0.2, 0.5), (0.2 + shoulder, neck / width / 2), (0.42, neck / width / 2)]
    up = [(x * length, y * width) for x, y in profile]
    outline: Points = np.array(up + [(x, -y) for x, y in reversed(up)], np.float32)
    body = _colour(rng)
    face = c.mask(outline)
    c.texture(face, mix(body, (0, 0, 0), 0.25), body, 3.0)
    c.fill(box(0.45 * length, 0, 0.1 * length, neck * 1.15, 0, 0.2), _colour(rng))
    if rng.random() < 0.8:
        label = c.mask(box(rng.uniform(-0.25, 0) * length, 0, rng.uniform(0.2, 0.5) * length, width))
        label = np.minimum(label, face)
        c.tint(label, _colour(rng), 1.0)
        _print(c, label, length * 0.4, width)
    c.bulge(c.alpha.copy(), width * 0.5, rng.uniform(0.5, 1.0), rng.uniform(0.2, 0.9))
    streak = c.mask(box(-0.1 * length, -0.25 * width, 0.5 * length, 0.08 * width, 0, 0.1))
    c.tint(np.minimum(face, streak), (255, 255, 255), rng.uniform(0, 0.7), 0.1)
    return width * 0.5


def fruit(c: Canvas, length: float, width: float) -> float:
    """A round thing with a skin: fruit, potato, egg, roll."""
    rng = c.rng
    width = length * rng.uniform(0.65, 1.0)
    body = _colour(rng)
    face = c.mask(blob(rng, 0, 0, length / 2, width / 2, 0.0, rng.uniform(0.0, 0.1)))
    c.texture(face, mix(body, _colour(rng), 0.35), body, rng.uniform(0.5, 4.0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.4:
        c.pieces(
            c.scatter(int(rng.integers(3, 30)), 0, 0, length * 0.4, width * 0.4),
            (0.12, 0.12),
            [mix(body, (0, 0, 0), 0.5)],
            shine=0.0,
        )
    c.bulge(face, length * 0.45, rng.uniform(0.5, 1.1), rng.uniform(0, 0.5))
    if rng.random() < 0.4:
        c.disc(length * 0.1, -width * 0.1, length * 0.06, mix(body, (60, 70, 20), 0.7))
    return width * 0.6


def long_thing(c: Canvas, length: float, width: float) -> float:
    """A bent long thing: courgette, carrot, banana, baguette, sausage."""
    rng = c.rng
    width = length * rng.uniform(0.12, 0.32)
    bend, taper = rng.uniform(0, 0.3) * length, rng.uniform(0.1, 1.0)
    t = np.linspace(-0.5, 0.5, 24)
    spine = np.stack([t * length, bend * (4 * t**2 - 0.5)], axis=1)
    radius = width / 2 * np.sqrt(np.clip(1 - (2 * t) ** 8, 0.02, 1)) * (taper + (1 - taper) * (t + 0.5))
    outline: Points = np.concatenate(
        [spine + np.stack([0 * t, radius], 1), (spine - np.stack([0 * t, radius], 1))[::-1]]
    ).astype(np.float32)
    body = _colour(rng)
    face = c.mask(outline)
    c.texture(face, mix(body, _colour(rng), 0.3), body, rng.uniform(0.4, 2.5), rng.uniform(0.3, 1.2))
    c.bulge(face, width * 0.5, rng.uniform(0.5, 1.1), rng.uniform(0, 0.5))
    if rng.random() < 0.6:
        c.disc(float(spine[-1, 0]), float(spine[-1, 1]), max(float(radius[-1]), 0.3), _colour(rng))
    return width * 0.8


def round_ware(c: Canvas, length: float, width: float) -> float:
    """A plate, bowl, cup, can or jar from above: rings, a filling."""
    rng = c.rng
    ring = length / 2
    c.fill(ellipse(0, 0, ring, ring), _colour(rng))
    for share in sorted(rng.uniform(0.4, 0.95, int(rng.integers(1, 4))), reverse=True):
        c.fill(ellipse(0, 0, ring * share, ring * share), _colour(rng))
    if rng.random() < 0.6:
        inside = c.mask(blob(rng, 0, 0, ring * 0.6, ring * 0.55))
        c.texture(inside, _colour(rng), _colour(rng), rng.uniform(0.4, 2.5))
        if rng.random() < 0.6:
            c.pieces(
                c.scatter(int(rng.integers(5, 30)), 0, 0, ring * 0.55, ring * 0.55),
                (0.08 * length, 0.06 * length),
                [_colour(rng), _colour(rng)],
            )
    c.bulge(c.alpha.copy(), 0.8, 0.4, rng.uniform(0, 0.5))
    return float(rng.uniform(0.5, 6.0))


def patch(c: Canvas, length: float, width: float) -> float:
    """An irregular flat thing: fillet, cheese, sandwich, cloth-like bag."""
    rng = c.rng
    corners = int(rng.integers(3, 9))
    turn = (
        np.sort(rng.uniform(0, 2 * math.pi, corners))
        if corners > 5
        else np.linspace(0, 2 * math.pi, corners, endpoint=False)
    )
    outline: Points = (
        np.stack([np.cos(turn) * length / 2, np.sin(turn) * width / 2], axis=1) * rng.uniform(0.8, 1.1, (len(turn), 1))
    ).astype(np.float32)
    face = c.mask(np.asarray(cv2.convexHull(outline)[:, 0], np.float32))
    face = np.asarray(cv2.GaussianBlur(face, (0, 0), max(0.25 * c.px_cm, 1.0)), np.uint8)
    face = np.where(face > 127, 255, 0).astype(np.uint8)
    c.texture(face, _colour(rng), _colour(rng), rng.uniform(0.3, 3.0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.5:
        stripes = _colour(rng)
        for k in np.arange(-0.5, 0.5, rng.uniform(0.06, 0.25)):
            c.tint(np.minimum(face, c.mask(box(k * length, 0, 0.03 * length, width * 1.2, 0.4))), stripes, 0.5, 0.1)
    c.bulge(face, width * 0.2, rng.uniform(0.2, 0.8), rng.uniform(0, 0.4))
    return float(rng.uniform(0.3, 3.0))


#: What a scene draws from; twice is twice as often.
PAINTERS: tuple[Painter, ...] = (
    packet,
    packet,
    carton,
    tray_pack,
    clear_bag,
    bottle,
    fruit,
    fruit,
    long_thing,
    round_ware,
    patch,
)
