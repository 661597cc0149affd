"""Mistakes on which the overfit gate is measured, written after its last change: it was never tuned to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from bench.gate_cases import Case
from bench.seeded_bugs import (
    of_images,
    on_batch,
    on_found,
    on_losses,
    on_net,
    on_optimiser,
    on_step,
    on_targets,
    without_background,
)
from training.detection_scores import Found
from training.finetune.batches import Batch
from training.finetune.detectors import Detector


def every_other_mirrored(batch: Batch) -> Batch:
    """Mirror pictures by chance and forget their boxes."""
    return replace(batch, images=[image.flip(2) if i % 2 else image for i, image in enumerate(batch.images)])


def targets_twice(batch: Batch) -> Batch:
    """Take the targets by a wrong index, each of them twice."""
    return replace(batch, targets=[batch.targets[i // 2] for i in range(len(batch.targets))])


def only_the_best(found: Found) -> Found:
    """Keep one detection of each picture, as suppression does that takes all boxes for one."""
    return replace(found, boxes=found.boxes[:1], scores=found.scores[:1], classes=found.classes[:1])


def boxes_only(net: Detector, optimiser: torch.optim.Optimizer, images: Any, targets: Any) -> None:
    """Go backward from the box loss alone."""
    optimiser.zero_grad()
    net.losses(images, targets)["box"].backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def detached_trunk(net: Any) -> None:
    """Cut the gradient before the last stage of a ResNet."""
    net.net.backbone.body.layer3.register_forward_hook(lambda module, inputs, output: output.detach())


def frozen_box_head(net: Any) -> None:
    """Freeze the box head of Faster R-CNN by a name that is too wide."""
    net.net.roi_heads.box_head.requires_grad_(False)


HELD_BACK: dict[str, Callable[[], Case]] = {
    "pictures moved by a quarter, boxes not": lambda: on_batch(
        of_images(lambda image: image.roll(image.shape[2] // 4, dims=2)), "nextar2"
    ),
    "every other picture mirrored, its boxes not": lambda: on_batch(every_other_mirrored, "painted"),
    "targets by a wrong index": lambda: on_batch(targets_twice, "painted"),
    "only the first object of each picture is learnt": lambda: on_targets(
        lambda t: replace(t, boxes=t.boxes[:1], classes=t.classes[:1], ignored=t.ignored[:1])
    ),
    "class loss weighted by 0": lambda: on_losses(lambda losses: {**losses, "classes": losses["classes"] * 0}),
    "the loss is made larger": lambda: on_optimiser(
        lambda net: torch.optim.SGD(net.parameters(), lr=0.01, maximize=True)
    ),
    "suppression keeps one box a picture": lambda: on_found(only_the_best),
    "backward from the box loss alone": lambda: on_step(boxes_only),
    "RetinaNet's adapter forgets the background": lambda: on_net(without_background, "retinanet_resnet50_fpn"),
    "FCOS's trunk detached": lambda: on_net(detached_trunk, "fcos_resnet50_fpn"),
    "Faster R-CNN's box head frozen by mistake": lambda: on_net(frozen_box_head, "fasterrcnn_resnet50_fpn"),
}
