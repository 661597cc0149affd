"""Stand-ins that several tests share: sources that follow a script, detectors that know the truth."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from checkout.menu import Dish, Menu
from core.errors import InferenceError, SourceEnded
from core.records import HAND, Detections, Frame
from streams.synthetic.truth import FrameTruth

SIZE = (640, 360)
START_UTC = 1_700_000_000.0
_BLACK = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)


def frame(index: int, stream_s: float, lane_id: str = "lane1", start_utc: float = START_UTC) -> Frame:
    """Return a black frame; all share one image."""
    return Frame(lane_id, index, start_utc + stream_s, stream_s, _BLACK, stream_s)


def frames(count: int, fps: float = 20.0, lane_id: str = "lane1") -> list[Frame]:
    """Return `count` black frames at an even rate."""
    return [frame(index, index / fps, lane_id) for index in range(count)]


def menu(*dishes: str, ignored: Iterable[str] = ()) -> Menu:
    """Return a menu in which the n-th dish costs n."""
    known = {name: Dish(name, name.title(), float(n)) for n, name in enumerate(dishes, start=1)}
    return Menu("EUR", known, frozenset(ignored))


@dataclass
class ScriptedSource:
    """A source that gives what its script says: frames, or errors that it raises.

    Args:
        script: frames and exceptions in order; at the end it raises SourceEnded.
        before_read: called with the position before each read, e.g. to wait for something.
    """

    script: Sequence[Frame | Exception]
    lane_id: str = "lane1"
    live: bool = False
    shown_url: str = "script://"
    before_read: Callable[[int], None] = lambda position: None
    open_errors: list[Exception] = field(default_factory=list)
    opened: int = 0
    position: int = 0
    closed: threading.Event = field(default_factory=threading.Event)
    sought_s: float | None = None

    @property
    def dropped(self) -> Mapping[str, int]:
        return {}

    def seek(self, stream_s: float) -> None:
        self.sought_s = stream_s

    def open(self) -> None:
        self.opened += 1
        if self.open_errors:
            raise self.open_errors.pop(0)
        if self.sought_s is not None:
            wanted = self.sought_s
            self.position = next(
                (i for i, item in enumerate(self.script) if isinstance(item, Frame) and item.stream_s >= wanted),
                len(self.script),
            )
            self.sought_s = None

    def read(self) -> Frame:
        if self.position >= len(self.script):
            raise SourceEnded("the script is over")
        self.before_read(self.position)
        item = self.script[self.position]
        self.position += 1
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closed.set()


@dataclass(frozen=True)
class Seen:
    """One detection of a script: where, what, how sure."""

    label: str
    box: tuple[float, float, float, float]
    score: float = 0.9


def seen(label: str, cx: float, cy: float, side: float = 60.0, score: float = 0.9) -> Seen:
    """Return a square detection by its middle."""
    return Seen(label, (cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2), score)


def detections(
    things: Sequence[Seen], labels: tuple[str, ...], index: int, captured_at_s: float, model: str = "fixed@1"
) -> Detections:
    """Return the records of scripted detections; a score is the probability of its label, the rest is unknown."""
    count = len(things)
    ids = np.array([labels.index(thing.label) for thing in things], dtype=np.int64)
    scores = np.array([thing.score for thing in things], dtype=np.float32)
    probs = np.zeros((count, len(labels)), dtype=np.float32)
    probs[np.arange(count), ids] = scores
    boxes = np.array([thing.box for thing in things], dtype=np.float32).reshape(-1, 4)
    return Detections(index, captured_at_s, boxes, scores, ids, labels, class_probs=probs, model=model)


@dataclass
class FixedDetector:
    """A detector that sees what `look` says of a frame's stream time.

    Args:
        labels: of the model.
        look: stream seconds -> detections.
        broken: frame indices at which it fails.
    """

    labels: tuple[str, ...]
    look: Callable[[float], Sequence[Seen]]
    name: str = "fixed@1"
    broken: frozenset[int] = frozenset()
    calls: int = 0

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        self.calls += 1
        found = []
        for one in frames:
            if one.index in self.broken:
                raise InferenceError(f"fixed@1: broken at frame {one.index}")
            found.append(detections(self.look(one.stream_s), self.labels, one.index, one.captured_at_s, self.name))
        return found

    def close(self) -> None:
        """Nothing to let go."""


@dataclass(frozen=True)
class Noise:
    """How far a detector is from the truth.

    Attributes:
        miss: probability that a visible item is not found in a frame.
        jitter: standard deviation of each edge, as a share of the box's side.
        confusion: probability that an object's class is wrong in a frame.
        sticky: share of objects whose look is ambiguous: half of the probability is another dish's, in every frame.
        duplicate: probability of a second, smaller box on an object in a frame.
        ghosts: mean number of boxes on nothing per frame.
        least_visible: below this visible share an item is not found.
    """

    miss: float = 0.0
    jitter: float = 0.0
    confusion: float = 0.0
    sticky: float = 0.0
    duplicate: float = 0.0
    ghosts: float = 0.0
    least_visible: float = 0.25


NONE, EASY, MEDIUM = (
    Noise(),
    Noise(miss=0.03, jitter=0.02, confusion=0.02, duplicate=0.005, ghosts=0.002),
    Noise(miss=0.08, jitter=0.04, confusion=0.06, sticky=0.03, duplicate=0.02, ghosts=0.01, least_visible=0.35),
)


class TruthDetector:
    """A detector that is told the truth and spoils it: the same for a frame, whatever was seen before.

    Args:
        truths: by frame index.
        labels: of the synthetic lane.
        noise: how it is spoiled.
    """

    def __init__(
        self, truths: Mapping[int, FrameTruth], labels: tuple[str, ...], noise: Noise = NONE, seed: int = 0
    ) -> None:
        self.name, self.labels = "truth@1", labels
        self._truths, self._noise, self._seed = truths, noise, seed

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        return [self._spoil(self._truths[one.index], one) for one in frames]

    def close(self) -> None:
        """Nothing to let go."""

    def _spoil(self, truth: FrameTruth, one: Frame) -> Detections:
        rng = np.random.default_rng([self._seed, truth.index])
        noise = self._noise
        boxes: list[NDArray[np.float64]] = []
        probs: list[NDArray[np.float64]] = []
        for box, object_id, label, visible in zip(
            truth.boxes, truth.object_ids, truth.labels, truth.visible, strict=True
        ):
            draws = rng.random(4)
            sides = np.tile(box[2:] - box[:2], 2)
            shaken = box + rng.normal(0, 1, 4) * noise.jitter * sides
            unseen = label != HAND and (visible < noise.least_visible or draws[0] < noise.miss)
            if unseen or min(sides) < 3:
                continue
            boxes.append(shaken)
            probs.append(self._probabilities(label, int(object_id), float(visible), draws[1], rng))
            if label != HAND and draws[2] < noise.duplicate:
                boxes.append(box + np.array([0.1, 0.1, -0.1, -0.25]) * sides)
                probs.append(probs[-1] * 0.7)
        for _ in range(rng.poisson(noise.ghosts)):
            x, y, side = rng.uniform(0, SIZE[0] - 60), rng.uniform(0, SIZE[1] - 60), rng.uniform(25, 60)
            boxes.append(np.array([x, y, x + side, y + side]))
            row = np.zeros(len(self.labels))
            row[rng.integers(len(self.labels) - 1)] = rng.uniform(0.2, 0.6)
            probs.append(row)
        table = np.array(probs, dtype=np.float32).reshape(-1, len(self.labels))
        return Detections(
            truth.index,
            one.captured_at_s,
            np.array(boxes, dtype=np.float32).reshape(-1, 4),
            table.max(axis=1, initial=0.0).astype(np.float32),
            table.argmax(axis=1).astype(np.int64),
            self.labels,
            class_probs=table,
            model=self.name,
        )

    def _probabilities(
        self, label: str, object_id: int, visible: float, draw: float, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        row = np.zeros(len(self.labels))
        sure = 0.55 + 0.4 * visible if label != HAND else 0.85
        true = self.labels.index(label)
        dishes = len(self.labels) - 1
        own = np.random.default_rng([self._seed, 7, object_id])
        other = int((true + own.integers(1, dishes)) % dishes)
        if label != HAND and own.random() < self._noise.sticky:
            row[true], row[other] = sure * 0.55, sure * 0.4
        elif label != HAND and draw < self._noise.confusion:
            row[int(rng.integers(dishes))] = sure * 0.8
        else:
            row[true] = sure
        return row


def truth_frames(truths: Iterable[FrameTruth], lane_id: str = "lane1") -> Iterator[Frame]:
    """Return black frames for a synthetic lane's truths."""
    for truth in truths:
        yield frame(truth.index, truth.t_s, lane_id, 0.0)


class ColourEmbedder:
    """An embedder that tells dishes by their colours alone: a smoothed histogram of the middle of a crop.

    Args:
        name: of the model; galleries belong to one.
        broken: whether it fails.
    """

    dimensions = 4 * 4 * 4

    def __init__(self, name: str = "colours@1", broken: bool = False) -> None:
        self.name, self.broken, self.calls = name, broken, 0

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.calls += 1
        if self.broken:
            raise InferenceError(f"{self.name}: broken")
        return np.array([self._vector(crop) for crop in crops], np.float32).reshape(-1, self.dimensions)

    def close(self) -> None:
        """Nothing to let go."""

    def _vector(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        crop = crop[:: max(crop.shape[0] // 24, 1), :: max(crop.shape[1] // 24, 1)]
        height, width = crop.shape[:2]
        y, x = np.mgrid[0:height, 0:width]
        near = np.exp(-3 * (((y + 0.5) / height - 0.5) ** 2 + ((x + 0.5) / width - 0.5) ** 2) / 0.25)
        share = crop.reshape(-1, 3).astype(np.float64) / 256.0 * 4.0 - 0.5
        low = np.floor(share).astype(int)
        part = share - low
        counts = np.zeros((4, 4, 4))
        for corner in range(8):
            step = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
            weight = np.where(step == 1, part, 1.0 - part).prod(axis=1) * near.ravel()
            at = np.clip(low + step, 0, 3)
            np.add.at(counts, (at[:, 0], at[:, 1], at[:, 2]), weight)
        vector = np.sqrt(counts.ravel() / counts.sum())
        return vector / np.linalg.norm(vector)
