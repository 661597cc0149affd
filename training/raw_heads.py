"""What of a detector goes into its ONNX file: the net with raw heads, and what the card must say to read them.

RetinaNet, FCOS and SSD leave as backbone and heads: decoding and suppression are the product's own numpy, the same for
torch and ONNX Runtime (`TorchInference`). Faster R-CNN cannot be cut like that: its second stage looks at features
where its first stage found something. It leaves whole, decoding and suppression inside, for one picture of a fixed
size, by torch's older exporter: `torch.export` cannot follow what depends on the picture.
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
from models.session import TensorSpec

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
        class_offset: number of the first class (torchvision's finished detections).
        batched: whether several pictures may go in at once.
    """

    net: nn.Module
    outputs: tuple[str, ...]
    decoder: Decoder
    input: InputSpec
    anchors: tuple[AnchorLevel, ...] = ()
    class_offset: int = 0
    batched: bool = True


def heads_of(detector: Exportable) -> Heads:
    """Return the exported form of one of torchvision's detectors, which is put into inference mode.

    Raises:
        ConfigError: an architecture that is not known here.
        ModelMismatch: its anchors are not a grid.
    """
    spec, net = _input_of(detector), detector.net
    if detector.arch.startswith("fasterrcnn"):
        whole = _TwoStages(net, (spec.height, spec.width)).eval()
        return Heads(whole, ("boxes", "scores", "labels"), "torchvision", spec, class_offset=1, batched=False)
    for prefix in ("retinanet", "fcos", "ssd"):
        if detector.arch.startswith(prefix):
            kind: Any = prefix
            outputs = ("regression", "logits", "centerness") if prefix == "fcos" else ("regression", "logits")
            return Heads(_OneStage(net, prefix).eval(), outputs, kind, spec, _anchors_of(net, spec))
    raise ConfigError(f"arch {detector.arch}: no export is known for it")


class TorchInference:
    """A net in torch behind the face of a runtime: letterbox, decoding and suppression are then the product's.

    `OrtDetector(card, settings, inference=TorchInference(heads))` detects as the exported model will.
    """

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self.device = Device("cpu")
        places = None if heads.batched else 1
        self.inputs = [TensorSpec("images", (places, 3, heads.input.height, heads.input.width), "float")]
        self.outputs = [
            TensorSpec(name, (None, 4) if name == "boxes" else (None,), "int64" if name == "labels" else "float")
            for name in heads.outputs
        ]

    @torch.no_grad()
    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the named outputs."""
        found = self._heads.net(torch.from_numpy(feed["images"]))
        by_name = dict(zip(self._heads.outputs, found, strict=True))
        return [by_name[name].numpy() for name in outputs]


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


class _TwoStages(nn.Module):
    """Faster R-CNN as it is, but for fitting the picture in: one picture (1, 3, H, W) -> boxes, scores, numbers."""

    def __init__(self, net: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.net, self._size = net, size

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return boxes (N, 4) in input pixels, scores (N,) and class numbers (N,), the background being 0."""
        from torchvision.models.detection.image_list import ImageList

        features = self.net.backbone(images)
        pictures = ImageList(images, [self._size])
        proposals, _ = self.net.rpn(pictures, features)
        found, _ = self.net.roi_heads(features, proposals, pictures.image_sizes)
        return found[0]["boxes"], found[0]["scores"], found[0]["labels"]


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
def _anchors_of(net: Any, spec: InputSpec) -> tuple[AnchorLevel, ...]:
    """Return the net's anchors for its input as grids, told from the anchors that torchvision makes.

    Raises:
        ModelMismatch: they are not what the grids say.
    """
    from torchvision.models.detection.image_list import ImageList

    images = torch.zeros(1, 3, spec.height, spec.width)
    features = _levels(net.backbone(images))
    every = net.anchor_generator(ImageList(images, [(spec.height, spec.width)]), features)[0].double().numpy()
    levels, start = [], 0
    for feature, count in zip(features, net.anchor_generator.num_anchors_per_location(), strict=True):
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
