"""What makes a run repeat: random numbers that depend on seed and step alone, and algorithms that add in one order.

Before each forward pass every generator of torch is seeded from (seed, place of the batch, rank): what torchvision
draws (samples of anchors, dropout) does not depend on what was drawn before, so that a resumed run draws the same.
Algorithms without an exact twin are used with a warning rather than an error; on a CPU none of our nets needs one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from training.finetune.distributed import World
from training.finetune.settings import FinetuneSettings


def mixed(*numbers: int) -> int:
    """Return 63 bits that depend on all numbers; neighbours give unrelated bits.

    >>> mixed(1, 2) == mixed(1, 2), mixed(1, 2) == mixed(2, 1)
    (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_all(*numbers: int) -> None:
    """Seed the generators of torch (all devices), numpy and Python from these numbers."""
    seed = mixed(*numbers)
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def repeatable(settings: FinetuneSettings, world: World) -> Iterator[None]:
    """Set threads and algorithms for a run, and put back what was there before."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warns_only = torch.is_deterministic_algorithms_warn_only_enabled()
    bench, fixed = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    wanted = settings.deterministic == "on" or (settings.deterministic == "auto" and world.device.type == "cpu")
    if wanted and world.device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS adds in any order
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = not wanted, wanted
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warns_only)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = bench, fixed
