"""The counter under the trays: top, rails, floor, and the things that always stand there."""

from __future__ import annotations

import math

import cv2
import numpy as np

from streams.synthetic.paint import Canvas, Colour, Image, box, ellipse, jitter, mix

_TOPS: tuple[tuple[Colour, Colour, str], ...] = (
    ((158, 162, 166), (186, 190, 193), "steel"),
    ((176, 142, 100), (206, 174, 132), "wood"),
    ((92, 94, 98), (118, 120, 122), "stone"),
    ((206, 202, 192), (224, 221, 212), "laminate"),
)


def paint_counter(rng: np.random.Generator, width: int, height: int, px_cm: float) -> Image:
    """Return the empty counter as a picture (height, width, 3)."""
    w, h = width / px_cm, height / px_cm
    # Twice as fine, so that shrinking smooths the edges.
    c = Canvas(w + 1, h + 1, 2 * px_cm, rng)
    dark, light, kind = _TOPS[int(rng.integers(len(_TOPS)))]
    base = mix(dark, light, 0.5)
    everything = np.full_like(c.alpha, 255)
    c.texture(everything, dark, light, 26, 0.7)
    _grain(c, kind, w, h, base)
    _front(c, w, h)
    _back(c, w, h)
    vertical = np.linspace(1.04, 0.93, c.rgb.shape[0], dtype=np.float32)[:, None, None]
    fine = np.clip(c.rgb * vertical, 0, 255).astype(np.uint8)
    size = (max(fine.shape[1] // 2, width), max(fine.shape[0] // 2, height))
    picture: Image = np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.uint8)
    y, x = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return np.ascontiguousarray(picture[y : y + height, x : x + width])


def _grain(c: Canvas, kind: str, w: float, h: float, base: Colour) -> None:
    rng = c.rng
    rows, cols = c.alpha.shape
    if kind == "steel":
        brushed = cv2.resize(rng.normal(0, 4.5, (rows, 12)).astype(np.float32), (cols, rows))
        c.rgb = np.clip(c.rgb + brushed[..., None], 0, 255).astype(np.uint8)
    elif kind == "wood":
        for y in np.arange(-h / 2, h / 2, 1.1):
            t = np.linspace(-w / 2, w / 2, 24)
            wave = y + rng.normal(0, 0.4) + 0.6 * np.sin(t / rng.uniform(14, 30) + rng.uniform(0, 6))
            c.line(
                np.stack([t, wave], axis=1).astype(np.float32),
                rng.uniform(0.15, 0.4),
                jitter(rng, mix(base, (110, 70, 30), 0.2), 5),
            )
        for x in np.arange(-w / 2 + rng.uniform(10, 30), w / 2, 38):
            c.fill(box(float(x), 0, 0.2, h), mix(base, (70, 45, 20), 0.6))
    elif kind == "stone":
        c.speckle(np.full_like(c.alpha, 255), 11)
    else:
        c.speckle(np.full_like(c.alpha, 255), 4)


def _front(c: Canvas, w: float, h: float) -> None:
    """Paint the tray rails and the floor at the guest's side (bottom)."""
    bottom = h / 2
    tiles = jitter(c.rng, ((112, 104, 98), (92, 84, 78), (140, 132, 122))[int(c.rng.integers(3))], 8)
    c.fill(box(0, bottom - 1.6, w + 4, 5.6), mix(tiles, (0, 0, 0), 0.25))
    for x in np.arange(-w / 2, w / 2, 15):
        c.fill(box(float(x), bottom - 1.6, 0.25, 5.6), mix(tiles, (0, 0, 0), 0.5))
    edge = box(0, bottom - 4.6, w + 4, 1.0)
    c.fill(edge, (196, 199, 202))
    c.fill(box(0, bottom - 3.9, w + 4, 0.6), (60, 60, 62))
    for y in (bottom - 8.6, bottom - 12.4):
        c.tint(c.mask(box(0.5, y + 0.9, w + 4, 1.6)), (30, 28, 26), 0.35, 0.4)
        c.fill(box(0, y, w + 4, 1.5), (168, 172, 176))
        c.fill(box(0, y - 0.25, w + 4, 0.45), (228, 231, 233))


def _back(c: Canvas, w: float, h: float) -> None:
    """Paint what stands at the cashier's side (top): card terminal, sugar and napkin boxes, a price sign."""
    rng = c.rng
    top = -h / 2
    c.fill(box(0, top + 1.0, w + 4, 4.0), (66, 68, 72))
    c.fill(box(0, top + 3.1, w + 4, 0.5), (214, 218, 220))
    if h < 60:
        return
    spots = rng.permutation(np.array([-0.40, -0.22, 0.24, 0.41]) * w)
    _terminal(c, float(spots[0]), top + 10)
    _holder(c, float(spots[1]), top + 9)
    if rng.random() < 0.7:
        _stack(c, float(spots[2]), top + 9)
    if rng.random() < 0.7:
        _shakers(c, float(spots[3]), top + 7)


def _terminal(c: Canvas, x: float, y: float) -> None:
    lean = float(c.rng.uniform(-0.3, 0.3))
    c.tint(c.mask(box(x + 1, y + 1.4, 8.4, 16, lean, 1)), (20, 18, 16), 0.45, 0.7)
    body = box(x, y, 8.2, 15.8, lean, 1.1)
    c.fill(body, (52, 54, 58))
    c.bulge(c.mask(body), 0.7, 0.6)
    up = np.array([math.sin(lean), -math.cos(lean)])
    sx, sy = np.array([x, y]) + up * 3.6
    c.fill(box(float(sx), float(sy), 6.2, 4.6, lean, 0.2), (146, 176, 168))
    across = np.array([math.cos(lean), math.sin(lean)])
    for row in range(4):
        for column in range(3):
            kx, ky = np.array([x, y]) - up * (1.2 + row * 1.5) + across * (column - 1) * 2.0
            tone: Colour = (206, 206, 204) if row < 3 else ((196, 50, 44), (216, 186, 50), (60, 150, 80))[column]
            c.fill(box(float(kx), float(ky), 1.4, 1.0, lean, 0.2), tone)


def _holder(c: Canvas, x: float, y: float) -> None:
    """Paint an open box of cutlery and sachets."""
    rng = c.rng
    c.tint(c.mask(box(x + 1, y + 1.4, 17, 10, 0, 0.6)), (20, 18, 16), 0.45, 0.7)
    wood = jitter(rng, (116, 84, 56), 10)
    outer = box(x, y, 17, 10, 0, 0.6)
    c.fill(outer, wood)
    c.bulge(c.mask(outer), 0.4, 0.5)
    for k in range(3):
        cx = x - 5.4 + k * 5.4
        c.fill(box(cx, y, 4.8, 8.6), mix(wood, (0, 0, 0), 0.6))
        for _ in range(7):
            tone = jitter(rng, ((200, 202, 206), (238, 236, 230), (196, 150, 90))[k], 8)
            angle = rng.normal(math.pi / 2, 0.12)
            c.fill(box(cx + rng.uniform(-1.7, 1.7), y + rng.uniform(-0.7, 0.7), 6.4, 0.8, angle, 0.3), tone)


def _stack(c: Canvas, x: float, y: float) -> None:
    """Paint a stack of saucers."""
    c.tint(c.mask(ellipse(x + 1.2, y + 1.6, 7.6, 7.6)), (20, 18, 16), 0.45, 0.8)
    for k in range(4):
        ring = ellipse(x - k * 0.16, y - k * 0.2, 7.4, 7.4)
        c.fill(ring, (188, 186, 182))
        c.fill(ellipse(x - k * 0.16 - 0.1, y - k * 0.2 - 0.1, 7.1, 7.1), (228, 226, 222))
    well = ellipse(x - 0.6, y - 0.7, 4.0, 4.0)
    c.fill(well, (236, 234, 230))
    c.bulge(c.mask(well), 1.0, -0.3)


def _shakers(c: Canvas, x: float, y: float) -> None:
    """Paint salt and pepper, and a sign with a price."""
    for dx, body in ((-3.2, (226, 228, 228)), (3.2, (84, 82, 80))):
        c.tint(c.mask(ellipse(x + dx + 1.0, y + 1.4, 2.3, 2.3)), (20, 18, 16), 0.45, 0.7)
        c.disc(x + dx, y, 2.2, body)
        c.disc(x + dx, y, 1.6, (188, 192, 196))
        for k in range(5):
            c.disc(x + dx + 0.8 * math.cos(k * 1.26), y + 0.8 * math.sin(k * 1.26), 0.18, (50, 50, 52))
    c.tint(c.mask(box(x + 11, y + 1.2, 7.5, 5, 0.1, 0.3)), (20, 18, 16), 0.4, 0.6)
    c.fill(box(x + 10.4, y + 0.4, 7.4, 5.0, 0.1, 0.3), (42, 50, 46))
    for k in range(3):
        c.fill(box(x + 10.2, y - 1.0 + k * 1.3, 5.4 - k, 0.5, 0.1), (226, 226, 214))
