"""Two trunks that torchvision does not have, named as their published weights are: CIFAR ResNets, ShuffleNetV2 0.5x.

Written anew from the papers and the shapes of the weights: He et al., 2016 (section 4.2, shortcuts of option A) and
Ma et al., 2018. Both end in a mean over the picture, so that any input size from 32 px on will do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu


class CifarTrunk(nn.Module):
    """A CIFAR ResNet of 6n + 2 layers without its head: (N, 3, H, W) to (N, 64).

    Args:
        blocks: n, residual blocks of each of the three stages.
    """

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, 1)
        self.layer2 = _stage(16, 32, blocks, 2)
        self.layer3 = _stage(32, 64, blocks, 2)
        _start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of normalised pictures."""
        x = relu(self.bn1(self.conv1(x)))
        mapped: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return mapped.mean(dim=(2, 3))


class _Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.added = stride, after - before

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        # Option A: every other pixel, and zeros for the channels that are new.
        past = x[:, :, :: self.stride, :: self.stride]
        return relu(y + pad(past, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2)))


def _stage(before: int, after: int, blocks: int, stride: int) -> nn.Sequential:
    first = _Residual(before, after, stride)
    return nn.Sequential(first, *(_Residual(after, after, 1) for _ in range(blocks - 1)))


class ShuffleTrunk(nn.Module):
    """ShuffleNetV2 0.5x up to its fourth stage: (N, 3, H, W) to (N, 192)."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stage2 = _shuffle_stage(24, 48, 4)
        self.stage3 = _shuffle_stage(48, 96, 8)
        self.stage4 = _shuffle_stage(96, 192, 4)
        _start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of normalised pictures."""
        x = self.maxpool(self.first_conv(x))
        mapped: Tensor = self.stage4(self.stage3(self.stage2(x)))
        return mapped.mean(dim=(2, 3))


class _Shuffled(nn.Module):
    """A unit: with stride 2 both branches see all channels; with stride 1 one half passes by."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        half = after // 2
        seen = before if stride == 2 else before // 2
        self.branch_main = nn.Sequential(
            *_pointwise(seen, half), *_depthwise(half, stride), *_pointwise(half, after - seen if stride == 2 else half)
        )
        self.branch_proj: nn.Module | None = None
        if stride == 2:
            self.branch_proj = nn.Sequential(*_depthwise(before, 2), *_pointwise(before, before))

    def forward(self, x: Tensor) -> Tensor:
        if self.branch_proj is not None:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        # Even channels pass by, odd ones are worked on: the shuffle of the unit before.
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


def _shuffle_stage(before: int, after: int, units: int) -> nn.Sequential:
    first = _Shuffled(before, after, 2)
    return nn.Sequential(first, *(_Shuffled(after, after, 1) for _ in range(units - 1)))


def _pointwise(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


def _depthwise(channels: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)


def _start(net: nn.Module) -> None:
    """Draw first weights (He et al., 2015)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
