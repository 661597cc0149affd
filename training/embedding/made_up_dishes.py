"""Dishes that nobody sells: a recipe drawn at random is a class, and every serving of it looks a little different.

A thing of `training/randomised_things.py` looks the same each time it is painted, as a packet does. A dish does not:
fries lie elsewhere, the sauce runs another way. An embedder must learn which of these differences are none. A recipe
fixes ware, colours, and kinds of components; a serving draws places, numbers and outlines anew. Recipes come in
families of equal ware, as a canteen's do: what tells siblings apart is what lies on the plate, never the plate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from streams.synthetic.paint import Canvas, Colour, blob, box, ellipse, jitter, mix

WARES = ("plate", "plate", "bowl", "bowl", "cup", "glass", "dish", "bare", "bare")
COMPONENTS = ("lumps", "sticks", "strands", "slices", "sauce", "swirl", "leaves", "cubes")

_FOOD: tuple[Colour, ...] = (
    *((238, 196, 84), (190, 110, 40), (120, 62, 30), (60, 30, 18), (226, 170, 98), (246, 236, 200)),
    *((196, 62, 28), (226, 82, 30), (150, 20, 40), (116, 14, 56), (240, 126, 168), (246, 190, 50)),
    *((92, 124, 34), (138, 166, 62), (56, 112, 36), (158, 204, 98), (236, 138, 8), (150, 92, 30)),
)
_CHINA: tuple[Colour, ...] = (
    *((240, 238, 232), (230, 224, 210), (222, 228, 232), (44, 42, 46), (150, 98, 54)),
    *((196, 208, 208), (34, 96, 112), (176, 190, 200)),
)


@dataclass(frozen=True)
class Component:
    """One part of a dish.

    Attributes:
        kind: one of COMPONENTS.
        palette: its colours.
        size: of one piece, as a share of the dish's radius.
        count: of pieces, before a serving varies it.
        spread: how far from its middle pieces lie, as a share of the radius.
        place: its middle, as shares of the radius.
    """

    kind: str
    palette: tuple[Colour, ...]
    size: float
    count: int
    spread: float
    place: tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """What makes servings of one dish alike.

    Attributes:
        ware: what it is served in; "bare" for nothing.
        china: colour of the ware.
        radius_cm: of the whole.
        slender: width over length, for what is not round.
        ground: dark and light of what fills the ware; None shows its bottom.
        components: the lowest first.
        tall_cm: height, for its shadow.
    """

    ware: str
    china: Colour
    radius_cm: float
    slender: float
    ground: tuple[Colour, Colour] | None
    components: tuple[Component, ...]
    tall_cm: float


def draw_recipe(rng: np.random.Generator, own: np.random.Generator | None = None) -> Recipe:
    """Draw a dish.

    Args:
        rng: of its family: ware, china, size.
        own: of what is in it; siblings have equal `rng` and differ in this. None: `rng` goes on.
    """
    ware = WARES[int(rng.integers(len(WARES)))]
    china = jitter(rng, _CHINA[int(rng.integers(len(_CHINA)))], 10)
    size, slender, tall = rng.uniform(0, 1), float(rng.uniform(0.35, 1.0)), float(rng.uniform(2, 7))
    rng = rng if own is None else own
    radius = {"plate": (10, 12.5), "bowl": (5, 9), "cup": (5.5, 8), "glass": (3.5, 5), "dish": (6, 11), "bare": (3, 8)}
    if ware == "cup" or ware == "glass":
        count = int(rng.choice([0, 1, 2], p=[0.35, 0.45, 0.2]))
    else:
        count = int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
    filled = ware in ("cup", "glass", "bare") or rng.random() < 0.5
    tone = _food(rng)
    contrast = rng.uniform(0.08, 0.35)
    return Recipe(
        ware,
        china,
        float(radius[ware][0] + size * (radius[ware][1] - radius[ware][0])),
        slender if ware in ("dish", "bare") else 1.0,
        (mix(tone, (0.0, 0.0, 0.0), contrast), mix(tone, (255.0, 255.0, 255.0), contrast)) if filled else None,
        tuple(_component(rng) for _ in range(count)),
        tall,
    )


def serve(recipe: Recipe, c: Canvas) -> None:
    """Paint one serving around the canvas's middle; what varies comes from the canvas's generator."""
    radius = recipe.radius_cm
    inner = _ware(recipe, c)
    if recipe.ground is not None:
        rng = c.rng
        rough = 0.06 if recipe.ware == "bare" else 0.02
        surface = blob(rng, 0, 0, inner, inner * recipe.slender, 0, rough)
        mask = c.mask(surface)
        c.texture(mask, jitter(rng, recipe.ground[0], 5), jitter(rng, recipe.ground[1], 5), 0.18 * radius, 0.9)
        c.bulge(mask, 0.2 * radius, 0.7 if recipe.ware == "bare" else -0.35, 0.15)
    body = c.alpha.copy()
    for component in recipe.components:
        _lay(component, c, inner, recipe.slender)
    if recipe.ware == "bare":  # nothing hangs in the air beside a bun
        np.minimum(c.alpha, np.asarray(cv2.dilate(body, np.ones((5, 5), np.uint8)), np.uint8), out=c.alpha)


def _food(rng: np.random.Generator) -> Colour:
    if rng.random() < 0.2:
        red, green, blue = rng.uniform(20, 250, 3)
        return float(red), float(green), float(blue)
    return jitter(rng, _FOOD[int(rng.integers(len(_FOOD)))], 16)


def _component(rng: np.random.Generator) -> Component:
    kind = COMPONENTS[int(rng.integers(len(COMPONENTS)))]
    angle, off = rng.uniform(0, 2 * math.pi), rng.choice([0.0, rng.uniform(0.1, 0.45)])
    return Component(
        kind,
        tuple(_food(rng) for _ in range(int(rng.integers(1, 4)))),
        float(np.exp(rng.uniform(math.log(0.06), math.log(0.3)))),
        int(rng.integers(3, 45)),
        float(rng.uniform(0.25, 0.8)),
        (float(off * math.cos(angle)), float(off * math.sin(angle))),
    )


def _ware(recipe: Recipe, c: Canvas) -> float:
    """Paint what the dish is served in; return the radius that is left for food."""
    rng, radius = c.rng, recipe.radius_cm
    if recipe.ware == "bare":
        return radius
    china = jitter(rng, recipe.china, 4)
    dish = recipe.ware == "dish"
    outline = box(0, 0, 2 * radius, 2 * radius * recipe.slender, 0, 1.0) if dish else ellipse(0, 0, radius, radius)
    c.fill(outline, china)
    c.bulge(c.mask(outline), 0.1 * radius, 0.28)
    share = {"plate": 0.74, "bowl": 0.84, "cup": 0.55, "glass": 0.86, "dish": 0.86}[recipe.ware]
    if recipe.ware == "cup":
        c.bulge(c.mask(outline * 0.72), 0.14 * radius, -0.3)
        c.fill(box(0.72 * radius, 0, 0.36 * radius, 0.15 * radius, 0, 0.3), china)
        c.fill(outline * 0.6, mix(china, (255.0, 255.0, 255.0), 0.3))
    well = outline * np.float32(share)
    c.fill(well, mix(china, (120.0, 120.0, 120.0), 0.08))
    c.bulge(c.mask(well), 0.12 * radius, -0.3)
    return radius * share * 0.96


def _lay(part: Component, c: Canvas, radius: float, slender: float) -> None:
    """Lay one component's pieces."""
    rng = c.rng
    x, y = (np.array(part.place) + rng.normal(0, 0.06, 2)) * radius * (1, slender)
    spread = part.spread * radius * rng.uniform(0.85, 1.15)
    count = max(1, round(part.count * rng.uniform(0.75, 1.25)))
    size = part.size * radius
    places = c.scatter(count, x, y, spread, spread * slender)
    if part.kind in ("lumps", "leaves"):
        axes = (size, size * (0.85 if part.kind == "lumps" else 0.5))
        c.pieces(places, axes, part.palette, 0.1 if part.kind == "lumps" else 0.28, 0.6, 0.3)
    elif part.kind == "strands":
        c.strands(count * 2, x, y, spread, 0.05 * radius, part.palette, 2.0)
    elif part.kind == "slices":
        for px, py in places[: max(2, count // 4)]:
            colour = jitter(rng, part.palette[0], 8)
            c.disc(px, py, size * 1.1, mix(colour, (30.0, 20.0, 10.0), 0.4))
            c.disc(px, py, size, colour)
            c.disc(px, py, size * 0.75, jitter(rng, part.palette[-1], 8))
    elif part.kind == "sauce":
        mask = c.mask(blob(rng, x, y, spread, spread * slender * rng.uniform(0.8, 1.1), 0, 0.16))
        c.texture(mask, mix(part.palette[0], (0.0, 0.0, 0.0), 0.25), part.palette[-1], 0.7, 1.1)
        c.bulge(mask, 0.1 * radius, 0.5, 0.2)
    elif part.kind == "swirl":
        t, r = np.linspace(0, rng.uniform(7, 11), 60), np.linspace(0.1, 1.0, 60) * spread
        line = np.stack([x + r * np.cos(t), y + r * np.sin(t) * slender], axis=1).astype(np.float32)
        c.line(line, 0.4 * size, part.palette[0])
    else:
        long, short = (size * 4, size * 0.7) if part.kind == "sticks" else (size * 1.6, size * 1.5)
        for px, py in places:
            angle, colour = rng.uniform(0, math.pi), jitter(rng, part.palette[int(rng.integers(len(part.palette)))], 8)
            c.fill(box(px + 0.1, py + 0.12, long, short, angle, 0.2), mix(colour, (50.0, 25.0, 5.0), 0.5))
            c.fill(box(px, py, long * 0.95, short * 0.9, angle, 0.2), colour)
            c.fill(box(px - 0.06, py - 0.06, long * 0.8, short * 0.35, angle), mix(colour, (255.0, 250.0, 230.0), 0.3))
