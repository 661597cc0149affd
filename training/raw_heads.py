"""What of a detector goes into its ONNX file: the net with raw heads, and what the card must say to read them.

Decoding and suppression are the product's own numpy, the same for torch and ONNX Runtime (`torch_inference`).
RetinaNet, FCOS and SSD leave as backbone and heads; Faster R-CNN leaves as two such graphs (`region_heads.py`), since
its second stage looks at features where its first stage found something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import ConfigError, ModelMismatch
from models.anchor_decoders import anchor_grid
from models.card import AnchorLevel, Decoder, InputSpec
from models.device import Device
from models.regions import Proposer
from models.runtimes import Inference
from models.session import TensorSpec
from models.two_stage import ANCHOR_REGRESSION, LEVELS, OBJECTNESS, OUTPUTS, PROPOSALS, TwoStages
from training.region_heads import RegionHeads, region_heads

#: Anchors may be off by so many pixels from torchvision's.
ANCHOR_TOLERANCE = 1e-3
#: A scale of 1/255 as cards write it.
_BYTE = 0.00392156863


class Exportable(Protocol):
    """What is needed of a detector (`training.finetune.detectors.Detector` has it)."""

    net: Any
    input_mean: tuple[float, float, float]
    input_std: tuple[float, float, float]

    @property
    def arch(self) -> str:
        """Its architecture."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes, in the order of their numbers."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that pictures are fitted into."""
        ...


@dataclass(frozen=True)
class Heads:
    """A net as it is exported.

    Attributes:
        net: images (B, 3, H, W), as the card's input says -> the outputs, in the order of `outputs`.
        outputs: names of the graph's outputs.
        decoder: reads them.
        input: what the net eats.
        anchors: what the decoder starts from.
        second: the second stage, of Faster R-CNN.
    """

    net: nn.Module
    outputs: tuple[str, ...]
    decoder: Decoder
    input: InputSpec
    anchors: tuple[AnchorLevel, ...] = ()
    second: RegionHeads | None = None


def heads_of(detector: Exportable) -> Heads:
    """Return the exported form of one of torchvision's detectors, which is put into inference mode.

    Raises:
        ConfigError: an architecture that is not known here.
        ModelMismatch: its anchors are not a grid.
    """
    spec, net = _input_of(detector), detector.net
    if detector.arch.startswith("fasterrcnn"):
        first, second = region_heads(net, spec)
        names = (*second.features, OBJECTNESS, ANCHOR_REGRESSION)
        return Heads(first, names, "fasterrcnn", spec, _anchors_of(net, net.rpn.anchor_generator, spec), second)
    for prefix in ("retinanet", "fcos", "ssd"):
        if detector.arch.startswith(prefix):
            kind: Any = prefix
            outputs = ("regression", "logits", "centerness") if prefix == "fcos" else ("regression", "logits")
            return Heads(
                _OneStage(net, prefix).eval(), outputs, kind, spec, _anchors_of(net, net.anchor_generator, spec)
            )
    raise ConfigError(f"arch {detector.arch}: no export is known for it")


class TorchGraph:
    """A net in torch behind the face of a runtime.

    Args:
        net: takes tensors in the order of `inputs` and returns some in the order of `outputs`.
        inputs: of the graph that it is exported as.
        outputs: their names.
    """

    def __init__(self, net: nn.Module, inputs: Sequence[TensorSpec], outputs: Sequence[str]) -> None:
        self._net, self.device = net, Device("cpu")
        self.inputs = list(inputs)
        self.outputs = [TensorSpec(name, (None,), "float") for name in outputs]

    @torch.no_grad()
    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the named outputs."""
        found = self._net(*(torch.from_numpy(feed[spec.name]) for spec in self.inputs))
        by_name = {spec.name: output.numpy() for spec, output in zip(self.outputs, found, strict=True)}
        return [by_name[name] for name in outputs]


def torch_inference(heads: Heads) -> Inference:
    """Return the net in torch as one inference: letterbox, decoding and suppression are then the product's.

    `OrtDetector(card, settings, inference=torch_inference(heads))` detects as the exported model will.
    """
    graphs = torch_graphs(heads)
    return graphs[0] if len(graphs) == 1 else joined(heads, *graphs)


def torch_graphs(heads: Heads) -> tuple[TorchGraph, ...]:
    """Return the net in torch, graph by graph as it is exported."""
    spec = heads.input
    first = TorchGraph(heads.net, [TensorSpec("images", (None, 3, spec.height, spec.width), "float")], heads.outputs)
    if heads.second is None:
        return (first,)
    names = (PROPOSALS, LEVELS, *heads.second.features)
    inputs = [TensorSpec(name, (), "int64" if name == LEVELS else "float") for name in names]
    return (first, TorchGraph(heads.second.net, inputs, OUTPUTS[1:]))


def joined(heads: Heads, first: Inference, second: Inference) -> TwoStages:
    """Return the two graphs of a two-stage net as one inference, whatever computes them."""
    if heads.second is None:
        raise ValueError(f"{heads.decoder} has no second stage")
    size = (heads.input.width, heads.input.height)
    proposer = Proposer(heads.decoder, size, heads.anchors, heads.second.proposals)
    return TwoStages(heads.decoder, proposer, first, second)


class _OneStage(nn.Module):
    """Backbone and heads. Class columns of the background that nothing trains (RetinaNet, FCOS) are left out."""

    def __init__(self, net: Any, kind: str) -> None:
        super().__init__()
        self.net, self._kind = net, kind
        weights = net.box_coder.weights if kind == "ssd" else (1.0, 1.0, 1.0, 1.0)
        self.register_buffer("weights", torch.tensor(weights), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return regression (B, A, 4), logits (B, A, C) and, for FCOS, centerness (B, A, 1)."""
        found = self.net.head(_levels(self.net.backbone(images)))
        logits = found["cls_logits"] if self._kind == "ssd" else found["cls_logits"][..., 1:]
        if self._kind == "fcos":
            return found["bbox_regression"], logits, found["bbox_ctrness"]
        return found["bbox_regression"] / self.weights, logits


def _levels(features: Any) -> list[Tensor]:
    return [features] if isinstance(features, Tensor) else list(features.values())


def _input_of(detector: Exportable) -> InputSpec:
    """Return the input: SSDs stretch; the others keep a picture's shape on a canvas of whole strides in mean colour."""
    width, height = detector.size
    stretched = detector.arch.startswith("ssd")
    if not stretched:
        width, height = -(-width // 32) * 32, -(-height // 32) * 32
    red, green, blue = (round(255 * mean) for mean in detector.input_mean)
    return InputSpec(
        width=width,
        height=height,
        scale=_BYTE,
        mean=detector.input_mean,
        std=detector.input_std,
        letterbox="stretch" if stretched else "topleft",
        pad=(red, green, blue),
    )


@torch.no_grad()
def _anchors_of(net: Any, generator: Any, spec: InputSpec) -> tuple[AnchorLevel, ...]:
    """Return the net's anchors for its input as grids, told from the anchors that torchvision makes.

    Raises:
        ModelMismatch: they are not what the grids say.
    """
    from torchvision.models.detection.image_list import ImageList

    images = torch.zeros(1, 3, spec.height, spec.width)
    features = _levels(net.backbone(images))
    every = generator(ImageList(images, [(spec.height, spec.width)]), features)[0].double().numpy()
    levels, start = [], 0
    for feature, count in zip(features, generator.num_anchors_per_location(), strict=True):
        rows, columns = feature.shape[-2:]
        end = start + rows * columns * count
        levels.append(_level(every[start:end].reshape(rows, columns, count, 4)))
        start = end
    centres, sizes = anchor_grid(levels)
    ours = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    if ours.shape != every.shape or not np.abs(ours - every).max() <= ANCHOR_TOLERANCE:
        raise ModelMismatch(
            "the anchors of this net are not a grid of equal boxes; it cannot be exported with raw heads"
        )
    return tuple(levels)


def _level(boxes: NDArray[np.float64]) -> AnchorLevel:
    """Return the grid of the boxes (rows, columns, n, 4) of one level."""
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    sizes = boxes[0, 0, :, 2:] - boxes[0, 0, :, :2]
    across = (centres[0, -1, 0] - centres[0, 0, 0])[0] / max(1, boxes.shape[1] - 1)
    down = (centres[-1, 0, 0] - centres[0, 0, 0])[1] / max(1, boxes.shape[0] - 1)
    return AnchorLevel(
        rows=boxes.shape[0],
        columns=boxes.shape[1],
        step=(round(float(across), 5), round(float(down), 5)),
        offset=(round(float(centres[0, 0, 0, 0]), 5), round(float(centres[0, 0, 0, 1]), 5)),
        sizes=tuple((round(float(w), 5), round(float(h), 5)) for w, h in sizes),
    )
