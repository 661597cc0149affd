"""One run on several processes: torchrun starts them, each sees its part of every batch, gradients are averaged.

`torchrun --nproc-per-node 2 -m app train …` sets RANK, WORLD_SIZE and LOCAL_RANK; without these a run is alone, and
every function here does nothing but hand back what it was given. Rank 0 leads: it alone writes, and what it decides
(scores, early stop) is sent to the others. gloo carries the tensors on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from core.errors import ConfigError
from training.finetune.batches import Target
from training.finetune.detectors import Detector

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class World:
    """Which of the processes this is, and where it computes.

    Attributes:
        rank: 0..size - 1; 0 leads.
        size: how many processes share the run.
        device: of this process.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Tell whether this process writes the run's files."""
        return self.rank == 0


class LossModule(nn.Module):
    """Gives DistributedDataParallel a forward to hook into: the detector's losses."""

    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """Return the parts of the loss, scalars by name."""
        return self.net.losses(images, targets)


@contextmanager
def joined(device: str, timeout_s: float) -> Iterator[World]:
    """Join the other processes of this run, if torchrun started several, and leave them at the end.

    Args:
        device: auto, cpu, cuda or cuda:N. With several processes each takes the GPU of its local rank.
        timeout_s: how long a process waits for the others before it gives up.

    Raises:
        ConfigError: the device is not there, or torchrun's variables make no sense.
    """
    size, rank = _number("WORLD_SIZE", 1), _number("RANK", 0)
    if size == 1:
        yield World(device=find_device(device, None))
        return
    place = find_device(device, _number("LOCAL_RANK", rank))
    if place.type == "cuda":
        torch.cuda.set_device(place)
    backend = "nccl" if place.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=rank, world_size=size, timeout=datetime.timedelta(seconds=timeout_s))
    try:
        yield World(rank, size, place)
    finally:
        dist.destroy_process_group()


def find_device(wanted: str, local_rank: int | None) -> torch.device:
    """Return the device that a setting means.

    Raises:
        ConfigError: it is unknown, or not in this machine.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as err:
        raise ConfigError(f"device {wanted!r}: not known; give auto, cpu, cuda or cuda:N") from err
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise ConfigError(f"device {wanted!r}: runs are made on cpu or cuda")
    number = device.index if local_rank is None else local_rank
    if not torch.cuda.is_available() or (number or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {wanted!r}: this machine has {torch.cuda.device_count()} CUDA devices; give cpu")
    return torch.device("cuda", number or 0)


def loss_module(net: Detector, world: World) -> nn.Module:
    """Return what computes the losses of a batch; with several processes, `backward` then averages the gradients."""
    module = LossModule(net)
    if world.size == 1:
        return module
    # A batch without any object leaves the box branch of some nets without a gradient.
    return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


def same_everywhere(net: nn.Module, world: World) -> None:
    """Give every process the leader's weights and buffers."""
    if world.size > 1:
        for tensor in net.state_dict().values():
            dist.broadcast(tensor, src=0)


def gathered(part: Sequence[ValueT], count: int, world: World) -> list[ValueT]:
    """Return all `count` values, where process r has those of places r, r + size, r + 2 size and so on."""
    if world.size == 1:
        return list(part)
    parts: list[Sequence[ValueT]] = [[] for _ in range(world.size)]
    dist.all_gather_object(parts, list(part))
    return [parts[place % world.size][place // world.size] for place in range(count)]


def from_leader(value: ValueT, world: World) -> ValueT:
    """Return the leader's value in every process."""
    if world.size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def faults_of(fault: str, world: World) -> list[str]:
    """Return what any process says is wrong, so that all of them stop together; "" says that nothing is."""
    if world.size == 1:
        return [fault] if fault else []
    count = torch.tensor(int(bool(fault)), device=world.device)
    dist.all_reduce(count)
    if not int(count):
        return []
    told: list[str] = [""] * world.size
    dist.all_gather_object(told, fault)
    return [text for text in told if text]


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError as err:
        raise ConfigError(f"{name}={text!r} in the environment: torchrun sets a number here") from err
