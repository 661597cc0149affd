"""The nets of the study, each with the weights, the preprocessing and the layers that belong to it.

Preprocessing is what each was trained with: SqueezeNet torchvision's ImageNet recipe; the CIFAR ResNets 32 x 32 pixels,
normalised by ImageNet's mean and deviation (as their trainer does); FastestDet's trunk the whole picture squeezed to
352 x 352, BGR, 0..1. For the trunk the running statistics of its first norm agree with that and with no other choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torchvision import models

from core.errors import ModelMismatch
from core.files import sha256_of
from training.embedding_study.describers import NetDescriber
from training.embedding_study.fitting import IMAGENET_MEAN, IMAGENET_STD, Fit
from training.embedding_study.nets import CifarResNet, ShuffleTrunk
from training.embedding_study.settings import GridSettings, NetName
from training.finetune.determinism import mixed
from training.finetune.pretrained import read_weights

_IMAGENET = Fit(224, 256, "rgb", IMAGENET_MEAN, IMAGENET_STD)
_CIFAR = Fit(32, 32, "rgb", IMAGENET_MEAN, IMAGENET_STD)
_FASTEST_DET = Fit(352, 0, "bgr")


@dataclass(frozen=True)
class Recipe:
    """How one net is made.

    Attributes:
        file: name of its published weights.
        make: builds it.
        fit: what it eats.
        layers: prefixes of the modules to look at, each with how many names follow ("features", 1: features.0, …).
    """

    file: str
    make: Callable[[], nn.Module]
    fit: Fit
    layers: tuple[tuple[str, int], ...]


_CIFAR_LAYERS = (("bn1", 0), ("layer1", 1), ("layer2", 1), ("layer3", 1), ("linear", 0))
RECIPES: dict[NetName, Recipe] = {
    "squeezenet1_1": Recipe(
        "squeezenet1_1_caffe_torchvision.pth",
        lambda: models.squeezenet1_1(weights=None),
        _IMAGENET,
        (("features", 1), ("classifier.1", 0)),
    ),
    "shufflenet_trunk": Recipe(
        "fastestdet_shufflenetv2_05.pth",
        ShuffleTrunk,
        _FASTEST_DET,
        (("first_conv", 0), ("maxpool", 0), ("stage2", 1), ("stage3", 1), ("stage4", 1)),
    ),
    "cifar_resnet20": Recipe("cifar10_resnet20-12fca82f.th", lambda: CifarResNet(3), _CIFAR, _CIFAR_LAYERS),
    "cifar_resnet56": Recipe("cifar10_resnet56-4bfd9763.th", lambda: CifarResNet(9), _CIFAR, _CIFAR_LAYERS),
}


def published_net(name: NetName, folder: Path, grid: GridSettings) -> NetDescriber:
    """Return a net with the weights that lie in `folder`, loaded strictly.

    Raises:
        ModelNotFound: the file is not there.
        ModelMismatch: it holds other weights.
    """
    recipe = RECIPES[name]
    path, net = folder / recipe.file, recipe.make()
    weights = read_weights(path)
    try:
        net.load_state_dict(dict(weights.state))
    except RuntimeError as err:
        told = str(err).splitlines()
        raise ModelMismatch(
            f"{path}: not the weights of {name} ({told[min(1, len(told) - 1)].strip()[:160]}); put the published file "
            "there, give the folder that has it with --backbones, or leave the net out with --nets"
        ) from err
    return _described(name, net, recipe, weights.origin, sha256_of(path), grid)


def random_net(name: NetName, seed: int, grid: GridSettings) -> NetDescriber:
    """Return the same net with random weights, which depend on the seed and the net alone."""
    recipe = RECIPES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mixed(seed, list(RECIPES).index(name)))
        net = recipe.make()
    return _described(f"{name}~random{seed}", net, recipe, f"random, seed {seed}", f"random {seed}", grid)


def layers_of(net: nn.Module, recipe: Recipe) -> list[str]:
    """Return the names of the modules that a recipe looks at, in the net's order."""
    names = []
    for name, _ in net.named_modules():
        if any(
            name == prefix
            if depth == 0
            else name.startswith(f"{prefix}.") and name.count(".") - prefix.count(".") == depth
            for prefix, depth in recipe.layers
        ):
            names.append(name)
    return names


def _described(
    name: str, net: nn.Module, recipe: Recipe, origin: str, weights: str, grid: GridSettings
) -> NetDescriber:
    layers = layers_of(net, recipe)
    return NetDescriber(name, net, layers, recipe.fit, origin, weights, grid.kernels, grid.below)
