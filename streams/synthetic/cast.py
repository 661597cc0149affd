"""Who plays in a frame: the sprites of all trays in view, baked ahead of their entry, with their truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.records import HAND
from streams.synthetic.hands import ABOVE_CM, ARM_LENGTH_CM, ARM_WIDTH_CM, hand
from streams.synthetic.motion import Hand, Item, Spot, Stage, TrayRun
from streams.synthetic.paint import Canvas
from streams.synthetic.script import TRAY_CM, TrayScript
from streams.synthetic.sprites import Sprite, bake, stamp
from streams.synthetic.things import tray
from streams.synthetic.truth import FrameTruth, ItemTruth, TrayTruth

_TRAY = -1


@dataclass(frozen=True, eq=False)
class Layer:
    """One sprite in one frame; layers are listed the lowest first.

    Attributes:
        x, y: pixels of its middle.
        smear: its motion blur, pixels.
        label: a dish, `HAND`, or "" for what has no truth.
    """

    sprite: Sprite
    x: float
    y: float
    smear: tuple[float, float]
    object_id: int
    label: str
    tray_id: int
    in_zone: bool


@dataclass(frozen=True)
class Scale:
    """What turns plans into pixels: the stage, pixels per cm, shutter time, and random numbers by (tray, part)."""

    stage: Stage
    px_cm: float
    exposure_s: float
    rng: Callable[[int, int], np.random.Generator]


class _Cast:
    """One tray's plan with its sprites."""

    def __init__(self, run: TrayRun, scale: Scale) -> None:
        self.run, self._scale = run, scale
        self._sprites: dict[int, Sprite] = {}
        self._jobs: list[Callable[[], None]] = [self._bake_tray]
        self._jobs += [partial(self._bake_item, item) for item in run.items]
        self._jobs += [partial(self._bake_hand, arm) for arm in run.hands]

    def prepare(self, everything: bool = False) -> None:
        """Bake one sprite, or all that are missing."""
        while self._jobs:
            self._jobs.pop(0)()
            if not everything:
                return

    def _canvas(self, size: tuple[float, float], part: int, fine: float, top_cm: float | None = None) -> Canvas:
        # Large frames need less supersampling: their own pixels are fine enough.
        limit = max(14.0, 1.5 * self._scale.px_cm)
        px_cm = max(min(self._scale.px_cm * fine, limit), 8.0)
        return Canvas(*size, px_cm, self._scale.rng(self.run.tray_id, part), top_cm)

    def _bake_tray(self) -> None:
        canvas = self._canvas((TRAY_CM[0] + 2, TRAY_CM[1] + 2), 0, 1.6)
        tray(canvas, *TRAY_CM)
        self._sprites[_TRAY] = bake(canvas, self._scale.px_cm, self.run.script.tilt, 2.0)

    def _bake_item(self, item: Item) -> None:
        part = item.object_id % 100 + 1
        size = float(self._scale.rng(self.run.tray_id, part + 100).uniform(*item.kind.sizes))
        canvas = self._canvas((item.kind.width_cm + 3, item.kind.height_cm + 3), part, 2.5)
        canvas.light_from(item.angle)
        item.kind.paint(canvas)
        canvas.px_cm /= size
        self._sprites[item.object_id] = bake(canvas, self._scale.px_cm, item.angle, item.kind.tall_cm)

    def _bake_hand(self, arm: Hand) -> None:
        # One guest has one skin and one sleeve; whoever reaches over from the other side is somebody else.
        part = 98 if arm.axis[1] < 0 else 99
        canvas = self._canvas((ARM_WIDTH_CM, ABOVE_CM + ARM_LENGTH_CM), part, 1.8, ABOVE_CM)
        canvas.light_from(arm.angle)
        hand(canvas, arm.pose)
        self._sprites[arm.object_id] = bake(canvas, self._scale.px_cm, arm.angle, 9.0, 0.34)

    def layers(self, t: float) -> list[Layer]:
        """Return this tray's sprites at a time: tray, what lies on it, what is carried, arms."""
        self.prepare(everything=True)
        run, before = self.run, t - self._scale.exposure_s
        spot, earlier = run.tray_at(t), run.tray_at(before)
        lying: list[Layer] = []
        carried: list[Layer] = []
        arms: list[Layer] = []
        for item in run.items:
            now = item.at(t, spot)
            if now is not None:
                past = item.at(before, earlier)
                label = "" if item.kind.container == "thing" else item.kind.name
                layer = self._layer(item.object_id, now[0], past[0] if past else now[0], label)
                (carried if now[1] else lying).append(layer)
        for arm in run.hands:
            at = arm.at(t, spot)
            if at is not None:
                arms.append(self._layer(arm.object_id, at, arm.at(before, earlier) or at, HAND))
        return [self._layer(_TRAY, spot, earlier, ""), *lying, *carried, *arms]

    def _layer(self, object_id: int, at: Spot, before: Spot, label: str) -> Layer:
        k = self._scale.px_cm
        smear = ((at[0] - before[0]) * k, (at[1] - before[1]) * k)
        inside = label not in ("", HAND) and self._scale.stage.in_zone(*at)
        return Layer(self._sprites[object_id], at[0] * k, at[1] * k, smear, object_id, label, self.run.tray_id, inside)


class Ensemble:
    """The trays that are planned or in view, and the times at which their things were seen in the zone.

    Args:
        scripts: gives the script of tray 1, 2, …, or None after the last.
        scale: plans to pixels.
        dt_s: time between frames.
        tail_s: how long the lane goes on after its last tray.
    """

    def __init__(
        self, scripts: Callable[[int], TrayScript | None], scale: Scale, dt_s: float, tail_s: float = 2.5
    ) -> None:
        self._scripts, self._scale, self._dt, self._tail_s = scripts, scale, dt_s, tail_s
        self._casts: list[_Cast] = []
        self._next_id, self._clear_s, self._last_s = 1, -1.0, 0.0
        self._seen: dict[int, tuple[float, float]] = {}
        self.finished: list[TrayTruth] = []
        self._plan()

    def _plan(self) -> None:
        """Plan the next tray, if there is one."""
        script = self._scripts(self._next_id)
        if script is None:
            return
        run = TrayRun(self._next_id, script, self._scale.stage, self._clear_s, self._scale.rng(self._next_id, 200))
        self._casts.append(_Cast(run, self._scale))
        self._next_id, self._clear_s, self._last_s = self._next_id + 1, run.clear_s, run.end_s

    def over(self, t: float) -> bool:
        """Return whether the last tray has left and the tail has passed."""
        return not self._casts and t > self._last_s + self._tail_s

    def layers(self, t: float) -> list[Layer]:
        """Return all sprites of a moment, and look ahead: plan and bake the tray that comes next."""
        for cast in [cast for cast in self._casts if cast.run.end_s < t]:
            self._casts.remove(cast)
            self._finish(cast.run)
        if not self._casts or self._casts[-1].run.stop_s <= t:
            self._plan()
        waiting = [cast for cast in self._casts if cast.run.start_s > t + self._dt]
        if waiting:
            waiting[0].prepare()
        layers = [layer for cast in self._casts if cast.run.start_s <= t for layer in cast.layers(t)]
        return [x for x in layers if x.label != HAND] + [x for x in layers if x.label == HAND]

    def shade_at(self, t: float) -> float | None:
        """Return where a passing shadow's middle is, as a share of the width, or None: it comes, lingers and goes."""
        for cast in self._casts:
            run = cast.run
            begin, end = run.stop_s - 0.6, run.stop_s + run.script.dwell_s
            if run.script.shade and begin <= t <= end:
                share = (t - begin) / (end - begin)
                drift = 0.1 * math.sin(4 * share + run.tray_id)
                return 1.45 - 0.95 * math.sqrt(math.sin(math.pi * share)) + drift
        return None

    def note(self, truth: FrameTruth) -> None:
        """Keep from when to when each object was in the zone."""
        for object_id in truth.object_ids[truth.in_zone].tolist():
            first = self._seen.get(object_id, (truth.t_s, 0.0))[0]
            self._seen[object_id] = (first, truth.t_s + self._dt)

    def _finish(self, run: TrayRun) -> None:
        items: list[ItemTruth] = []
        bill: dict[str, int] = {}
        for item in run.items:
            span = self._seen.pop(item.object_id, None)
            if item.kind.container == "thing" or span is None:
                continue
            items.append(ItemTruth(item.object_id, item.kind.name, *span, item.stays))
            if item.stays:
                bill[item.kind.name] = bill.get(item.kind.name, 0) + 1
        begin = min((item.t_in_s for item in items), default=run.stop_s)
        end = max((item.t_out_s for item in items), default=run.stop_s + run.script.dwell_s)
        self.finished.append(TrayTruth(run.tray_id, begin, end, tuple(items), bill))


def frame_truth(
    index: int, t: float, layers: list[Layer], shift: tuple[float, float], width: int, height: int
) -> FrameTruth:
    """Return the truth of a frame from its layers; `shift` is the camera's shake, pixels."""
    owners: NDArray[np.int16] = np.full(((height + 1) // 2, (width + 1) // 2), -1, np.int16)
    arms: dict[int, tuple[NDArray[np.float64], int]] = {}
    for number, layer in enumerate(layers):
        stamp(owners, layer.sprite, layer.x, layer.y, number)
        if layer.label == HAND:
            arms[number] = _inside_frame(owners == number)
    seen = np.bincount(owners.ravel() + 1, minlength=len(layers) + 1)[1:]
    limit = np.array([width, height, width, height], np.float64)
    rows, boxes, visible = [], [], []
    for number, layer in enumerate(layers):
        if not layer.label:
            continue
        extent, whole = arms.get(number, (layer.sprite.extent, layer.sprite.area))
        middle = np.zeros(2) if number in arms else np.array([layer.x, layer.y])
        box = np.clip(np.tile(middle + shift, 2) + extent, 0, limit)
        if min(box[2] - box[0], box[3] - box[1]) < 1.0:
            continue
        rows.append(layer)
        boxes.append(box)
        visible.append(min(seen[number] / max(whole, 1), 1.0))
    return FrameTruth(
        index=index,
        t_s=t,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        object_ids=np.array([row.object_id for row in rows], np.int64),
        labels=tuple(row.label for row in rows),
        visible=np.array(visible, np.float32),
        tray_ids=np.array([row.tray_id for row in rows], np.int64),
        in_zone=np.array([row.in_zone for row in rows], np.bool_),
    )


def _inside_frame(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Return the box (pixels of the full frame) and the half-resolution area of an arm inside the frame."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4), 0
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1]) * 2.0, int(np.count_nonzero(mask))
