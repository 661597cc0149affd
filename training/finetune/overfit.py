"""The gate before a run: a copy of the net must learn one tiny batch by heart, and say it again.

A net with a mistake in its labels, boxes, losses, modes or optimiser often trains without complaint and only ends up
worse. A few pictures that it must know by heart, and some quick checks, show such mistakes in seconds
(Karpathy, "A recipe for training neural networks", 2019). What is checked:

    the batch       pixels 0..1, boxes in their pictures and on objects, classes in range          `batch_checks`
    the net         everything learns that is not frozen on purpose, norms in the right mode,
                    the first layer sees what its weights expect, the first loss is as it should   `net_checks`
    the optimiser   has every parameter of this net; its own steps move the weights, not too far
    one batch       gradients reach everything; the loss falls; and, for light nets, in inference mode
                    the detections are the batch's objects, boxes and classes

ResNet50 and VGG nets are too heavy to learn anything on a CPU in ten seconds: for them the last line ends with
"the loss falls", see PLANS. Nothing of the run is touched: all is done on copies, at a smaller picture size.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from core.boxes import iou
from core.errors import TraylaneError
from training.detection_scores import Found
from training.finetune.batch_checks import check_batch
from training.finetune.batches import Batch, Target
from training.finetune.detectors import Detector
from training.finetune.net_checks import (
    Norm,
    check_first_loss,
    check_found,
    check_gradients,
    check_independence,
    check_input,
    check_modes,
    check_moves,
    check_norms_follow,
    check_optimiser,
    check_steps,
    check_structure,
)

MakeOptimiser = Callable[[Detector], torch.optim.Optimizer]
#: Does one step of the run itself: net, its optimiser, pictures and targets -> nothing; for clipping and precision.
TakeStep = Callable[[Detector, torch.optim.Optimizer, list[Tensor], list[Target]], None]


@dataclass(frozen=True)
class Plan:
    """What one architecture can do in ten seconds of a CPU.

    Attributes:
        longest: side of the pictures it learns, pixels.
        steps: of learning by heart; as many again when it has not learnt it yet and there is time.
        rate: of AdamW, in these steps.
        falls_to: share of the first loss that must be reached.
        own_steps: steps of the run's own optimiser.
        predicts: whether detections can be asked for.
    """

    longest: int
    steps: int
    rate: float
    falls_to: float
    own_steps: int
    predicts: bool


PLANS = {
    "traynet": Plan(160, 60, 4e-3, 0.4, 3, True),
    "ssdlite320_mobilenet_v3_large": Plan(128, 30, 2e-3, 0.4, 3, True),
    "fasterrcnn_mobilenet_v3_large_320_fpn": Plan(96, 12, 1e-3, 0.9, 2, False),
    "ssd300_vgg16": Plan(268, 0, 1e-4, 1.0, 1, False),
}
#: The ResNet50 nets.
HEAVY = Plan(64, 4, 1e-4, 0.99, 1, False)


@dataclass(frozen=True)
class GateSettings:
    """How strict the gate is.

    Attributes:
        pictures: learnt by heart; 2 or more.
        most_objects: on these pictures: others are preferred.
        recall: share of the objects that must be found, with box (IoU 0.5) and class.
        class_accuracy: share of the found boxes whose class must be right.
        least_side: objects with a shorter side at the gate's picture size are not asked for.
        budget_s: CPU seconds after which learning by heart ends; what is not learnt by then counts as not checked.
    """

    pictures: int = 2
    most_objects: int = 8
    recall: float = 0.5
    class_accuracy: float = 0.6
    least_side: float = 8.0
    budget_s: float = 8.0


@dataclass(frozen=True)
class GateResult:
    """What the gate found.

    Attributes:
        passed: nothing is wrong with what was checked.
        reasons: what is wrong, a sentence each.
        skipped: what could not be checked, and why.
        seconds: CPU seconds that it took.
        loss: first and last of the batch that was learnt by heart; NaN where none was.
    """

    passed: bool
    reasons: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float
    loss: tuple[float, float]


@dataclass
class _Findings:
    """What has been found so far."""

    reasons: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    loss: tuple[float, float] = (float("nan"), float("nan"))


def overfit_gate(
    make_net: Callable[[], Detector],
    batch: Batch,
    settings: GateSettings | None = None,
    make_optimiser: MakeOptimiser | None = None,
    take_step: TakeStep | None = None,
) -> GateResult:
    """Check a net, a batch and an optimiser before a run.

    Args:
        make_net: gives a fresh copy of the net that will be trained, on the CPU, frozen as it will be, each time.
        batch: of the loader; eight pictures or more let it tell whether boxes and pictures belong together.
        settings: None for the usual ones.
        make_optimiser: makes the run's optimiser for a copy; None leaves it unchecked.
        take_step: does one step of the run; None: zero the gradients, losses, backward, clip to length 10, step.
    """
    started_s = time.process_time()
    settings = settings or GateSettings()
    random = torch.get_rng_state()
    found = _Findings()
    try:
        _check_all(make_net, batch, settings, make_optimiser, take_step or plain_step, found, started_s)
    except TraylaneError:
        raise
    except (RuntimeError, IndexError, ValueError, KeyError, TypeError, AssertionError) as err:
        # A mistake that torch itself refuses: a class beyond the head, shapes that do not fit.
        found.reasons.append(f"it breaks with {type(err).__name__}: {(str(err) or 'no message').splitlines()[0]}")
    finally:
        torch.set_rng_state(random)
    seconds = time.process_time() - started_s
    return GateResult(not found.reasons, tuple(found.reasons), tuple(found.skipped), seconds, found.loss)


def _check_all(
    make_net: Callable[[], Detector],
    batch: Batch,
    settings: GateSettings,
    make_optimiser: MakeOptimiser | None,
    take_step: TakeStep,
    found: _Findings,
    started_s: float,
) -> None:
    """Go through the checks, cheap ones first; stop at the first kind that fails, for the rest would only echo it."""
    net = make_net()
    found.reasons += check_batch(batch, len(net.labels))
    if found.reasons:
        return
    plan = PLANS.get(net.arch, HEAVY)
    images, targets = chosen(batch, settings, plan.longest, len(net.labels))
    if not any(bool((~target.ignored).any()) for target in targets):
        found.skipped.append("learning by heart: no picture of the batch has an object")
        return
    if plan.steps == 0:
        images, targets = images[:1], targets[:1]  # VGG: seconds for each picture, and no norms that need two
    fitted(net, plan)
    found.reasons += check_structure(net) or check_input(net)
    if found.reasons:
        return
    net.train()
    losses = net.losses(list(images), list(targets))
    found.reasons += check_modes(net, "losses()") + check_first_loss(net, losses, len(images))
    if found.reasons:
        return
    if make_optimiser is None:
        found.skipped.append("the optimiser: none was given")
    else:
        found.reasons += _check_own_steps(make_net, images, targets, plan, make_optimiser, take_step)
    if plan.steps == 0:
        grew: dict[str, float] = {}
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        _note_gradients(net, grew)
        found.reasons += check_gradients(net, grew)
        found.skipped.append(f"learning by heart: {net.arch} is too heavy for a CPU")
    if not found.reasons and plan.steps:
        _learn_by_heart(make_net(), images, targets, plan, settings, found, started_s)


def chosen(batch: Batch, settings: GateSettings, longest: int, classes: int) -> tuple[list[Tensor], list[Target]]:
    """Return the pictures to learn by heart, such with a few objects first, and their targets.

    Objects that are too small when a picture's longest side is `longest` pixels are ignored. When the first class or
    the last one is not among the objects, one of them is called so: mistakes by one show at the ends.
    """

    def cost(i: int) -> tuple[bool, int]:
        count = int((~batch.targets[i].ignored).sum())
        return count == 0, abs(count - settings.most_objects // 2)

    order = sorted(range(len(batch.images)), key=cost)[: max(2, settings.pictures)]
    if len(order) == 1:
        order *= 2  # norms of small maps need two
    images, targets = [batch.images[i] for i in order], []
    for image, target in zip(images, (batch.targets[i] for i in order), strict=True):
        scale = min(1.0, longest / max(image.shape[1:]))
        sides = (target.boxes[:, 2:] - target.boxes[:, :2]).amin(dim=1) * scale
        targets.append(Target(target.boxes, target.classes.clone(), target.ignored | (sides < settings.least_side)))
    wanted = [(t, j) for t in targets for j in range(len(t.boxes)) if not bool(t.ignored[j])]
    for end in (0, classes - 1):
        counts = Counter(int(t.classes[j]) for t, j in wanted)
        if end not in counts and len(wanted) > 1:
            # Of a class that has the most objects, so that the other end is not taken again.
            often = counts.most_common(1)[0][0]
            target, j = next((t, j) for t, j in wanted if int(t.classes[j]) == often)
            target.classes[j] = end
    return images, targets


def fitted(net: Detector, plan: Plan) -> Detector:
    """Make a copy cheap: smaller pictures, and for Faster R-CNN fewer proposals."""
    scale = plan.longest / max(net.size)
    if scale < 1:
        width, height = (max(64, 32 * round(side * scale / 32)) for side in net.size)
        net.resize((width, height) if net.arch != "ssd300_vgg16" else (plan.longest, plan.longest))
    if net.arch.startswith("fasterrcnn"):
        parts = dict(net.net.named_children())
        parts["rpn"]._post_nms_top_n = {"training": 100, "testing": 100}  # type: ignore[assignment]
        parts["roi_heads"].fg_bg_sampler.batch_size_per_image = 32  # type: ignore[union-attr]
    return net


def plain_step(net: Detector, optimiser: torch.optim.Optimizer, images: list[Tensor], targets: list[Target]) -> None:
    """Do one step as most runs do."""
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(net.losses(images, targets).values())).sum().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    optimiser.step()


def _check_own_steps(
    make_net: Callable[[], Detector],
    images: list[Tensor],
    targets: list[Target],
    plan: Plan,
    make_optimiser: MakeOptimiser,
    take_step: TakeStep,
) -> list[str]:
    """Check the run's own optimiser on a copy of its own."""
    net = fitted(make_net(), plan).train()
    optimiser = make_optimiser(net)
    wrong = check_optimiser(net, optimiser)
    if wrong:
        return wrong
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    for group in optimiser.param_groups:
        group["weight_decay"] = 0.0  # decay moves weights, too: only what the loss does counts here
    used: list[Tensor] = []
    hook = optimiser.register_step_pre_hook(lambda *_: used.append(_gradient(net)))
    wanted = []
    for _ in range(plan.own_steps):
        wanted.append(_wanted_gradient(net, images, targets))
        take_step(net, optimiser, list(images), list(targets))
    hook.remove()
    return check_steps(wanted, used) + check_moves(before, net)


def _wanted_gradient(net: Detector, images: list[Tensor], targets: list[Target]) -> Tensor:
    """Return the gradient of the loss, in one row, without touching what the step will find."""
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    total = torch.stack(list(net.losses(list(images), list(targets)).values())).sum()
    found = torch.autograd.grad(total, trained, allow_unused=True)
    return torch.cat(
        [torch.zeros_like(p).flatten() if g is None else g.flatten() for p, g in zip(trained, found, strict=True)]
    )


def _gradient(net: Detector) -> Tensor:
    """Return the gradients that the parameters hold, in one row."""
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    return torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in trained]).clone()


def _learn_by_heart(
    net: Detector,
    images: list[Tensor],
    targets: list[Target],
    plan: Plan,
    settings: GateSettings,
    found: _Findings,
    started_s: float,
) -> None:
    """Learn the pictures with an optimiser of the gate's own, then ask for what was learnt."""
    fitted(net, plan).train()
    before = {name: value.detach().clone() for name, value in net.state_dict().items()}
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=plan.rate, weight_decay=0.0)
    grew: dict[str, float] = {}
    losses: list[float] = []
    for lap in range(2):
        for step in range(plan.steps):
            if time.process_time() - started_s > settings.budget_s:
                break
            net.train()
            # The rate falls in the end: the last steps settle what the first ones found.
            optimiser.param_groups[0]["lr"] = plan.rate * (1.0 if step < 0.7 * plan.steps else 0.3)
            optimiser.zero_grad(set_to_none=True)
            total = torch.stack(list(net.losses(list(images), list(targets)).values())).sum()
            total.backward()  # type: ignore[no-untyped-call]
            _note_gradients(net, grew)
            nn.utils.clip_grad_norm_(trained, 10.0)
            optimiser.step()
            losses.append(float(total.detach()))
        if not losses:
            found.skipped.append(f"learning by heart: only 0 of {plan.steps} steps in {settings.budget_s} s")
            return
        if lap == 0:
            found.reasons += check_gradients(net, grew) + check_norms_follow(before, net)
        wrong = _what_is_not_learnt(net, images, targets, plan, settings, losses)
        if found.reasons or not wrong:
            break
    found.loss = (losses[0], losses[-1])
    if wrong and not found.reasons and len(losses) < plan.steps:
        found.skipped.append(f"learning by heart: only {len(losses)} of {plan.steps} steps in {settings.budget_s} s")
        return
    found.reasons += wrong
    if not plan.predicts:
        found.skipped.append(f"detections after learning by heart: {net.arch} is too slow for it on a CPU")
    if not found.reasons:
        found.reasons += check_independence(net, images)


def _what_is_not_learnt(
    net: Detector,
    images: list[Tensor],
    targets: list[Target],
    plan: Plan,
    settings: GateSettings,
    losses: Sequence[float],
) -> list[str]:
    """Return what shows that the batch was not learnt by heart."""
    reached = float(np.median(losses[-3:]))
    if not np.isfinite(reached) or reached > plan.falls_to * losses[0]:
        return [f"the loss of one batch only went from {losses[0]:.3g} to {reached:.3g} in {len(losses)} steps"]
    if not plan.predicts:
        return []
    settle_norms(net, images, targets)
    net.eval()
    found = net.predict(list(images))
    return check_modes(net, "eval()") + check_found(found, images, len(net.labels)) or judged(found, targets, settings)


@torch.no_grad()
def settle_norms(net: Detector, images: list[Tensor], targets: list[Target]) -> None:
    """Give norms the statistics of these pictures: the running ones lag behind weights that learn so fast."""
    net.train()
    norms = [m for m in net.modules() if isinstance(m, Norm) and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    net.losses(list(images), list(targets))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def judged(found: Sequence[Found], targets: Sequence[Target], settings: GateSettings) -> list[str]:
    """Return whether the detections are the objects: their boxes, and with them their classes."""
    wanted = boxed = right = 0
    shifts: list[int] = []
    for one, target in zip(found, targets, strict=True):
        keep = ~target.ignored.numpy()
        boxes, classes = target.boxes.numpy()[keep], target.classes.numpy()[keep]
        sure = one.scores > 0.1
        overlaps = iou(one.boxes[sure], boxes)  # (D, M)
        wanted += len(boxes)
        for j in range(len(boxes)):
            on_it = np.flatnonzero(overlaps[:, j] >= 0.5)
            if len(on_it) == 0:
                continue
            boxed += 1
            # The surest of those on it speaks; detections are best first.
            said = int(one.classes[sure][on_it[0]])
            right += said == classes[j]
            shifts.append(said - int(classes[j]))
    if boxed < settings.recall * wanted:
        return [
            f"after learning them by heart, {boxed} of {wanted} objects are found: boxes are in another format, "
            f"another picture or another scale in training than in detection{_nearest(found, targets)}"
        ]
    if right < settings.class_accuracy * boxed:
        usual = max(set(shifts), key=shifts.count)
        by = f" (mostly off by {usual:+d})" if usual and shifts.count(usual) > len(shifts) / 2 else ""
        return [f"after learning them by heart, {right} of {boxed} found objects have the right class{by}"]
    return []


def _nearest(found: Sequence[Found], targets: Sequence[Target]) -> str:
    """Return what the surest detection and the first object look like, for the message."""
    for one, target in zip(found, targets, strict=True):
        if len(one.boxes) and len(target.boxes):
            surest, first = one.boxes[0].round().tolist(), target.boxes[0].round().tolist()
            return f" (surest detection {surest}, first object {first})"
    return " (nothing is detected)"


def _note_gradients(net: Detector, grew: dict[str, float]) -> None:
    """Keep the largest gradient of each parameter."""
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            grew[name] = max(grew.get(name, 0.0), float(parameter.grad.abs().max()))
