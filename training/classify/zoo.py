"""The nets of the studies: which there are, where their real weights lie, and how they want their pixels.

A net without a file of weights takes part from scratch only. Any other classifier of torchvision can be named, too,
and gets its ImageNet weights by `--weights arch=FILE`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torchvision import models

from core.errors import ConfigError, ModelNotFound
from training.classify.trunks import CifarTrunk, ShuffleTrunk

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
#: torchvision's that train with heads beside the main one: not one classifier that could be compared.
_LEFT_OUT = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Member:
    """A net of the zoo.

    Attributes:
        arch: its name.
        file: of its real weights in TRAYLANE_DATA/backbones; "": none is known there.
        learnt_from: what these weights have seen.
        pixels: mean and deviation (RGB order of the file's training) that pixels of 0..1 are normalised by.
        swapped: its weights want blue, green, red.
        foreign: names of its head in the file of weights, which are left behind.
        native_px: side of the pictures that it was made for, where that is smaller than is usual; 0: any.
    """

    arch: str
    file: str = ""
    learnt_from: str = "ImageNet"
    pixels: tuple[tuple[float, float, float], tuple[float, float, float]] = _IMAGENET
    swapped: bool = False
    foreign: tuple[str, ...] = ()
    native_px: int = 0

    def side(self, px: int) -> int:
        """Return the side of the pictures that it sees where others see `px`."""
        return min(px, self.native_px) if self.native_px else px


#: Nets with real weights, and some of torchvision's that are often asked for.
KNOWN = (
    Member("squeezenet1_1", "squeezenet1_1_caffe_torchvision.pth"),
    Member(
        "shufflenetv2_05",
        "fastestdet_shufflenetv2_05.pth",
        "ImageNet, then COCO as a detector's trunk",
        pixels=_PLAIN,
        swapped=True,
    ),
    Member("cifar_resnet20", "cifar10_resnet20-12fca82f.th", "CIFAR-10", foreign=("linear.",), native_px=32),
    Member("cifar_resnet56", "cifar10_resnet56-4bfd9763.th", "CIFAR-10", foreign=("linear.",), native_px=32),
    Member("mobilenet_v3_small"),
    Member("mobilenet_v2"),
    Member("shufflenet_v2_x0_5"),
    Member("resnet18"),
    Member("efficientnet_b0"),
)
#: Trunks that torchvision does not have.
OWN: Mapping[str, Callable[[], nn.Module]] = {
    "shufflenetv2_05": ShuffleTrunk,
    "cifar_resnet20": partial(CifarTrunk, 3),
    "cifar_resnet56": partial(CifarTrunk, 9),
}


@dataclass(frozen=True)
class Entry:
    """A net that takes part: its member of the zoo, and the file of its weights; None: from scratch only."""

    member: Member
    weights: Path | None


def find_member(arch: str) -> Member:
    """Return the net of that name.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    known = {member.arch: member for member in KNOWN}
    if arch in known:
        return known[arch]
    others = [name for name in models.list_models(module=models) if name not in _LEFT_OUT]
    if arch in others:
        return Member(arch)
    near = get_close_matches(arch, [*known, *others], n=3) or list(known)
    why = "it trains with a second head, which is not compared here; " if arch in _LEFT_OUT else ""
    raise ConfigError(
        f"model {arch!r}: {why or 'no such net; '}did you mean {', '.join(near)}? Any classifier of torchvision will do"
    )


def enlist(archs: tuple[str, ...], given: Mapping[str, Path]) -> tuple[Entry, ...]:
    """Return the nets that take part, each with its weights: as given, or where TRAYLANE_DATA has them.

    Raises:
        ConfigError: a net is unknown, or named twice, or weights are given for one that does not take part.
        ModelNotFound: a file that was given is not there.
    """
    if len(set(archs)) != len(archs):
        raise ConfigError(f"models {', '.join(archs)}: each once")
    strangers = [arch for arch in given if arch not in archs]
    if strangers:
        raise ConfigError(f"--weights {strangers[0]}=…: no such net among those that take part ({', '.join(archs)})")
    for arch, path in given.items():
        if not path.is_file():
            raise ModelNotFound(f"--weights {arch}={path}: no such file")
    entries = []
    for arch in archs:
        member = find_member(arch)
        entries.append(Entry(member, given.get(arch) or _shared(member)))
    return tuple(entries)


def fresh_trunk(arch: str) -> nn.Module:
    """Build a trunk with first weights drawn from torch's generator: normalised pictures in, (N, D) features out."""
    if arch in OWN:
        return OWN[arch]()
    net: nn.Module = models.get_model(arch, weights=None)
    if arch.startswith("squeezenet"):
        net.classifier = nn.AdaptiveAvgPool2d(1)
        return net
    last = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)][-1]
    parent, _, leaf = last.rpartition(".")
    owner = net.get_submodule(parent)
    if isinstance(owner, nn.Sequential):
        owner[int(leaf)] = nn.Identity()
    else:
        setattr(owner, leaf, nn.Identity())
    return net


def head_names(member: Member) -> tuple[str, ...]:
    """Return prefixes of what a file of weights may hold beyond the trunk: the head of other classes."""
    if member.arch.startswith("squeezenet"):
        return ("classifier.",)
    if member.arch in OWN:
        return member.foreign
    with torch.device("meta"):
        net = models.get_model(member.arch, weights=None)
    last = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)][-1]
    return (f"{last}.",)


def _shared(member: Member) -> Path | None:
    folder = os.environ.get("TRAYLANE_DATA")
    if not folder or not member.file:
        return None
    path = Path(folder) / "backbones" / member.file
    return path if path.is_file() else None
