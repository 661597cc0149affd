"""Crops of the synthetic lane: of dishes that the embedder may learn, and of those that it is judged by.

The 36 dishes of the catalogue are split once and for all. LEARNT (every third, of each kind of ware some) may be
trained on; the other 24, TAUGHT, are what the lane's bench teaches from one render each: the embedder never sees them
before. Among the bench's guests LEARNT are the dishes that nobody taught.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.records import HAND
from streams.synthetic.catalogue import BY_NAME, DISH_NAMES, Kind, kind_named
from streams.synthetic.lane import SyntheticLane
from streams.synthetic.presets import preset_named
from streams.synthetic.script import TrayScript, write_script
from training.embedding.crop_set import Crop, CropSet, crop_set
from training.embedding.views import Thing, cut, lane_view, make_props, props_for, teaching_view

LEARNT: tuple[str, ...] = DISH_NAMES[2::3]
TAUGHT: tuple[str, ...] = tuple(name for name in DISH_NAMES if name not in LEARNT)
#: Lanes to learn from, and lanes to choose and report by; those of the product's tests start at 900000.
TRAIN_SEEDS = range(850_500, 850_700)
DEVELOPMENT_SEEDS = range(860_000, 860_100)
#: Of which less can be seen, nobody could tell what it is.
LEAST_VISIBLE = 0.25
#: Lane seconds between two looks.
EVERY_S = 1.1
_PRESETS = ("easy", "medium", "medium", "hard")


def lane_crops(
    seeds: Sequence[int],
    frames: int,
    dishes: Sequence[str] = DISH_NAMES,
    presets: Sequence[str] = _PRESETS,
    most: int = 10_000,
    on_lane: Callable[[int, int], None] = lambda done, of: None,
) -> CropSet:
    """Return crops of lanes, boxes as loose as a detector's, what covers a dish left in.

    Args:
        seeds: one lane each; the presets take turns.
        frames: looks at each lane, `EVERY_S` apart.
        dishes: what lies on the trays; others are replaced by one of these in like ware.
        presets: of the lanes.
        most: crops of one dish.
        on_lane: is told how many lanes are done, of how many.

    Returns:
        The crops; those of one dish on one tray share a group.
    """
    named: list[tuple[str, Crop]] = []
    groups: list[int] = []
    counts = dict.fromkeys(dishes, 0)
    for number, seed in enumerate(seeds):
        preset = presets[number % len(presets)]
        rng = np.random.default_rng([21, seed])
        for image, truth in SyntheticLane(
            seed, preset, fps=1.0 / EVERY_S, script=_scripts(seed, preset, frames, dishes)
        ):
            if truth.index >= frames:
                break
            for at, label in enumerate(truth.labels):
                if label == HAND or truth.visible[at] < LEAST_VISIBLE:
                    continue
                crop = cut(image, truth.boxes[at].astype(np.float64), rng, 0.04)
                if min(crop.shape[:2]) < 12 or counts[label] >= most:
                    continue
                counts[label] += 1
                named.append((label, crop))
                groups.append(seed * 100_000 + int(truth.object_ids[at]))
        on_lane(number + 1, len(seeds))
    return crop_set("lane", named, groups)


def teaching_render(dish: str, seed: int = 0) -> Crop:
    """Return one clean picture of a dish, as the menu's photo: what the bench teaches from."""
    rng = np.random.default_rng([22, DISH_NAMES.index(dish), seed])
    return teaching_view(_thing(dish), rng, make_props(rng, grounds=1, hands=0))


def catalogue_views(dishes: Sequence[str], views: int) -> CropSet:
    """Render dishes of the catalogue as `views.made_up_views` does those that are on no menu."""
    named = []
    props = props_for(np.random.default_rng([24]), views)
    for dish in dishes:
        rng = np.random.default_rng([23, DISH_NAMES.index(dish)])
        thing = _thing(dish)
        named += [
            (dish, teaching_view(thing, rng, props) if view % 2 == 0 else lane_view(thing, rng, props))
            for view in range(views)
        ]
    return crop_set("catalogue", named)


def _thing(dish: str) -> Thing:
    kind = kind_named(dish)
    return Thing(dish, kind.paint, kind.width_cm, kind.height_cm, kind.tall_cm)


def _scripts(seed: int, preset: str, frames: int, dishes: Sequence[str]) -> tuple[TrayScript, ...] | None:
    """Return the lane's own trays with other dishes on them; None leaves the lane as it is."""
    if tuple(dishes) == DISH_NAMES:
        return None
    count = 2 + int(frames * EVERY_S / 5)
    return tuple(
        _replaced(write_script(np.random.default_rng([seed, 3, tray]), preset_named(preset)), dishes, seed + tray)
        for tray in range(1, count + 1)
    )


def _replaced(script: TrayScript, dishes: Sequence[str], turn: int) -> TrayScript:
    items = []
    for at, item in enumerate(script.items):
        kind = BY_NAME[item.name]
        if kind.container != "thing" and item.name not in dishes:
            item = replace(item, name=_like(kind, dishes, turn + at))
        items.append(item)
    return replace(script, items=tuple(items))


def _like(kind: Kind, dishes: Sequence[str], turn: int) -> str:
    """Return a dish of about the same size; which of several changes with `turn`."""
    near = sorted(dishes, key=lambda name: abs(kind_named(name).radius_cm - kind.radius_cm))
    return near[turn % min(4, len(near))]
