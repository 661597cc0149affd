"""The lane: trays come and go, frame after frame, with the truth about each.

One seed gives one lane, byte for byte. What happens depends on the seed and the preset alone; resolution and frame
rate only change how finely it is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.records import HAND
from streams.synthetic.camera import Camera, Mount
from streams.synthetic.cast import Ensemble, Layer, Scale, frame_truth
from streams.synthetic.catalogue import DISH_NAMES
from streams.synthetic.counter import paint_counter
from streams.synthetic.motion import Stage
from streams.synthetic.presets import preset_named
from streams.synthetic.script import TrayScript, write_script
from streams.synthetic.sprites import lay
from streams.synthetic.truth import FrameTruth, TrayTruth

#: The stop position of trays as a polygon relative to the frame, for configurations.
TRAY_ZONE = "0.28,0.20,0.72,0.20,0.72,0.84,0.28,0.84"
_ZONE = (0.28, 0.20, 0.72, 0.84)
_FRAME = (0.0, 0.0, 1.0, 1.0)
#: The view shows at least this much of the counter, cm.
_VIEW_CM = (130.0, 73.0)
_MIN_SIDE = 64


@dataclass(frozen=True, eq=False)
class _Moment:
    layers: list[Layer]
    truth: FrameTruth
    shift: tuple[float, float]
    shade_x: float | None


class SyntheticLane:
    """A seeded canteen lane seen from above.

    Args:
        seed: equal seeds give equal lanes.
        preset: "easy", "medium" or "hard".
        width, height: of the frames, pixels, 64 or more.
        fps: frames per second.
        script: trays to show in this order instead of drawn ones; the lane ends after them.
        trays: end after this many trays; None goes on for ever (or to the end of the script).
        whole_frame: the truth counts the whole frame as the tray zone, and so no tray waits in sight of the camera
            before the one in front has left. Otherwise the zone is `TRAY_ZONE`.

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
        whole_frame: bool = False,
    ) -> None:
        if min(width, height) < _MIN_SIDE or not 0 < fps <= 240 or seed < 0:
            raise ValueError(f"size {width}x{height} must be 64 or more, fps {fps} in 0..240, seed {seed} not negative")
        if trays is not None and trays < 1:
            raise ValueError(f"trays must be 1 or more, got {trays}; leave it out for an endless lane")
        self.seed, self.width, self.height, self.fps = seed, width, height, fps
        self.preset_name, self.preset = preset, preset_named(preset)
        self.labels: tuple[str, ...] = (*DISH_NAMES, HAND)
        self.finished_trays: list[TrayTruth] = []
        self._script = None if script is None else tuple(script)
        self._limit = trays if self._script is None else min(trays or len(self._script), len(self._script))
        self.px_cm = min(width / _VIEW_CM[0], height / _VIEW_CM[1])
        w, h = width / self.px_cm, height / self.px_cm
        zone = _FRAME if whole_frame else _ZONE
        if whole_frame:
            self.preset = replace(self.preset, queue_p=0.0)
        self.stage = Stage(w, h, (zone[0] * w, zone[1] * h, zone[2] * w, zone[3] * h))

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], FrameTruth]]:
        """Yield (H, W, 3) RGB frames and their truth, from the start; `finished_trays` is emptied first."""
        ground = paint_counter(self._rng(1), self.width, self.height, self.px_cm)
        camera = Camera(self.preset, self.width, self.height, self._rng(2))
        for moment in self._moments():
            picture = ground.copy()
            for layer in moment.layers:
                lay(picture, layer.sprite, layer.x, layer.y, layer.smear)
            yield camera.shoot(picture, moment.truth.t_s, moment.shift, moment.shade_x), moment.truth

    def truths(self) -> Iterator[FrameTruth]:
        """Yield the truth of each frame, the same as with pictures, without drawing them."""
        for moment in self._moments():
            yield moment.truth

    def _moments(self) -> Iterator[_Moment]:
        scale = Scale(self.stage, self.px_cm, self.preset.exposure_s, lambda tray_id, part: self._rng(4, tray_id, part))
        ensemble = Ensemble(self.tray_script, scale, 1.0 / self.fps)
        mount = Mount(self.preset.shake * self.width, 1.0 / self.fps, self._rng(5))
        self.finished_trays = ensemble.finished
        index = 0
        while not ensemble.over(index / self.fps):
            t, shift = index / self.fps, mount.swing()
            layers = ensemble.layers(t)
            truth = frame_truth(index, t, layers, shift, self.width, self.height)
            ensemble.note(truth)
            yield _Moment(layers, truth, shift, ensemble.shade_at(t))
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
