"""Both graphs of a two-stage detector behind the face of one: `images -> proposals, regression, logits`.

`images -> first graph -> features, objectness, regression -> Proposer (numpy) -> proposals -> second graph`

Neither graph contains anything that depends on what is in the picture but the number of proposals; images of one run
are padded to the most proposals of any of them with empty boxes, which `RegionDecoder` leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelMismatch
from models.card import ModelCard
from models.device import Device
from models.regions import Proposals, Proposer
from models.runtimes import Inference, open_model
from models.session import TensorSpec
from models.settings import DetectorSettings

#: Outputs of the first graph besides its features, which are FEATURES with a number.
OBJECTNESS, ANCHOR_REGRESSION = "objectness", "anchor_regression"
FEATURES = "features"
#: Inputs of the second graph besides the features.
PROPOSALS, LEVELS = "proposals", "levels"
#: What both graphs together give, in the order in which the decoder reads it.
OUTPUTS = (PROPOSALS, "regression", "logits")


class TwoStages:
    """An `Inference` made of two. Safe to run from several threads, as its graphs are.

    Args:
        name: of the model, for messages.
        proposer: chooses what the second graph looks at.
        first: images (B, 3, H, W) -> features, objectness (B, A), anchor_regression (B, A, 4).
        second: features, proposals (B, K, 4), levels (B, K) -> regression (B, K, 4 C), logits (B, K, 1 + C).

    Raises:
        ModelMismatch: the graphs do not fit together.
    """

    def __init__(self, name: str, proposer: Proposer, first: Inference, second: Inference) -> None:
        self._first, self._second, self._proposer = first, second, proposer
        self.device, self.inputs = first.device, first.inputs
        self.features = tuple(spec.name for spec in second.inputs if spec.name.startswith(FEATURES))
        self._check(name)
        self.outputs = [TensorSpec(PROPOSALS, (None, None, 4), "float"), *second.outputs]

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the named ones of OUTPUTS; raises InferenceError."""
        regions = self.regions(self._first.run(self.first_outputs, feed))
        found = dict(zip(OUTPUTS[1:], self._second.run(OUTPUTS[1:], regions), strict=True))
        found[PROPOSALS] = regions[PROPOSALS]
        return [found[name] for name in outputs]

    @property
    def first_outputs(self) -> tuple[str, ...]:
        """What is asked of the first graph."""
        return (*self.features, OBJECTNESS, ANCHOR_REGRESSION)

    def regions(self, found: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
        """Return what the second graph is fed.

        Args:
            found: the first graph's outputs, in the order of `first_outputs`.
        """
        *features, objectness, regression = found
        each = [self._proposer.propose(*heads) for heads in zip(objectness, regression, strict=True)]
        boxes, levels = padded(each)
        return {**dict(zip(self.features, features, strict=True)), PROPOSALS: boxes, LEVELS: levels}

    def _check(self, name: str) -> None:
        given = {spec.name for spec in self._first.outputs}
        taken = {spec.name for spec in self._second.inputs}
        gives = {spec.name for spec in self._second.outputs}
        wanted = (({*self.first_outputs} - given, "first"), ({PROPOSALS, LEVELS} - taken, "second"))
        for missing, which in (*wanted, ({*OUTPUTS[1:]} - gives, "second")):
            if missing or not self.features:
                what = ", ".join(sorted(missing)) or "features"
                raise ModelMismatch(
                    f"{name}: the {which} stage has no {what}; `file` and `second_stage` do not belong "
                    "together: export the model again"
                )


def padded(each: Sequence[Proposals], least: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return boxes (B, K, 4) and levels (B, K) of B images; what lies behind an image's last proposal is 0.

    Args:
        each: the proposals of each image.
        least: K is at least this.
    """
    most = max(least, *(len(proposals.boxes) for proposals in each))
    boxes = np.zeros((len(each), most, 4), dtype=np.float32)
    levels = np.zeros((len(each), most), dtype=np.int64)
    for at, proposals in enumerate(each):
        boxes[at, : len(proposals.boxes)] = proposals.boxes
        levels[at, : len(proposals.boxes)] = proposals.levels
    return boxes, levels


def open_card(card: ModelCard, device: Device, settings: DetectorSettings) -> Inference:
    """Load the graph or graphs of a card by the runtime that the settings name.

    Raises:
        ModelNotFound: weights are missing.
        ModelMismatch: a file is not a model that the runtime can read, or two do not fit together.
        ModelError: the runtime is not installed, or does not run on the device that was named.
    """
    first = open_model(Path(card.file), device, settings)
    stage = card.second_stage
    if stage is None:
        return first
    size = (card.input.width, card.input.height)
    proposer = Proposer(card.full_name, size, card.anchors, stage.proposals)
    return TwoStages(card.full_name, proposer, first, open_model(Path(stage.file), device, settings))
