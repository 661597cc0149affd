"""The gate before a run: a copy of the net must learn one tiny batch by heart, and say it again.

A net with a mistake in its labels, boxes, losses, modes or optimiser often trains without complaint and only ends up
worse. A few pictures that it must know by heart, and some quick checks, show such mistakes in seconds
(Karpathy, "A recipe for training neural networks", 2019). What is checked, in this order:

    the batch       pixels 0..1, boxes in their pictures, classes in range                         `batch_checks`
                    boxes on what the pictures show                                                `box_fit`
    the net         everything learns that is not frozen on purpose, norms in the right mode,
                    the first layer sees what its weights expect, the first loss is as it should
                    and heeds every picture and the classes                                        `net_checks`
    the optimiser   has every parameter of this net; its own steps move the weights, not too far   `optimiser_checks`
    one batch       gradients reach everything; the loss falls; and, for light nets, in inference mode
                    the detections are the batch's objects, boxes and classes                      `by_heart`

ResNet50 and VGG nets are too heavy to learn anything on a CPU in ten seconds: for them the last line ends with
"the loss falls", see `gate_plans.PLANS`. Nothing of the run is touched: all is done on copies, at a smaller picture
size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from core.errors import TraylaneError
from training.finetune.batch_checks import check_batch
from training.finetune.batches import Batch, Target
from training.finetune.by_heart import learn_by_heart
from training.finetune.detectors import Detector
from training.finetune.gate_plans import HEAVY, PLANS, GateSettings, Plan, chosen, fitted
from training.finetune.net_checks import (
    check_first_loss,
    check_gradients,
    check_heed,
    check_input,
    check_modes,
    check_structure,
)
from training.finetune.optimiser_checks import check_moves, check_optimiser, check_steps

MakeOptimiser = Callable[[Detector], torch.optim.Optimizer]
#: Does one step of the run itself: net, its optimiser, pictures and targets -> nothing; for clipping and precision.
TakeStep = Callable[[Detector, torch.optim.Optimizer, list[Tensor], list[Target]], None]


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
    torch.manual_seed(0)  # some losses draw samples
    losses = net.losses(list(images), list(targets))
    found.reasons += check_modes(net, "losses()") + check_first_loss(net, losses, len(images))
    if found.reasons:
        return
    total = torch.stack(list(losses.values())).sum()
    found.reasons += check_heed(net, images, targets, float(total.detach()))
    first = _gradients(net, total)
    if plan.steps == 0:
        largest = {name: float(gradient.abs().max()) for name, gradient in first.items()}
        found.reasons += check_gradients(net, largest)
        found.skipped.append(f"learning by heart: {net.arch} is too heavy for a CPU")
    if make_optimiser is None:
        found.skipped.append("the optimiser: none was given")
    else:
        found.reasons += _check_own_steps(net, images, targets, plan, make_optimiser, take_step, first)
    if found.reasons or plan.steps == 0:
        return
    learnt = learn_by_heart(make_net(), images, targets, plan, settings, started_s)
    found.reasons += learnt.reasons
    found.skipped += learnt.skipped
    found.loss = learnt.loss


def plain_step(net: Detector, optimiser: torch.optim.Optimizer, images: list[Tensor], targets: list[Target]) -> None:
    """Do one step as most runs do."""
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(net.losses(images, targets).values())).sum().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    optimiser.step()


def _check_own_steps(
    net: Detector,
    images: list[Tensor],
    targets: list[Target],
    plan: Plan,
    make_optimiser: MakeOptimiser,
    take_step: TakeStep,
    first: dict[str, Tensor],
) -> list[str]:
    """Check the run's own optimiser; `first` are the gradients of the first loss. The net is changed."""
    optimiser = make_optimiser(net)
    wrong = check_optimiser(net, optimiser)
    if wrong:
        return wrong
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    for group in optimiser.param_groups:
        group["weight_decay"] = 0.0  # decay moves weights, too: only what the loss does counts here
    used: list[Tensor] = []
    hook = optimiser.register_step_pre_hook(lambda *_: used.append(_row(net, _held(net))))
    wanted = []
    for step in range(plan.own_steps):
        if step:
            first = _gradients(net, torch.stack(list(net.losses(list(images), list(targets)).values())).sum())
        wanted.append(_row(net, first))
        take_step(net, optimiser, list(images), list(targets))
    hook.remove()
    return check_steps(wanted, used) + check_moves(before, net)


def _gradients(net: Detector, total: Tensor) -> dict[str, Tensor]:
    """Return the gradients of a loss by parameter, without touching what a step will find there."""
    trained = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(trained, found, strict=True) if gradient is not None}


def _held(net: Detector) -> dict[str, Tensor]:
    """Return the gradients that the parameters hold."""
    return {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}


def _row(net: Detector, gradients: dict[str, Tensor]) -> Tensor:
    """Return gradients in one row, 0 where a parameter has none."""
    trained = [(name, parameter) for name, parameter in net.named_parameters() if parameter.requires_grad]
    return torch.cat([gradients.get(name, torch.zeros_like(parameter)).flatten() for name, parameter in trained])
