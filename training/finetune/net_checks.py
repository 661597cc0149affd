"""Quick checks of a net and its optimiser, each of which knows one kind of mistake and says so in a sentence.

They cost a few forward passes; that the net can learn and say what it learnt is `overfit`'s own part.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from core.boxes import iou
from training.detection_scores import Found
from training.finetune.batches import Target
from training.finetune.detectors import Detector, within

#: A picture of one colour (RGB), by which the probe tells channels and scaling apart.
PROBE = (0.2, 0.5, 0.8)
#: How many times its expected value a part of the first loss may have.
ROOM = 4.0

Norm = nn.modules.batchnorm._BatchNorm


def check_structure(net: Detector) -> list[str]:
    """Return what of the net does not learn though it should, and norms in the wrong mode."""
    wrong = []
    net.train()
    still = [n for n, p in net.named_parameters() if not p.requires_grad and not within(n, net.frozen)]
    if still:
        wrong.append(f"{len(still)} parameters do not learn though no one froze them: {some(still)}")
    held = [layer for layer in net.class_layers() if not net.get_parameter(f"{layer}.weight").requires_grad]
    if held:
        wrong.append(f"the class layers are frozen: {some(held)}; new classes need them")
    return wrong + check_modes(net, "train()")


def check_modes(net: Detector, after: str) -> list[str]:
    """Return norms that are not in the mode that the net is in; those of frozen parts must be in inference."""
    training = after != "eval()"
    norms = [(name, module) for name, module in net.named_modules() if isinstance(module, Norm)]
    lazy = [n for n, m in norms if m.training != (training and not within(n, net.frozen))]
    if lazy:
        mode = "inference" if training else "training"
        return [f"after {after} {len(lazy)} of {len(norms)} batch norms are in {mode} mode: {some(lazy)}"]
    if net.training != training:
        return [f"after {after} the net is in {'inference' if training else 'training'} mode"]
    return []


class _Seen(Exception):
    """Ends a forward pass as soon as the first layer has its input."""


def check_input(net: Detector) -> list[str]:
    """Return how the first layer's input differs from what its weights expect, in training and in inference."""
    first = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    image = torch.tensor(PROBE)[:, None, None].expand(3, net.size[1], net.size[0]).clone()
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    seen: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].detach().float().cpu())
        raise _Seen

    wanted = [(value - m) / s for value, m, s in zip(PROBE, net.input_mean, net.input_std, strict=True)]
    wrong = []
    passes: list[tuple[str, Callable[[], object]]] = [
        ("training", lambda: net.train().losses([image, image], [none, none])),
        ("inference", lambda: net.eval().predict([image, image])),
    ]
    for mode, run in passes:
        seen.clear()
        hook = first.register_forward_pre_hook(look)
        try:
            run()
        except _Seen:
            pass
        finally:
            hook.remove()
        if not seen:
            wrong.append(f"in {mode} no picture reaches the first layer")
            continue
        got = seen[0].flatten(2).median(dim=2).values[0].tolist()
        if any(abs(a - b) > 0.02 / s for a, b, s in zip(got, wanted, net.input_std, strict=True)):
            wrong.append(
                f"in {mode} a picture of RGB {PROBE} reaches the first layer as {_numbers(got)}, its weights expect "
                f"{_numbers(wanted)}: normalised twice or not at all, scaled by 255, or channels exchanged"
            )
    return wrong


def check_first_loss(net: Detector, losses: dict[str, Tensor], pictures: int) -> list[str]:
    """Return parts of the loss that are not finite, negative, without gradient, or far from what a new net has."""
    wrong = []
    for name, part in losses.items():
        value = float(part.detach())
        if part.ndim:
            wrong.append(f"loss {name} is no single number but {tuple(part.shape)}: sum or average it")
        elif not math.isfinite(value):
            wrong.append(f"loss {name} is {value} on the first batch")
        elif value < -1e-6:
            wrong.append(f"loss {name} is negative ({value:.3g}): its sign is wrong")
        elif not part.requires_grad:
            wrong.append(f"loss {name} carries no gradient: something detaches it")
    if wrong:
        return wrong
    for name, expected in expected_losses(net, pictures).items():
        value = float(losses[name].detach()) if name in losses else 0.0
        if value > ROOM * expected:
            wrong.append(
                f"loss {name} is {value:.3g} on the first batch, a new head has about {expected:.3g}: a lost prior of "
                "its bias, a sum instead of a mean, or a wrong scale"
            )
    total = sum(float(part.detach()) for part in losses.values())
    if total < 0.02:
        wrong.append(f"the whole loss is {total:.2g} on the first batch: nothing is to be learnt, or it is scaled away")
    return wrong


@torch.no_grad()
def check_heed(net: Detector, images: Sequence[Tensor], targets: Sequence[Target], total: float) -> list[str]:
    """Return what of the targets the loss does not heed: it must change when it is taken away.

    Args:
        net: as it was when the loss was computed, but for running statistics.
        images: (3, H, W) each.
        targets: one for each picture.
        total: the loss, with torch's random state as of seed 0.
    """

    def same(changed: Sequence[Target]) -> bool:
        torch.manual_seed(0)
        return float(torch.stack(list(net.losses(list(images), list(changed)).values())).sum()) == total

    wrong = []
    for place, target in enumerate(targets):
        if len(targets) > 1 and bool((~target.ignored).any()):
            left = Target(target.boxes[target.ignored], target.classes[target.ignored], target.ignored[target.ignored])
            if same([*targets[:place], left, *targets[place + 1 :]]):
                wrong.append(f"the loss is the same without the objects of picture {place}: it is left out of the loss")
    count = len(net.labels)
    if count > 1 and same([replace(target, classes=(target.classes + 1) % count) for target in targets]):
        wrong.append("the loss is the same when the objects have other classes: it does not heed them")
    return wrong


def expected_losses(net: Detector, pictures: int) -> dict[str, float]:
    """Return about what parts of the loss a net with a new head has; more than a few times that is a mistake.

    Of C classes, one whose scores all start alike has log(1 + C) + (C - 1) log(1 + 1 / C) in traynet's class loss,
    log(C + 1) with softmax and a background, and focal loss with the prior 0.01 has about 1.1 for each object.
    """
    count = len(net.labels)
    if net.arch == "traynet":
        cells = sum((net.size[0] // s) * (net.size[1] // s) for s in (8, 16, 32)) * pictures
        # The background of all cells, by one object of little quality at least, and the objects themselves.
        presence = 0.01 * cells + 4.6
        return {
            "classes": math.log(1 + count) + (count - 1) * math.log(1 + 1 / count),
            "objectness": presence,
            "box": 5.0,
        }
    if net.arch.startswith("fasterrcnn"):
        return {"loss_classifier": math.log(count + 1), "loss_objectness": 0.69, "loss_box_reg": 1.0}
    if net.arch.startswith(("retinanet", "fcos")):
        return {"classification": 1.13, "bbox_regression": 2.0}
    if net.arch.startswith("ssdlite"):
        return {"classification": 4 * math.log(count + 1)}
    return {}


def check_gradients(net: Detector, grew: dict[str, float]) -> list[str]:
    """Return parameters that got no gradient.

    Args:
        net: with `stages`.
        grew: largest gradient of each parameter over the steps; a name is missing where there was none at all.
            Levels of pyramid and head on which no object falls may have zeros; stages before them may not.
    """
    trained = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
    wrong = []
    cut = [name for name in trained if name not in grew]
    if cut:
        wrong.append(f"{len(cut)} parameters are cut off from the loss: {some(cut)}")
    wild = [name for name in trained if not math.isfinite(grew.get(name, 0.0))]
    if wild:
        wrong.append(f"{len(wild)} parameters have gradients that are not finite: {some(wild)}")
    early = tuple(prefix for stage in net.stages()[:-2] for prefix in stage)
    dead = [name for name in trained if within(name, early) and grew.get(name, 1.0) == 0]
    if dead:
        wrong.append(f"{len(dead)} parameters of the trunk get no gradient: {some(dead)}")
    for stage, what in zip(net.stages()[-2:], ("pyramid", "head"), strict=True):
        members = [name for name in trained if within(name, stage) and name in grew]
        dead = [name for name in members if grew[name] == 0]
        if members and len(dead) == len(members):
            wrong.append(f"{len(dead)} of {len(members)} parameters of the {what} get no gradient: {some(dead)}")
    # The same layer of every level, or both layers of a head: one of them at least must have something to learn.
    alike: dict[str, list[str]] = {}
    for name in trained:
        if within(name, net.stages()[-1]) and name in grew:
            alike.setdefault(re.sub(r"\.\d+", ".*", name), []).append(name)
    dead = [kind for kind, names in alike.items() if all(grew[name] == 0 for name in names)]
    if dead:
        wrong.append(f"no gradient reaches {some(dead)}")
    return wrong


def check_norms_follow(before: dict[str, Tensor], net: Detector) -> list[str]:
    """Return norms whose running statistics did not follow the training."""
    stuck = []
    for name, module in net.named_modules():
        if isinstance(module, Norm) and not within(name, net.frozen):
            mean = module.running_mean
            if mean is None or torch.equal(mean, before[f"{name}.running_mean"]):
                stuck.append(name)
    return [f"the running statistics of {len(stuck)} batch norms do not follow: {some(stuck)}"] if stuck else []


def check_independence(net: Detector, images: Sequence[Tensor]) -> list[str]:
    """Return whether a picture's detections depend on its neighbours, or go to the wrong picture."""
    net.eval()
    noise = torch.rand(images[1].shape, generator=torch.Generator().manual_seed(5))
    alone = net.predict([images[0], images[1]])
    beside = net.predict([images[0], noise])
    turned = net.predict([images[1], images[0]])
    wrong = check_modes(net, "eval()")
    if not _same(alone[0], beside[0]):
        wrong.append("in inference a picture's detections change with the other pictures of its batch")
    elif not (_same(alone[0], turned[1]) and _same(alone[1], turned[0])):
        wrong.append("detections go to another picture when the batch's order changes")
    return wrong


def check_found(found: Sequence[Found], images: Sequence[Tensor], classes: int) -> list[str]:
    """Return what no detection may be: scores beyond 0..1, boxes beyond the picture, classes beyond the labels."""
    for one, image in zip(found, images, strict=True):
        if len(one.scores) == 0:
            continue
        if not (np.isfinite(one.scores).all() and one.scores.min() >= 0 and one.scores.max() <= 1 + 1e-5):
            return [f"scores are {one.scores.min():.2f}..{one.scores.max():.2f}: they must be probabilities"]
        if one.classes.min() < 0 or one.classes.max() >= classes:
            return [f"detections have classes {one.classes.min()}..{one.classes.max()} of {classes}, counted from 0"]
        size = np.array([image.shape[2], image.shape[1]] * 2)
        if (one.boxes < -1).any() or (one.boxes > size + 1).any():
            return [f"detections reach out of their picture: {one.boxes.min():.0f}..{one.boxes.max():.0f} px"]
    return []


def _same(a: Found, b: Found) -> bool:
    """Return whether two lists of detections are the same but for rounding."""
    sure_a, sure_b = a.boxes[a.scores > 0.1], b.boxes[b.scores > 0.1]
    slack = 1 + 0.1 * len(sure_a)  # scores near the threshold, and ties in suppression
    if abs(len(sure_a) - len(sure_b)) > slack:
        return False
    if len(sure_a) == 0 or len(sure_b) == 0:
        return True
    return int((iou(sure_a, sure_b).max(axis=1) < 0.8).sum()) <= slack - 1


def some(names: Sequence[str], most: int = 3) -> str:
    """Return the first of the names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in values) + ")"
