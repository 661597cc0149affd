"""What happens on one tray: which things lie where, which hands come when. Written by a test or drawn from a preset."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from streams.synthetic.catalogue import DISHES, THINGS, Kind, kind_named
from streams.synthetic.presets import Preset

TRAY_CM = (46.0, 36.0)

ActKind = Literal["put", "take", "cover", "move"]
Side = Literal["bottom", "top"]


@dataclass(frozen=True)
class Placed:
    """One thing of a tray: its kind and its place relative to the tray's middle (None: anywhere that is free)."""

    name: str
    x_cm: float | None = None
    y_cm: float | None = None
    angle: float | None = None


@dataclass(frozen=True)
class Act:
    """What one hand does.

    Attributes:
        kind: "put" brings the item (an item whose first act is "put" is not there before), "take" carries it off,
            "cover" lays a flat hand over it, "move" carries it to `to`. A "take" followed by a "put" of one item is
            a dish that leaves and returns.
        item: index into `TrayScript.items`.
        at_s: when the hand touches, seconds after the tray stopped.
        hold_s: how long it rests there.
        side: from where the arm reaches in.
        to: new place for "move", cm relative to the tray's middle.
        lean: turn of the arm away from straight, radians.
    """

    kind: ActKind
    item: int
    at_s: float
    hold_s: float = 0.25
    side: Side = "bottom"
    to: tuple[float, float] = (0.0, 0.0)
    lean: float = 0.15


@dataclass(frozen=True)
class TrayScript:
    """One tray from arrival to departure.

    Attributes:
        items: dishes and other things, the lowest first.
        acts: of hands.
        dwell_s: how long the tray stands.
        pause_s: how long the zone has been clear before this tray's things may come into it.
        push: whether a hand pushes the tray in.
        queue: whether the tray waits at the left edge first.
        tilt: turn of the tray, radians.
        slide_s: duration of sliding in and of sliding out.
        shade: whether a shadow passes over.
    """

    items: tuple[Placed, ...]
    acts: tuple[Act, ...] = ()
    dwell_s: float = 5.0
    pause_s: float = 1.8
    push: bool = False
    queue: bool = False
    tilt: float = 0.0
    slide_s: tuple[float, float] = (1.8, 1.8)
    shade: bool = False

    def __post_init__(self) -> None:
        for item in self.items:
            kind_named(item.name)
        for act in self.acts:
            if not 0 <= act.item < len(self.items):
                raise ValueError(f"act {act.kind!r} names item {act.item}, the tray has {len(self.items)}")
        if self.dwell_s <= 0 or self.pause_s < 0:
            raise ValueError(f"dwell_s {self.dwell_s} must be positive and pause_s {self.pause_s} not negative")


Disc = tuple[float, float, float]


def discs(kind: Kind, x: float, y: float, angle: float, scale: float = 1.0) -> list[Disc]:
    """Return the circles (x, y, radius) that stand for a thing when free room is sought: long things have several."""
    long, short = max(kind.width_cm, kind.height_cm) * scale, min(kind.width_cm, kind.height_cm) * scale
    if long < 1.3 * short:
        return [(x, y, (long + short) / 4)]
    along = angle if kind.width_cm >= kind.height_cm else angle + math.pi / 2
    reach = (long - short) / 2
    count = max(2, math.ceil(long / short))
    steps = np.linspace(-reach, reach, count)
    return [(x + d * math.cos(along), y + d * math.sin(along), short / 2) for d in steps.tolist()]


def depth(a: list[Disc], b: list[Disc]) -> float:
    """Return how deep two things overlap, as a share of the smaller radius; 0 or less: apart."""
    return max((r + s - math.hypot(x - u, y - v)) / min(r, s) for x, y, r in a for u, v, s in b)


def _outside(own: list[Disc]) -> float:
    """Return how far (cm) a thing hangs over the tray's edge."""
    hw, hh = TRAY_CM[0] / 2 - 1.0, TRAY_CM[1] / 2 - 1.0
    return max(max(abs(x) + r - hw, abs(y) + r - hh) for x, y, r in own)


def place(
    rng: np.random.Generator, kind: Kind, taken: list[list[Disc]], overlap: float, tries: int = 90
) -> tuple[float, float, float] | None:
    """Return a place x, y, angle on the tray with no more than `overlap` over anything, or None when it is full."""
    for _ in range(tries):
        x, y = (
            rng.uniform(-TRAY_CM[0] / 2 + 3, TRAY_CM[0] / 2 - 3),
            rng.uniform(-TRAY_CM[1] / 2 + 3, TRAY_CM[1] / 2 - 3),
        )
        angle = rng.uniform(0, 2 * math.pi)
        own = discs(kind, x, y, angle)
        if _outside(own) < 0.6 and all(depth(own, other) < overlap for other in taken):
            return x, y, angle
    return None


_WEIGHTS = {"main": 0.30, "side": 0.16, "dessert": 0.14, "drink": 0.2, "bread": 0.09, "fruit": 0.07, "snack": 0.04}


def _draw_dishes(rng: np.random.Generator, preset: Preset) -> list[Kind]:
    """Draw what somebody has on a tray: mostly one main dish, then sides, drinks, desserts, and equal ones."""
    count = int(rng.integers(preset.dishes[0], preset.dishes[1] + 1))
    chosen: list[Kind] = []
    categories, weights = list(_WEIGHTS), np.array(list(_WEIGHTS.values()))
    while len(chosen) < count:
        odds = weights.copy()
        mains = sum(kind.category == "main" for kind in chosen)
        odds[0] = (0.75, 0.06, 0.0)[min(mains, 2)]
        category = categories[int(rng.choice(len(categories), p=odds / odds.sum()))]
        options = [kind for kind in DISHES if kind.category == category]
        kind = options[int(rng.integers(len(options)))]
        chosen.append(kind)
        while rng.random() < preset.equal_p and len(chosen) < count:
            chosen.append(kind)
    return sorted(chosen, key=lambda kind: -kind.radius_cm)


def write_script(rng: np.random.Generator, preset: Preset) -> TrayScript:
    """Draw one tray of a preset."""
    items: list[Placed] = []
    taken: list[list[Disc]] = []
    plates: list[Placed] = []
    for kind in _draw_dishes(rng, preset):
        spot = None
        if plates and kind.radius_cm < 6 and rng.random() < preset.stack_p:
            spot = _on_rim(rng, plates[int(rng.integers(len(plates)))], kind, taken)
        spot = spot or place(rng, kind, taken, preset.overlap)
        if spot is None:
            continue
        items.append(Placed(kind.name, *spot))
        taken.append(discs(kind, *spot))
        if kind.container == "plate":
            plates.append(items[-1])
    lowest: list[Placed] = []
    for _ in range(int(rng.integers(preset.things[0], preset.things[1] + 1))):
        kind = THINGS[int(rng.integers(len(THINGS)))]
        spot = place(rng, kind, taken, max(preset.overlap, 0.3) if kind.name == "napkin" else preset.overlap * 2)
        if spot is not None:
            placed = Placed(kind.name, *spot)
            (lowest if kind.name in ("napkin", "fork", "knife", "spoon") else items).append(placed)
            taken.append(discs(kind, *spot))
    script = TrayScript(
        items=(*lowest, *items),
        dwell_s=float(rng.uniform(*preset.dwell_s)),
        pause_s=float(rng.uniform(*preset.pause_s)),
        push=bool(rng.random() < preset.push_p),
        queue=bool(rng.random() < preset.queue_p),
        tilt=float(rng.uniform(-preset.tilt, preset.tilt)),
        slide_s=(float(rng.uniform(1.4, 2.4)), float(rng.uniform(1.3, 2.2))),
        shade=bool(rng.random() < preset.shade_p),
    )
    return _add_acts(rng, preset, script, taken)


def _on_rim(
    rng: np.random.Generator, plate: Placed, kind: Kind, taken: list[list[Disc]]
) -> tuple[float, float, float] | None:
    """Return a place on the rim of a plate that is clear of everything else."""
    if plate.x_cm is None or plate.y_cm is None:
        return None
    base = discs(kind_named(plate.name), plate.x_cm, plate.y_cm, plate.angle or 0.0)
    for _ in range(30):
        a = rng.uniform(0, 2 * math.pi)
        r = kind_named(plate.name).radius_cm * rng.uniform(0.85, 1.05)
        x, y, angle = plate.x_cm + r * math.cos(a), plate.y_cm + r * math.sin(a), rng.uniform(0, 2 * math.pi)
        own = discs(kind, x, y, angle)
        if _outside(own) < 0.6 and all(depth(own, other) < 0.1 for other in taken if other != base):
            return x, y, angle
    return None


def _add_acts(rng: np.random.Generator, preset: Preset, script: TrayScript, taken: list[list[Disc]]) -> TrayScript:
    """Let hands do something while the tray stands, one after the other."""
    acts: list[Act] = []
    items = list(script.items)
    dishes = [i for i, item in enumerate(items) if kind_named(item.name).container != "thing"]
    gone: set[int] = set()
    clock = float(rng.uniform(0.9, 1.6))
    for _ in range(int(rng.integers(preset.acts[0], preset.acts[1] + 1))):
        left = [i for i in dishes if i not in gone]
        if not left:
            break
        item = left[int(rng.integers(len(left)))]
        side: Side = "top" if rng.random() < 0.25 else "bottom"
        lean, draw = float(rng.uniform(-0.45, 0.45)), rng.random()
        act = Act("cover", item, clock, float(rng.uniform(0.5, 1.4)), side, lean=lean)
        if draw < 0.3 and not any(a.item == item for a in acts):
            act = replace(act, kind="put", hold_s=0.25)
        elif draw < 0.45 and len(left) > 1:
            act = replace(act, kind="take", hold_s=0.25)
            gone.add(item)
            if rng.random() < 0.45:
                acts.append(act)
                clock += float(rng.uniform(1.6, 2.4))
                act = replace(act, kind="put", at_s=clock)
                gone.discard(item)
        elif draw < 0.62:
            spot = place(rng, kind_named(items[item].name), taken, preset.overlap)
            if spot is not None:
                act = replace(act, kind="move", hold_s=0.25, to=spot[:2])
                taken.append(discs(kind_named(items[item].name), *spot))
        acts.append(act)
        clock += act.hold_s + float(rng.uniform(1.3, 2.0))
    dwell = max(script.dwell_s, clock - 0.5) if acts else script.dwell_s
    return replace(script, acts=tuple(acts), dwell_s=dwell)
