"""The seam between a model that tells dishes apart by their looks and everything that uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns crops into appearance vectors: crops of one dish lie close together, also of dishes it never learnt.

    Deterministic: equal crops give equal vectors, whatever they are batched with. May be called from several threads
    at once (lanes share an embedder).
    """

    @property
    def name(self) -> str:
        """Name and version, such as "dish-embed@1"; a gallery belongs to one of them."""
        ...

    @property
    def dimensions(self) -> int:
        """Length D of a vector."""
        ...

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return one unit vector per crop, (N, D) float32.

        Args:
            crops: uint8 (height, width, 3) RGB of any size of at least one pixel; they may differ in size.

        Raises:
            InferenceError: the runtime failed or gave numbers that cannot be a vector.
        """
        ...

    def close(self) -> None:
        """Give the model's memory back; idempotent."""
        ...
