"""torchvision's detectors: Faster R-CNN, RetinaNet, FCOS, SSD and SSDlite, with heads for our classes.

They count the background as class 0, so that our class c is their c + 1; RetinaNet and FCOS keep a column for it that
nothing ever trains. They know no ignored objects: such regions are painted in the mean colour in training (what is
drawn there cannot be called background), except where an object that is wanted lies on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops.misc import FrozenBatchNorm2d

from core.errors import ConfigError
from training.detection_scores import Found
from training.finetune.batches import Target
from training.finetune.detectors import MIN_SCORE, Detector, DetectorShape

#: SSD300's last layers leave nothing of a smaller picture.
SSD300_LEAST = 268
#: Pixels between its default boxes at 300 px, level by level (Liu et al., 2016).
SSD300_STEPS = (8, 16, 32, 64, 100, 300)
#: How sure the sigmoid heads are of each class at the start (Lin et al., 2017).
PRIOR = 0.01


class TorchvisionDetector(Detector):
    """One of torchvision's detection models. Its own pretrained weights load into `net`, see `pretrained`.

    Args:
        shape: see `DetectorShape`.

    Raises:
        ConfigError: SSD300 with too small a size.
    """

    def __init__(self, shape: DetectorShape) -> None:
        super().__init__(shape)
        _check_size(shape.arch, shape.size)
        model = getattr(detection, shape.arch)(weights=None, weights_backbone=None, num_classes=len(shape.labels) + 1)
        self.net = model
        self.resize(shape.size)
        if shape.norm == "frozen":
            _replace_norms(model.backbone.body if hasattr(model.backbone, "body") else model.backbone, shape)
        elif shape.norm == "group":
            _replace_norms(model, shape)
        owner = model.roi_heads if shape.arch.startswith("fasterrcnn") else model
        owner.score_thresh = MIN_SCORE
        mean, std = model.transform.image_mean, model.transform.image_std
        self.input_mean, self.input_std = (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])

    def resize(self, size: tuple[int, int]) -> None:
        """Fit pictures into another size from now on.

        Raises:
            ConfigError: SSD300 with too small a size.
        """
        _check_size(self.arch, size)
        self.shape = replace(self.shape, size=size)
        net: Any = self.net
        net.transform.min_size, net.transform.max_size = (min(size),), max(size)
        if self.arch.startswith("ssd"):
            net.transform.fixed_size = size
        if self.arch == "ssd300_vgg16":
            # At other sizes boxes follow the feature maps instead of the paper's steps for 300 px.
            net.anchor_generator.steps = list(SSD300_STEPS) if size == (300, 300) else None

    def losses(self, images: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """Return torchvision's losses; the net must be in training mode.

        Raises:
            ConfigError: one picture, where the norms of the last layers need two.
        """
        if not self.training:
            raise ValueError("losses are for training mode: call train() first")
        if len(images) == 1 and self.arch.startswith("ssdlite") and self.shape.norm != "group":
            raise ConfigError("ssdlite's last layers are 1x1: batch norm needs two pictures a step or more")
        painted = [self._painted(image, target) for image, target in zip(images, targets, strict=True)]
        wanted = [
            {"boxes": target.boxes[~target.ignored].float(), "labels": target.classes[~target.ignored] + 1}
            for target in targets
        ]
        losses: dict[str, Tensor] = self.net(painted, wanted)
        return losses

    @torch.no_grad()
    def predict(self, images: list[Tensor]) -> list[Found]:
        """Return the detections of each picture; the net must be in inference mode."""
        if self.training:
            raise ValueError("predict is for inference mode: call eval() first")
        found = []
        for result, image in zip(self.net(images), images, strict=True):
            boxes = result["boxes"].float().cpu().numpy()
            classes = result["labels"].cpu().numpy() - 1
            scores = result["scores"].float().cpu().numpy()
            boxes = np.clip(boxes, 0, np.array([image.shape[2], image.shape[1]] * 2, dtype=np.float32))
            real = (classes >= 0) & ((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1)
            order = np.flatnonzero(real)[np.argsort(-scores[real], kind="stable")]
            found.append(Found(boxes[order], scores[order], classes[order].astype(np.int64)))
        return found

    def class_layers(self) -> tuple[str, ...]:
        """Return the last layers whose outputs count the classes; Faster R-CNN has a box for each class, too."""
        if self.arch.startswith("fasterrcnn"):
            return ("net.roi_heads.box_predictor.cls_score", "net.roi_heads.box_predictor.bbox_pred")
        head = "net.head.classification_head"
        if self.arch == "ssd300_vgg16":
            return tuple(f"{head}.module_list.{i}" for i in range(6))
        if self.arch.startswith("ssdlite"):
            return tuple(f"{head}.module_list.{i}.1" for i in range(6))
        return (f"{head}.cls_logits",)

    @property
    def class_outputs(self) -> int:
        """The classes and the background."""
        return len(self.labels) + 1

    def replace_class_layers(self, outputs: int) -> None:
        """Give the class layers new weights for `outputs` classes, the background among them."""
        net: Any = self.net
        if self.arch.startswith("fasterrcnn"):
            device = net.roi_heads.box_predictor.cls_score.weight.device
            inputs = net.roi_heads.box_predictor.cls_score.in_features
            net.roi_heads.box_predictor = FastRCNNPredictor(inputs, outputs).to(device)
            return
        head = net.head.classification_head
        if self.arch.startswith("ssd"):
            for i, layer in enumerate(head.module_list):
                anchors = net.anchor_generator.num_anchors_per_location()[i]
                if self.arch == "ssd300_vgg16":
                    head.module_list[i] = _like(layer, anchors * outputs, nn.init.xavier_uniform_)
                else:
                    layer[1] = _like(layer[1], anchors * outputs, lambda w: nn.init.normal_(w, std=0.03))
            head.num_columns = outputs
            return
        head.cls_logits = _like(head.cls_logits, head.num_anchors * outputs, lambda w: nn.init.normal_(w, std=0.01))
        nn.init.constant_(head.cls_logits.bias, -math.log((1 - PRIOR) / PRIOR))
        head.num_classes = outputs

    def stages(self) -> tuple[tuple[str, ...], ...]:
        """Return the trunk's stages, then the pyramid or extra layers, then the head."""
        if self.arch == "ssd300_vgg16":
            vgg = ((0, 5), (5, 10), (10, 17), (17, 23))
            early = [tuple(f"net.backbone.features.{i}" for i in range(a, b)) for a, b in vgg]
            extra = ("net.backbone.scale_weight", *(f"net.backbone.extra.{i}" for i in range(1, 5)))
            return (*early, ("net.backbone.extra.0",), extra, ("net.head",))
        if self.arch.startswith("ssdlite"):
            cuts = ((0, 2), (2, 4), (4, 7), (7, 14))
            early = [tuple(f"net.backbone.features.0.{i}" for i in range(a, b)) for a, b in cuts]
            return (*early, ("net.backbone.features.1",), ("net.backbone.extra",), ("net.head",))
        heads = ("net.rpn", "net.roi_heads") if self.arch.startswith("fasterrcnn") else ("net.head",)
        body = "net.backbone.body"
        if "mobilenet" in self.arch:
            blocks = ((0, 2), (2, 4), (4, 7), (7, 13), (13, 17))
            trunk = tuple(tuple(f"{body}.{i}" for i in range(a, b)) for a, b in blocks)
        else:
            trunk = ((f"{body}.conv1", f"{body}.bn1"), *((f"{body}.layer{i}",) for i in range(1, 5)))
        return (*trunk, ("net.backbone.fpn",), heads)

    def _painted(self, image: Tensor, target: Target) -> Tensor:
        """Return the picture with ignored regions in the mean colour; the same tensor where there are none."""
        if not bool(target.ignored.any()):
            return image
        painted = image.clone()
        colour = image.new_tensor(self.input_mean)[:, None, None]
        for rows, columns in _pixels(target.boxes[target.ignored]):
            painted[:, rows, columns] = colour
        for rows, columns in _pixels(target.boxes[~target.ignored]):
            painted[:, rows, columns] = image[:, rows, columns]
        return painted


def _pixels(boxes: Tensor) -> Iterator[tuple[slice, slice]]:
    for x1, y1, x2, y2 in boxes.tolist():
        yield slice(max(0, int(y1)), math.ceil(y2)), slice(max(0, int(x1)), math.ceil(x2))


def _check_size(arch: str, size: tuple[int, int]) -> None:
    if arch == "ssd300_vgg16" and min(size) < SSD300_LEAST:
        raise ConfigError(f"size {size[0]}x{size[1]}: ssd300_vgg16 needs {SSD300_LEAST} or more")


def _replace_norms(root: nn.Module, shape: DetectorShape) -> None:
    """Put frozen or group norm in place of each batch norm below `root`."""
    norms = [(name, module) for name, module in root.named_modules() if isinstance(module, nn.BatchNorm2d)]
    for name, norm in norms:
        parent, _, leaf = name.rpartition(".")
        if shape.norm == "frozen":
            eps = norm.eps if norm.eps != 1e-5 else shape.norm_eps
            setattr(root.get_submodule(parent), leaf, FrozenBatchNorm2d(norm.num_features, eps=eps))
        else:
            setattr(root.get_submodule(parent), leaf, nn.GroupNorm(_groups(norm.num_features), norm.num_features))


def _groups(channels: int) -> int:
    """Return how many groups: 32, or as many as divide the channels and leave four in each.

    >>> _groups(256), _groups(64), _groups(24)
    (32, 16, 4)
    """
    groups = math.gcd(32, channels)
    while groups > 1 and channels // groups < 4:
        groups //= 2
    return groups


def _like(layer: nn.Conv2d, outputs: int, fill: Any) -> nn.Conv2d:
    """Return a new convolution of the layer's kind with other outputs, weights from `fill` and biases 0."""
    new = nn.Conv2d(
        layer.in_channels,
        outputs,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
    )
    fill(new.weight)
    nn.init.zeros_(new.bias)  # type: ignore[arg-type]
    return new.to(layer.weight.device)
