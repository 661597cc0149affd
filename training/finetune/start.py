"""Where a run begins: published weights, another run's, a shipped card's or a plain state dict, as the recipe says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.errors import ConfigError, ModelNotFound
from core.files import sha256_of
from training.finetune.checkpoints import read_pt
from training.finetune.detectors import Detector
from training.finetune.pretrained import (
    Weights,
    read_card,
    read_weights,
    start_from,
    start_from_published,
    unfold_norms,
)
from training.finetune.settings import StartRecipe
from training.finetune.transfer import ByName, ByShape, OptimiserState, Rule, TransferReport, transfer

PUBLISHED = ("pretrained", "backbone")


@dataclass(frozen=True)
class Start:
    """Where first weights came from.

    Attributes:
        origin: for people and the record.
        sha256: of the file; None for torchvision's, whose names hold it.
        report: what was taken over.
    """

    origin: str
    sha256: str | None
    report: TransferReport


def start_net(net: Detector, recipe: StartRecipe, cache: Path, sight: Callable[[], Sequence[Tensor]]) -> Start | None:
    """Give a new net its first weights; None when it starts from its own random ones.

    Args:
        net: is changed.
        recipe: what is wanted.
        cache: folder of downloads.
        sight: gives some pictures; asked only for weights whose norms are folded away (a card's).

    Raises:
        ConfigError: torchvision publishes no such weights, or a pattern is broken.
        ModelNotFound: no such file, or no way to download it.
        ModelMismatch: the weights do not fit.
    """
    if recipe.init == "":
        return None
    if recipe.init in PUBLISHED:
        trunk = recipe.init == "backbone"
        report = start_from_published(net, cache, trunk=trunk)
        return Start(f"torchvision's {recipe.init} weights of {net.arch}", None, report)
    weights, path = find_weights(recipe.init)
    if recipe.match == "name" and not recipe.accept and not recipe.rename:
        report = start_from(net, weights, strict=recipe.strict)
    else:
        report = transfer(net, _below_net(weights.state), _rule(recipe), strict=recipe.strict)
    if weights.folded:
        unfold_norms(net, lambda: net.predict(list(sight())))
    return Start(weights.origin, None if path is None else sha256_of(path), report)


def start_optimiser(net: Detector, optimiser: torch.optim.Optimizer, recipe: StartRecipe) -> TransferReport | None:
    """Give a new optimiser the momentum or moments of the run that the weights come from, where the recipe says so.

    Raises:
        ConfigError: the weights are no run's `last.pt`.
    """
    if not recipe.optimiser_state:
        return None
    content = read_pt(Path(recipe.init)) if Path(recipe.init).is_file() else {}
    if "optimiser" not in content:
        raise ConfigError(f"optimiser_state: {recipe.init or 'no checkpoint'} has none; start from a run's last.pt")
    # The latest weights, not their mean: it is these that the moments belong to.
    return transfer(
        net, content["net"], _rule(recipe), optimiser=optimiser, source_optimiser=OptimiserState(content["optimiser"])
    )


def find_weights(init: str) -> tuple[Weights, Path | None]:
    """Return the weights that `--init` means, and their file; a card's have none of their own.

    Raises:
        ModelNotFound: neither a file nor a shipped card.
        ModelMismatch: no weights in it.
    """
    path = Path(init)
    if not path.exists() and re.fullmatch(r"[\w.-]+@[\w.-]+", init):
        return read_card(init), None
    if not path.is_file():
        raise ModelNotFound(
            f"--init {init}: no such file; give a checkpoint, a shipped card such as traynet@1, pretrained or backbone"
        )
    if path.suffix == ".pt":
        content = read_pt(path)
        if "mean_net" in content:  # a run's last.pt
            state = {name.removeprefix("net."): value for name, value in content["mean_net"].items()}
            return Weights(state, tuple(content["labels"]), f"{path.name} (sha256 {sha256_of(path)[:16]})"), path
    return read_weights(path), path


def _below_net(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return bare names as the detector has them: below `net`."""
    return {f"net.{name}": value for name, value in state.items()}


def _rule(recipe: StartRecipe) -> Rule:
    try:
        re.compile(recipe.accept)
    except re.error as err:
        raise ConfigError(f"start.accept {recipe.accept!r}: not a regular expression: {err}") from err
    if recipe.match == "shape":
        return ByShape(recipe.accept)
    return ByName(recipe.accept, tuple((f"net.{old}", new) for old, new in recipe.rename.items()))
