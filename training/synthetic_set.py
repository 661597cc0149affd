"""Pictures of the synthetic lane, rendered once to a folder: the data that the first detector learns from.

A set is a folder with three files for each lane that was rendered (a *roll*):

    medium-100042.npy    (F, H, W, 3) uint8 RGB, frames sampled sparsely in time, already at the net's scale
    medium-100042.npz    boxes (N, 4) float32 xyxy in pixels of these pictures, classes (N,), visible (N,), frames (N,)
    medium-100042.json   what was asked for, the labels, and the SHA-256 of the pictures

A roll is written whole or not at all and is skipped when it is there, so rendering can be stopped and taken up again.
Seeds are split once and for all: training, validation (for choosing) and test (for reporting; never seen here).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError, FormatError
from core.files import sha256_of, write_atomic
from core.records import HAND
from streams.synthetic.catalogue import DISH_NAMES
from streams.synthetic.lane import SyntheticLane
from streams.synthetic.truth import FrameTruth
from training.assign import NO_CLASS
from training.randomised import scenes

TRAIN_SEEDS = range(100_000, 101_000)
VALIDATION_SEEDS = range(200_000, 200_050)
TEST_SEEDS_FROM = 900_000
#: Scenes of things that are on no menu (`training/randomised.py`), kept as rolls of this preset.
RANDOMISED = "randomised"
RANDOMISED_SEEDS = range(300_000, 300_400)
RANDOMISED_VALIDATION_SEEDS = range(400_000, 400_020)
LABELS = (*DISH_NAMES, HAND)
#: Shares of the presets among the training rolls; medium is what the product is judged by.
PRESET_SHARES = {"easy": 0.25, "medium": 0.45, "hard": 0.30}


@dataclass(frozen=True)
class Roll:
    """One lane to render.

    Attributes:
        seed: of the lane.
        preset: its difficulty.
        frames: how many pictures to keep.
        every_s: lane seconds between two of them.
        camera: width and height at which the lane is drawn.
        size: width and height at which the pictures are kept.
    """

    seed: int
    preset: str
    frames: int = 30
    every_s: float = 1.1
    camera: tuple[int, int] = (640, 360)
    size: tuple[int, int] = (320, 180)

    @property
    def stem(self) -> str:
        """The name of its files, without suffix."""
        return f"{self.preset}-{self.seed}"


@dataclass(frozen=True)
class Pictures:
    """A set in memory: pictures mapped from disk, truth as flat arrays.

    Attributes:
        images: one (F, H, W, 3) uint8 array for each roll.
        where: (N, 2) int64: roll and frame of each of the N pictures.
        boxes: per picture (n, 4) float32 xyxy, pixels of the picture.
        classes: per picture (n,) int64, index into `labels`.
        visible: per picture (n,) float32, 0..1.
        presets: per picture the preset's name.
        seeds: (N,) int64, the lane of each picture.
        labels: class names.
        sha256: of all pictures and boxes, in order.
    """

    images: list[NDArray[np.uint8]]
    where: NDArray[np.int64]
    boxes: list[NDArray[np.float32]]
    classes: list[NDArray[np.int64]]
    visible: list[NDArray[np.float32]]
    presets: list[str]
    seeds: NDArray[np.int64]
    labels: tuple[str, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.where)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return picture `index`, (H, W, 3) uint8 RGB."""
        roll, frame = self.where[index]
        picture: NDArray[np.uint8] = self.images[roll][frame]
        return picture


def plan(seeds: Sequence[int], frames: int, every_s: float = 1.1) -> list[Roll]:
    """Deal the presets over the seeds, by PRESET_SHARES and always in the same way."""
    names, shares = zip(*PRESET_SHARES.items(), strict=True)
    edges = np.cumsum(shares)
    # The golden ratio's multiples spread evenly: each stretch of seeds holds the presets in their shares.
    spots = (np.asarray(seeds, dtype=np.float64) * 0.6180339887498949) % 1.0
    picked = np.minimum(np.searchsorted(edges, spots, side="right"), len(names) - 1)
    return [Roll(seed, names[k], frames, every_s) for seed, k in zip(seeds, picked, strict=True)]


def plan_randomised(seeds: Sequence[int], frames: int) -> list[Roll]:
    """Return rolls of randomised scenes, square and at the net's scale."""
    return [Roll(seed, RANDOMISED, frames, 0.0, (320, 320), (320, 320)) for seed in seeds]


def render_set(
    rolls: Sequence[Roll],
    folder: Path,
    processes: int = 1,
    on_roll: Callable[[int, int], None] = lambda done, of: None,
) -> int:
    """Render the rolls that `folder` does not hold yet; return how many that were.

    Args:
        rolls: what to have.
        folder: the set; made if it is not there.
        processes: how many to render with.
        on_roll: is told how many are done, of how many.

    Raises:
        DataError: a roll is there but was rendered with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(roll, folder) for roll in rolls if not _is_there(roll, folder)]
    with contextlib.ExitStack() as stack:
        done: Iterator[None] = map(_render, jobs)
        if processes > 1 and len(jobs) > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(processes))
            done = pool.imap_unordered(_render, jobs)
        for count, _ in enumerate(done, start=1):
            on_roll(count, len(jobs))
    return len(jobs)


def load_set(rolls: Iterable[Roll], folder: Path) -> Pictures:
    """Map the rolls of a set into memory.

    Raises:
        FormatError: a roll is missing or its files do not fit together.
    """
    images: list[NDArray[np.uint8]] = []
    where: list[tuple[int, int]] = []
    boxes: list[NDArray[np.float32]] = []
    classes: list[NDArray[np.int64]] = []
    visible: list[NDArray[np.float32]] = []
    presets: list[str] = []
    seeds: list[int] = []
    labels: tuple[str, ...] = ()
    digest = hashlib.sha256()
    for roll in rolls:
        note_path = folder / f"{roll.stem}.json"
        try:
            note = json.loads(note_path.read_text(encoding="utf-8"))
            images.append(np.load(folder / f"{roll.stem}.npy", mmap_mode="r"))
            with np.load(folder / f"{roll.stem}.npz") as arrays:
                truth = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, KeyError) as err:
            raise FormatError(str(note_path), "the roll is missing or broken; render the set again") from err
        labels = labels or tuple(note["labels"])
        if tuple(note["labels"]) != labels:
            raise FormatError(str(note_path), "other labels than the first roll; render the set again")
        digest.update(note["pictures_sha256"].encode() + truth["boxes"].tobytes() + truth["classes"].tobytes())
        for frame in range(len(images[-1])):
            mine = truth["frames"] == frame
            where.append((len(images) - 1, frame))
            boxes.append(truth["boxes"][mine])
            classes.append(truth["classes"][mine].astype(np.int64))
            visible.append(truth["visible"][mine])
            presets.append(roll.preset)
            seeds.append(roll.seed)
    return Pictures(
        images,
        np.array(where, dtype=np.int64).reshape(-1, 2),
        boxes,
        classes,
        visible,
        presets,
        np.array(seeds, dtype=np.int64),
        labels,
        digest.hexdigest(),
    )


def sampled(
    seed: int, preset: str, frames: int, every_s: float, size: tuple[int, int] = (640, 360)
) -> Iterator[tuple[NDArray[np.uint8], FrameTruth]]:
    """Yield frames of a lane, `every_s` seconds apart: what happens there does not depend on how often one looks."""
    lane = SyntheticLane(seed, preset=preset, width=size[0], height=size[1], fps=1.0 / every_s)
    yield from itertools.islice(lane, frames)


def _is_there(roll: Roll, folder: Path) -> bool:
    note = folder / f"{roll.stem}.json"
    if not note.exists():
        return False
    asked = json.loads(note.read_text(encoding="utf-8"))["roll"]
    if asked != json.loads(json.dumps(asdict(roll))):
        raise DataError(
            f"{note}: rendered with other settings ({asked}); give another --cache folder or delete this one"
        )
    return True


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One picture before it is kept: image, boxes (N, 4) in its pixels, classes (N,) int16, visible (N,)."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int16]
    visible: NDArray[np.float32]


def _drawn(roll: Roll) -> Iterator[_Drawn]:
    index_of = {label: i for i, label in enumerate(LABELS)}
    if roll.preset == RANDOMISED:
        for scene in itertools.islice(scenes(roll.seed, roll.camera[0]), roll.frames):
            classes = np.where(scene.hands, index_of[HAND], NO_CLASS).astype(np.int16)
            yield _Drawn(scene.image, scene.boxes, classes, scene.visible)
        return
    for image, truth in sampled(roll.seed, roll.preset, roll.frames, roll.every_s, roll.camera):
        classes = np.array([index_of[label] for label in truth.labels], dtype=np.int16)
        yield _Drawn(image, truth.boxes, classes, truth.visible)


def _render(job: tuple[Roll, Path]) -> None:
    roll, folder = job
    cv2.setNumThreads(1)
    width, height = roll.camera
    scale = np.array([roll.size[0] / width, roll.size[1] / height] * 2, dtype=np.float32)
    pictures = np.empty((roll.frames, roll.size[1], roll.size[0], 3), dtype=np.uint8)
    boxes, classes, visible, frames = [], [], [], []
    for kept, drawn in enumerate(_drawn(roll)):
        cv2.resize(drawn.image, roll.size, dst=pictures[kept], interpolation=cv2.INTER_LINEAR)
        boxes.append(drawn.boxes * scale)
        classes.append(drawn.classes)
        visible.append(drawn.visible.astype(np.float32))
        frames.append(np.full(len(drawn.boxes), kept, dtype=np.int16))
    truth_bytes = io.BytesIO()
    np.savez(
        truth_bytes,
        boxes=np.concatenate(boxes).astype(np.float32).reshape(-1, 4),
        classes=np.concatenate(classes),
        visible=np.concatenate(visible),
        frames=np.concatenate(frames),
    )
    picture_bytes = io.BytesIO()
    np.save(picture_bytes, pictures)
    write_atomic(folder / f"{roll.stem}.npz", truth_bytes.getvalue())
    write_atomic(folder / f"{roll.stem}.npy", picture_bytes.getvalue())
    note = {
        "roll": asdict(roll),
        "labels": list(LABELS),
        "pictures_sha256": sha256_of(folder / f"{roll.stem}.npy"),
    }
    write_atomic(folder / f"{roll.stem}.json", json.dumps(note, indent=1))  # last: it says that the roll is whole
