"""Our own TrayNet as a detector that can be fine-tuned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot

from core.boxes import clip
from core.errors import ConfigError
from models.suppression import pair_limits, suppress
from training.assign import Truth
from training.augment import PAD
from training.detection_scores import Found
from training.finetune.batches import Target
from training.finetune.detectors import MIN_SCORE, Detector, DetectorShape
from training.losses import detection_loss
from training.traynet import TrayNet, TrayNetShape, decode_boxes, grid

#: Overlap above which the better of two boxes stays alone; the product's default.
NMS_IOU = 0.6
#: Candidates before suppression; its cost grows with their square.
MOST = 400


class EdgeDetector(Detector):
    """TrayNet with letterbox, losses and suppression.

    Args:
        shape: both sides of its size must be multiples of 32.

    Raises:
        ConfigError: a size or norm that TrayNet cannot have.
    """

    net: TrayNet
    input_mean = (0.0, 0.0, 0.0)
    input_std = (1.0, 1.0, 1.0)
    takes_doubt = True
    cells: Tensor
    strides: Tensor

    def __init__(self, shape: DetectorShape) -> None:
        super().__init__(shape)
        if shape.norm != "batch":
            raise ConfigError(f"norm {shape.norm!r}: traynet has batch norm only; freeze its stages instead")
        self.net = TrayNet(traynet_shape(shape)).to(memory_format=torch.channels_last)
        self.resize(shape.size)
        self._limits = pair_limits(shape.labels, "label", NMS_IOU)

    def resize(self, size: tuple[int, int]) -> None:
        """Fit pictures into another canvas from now on.

        Raises:
            ConfigError: a side that is no multiple of 32.
        """
        if size[0] % 32 or size[1] % 32:
            raise ConfigError(f"size {size[0]}x{size[1]}: traynet needs multiples of 32")
        self.shape = replace(self.shape, size=size)
        cells, strides = grid(size[1], size[0])
        device = self.net.stem.get_parameter("0.weight").device
        self.register_buffer("cells", cells.to(device), persistent=False)
        self.register_buffer("strides", strides.to(device), persistent=False)

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """Return the losses of box, objectness and classes."""
        canvas, scales = self._letterbox(images)
        parts = detection_loss(self.net(canvas), truth_of(targets, scales), self.cells, self.strides)
        return {"box": parts.box, "objectness": parts.objectness, "classes": parts.classes}

    @torch.no_grad()
    def predict(self, images: list[Tensor]) -> list[Found]:
        """Return the detections of each picture, after the product's suppression."""
        canvas, scales = self._letterbox(images)
        raw = self.net(canvas).float()
        boxes = decode_boxes(raw, self.cells, self.strides).cpu().numpy()
        scores = raw[..., 4:].sigmoid().cpu().numpy()
        return [
            self._found(boxes[i], scores[i], scale, (image.shape[2], image.shape[1]))
            for i, (image, scale) in enumerate(zip(images, scales, strict=True))
        ]

    def class_layers(self) -> tuple[str, ...]:
        """Return the class branch's last layer at each level."""
        return tuple(f"net.heads.{i}.class_scores" for i in range(len(self.net.heads)))

    @property
    def class_outputs(self) -> int:
        """The classes; the background has no output."""
        return len(self.labels)

    def replace_class_layers(self, outputs: int) -> None:
        """Give the class layers new weights for `outputs` classes."""
        for head in self.net.heads:
            old = head.get_parameter("class_scores.weight")  # (C, neck, 1, 1)
            new = nn.Conv2d(old.shape[1], outputs, 1).to(old.device)
            nn.init.constant_(new.bias, -math.log(outputs))  # type: ignore[arg-type]
            head.class_scores = new.to(memory_format=torch.channels_last)

    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Return stem, four stages, pyramid and heads."""
        pyramid = ("lateral8", "lateral16", "lateral32", "context", "up16", "up8", "down16", "down32", "out16", "out32")
        return (
            ("net.stem",),
            ("net.stage4",),
            ("net.stage8",),
            ("net.stage16",),
            ("net.stage32",),
            tuple(f"net.{name}" for name in pyramid),
            ("net.heads",),
        )

    def _letterbox(self, images: Sequence[Tensor]) -> tuple[Tensor, list[tuple[float, float]]]:
        """Return the canvas (B, 3, H, W) and, for each picture, canvas pixels per picture pixel along x and y."""
        width, height = self.shape.size
        canvas = images[0].new_full((len(images), 3, height, width), PAD / 255)
        scales = []
        for place, image in zip(canvas, images, strict=True):
            high, wide = image.shape[1:]
            ratio = min(width / wide, height / high)
            inner = (min(height, max(1, int(high * ratio))), min(width, max(1, int(wide * ratio))))
            if inner != (high, wide):
                shrunk = interpolate(image[None], inner, mode="bilinear", align_corners=False, antialias=ratio < 1)
                image = shrunk[0].clamp(0, 1)
            place[:, : inner[0], : inner[1]] = image
            scales.append((inner[1] / wide, inner[0] / high))
        return canvas.contiguous(memory_format=torch.channels_last), scales

    def _found(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        scale: tuple[float, float],
        size: tuple[int, int],
    ) -> Found:
        """Return what suppression leaves of the cells (A, 4) and (A, 1 + C), in pixels of the picture."""
        classes = scores[:, 1:].argmax(axis=1)
        sure = scores[:, 0] * scores[np.arange(len(scores)), classes + 1]
        at = np.flatnonzero(sure > MIN_SCORE)
        at = at[np.argsort(-sure[at], kind="stable")[:MOST]]
        back = clip((boxes[at] / np.array(scale * 2)).astype(np.float32), *size)
        seen = ((back[:, 2:] - back[:, :2]) >= 1).all(axis=1)
        at, back = at[seen], back[seen].astype(np.float32)
        kept = suppress(back, self._limits[classes[at][:, None], classes[at][None, :]])
        at = at[kept]
        of_class = scores[at, 1:]
        probs = of_class / np.maximum(of_class.sum(axis=1, keepdims=True), np.float32(1e-9))
        return Found(back[kept], sure[at], classes[at].astype(np.int64), probs)


def traynet_shape(shape: DetectorShape) -> TrayNetShape:
    """Return TrayNet's own description; empty fields of `shape` mean the standard net."""
    standard = TrayNetShape(len(shape.labels))
    widths, depths = shape.widths or standard.widths, shape.depths or standard.depths
    if len(widths) != 5 or len(depths) != 4:
        raise ConfigError(f"traynet has 5 widths and 4 depths, not {list(widths)} and {list(depths)}")
    w, d = widths, depths
    return TrayNetShape(
        len(shape.labels), (w[0], w[1], w[2], w[3], w[4]), (d[0], d[1], d[2], d[3]), shape.neck or standard.neck
    )


def truth_of(targets: Sequence[Target], scales: Sequence[tuple[float, float]]) -> Truth:
    """Return the objects on the canvas, padded to the most of any picture, and to one."""
    most = max(1, *(len(target.boxes) for target in targets))
    boxes = targets[0].boxes.new_zeros((len(targets), most, 4), dtype=torch.float32)
    classes = boxes.new_zeros((len(targets), most), dtype=torch.int64)
    wanted = boxes.new_zeros((len(targets), most), dtype=torch.bool)
    ignored = wanted.clone()
    weights = boxes.new_ones((len(targets), most)) if any(t.weights is not None for t in targets) else None
    soft = [target.posteriors for target in targets if target.posteriors is not None]
    posteriors = boxes.new_zeros((len(targets), most, soft[0].shape[1])) if soft else None
    for b, (target, scale) in enumerate(zip(targets, scales, strict=True)):
        n = len(target.boxes)
        boxes[b, :n] = target.boxes * boxes.new_tensor(scale * 2)
        classes[b, :n] = target.classes
        wanted[b, :n] = ~target.ignored
        ignored[b, :n] = target.ignored
        if weights is not None and target.weights is not None:
            weights[b, :n] = target.weights
        if posteriors is not None:
            certain = one_hot(target.classes, posteriors.shape[2]).to(posteriors.dtype)
            posteriors[b, :n] = certain if target.posteriors is None else target.posteriors
    return Truth(boxes, classes, wanted, ignored, weights, posteriors)
