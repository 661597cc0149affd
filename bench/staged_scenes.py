"""Trays that test one rule each: what lies on them and what hands do is written here, not drawn by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.synthetic.script import Act, Placed, TrayScript

#: One dish of each kind of vessel, so that a rule is not tested on one picture alone.
DISHES = ("apple", "coffee", "tomato_soup", "muffin", "orange_juice", "beet_salad", "yoghurt", "bread_roll")


@dataclass(frozen=True)
class Scene:
    """A rule: how many lines each of its trays must have."""

    name: str
    lines: int
    tray: Callable[[str], TrayScript]

    def trays(self, seed: int) -> tuple[TrayScript, ...]:
        """Return one tray per dish."""
        del seed  # the lane's own seed varies textures and light
        return tuple(self.tray(dish) for dish in DISHES)


def _side_by_side(dish: str) -> TrayScript:
    return TrayScript((Placed(dish, -9.5, 0.0), Placed(dish, 9.5, 0.0)), dwell_s=4.0, pause_s=4.0)


def _one_second_apart(dish: str) -> TrayScript:
    acts = (Act("put", 0, 1.0), Act("put", 1, 2.0, side="top"))
    return TrayScript((Placed(dish, -9.5, 3.0), Placed(dish, 9.5, -3.0)), acts, dwell_s=6.0, pause_s=4.0)


def _leaves_and_returns(dish: str) -> TrayScript:
    acts = (Act("take", 0, 1.5), Act("put", 0, 3.9))
    return TrayScript((Placed(dish, 0.0, 4.0),), acts, dwell_s=7.0, pause_s=4.0)


def _no_goods(dish: str) -> TrayScript:
    del dish
    things = (Placed("phone", -13.0, 0.0), Placed("keys", 0.0, 5.0), Placed("napkin", 13.0, 0.0))
    return TrayScript(things, (Act("cover", 0, 1.0, 1.0), Act("cover", 1, 3.5, 0.8)), dwell_s=6.0, pause_s=4.0)


SCENES = {
    scene.name: scene
    for scene in (
        Scene("equal_side_by_side", 2, _side_by_side),
        Scene("equal_one_second_apart", 2, _one_second_apart),
        Scene("leaves_and_returns", 1, _leaves_and_returns),
        Scene("phone_keys_and_hand", 0, _no_goods),
    )
}
