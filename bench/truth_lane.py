"""A lane without pictures: the synthetic lane's truth as detections, so that an hour of trays runs in about a minute.

What the detector "sees" is the truth with honest faults: covered dishes are missed, boxes tremble, scores fall with
what is hidden. All of it follows from the seed and the frame's number, so a lane that is started again sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from checkout.menu import DishSettings, Menu, MenuSettings, make_menu
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.presence import FrameSize
from checkout.settings import CheckoutSettings
from checkout.zones import ZoneSettings, make_zones
from core.clock import Clock
from core.errors import SourceEnded
from core.records import HAND, Detections, Frame
from streams.synthetic.catalogue import DISH_NAMES
from streams.synthetic.lane import TRAY_ZONE, SyntheticLane
from streams.synthetic.truth import FrameTruth, TrayTruth
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

SIZE = (640, 360)
_SEEN_SHARE = 0.3
_TREMBLE_PX = 0.7


@dataclass(frozen=True)
class Scene:
    """A stretch of the lane.

    Attributes:
        key: names it in ids, as a recording's content hash does.
        fps: frames per second.
        frames: what is detected in each frame.
        trays: what really happened, for those trays that have left.
    """

    key: str
    fps: float
    frames: tuple[Detections, ...]
    trays: tuple[TrayTruth, ...]

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the last."""
        return len(self.frames) / self.fps


def film(seed: int, seconds: float, preset: str = "medium", fps: float = 20.0) -> Scene:
    """Return `seconds` of the lane of `seed`."""
    lane = SyntheticLane(seed, preset, *SIZE, fps=fps)
    frames: list[Detections] = []
    for truth in lane.truths():
        if truth.t_s >= seconds:
            break
        frames.append(_detect(truth, lane.labels, seed))
    return Scene(f"truth-{preset}-{seed}-{fps:g}", fps, tuple(frames), tuple(lane.finished_trays))


def film_all(lane: SyntheticLane) -> tuple[Scene, list[FrameTruth]]:
    """Return a lane that ends, to its end, and the truth of its frames."""
    truths = list(lane.truths())
    frames = tuple(_detect(truth, lane.labels, lane.seed) for truth in truths)
    key = f"truth-{lane.preset}-{lane.seed}-{lane.fps:g}-all"
    return Scene(key, lane.fps, frames, tuple(lane.finished_trays)), truths


def _detect(truth: FrameTruth, labels: tuple[str, ...], seed: int) -> Detections:
    rng = np.random.default_rng([seed, truth.index, 9])
    tremble = rng.normal(0.0, _TREMBLE_PX, truth.boxes.shape)
    seen = truth.visible >= _SEEN_SHARE
    boxes = (truth.boxes + tremble)[seen].astype(np.float32)
    scores = (0.5 + 0.45 * np.minimum(truth.visible[seen], 1.0)).astype(np.float32)
    class_ids = np.array(
        [labels.index(label) for label, kept in zip(truth.labels, seen, strict=True) if kept], np.int64
    )
    return Detections(truth.index, truth.t_s, boxes.reshape(-1, 4), scores, class_ids, labels, model="truth@1")


class TruthSource:
    """Plays a scene as a recording does: as fast as it is read, from anywhere."""

    live = False

    def __init__(self, scene: Scene, lane_id: str, clock: Clock) -> None:
        self.lane_id, self.shown_url = lane_id, scene.key
        self._scene, self._clock = scene, clock
        self._blank = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        self._next, self._closed = 0, False

    @property
    def dropped(self) -> Mapping[str, int]:
        """Nothing is left out."""
        return {}

    def open(self) -> None:
        """Begin."""
        self._closed = False

    def seek(self, stream_s: float) -> None:
        """Start at the first frame at or after `stream_s`."""
        self._next = max(int(np.ceil(stream_s * self._scene.fps - 1e-6)), 0)

    def read(self) -> Frame:
        """Return the next frame; the picture is black."""
        if self._closed or self._next >= len(self._scene.frames):
            raise SourceEnded(f"{self.shown_url}: the scene is over")
        index, self._next = self._next, self._next + 1
        stream_s = index / self._scene.fps
        return Frame(self.lane_id, index, stream_s, self._clock.monotonic_s(), self._blank, stream_s)

    def close(self) -> None:
        """End."""
        self._closed = True


class TruthDetector:
    """Tells what the scene says about a frame; `watch` is called with the index of each."""

    name = "truth@1"

    def __init__(self, scene: Scene, watch: Callable[[int], None] | None = None) -> None:
        self._scene, self._watch = scene, watch
        self.labels: tuple[str, ...] = (*DISH_NAMES, HAND)

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Return the detections of the frames, by their index."""
        if self._watch is not None:
            self._watch(frames[-1].index)
        return [replace(self._scene.frames[frame.index], captured_at_s=frame.captured_at_s) for frame in frames]

    def close(self) -> None:
        """Nothing to let go of."""


def make_truth_menu() -> Menu:
    """Return a menu of all dishes of the synthetic lane, each with its own price."""
    dishes = {name: DishSettings(title=name, price=1.05 + 0.45 * n) for n, name in enumerate(DISH_NAMES)}
    rounded = {name: dish.model_copy(update={"price": round(dish.price, 2)}) for name, dish in dishes.items()}
    return make_menu(MenuSettings(currency="EUR", dishes=rounded))


def make_truth_pipeline(
    scene: Scene, lane_id: str, clock: Clock, watch: Callable[[int], None] | None = None
) -> Pipeline:
    """Return a fresh pipeline with the product's default tracker and policy; see `TruthDetector` for `watch`."""
    detector, menu = TruthDetector(scene, watch), make_truth_menu()
    zones = make_zones({"tray": ZoneSettings(role="tray", polygon=TRAY_ZONE)})

    def make_tracker(size: FrameSize) -> MultiObjectTracker:
        return MultiObjectTracker(TrackerSettings(), detector.labels, size)

    def make_policy() -> Policy:
        return Policy(lane_id, scene.key, CheckoutSettings(), zones, menu)

    return Pipeline(lane_id, scene.key, detector, make_tracker, make_policy, clock)
