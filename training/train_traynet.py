"""Train TrayNet, the shipped detector: one linear script over pure functions. Read `train` from top to bottom.

It learns from several sources at once, so many of each in every batch: the synthetic lane (its dishes are the classes),
scenes of things that are on no menu, and photos whose classes are of no interest (`assign.NO_CLASS`, `UNKNOWN_CLASS`).

A run repeats: the pictures, their order and their augmentation depend on the seed and the step alone, so that a run
that was stopped and resumed from `last.pt` ends with the same weights as one that was not. (With `minutes` the number
of steps depends on the machine's speed; give `steps` for a run that repeats.)
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.errors import ConfigError, ModelError
from core.files import write_atomic
from models.suppression import pair_limits, suppress
from training.augment import LANE, Look, collate, plain_sample, varied_sample
from training.card_weights import load_card_weights
from training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from training.detection_scores import Found, Wanted, average_precision, class_accuracy, match
from training.losses import Losses, detection_loss
from training.provenance import write_run_card
from training.synthetic_set import Pictures
from training.traynet import TrayNet, TrayNetShape, decode_boxes, grid

#: Cells that are less sure take no part in validation.
MIN_SCORE = 0.05
#: A dish on fewer than this share of the pictures is rare: its pictures come more often.
COMMON = 0.12


@dataclass(frozen=True, eq=False)
class Source:
    """Pictures of one kind.

    Attributes:
        pictures: the set.
        share: of each batch, relative to the other sources.
        look: how freely its pictures may be changed.
    """

    pictures: Pictures
    share: float = 1.0
    look: Look = LANE


@dataclass(frozen=True)
class TrainSettings:
    """What a run depends on, beside its pictures.

    Attributes:
        steps: optimiser steps of the whole run; None to fill `minutes` instead.
        minutes: wall-clock budget when `steps` is None.
        size: width and height of the net's input, multiples of 32.
        part: width and height of what most steps look at, a part of the picture around an object.
        whole_every: one step in so many sees whole pictures.
        round_steps: steps between two validations (an "epoch" of the log).
        rate: peak learning rate; reached after `warm_up` of the run, then a cosine down to a hundredth.
        ema: decay of the running mean of the weights that is validated and shipped.
        threads: of torch.
    """

    seed: int = 1
    steps: int | None = None
    minutes: float = 30.0
    batch: int = 16
    size: tuple[int, int] = (320, 192)
    part: tuple[int, int] = (160, 128)
    whole_every: int = 4
    round_steps: int = 500
    rate: float = 2e-3
    warm_up: float = 0.05
    weight_decay: float = 0.02
    clip_norm: float = 10.0
    ema: float = 0.998
    threads: int = 2

    def __post_init__(self) -> None:
        for width, height in (self.size, self.part):
            if width % 32 or height % 32:
                raise ConfigError(f"size {width}x{height}: both must be multiples of 32")
        if self.batch < 2 or min(self.round_steps, self.whole_every) < 1 or (self.steps is not None and self.steps < 1):
            raise ConfigError("batch must be 2 or more; steps, round_steps and whole_every 1 or more")


@dataclass
class Progress:
    """Where a run stands; stored in `last.pt` and changed by `train` alone."""

    step: int = 0
    planned_steps: int = 0
    spent_s: float = 0.0
    best: float = -1.0


def train(
    sources: Sequence[Source],
    validation_set: Pictures,
    settings: TrainSettings,
    out: Path,
    init: Path | None = None,
    resume: bool = False,
    on_round: Callable[[Mapping[str, Any]], None] = lambda line: None,
    item_set: Pictures | None = None,
) -> Path:
    """Train and return the path of the best weights.

    Args:
        sources: pictures to learn from; all have the same labels.
        validation_set: pictures to choose by; same labels.
        settings: the run.
        out: folder that gets metrics.jsonl, run.json, last.pt and best.pt.
        init: checkpoint, or model card (shipped or a path), whose weights to start from.
        resume: go on from `out`/last.pt.
        item_set: more pictures to choose by, of things without a class: the item head is to find them.
        on_round: is given each line of metrics.jsonl.

    Raises:
        ModelError: the loss is not finite; names the step and its pictures.
        ConfigError: `init` or `last.pt` belong to another net, or a batch has no place for each source.
    """
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    labels = validation_set.labels
    shape = TrayNetShape(classes=len(labels))
    net: TrayNet = TrayNet(shape).to(memory_format=torch.channels_last)
    if init is not None and init.suffix == ".pt":
        load_weights(net, labels, init)
    elif init is not None:
        load_card_weights(net, labels, str(init), settings.size, sources[0].pictures)
    mean_net = TrayNet(shape)
    mean_net.load_state_dict(net.state_dict())
    optimiser = make_optimiser(net, settings)
    progress = Progress(planned_steps=settings.steps or settings.round_steps)
    if resume:
        load_checkpoint(out / "last.pt", net, mean_net, optimiser, progress, labels)
        cut_log(out / "metrics.jsonl", progress.step)
    else:
        (out / "metrics.jsonl").unlink(missing_ok=True)
    write_run_card(out, settings, asdict(shape), [source.pictures for source in sources], validation_set, init)
    rows = [balanced(source.pictures) for source in sources]  # (R,) pictures, those with rare dishes more than once
    counts = dealt(settings.batch, [source.share for source in sources])
    grids = {size: grid(size[1], size[0]) for size in (settings.size, settings.part)}  # (A, 2), (A,)

    started_s = time.monotonic() - progress.spent_s
    while progress.step < progress.planned_steps:
        sums, first = np.zeros(3), progress.step
        last = min(first + settings.round_steps, progress.planned_steps)
        net.train()
        for step in range(first, last):
            size = settings.size if step % settings.whole_every == 0 else settings.part
            samples, where = [], []
            for number, source in enumerate(sources):
                for i, rng in batch_at(step, rows[number], counts[number], (settings.seed, number)):
                    samples.append(varied_sample(source.pictures, i, size, rng, source.look))
                    where.append((number, *source.pictures.where[i].tolist()))
            images, truth = collate(samples)
            for group in optimiser.param_groups:
                group["lr"] = rate_at(step / progress.planned_steps, settings)
            raw = net(images.contiguous(memory_format=torch.channels_last))  # (B, A, 5 + C)
            losses = detection_loss(raw, truth, *grids[size])
            _check_finite(losses, step, where)
            optimiser.zero_grad(set_to_none=True)
            losses.total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), settings.clip_norm)
            optimiser.step()
            follow(mean_net, net, settings.ema, step)
            sums += [float(losses.box.detach()), float(losses.objectness.detach()), float(losses.classes.detach())]
        progress.step, progress.spent_s = last, time.monotonic() - started_s
        if settings.steps is None:
            progress.planned_steps = steps_that_fit(progress, settings)

        scores = validate(mean_net, validation_set, settings.size)
        if item_set is not None:
            scores |= validate_items(mean_net, item_set)
        box, objectness, classes = (sums / (last - first)).round(5).tolist()
        line = {
            "epoch": math.ceil(last / settings.round_steps),
            "step": last,
            "planned_steps": progress.planned_steps,
            "spent_s": round(progress.spent_s, 1),
            "rate": rate_at((last - 1) / progress.planned_steps, settings),
            "loss": round(box + objectness + classes, 5),
            "loss_box": box,
            "loss_obj": objectness,
            "loss_cls": classes,
            **scores,
        }
        chosen_by = scores["ap50"] * scores["class_accuracy"] * scores.get("item_recall20", 1.0)
        better = chosen_by > progress.best
        progress.best = max(progress.best, chosen_by)
        if better:
            save_checkpoint(out / "best.pt", net, mean_net, None, progress, labels)
        # The line first: a kill before last.pt is written only means that a resume writes the same line again.
        with (out / "metrics.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        save_checkpoint(out / "last.pt", net, mean_net, optimiser, progress, labels)
        on_round(line)
    return out / "best.pt"


def cut_log(log: Path, step: int) -> None:
    """Drop the lines of a metrics.jsonl that a run wrote after `step`: they come again."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    write_atomic(log, "".join(line + "\n" for line in kept))


def make_optimiser(net: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """Build AdamW (Loshchilov & Hutter, 2019); norms and biases do not decay."""
    decayed = [p for p in net.parameters() if p.ndim > 1]
    free = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.rate)


def balanced(pictures: Pictures) -> NDArray[np.int64]:
    """Return picture indices (R,), R >= N: pictures with rare dishes come up to three times.

    The number of times follows LVIS (Gupta et al., 2019): sqrt(COMMON / share of pictures with a dish), for the rarest
    dish of a picture.
    """
    holds = np.zeros((len(pictures), len(pictures.labels)), dtype=bool)
    for i, classes in enumerate(pictures.classes):
        holds[i, classes[classes >= 0]] = True
    times = np.clip(np.sqrt(COMMON / np.maximum(holds.mean(axis=0), 1e-6)), 1.0, 3.0)
    wanted = np.where(holds, times, 1.0).max(axis=1)
    # 1.6 times means once for all and twice for six in ten, evenly spread.
    spread = (np.arange(len(pictures)) * 0.6180339887498949) % 1.0
    return np.repeat(np.arange(len(pictures)), np.floor(wanted + spread).astype(np.int64))


def dealt(batch: int, shares: Sequence[float]) -> list[int]:
    """Return how many of a batch each source gives, at least one of each.

    >>> dealt(16, [10.0, 5.0, 1.0]), dealt(8, [0.9, 0.05])
    ([10, 5, 1], [7, 1])

    Raises:
        ConfigError: a batch has fewer places than there are sources.
    """
    if batch < len(shares):
        raise ConfigError(f"a batch of {batch} cannot hold a picture of each of {len(shares)} sources; make it larger")
    wanted = np.array(shares) * batch / sum(shares)
    counts = np.maximum(np.floor(wanted).astype(int), 1)
    while counts.sum() < batch:
        counts[int((wanted - counts).argmax())] += 1
    while counts.sum() > batch:
        counts[int(np.where(counts > 1, counts - wanted, -np.inf).argmax())] -= 1
    return [int(count) for count in counts]


def batch_at(
    step: int, row: NDArray[np.int64], batch: int, key: tuple[int, int]
) -> list[tuple[int, np.random.Generator]]:
    """Return the picture and the generator of each of a source's samples of a step.

    The pictures are an endless series of shuffles of `row`; the place in it follows from the step, so that nothing else
    needs saving for a resume. `key` is the run's seed and the source's number.
    """
    count, (seed, number) = len(row), key
    places = range(step * batch, (step + 1) * batch)
    laps = {place // count for place in places}
    shuffles = {lap: np.random.default_rng([seed, 2 * number, lap]).permutation(row) for lap in laps}
    return [
        (int(shuffles[place // count][place % count]), np.random.default_rng([seed, 2 * number + 1, place]))
        for place in places
    ]


def rate_at(share: float, settings: TrainSettings) -> float:
    """Return the learning rate after `share` (0..1) of the run."""
    if share < settings.warm_up:
        return settings.rate * (0.05 + 0.95 * share / settings.warm_up)
    down = (share - settings.warm_up) / (1 - settings.warm_up)
    return settings.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * down)) / 2)


@torch.no_grad()
def follow(mean_net: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Move the running mean towards the net; quickly in the first steps."""
    keep = min(decay, (1 + step) / (10 + step))
    values = net.state_dict()
    for name, mean in mean_net.state_dict().items():
        if mean.is_floating_point():
            mean.lerp_(values[name], 1 - keep)
        else:
            mean.copy_(values[name])


def steps_that_fit(progress: Progress, settings: TrainSettings) -> int:
    """Return how many steps the whole run has, judged by its speed so far; at least those that were made."""
    left_s = settings.minutes * 60 - progress.spent_s
    return progress.step + max(int(left_s * progress.step / progress.spent_s), 0)


@torch.no_grad()
def validate(net: TrayNet, pictures: Pictures, size: tuple[int, int], batch: int = 16) -> dict[str, float]:
    """Return class-agnostic AP50 (all, and for each preset) and class accuracy of the net on a set."""
    net.eval()
    cells, strides = grid(size[1], size[0])
    limits = pair_limits(pictures.labels, "label", 0.6)
    outcomes = []
    for start in range(0, len(pictures), batch):
        samples = [plain_sample(pictures, i, size) for i in range(start, min(start + batch, len(pictures)))]
        images, _ = collate(samples)
        raw = net(images)
        boxes, scores = decode_boxes(raw, cells, strides), raw[..., 4:].sigmoid()
        for sample, b, s in zip(samples, boxes.numpy(), scores.numpy(), strict=True):
            outcomes.append(match(_suppressed(b, s, limits), Wanted(sample.boxes, sample.classes, sample.wanted)))
    scores_by_name = {"ap50": average_precision(outcomes) or 0.0, "class_accuracy": class_accuracy(outcomes) or 0.0}
    for preset in sorted(set(pictures.presets)):
        mine = [o for o, p in zip(outcomes, pictures.presets, strict=True) if p == preset]
        scores_by_name[f"ap50_{preset}"] = average_precision(mine) or 0.0
        scores_by_name[f"class_accuracy_{preset}"] = class_accuracy(mine) or 0.0
    return {name: round(value, 5) for name, value in scores_by_name.items()}


@torch.no_grad()
def validate_items(net: TrayNet, pictures: Pictures, most: int = 20) -> dict[str, float]:
    """Return AP50 and recall of the `most` best boxes a picture, by the item head alone: classes do not count."""
    net.eval()
    outcomes, found, wanted = [], 0, 0
    for index in range(len(pictures)):
        height, width = pictures.image(index).shape[:2]
        size = (-(-width // 32) * 32, -(-height // 32) * 32)
        sample = plain_sample(pictures, index, size)
        cells, strides = grid(size[1], size[0])
        raw = net(collate([sample])[0])
        boxes, scores = decode_boxes(raw, cells, strides)[0].numpy(), raw[0, :, 4].sigmoid().numpy()
        at = np.flatnonzero(scores > MIN_SCORE / 5)
        at = at[np.argsort(-scores[at], kind="stable")][:300]
        at = at[suppress(boxes[at], np.full((len(at), len(at)), 0.6, dtype=np.float32))][:most]
        truth = Wanted(sample.boxes, sample.classes, sample.wanted)
        outcome = match(Found(boxes[at], scores[at], np.zeros(len(at), dtype=np.int64)), truth)
        outcomes.append(outcome)
        found, wanted = found + int(outcome.hits.sum()), wanted + outcome.truths
    return {
        "item_ap50": round(average_precision(outcomes) or 0.0, 5),
        f"item_recall{most}": round(found / max(wanted, 1), 5),
    }


def _suppressed(boxes: NDArray[np.float32], scores: NDArray[np.float32], limits: NDArray[np.float32]) -> Found:
    """Return what the product's suppression leaves of the cells (A, 4) and (A, 1 + C)."""
    classes = scores[:, 1:].argmax(axis=1)
    sure = scores[:, 0] * scores[np.arange(len(scores)), classes + 1]
    at = np.flatnonzero(sure > MIN_SCORE)
    at = at[np.argsort(-sure[at], kind="stable")]
    at = at[suppress(boxes[at], limits[classes[at][:, None], classes[at][None, :]])]
    return Found(boxes[at], sure[at], classes[at])


def _check_finite(losses: Losses, step: int, pictures: list[Any]) -> None:
    if not bool(torch.isfinite(losses.total)):
        parts = f"box {losses.box.item()}, objectness {losses.objectness.item()}, classes {losses.classes.item()}"
        raise ModelError(
            f"step {step}: the loss is not finite ({parts}); its batch holds (source, roll, frame) {pictures}; "
            "lower --rate, or look at these pictures"
        )
