"""The embedder that lanes use: a model card of task embed, run by ONNX Runtime.

`crops -> crop_fit into the input -> session.run, one crop at a time -> unit vectors`

One crop at a time, because a batch would change the last bits of a vector with what else is in it, and on one thread it
is no faster. Several threads may embed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import InferenceError, ModelMismatch
from models.card import ModelCard
from models.crop_fit import fitted
from models.device import Device, find_device
from models.session import Session, TensorSpec
from models.settings import EmbedderSettings

#: A vector shorter than this before it is made unit says nothing.
_SHORTEST = 1e-6


class OrtEmbedder:
    """Runs the model of a card of task embed; see `Embedder`.

    Args:
        card: as `load_card` gives it, with an absolute `file`.
        settings: threads and device.
        device: where to run; by default what `settings.device` leads to.

    Raises:
        ModelNotFound: the weights are missing.
        ModelMismatch: the card is of another task, or the weights do not fit it.
        ModelError: the device cannot be used.
    """

    def __init__(self, card: ModelCard, settings: EmbedderSettings, device: Device | None = None) -> None:
        # OpenCV's own threads would compete with lanes for a resize of some microseconds.
        cv2.setNumThreads(1)
        card.check_task("embed")
        self._card = card
        self._session: Session | None = Session(
            Path(card.file), device or find_device(settings.device), settings.threads
        )
        self.device, self.providers = self._session.device, tuple(self._session.providers)
        self._input = _check_input(card, self._session.inputs)
        self._output = _check_output(card, self._session.outputs)
        self.embed([np.full((card.input.height, card.input.width, 3), 114, np.uint8)])  # shapes as they really are

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return self._card.full_name

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._card.dimensions or 0

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return one unit vector per crop, (N, D) float32; see `Embedder.embed`."""
        session = self._session
        if session is None:
            raise ValueError(f"{self.name} is closed")
        vectors = np.empty((len(crops), self.dimensions), dtype=np.float32)
        for at, crop in enumerate(crops):
            found = session.run([self._output], {self._input: fitted(self._card.input, crop)[None]})[0]
            if found.shape != (1, self.dimensions):
                raise InferenceError(f"{self.name}: gave {found.shape} for one crop, (1, {self.dimensions}) is due")
            length = float(np.linalg.norm(found))
            if not (np.isfinite(length) and length > _SHORTEST):
                raise InferenceError(f"{self.name}: crop {at} gave a vector of length {length}; the weights are broken")
            vectors[at] = found[0] / np.float32(length)
        return vectors

    def close(self) -> None:
        """Give the model's memory back; idempotent."""
        self._session = None


def _check_input(card: ModelCard, inputs: Sequence[TensorSpec]) -> str:
    """Return the input's name.

    Raises:
        ModelMismatch: it is not one picture of the card's size.
    """
    size = card.input
    fits = len(inputs) == 1 and inputs[0].dtype == "float" and inputs[0].shape[1:] == (3, size.height, size.width)
    if not fits or inputs[0].shape[0] not in (None, 1):
        have = "; ".join(f"{spec.name} {spec.dtype} {spec.shape}" for spec in inputs)
        raise ModelMismatch(
            f"{card.full_name}: an embedder takes one float input (any, 3, {size.height}, {size.width}), the model has "
            f"{have}; correct `input` in the card"
        )
    return inputs[0].name


def _check_output(card: ModelCard, outputs: Sequence[TensorSpec]) -> str:
    """Return the output's name.

    Raises:
        ModelMismatch: it is not one vector of the card's length.
    """
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[1] not in (None, card.dimensions):
        have = "; ".join(f"{spec.name} {spec.shape}" for spec in outputs)
        raise ModelMismatch(
            f"{card.full_name}: an embedder gives vectors (any, {card.dimensions}), the model gives {have}; correct "
            "`dimensions` in the card"
        )
    return outputs[0].name
