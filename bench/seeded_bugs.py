"""Mistakes seeded into the real pieces, on which the overfit gate is measured: one small change each.

They were known while the gate was built, though no check is made for one of them alone. `held_back_bugs` has such as
were written when it was done.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.gate_cases import Case, good
from training.detection_scores import Found
from training.finetune.batches import Batch, Target
from training.finetune.detectors import Detector
from training.finetune.overfit import TakeStep

Change = Callable[[Any], None]
SSDLITE = "ssdlite320_mobilenet_v3_large"


def on_batch(change: Callable[[Batch], Batch], pictures: str = "epicure19") -> Case:
    """Return a run whose loader makes a mistake."""
    case = good("small traynet", pictures, 4)
    return replace(case, batch=change(case.batch))


def on_net(change: Change, shape: str = "small traynet", pictures: str = "painted") -> Case:
    """Return a run whose net has a mistake."""
    case = good(shape, pictures, 4)

    def make_net() -> Detector:
        net = case.make_net()
        change(net)
        return net

    return replace(case, make_net=make_net)


def on_targets(change: Callable[[Target], Target], shape: str = "small traynet") -> Case:
    """Return a run whose losses misread the targets."""

    def spoil(net: Any) -> None:
        losses = net.losses
        net.losses = lambda images, targets: losses(images, [change(target) for target in targets])

    return on_net(spoil, shape)


def on_found(change: Callable[[Found], Found], shape: str = "small traynet") -> Case:
    """Return a run whose decoding has a mistake."""

    def spoil(net: Any) -> None:
        predict = net.predict
        net.predict = lambda images: [change(found) for found in predict(images)]

    return on_net(spoil, shape)


def on_losses(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Case:
    """Return a run whose losses have a mistake."""

    def spoil(net: Any) -> None:
        losses = net.losses
        net.losses = lambda images, targets: change(losses(images, targets))

    return on_net(spoil)


def on_canvas(change: Callable[[Tensor], Tensor]) -> Case:
    """Return a run whose pictures go into the net wrongly."""

    def spoil(net: Any) -> None:
        letterbox = net._letterbox

        def wrong(images: list[Tensor]) -> tuple[Tensor, list[tuple[float, float]]]:
            canvas, scales = letterbox(images)
            return change(canvas), scales

        net._letterbox = wrong

    return on_net(spoil)


def on_optimiser(make: Callable[[Detector], torch.optim.Optimizer]) -> Case:
    """Return a run with a wrong optimiser."""
    return replace(good("small traynet", "painted", 4), make_optimiser=make)


def on_step(step: TakeStep) -> Case:
    """Return a run with a wrong step."""
    return replace(good("small traynet", "painted", 4), take_step=step)


def boxes(change: Callable[[Tensor], Tensor]) -> Callable[[Target], Target]:
    """Return a change of a target's boxes."""
    return lambda target: replace(target, boxes=change(target.boxes))


def of_targets(change: Callable[[Target], Target]) -> Callable[[Batch], Batch]:
    """Return a change of a batch's targets."""
    return lambda batch: replace(batch, targets=[change(target) for target in batch.targets])


def of_images(change: Callable[[Tensor], Tensor]) -> Callable[[Batch], Batch]:
    """Return a change of a batch's pictures."""
    return lambda batch: replace(batch, images=[change(image) for image in batch.images])


def imagenet(images: Tensor) -> Tensor:
    """Normalise pictures as ImageNet's nets want it."""
    mean, std = images.new_tensor((0.485, 0.456, 0.406)), images.new_tensor((0.229, 0.224, 0.225))
    return (images - mean[:, None, None]) / std[:, None, None]


def as_corner_and_size(b: Tensor) -> Tensor:
    """Return x y width height."""
    return torch.cat([b[:, :2], b[:, 2:] - b[:, :2]], dim=1)


def norms_in_inference(net: Any) -> None:
    """Leave norms in inference mode after a validation."""

    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        type(self).train(self, mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    net.train = MethodType(train, net)


def norms_in_training(net: Any) -> None:
    """Forget to switch to inference in predict."""
    predict = net.predict

    def wrong(images: list[Tensor]) -> list[Found]:
        net.net.train()
        found: list[Found] = predict(images)
        net.net.eval()
        return found

    net.predict = wrong


def detached_features(net: Any) -> None:
    """Cut the gradient after the fourth stage, as a left-over of an experiment does."""
    net.net.stage16.register_forward_hook(lambda module, inputs, output: output.detach())


def frozen_head(net: Any) -> None:
    """Freeze by a pattern that is too wide."""
    for name, parameter in net.named_parameters():
        if "head" in name:
            parameter.requires_grad_(False)


def frozen_statistics(net: Any) -> None:
    """Give norms a momentum of 0."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0


def lost_prior(net: Any) -> None:
    """Initialise all biases to 0 again, as a general initialisation afterwards does."""
    for head in net.net.heads:
        nn.init.zeros_(head.objectness.bias)


def short_head(net: Any) -> None:
    """Build the head for one class less."""
    net.replace_class_layers(net.class_outputs - 1)


def without_background(net: Any) -> None:
    """Give torchvision classes from 0."""
    losses = net.losses
    net.losses = lambda images, targets: losses(images, [replace(t, classes=t.classes - 1) for t in targets])


def in_canvas_pixels(net: Any) -> None:
    """Forget to map boxes back to the picture."""
    decode = net._found
    net._found = lambda boxes, scores, scale, size: decode(boxes, scores, (1.0, 1.0), size)


def old_optimiser(net: Detector) -> torch.optim.Optimizer:
    """Make the optimiser before the head is changed."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    net.replace_class_layers(net.class_outputs)
    return optimiser


def clipped_to_nothing(net: Detector, optimiser: torch.optim.Optimizer, images: Any, targets: Any) -> None:
    """Clip gradients to 1e-9."""
    optimiser.zero_grad()
    torch.stack(list(net.losses(images, targets).values())).sum().backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1e-9)
    optimiser.step()


def logits(found: Found) -> Found:
    """Return scores before the sigmoid."""
    p = np.clip(found.scores, 1e-6, 1 - 1e-6)
    return replace(found, scores=np.log(p / (1 - p)).astype(np.float32))


def strides_exchanged(net: Any) -> None:
    """Decode detections with the levels' strides in another order than in training."""
    predict = net.predict

    def wrong(images: list[Tensor]) -> list[Found]:
        right = net.strides
        net.strides = right.flip(0)
        found: list[Found] = predict(images)
        net.strides = right
        return found

    net.predict = wrong


def stale_copy(net: Any) -> None:
    """Detect with a copy of the net that nobody updates."""
    old = copy.deepcopy(net.net).eval()
    predict = net.predict

    def wrong(images: list[Tensor]) -> list[Found]:
        current, net.net = net.net, old
        found: list[Found] = predict(images)
        net.net = current
        return found

    net.predict = wrong


def dead_box_branch(net: Any) -> None:
    """Let no gradient reach the box layers."""
    for head in net.net.heads:
        head.box.weight.register_hook(lambda gradient: gradient * 0)
        head.box.bias.register_hook(lambda gradient: gradient * 0)


def dropout_in_inference(net: Any) -> None:
    """Leave dropout on when detecting."""
    net.net.stage8.register_forward_hook(lambda module, inputs, output: nn.functional.dropout(output, 0.5, True))


def first_picture_only(net: Any) -> None:
    """Compute losses of the first picture of a batch only."""
    losses = net.losses
    net.losses = lambda images, targets: losses(images[:1] * 2, targets[:1] * 2)


def pictures_turned_round(net: Any) -> None:
    """Give the detections of a batch in the reverse order."""
    predict = net.predict
    net.predict = lambda images: predict(images)[::-1]


def no_step(net: Detector, optimiser: torch.optim.Optimizer, images: Any, targets: Any) -> None:
    """Forget the optimiser's step."""
    optimiser.zero_grad()
    torch.stack(list(net.losses(images, targets).values())).sum().backward()


def never_zeroed(net: Detector, optimiser: torch.optim.Optimizer, images: Any, targets: Any) -> None:
    """Let gradients of all steps add up."""
    torch.stack(list(net.losses(images, targets).values())).sum().backward()
    optimiser.step()


def narrowed(image: Tensor) -> Tensor:
    """Make a picture narrower, its boxes not, and keep its size by a border."""
    width = image.shape[2]
    thin = interpolate(image[None], (image.shape[1], int(0.75 * width)), mode="area")[0]
    return torch.cat([thin, torch.full_like(image[:, :, thin.shape[2] :], 0.45)], dim=2)


SEEDED: dict[str, Callable[[], Case]] = {
    "loader gives x y width height": lambda: on_batch(of_targets(boxes(as_corner_and_size))),
    "pixels are 0..255": lambda: on_batch(of_images(lambda image: image * 255)),
    "loader normalises": lambda: on_batch(of_images(imagenet)),
    "pixels divided by 255 twice": lambda: on_batch(of_images(lambda image: image / 255)),
    "pictures mirrored, boxes not": lambda: on_batch(of_images(lambda image: image.flip(2))),
    "pictures shrunk, boxes not": lambda: on_batch(
        of_images(lambda image: interpolate(image[None], scale_factor=0.5, mode="area")[0])
    ),
    "targets of the next picture": lambda: on_batch(
        lambda batch: replace(batch, targets=batch.targets[1:] + batch.targets[:1]), "nextar2"
    ),
    "loader counts classes from 1": lambda: on_batch(
        of_targets(lambda t: replace(t, classes=t.classes + 1)), "nextar2"
    ),
    "losses shift the classes": lambda: on_targets(lambda t: replace(t, classes=(t.classes + 1) % 5)),
    "adapter forgets the background": lambda: on_net(without_background, SSDLITE),
    "decoding shifts the classes": lambda: on_found(
        lambda found: replace(found, classes=found.classes + 1), "ssdlite320_mobilenet_v3_large"
    ),
    "detections in canvas pixels": lambda: on_net(in_canvas_pixels),
    "detections as x y width height": lambda: on_found(
        lambda found: replace(
            found, boxes=np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], axis=1)
        )
    ),
    "losses exchange x and y": lambda: on_targets(boxes(lambda b: b[:, [1, 0, 3, 2]])),
    "net normalises a second time": lambda: on_canvas(imagenet),
    "net takes BGR": lambda: on_canvas(lambda canvas: canvas.flip(1)),
    "features detached": lambda: on_net(detached_features),
    "head frozen by mistake": lambda: on_net(frozen_head),
    "batch norm in inference while training": lambda: on_net(norms_in_inference),
    "batch norm in training while detecting": lambda: on_net(norms_in_training),
    "batch norm with momentum 0": lambda: on_net(frozen_statistics),
    "box loss detached": lambda: on_losses(lambda losses: {**losses, "box": losses["box"].detach()}),
    "wrong sign of a loss": lambda: on_losses(lambda losses: {**losses, "objectness": -losses["objectness"]}),
    "loss summed over pictures and cells": lambda: on_losses(
        lambda losses: {name: part * 1000 for name, part in losses.items()}
    ),
    "prior of the bias lost": lambda: on_net(lost_prior),
    "scores are logits": lambda: on_found(logits),
    "head one class short": lambda: on_net(short_head),
    "optimiser made before the head": lambda: on_optimiser(old_optimiser),
    "learning rate 0": lambda: on_optimiser(lambda net: torch.optim.SGD(net.parameters(), lr=0.0)),
    "gradients clipped to nothing": lambda: on_step(clipped_to_nothing),
    "no gradient to the box layers": lambda: on_net(dead_box_branch),
    "strides exchanged in detection": lambda: on_net(strides_exchanged),
    "ignored and wanted exchanged": lambda: on_targets(lambda t: replace(t, ignored=~t.ignored)),
    "detections of a stale copy": lambda: on_net(stale_copy),
    "optimiser never steps": lambda: on_step(no_step),
    "gradients never zeroed": lambda: on_step(never_zeroed),
    "every object learnt as the first class": lambda: on_targets(lambda t: replace(t, classes=t.classes * 0)),
    "detections in reverse order of pictures": lambda: on_net(pictures_turned_round),
    "dropout on in detection": lambda: on_net(dropout_in_inference),
    "pictures narrowed, boxes not": lambda: on_batch(of_images(narrowed)),
    "learning rate a thousand times too high": lambda: on_optimiser(lambda net: torch.optim.SGD(net.parameters(), 5.0)),
    "labels in another order in detection": lambda: on_found(
        lambda found: replace(found, classes=np.array([3, 0, 4, 1, 2])[found.classes])
    ),
    "losses of the first picture only": lambda: on_net(first_picture_only),
}
