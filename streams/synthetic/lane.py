"""The lane: trays come and go, frame after frame, with the truth about each.

One seed gives one lane, byte for byte. What happens depends on the seed alone; resolution and frame rate only change how
finely it is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.records import HAND
from streams.synthetic.camera import Camera
from streams.synthetic.catalogue import DISH_NAMES
from streams.synthetic.counter import paint_counter
from streams.synthetic.hands import ABOVE_CM, ARM_LENGTH_CM, ARM_WIDTH_CM, hand
from streams.synthetic.motion import Hand, Item, Stage, TrayRun
from streams.synthetic.paint import Canvas, Image
from streams.synthetic.presets import preset_named
from streams.synthetic.script import TRAY_CM, TrayScript, write_script
from streams.synthetic.sprites import Sprite, bake, lay, stamp
from streams.synthetic.things import tray
from streams.synthetic.truth import FrameTruth, ItemTruth, TrayTruth

#: The stop position of trays as a polygon relative to the frame, for configurations.
TRAY_ZONE = "0.28,0.20,0.72,0.20,0.72,0.84,0.28,0.84"
_ZONE = (0.28, 0.20, 0.72, 0.84)
#: The view shows at least this much of the counter, cm.
_VIEW_CM = (130.0, 73.0)
_MIN_SIDE = 64
#: After the last tray the lane goes on for this long, so that bills can close.
_TAIL_S = 2.5


@dataclass(eq=False)
class _Layer:
    """One sprite in one frame, the lowest first."""

    sprite: Sprite
    x: float
    y: float
    smear: tuple[float, float]
    object_id: int
    label: str
    tray_id: int
    in_zone: bool


class SyntheticLane:
    """A seeded canteen lane seen from above.

    Args:
        seed: equal seeds give equal lanes.
        preset: "easy", "medium" or "hard".
        width, height: of the frames, pixels, 64 or more.
        fps: frames per second.
        script: trays to show in this order instead of drawn ones; the lane ends after them.
        trays: end after this many trays; None goes on for ever (or to the end of the script).

    Attributes:
        labels: dish names, then `HAND`.
        finished_trays: truth of the trays that have left, in order.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        seed: int,
        preset: str = "medium",
        width: int = 640,
        height: int = 360,
        fps: float = 20.0,
        script: Sequence[TrayScript] | None = None,
        trays: int | None = None,
    ) -> None:
        if min(width, height) < _MIN_SIDE or not 0 < fps <= 240 or seed < 0:
            raise ValueError(f"size {width}x{height} must be 64 or more, fps {fps} in 0..240, seed {seed} not negative")
        if trays is not None and trays < 1:
            raise ValueError(f"trays must be 1 or more, got {trays}; leave it out for an endless lane")
        self.seed, self.preset, self.width, self.height, self.fps = seed, preset_named(preset), width, height, fps
        self.labels: tuple[str, ...] = (*DISH_NAMES, HAND)
        self.finished_trays: list[TrayTruth] = []
        self._script = None if script is None else tuple(script)
        self._limit = trays if self._script is None else min(trays or len(self._script), len(self._script))
        self.px_cm = min(width / _VIEW_CM[0], height / _VIEW_CM[1])
        w, h = width / self.px_cm, height / self.px_cm
        self.stage = Stage(w, h, (_ZONE[0] * w, _ZONE[1] * h, _ZONE[2] * w, _ZONE[3] * h))

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], FrameTruth]]:
        """Yield (H, W, 3) RGB frames and their truth, from the start; `finished_trays` is emptied first."""
        self.finished_trays = []
        ground = paint_counter(self._rng(1), self.width, self.height, self.px_cm)
        camera = Camera(self.preset, self.width, self.height, self.fps, self._rng(2))
        trays = _Trays(self)
        index = 0
        while not trays.over(index / self.fps):
            t = index / self.fps
            shift = camera.next_shift()
            picture = ground.copy()
            layers = trays.layers(t)
            for layer in layers:
                lay(picture, layer.sprite, layer.x, layer.y, layer.smear)
            truth = self._frame_truth(index, t, layers, shift)
            trays.note(truth)
            yield camera.shoot(picture, t, shift, trays.shade_at(t)), truth
            index += 1

    def tray_script(self, tray_id: int) -> TrayScript | None:
        """Return what happens on tray 1, 2, …; None after the last."""
        if self._limit is not None and tray_id > self._limit:
            return None
        if self._script is not None:
            return self._script[tray_id - 1]
        return write_script(self._rng(3, tray_id), self.preset)

    def _rng(self, *path: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *path])

    def tray_rng(self, tray_id: int, part: int) -> np.random.Generator:
        """Return the random numbers of one part of one tray."""
        return self._rng(4, tray_id, part)

    def _frame_truth(self, index: int, t: float, layers: list[_Layer], shift: tuple[float, float]) -> FrameTruth:
        owners: NDArray[np.int16] = np.full(((self.height + 1) // 2, (self.width + 1) // 2), -1, np.int16)
        reach = np.zeros(len(layers))
        for number, layer in enumerate(layers):
            stamp(owners, layer.sprite, layer.x, layer.y, number)
            if layer.label == HAND:
                reach[number] = np.count_nonzero(owners == number)
        seen = np.bincount(owners.ravel() + 1, minlength=len(layers) + 1)[1:]
        limit = np.array([self.width, self.height, self.width, self.height], np.float32)
        rows, boxes, visible = [], [], []
        for number, layer in enumerate(layers):
            if not layer.label:
                continue
            at = np.array([layer.x + shift[0], layer.y + shift[1]] * 2) + layer.sprite.extent
            box = np.clip(at, 0, limit)
            if min(box[2] - box[0], box[3] - box[1]) < 1.0:
                continue
            whole = reach[number] if layer.label == HAND else layer.sprite.area
            rows.append(layer)
            boxes.append(box)
            visible.append(min(seen[number] / max(whole, 1.0), 1.0))
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


class _Cast:
    """One tray's plan with the sprites that play in it; sprites are baked one by one, ahead of their entry."""

    def __init__(self, lane: SyntheticLane, run: TrayRun) -> None:
        self.run = run
        self._lane, self._tray, self._sprites = lane, None, {}  # type: tuple[SyntheticLane, Sprite | None, dict[int, Sprite]]
        self._jobs: list[Callable[[], None]] = [self._bake_tray]
        self._jobs += [lambda item=item: self._bake_item(item) for item in run.items]  # type: ignore[misc]
        self._jobs += [lambda hand=hand: self._bake_hand(hand) for hand in run.hands]  # type: ignore[misc]

    def prepare(self, everything: bool = False) -> None:
        """Bake one sprite, or all that are missing."""
        while self._jobs:
            self._jobs.pop(0)()
            if not everything:
                return

    def _canvas(self, size: tuple[float, float], part: int, fine: float, top_cm: float | None = None) -> Canvas:
        px_cm = max(self._lane.px_cm * fine, 8.0)
        return Canvas(*size, px_cm, self._lane.tray_rng(self.run.tray_id, part), top_cm)

    def _bake_tray(self) -> None:
        canvas = self._canvas((TRAY_CM[0] + 2, TRAY_CM[1] + 2), 0, 1.6)
        tray(canvas, *TRAY_CM)
        self._tray = bake(canvas, self._lane.px_cm, self.run.script.tilt, 2.0)

    def _bake_item(self, item: Item) -> None:
        part = item.object_id % 100 + 1
        scale = float(self._lane.tray_rng(self.run.tray_id, part + 100).uniform(*item.kind.sizes))
        canvas = self._canvas((item.kind.width_cm + 3, item.kind.height_cm + 3), part, 2.5)
        item.kind.paint(canvas)
        canvas.px_cm /= scale
        self._sprites[item.object_id] = bake(canvas, self._lane.px_cm, item.angle, item.kind.tall_cm)

    def _bake_hand(self, arm: Hand) -> None:
        size = (ARM_WIDTH_CM, ABOVE_CM + ARM_LENGTH_CM)
        canvas = self._canvas(size, 99, 1.8, ABOVE_CM)
        hand(canvas, arm.pose)
        self._sprites[arm.object_id] = bake(canvas, self._lane.px_cm, arm.angle, 9.0, 0.34)

    def layers(self, t: float) -> list[_Layer]:
        """Return this tray's sprites at a time: tray, things on it, carried things, arms."""
        self.prepare(everything=True)
        run, before = self.run, t - self._lane.preset.exposure_s
        spot, earlier = run.tray_at(t), run.tray_at(before)
        lying, carried = [], []
        for item in run.items:
            now = item.at(t, spot)
            if now is not None:
                past = item.at(before, earlier)
                label = "" if item.kind.container == "thing" else item.kind.name
                layer = self._layer(item.object_id, now[0], past[0] if past else now[0], label)
                (carried if now[1] else lying).append(layer)
        arms = []
        for arm in run.hands:
            at = arm.at(t, spot)
            if at is not None:
                arms.append(self._layer(arm.object_id, at, arm.at(before, earlier) or at, HAND))
        return [self._layer(-1, spot, earlier, ""), *lying, *carried, *arms]

    def _layer(self, object_id: int, at: tuple[float, float], before: tuple[float, float], label: str) -> _Layer:
        k = self._lane.px_cm
        sprite = self._tray if object_id < 0 else self._sprites[object_id]
        if sprite is None:
            raise ValueError(f"tray {self.run.tray_id} was not baked")
        smear = ((at[0] - before[0]) * k, (at[1] - before[1]) * k)
        inside = bool(label) and label != HAND and self._lane.stage.in_zone(*at)
        return _Layer(sprite, at[0] * k, at[1] * k, smear, object_id, label, self.run.tray_id, inside)


class _Trays:
    """The trays that are planned or in view, and the times at which their things were seen in the zone."""

    def __init__(self, lane: SyntheticLane) -> None:
        self._lane = lane
        self._casts: list[_Cast] = []
        self._next_id, self._clear_s, self._last_s = 1, -1.0, 0.0
        self._seen: dict[int, tuple[float, float]] = {}
        self._dt = 1.0 / lane.fps
        self._plan()

    def _plan(self) -> None:
        """Plan the next tray, if there is one."""
        script = self._lane.tray_script(self._next_id)
        if script is None:
            return
        rng = self._lane.tray_rng(self._next_id, 200)
        run = TrayRun(self._next_id, script, self._lane.stage, self._clear_s, rng)
        self._casts.append(_Cast(self._lane, run))
        self._next_id, self._clear_s, self._last_s = self._next_id + 1, run.clear_s, run.end_s

    def over(self, t: float) -> bool:
        """Return whether the last tray has left and the tail has passed."""
        return not self._casts and t > self._last_s + _TAIL_S

    def layers(self, t: float) -> list[_Layer]:
        """Return all sprites of a moment, and look ahead: plan and bake the tray that comes next."""
        for cast in [cast for cast in self._casts if cast.run.end_s < t]:
            self._casts.remove(cast)
            self._finish(cast.run)
        if not self._casts or self._casts[-1].run.stop_s <= t:
            self._plan()
        waiting = [cast for cast in self._casts if cast.run.start_s > t + self._dt]
        if waiting:
            waiting[0].prepare()
        playing = [cast for cast in self._casts if cast.run.start_s <= t]
        groups = [cast.layers(t) for cast in playing]
        return [x for group in groups for x in group if x.label != HAND] + [
            x for group in groups for x in group if x.label == HAND
        ]

    def shade_at(self, t: float) -> float | None:
        """Return where a passing shadow is, as a share of the width, or None."""
        for cast in self._casts:
            run = cast.run
            if run.script.shade and run.stop_s - 0.6 <= t <= run.stop_s + run.script.dwell_s:
                share = (t - run.stop_s + 0.6) / (run.script.dwell_s + 0.6)
                drift = 0.1 * math.sin(4 * share + run.tray_id)
                return 0.5 + (1.0 - 2 * math.sin(math.pi * share) ** 0.5 * 0.5 - 0.5) * 1.9 + drift
        return None

    def note(self, truth: FrameTruth) -> None:
        """Keep from when to when each object was in the zone."""
        for object_id in truth.object_ids[truth.in_zone].tolist():
            first = self._seen.get(object_id, (truth.t_s, 0.0))[0]
            self._seen[object_id] = (first, truth.t_s + self._dt)

    def _finish(self, run: TrayRun) -> None:
        items, bill = [], {}  # type: tuple[list[ItemTruth], dict[str, int]]
        for item in run.items:
            span = self._seen.pop(item.object_id, None)
            if item.kind.container == "thing" or span is None:
                continue
            items.append(ItemTruth(item.object_id, item.kind.name, *span, item.stays))
            if item.stays:
                bill[item.kind.name] = bill.get(item.kind.name, 0) + 1
        begin = min((item.t_in_s for item in items), default=run.stop_s)
        end = max((item.t_out_s for item in items), default=run.stop_s + run.script.dwell_s)
        self._lane.finished_trays.append(TrayTruth(run.tray_id, begin, end, tuple(items), bill))


def still(lane: SyntheticLane, index: int) -> Image:
    """Return frame `index` of a lane, for pictures in documents."""
    for image, truth in lane:
        if truth.index == index:
            return image
    raise ValueError(f"the lane ended before frame {index}")
