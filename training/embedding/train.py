"""Train the dish embedder: one linear script over pure functions. Read `train` from top to bottom.

A run repeats: pictures, their order and their augmentation depend on the seed and the step alone; one that was stopped
and resumed from `last.pt` ends with the same weights as one that was not. Nothing is chosen by a score: the running
mean of the weights after the last step is what ships.
"""

from __future__ import annotations

import json
import math
import platform
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
from core.files import sha256_of, write_atomic
from models.card import InputSpec
from models.crop_fit import fitted
from training.embedding.checkpoint import RunParts, load_run, save_run, save_weights
from training.embedding.crop_set import Crop
from training.embedding.evaluation import Embed
from training.embedding.losses import MarginSoftmax, contrast
from training.embedding.net import MEAN, STD, EmbedderNet, EmbedderShape, load_trunk
from training.embedding.sampler import Source, batch_at, check_sources
from training.revision import commit
from training.train_traynet import cut_log, follow

#: RGB of what lies beyond a crop: ImageNet's mean.
PAD = (124, 116, 104)


@dataclass(frozen=True)
class EmbedSettings:
    """What a run depends on, beside its pictures; the defaults made the shipped model.

    Attributes:
        steps: optimiser steps.
        views: crops of each class in a batch.
        size: pixels of the net's input in training.
        ship_size: pixels of the input of the shipped net; a little larger, as augmentation enlarges what is seen
            (Touvron et al., 2019).
        rate: peak learning rate of the head, after `warm_up` of the run; then a cosine down to a hundredth.
        trunk_rate: the pretrained part's share of it.
        scale, margin: of the margin softmax.
        contrast: weight of the supervised contrast, at `temperature`.
        ema: decay of the running mean of the weights.
        round_steps: steps between two looks at the scores.
    """

    seed: int = 1
    steps: int = 900
    views: int = 4
    size: int = 112
    ship_size: int = 128
    dimensions: int = 256
    early: bool = True
    rate: float = 1e-3
    trunk_rate: float = 0.3
    warm_up: float = 0.05
    weight_decay: float = 0.02
    clip_norm: float = 5.0
    scale: float = 20.0
    margin: float = 0.3
    contrast: float = 1.0
    temperature: float = 0.1
    ema: float = 0.998
    round_steps: int = 300
    threads: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.round_steps, self.threads) < 1 or self.views < 2 or min(self.size, self.ship_size) < 32:
            raise ConfigError("steps, round_steps and threads must be 1 or more, views 2 or more, sizes 32 or more")


Score = Callable[[Embed], Mapping[str, float | None]]


def train(
    sources: Sequence[Source],
    score: Score,
    settings: EmbedSettings,
    out: Path,
    init: Path | None = None,
    resume: bool = False,
    on_round: Callable[[Mapping[str, Any]], None] = lambda line: None,
) -> Path:
    """Train and return the path of the weights.

    Args:
        sources: what to learn from.
        score: says what an embedder is worth, for the log.
        settings: the run.
        out: folder that gets metrics.jsonl, run.json, last.pt and best.pt.
        init: torchvision's weights of SqueezeNet 1.1; random ones if None.
        resume: go on from `out`/last.pt.
        on_round: is given each line of metrics.jsonl.

    Raises:
        ModelError: the loss is not finite.
        ConfigError: `last.pt` belongs to another run.
        DataError: a source has too few classes.
    """
    check_sources(sources)
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    parts = make_parts(sources, settings, init)
    pictures = " ".join(source.crops.sha256 for source in sources)
    if resume:
        load_run(out / "last.pt", parts, pictures)
        cut_log(out / "metrics.jsonl", parts.step)
    else:
        (out / "metrics.jsonl").unlink(missing_ok=True)
    write_run_card(out, settings, sources, init)

    started_s = time.monotonic() - parts.spent_s
    while parts.step < settings.steps:
        first, sums = parts.step, np.zeros(2)
        last = min(first + settings.round_steps, settings.steps)
        parts.net.train()
        for step in range(first, last):
            pixels, classes = batch_at(step, settings.seed, sources, settings.views, settings.size, PAD)
            images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()  # (B, 3, S, S), channels last
            targets = torch.from_numpy(classes)
            for group in parts.optimiser.param_groups:
                group["lr"] = rate_at(step / settings.steps, settings) * group["share"]
            vectors = parts.net(images)  # (B, D)
            softmax = parts.heads(vectors, targets)
            pairs = contrast(vectors, targets, settings.temperature)
            loss = softmax + settings.contrast * pairs
            if not bool(torch.isfinite(loss)):
                raise ModelError(
                    f"step {step}: the loss is not finite ({softmax.item()}, {pairs.item()}); lower the rate"
                )
            parts.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parts.net.parameters(), settings.clip_norm)
            parts.optimiser.step()
            follow(parts.mean_net, parts.net, settings.ema, step)
            sums += [float(softmax.detach()), float(pairs.detach())]
        parts.step, parts.spent_s = last, time.monotonic() - started_s

        line = {
            "epoch": math.ceil(last / settings.round_steps),
            "step": last,
            "planned_steps": settings.steps,
            "spent_s": round(parts.spent_s, 1),
            "loss_softmax": round(float(sums[0]) / (last - first), 5),
            "loss_contrast": round(float(sums[1]) / (last - first), 5),
            **score(embed_with(parts.mean_net, input_spec(settings.ship_size))),
        }
        # The line first: a kill before last.pt is written only means that a resume writes the same line again.
        with (out / "metrics.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        save_weights(out / "best.pt", parts)
        save_run(out / "last.pt", parts, pictures)
        on_round(line)
    return out / "best.pt"


def make_parts(sources: Sequence[Source], settings: EmbedSettings, init: Path | None) -> RunParts:
    """Build net, running mean, class vectors and optimiser as they are before the first step."""
    shape = EmbedderShape(settings.dimensions, settings.early)
    net: EmbedderNet = EmbedderNet(shape).to(memory_format=torch.channels_last)
    if init is not None:
        load_trunk(net, init)
    mean_net = EmbedderNet(shape)
    mean_net.load_state_dict(net.state_dict())
    mean_net.eval().requires_grad_(False)
    classes = sum(len(source.crops.names) for source in sources)
    heads = MarginSoftmax(classes, settings.dimensions, settings.scale, settings.margin)
    trunk = list(net.levels.parameters())
    head = [net.map.weight, heads.weight]
    free = [net.norm.weight, net.norm.bias, net.power]
    optimiser = torch.optim.AdamW(
        [
            {"params": trunk, "share": settings.trunk_rate, "weight_decay": settings.weight_decay},
            {"params": head, "share": 1.0, "weight_decay": settings.weight_decay},
            {"params": free, "share": 1.0, "weight_decay": 0.0},
        ],
        lr=settings.rate,
    )
    return RunParts(net, mean_net, heads, optimiser)


def rate_at(progress: float, settings: EmbedSettings) -> float:
    """Return the learning rate at `progress` (0..1) of the run: linear warm-up, then a cosine down to a hundredth."""
    if progress < settings.warm_up:
        return settings.rate * (progress / settings.warm_up * 0.99 + 0.01)
    along = (progress - settings.warm_up) / (1 - settings.warm_up)
    return settings.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along)))


def input_spec(size: int) -> InputSpec:
    """Return what the net eats, as its card will say it."""
    std = tuple(round(value, 3) for value in STD)
    return InputSpec(width=size, height=size, letterbox="center", pad=PAD, mean=MEAN, std=(std[0], std[1], std[2]))


def embed_with(net: EmbedderNet, spec: InputSpec, batch: int = 32) -> Embed:
    """Return a function that embeds crops as the product fits them in."""
    net.eval()

    @torch.no_grad()
    def embed(crops: Sequence[Crop]) -> NDArray[np.float32]:
        vectors = []
        for start in range(0, len(crops), batch):
            pixels = np.stack([fitted(spec, crop) for crop in crops[start : start + batch]])
            raw = net.raw(torch.from_numpy(pixels))
            vectors.append(nn.functional.normalize(raw, dim=1, eps=1e-6).numpy())
        return np.concatenate(vectors) if vectors else np.zeros((0, net.shape.dimensions), np.float32)

    return embed


def write_run_card(out: Path, settings: EmbedSettings, sources: Sequence[Source], init: Path | None) -> None:
    """Write `out`/run.json: parameters, data hashes, commit, seed, threads and versions."""
    card = {
        "arch": "embedder",
        "shape": asdict(EmbedderShape(settings.dimensions, settings.early)),
        "parameters": asdict(settings),
        "seed": settings.seed,
        "threads": settings.threads,
        "data": {
            "train": [
                {
                    "name": source.crops.name,
                    "sha256": source.crops.sha256,
                    "crops": len(source.crops),
                    "classes": len(source.crops.names),
                    "per_batch": source.classes,
                }
                for source in sources
            ]
        },
        "init": None if init is None else init.name,
        "init_sha256": None if init is None else sha256_of(init),
        "git": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    write_atomic(out / "run.json", json.dumps(card, indent=2, sort_keys=True) + "\n")
