"""Views of things: as a lane's camera shows them among others, and as somebody photographs them to teach them.

Both are crops of one thing. A view of the lane lies on a tray or counter, has neighbours over its rim, now and then a
hand, and the light, blur and noise of a cheap camera; a teaching photo is alone and clean. Which of both a crop is must
not matter to an embedder, so every class has both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.synthetic.hands import ABOVE_CM, ARM_LENGTH_CM, ARM_WIDTH_CM, hand
from streams.synthetic.paint import Canvas, Image
from streams.synthetic.sprites import Sprite, bake, lay
from streams.synthetic.things import tray
from training.embedding.crop_set import CropSet, crop_set, shrunk
from training.embedding.made_up_dishes import draw_recipe, serve
from training.randomised import counter, lit
from training.randomised_things import PAINTERS

#: Pixels of the longer side of what is kept of a view.
SIDE = 128
#: Made-up dishes in a row that come in the same ware.
FAMILY = 4
#: Longer side of a thing on the lane's frames, pixels.
ON_LANE = (36.0, 150.0)


@dataclass(frozen=True)
class Thing:
    """One class of things.

    Attributes:
        name: of the class.
        paint: fills a canvas, by the canvas's own generator.
        wide_cm, deep_cm: what it fills.
        tall_cm: for its shadow.
        seed: set for things that look the same each time; None for dishes, whose servings differ.
    """

    name: str
    paint: Callable[[Canvas], object]
    wide_cm: float
    deep_cm: float
    tall_cm: float
    seed: int | None = None


def made_up_dish(number: int) -> Thing:
    """Return the made-up dish of a number; equal numbers are equal dishes, FAMILY in a row have equal ware."""
    family, own = np.random.default_rng([11, number // FAMILY]), np.random.default_rng([15, number])
    recipe = draw_recipe(family, own)
    size = 2 * recipe.radius_cm
    return Thing(f"dish {number}", lambda c: serve(recipe, c), size, size, recipe.tall_cm)


def made_up_packet(number: int) -> Thing:
    """Return the thing of a number, one of `training/randomised_things.py`."""
    rng = np.random.default_rng([12, number])
    painter = PAINTERS[int(rng.integers(len(PAINTERS)))]
    size, slender = float(np.exp(rng.uniform(math.log(6.0), math.log(20.0)))), float(rng.uniform(0.45, 1.0))
    seed = int(rng.integers(1 << 31))
    return Thing(f"thing {number}", lambda c: painter(c, size, size * slender), size, size, 4.0, seed)


def sprite_of(thing: Thing, px: float, angle: float, rng: np.random.Generator) -> Sprite:
    """Paint a thing whose longer side is about `px` pixels, turned by `angle`."""
    px_cm = px / max(thing.wide_cm, thing.deep_cm)
    own = rng if thing.seed is None else np.random.default_rng(thing.seed)
    canvas = Canvas(thing.wide_cm * 1.25 + 2, thing.deep_cm * 1.25 + 2, 1.8 * px_cm, own)
    canvas.light_from(angle)
    thing.paint(canvas)
    return bake(canvas, px_cm, angle, thing.tall_cm, float(rng.uniform(0.2, 0.55)))


@dataclass(frozen=True, eq=False)
class Props:
    """What views are furnished with; drawn once, as to draw it for each view would take most of the time.

    Attributes:
        grounds: counters, often with a canteen's tray on them, (S, S, 3) each.
        hands: reaching, by sprite and angle.
        others: what may lie beside, under or over a thing; grows and forgets.
    """

    grounds: list[Image]
    hands: list[tuple[Sprite, float]]
    others: list[Sprite]


def make_props(rng: np.random.Generator, grounds: int, hands: int) -> Props:
    """Draw grounds and hands."""
    return Props([_ground(rng) for _ in range(grounds)], [_hand(rng) for _ in range(hands)], [])


def props_for(rng: np.random.Generator, views: int) -> Props:
    """Draw grounds and hands enough for `views` views of each class; no more than 48 and 24."""
    return make_props(rng, min(48, 4 * views), min(24, 2 * views))


def lane_view(thing: Thing, rng: np.random.Generator, props: Props) -> Image:
    """Return the crop of a thing on a lane.

    Args:
        thing: what is shown.
        rng: everything that varies.
        props: what lies around it.
    """
    px = float(np.exp(rng.uniform(*np.log(ON_LANE))))
    sprite = sprite_of(thing, px, rng.uniform(0, 2 * math.pi), rng)
    box, side = _middle(sprite, 1.5)
    picture = _floor(rng, props, side)
    middle = side / 2
    count = int(rng.integers(0, 4)) if props.others else 0
    around = [props.others[int(rng.integers(len(props.others)))] for _ in range(count)]
    over = rng.random(count) < 0.4
    spots = [_beside(rng, box, middle, other) for other in around]
    for other, spot, above in zip(around, spots, over, strict=True):
        if not above:
            lay(picture, other, *spot)
    smear = (float(rng.normal(0, 0.03 * px)), 0.0) if rng.random() < 0.2 else (0.0, 0.0)
    lay(picture, sprite, middle, middle, smear)
    for other, spot, above in zip(around, spots, over, strict=True):
        if above:
            lay(picture, other, *spot)
    if rng.random() < 0.12:
        _reach(rng, props, picture, box, middle)
    return cut(lit(rng, picture), (box + middle).astype(np.float64), rng)


def teaching_view(thing: Thing, rng: np.random.Generator, props: Props) -> Image:
    """Return a photo as somebody takes it to teach a thing: alone, large, hardly turned, on a plain ground."""
    sprite = sprite_of(thing, 120.0, float(rng.normal(0, 0.2)), rng)
    box, side = _middle(sprite, 1.15)
    picture = _floor(rng, props, side)
    if rng.random() < 0.5:
        picture[:] = np.clip(rng.uniform(90, 250) + rng.normal(0, 8, 3), 0, 255).astype(np.uint8)
    lay(picture, sprite, side / 2, side / 2)
    return cut(picture, (box + side / 2).astype(np.float64), rng, 0.03)


def cut(picture: Image, box: NDArray[np.float64], rng: np.random.Generator, loose: float = 0.07) -> Image:
    """Return the crop of a box (4,) xyxy whose sides are off as a detector's are.

    Args:
        picture: (H, W, 3).
        box: pixels.
        rng: the jitter.
        loose: standard deviation of each side's error, as a share of the box.
    """
    size = np.tile(box[2:] - box[:2], 2)
    moved = box + np.clip(rng.normal(0, loose, 4), -2.5 * loose, 2.5 * loose) * size
    height, width = picture.shape[:2]
    x1, y1 = np.clip(np.floor(moved[:2]), 0, (width - 4, height - 4)).astype(int)
    x2, y2 = np.clip(np.ceil(moved[2:]), (x1 + 4, y1 + 4), (width, height)).astype(int)
    return shrunk(picture[y1:y2, x1:x2], SIDE)


def made_up_views(
    dishes: range, packets: range, views: int, on_class: Callable[[int, int], None] = lambda done, of: None
) -> CropSet:
    """Render classes that are on no menu, `views` crops each (a quarter of them teaching photos).

    Args:
        dishes: numbers of made-up dishes.
        packets: numbers of things that always look the same.
        views: of each class.
        on_class: is told how many classes are done, of how many.
    """
    things = [made_up_dish(number) for number in dishes] + [made_up_packet(number) for number in packets]
    named = []
    props = props_for(np.random.default_rng([14]), views)
    for done, (kind, number) in enumerate([*((0, n) for n in dishes), *((1, n) for n in packets)]):
        thing = things[done]
        rng = np.random.default_rng([13, kind, number])
        for view in range(views):
            teach = view % 4 == 0
            named.append((thing.name, teaching_view(thing, rng, props) if teach else lane_view(thing, rng, props)))
        px = float(rng.uniform(30, 110))
        props.others.append(sprite_of(thing, px, rng.uniform(0, 6.3), rng))
        del props.others[:-40]
        on_class(done + 1, len(things))
    return crop_set("made up", named)


def _middle(sprite: Sprite, room: float) -> tuple[NDArray[np.float64], int]:
    """Return the sprite's box around its anchor, and the side of a picture that holds it with room around."""
    box = np.array(sprite.extent)
    return box, int(2 * room * np.abs(box).max()) + 8


def _ground(rng: np.random.Generator) -> Image:
    """Return what lies under things: a counter, often with a canteen's tray on it."""
    side, px_cm = 360, 8.0
    picture = counter(rng, side)
    if rng.random() < 0.6:
        canvas = Canvas(46.0, 36.0, 1.2 * px_cm, rng)
        tray(canvas, 44.0, 34.0)
        x, y = side / 2 + rng.uniform(-120, 120, 2)
        lay(picture, bake(canvas, px_cm, float(rng.normal(0, 0.15)), 2.0), float(x), float(y))
    return picture


def _floor(rng: np.random.Generator, props: Props, side: int) -> Image:
    """Return a part of some ground, as large as asked for."""
    ground = props.grounds[int(rng.integers(len(props.grounds)))]
    part = min(side, len(ground))
    x, y = rng.integers(0, len(ground) - part + 1, 2)
    piece = np.rot90(ground[y : y + part, x : x + part], int(rng.integers(4)))
    return np.ascontiguousarray(cv2.resize(piece, (side, side)) if part < side else piece).astype(np.uint8)


def _hand(rng: np.random.Generator) -> tuple[Sprite, float]:
    px_cm, angle = float(rng.uniform(4, 12)), rng.uniform(0, 2 * math.pi)
    canvas = Canvas(ARM_WIDTH_CM, ABOVE_CM + ARM_LENGTH_CM, 1.3 * px_cm, rng, top_cm=ABOVE_CM)
    hand(canvas, "grip" if rng.random() < 0.6 else "flat")
    return bake(canvas, px_cm, angle, 6.0, 0.35), angle


def _beside(rng: np.random.Generator, box: NDArray[np.float64], middle: float, other: Sprite) -> tuple[float, float]:
    """Return a place at which another thing touches or covers a little of this one."""
    angle = rng.uniform(0, 2 * math.pi)
    mine = np.array([box[2] if math.cos(angle) > 0 else -box[0], box[3] if math.sin(angle) > 0 else -box[1]])
    left, top, right, bottom = other.extent
    reach = mine + np.array([right - left, bottom - top]) / 2
    away = rng.uniform(0.72, 1.15)
    return middle + away * reach[0] * math.cos(angle), middle + away * reach[1] * math.sin(angle)


def _reach(rng: np.random.Generator, props: Props, picture: Image, box: NDArray[np.float64], middle: float) -> None:
    """Let a hand reach for the thing."""
    half = float(np.abs(box).max())
    arm, angle = props.hands[int(rng.integers(len(props.hands)))]
    away = half * rng.uniform(0.4, 1.1)
    lay(picture, arm, middle - math.sin(angle) * away, middle + math.cos(angle) * away)
