"""Scenes of things that no menu holds: they teach the item head what *a thing on a counter* looks like.

The synthetic lane has 36 dishes. A net that has only ever seen these calls everything else background. Here shapes,
prints, colours, counters and light are drawn at random (domain randomisation, Tobin et al., 2017; our own painters),
far from any real product, so that what the net learns is not the product but what sets it off: an outline, a shadow, a
body of its own.

A scene is square, `side` pixels wide, and holds up to twenty things: alone, in rows of equals, in heaps, under hands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.hands import ABOVE_CM, ARM_LENGTH_CM, ARM_WIDTH_CM, hand
from streams.synthetic.paint import Canvas, Image, box, jitter
from streams.synthetic.sprites import Sprite, bake, lay, stamp
from training.randomised_things import PAINTERS, carton, long_thing, packet, tray_pack

#: Centimetres across a scene; a scene's things are as large as its zoom makes them.
WIDE_CM = 40.0


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture and what lies on it.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        boxes: (N, 4) float32 xyxy pixels, inside the picture.
        hands: (N,) bool: hands and arms; the others are things.
        visible: (N,) float32, 0..1, share of its area in the picture that nothing covers.
    """

    image: Image
    boxes: NDArray[np.float32]
    hands: NDArray[np.bool_]
    visible: NDArray[np.float32]


class Laid(NamedTuple):
    """A thing or a hand, and the pixel where its anchor lies."""

    sprite: Sprite
    x: float
    y: float
    is_hand: bool

    @property
    def radius(self) -> float:
        """Half of its longer side, pixels."""
        left, top, right, bottom = self.sprite.extent
        return max(right - left, bottom - top) / 2


def scenes(seed: int, side: int = 320) -> Iterator[Scene]:
    """Yield scenes without end; the n-th depends on the seed and n alone."""
    number = 0
    while True:
        yield scene(np.random.default_rng([seed, number]), side)
        number += 1


def scene(rng: np.random.Generator, side: int) -> Scene:
    """Draw one scene."""
    px_cm = side / WIDE_CM
    picture = counter(rng, side)
    placed: list[Laid] = []
    count = 0 if rng.random() < 0.04 else int(rng.choice([1, 2, 4, 7, 12, 20], p=[0.2, 0.2, 0.2, 0.18, 0.14, 0.08]))
    crowd = rng.random() < 0.35
    while len(placed) < count:
        placed += _group(rng, px_cm, side, count - len(placed), placed, crowd)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.72, 0.22, 0.06]))):
        placed.append(_hand(rng, px_cm, side, placed))
    owners: NDArray[np.int16] = np.full(((side + 1) // 2, (side + 1) // 2), -1, np.int16)
    whole = np.zeros(len(placed))
    for number, (sprite, x, y, _) in enumerate(placed):
        lay(picture, sprite, x, y)
        stamp(owners, sprite, x, y, number)
        whole[number] = np.count_nonzero(owners == number)
    seen = np.bincount(owners.ravel() + 1, minlength=len(placed) + 1)[1:]
    boxes, hands, visible = [], [], []
    for number, (sprite, x, y, is_hand) in enumerate(placed):
        if is_hand:  # an arm's box is that of the part that can be seen
            rows, columns = (np.flatnonzero((owners == number).any(axis=axis)) for axis in (1, 0))
            if not len(rows):
                continue
            extent = np.minimum(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) * 2.0, side)
        else:
            extent = np.clip(np.array([x, y, x, y]) + sprite.extent, 0, side)
        if min(extent[2:] - extent[:2]) < 3.0:
            continue
        boxes.append(extent)
        hands.append(is_hand)
        visible.append(min(seen[number] / max(whole[number], 1), 1.0))
    return Scene(
        lit(rng, picture),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(hands, np.bool_),
        np.array(visible, np.float32),
    )


def _group(
    rng: np.random.Generator,
    px_cm: float,
    side: int,
    room: int,
    placed: Sequence[Laid],
    crowd: bool,
) -> list[Laid]:
    """Return one thing, or some of a kind side by side, with their places."""
    painter = PAINTERS[int(rng.integers(len(PAINTERS)))]
    alone = len(placed) == 0 and room <= 2
    smallest, largest = (10.0, 30.0) if alone else (4.0, 19.0 if room < 8 else 11.0)
    size = float(np.exp(rng.uniform(math.log(smallest), math.log(largest))))
    slender = float(np.exp(rng.uniform(math.log(0.45), 0.0)))
    count = min(room, int(rng.choice([1, 2, 3, 4, 5], p=[0.6, 0.1, 0.12, 0.12, 0.06])))
    if count > 1:
        size = min(size, 10.0)
    seed, turn = int(rng.integers(1 << 31)), rng.uniform(0, 2 * math.pi)
    middle = _place(rng, size * px_cm, side, placed, crowd)
    step = size * px_cm * rng.uniform(0.75, 1.1) * (slender if painter is long_thing else 1.0)
    columns = count if painter is long_thing else math.ceil(math.sqrt(count))
    group = []
    for k in range(count):
        own = np.random.default_rng([seed, k])
        angle = (
            turn + own.normal(0, 0.15) if painter in (long_thing, packet, carton, tray_pack) else own.uniform(0, 6.3)
        )
        canvas = Canvas(size * 1.5, size * 1.5, 2 * px_cm, np.random.default_rng(seed))
        canvas.light_from(angle)
        scale = own.uniform(0.9, 1.1)
        height = painter(canvas, size * scale, size * scale * slender)
        sprite = bake(canvas, px_cm, angle, height, float(rng.uniform(0.1, 0.6)))
        offset = np.array([k % columns - (columns - 1) / 2, k // columns]) * step + own.normal(0, 0.06, 2) * step
        if painter is long_thing:
            across = np.array([-math.sin(turn), math.cos(turn)])
            offset = across * offset[0]
        group.append(Laid(sprite, float(middle[0] + offset[0]), float(middle[1] + offset[1]), False))
    return group


def _place(
    rng: np.random.Generator,
    size: float,
    side: int,
    placed: Sequence[Laid],
    crowd: bool,
) -> NDArray[np.float64]:
    """Return a spot (2,): the freest of some, or in a crowd the nearest to the others that still leaves them seen."""
    margin = min(0.3 * size, side / 3)
    spots = rng.uniform(margin, side - margin, (14, 2))
    if not placed:
        return np.asarray(spots[0])
    others, radii = np.array([(laid.x, laid.y) for laid in placed]), np.array([laid.radius for laid in placed])
    free = (np.linalg.norm(spots[:, None] - others[None], axis=2) - radii - size / 2).min(axis=1)
    if crowd and (free > -0.15 * size).any():
        free = np.where(free > -0.15 * size, -np.abs(free), -np.inf)
    return np.asarray(spots[int(free.argmax())])


def _hand(rng: np.random.Generator, px_cm: float, side: int, placed: Sequence[Laid]) -> Laid:
    """Return a hand that comes in over an edge, often to one of the things."""
    canvas = Canvas(ARM_WIDTH_CM, ABOVE_CM + ARM_LENGTH_CM, 1.5 * px_cm, rng, top_cm=ABOVE_CM)
    hand(canvas, "grip" if rng.random() < 0.6 else "flat")
    if placed and rng.random() < 0.7:
        held = placed[int(rng.integers(len(placed)))]
        x, y, half = held.x, held.y, held.radius
    else:
        x, y, half = *rng.uniform(0.1, 0.9, 2) * side, 0.0
    angle = rng.uniform(0, 2 * math.pi)
    # The fingers point along (sin, -cos); they touch the thing's rim from outside.
    x, y = x - math.sin(angle) * half * rng.uniform(0.5, 1.1), y + math.cos(angle) * half * rng.uniform(0.5, 1.1)
    zoom = float(rng.uniform(0.8, 1.5))
    return Laid(bake(canvas, px_cm * zoom, angle, 4.0, 0.4), x, y, True)


def counter(rng: np.random.Generator, side: int) -> Image:
    """Return an empty counter: plain, grained, planked, speckled or checked, sometimes with an edge or a line."""
    bright = rng.random() < 0.6
    base = rng.uniform(150, 250) if bright else rng.uniform(15, 180)
    tone = base + rng.normal(0, 14 if rng.random() < 0.6 else 40, 3)
    yy, xx = np.mgrid[:side, :side].astype(np.float32) / side
    angle = rng.uniform(0, 2 * math.pi)
    along, across = xx * math.cos(angle) + yy * math.sin(angle), yy * math.cos(angle) - xx * math.sin(angle)
    ground = np.zeros((side, side), np.float32)
    kind = rng.choice(["plain", "grain", "planks", "speckle", "checks"], p=[0.5, 0.18, 0.12, 0.12, 0.08])
    if kind in ("grain", "planks"):
        coarse = rng.normal(0, 1, (int(rng.integers(40, 130)), int(rng.integers(3, 9)))).astype(np.float32)
        ground += np.asarray(cv2.resize(coarse, (side, side)), np.float32) * rng.uniform(4, 16)
        if rng.random() < 0.5:
            ground = np.ascontiguousarray(ground.T)
    if kind == "planks":
        ground -= rng.uniform(15, 60) * ((across * rng.uniform(2, 6)) % 1 < 0.02)
    if kind == "speckle":
        grain = rng.normal(0, 1, (side, side)).astype(np.float32)
        ground += np.asarray(cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.6, 2.0)), np.float32) * 30
    if kind == "checks":
        cells = rng.uniform(3, 12)
        ground += rng.uniform(8, 50) * (((along * cells).astype(int) + (across * cells).astype(int)) % 2)
    ground += rng.uniform(-40, 40) * along
    picture = tone[None, None, :] + ground[..., None] * (1 + rng.normal(0, 0.1, 3))
    if rng.random() < 0.35:  # beyond an edge of the counter lies something else
        beyond = rng.uniform(0, 255) * (1 + rng.normal(0, 0.15, 3))
        mask = (across > rng.uniform(0.55, 0.9))[..., None]
        picture = np.where(mask, beyond + ground[..., None] * 0.3, picture)
    if rng.random() < 0.2:
        mask = (np.abs(across - rng.uniform(0.2, 0.8)) < rng.uniform(0.002, 0.008))[..., None]
        picture = np.where(mask, picture * rng.uniform(0.1, 0.6), picture)
    canvas: Image = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:  # a board or a tray under the things
        c = Canvas(WIDE_CM, WIDE_CM, side / WIDE_CM, rng)
        red, green, blue = rng.uniform(60, 250, 3)
        board = jitter(rng, (red, green, blue), 10)
        c.fill(box(0, 0, rng.uniform(24, 38), rng.uniform(20, 36), 0.0, rng.uniform(0.5, 6)), board)
        lay(canvas, bake(c, side / WIDE_CM, rng.normal(0, 0.2), 1.0, 0.3), side / 2, side / 2)
    return canvas


def lit(rng: np.random.Generator, picture: Image) -> Image:
    """Return the picture as a camera sees it: uneven light, a cast of colour, blur, noise."""
    side = picture.shape[0]
    light = cv2.resize(rng.normal(1.0, 0.12, (3, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    cast = 1 + rng.normal(0, 0.06, 3)
    seen = picture.astype(np.float32) * light[..., None] * cast.astype(np.float32)
    if rng.random() < 0.3:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.4, 1.6)), np.float32)
    if rng.random() < 0.1:
        kernel = np.zeros((9, 9), np.float32)
        heading = rng.uniform(0, 2 * math.pi)
        cv2.line(kernel, (4, 4), (round(4 + 4 * math.cos(heading)), round(4 + 4 * math.sin(heading))), 1.0)
        seen = np.asarray(cv2.filter2D(seen, -1, kernel / kernel.sum()), np.float32)
    seen += rng.normal(0, rng.uniform(0.5, 6), seen.shape).astype(np.float32)
    shot: Image = np.clip(seen, 0, 255).astype(np.uint8)
    return shot
