"""Where inference runs: find a GPU that is really there.

ONNX Runtime's list of providers says what the package was built with, not what the machine has: the GPU package
names CUDA on a machine without any. So the CUDA driver itself is asked.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass

from core.errors import ModelError


@dataclass(frozen=True, slots=True)
class Device:
    """One processor that can run a model.

    Attributes:
        kind: "cpu" or "cuda".
        index: number of the GPU, 0 for the CPU.
        required: whether the user named it; a device found by "auto" may be given up for the CPU.
    """

    kind: str
    index: int = 0
    required: bool = False

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


def count_gpus(library: str = "libcuda.so.1") -> int:
    """Return how many GPUs the CUDA driver offers; 0 where there is no driver or it does not start."""
    try:
        driver = ctypes.CDLL(library)
    except OSError:  # the normal case on an appliance: no driver is installed
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def find_device(wanted: str = "auto", gpus: int | None = None) -> Device:
    """Return the device for "auto", "cpu", "cuda" or "cuda:N".

    Args:
        wanted: "auto" takes the first GPU there is, else the CPU.
        gpus: how many GPUs there are; asked from the driver by default.

    Raises:
        ModelError: `wanted` names a GPU that is not there, or nothing that we know.
    """
    if wanted == "cpu":
        return Device("cpu", required=True)
    match = re.fullmatch(r"cuda(?::(\d+))?", wanted)
    if wanted != "auto" and match is None:
        raise ModelError(f"device {wanted!r} is not known; use auto, cpu, cuda or cuda:N")
    found = count_gpus() if gpus is None else gpus
    if match is None:
        return Device("cuda") if found else Device("cpu")
    index = int(match[1] or 0)
    if index >= found:
        have = f"the machine has {found} of them" if found else "the CUDA driver finds none on this machine"
        raise ModelError(f"device {wanted}: no such GPU, {have}; use device: auto or cpu")
    return Device("cuda", index, required=True)
