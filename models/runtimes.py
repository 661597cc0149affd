"""Which library computes a model: the seam between detectors and runtimes, and the choice by the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.device import Device
from models.openvino_session import OpenVinoSession
from models.session import Session, TensorSpec
from models.settings import DetectorSettings


class Inference(Protocol):
    """A loaded graph; may be run from several threads at once."""

    device: Device
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the named outputs; raises InferenceError."""
        ...


def open_model(path: Path, device: Device, settings: DetectorSettings) -> Inference:
    """Load a graph by the runtime that the settings name.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: the file is not a model that the runtime can read.
        ModelError: the runtime is not installed, or does not run on the device that was named.
    """
    if settings.runtime == "openvino":
        return OpenVinoSession(path, device, settings.threads)
    return Session(path, device, settings.threads, settings.engines if settings.tensorrt else None)
