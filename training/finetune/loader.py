"""Batches that follow from the step alone: what a resume needs is its number, what a repeat needs is the seed.

The pictures are an endless row of shuffles of the set (rare classes repeated). A batch takes the places
step x batch x world + rank x batch … of that row; the generator of each sample is made from the seed and its place. So
a run on two machines of batch 4 sees what a run on one of batch 8 sees, and worker processes change nothing.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.utils.data import DataLoader, Dataset

from core.errors import DataError
from core.settings import Settings
from dataset.records import DetectionSet
from training.finetune.augmentations import AugmentSettings, augmented
from training.finetune.batches import Batch, Target
from training.finetune.pictures import Picture, Place, load, resize_to
from training.finetune.sampling import repeat_factors, repeated

#: So often torch looks whether its workers are alive while a batch is waited for.
_LOOK_S = 2.0
_TIMED_OUT = "DataLoader timed out"
#: The samples of a batch: picture of the set, and place in the endless row (which seeds its augmentation).
Job = tuple[tuple[int, int], ...]


class LoaderSettings(Settings):
    """How a set becomes batches."""

    batch: int = Field(default=4, ge=1, description="Pictures of a batch, on each rank")
    seed: int = Field(default=0, ge=0, description="Of all shuffles and augmentations")
    shuffle: bool = Field(default=True, description="False goes through the set in order, again and again")
    repeat: float = Field(default=0.0, ge=0, le=1, description="Classes on a smaller share of pictures are repeated")
    repeat_most: float = Field(default=4.0, ge=1, description="No picture comes up more often than this in a round")
    longest: int | None = Field(default=None, ge=16, description="Larger pictures are scaled to this longest side")
    size: tuple[int, int] | None = Field(default=None, description="Width and height that pictures are laid into")
    place: Place = Field(default="topleft", description="Where a picture lies in `size`; stretch changes its shape")
    workers: int = Field(default=0, ge=0, description="Processes that make batches ahead; 0 makes them in this one")
    ahead: int = Field(default=2, ge=1, description="Batches that each worker makes ahead")
    timeout_s: float = Field(default=300.0, gt=0, description="A batch that takes longer stops the run")


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch on its way between processes: bytes instead of floats."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Refused:
    """Why a batch could not be made: what a worker sends instead of one."""

    reason: str


class Loader:
    """Makes batches of a set.

    Args:
        whole: the set.
        settings: see there.
        augment: what may happen to a picture; None leaves it as it is.
        rank: which of the processes that train together this is.
        world: how many of them there are.
    """

    def __init__(
        self,
        whole: DetectionSet,
        settings: LoaderSettings,
        augment: AugmentSettings | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if len(whole) == 0:
            raise DataError(f"{whole.name}: the set is empty; nothing can be loaded from it")
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        self.set = whole
        self.settings = settings
        self._augment = augment
        self._rank, self._world = rank, world
        self._row = repeated(repeat_factors(whole, settings.repeat, settings.repeat_most))

    @property
    def steps_per_epoch(self) -> int:
        """Steps until each picture was seen, as often as its classes are repeated, by all ranks together."""
        return -(-len(self._row) // (self.settings.batch * self._world))

    def class_counts(self) -> NDArray[np.int64]:
        """Return how many objects of each class (C,) a round shows, repeats of pictures counted."""
        classes = [self.set.samples[i].classes[~self.set.samples[i].ignored] for i in self._row.tolist()]
        return np.bincount(np.concatenate(classes), minlength=len(self.set.labels))

    def indices(self, step: int) -> list[int]:
        """Return which pictures of the set the batch of `step` holds."""
        return [index for index, _ in self._job(step)]

    def batch(self, step: int) -> Batch:
        """Return the batch of `step`, 0 for the first: the same whenever and wherever it is asked for.

        Raises:
            DataError: a picture is missing or corrupt; names the file.
        """
        return unpacked(self._pack(self._job(step)))

    def batches(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """Yield the batches of `first_step` up to and without `last_step`, made ahead by worker processes.

        Raises:
            DataError: a picture is missing or corrupt (names the file), or a worker died or took too long.
        """
        return self._made([self._job(step) for step in range(first_step, last_step)])

    def once(self) -> Iterator[Batch]:
        """Yield this rank's pictures once each, in the order of the set (rank, rank + world, …), for an evaluation.

        Raises as `batches` does.
        """
        mine = [(index, index) for index in range(self._rank, len(self.set), self._world)]
        size = self.settings.batch
        return self._made([tuple(mine[at : at + size]) for at in range(0, len(mine), size)])

    def _made(self, jobs: list[Job]) -> Iterator[Batch]:
        if self.settings.workers == 0 or not jobs:
            for job in jobs:
                yield unpacked(self._pack(job))
            return
        # A generator of its own: otherwise torch would draw the workers' seed from the run's.
        ahead: DataLoader[Packed | Refused] = DataLoader(
            _Jobs(self, jobs),
            batch_size=None,
            num_workers=min(self.settings.workers, len(jobs)),
            prefetch_factor=self.settings.ahead,
            collate_fn=_as_it_is,
            worker_init_fn=_start_worker,
            timeout=min(_LOOK_S, self.settings.timeout_s),
            multiprocessing_context=_clean_processes(),
            generator=torch.Generator(),
        )
        made = iter(ahead)
        for job in jobs:
            yield unpacked(self._next(made, job))

    def _next(self, made: Iterator[Packed | Refused], job: Job) -> Packed:
        """Return the next batch of the workers; what goes wrong there becomes a DataError here."""
        given_up_s = time.monotonic() + self.settings.timeout_s
        while True:
            try:
                answer = next(made)
                break
            except RuntimeError as err:  # torch's word for a dead worker and for its time-out, after which it goes on
                if str(err).startswith(_TIMED_OUT) and time.monotonic() < given_up_s:
                    continue
                why = "it took too long" if str(err).startswith(_TIMED_OUT) else str(err).splitlines()[0]
                files = ", ".join(sorted({str(self.set.samples[index].image) for index, _ in job}))
                raise DataError(
                    f"the worker processes that load pictures gave no batch of {files}: {why}. Is the disk there, and "
                    "enough memory? Try fewer workers, or 0 to load in the run's own process"
                ) from err
        if isinstance(answer, Refused):
            raise DataError(answer.reason)
        return answer

    def _job(self, step: int) -> Job:
        """Return picture and place of each sample of a step."""
        if step < 0:
            raise ValueError(f"steps count from 0, got {step}")
        start = (step * self._world + self._rank) * self.settings.batch
        places = range(start, start + self.settings.batch)
        count = len(self._row)
        laps = {lap: self._lap(lap) for lap in {place // count for place in places}}
        return tuple((int(laps[place // count][place % count]), place) for place in places)

    def _lap(self, lap: int) -> NDArray[np.int64]:
        if not self.settings.shuffle:
            return self._row
        return np.random.default_rng([self.settings.seed, 0, lap]).permutation(self._row)

    def _pack(self, job: Job) -> Packed:
        return Packed(tuple(self._sample(index, place) for index, place in job))

    def _sample(self, index: int, place: int) -> Picture:
        rng = np.random.default_rng([self.settings.seed, 1, place])
        picture = load(self.set.samples[index], self.settings.longest)
        if self._augment is not None:
            picture = augmented(picture, self._augment, rng, self._draw)
        if self.settings.size is not None:
            picture = resize_to(picture, self.settings.size, self.settings.place)
        return picture

    def _draw(self, rng: np.random.Generator) -> Picture:
        return load(self.set.samples[int(rng.choice(self._row))], self.settings.longest)


def unpacked(packed: Packed) -> Batch:
    """Return the batch as tensors: pixels float32 0..1, channels first."""
    targets = [
        Target(torch.from_numpy(p.boxes.copy()), torch.from_numpy(p.classes.copy()), torch.from_numpy(p.ignored.copy()))
        for p in packed.pictures
    ]
    images = [
        torch.from_numpy(p.image).permute(2, 0, 1).contiguous().to(torch.float32).div_(255) for p in packed.pictures
    ]
    return Batch(images, targets, [p.where for p in packed.pictures])


class _Jobs(Dataset["Packed | Refused"]):
    """The batches to be made, as torch's DataLoader asks for them."""

    def __init__(self, loader: Loader, jobs: list[Job]) -> None:
        self._loader, self._jobs = loader, jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, at: int) -> Packed | Refused:
        try:
            return self._loader._pack(self._jobs[at])
        except DataError as err:
            # torch would put the worker's traceback into the message, and cannot build errors of two arguments.
            return Refused(str(err))


def _as_it_is(packed: Any) -> Any:
    """Return what the worker made; torch's own collation would turn arrays into tensors in shared memory."""
    return packed


def _clean_processes() -> BaseContext:
    """Return how workers are started: from a process that imports torch once and has neither threads nor a GPU."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cv2", "torch", "torch.utils.data", "torchvision.transforms.v2"])
    return context


def _start_worker(_number: int) -> None:
    """Keep each worker to one thread: there are as many workers as cores."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
